"""Wrong and alternative right answers: rows of different length in one batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from utils.grading.bank import Bank

reverse = Bank("reverse_padded")


@reverse.wrong(
    "the whole row flipped",
    "You flip the whole row, so the padding moves to the front. Only the first length steps of a row should turn around.",
)
def reverse_padded(x, lengths):
    return x.flip(1)


reverse.wrong(
    "one step too far",
    "Your mirrored position is one too large: step 0 should get what was at length - 1.",
    edits={"lengths[:, None] - 1 - steps": "lengths[:, None] - steps"},
)


@reverse.wrong(
    "padding set to zero",
    "You fill the padding with zeros. It should stay as it was, so that reversing twice gives the input back.",
)
def reverse_padded(x, lengths):
    rows = []
    for row, n in zip(x, lengths.tolist()):
        rows.append(torch.cat([row[:n].flip(0), torch.zeros_like(row[n:])]))
    return torch.stack(rows)


@reverse.wrong(
    "features reversed",
    "You reverse the features of each step. Turn around the time axis, dim 1 of (B, N, D).",
)
def reverse_padded(x, lengths):
    real = torch.arange(x.shape[1]) < lengths[:, None]
    return torch.where(real[:, :, None], x.flip(-1), x)


@reverse.wrong(
    "batch reversed", "You reverse the order of the sentences. Turn around the time axis, dim 1 of (B, N, D)."
)
def reverse_padded(x, lengths):
    return x.flip(0)


@reverse.wrong(
    "all rows by the longest length",
    "You turn all rows around by the same length. Each row has a length of its own.",
)
def reverse_padded(x, lengths):
    n = int(lengths.max())
    return torch.cat([x[:, :n].flip(1), x[:, n:]], dim=1)


@reverse.wrong(
    "in place",
    "You write into x itself. Whoever called you still needs it (the forward direction reads it too): build a new tensor.",
)
def reverse_padded(x, lengths):
    for row, n in enumerate(lengths.tolist()):
        x[row, :n] = x[row, :n].clone().flip(0)
    return x


@reverse.wrong(
    "moved to the right",
    "Your sentences end at the right edge of the batch. They should start at the left: only their order turns around.",
)
def reverse_padded(x, lengths):
    rows = [torch.cat([row[n:], row[:n].flip(0)]) for row, n in zip(x, lengths.tolist())]
    return torch.stack(rows)


@reverse.wrong("not reversed", "You return x as it was.")
def reverse_padded(x, lengths):
    return x.clone()


reverse.wrong(
    "detached",
    "Your values are right, but cut from the graph, so nothing before them could be trained. Look for .detach(), .data or torch.tensor(...).",
    edits={"return x.gather": "return x.detach().gather"},
)


@reverse.right("row by row")
def reverse_padded(x, lengths):
    rows = []
    for b in range(x.shape[0]):
        n = int(lengths[b])
        rows.append(torch.cat((torch.flip(x[b, :n], dims=[0]), x[b, n:]), dim=0))
    return torch.stack(rows)


@reverse.right("advanced indexing")
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1]).expand(len(x), -1)
    n = lengths.unsqueeze(1)
    t = torch.where(t < n, n - 1 - t, t)
    return x[torch.arange(len(x)).unsqueeze(1), t]


@reverse.right("flip and roll")
def reverse_padded(x, lengths):
    out = x.clone()
    for b, n in enumerate(lengths.tolist()):
        rolled = torch.roll(x[b].flip(0), shifts=n - x.shape[1], dims=0)
        out[b, :n] = rolled[:n]
    return out


@reverse.wrong(
    "a permutation matrix per row",
    "You move the steps by a product with zeros and ones. 0 times infinity is NaN, so one infinite number spoils its feature in all steps, and "
    "bool tensors have no product. Fetch the steps by their positions.",
)
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1])
    n = lengths[:, None]
    source = torch.where(t < n, n - 1 - t, t)
    moves = F.one_hot(source, x.shape[1]).to(x.dtype)
    return torch.einsum("bts,bsd->btd", moves, x)


@reverse.wrong(
    'off by one',
    'You begin one step too far: position t takes what stood at length - 1 - t, and yours takes length - t.'
)
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1], device=x.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - t, t).clamp(max=x.shape[1] - 1)
    return x[torch.arange(x.shape[0])[:, None], source]


@reverse.wrong(
    'float32 result',
    'Your result is always float32. It should have the dtype of x, whatever that is.'
)
def reverse_padded(x, lengths):
    out = torch.zeros(x.shape)
    for b, n in enumerate(lengths.tolist()):
        out[b, :n] = x[b, :n].flip(0)
        out[b, n:] = x[b, n:]
    return out


@reverse.wrong(
    'features flipped too',
    'You turn the features of a step around as well. Only the order of the steps changes.'
)
def reverse_padded(x, lengths):
    return torch.stack([torch.cat([row[:n].flip(0, 1), row[n:]]) for row, n in zip(x, lengths.tolist())])


@reverse.wrong(
    'only the first feature',
    'You fetch the first feature of each step only: `gather` gives as many numbers as the index has, so expand it to all features.'
)
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1], device=x.device)
    source = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, source.unsqueeze(-1))


@reverse.right('gather')
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1], device=x.device)
    end = lengths.unsqueeze(1)
    source = torch.where(t < end, end - 1 - t, t)
    return x.gather(1, source.long().unsqueeze(-1).expand(-1, -1, x.shape[2]))


@reverse.right('indexing')
def reverse_padded(x, lengths):
    B, N, _ = x.shape
    t = torch.arange(N, device=x.device).expand(B, N)
    mirrored = lengths[:, None] - 1 - t
    return x[torch.arange(B, device=x.device)[:, None], torch.where(mirrored >= 0, mirrored, t)]


pooling = Bank("pool")

POOL_LAST = "outputs[rows, (lengths - 1).clamp(min=0)]"

pooling.wrong(
    "last column",
    'Your "last" takes the last column of the batch, which for a short sentence is padding. Its own last step is length - 1.',
    edits={POOL_LAST: "outputs[:, -1]"},
)

pooling.wrong(
    "one step early",
    'Your "last" takes the last word but one. A row\'s last real step is length - 1.',
    edits={"(lengths - 1).clamp(min=0)": "(lengths - 2).clamp(min=0)"},
)

pooling.wrong(
    "step length",
    'Your "last" looks one step too far: counting from 0, the last of length steps is length - 1.',
    edits={"(lengths - 1).clamp(min=0)": "lengths"},
)

pooling.wrong(
    "backward half at the last word",
    'With both directions, your "last" takes the backward half at the last word, where that direction began. It ended at step 0.',
    edits={"if bidirectional:": "if False:"},
)

HALVES = "torch.cat([pooled[:, :half], outputs[:, 0, half:]], dim=-1)"

pooling.wrong(
    "halves exchanged",
    'With both directions, your "last" takes the forward half at step 0 and the backward half at the last word: it is the other way round.',
    edits={HALVES: "torch.cat([outputs[:, 0, :half], pooled[:, half:]], dim=-1)"},
)

pooling.wrong(
    "backward half first",
    'With both directions, your "last" puts the backward half in front. Keep the order of the features: forward half first.',
    edits={HALVES: "torch.cat([outputs[:, 0, half:], pooled[:, :half]], dim=-1)"},
)

pooling.wrong(
    "halves without being asked",
    "Your \"last\" takes half of the features at step 0 even if the LSTM reads in one direction only. Do that only "
    "where `bidirectional` is True.",
    edits={"if bidirectional:": "if True:"},
)

pooling.wrong(
    "mean over the padded length",
    "Your mean divides by N, the padded length, so short sentences come out too small. Divide by each row's own length.",
    edits={"total / lengths.clamp(min=1)[:, None]": "total / outputs.shape[1]"},
)

TOTAL = "outputs.masked_fill(~real[:, :, None], 0.0).sum(dim=1)"

pooling.wrong(
    "mean of padding too",
    "Your mean sums over padded steps as well. Leave them out, even if your own LSTM happens to write zeros there.",
    edits={TOTAL: "outputs.sum(dim=1)"},
)

pooling.wrong(
    "mean over all columns",
    "Your mean is over all N columns, padding included. Sum over the real steps, and divide by their number.",
    edits={TOTAL: "outputs.sum(dim=1)", "total / lengths.clamp(min=1)[:, None]": "total / outputs.shape[1]"},
)

pooling.wrong(
    "sum in place of mean",
    'Your "mean" is a sum: the division by the number of real steps is missing.',
    edits={"total / lengths.clamp(min=1)[:, None]": "total"},
)

pooling.wrong(
    "maximum with zeros",
    "You set padded steps to zero before the maximum, and where all real values are negative the zero wins. Fill with something that can never win.",
    edits={'float("-inf")': "0.0"},
)

MAXIMUM = 'outputs.masked_fill(~real[:, :, None], float("-inf")).amax(dim=1)'

EMPTY = "pooled.masked_fill((lengths == 0)[:, None], 0.0)"

pooling.wrong(
    "maximum with zeros by product",
    "You take the maximum after multiplying with the mask: every padded step becomes a zero, which wins against negative values. Fill with something that can never win.",
    edits={MAXIMUM: "(outputs * real[:, :, None]).amax(dim=1)", EMPTY: "pooled"},
)

pooling.wrong(
    "maximum over padding",
    "Your maximum runs over padded steps too. Take them out first, with something that can never win.",
    edits={MAXIMUM: "outputs.amax(dim=1)"},
)

pooling.wrong(
    "maximum of the sizes",
    "You take the value of largest size, so that -3 beats 2. The maximum is the largest value, with its sign.",
    edits={
        MAXIMUM: "outputs.gather(1, outputs.abs().masked_fill(~real[:, :, None], -1.0).argmax(1, keepdim=True)).squeeze(1)"
    },
)

pooling.wrong(
    "maximum over features",
    "Your maximum runs over the features and leaves one number per step. It should run over the steps (dim 1) and leave one per feature.",
    edits={"amax(dim=1)": "amax(dim=-1)", EMPTY: "pooled"},
)

pooling.wrong(
    "mean and max exchanged",
    'Your "mean" and "max" are exchanged.',
    edits={'elif how == "mean":': 'elif how == "max":'},
)

pooling.wrong(
    "empty rows not zero",
    "A row of length zero does not come out as zeros: its maximum is minus infinity, or its last step is padding. Treat such rows by themselves.",
    edits={EMPTY: "pooled"},
)


@pooling.right("row by row")
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(how)
    pooled = []
    for row, n in zip(outputs, lengths.tolist()):
        row = row[:n]
        if n == 0:
            pooled.append(outputs.new_zeros(outputs.shape[-1]))
        elif how == "max":
            pooled.append(row.max(dim=0).values)
        elif how == "mean":
            pooled.append(row.mean(dim=0))
        elif bidirectional:
            half = row.shape[-1] // 2
            pooled.append(torch.cat([row[-1][:half], row[0][half:]]))
        else:
            pooled.append(row[-1])
    return torch.stack(pooled)


pooling.right(
    "einsum, where, gather",
    edits={
        TOTAL: 'torch.einsum("bnd,bn->bd", torch.where(real[..., None], outputs, 0.0), real.to(outputs.dtype))',
        MAXIMUM: 'torch.where(real.unsqueeze(-1), outputs, float("-inf")).max(dim=1)[0]',
        POOL_LAST: "outputs.gather(1, (lengths.long() - 1).clamp_min(0)[:, None, None].expand(-1, 1, outputs.shape[-1]))[:, 0]",
        EMPTY: "torch.where((lengths > 0)[:, None], pooled, 0.0)",
    },
)

pooling.right(
    "a very negative number for padding",
    edits={
        'float("-inf")': "torch.finfo(outputs.dtype).min",
        TOTAL: "torch.where(real[..., None], outputs, outputs.new_zeros(1)).sum(1)",
    },
)

pooling.wrong(
    "product with the mask",
    "Your mean takes the padding out by a product with the mask. 0 times NaN and 0 times infinity are NaN, so the padding can spoil a row. "
    "`masked_fill` takes out whatever stands there.",
    edits={TOTAL: "(outputs * real[..., None]).sum(1)"},
)

pooling.right(
    "weights per step",
    edits={
        "total = " + TOTAL: "weight = real / real.sum(1, keepdim=True).clamp(min=1)",
        "total / lengths.clamp(min=1)[:, None]": "torch.where(real[:, :, None], outputs * weight[:, :, None].to(outputs.dtype), 0.0).sum(dim=1)",
    },
)


@pooling.wrong(
    'NaN for an empty row',
    'The mean of a row of length zero is 0 / 0 in yours. Such a row gives zeros.'
)
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    if how == 'mean':
        return (outputs * real[..., None]).sum(1) / lengths[:, None]
    if how == 'max':
        return outputs.masked_fill(~real[..., None], float('-inf')).amax(1).masked_fill((lengths == 0)[:, None], 0.0)
    last = outputs[torch.arange(len(outputs)), (lengths - 1).clamp(min=0)]
    if bidirectional:
        half = outputs.shape[-1] // 2
        last = torch.cat([last[:, :half], outputs[:, 0, half:]], dim=1)
    return last * (lengths > 0)[:, None]


@pooling.wrong(
    'clamped at -1',
    "Before the maximum you replace the padding by a fixed number (such as -1), and real values can lie below it. "
    "Minus infinity cannot win."
)
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    if how == 'mean':
        return (outputs * real[..., None]).sum(1) / lengths.clamp(min=1)[:, None]
    if how == 'max':
        return outputs.masked_fill(~real[..., None], -1.0).amax(1).masked_fill((lengths == 0)[:, None], 0.0)
    last = outputs[torch.arange(len(outputs)), (lengths - 1).clamp(min=0)]
    if bidirectional:
        half = outputs.shape[-1] // 2
        last = torch.cat([last[:, :half], outputs[:, 0, half:]], dim=1)
    return last * (lengths > 0)[:, None]


@pooling.wrong(
    'max over all features',
    "Your maximum runs over the features and leaves one number per step. It should run over the steps (dim 1) and "
    "leave one per feature."
)
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    if how == 'mean':
        return (outputs * real[..., None]).sum(1) / lengths.clamp(min=1)[:, None]
    if how == 'max':
        return outputs.amax(dim=-1).masked_fill(~real, float('-inf'))
    last = outputs[torch.arange(len(outputs)), (lengths - 1).clamp(min=0)]
    if bidirectional:
        half = outputs.shape[-1] // 2
        last = torch.cat([last[:, :half], outputs[:, 0, half:]], dim=1)
    return last * (lengths > 0)[:, None]


@pooling.right('masked_fill')
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    empty = (lengths == 0).unsqueeze(1)
    if how == 'last':
        rows = torch.arange(outputs.shape[0], device=outputs.device)
        pooled = outputs[rows, (lengths - 1).clamp(min=0)]
        if bidirectional:
            half = outputs.shape[-1] // 2
            pooled = torch.cat([pooled[:, :half], outputs[:, 0, half:]], dim=-1)
    elif how == 'mean':
        pooled = outputs.masked_fill(~real.unsqueeze(-1), 0.0).sum(dim=1) / lengths.clamp(min=1).unsqueeze(1)
    else:
        pooled = outputs.masked_fill(~real.unsqueeze(-1), float('-inf')).amax(dim=1)
    return pooled.masked_fill(empty, 0.0)


@pooling.right('row by row, as well')
def pool(outputs, lengths, how, bidirectional=False):
    if how not in ('last', 'mean', 'max'):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    half = outputs.shape[-1] // 2
    pooled = []
    for row, n in zip(outputs, lengths.tolist()):
        words = row[:n]
        if n == 0:
            pooled.append(row.new_zeros(row.shape[-1]))
        elif how == 'mean':
            pooled.append(words.mean(dim=0))
        elif how == 'max':
            pooled.append(words.max(dim=0).values)
        elif bidirectional:
            pooled.append(torch.cat([words[-1, :half], words[0, half:]]))
        else:
            pooled.append(words[-1])
    return torch.stack(pooled)


mask_bank = Bank("padding_mask")

mask_bank.wrong(
    "inverted",
    "Your mask is inverted: it is True on the padding. In this course True means a real token.",
    edits={"positions < lengths[:, None]": "positions >= lengths[:, None]"},
)

mask_bank.wrong(
    "one word too many",
    "Your mask is True for one position too many. Positions count from 0, so a sentence of length 3 fills 0, 1 and 2.",
    edits={"positions < lengths[:, None]": "positions <= lengths[:, None]"},
)

mask_bank.wrong(
    "one word too few",
    "Your mask hides the last word of every sentence. Which position does the last of 3 words stand at?",
    edits={"positions < lengths[:, None]": "positions < lengths[:, None] - 1"},
)

mask_bank.wrong(
    "padding at the left",
    "Your mask says that the padding comes first. `collate` puts the words at the left of a row and the padding behind them.",
    edits={"positions < lengths[:, None]": "positions >= max_length - lengths[:, None]"},
)

mask_bank.wrong(
    "words by sentences",
    "Your mask is turned around: rows should be sentences and columns positions. Look at where the axis of size 1 is "
    "when the two are compared.",
    edits={"positions < lengths[:, None]": "positions[:, None] < lengths"},
)

mask_bank.wrong(
    "shaped for attention",
    "Your mask is (B, 1, N), the shape that attention wants. Return (B, N) here: pooling needs it so, and whoever calls "
    "attention adds the axis.",
    edits={"positions < lengths[:, None]": "positions < lengths[:, None, None]"},
)

mask_bank.wrong(
    "a square per sentence",
    "Your mask holds an N by N square for every sentence. Asked for is one value per token, (B, N).",
    edits={
        "return positions < lengths[:, None]": "real = positions < lengths[:, None]\n    return real[:, :, None] & real[:, None, :]"
    },
)

mask_bank.wrong(
    "numbers instead of booleans",
    "Your mask holds the numbers 0 and 1. Return booleans: `~mask` and `masked_fill` need them.",
    edits={"return positions < lengths[:, None]": "return (positions < lengths[:, None]).long()"},
)

mask_bank.wrong(
    "additive mask",
    "Your mask holds 0 and minus infinity, to be added to the scores. The course's masks are boolean, True = a real token.",
    edits={
        "return positions < lengths[:, None]": "return torch.zeros(len(lengths), max_length).masked_fill("
        "positions >= lengths[:, None], float('-inf'))"
    },
)

mask_bank.wrong(
    "max_length ignored",
    "Your mask is always as wide as the longest sentence. Where `max_length` is given, the batch is that wide.",
    edits={"if max_length is None:": "if True:"},
)

mask_bank.wrong(
    "as wide as the batch is high",
    "Your mask has as many columns as there are sentences. The width should be the longest length, not the number of lengths.",
    edits={"max_length = int(lengths.max())": "max_length = len(lengths)"},
)

mask_bank.wrong(
    "positions on the CPU",
    "Your positions are made on the CPU, wherever the lengths are, and two devices cannot be compared. Give `torch.arange` the device of `lengths`.",
    edits={"torch.arange(max_length, device=lengths.device)": "torch.arange(max_length)"},
)

mask_bank.wrong(
    "first sentence's width",
    "Your mask is as wide as the first sentence is long. The longest sentence may stand anywhere in the batch.",
    edits={"int(lengths.max())": "int(lengths[0])"},
)


@mask_bank.right("a loop over the sentences")
def padding_mask(lengths, max_length=None):
    width = max_length or max(lengths.tolist())
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = True
    return mask


@mask_bank.right("expand and compare")
def padding_mask(lengths, max_length=None):
    n = lengths.max().item() if max_length is None else max_length
    grid = torch.arange(n, device=lengths.device).unsqueeze(0).expand(lengths.shape[0], n)
    return grid.lt(lengths.unsqueeze(1).expand_as(grid))


@mask_bank.right("rows of a triangle")
def padding_mask(lengths, max_length=None):
    n = int(lengths.max()) if max_length is None else max_length
    triangle = torch.ones(n + 1, n, dtype=torch.bool, device=lengths.device).tril(-1)
    return triangle[lengths.long()]


@mask_bank.right("nested lists")
def padding_mask(lengths, max_length=None):
    n = max_length if max_length is not None else int(max(lengths))
    return torch.tensor([[i < length for i in range(n)] for length in lengths.tolist()])


@mask_bank.right("cumulative sum, inverted at the end")
def padding_mask(lengths, max_length=None):
    n = int(torch.amax(lengths)) if max_length is None else max_length
    count = torch.ones(len(lengths), n, device=lengths.device).cumsum(dim=1)
    return ~(count > lengths.view(-1, 1))


@mask_bank.wrong(
    'at least as wide as the longest, plus one',
    'Your mask is one column too wide: the default width is the longest length.'
)
def padding_mask(lengths, max_length=None):
    n = int(lengths.max()) + 1 if max_length is None else max_length
    return torch.arange(n, device=lengths.device) < lengths[:, None]


@mask_bank.right('broadcasting')
def padding_mask(lengths, max_length=None):
    if max_length is None:
        max_length = int(lengths.max())
    return torch.arange(max_length, device=lengths.device) < lengths.unsqueeze(1)


pooling.wrong(
    'one more in the divisor',
    'Your mean divides by length + 1. Divide by the length, and keep a row of length zero from a division by zero in another way.',
    edits={
        'lengths.clamp(min=1)[:, None]': '(lengths[:, None] + 1)',
    },
)


pooling.wrong(
    'minus one can never win',
    'You fill the padding with a number that real values may lie below. Fill it with -inf before you take the maximum.',
    edits={
        'float("-inf")': '-1.0',
    },
)


pooling.wrong(
    'the longest vector wins',
    'Your maximum picks one step and returns its whole vector. It is taken for each feature by itself.',
    edits={
        'pooled = outputs.masked_fill(~real[:, :, None], float("-inf")).amax(dim=1)': 'longest = outputs.norm(dim=-1).masked_fill(~real, -1.0).argmax(dim=1)\n        pooled = outputs[torch.arange(len(outputs)), longest]',
    },
)
