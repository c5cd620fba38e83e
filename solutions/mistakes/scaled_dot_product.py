"""Wrong and alternative right answers: one weighted average over the keys, and the mask that hides the future."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

sdpa = Bank("scaled_dot_product_attention")

SCALE = " / math.sqrt(query.shape[-1])"

sdpa.wrong(
    "scores not scaled",
    "Your scores are not divided by sqrt(d), where d is the width of a query. The wider the queries, the larger the scores "
    "and the closer the softmax to picking a single key.",
    edits={SCALE: ""},
)

sdpa.wrong(
    "a mask per pair taken for one per sequence",
    "You read a mask (N, M) as (B, M) where there are as many queries as sequences. With two axes its rows are queries, the same "
    "for all sequences.",
    edits={
        "if mask is not None:\n        scores": "if mask is not None:\n"
        "        if mask.dim() == 2 and query.dim() == 3 and len(mask) == len(query):\n"
        "            mask = mask.unsqueeze(1)\n"
        "        scores"
    },
)

sdpa.wrong(
    "divided by d",
    "You divide the scores by d; it should be the square root of d. A sum of d independent products has a standard deviation "
    "of sqrt(d), and that is what the division undoes.",
    edits={SCALE: " / query.shape[-1]"},
)

sdpa.wrong(
    "multiplied by sqrt(d)",
    "You multiply the scores by sqrt(d); they should be divided by it, so that they do not grow with the width.",
    edits={SCALE: " * math.sqrt(query.shape[-1])"},
)

sdpa.wrong(
    "divided by the square root of the number of keys",
    "You divide by the square root of the number of keys. The d in sqrt(d) is the width of a query: the last axis, not the one "
    "before it.",
    edits={SCALE: " / math.sqrt(key.shape[-2])"},
)

sdpa.wrong(
    "softmax over the queries",
    "Your softmax runs over the queries (dim=-2): it lets the queries compete for each key. Each query should distribute its "
    "weights over the keys, the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=-2)"},
)

sdpa.wrong(
    "softmax over axis 1",
    "Your softmax runs over axis 1, which is the keys only when there is no batch axis. Count from the end: the keys are always "
    "the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=1)"},
)

sdpa.wrong(
    "softmax over axis 0",
    "Your softmax runs over axis 0, the batch, so each sequence's weights depend on the other sequences. Count from the end: the "
    "keys are always the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=0)"},
)

FILL = "scores.masked_fill(~mask, torch.finfo(scores.dtype).min)"

AFTER = "weights.masked_fill(~mask, 0.0)"

sdpa.wrong(
    "mask inverted",
    "Your mask works the wrong way round: it hides the keys where the mask is True. True means that the query may attend to "
    "the key.",
    edits={FILL: FILL.replace("~", ""), AFTER: AFTER.replace("~", "")},
)

sdpa.wrong(
    "mask after the softmax",
    "You set hidden weights to zero after the softmax, so the remaining ones no longer sum to one. Hide the scores before "
    "the softmax: it then shares everything among the keys that are left.",
    edits={FILL: "scores"},
)

sdpa.wrong(
    "hidden scores set to zero",
    "You set the scores of hidden keys to 0. A score of 0 still gets a weight, since exp(0) = 1; a hidden key needs a score "
    "of minus infinity, whose exponential is 0.",
    edits={FILL: "scores.masked_fill(~mask, 0.0)", AFTER: "weights"},
)

sdpa.wrong(
    "mask added to the scores",
    "You add the boolean mask to the scores, which adds 1 to the visible ones and hides nothing. An added mask would have "
    "to hold 0 and minus infinity; a boolean one tells you which scores to fill.",
    edits={FILL: "scores + mask", AFTER: "weights"},
)

sdpa.wrong(
    "nothing done for a query that sees no key",
    "A query that may attend to nothing gives NaN: all its scores are minus infinity, and the softmax divides 0 by 0. Give "
    "such a query weights of zero after the softmax.",
    edits={FILL: 'scores.masked_fill(~mask, float("-inf"))', AFTER: "weights"},
)

sdpa.wrong(
    "a query that sees no key averages all",
    "A query that may attend to nothing gets equal weights for all keys: a large negative score hides a key only next to a "
    "larger one. Set hidden weights to zero after the softmax as well.",
    edits={FILL: "scores.masked_fill(~mask, -1e9)", AFTER: "weights"},
)

sdpa.wrong(
    "mask ignored",
    "Your mask has no effect: the weights are the same with and without it. Hide the scores before the softmax; "
    "`masked_fill` gives a new tensor, which has to be kept.",
    edits={"if mask is not None:\n        scores": "if False:\n        scores", AFTER: "weights"},
)

sdpa.wrong(
    "averages the keys",
    "Your output averages the keys. Keys decide who is listened to; what is averaged are the values.",
    edits={"weights @ value": "weights @ key"},
)

sdpa.wrong(
    "query and key exchanged",
    "Your scores have a row per key and a column per query. It is the query that asks: Q K^T has shape (N, M), a row for each "
    "query.",
    edits={"query @ key.transpose(-2, -1)": "key @ query.transpose(-2, -1)"},
)

sdpa.wrong(
    "weights and output exchanged",
    "You return (weights, output); the order is (output, weights).",
    edits={"return weights @ value, weights": "return weights, weights @ value"},
)

sdpa.wrong(
    "only the output is returned",
    "You return the output alone. Return both, (output, weights): the weights are what we will look at.",
    edits={"return weights @ value, weights": "return weights @ value"},
)

sdpa.wrong(
    "weights cut from the graph",
    "Your weights are detached from the graph, so nothing that decides where to look can learn. Leave out detach(), .data "
    "and torch.no_grad().",
    edits={"scores.softmax(dim=-1)": "scores.detach().softmax(dim=-1)"},
)

sdpa.wrong(
    "softmax by hand overflows",
    "Your softmax overflows: exp of a score above 88 is infinite in float32. Use softmax(), or subtract each row's largest "
    "score before exp; that changes nothing in the result.",
    edits={"scores.softmax(dim=-1)": "scores.exp() / scores.exp().sum(dim=-1, keepdim=True)"},
)

sdpa.wrong(
    "query divided in place",
    "You divide the query in place (`/=` or `div_`), and whoever called you finds it changed. Make a new tensor: query / ...",
    edits={
        "scores = query @ key.transpose(-2, -1)"
        + SCALE: "query /= math.sqrt(query.shape[-1])\n    scores = query @ key.transpose(-2, -1)"
    },
)


@sdpa.right("einsum, minus infinity, then NaN to zero")
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = torch.einsum("...nd,...md->...nm", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), -float("inf"))
    weights = torch.nan_to_num(F.softmax(scores, dim=-1))
    return torch.einsum("...nm,...me->...ne", weights, value), weights


@sdpa.right("PyTorch's kernel, and once more on an identity matrix for the weights")
def scaled_dot_product_attention(query, key, value, mask=None):
    eye = torch.eye(key.shape[-2], dtype=key.dtype).expand(*key.shape[:-1], -1)
    attend = F.scaled_dot_product_attention
    return attend(query, key, value, attn_mask=mask), attend(query, key, eye, attn_mask=mask)


@sdpa.right("a loop over the queries")
def scaled_dot_product_attention(query, key, value, mask=None):
    d = query.size(-1)
    rows = []
    for i in range(query.size(-2)):
        score = (query[..., i : i + 1, :] * key).sum(-1) / d**0.5
        if mask is None:
            rows.append(torch.softmax(score, -1))
        else:
            seen = mask.expand(*score.shape[:-1], query.size(-2), -1)[..., i, :]
            score = torch.where(seen, score, torch.full_like(score, -1e30))
            rows.append(torch.softmax(score, -1) * seen)
    weights = torch.stack(rows, dim=-2)
    return torch.matmul(weights, value), weights


@sdpa.right("double precision inside, softmax by hand, query scaled first")
def scaled_dot_product_attention(query, key, value, mask=None):
    q, k, v = query.double() / math.sqrt(query.shape[-1]), key.double(), value.double()
    scores = q @ k.mT
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    if mask is not None:
        weights = weights * mask
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)
    return (weights @ v).to(value.dtype), weights.to(query.dtype)


@sdpa.right("a mask of zeros and minus infinities is added")
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = torch.matmul(query, key.transpose(-1, -2)).div(math.sqrt(key.shape[-1]))
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=scores.dtype)
        bias[~mask] = torch.finfo(scores.dtype).min / 2
        scores = scores + bias
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = torch.where(mask, weights, torch.zeros_like(weights))
    return weights @ value, weights


@sdpa.wrong(
    "scale by the value's width",
    "You divide by the square root of the value's width. The d in sqrt(d) is the width of query and key."
)
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(value.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float('-inf'))
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return (weights @ value, weights)


@sdpa.wrong(
    'additive bias and nan_to_num',
    'You hide keys by adding minus infinity and repair the NaN afterwards; its gradients stay NaN. Fill scores with the lowest '
    'finite number, then set hidden weights to zero.'
)
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device)
        scores = scores + bias.masked_fill(~mask, float('-inf'))
    weights = torch.nan_to_num(scores.softmax(dim=-1))
    return (weights @ value, weights)


@sdpa.wrong(
    'weights detached in the product',
    'You average the values with detached weights, so no gradient reaches query and key through the output.'
)
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float('-inf'))
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return (weights.detach() @ value, weights)


@sdpa.wrong(
    'mild penalty of -10',
    "You take a fixed number off the hidden scores, so hidden keys keep a small weight. It should be exactly 0: "
    "fill those scores with minus infinity instead."
)
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + ~mask * -10.0
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights * mask.any(dim=-1, keepdim=True)
    return (weights @ value, weights)


@sdpa.right('two masked_fill')
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return (weights @ value, weights)


sdpa.wrong(
    "hidden after the softmax",
    "Hidden keys still count in your softmax: where they fit far better than the visible ones, these get no weight at all. Hide the scores, before the "
    "softmax, with minus infinity: a fixed number such as -10000 can lie above real scores.",
    edits={
        "scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)": "pass",
        "weights = weights.masked_fill(~mask, 0.0)  # matters only for a query that sees no key": "weights = weights * mask\n"
        "        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-20)",
    },
)

causal = Bank("causal_mask")

causal.wrong(
    "a table of fixed size",
    "You cut your mask out of a table that was made once, and a longer sequence needs more than it holds. Make the mask as long as it is asked for.",
    edits={"torch.ones(length, length, dtype=torch.bool).tril()": "torch.ones(256, 256, dtype=torch.bool).tril()[:length, :length]"},
)

causal.wrong(
    "the future in place of the past",
    "Your mask lets each position see itself and the future. Row = query, column = key: query i may see the keys 0..i, the "
    "lower left triangle.",
    edits={"tril()": "triu()"},
)

causal.wrong(
    "without the position itself",
    "Your mask hides a position from itself. Query i may see the keys 0..i, i included (and the first query has nothing else "
    "to see).",
    edits={"tril()": "tril(-1)"},
)

causal.wrong(
    "inverted",
    "Your mask is True where a position must not look. In this course True means: may attend.",
    edits={"tril()": "triu(1)"},
)

causal.wrong(
    "one step into the future",
    "Your mask lets each position see the next one as well: query i may see the keys 0..i, and no further.",
    edits={"tril()": "tril(1)"},
)

causal.wrong(
    "everything visible",
    "Your mask hides nothing: query i may not see the keys after i.",
    edits={".tril()": ""},
)

causal.wrong(
    "numbers in place of booleans",
    "Your mask holds numbers 0 and 1; it should be boolean (dtype=torch.bool), because attention fills the scores where ~mask "
    "is True.",
    edits={"torch.ones(length, length, dtype=torch.bool)": "torch.ones(length, length)"},
)

CAUSAL = "torch.ones(length, length, dtype=torch.bool).tril()"

causal.wrong(
    "zeros and minus infinities",
    "Your mask holds 0 and minus infinity, to be added to scores. In this course a mask is boolean: True = may attend.",
    edits={CAUSAL: 'torch.full((length, length), float("-inf")).triu(1)'},
)

causal.wrong(
    "only the position itself",
    "Your mask lets each position see itself alone. It may see everything before it, too.",
    edits={CAUSAL: "torch.eye(length, dtype=torch.bool)"},
)

causal.wrong(
    "with a batch axis",
    "Your mask has a batch axis of 1 in front. Return (N, N); broadcasting adds the rest.",
    edits={"tril()": "tril().unsqueeze(0)"},
)


@causal.right("positions compared")
def causal_mask(length):
    position = torch.arange(length)
    return position[:, None] >= position[None, :]


@causal.right("a loop")
def causal_mask(length):
    mask = torch.zeros((length, length), dtype=torch.bool)
    for i in range(length):
        mask[i, : i + 1] = True
    return mask


@causal.right("upper triangle inverted")
def causal_mask(length):
    return ~torch.triu(torch.ones(length, length), diagonal=1).bool()


@causal.right("from PyTorch's additive mask")
def causal_mask(length):
    return nn.Transformer.generate_square_subsequent_mask(length) == 0


@causal.right("running sums of the diagonal")
def causal_mask(length):
    return torch.eye(length).cumsum(dim=0).bool()


@causal.right("the triangle's indices")
def causal_mask(length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    rows, columns = torch.tril_indices(length, length)
    mask[rows, columns] = True
    return mask


sdpa.wrong(
    'power before division',
    '`d ** 1 / 2` is d / 2, for the power comes before the division. Write `d ** 0.5` or `math.sqrt(d)`.',
    edits={
        ' / math.sqrt(query.shape[-1])': ' / query.shape[-1] ** 1 / 2',
    },
)
