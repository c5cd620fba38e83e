"""Wrong and alternative right answers to notebook 05: the block and the whole model. Each runs in the namespace of the reference's module."""

from __future__ import annotations

from utils.grading.bank import Bank

# ------------------------------------------------------------------------------------------ ViTBlock

block = Bank("ViTBlock")
ATTEND = "self.self_attn(self.norm1(x))"
FIRST = "x = x + self.drop_path(self.dropout(attended))"
HIDDEN = "self.dropout(F.gelu(self.linear1(self.norm2(x))))"
SECOND = "return x + self.drop_path(self.dropout(self.linear2(hidden)))"
block.wrong(
    "post-norm",
    "You normalise after each residual addition (post-norm, as in the Transformer of 2017). ViT is pre-norm: each branch "
    "normalises its own input, and the sum itself is left alone.",
    edits={
        ATTEND: "self.self_attn(x)",
        FIRST: "x = self.norm1(x + self.drop_path(self.dropout(attended)))",
        HIDDEN: "self.dropout(F.gelu(self.linear1(x)))",
        SECOND: "return self.norm2(x + self.drop_path(self.dropout(self.linear2(hidden))))",
    },
)
block.wrong(
    "norms swapped",
    "You use `norm2` for the attention and `norm1` for the MLP; it is the other way round.",
    edits={
        "linear1(self.norm2(x))": "linear1(self.norm1(x))",
        "self_attn(self.norm1(x))": "self_attn(self.norm2(x))",
    },
)
block.wrong(
    "no residual around the attention",
    "The attention's output replaces its input; it should be added to it.",
    edits={FIRST: "x = self.drop_path(self.dropout(attended))"},
)
block.wrong(
    "no residual around the MLP",
    "The MLP's output replaces its input; it should be added to it.",
    edits={SECOND: "return self.drop_path(self.dropout(self.linear2(hidden)))"},
)
block.wrong(
    "residual of the normalised tokens",
    "You add the attention's output to norm1(x). What is carried past a branch is x itself, not normalised.",
    edits={FIRST: "x = self.norm1(x) + self.drop_path(self.dropout(attended))"},
)
block.wrong(
    "MLP without its norm",
    "The MLP reads tokens that are not normalised: `norm2` is not used.",
    edits={"self.norm2(x)": "x"},
)
block.wrong(
    "attention without its norm",
    "The attention reads tokens that are not normalised: `norm1` is not used.",
    edits={"self.norm1(x)": "x"},
)
block.wrong(
    "both branches side by side",
    "Your MLP reads the block's input; it should read what the attention's branch has left, the sum x + attention(norm(x)).",
    edits={
        FIRST: "y = x + self.drop_path(self.dropout(attended))",
        SECOND: SECOND.replace("return x", "return y"),
    },
)
block.wrong(
    "ReLU",
    "Your MLP uses ReLU; ViT's uses GELU.",
    edits={"F.gelu(": "F.relu("},
)
block.wrong(
    "no activation",
    "There is no activation between `linear1` and `linear2`, so the two are one linear map.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": "self.linear1(self.norm2(x))"},
)
block.wrong(
    "GELU's tanh approximation",
    "You use GELU's tanh approximation. It is close, but the published ViTs in PyTorch were converted for the exact one, the default.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": 'F.gelu(self.linear1(self.norm2(x)), approximate="tanh")'},
)
block.wrong(
    "stochastic depth forgotten",
    "`drop_path` is never applied: with stochastic depth some images should pass the block unchanged while training.",
    edits={FIRST: "x = x + self.dropout(attended)", SECOND: "return x + self.dropout(self.linear2(hidden))"},
)
block.wrong(
    "stochastic depth on the sum",
    "You apply `drop_path` to x plus the branch, so that a dropped image becomes zero. Drop the branch alone: x must get through.",
    edits={
        FIRST: "x = self.drop_path(x + self.dropout(attended))",
        SECOND: "return self.drop_path(x + self.dropout(self.linear2(hidden)))",
    },
)
block.wrong(
    "dropout forgotten",
    "`dropout` is never applied: while training, two calls give the same result.",
    edits={
        FIRST: "x = x + self.drop_path(attended)",
        HIDDEN: "F.gelu(self.linear1(self.norm2(x)))",
        SECOND: "return x + self.drop_path(self.linear2(hidden))",
    },
)

block.right("branches added from the right", edits={FIRST: "x = self.drop_path(self.dropout(attended)) + x"})
block.right(
    "functional norms and layers",
    edits={
        "self.norm1(x)": "F.layer_norm(x, x.shape[-1:], self.norm1.weight, self.norm1.bias, self.norm1.eps)",
        "self.linear1(self.norm2(x))": "self.norm2(x) @ self.linear1.weight.T + self.linear1.bias",
    },
)
block.right(
    "GELU written out",
    edits={
        HIDDEN: "self.linear1(self.norm2(x))\n        hidden = self.dropout(hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)))"
    },
)
block.right(
    "the MLP as a function of its own",
    edits={
        SECOND: "mlp = nn.Sequential(self.norm2, self.linear1, nn.GELU(), self.dropout, self.linear2, self.dropout, self.drop_path)\n"
        "        return torch.add(x, mlp(x))"
    },
)

# ------------------------------------------------------------------------------------------ ViT

vit = Bank("ViT")
TOKENS = "self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))"
LOOP = "for block in self.blocks:\n            tokens = block(tokens)"
POOL = 'tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1)'
vit.wrong(
    "no final norm",
    "The final `norm` is not used. Pre-norm blocks leave their sum as it is, so one last norm is needed before the head.",
    edits={"return self.norm(tokens)": "return tokens"},
)
vit.wrong(
    "reads the last token",
    "You read the last token, which is a patch. The CLS token is the first.",
    edits={"tokens[:, 0]": "tokens[:, -1]"},
)
vit.wrong(
    "reads the first patch",
    "You read the token behind CLS, which is the first patch. CLS is at index 0.",
    edits={"tokens[:, 0]": "tokens[:, 1]"},
)
vit.wrong(
    "always CLS",
    'You read token 0 whatever `pool` says. With pool="mean" there is no CLS token: average all patches.',
    edits={POOL: "tokens[:, 0]"},
)
vit.wrong(
    "always the mean",
    'You average the tokens whatever `pool` says. With pool="cls" the head reads the CLS token alone.',
    edits={POOL: "tokens.mean(dim=1)"},
)
vit.wrong(
    "mean over the channels",
    "You average over the channels (the last axis). Pooling is over the tokens: axis 1.",
    edits={"tokens.mean(dim=1)": "tokens.mean(dim=-1)"},
)
vit.wrong(
    "maximum for the mean",
    'You take the maximum over the tokens; pool="mean" asks for the average.',
    edits={"tokens.mean(dim=1)": "tokens.amax(dim=1)"},
)
vit.wrong(
    "probabilities",
    "You return probabilities. The model returns logits: the loss does the softmax.",
    edits={"return self.head(pooled)": "return self.head(pooled).softmax(dim=-1)"},
)
vit.wrong(
    "only the first block",
    "Only the first block is run.",
    edits={"for block in self.blocks:": "for block in self.blocks[:1]:"},
)
vit.wrong(
    "blocks in reverse",
    "The blocks run in reverse order.",
    edits={"for block in self.blocks:": "for block in reversed(self.blocks):"},
)
vit.wrong(
    "each block reads the embedding",
    "Every block reads the embedded patches again, so only the last one counts. Each should read what the one before it gave.",
    edits={
        LOOP: "embedded = tokens\n        for block in self.blocks:\n            tokens = block(embedded)"
    },
)
vit.wrong(
    "a second residual around the blocks",
    "You add the input once more around every block. The residual connections are inside the blocks already.",
    edits={"tokens = block(tokens)": "tokens = tokens + block(tokens)"},
)
vit.wrong(
    "norm before the blocks as well",
    "You normalise the embedded tokens before the first block. ViT does so only at the end; each block has its own norms.",
    edits={TOKENS: f"self.norm({TOKENS})"},
)
vit.wrong(
    "dropout forgotten",
    "The embedded tokens go into the blocks without `dropout`.",
    edits={TOKENS: "add_cls_and_positions(tokens, self.cls_token, self.positions)"},
)
vit.wrong(
    "positions only for the patches of CLS models",
    "A model with mean pooling gets no positions in your version: it has no CLS token, but it needs to know where a patch was.",
    edits={
        TOKENS: "self.dropout(tokens if self.cls_token is None else add_cls_and_positions(tokens, self.cls_token, self.positions))"
    },
)

vit.right("nn.Sequential", edits={LOOP: "tokens = nn.Sequential(*self.blocks)(tokens)"})
vit.right(
    "pooling by einsum",
    edits={
        "tokens.mean(dim=1)": 'torch.einsum("bnd->bd", tokens) / tokens.shape[1]',
        "tokens[:, 0]": "tokens.unbind(1)[0]",
    },
)
vit.right(
    "CLS and positions by hand",
    edits={
        TOKENS: "tokens if self.cls_token is None else torch.cat([self.cls_token.repeat(len(tokens), 1, 1), tokens], 1)\n"
        "        tokens = F.dropout(tokens + self.positions, self.dropout.p, self.training)"
    },
)
vit.right(
    "an if in place of the expression",
    edits={
        f"pooled = {POOL}  # (B, D)\n        return self.head(pooled)": 'if self.pool == "mean":\n'
        "            return self.head(torch.mean(tokens, 1))\n"
        "        first, *_ = tokens.split(1, dim=1)\n        return self.head(first.squeeze(1))"
    },
)
