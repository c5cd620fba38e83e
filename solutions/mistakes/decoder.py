"""Wrong and alternative right answers: the decoder layer and greedy decoding."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

decoder = Bank("DecoderLayer")

decoder.wrong(
    "dropout in eval mode, too",
    "Your dropout never stops: `F.dropout` is on unless it is told `training=self.training`. self.dropout follows the layer's mode by itself.",
    edits={
        "self.dropout(move(norm(x)))": "nn.functional.dropout(move(norm(x)), self.dropout.p)",
        "self.dropout(move(x))": "nn.functional.dropout(move(x), self.dropout.p)",
    },
)

decoder.wrong(
    "dropout without its scale",
    "In train mode what is kept should be divided by 1 - p, so that its mean stays the same, and yours is not. self.dropout does both.",
    edits={
        "self.dropout(move(norm(x)))": "self.dropout(move(norm(x))) * (1 - self.dropout.p)",
        "self.dropout(move(x))": "self.dropout(move(x)) * (1 - self.dropout.p)",
    },
)

decoder.wrong(
    "no dropout in pre-LN",
    "Your pre-LN branch has no dropout: self.dropout is applied to what each move adds, there as well.",
    edits={"self.dropout(move(norm(x)))": "move(norm(x))"},
)

MOVE2 = "(self.norm2, lambda x: self.multihead_attn(x, memory, mask=memory_mask, need_weights=False)[0])"

decoder.wrong(
    "cross-attention without the memory",
    "Your second attention looks at the target again. It is cross-attention: queries from the target, keys and values from "
    "the encoder's output, `memory`.",
    edits={MOVE2: MOVE2.replace("x, memory, mask=memory_mask", "x, mask=mask")},
)

decoder.wrong(
    "queries from the memory",
    "In your cross-attention the memory asks and the target answers. It is the other way round: a target position asks (query), "
    "the memory answers (key, value).",
    edits={MOVE2: MOVE2.replace("x, memory, mask=memory_mask", "memory, x, mask=None")},
)

decoder.wrong(
    "values from the target",
    "Your cross-attention takes its keys from the memory but its values from the target. Both come from the memory: what is "
    "found is what is read.",
    edits={MOVE2: MOVE2.replace("x, memory,", "x, memory, x[:, :1].expand_as(memory),")},
)

decoder.wrong(
    "memory normalised",
    "You apply norm2 to the memory as well. Only the queries pass through this layer's norm; the memory comes as the encoder left "
    "it.",
    edits={MOVE2: MOVE2.replace("x, memory,", "x, self.norm2(memory) if self.norm_first else memory,")},
)

MOVE1 = "(self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0])"

decoder.wrong(
    "causal mask not passed on",
    "Your self-attention does not get `mask`, so a position sees its own future, which it is meant to predict.",
    edits={MOVE1: MOVE1.replace("mask=mask, ", "")},
)

decoder.wrong(
    "source mask not passed on",
    "Your cross-attention does not get `memory_mask`, so it reads the source's padding.",
    edits={MOVE2: MOVE2.replace("mask=memory_mask, ", "")},
)

decoder.wrong(
    "one attention for both",
    "You use self_attn for cross-attention, too. The layer has two attentions with weights of their own: self_attn and "
    "multihead_attn.",
    edits={MOVE2: MOVE2.replace("multihead_attn", "self_attn")},
)

decoder.wrong(
    "attentions exchanged",
    "Your two attentions are exchanged: self_attn looks at the target, multihead_attn (cross-attention) at the memory.",
    edits={
        MOVE1: MOVE1.replace("self.self_attn", "self.multihead_attn"),
        MOVE2: MOVE2.replace("self.multihead_attn", "self.self_attn"),
    },
)

decoder.wrong(
    "cross-attention first",
    "Your cross-attention comes before self-attention. The target first looks at itself, then at the source.",
    edits={
        MOVE1: "MOVE",
        MOVE2: MOVE1.replace("norm1", "norm2"),
        "MOVE": MOVE2.replace("norm2", "norm1"),
    },
)

PRE = "x = x + self.dropout(move(norm(x)))"

POST = "x = norm(x + self.dropout(move(x)))"

decoder.wrong(
    "no residual around cross-attention",
    "The residual connection around cross-attention is missing: what it reads is added to x, not put in its place.",
    edits={
        PRE: "x = x * (norm is not self.norm2) + self.dropout(move(norm(x)))",
        POST: "x = norm(x * (norm is not self.norm2) + self.dropout(move(x)))",
    },
)

decoder.wrong(
    "no residual connections",
    "Your residual connections are missing: each move's result is added to its input, not put in its place.",
    edits={PRE: PRE.replace("x + ", ""), POST: POST.replace("x + ", "")},
)

decoder.wrong(
    "pre-LN and post-LN exchanged",
    "You normalise after the sum where norm_first is True, and before the move where it is False. norm_first=True means that the "
    "norm comes first (pre-LN).",
    edits={"if self.norm_first:": "if not self.norm_first:"},
)

decoder.wrong(
    "norms of cross-attention and feed-forward exchanged",
    "Your norm2 and norm3 are exchanged: they belong to the moves in their order, norm2 to cross-attention, norm3 to the "
    "feed-forward.",
    edits={"self.norm2, lambda": "self.norm3, lambda", "self.norm3, self.feed": "self.norm2, self.feed"},
)

MOVE3 = "(self.norm3, self.feed_forward)"

decoder.wrong(
    "feed-forward forgotten",
    "Your layer ends after cross-attention. The third move is missing: the feed-forward, with norm3.",
    edits={MOVE3 + ",": ""},
)

decoder.wrong(
    "dropout forgotten",
    "Your layer has no dropout: in train mode, self.dropout is applied to what each move adds.",
    edits={PRE: "x = x + move(norm(x))", POST: "x = norm(x + move(x))"},
)

MOVES = "moves = ["

decoder.wrong(
    "a mask per pair taken for one per sequence",
    "You read a mask (N, M) as (B, M) where there are as many queries as sequences. With two axes its rows are queries, the same "
    "for all sequences; hidden padding comes as (B, 1, M).",
    edits={
        MOVES: "if memory_mask is not None and memory_mask.dim() == 2 and len(memory_mask) == len(x):\n"
        "            memory_mask = memory_mask.unsqueeze(1)\n        " + MOVES
    },
)

decoder.wrong(
    "causal mask where the source has none",
    "Without a `memory_mask`, your cross-attention gets the causal mask. It should get no mask: every target position may look "
    "at the whole source.",
    edits={
        MOVES: "if memory_mask is None and mask is not None and mask.shape[-1] == memory.shape[1]:\n"
        "            memory_mask = mask\n        " + MOVES
    },
)

decoder.wrong(
    "source mask where the target has none",
    "Without a `mask`, your self-attention gets `memory_mask`. It should get no mask: every target position may look at every "
    "other.",
    edits={
        MOVES: "if mask is None and memory_mask is not None and memory_mask.shape[-1] == x.shape[1]:\n"
        "            mask = memory_mask\n        " + MOVES
    },
)

decoder.wrong(
    "a source that is all visible skipped",
    "You skip cross-attention where `memory_mask` is True everywhere. True means that a query may look: such a mask hides "
    "nothing, and the result is that of None.",
    edits={
        "for norm, move in moves:": "for norm, move in moves:\n"
        "            if norm is self.norm2 and memory_mask is not None and memory_mask.all():\n"
        "                continue"
    },
)

decoder.wrong(
    "memory cut from the graph",
    "The memory is detached from the graph, so the encoder could not learn from the decoder's mistakes.",
    edits={MOVE2: MOVE2.replace("memory, mask", "memory.detach(), mask")},
)


@decoder.right("written out")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        if self.norm_first:
            x = x + self.dropout(self.self_attn(self.norm1(x), mask=mask)[0])
            x = x + self.dropout(self.multihead_attn(self.norm2(x), memory, mask=memory_mask)[0])
            x = x + self.dropout(self.feed_forward(self.norm3(x)))
        else:
            x = self.norm1(x + self.dropout(self.self_attn(x, mask=mask)[0]))
            x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory, memory_mask)[0]))
            x = self.norm3(x + self.dropout(self.feed_forward(x)))
        return x


@decoder.right("one sequence at a time, sums in another order")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def residual(self, x, norm, move):
        return self.dropout(move(norm(x))) + x if self.norm_first else norm(self.dropout(move(x)) + x)

    def forward(self, x, memory, mask=None, memory_mask=None):
        out = []
        for b in range(len(x)):
            own, source_mask = (  # three axes: one for each sequence
                each[b : b + 1] if each is not None and each.dim() == 3 else each
                for each in (mask, memory_mask)
            )
            y, source = x[b : b + 1], memory[b : b + 1]
            y = self.residual(y, self.norm1, lambda t: self.self_attn(t, t, t, own)[0])
            y = self.residual(y, self.norm2, lambda t: self.multihead_attn(t, source, source, source_mask)[0])
            out.append(self.residual(y, self.norm3, self.feed_forward))
        return torch.cat(out, dim=0)


@decoder.right("norms as functions in double precision")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.pre = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.p = dropout

    def forward(self, x, memory, mask=None, memory_mask=None):
        def norm(layer, y):
            y = F.layer_norm(y.double(), y.shape[-1:], layer.weight.double(), layer.bias.double(), layer.eps)
            return y.to(x.dtype)

        for layer, move in (
            (self.norm1, lambda y: self.self_attn(y, mask=mask, need_weights=False)[0]),
            (self.norm2, lambda y: self.multihead_attn(y, memory, memory, memory_mask, False)[0]),
            (self.norm3, self.feed_forward),
        ):
            y = norm(layer, x) if self.pre else x
            y = x + F.dropout(move(y), self.p, self.training)
            x = y if self.pre else norm(layer, y)
        return x


@decoder.wrong(
    'masks exchanged',
    'Your masks are exchanged: `mask` belongs to self-attention (target to target), `memory_mask` to cross-attention (target to '
    'source).'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        moves = ((self.norm1, lambda t: self.self_attn(t, mask=memory_mask, need_weights=False)[0]), (self.norm2, lambda t: self.multihead_attn(t, memory, mask=mask, need_weights=False)[0]), (self.norm3, self.feed_forward))
        for norm, move in moves:
            x = x + self.dropout(move(norm(x))) if self.norm_first else norm(x + self.dropout(move(x)))
        return x


@decoder.wrong(
    'memory asks',
    'In your cross-attention the memory asks. The queries come from x; keys and values come from the memory.'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        moves = ((self.norm1, lambda t: self.self_attn(t, mask=mask, need_weights=False)[0]), (self.norm2, lambda t: self.multihead_attn(memory, t, mask=memory_mask, need_weights=False)[0]), (self.norm3, self.feed_forward))
        for norm, move in moves:
            x = x + self.dropout(move(norm(x))) if self.norm_first else norm(x + self.dropout(move(x)))
        return x


@decoder.wrong(
    'always causal',
    'You make a causal mask up where none is given. Without a mask every position may look at every other.'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        if mask is None:
            mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        moves = ((self.norm1, lambda t: self.self_attn(t, mask=mask, need_weights=False)[0]), (self.norm2, lambda t: self.multihead_attn(t, memory, mask=memory_mask, need_weights=False)[0]), (self.norm3, self.feed_forward))
        for norm, move in moves:
            x = x + self.dropout(move(norm(x))) if self.norm_first else norm(x + self.dropout(move(x)))
        return x


@decoder.wrong(
    'post-LN only',
    'Your layer is post-LN even when norm_first=True. Then each norm comes before its move, inside the residual branch.'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        x = self.norm1(x + self.dropout(self.self_attn(x, mask=mask, need_weights=False)[0]))
        x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory, memory_mask, need_weights=False)[0]))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


@decoder.wrong(
    'cross-attention first, as well',
    'Your cross-attention comes before self-attention. The target looks at itself first, then at the source.'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        moves = ((self.norm2, lambda t: self.multihead_attn(t, memory, mask=memory_mask, need_weights=False)[0]), (self.norm1, lambda t: self.self_attn(t, mask=mask, need_weights=False)[0]), (self.norm3, self.feed_forward))
        for norm, move in moves:
            x = x + self.dropout(move(norm(x))) if self.norm_first else norm(x + self.dropout(move(x)))
        return x


@decoder.wrong(
    'cross-attention without dropout',
    'Your cross-attention has no dropout: self.dropout is applied to what each of the three moves adds.'
)
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        moves = ((self.norm1, lambda t: self.dropout(self.self_attn(t, mask=mask, need_weights=False)[0])), (self.norm2, lambda t: self.multihead_attn(t, memory, mask=memory_mask, need_weights=False)[0]), (self.norm3, lambda t: self.dropout(self.feed_forward(t))))
        for norm, move in moves:
            x = x + move(norm(x)) if self.norm_first else norm(x + move(x))
        return x


decoder.right(
    'loop over moves',
    edits={
        "moves = [\n"
        "            (self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0]),\n"
        "            (self.norm2, lambda x: self.multihead_attn(x, memory, mask=memory_mask, need_weights=False)[0]),\n"
        "            (self.norm3, self.feed_forward),\n"
        "        ]": "moves = ((self.norm1, lambda t: self.self_attn(t, mask=mask, need_weights=False)[0]), (self.norm2, lambda t: self.multihead_attn(t, memory, mask=memory_mask, need_weights=False)[0]), (self.norm3, self.feed_forward))",
    },
)


@decoder.right('written out, as well')
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        if self.norm_first:
            attended, _ = self.self_attn(self.norm1(x), mask=mask)
            x = x + self.dropout(attended)
            attended, _ = self.multihead_attn(self.norm2(x), memory, memory, memory_mask)
            x = x + self.dropout(attended)
            return x + self.dropout(self.feed_forward(self.norm3(x)))
        attended, _ = self.self_attn(x, x, x, mask)
        x = self.norm1(x + self.dropout(attended))
        attended, _ = self.multihead_attn(x, memory, memory, memory_mask)
        x = self.norm2(x + self.dropout(attended))
        return self.norm3(x + self.dropout(self.feed_forward(x)))


@decoder.right('functools.partial')
class DecoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        from functools import partial

        def wrap(x, norm, move):

            def first(t):
                result = move(t)
                return self.dropout(result[0] if isinstance(result, tuple) else result)
            return x + first(norm(x)) if self.norm_first else norm(x + first(x))
        look_back = partial(self.self_attn, mask=mask, need_weights=False)
        look_up = partial(self.multihead_attn, key=memory, value=memory, mask=memory_mask, need_weights=False)
        x = wrap(x, self.norm1, look_back)
        x = wrap(x, self.norm2, look_up)
        return wrap(x, self.norm3, self.feed_forward)


PRE, POST = "x = x + self.dropout(move(norm(x)))", "x = norm(x + self.dropout(move(x)))"

decoder.wrong(
    "dropout on the residual path",
    "Your dropout also hits the residual path: it is applied to the sum. It belongs on what a move adds, before the sum.",
    edits={PRE: "x = self.dropout(x + move(norm(x)))", POST: "x = norm(self.dropout(x + move(x)))"},
)

decoder.wrong(
    "dropout at the end",
    "Your dropout acts on what the layer hands on, behind the sum. It belongs on what a move adds, before the sum.",
    edits={PRE: "x = self.dropout(x + move(norm(x)))", POST: "x = self.dropout(norm(x + move(x)))"},
)

decoder.wrong(
    "post-LN normalises before the sum",
    "In your post-LN, the norm is applied to the move's result alone, before the sum: x + LN(f(x)). The paper's is LN(x + f(x)).",
    edits={POST: "x = x + norm(self.dropout(move(x)))"},
)

decoder.wrong(
    "no residual connections in post-LN",
    "In your post-LN the residual connections are missing: the norm is applied to the sum of a move's input and its result.",
    edits={POST: "x = norm(self.dropout(move(x)))"},
)


greedy = Bank("greedy_decode")

TOKEN = "token = model(source, target)[:, -1].argmax(dim=-1)"

greedy.wrong(
    "argmax over the batch",
    "Your argmax runs over the batch. It should pick a token for each sequence: over the vocabulary, the last axis.",
    edits={TOKEN: TOKEN.replace("argmax(dim=-1)", "argmax(dim=0)")},
)

greedy.wrong(
    "scores of the first position",
    "You read the scores at the first position, which always predict the first token. The next token is predicted at the last one.",
    edits={TOKEN: TOKEN.replace("[:, -1]", "[:, 0]")},
)

greedy.wrong(
    "only the last token is fed back",
    "You feed only the newest token to the model. It has no memory of its own: give it the whole target so far, from `start` on.",
    edits={TOKEN: TOKEN.replace("target)", "target[:, -1:])")},
)

FREEZE = "token = token.masked_fill(ended, end)"

greedy.wrong(
    "ended sequences go on",
    "A sequence that has written `end` goes on writing other tokens while it waits for the rest. Fill it up with `end`.",
    edits={FREEZE: "pass"},
)

STOP = "if ended.all():"

greedy.wrong(
    "stops with the first sequence that ends",
    "You stop as soon as one sequence has ended, and cut the others off. Stop when all have.",
    edits={STOP: "if ended.any():"},
)

greedy.wrong(
    "never stops early",
    "You always write max_length tokens. Stop when every sequence has written `end`.",
    edits={STOP: "if False:"},
)

greedy.wrong(
    "start is returned",
    "Your result begins with `start`. Return only what was written.",
    edits={"return target[:, 1:]": "return target"},
)

greedy.wrong(
    "end is cut off",
    "You cut off the last token that was written, such as the `end` of the longest sequence. Return all that comes "
    "after `start`, `end` included.",
    edits={"return target[:, 1:]": "return target[:, 1:-1]"},
)

ENDED = "ended = ended | (token == end)"

greedy.wrong(
    "stops without adding the last token",
    "You stop before the last token has been added to the target, so the `end` of the longest sequence is missing.",
    edits={
        "target = torch.cat([target, token.unsqueeze(1)], dim=1)\n        " + ENDED: ENDED,
        "            break": "            break\n        target = torch.cat([target, token.unsqueeze(1)], dim=1)",
    },
)

greedy.wrong(
    "one token too many",
    "You write max_length + 1 tokens when no sequence ends. `start` does not count, and max_length is the largest number to write.",
    edits={"range(max_length)": "range(max_length + 1)"},
)

greedy.wrong(
    "one token too few",
    "You write at most max_length - 1 tokens. `start` does not count: max_length tokens may follow it.",
    edits={"range(max_length)": "range(max_length - 1)", "return target[:, 1:]": "return target[:, 1:]"},
)

greedy.wrong(
    "ignores max_length",
    "You write until all sequences have ended. Some never do: stop after max_length tokens.",
    edits={"for _ in range(max_length):": "while True:"},
)

greedy.wrong(
    "the least likely token",
    "You pick the token with the lowest score. The larger a score, the likelier the token: argmax.",
    edits={TOKEN: TOKEN.replace("argmax", "argmin")},
)

greedy.wrong(
    "a random token",
    "You draw the next token at random. Greedy decoding always takes the likeliest one: argmax.",
    edits={TOKEN: "token = torch.multinomial(model(source, target)[:, -1].softmax(dim=-1), 1).squeeze(1)"},
)

greedy.wrong(
    "all tokens are predicted anew",
    "You replace the whole target by the model's predictions in each step, and the `start` in front is lost. Keep what is "
    "written and append one token.",
    edits={
        "target = torch.cat([target, token.unsqueeze(1)], dim=1)": "target = torch.cat([model(source, target).argmax(dim=-1)[:, :-1], target[:, :1], token.unsqueeze(1)], dim=1)"
    },
)


@greedy.right("tokens in a list")
def greedy_decode(model, source, start, end, max_length):
    B = source.shape[0]
    target = torch.full((B, 1), start, dtype=torch.long)
    written = []
    done = torch.zeros(B, dtype=torch.bool)
    while len(written) < max_length and not done.all():
        prefix = torch.cat([target] + [w.view(B, 1) for w in written], dim=1)
        scores = torch.softmax(model(source, prefix)[:, -1, :], dim=-1)
        token = torch.where(done, torch.full((B,), end), scores.max(dim=-1).indices)
        done |= token == end
        written.append(token)
    return torch.stack(written, dim=1)


@greedy.right("each sequence by itself, filled up at the end")
def greedy_decode(model, source, start, end, max_length):
    rows = []
    for b in range(len(source)):
        row = [start]
        while len(row) <= max_length and end not in row[1:]:
            logits = model(source[b : b + 1], torch.tensor([row]))
            row.append(int(logits[0, -1].argmax()))
        rows.append(row[1:])
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [end] * (longest - len(row)) for row in rows])


@greedy.right("ended seen from the last token")
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((len(source), 1), start)
    for step in range(max_length):
        token = model(source, target)[:, step].topk(1).indices
        if step > 0:
            token[target[:, -1] == end] = end
        target = torch.cat((target, token), 1)
        if (token == end).all():
            break
    return target[:, 1:]


@greedy.wrong(
    'memory of the end missing',
    "You ask the newest tokens alone who has ended. A sequence that has ended stays ended: remember it from step to "
    "step, and fill it up with `end`."
)
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((source.shape[0], 1), start, device=source.device)
    for _ in range(max_length):
        new = model(source, target)[:, -1].argmax(dim=-1)
        target = torch.cat([target, new.unsqueeze(1)], dim=1)
        if (new == end).all():
            break
    return target[:, 1:]


@greedy.wrong(
    'padded with 0',
    'You fill ended sequences up with 0. They are filled with `end`.'
)
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((source.shape[0], 1), start, device=source.device)
    ended = torch.zeros(source.shape[0], dtype=torch.bool, device=source.device)
    for _ in range(max_length):
        new = model(source, target)[:, -1].argmax(-1).masked_fill(ended, 0)
        target = torch.cat([target, new[:, None]], dim=1)
        ended = ended | (new == end)
        if ended.all():
            break
    return target[:, 1:]


@greedy.wrong(
    'only the first row is watched',
    "You watch the first sequence of the batch alone, and stop when it has ended. Go on until every sequence has."
)
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((source.shape[0], 1), start, device=source.device)
    for _ in range(max_length):
        new = model(source, target)[:, -1].argmax(-1)
        done = (target[:, 1:] == end).any(dim=1)
        target = torch.cat([target, torch.where(done, end, new)[:, None]], dim=1)
        if target[0, -1] == end:
            break
    return target[:, 1:]


@greedy.right('boolean ended')
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((source.shape[0], 1), start, device=source.device)
    ended = torch.zeros(source.shape[0], dtype=torch.bool, device=source.device)
    for _ in range(max_length):
        scores = model(source, target)[:, -1]
        new = scores.argmax(dim=-1).masked_fill(ended, end)
        target = torch.cat([target, new.unsqueeze(1)], dim=1)
        ended = ended | (new == end)
        if ended.all():
            break
    return target[:, 1:]


@greedy.right('asks the target')
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((source.shape[0], 1), start, device=source.device)
    while target.shape[1] <= max_length:
        ended = (target[:, 1:] == end).any(dim=1)
        if ended.all():
            break
        _, new = model(source, target)[:, -1, :].max(dim=-1)
        target = torch.cat((target, torch.where(ended, torch.full_like(new, end), new)[:, None]), 1)
    return target[:, 1:]


@greedy.wrong(
    "the unwritten part too",
    "You hand the model a target of full length, filled up where nothing is written yet. It should get the target so far: only a model with a "
    "causal mask does not look at the rest.",
)
@torch.no_grad()
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((len(source), max_length + 1), end)
    target[:, 0] = start
    ended = torch.zeros(len(source), dtype=torch.bool)
    for step in range(max_length):
        token = model(source, target)[:, step].argmax(-1)
        target[:, step + 1] = token.masked_fill(ended, end)
        ended = ended | (token == end)
        if ended.all():
            break
    return target[:, 1 : step + 2]
