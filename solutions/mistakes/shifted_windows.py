"""Wrong and alternative right answers: the cyclic shift and its mask."""

from __future__ import annotations

import torch

from utils.grading.bank import Bank

shift = Bank("cyclic_shift")

shift.wrong(
    "wrong direction",
    "You roll in the wrong direction. The pixel at (s, s) should come to the upper left corner, so the map moves up and to the "
    "left: by minus s.",
    edits={"shifts=(-shift_size, -shift_size)": "shifts=(shift_size, shift_size)"},
)

_ROLL = "torch.roll(x, shifts=(-shift_size, -shift_size), dims=(1, 2))"

shift.wrong(
    "rows only",
    "You move the map up and not to the left. Shift both axes, rows and columns.",
    edits={_ROLL: "torch.roll(x, shifts=-shift_size, dims=1)"},
)

shift.wrong(
    "columns only",
    "You move the map to the left and not up. Shift both axes, rows and columns.",
    edits={_ROLL: "torch.roll(x, shifts=-shift_size, dims=2)"},
)

shift.wrong(
    "one axis too far back",
    "You shift columns and channels. In (B, H, W, C) rows and columns are the axes 1 and 2.",
    edits={"dims=(1, 2)": "dims=(2, 3)"},
)

shift.wrong(
    "one axis too far in front",
    "You shift images and rows. In (B, H, W, C) rows and columns are the axes 1 and 2.",
    edits={"dims=(1, 2)": "dims=(0, 1)"},
)

shift.wrong(
    "flat roll",
    "You roll without naming axes, which moves the flattened tensor along. Name the axes of rows and columns.",
    edits={_ROLL: "torch.roll(x, -shift_size)"},
)


@shift.wrong(
    "nothing comes back",
    "What leaves the map at one edge is lost in yours, and zeros come in. The shift is cyclic: it comes back at the opposite "
    "edge.",
)
def cyclic_shift(x, shift_size):
    y = torch.zeros_like(x)
    height, width = x.shape[1:3]
    s = shift_size
    y[:, max(-s, 0) : height - max(s, 0), max(-s, 0) : width - max(s, 0)] = x[
        :, max(s, 0) : height + min(s, 0), max(s, 0) : width + min(s, 0)
    ]
    return y


@shift.right("slices, concatenated")
def cyclic_shift(x, shift_size):
    down, right = shift_size % x.shape[1], shift_size % x.shape[2]
    x = torch.cat([x[:, down:], x[:, :down]], dim=1)
    return torch.cat([x[:, :, right:], x[:, :, :right]], dim=2)


@shift.right("index arithmetic")
def cyclic_shift(x, shift_size):
    rows = (torch.arange(x.shape[1]) + shift_size) % x.shape[1]
    cols = (torch.arange(x.shape[2]) + shift_size) % x.shape[2]
    return x[:, rows][:, :, cols]


@shift.right("two rolls")
def cyclic_shift(x, shift_size):
    return x.roll(-shift_size, 1).roll(-shift_size, 2)


@shift.wrong(
    "flattened",
    "You roll without `dims`, which moves the flattened map: numbers run from row to row and from image to image.",
)
def cyclic_shift(x, shift_size):
    return x.roll(-shift_size).roll(-shift_size * x.shape[2])


@shift.wrong(
    "always forwards", "You take the shift's absolute value. A negative one moves the other way: -s undoes s."
)
def cyclic_shift(x, shift_size):
    s = abs(shift_size)
    return torch.roll(x, shifts=(-s, -s), dims=(1, 2))


@shift.wrong("diagonally opposite", "You move the map up and to the right. It should move up and to the left.")
def cyclic_shift(x, shift_size):
    return x.roll((-shift_size, shift_size), dims=(1, 2))


@shift.wrong(
    "slices without the negative case",
    "A negative shift does nothing in yours. It should move the map down and to the right, so that -s undoes s.",
)
def cyclic_shift(x, shift_size):
    s = max(shift_size, 0)
    x = torch.cat([x[:, s:], x[:, :s]], dim=1)
    return torch.cat([x[:, :, s:], x[:, :, :s]], dim=2)


@shift.right("circular padding, cropped")
def cyclic_shift(x, shift_size):
    down, right = shift_size % x.shape[1], shift_size % x.shape[2]
    padded = F.pad(x.permute(0, 3, 1, 2), (0, right, 0, down), mode="circular")
    return padded[:, :, down:, right:].permute(0, 2, 3, 1).clone()


@shift.right("four maps side by side, cropped")
def cyclic_shift(x, shift_size):
    height, width = x.shape[1:3]
    top, left = shift_size % height, shift_size % width
    return x.repeat(1, 2, 2, 1)[:, top : top + height, left : left + width].clone()


@shift.right("pixel by pixel")
def cyclic_shift(x, shift_size):
    moved = torch.empty_like(x)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            moved[:, (i - shift_size) % x.shape[1], (j - shift_size) % x.shape[2]] = x[:, i, j]
    return moved


mask = Bank("shifted_window_mask")

_EQUAL = "kind[:, :, None] == kind[:, None, :]"

mask.wrong(
    "inverted",
    "Your mask is True where a pixel must not look. In this course True means: may attend.",
    edits={_EQUAL: "kind[:, :, None] != kind[:, None, :]"},
)

mask.wrong(
    "wrapped at the other edge",
    "You take the first s rows and columns for the wrapped ones. The map has moved up and left, so what wrapped round is at "
    "the bottom and on the right: the last s.",
    edits={
        "torch.arange(height) >= height - shift_size": "torch.arange(height) < shift_size",
        "torch.arange(width) >= width - shift_size": "torch.arange(width) < shift_size",
    },
)

_KIND = "2 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]"

mask.wrong(
    "rows only",
    "You separate wrapped rows, but not wrapped columns. The map has been shifted on both axes.",
    edits={_KIND: "2 * wrapped_row.long()[:, None] + 0 * wrapped_col.long()[None, :]"},
)

mask.wrong(
    "columns only",
    "You separate wrapped columns, but not wrapped rows. The map has been shifted on both axes.",
    edits={_KIND: "0 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]"},
)

mask.wrong(
    "row or column",
    "You know two kinds of pixel: wrapped along exactly one axis, and all others. There are four (neither, row, "
    "column, both), and only pixels of one kind may see each other.",
    edits={_KIND: "(wrapped_row[:, None] != wrapped_col[None, :]).long()"},
)

mask.wrong(
    "wrapped or not",
    "You know two kinds of pixel, wrapped and not. One that wrapped by its row only and one that wrapped by its column only "
    "are far apart in the image: there are four kinds.",
    edits={_KIND: "(wrapped_row[:, None] | wrapped_col[None, :]).long()"},
)

mask.wrong(
    "the whole last window",
    "Your mask hides nothing: in each window all pixels are of one kind. Do you take the last M rows and columns "
    "for the wrapped ones? Only the last s have wrapped round.",
    edits={"height - shift_size": "height - window_size", "width - shift_size": "width - window_size"},
)

mask.wrong(
    "M - s instead of s",
    "You cut the last windows at M - s pixels from the edge. s pixels have wrapped round, so the last s rows and columns are "
    "the ones to separate.",
    edits={
        "height - shift_size": "height - (window_size - shift_size) * (shift_size > 0)",
        "width - shift_size": "width - (window_size - shift_size) * (shift_size > 0)",
    },
)

mask.wrong(
    "float mask",
    "You return numbers to be added to the scores. In this course masks are boolean, True = may attend.",
    edits={f"return {_EQUAL}": f"return torch.zeros(1).where({_EQUAL}, torch.tensor(-100.0))"},
)

mask.wrong(
    "height and width exchanged",
    "You build the map of kinds as (W, H). Rows come first: (H, W).",
    edits={_KIND: "2 * wrapped_col.long()[:, None] + wrapped_row.long()[None, :]"},
)

mask.wrong(
    "one mask for all windows",
    "Your result is one mask for the whole map. Every window has its own, because only the last row and column of windows hold "
    "wrapped pixels: (nW, M * M, M * M).",
    edits={
        "kind = window_partition(kind[None, :, :, None], window_size).flatten(1)  # (nW, M*M)": "kind = kind.flatten()[None]"
    },
)


@mask.right("nine regions, as in the authors' code")
def shifted_window_mask(height, width, window_size, shift_size):
    region = torch.zeros(1, height, width, 1)
    if shift_size > 0:
        number = 0
        parts = (slice(0, -window_size), slice(-window_size, -shift_size), slice(-shift_size, None))
        for rows in parts:
            for cols in parts:
                region[:, rows, cols] = number
                number += 1
    region = window_partition(region, window_size).reshape(-1, window_size * window_size)
    difference = region.unsqueeze(1) - region.unsqueeze(2)
    return difference == 0


@mask.right("distance in the image")
def shifted_window_mask(height, width, window_size, shift_size):
    row = (torch.arange(height) + shift_size) % height
    col = (torch.arange(width) + shift_size) % width
    place = torch.stack(torch.meshgrid(row, col, indexing="ij"), dim=-1)
    place = window_partition(place[None], window_size).flatten(1, 2)
    apart = (place[:, :, None] - place[:, None, :]).abs()
    return (apart < window_size).all(dim=-1)


@mask.right("loops")
def shifted_window_mask(height, width, window_size, shift_size):
    masks = []
    for top in range(0, height, window_size):
        for left in range(0, width, window_size):
            kinds = [
                (row >= height - shift_size, col >= width - shift_size)
                for row in range(top, top + window_size)
                for col in range(left, left + window_size)
            ]
            masks.append(torch.tensor([[a == b for b in kinds] for a in kinds]))
    return torch.stack(masks)


@mask.wrong(
    "sum of two flags",
    "Wrapped rows and wrapped columns get the same number in yours, so two pieces that are no neighbours see each other. There are "
    "four pieces.",
)
def shifted_window_mask(height, width, window_size, shift_size):
    rows = torch.arange(height) >= height - shift_size
    columns = torch.arange(width) >= width - shift_size
    number = rows[:, None].long() + columns[None, :].long()
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    return pieces[:, :, None] == pieces[:, None, :]


@mask.wrong("always half a window", "You always shift by half a window. The shift is an argument.")
def shifted_window_mask(height, width, window_size, shift_size):
    s = window_size // 2 if shift_size else 0
    rows = torch.arange(height) >= height - s
    columns = torch.arange(width) >= width - s
    number = 2 * rows[:, None].long() + columns.long()
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    return pieces[:, :, None] == pieces[:, None, :]


@mask.wrong("one-sided", "Your mask hides in one direction only. Neither of two pieces may see the other.")
def shifted_window_mask(height, width, window_size, shift_size):
    rows = torch.arange(height) >= height - shift_size
    columns = torch.arange(width) >= width - shift_size
    number = 2 * rows[:, None].long() + columns[None, :].long()
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    return pieces[:, :, None] >= pieces[:, None, :]


@mask.wrong("not rolled", "Your groups are those of the map as it was. Roll them like the map.")
def shifted_window_mask(height, width, window_size, shift_size):
    strip_rows = (torch.arange(height) - shift_size).div(window_size, rounding_mode="floor")
    strip_columns = (torch.arange(width) - shift_size).div(window_size, rounding_mode="floor")
    number = strip_rows[:, None] * (width + 1) + strip_columns
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    return pieces[:, :, None] == pieces[:, None, :]


@mask.wrong(
    "one mask for the last window",
    "Only your last window has a mask. Those of the last row and of the last column hold wrapped pixels, too.",
)
def shifted_window_mask(height, width, window_size, shift_size):
    rows = torch.arange(height) >= height - shift_size
    columns = torch.arange(width) >= width - shift_size
    number = 2 * rows[:, None].long() + columns[None, :].long()
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    mask = torch.ones(len(pieces), window_size**2, window_size**2, dtype=torch.bool)
    mask[-1] = pieces[-1][:, None] == pieces[-1][None, :]
    return mask


@mask.wrong(
    "column-major windows", "Your windows come column by column. They should be in the order of `window_partition`."
)
def shifted_window_mask(height, width, window_size, shift_size):
    rows = torch.arange(height) >= height - shift_size
    columns = torch.arange(width) >= width - shift_size
    number = 2 * rows[:, None].long() + columns[None, :].long()
    pieces = rearrange(number, "(h m) (w n) -> (w h) (m n)", m=window_size, n=window_size)
    return pieces[:, :, None] == pieces[:, None, :]


@mask.right("four numbers")
def shifted_window_mask(height, width, window_size, shift_size):
    rows = torch.arange(height) >= height - shift_size
    columns = torch.arange(width) >= width - shift_size
    number = 2 * rows[:, None].long() + columns[None, :].long()
    pieces = window_partition(number[None, :, :, None], window_size).flatten(1)
    return pieces[:, :, None] == pieces[:, None, :]


@mask.right("slices as the authors")
def shifted_window_mask(height, width, window_size, shift_size):
    image = torch.zeros((1, height, width, 1))
    slices = (slice(0, -window_size), slice(-window_size, -shift_size), slice(-shift_size, None))
    number = 0
    for h in slices:
        for w in slices:
            image[:, h, w, :] = number
            number += 1
    windows = window_partition(image, window_size).view(-1, window_size * window_size)
    return windows.unsqueeze(1) - windows.unsqueeze(2) == 0


@mask.right("rows and columns apart")
def shifted_window_mask(height, width, window_size, shift_size):
    wrapped_row = (torch.arange(height) >= height - shift_size)[:, None].expand(height, width)
    wrapped_column = (torch.arange(width) >= width - shift_size).expand(height, width)

    def alike(flags):
        f = rearrange(flags, "(h m) (w n) -> (h w) (m n)", m=window_size, n=window_size)
        return f.unsqueeze(2) == f.unsqueeze(1)

    return alike(wrapped_row) & alike(wrapped_column)


mask.wrong(
    "one row and column too few",
    "You separate one row and one column too few: s of each have wrapped round, those from `height - s` and `width - s` on.",
    edits={
        "torch.arange(height) >= height - shift_size": "torch.arange(height) > height - shift_size",
        "torch.arange(width) >= width - shift_size": "torch.arange(width) > width - shift_size",
    },
)

mask.wrong(
    "one row too few",
    "You separate one row too few: s of them have wrapped round, those from `height - s` on.",
    edits={"torch.arange(height) >= height - shift_size": "torch.arange(height) > height - shift_size"},
)

mask.wrong(
    "one column too few",
    "You separate one column too few: s of them have wrapped round, those from `width - s` on.",
    edits={"torch.arange(width) >= width - shift_size": "torch.arange(width) > width - shift_size"},
)

mask.wrong(
    "one row and column too many",
    "You separate one row and one column too many: s of each have wrapped round, those from `height - s` and `width - s` on.",
    edits={
        "torch.arange(height) >= height - shift_size": "torch.arange(height) >= height - shift_size - (shift_size > 0)",
        "torch.arange(width) >= width - shift_size": "torch.arange(width) >= width - shift_size - (shift_size > 0)",
    },
)
