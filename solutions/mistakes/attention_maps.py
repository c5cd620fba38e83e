"""Wrong and alternative right answers: what attention weights show."""

from __future__ import annotations

from utils.grading.bank import Bank

rollout_bank = Bank("attention_rollout")

MIX = "mixing = layer + identity"

rollout_bank.wrong(
    "no identity",
    "You leave the identity out. The residual connection carries every token past the attention; without it the rollout mixes far too fast.",
    edits={MIX: "mixing = layer"},
)

PRODUCT = "mixing / mixing.sum(dim=-1, keepdim=True) @ rollout"

rollout_bank.wrong(
    "not normalised",
    "Adding the identity makes each row sum to 2, and you do not divide by that.",
    edits={PRODUCT: "mixing @ rollout"},
)

rollout_bank.wrong(
    "columns normalised",
    "You divide each column by its sum. A row belongs to one query, and it is rows that sum to 1.",
    edits={"mixing.sum(dim=-1, keepdim=True)": "mixing.sum(dim=-2, keepdim=True)"},
)

rollout_bank.wrong(
    "layers in the wrong order",
    "You multiply the layers the wrong way round. The last layer reads what the ones before it have mixed, so it stands on the left.",
    edits={PRODUCT: "rollout @ (mixing / mixing.sum(dim=-1, keepdim=True))"},
)

rollout_bank.wrong(
    "maximum over the heads",
    "You take the maximum over the heads; rollout averages them.",
    edits={"attention.mean(dim=2)": "attention.amax(dim=2)"},
)

rollout_bank.wrong(
    "minimum over the heads",
    "You take the minimum over the heads; rollout averages them.",
    edits={"attention.mean(dim=2)": "attention.amin(dim=2)"},
)

rollout_bank.wrong(
    "only the last layer",
    "Only the last layer counts in your result. Multiply the matrices of all layers.",
    edits={PRODUCT: "mixing / mixing.sum(dim=-1, keepdim=True)"},
)

rollout_bank.wrong(
    "only the first head",
    "You look at the first head alone; average over all heads.",
    edits={"attention.mean(dim=2)": "attention[:, :, 0]"},
)

rollout_bank.wrong(
    "element-wise product",
    "You multiply the layers' matrices entry by entry. Passing from layer to layer is a matrix product (@).",
    edits={PRODUCT: "mixing / mixing.sum(dim=-1, keepdim=True) * (1 if rollout is identity else rollout)"},
)

rollout_bank.wrong(
    "transposed",
    "Your result is transposed: the row should be the token after the last layer, the column the input token.",
    edits={"return rollout": "return rollout.transpose(-2, -1)"},
)

rollout_bank.wrong(
    "the layers averaged",
    "You average the layers. Information passes from one to the next, so their matrices are multiplied.",
    edits={
        PRODUCT: "mixing / mixing.sum(dim=-1, keepdim=True) / len(attention) + (0 if rollout is identity else rollout)"
    },
)


@rollout_bank.right("half attention, half identity, einsum")
def attention_rollout(attention):
    n = attention.shape[-1]
    layers = 0.5 * attention.mean(2) + 0.5 * torch.eye(n, dtype=attention.dtype)
    result = layers[0]
    for layer in layers[1:]:
        result = torch.einsum("bij,bjk->bik", layer, result)
    return result


@rollout_bank.right("image by image with multi_dot")
def attention_rollout(attention):
    eye = torch.eye(attention.shape[-1]).to(attention)
    images = []
    for b in range(attention.shape[1]):
        matrices = [F.normalize(a.mean(0) + eye, p=1, dim=-1) for a in attention[:, b]]
        images.append(torch.linalg.multi_dot(matrices[::-1]) if len(matrices) > 1 else matrices[0])
    return torch.stack(images)


@rollout_bank.right("from the last layer backwards, float64 inside")
def attention_rollout(attention):
    a = attention.double().sum(2) / attention.shape[2]
    a = a + torch.eye(a.shape[-1], dtype=torch.float64)
    a = a / a.sum(-1, keepdim=True)
    result = a[-1]
    for k in range(a.shape[0] - 2, -1, -1):
        result = torch.bmm(result, a[k])
    return result.to(attention.dtype)


@rollout_bank.wrong(
    'identity weighs double',
    'Attention and identity do not have the same weight in yours. Add them one to one, then normalise the rows.'
)
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    result = eye.expand(attention.shape[1], N, N)
    for layer in attention:
        result = (layer.mean(dim=1) * 0.5 + eye) @ result
    return result / result.sum(dim=-1, keepdim=True)


@rollout_bank.wrong(
    'summed over heads',
    'You add the heads up before the identity is added, so the residual counts for too little. Average the heads.'
)
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    result = eye.expand(attention.shape[1], N, N)
    for layer in attention:
        a = layer.sum(dim=1) + eye
        result = a / a.sum(dim=-1, keepdim=True) @ result
    return result


@rollout_bank.wrong(
    'batch averaged',
    'Your mean runs over the images. It runs over the heads.'
)
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    result = eye
    for layer in attention:
        a = layer.mean(dim=0) + eye
        result = a / a.sum(dim=-1, keepdim=True) @ result
    return result


@rollout_bank.wrong(
    'heads rolled out apart',
    'You follow each head through all layers by itself and average at the end. Average the heads of each layer first.'
)
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    a = attention + eye
    a = a / a.sum(dim=-1, keepdim=True)
    result = a[0]
    for layer in a[1:]:
        result = layer @ result
    return result.mean(dim=1)


@rollout_bank.wrong(
    'last layer left out',
    'Your product leaves the last layer out. All layers belong to it.'
)
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    result = eye.expand(attention.shape[1], N, N)
    for layer in attention[:-1]:
        a = layer.mean(dim=1) + eye
        result = a / a.sum(dim=-1, keepdim=True) @ result
    return result


@rollout_bank.right('loop')
def attention_rollout(attention):
    N = attention.shape[-1]
    eye = torch.eye(N, dtype=attention.dtype, device=attention.device)
    result = eye.expand(attention.shape[1], N, N)
    for layer in attention:
        mixed = layer.mean(dim=1) + eye
        result = mixed / mixed.sum(dim=-1, keepdim=True) @ result
    return result


@rollout_bank.right('reduce and F.normalize')
def attention_rollout(attention):
    from functools import reduce
    identity = torch.eye(attention.shape[-1]).to(attention)
    mixed = F.normalize(attention.mean(dim=2) + identity, p=1, dim=-1)
    return reduce(lambda below, above: above @ below, mixed.unbind(0))


@rollout_bank.right('einsum backwards')
def attention_rollout(attention):
    a = attention.mean(2)
    a = a + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    a = a / a.sum(-1, keepdim=True)
    product = a[-1]
    for layer in reversed(a[:-1].unbind(0)):
        product = torch.einsum('bij,bjk->bik', product, layer)
    return product


distance = Bank("mean_attention_distance")

PLACES = "n // columns, n % columns"

distance.wrong(
    "rows and columns swapped",
    "Each row of your grid has `rows` patches, as with n // rows. In reading order a row has `columns` patches.",
    edits={PLACES: "n // rows, n % rows"},
)

NORM = "(places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)"

distance.wrong(
    "distance along the list",
    "You measure the distance along the list of tokens, |i - j|. The end of one row and the start of the next are far apart in the image: use the grid.",
    edits={NORM: "(n[:, None] - n[None, :]).abs().to(weights.dtype)"},
)

distance.wrong(
    "steps down plus steps across",
    "You add the steps down and across (Manhattan distance). The distance here is Euclidean.",
    edits={NORM: "(places[:, None] - places[None, :]).abs().sum(dim=-1)"},
)

distance.wrong(
    "the larger of the two steps",
    "You take the larger of the steps down and across. The distance here is Euclidean.",
    edits={NORM: "(places[:, None] - places[None, :]).abs().amax(dim=-1)"},
)

distance.wrong(
    "squared distance",
    "You average squared distances: the root is missing.",
    edits={NORM: "(places[:, None] - places[None, :]).square().sum(dim=-1)"},
)

MEAN = "(weights * distance).sum(-1).mean(-1)"

distance.wrong(
    "root of the mean square",
    "You take the root after averaging. The exercise asks for the mean of distances, not the root of the mean of their squares.",
    edits={
        NORM: "(places[:, None] - places[None, :]).square().sum(dim=-1)",
        MEAN: "(weights * distance).sum(-1).sqrt().mean(-1)",
    },
)

SCALED = "weights = weights / weights.sum(-1, keepdim=True)"

distance.wrong(
    "CLS kept in the sum of weights",
    "With a CLS token your rows no longer sum to 1 once it is left out. What went to CLS must not count as distance 0: scale each row to sum to 1 again.",
    edits={"        " + SCALED + "\n": ""},
)

distance.wrong(
    "columns scaled",
    "You scale the columns to sum to 1. A row belongs to one query, and it is rows that sum to 1.",
    edits={SCALED: SCALED.replace("sum(-1", "sum(-2")},
)

distance.wrong(
    "the last token taken for CLS",
    "You leave out the last token. CLS is the first.",
    edits={"weights[..., 1:, 1:]": "weights[..., :-1, :-1]"},
)

distance.wrong(
    "softmax again",
    "You put the weights through a softmax again. They are weights already; after CLS is left out a division by their sum is enough.",
    edits={SCALED: "weights = weights.softmax(-1)"},
)

distance.wrong(
    "weights ignored",
    "Your distance does not depend on the attention: each pair counts the same. Multiply by the weights.",
    edits={MEAN: "(weights * 0 + distance).mean(-1).mean(-1)"},
)

distance.wrong(
    "divided by N once more",
    "You divide by the number of keys as well. The weights of a row already sum to 1: sum over the keys, then take the mean over the queries.",
    edits={MEAN: "(weights * distance).mean(-1).mean(-1)"},
)

distance.wrong(
    "sum over the queries",
    "You sum over the queries. Take their mean, or the result grows with the grid.",
    edits={MEAN: "(weights * distance).sum(-1).sum(-1)"},
)

distance.wrong(
    "one number per query",
    "You return a number per query. Take the mean over the queries as well.",
    edits={MEAN: "(weights * distance).sum(-1)"},
)

distance.wrong(
    "mean over everything",
    "You take the mean over heads and images as well. Return one number for each matrix: heads are what we want to compare.",
    edits={MEAN: "(weights * distance).sum(-1).mean()"},
)

distance.wrong(
    "the most attended key only",
    "You measure the distance to the key with the largest weight. All keys count, each with its weight.",
    edits={MEAN: "distance.expand_as(weights).gather(-1, weights.argmax(-1, keepdim=True))[..., 0].mean(-1)"},
)

distance.wrong(
    "in units of the image",
    "You divide by the longer side of the grid. The exercise counts distances in patches: leave the division out.",
    edits={NORM: "(places[:, None] - places[None, :]).norm(dim=-1) / max(rows, columns)"},
)

BODY = """    if weights.shape[-1] == rows * columns + 1:
        weights = weights[..., 1:, 1:]
        weights = weights / weights.sum(-1, keepdim=True)
    n = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([n // columns, n % columns], -1).to(weights.dtype)  # (N, 2)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)
    return (weights * distance).sum(-1).mean(-1)  # (..., N, N) -> (..., N) -> (...)
"""

distance.right(
    "einsum and cdist",
    edits={
        BODY: """    if weights.shape[-1] > rows * columns:
        weights = weights[..., 1:, 1:] / weights[..., 1:, 1:].sum(dim=-1, keepdim=True)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    points = torch.stack((y.flatten(), x.flatten()), dim=1).to(weights)
    return torch.einsum("...ij,ij->...", weights, torch.cdist(points, points)) / (rows * columns)
"""
    },
)

distance.right(
    "loops over queries and keys",
    edits={
        BODY: """    first = weights.shape[-1] - rows * columns
    total = 0.0
    for i in range(rows * columns):
        row = weights[..., i + first, first:]
        row = row / row.sum(-1, keepdim=True)
        for j in range(rows * columns):
            dy, dx = i // columns - j // columns, i % columns - j % columns
            total = total + row[..., j] * (dy * dy + dx * dx) ** 0.5
    return total / (rows * columns)
"""
    },
)

distance.right(
    "on the grid, in float64",
    edits={
        BODY: """    cls = weights.shape[-1] - rows * columns
    kept = weights.double()[..., cls:, cls:]
    kept = nn.functional.normalize(kept, p=1, dim=-1)
    kept = kept.unflatten(-1, (rows, columns)).unflatten(-3, (rows, columns))  # (..., i, j, k, l)
    down = (torch.arange(rows)[:, None] - torch.arange(rows)).abs()[:, None, :, None]
    right = (torch.arange(columns)[:, None] - torch.arange(columns)).abs()[None, :, None, :]
    far = torch.hypot(down.double(), right.double())
    return (kept * far).sum((-1, -2)).mean((-1, -2)).to(weights.dtype)
"""
    },
)

distance.right(
    "distance with zero rows for CLS",
    edits={
        BODY: """    n = torch.arange(rows * columns)
    spots = torch.complex((n % columns).double(), (n // columns).double())
    far = (spots[:, None] - spots).abs().to(weights.dtype)
    if weights.shape[-1] == len(n) + 1:
        weights = weights[..., 1:, :]
        far = torch.cat([far.new_zeros(len(n), 1), far], dim=1)
        return ((weights * far).sum(-1) / (1 - weights[..., 0])).mean(-1)
    return (weights @ far.T).diagonal(dim1=-2, dim2=-1).mean(-1)
"""
    },
)


@distance.wrong(
    'CLS at distance zero',
    'You let CLS stand at distance 0 from everything. It has no place: leave it out as query and as key.'
)
def mean_attention_distance(weights, grid):
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f'weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, which gives {rows * columns} tokens, or {rows * columns + 1} with CLS')
    number = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([number // columns, number % columns], dim=1).to(weights.dtype)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)
    if weights.shape[-1] > rows * columns:
        distance = F.pad(distance, (1, 0, 1, 0))
    return (weights * distance).sum(-1).mean(-1)


@distance.wrong(
    'scaled as a whole',
    'You scale the whole matrix at once, so queries that look at CLS a lot count less. Each row is scaled to sum to 1.'
)
def mean_attention_distance(weights, grid):
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f'weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, which gives {rows * columns} tokens, or {rows * columns + 1} with CLS')
    number = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([number // columns, number % columns], dim=1).to(weights.dtype)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)
    if weights.shape[-1] > rows * columns:
        weights = weights[..., 1:, 1:]
        return (weights * distance).sum((-2, -1)) / weights.sum((-2, -1))
    return (weights * distance).sum(-1).mean(-1)


@distance.wrong(
    'scaled by one minus CLS, wrong row',
    'You scale by what CLS looks at, row 0. What went to CLS stands in column 0.'
)
def mean_attention_distance(weights, grid):
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f'weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, which gives {rows * columns} tokens, or {rows * columns + 1} with CLS')
    number = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([number // columns, number % columns], dim=1).to(weights.dtype)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)
    if weights.shape[-1] > rows * columns:
        rest = 1 - weights[..., 0, 1:]
        weights = weights[..., 1:, 1:] / rest.unsqueeze(-1)
    return (weights * distance).sum(-1).mean(-1)


@distance.right('all pairs')
def mean_attention_distance(weights, grid):
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f'weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, which gives {rows * columns} tokens, or {rows * columns + 1} with CLS')
    number = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([number // columns, number % columns], dim=1).to(weights.dtype)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)
    if weights.shape[-1] == rows * columns + 1:
        weights = weights[..., 1:, 1:]
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return (weights * distance).sum(dim=-1).mean(dim=-1)


@distance.right('einsum and hypot')
def mean_attention_distance(weights, grid):
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f'weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, which gives {rows * columns} tokens, or {rows * columns + 1} with CLS')
    down, right = torch.meshgrid(torch.arange(rows, dtype=weights.dtype, device=weights.device), torch.arange(columns, dtype=weights.dtype, device=weights.device), indexing='ij')
    down, right = (down.flatten(), right.flatten())
    far = torch.hypot(down[:, None] - down, right[:, None] - right)
    patches = weights[..., -len(far):, -len(far):]
    if weights.shape[-1] != len(far):
        patches = F.normalize(patches, p=1, dim=-1)
    return torch.einsum('...ij,ij->...', patches, far) / len(far)


rollout_bank.wrong(
    'one layer too few',
    'Your first layer is never multiplied in. Start with it, or with the identity and go through all layers.',
    edits={
        'attention.mean(dim=2):': 'attention.mean(dim=2)[1:]:',
    },
)


rollout_bank.wrong(
    'a single layer is returned as it is',
    'With one layer you return its averaged weights as they are. The identity is added and the rows are normalised for that layer, too.',
    edits={
        '    rollout = identity\n': '    rollout = identity\n    if len(attention) == 1:\n        return attention[0].mean(dim=1)\n',
    },
)
