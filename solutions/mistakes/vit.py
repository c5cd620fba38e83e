"""Wrong and alternative right answers: the Vision Transformer."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

vit = Bank("ViT")

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

POOL = 'tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1)'

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

LOOP = "for block in self.blocks:\n            tokens = block(tokens)"

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

TOKENS = "self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))"

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


vit.wrong(
    'dropout before the positions',
    "Your dropout comes before CLS and positions are added. It should act on the embedded tokens, positions included.",
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = self.dropout(self.patch_embedding(images))\n"
        "        x = add_cls_and_positions(x, self.cls_token, self.positions)\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.norm(x)",
    },
)


vit.wrong(
    'first patch left out',
    'Your mean leaves token 0 out. A model that takes the mean has no class token: token 0 is a patch.',
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)\n"
        "        x = self.dropout(x)\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.norm(x)",
        "pooled = tokens[:, 0] if self.pool == \"cls\" else tokens.mean(dim=1)  # (B, D)\n"
        "        return self.head(pooled)": "return self.head(tokens[:, 0] if self.pool == 'cls' else tokens[:, 1:].mean(dim=1))",
    },
)


vit.wrong(
    'norm twice',
    'You normalise the pooled vector once more. `encode` ends with the norm already.',
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)\n"
        "        x = self.dropout(x)\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.norm(x)",
        "return self.head(pooled)": "return self.head(self.norm(pooled))",
    },
)


vit.wrong(
    'norm before the blocks',
    'Your norm comes before the blocks. It belongs behind the last one.',
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)\n"
        "        x = self.norm(self.dropout(x))\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return x",
    },
)


vit.wrong(
    'dropout twice',
    "You apply dropout to the pooled vector as well. It acts on the embedded tokens and inside every block only.",
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)\n"
        "        x = self.dropout(x)\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.norm(x)",
        "return self.head(pooled)": "return self.head(self.dropout(pooled))",
    },
)


vit.right(
    'straight',
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "x = self.patch_embedding(images)\n"
        "        x = self.dropout(add_cls_and_positions(x, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.norm(x)",
        "tokens = self.encode(images)\n"
        "        pooled = tokens[:, 0] if self.pool == \"cls\" else tokens.mean(dim=1)  # (B, D)\n"
        "        return self.head(pooled)": "x = self.encode(images)\n"
        "        if self.pool == 'cls':\n"
        "            x = x[:, 0]\n"
        "        else:\n"
        "            x = x.mean(dim=1)\n"
        "        return self.head(x)",
    },
)


vit.right(
    'by hand',
    edits={
        "tokens = self.patch_embedding(images)  # (B, N, D)\n"
        "        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))\n"
        "        for block in self.blocks:\n"
        "            tokens = block(tokens)\n"
        "        return self.norm(tokens)": "from functools import reduce\n"
        "        x = self.patch_embedding(images)\n"
        "        if self.pool == 'cls':\n"
        "            x = torch.cat([self.cls_token.repeat(x.shape[0], 1, 1), x], 1)\n"
        "        x = F.dropout(x + self.positions, self.dropout.p, training=self.training)\n"
        "        return self.norm(reduce(lambda tokens, block: block(tokens), self.blocks, x))",
        "tokens = self.encode(images)\n"
        "        pooled = tokens[:, 0] if self.pool == \"cls\" else tokens.mean(dim=1)  # (B, D)\n"
        "        return self.head(pooled)": "pools = {'cls': lambda t: t.select(1, 0), 'mean': lambda t: t.sum(1) / t.shape[1]}\n"
        "        return self.head(pools[self.pool](self.encode(images)))",
    },
)


