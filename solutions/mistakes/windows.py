"""Wrong and alternative right answers: a map into windows, and back."""

from __future__ import annotations

import torch

from utils.grading.bank import Bank

partition = Bank("window_partition")

partition.wrong(
    "reshape alone",
    "You reshape without moving axes, so a window holds M * M pixels in reading order, not an M x M square. First "
    "split H into (rows, M) and W into (columns, M), then bring the two grid axes to the front.",
    edits={
        'rearrange(x, "b (rows m) (cols n) c -> (b rows cols) m n c", m=window_size, n=window_size)': "x.reshape(-1, window_size, window_size, x.shape[-1])"
    },
)

partition.wrong(
    "windows listed column by column",
    "Your windows are listed from top to bottom first. They should be in reading order: from left to right, then down.",
    edits={"-> (b rows cols)": "-> (b cols rows)"},
)

partition.wrong(
    "pixels transposed",
    "Inside each window your rows and columns are exchanged. The first axis of a window should be the image's row.",
    edits={"(b rows cols) m n c": "(b rows cols) n m c"},
)

partition.wrong(
    "images inside",
    "Your windows of different images alternate. All windows of the first image should come before those of the second: "
    "the batch is the outermost part of the first axis.",
    edits={"-> (b rows cols)": "-> (rows cols b)"},
)

partition.wrong(
    "every other pixel",
    "Your windows take pixels at a stride, not neighbours. When you split H, the window's own axis is the inner one: "
    "H = (number of windows, M), in this order.",
    edits={"b (rows m) (cols n) c": "b (m rows) (n cols) c"},
)

partition.wrong(
    "pixels flattened",
    "You flatten each window to M * M pixels. Keep its two axes: the result is (B * nW, M, M, C), and whoever needs tokens "
    "flattens it later.",
    edits={"(b rows cols) m n c": "(b rows cols) (m n) c"},
)

partition.wrong(
    "images kept apart",
    "Your batch axis is still separate. Windows are independent of each other, so images and windows share the first axis: "
    "(B * nW, M, M, C).",
    edits={"-> (b rows cols)": "-> b (rows cols)"},
)


@partition.right("view, permute, reshape")
def window_partition(x, window_size):
    if x.shape[1] % window_size or x.shape[2] % window_size:
        raise ValueError("the windows do not tile the map")
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window_size, window_size, width // window_size, window_size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window_size, window_size, channels)


@partition.right("loops and slices")
def window_partition(x, window_size):
    if x.shape[1] % window_size or x.shape[2] % window_size:
        raise ValueError("the windows do not tile the map")
    batch, height, width, _ = x.shape
    windows = []
    for image in range(batch):
        for top in range(0, height, window_size):
            for left in range(0, width, window_size):
                windows.append(x[image, top : top + window_size, left : left + window_size])
    return torch.stack(windows)


@partition.right("Tensor.unfold")
def window_partition(x, window_size):
    if x.shape[1] % window_size or x.shape[2] % window_size:
        raise ValueError(f'windows of {window_size}')
    x = x.unfold(1, window_size, window_size).unfold(2, window_size, window_size)
    return x.permute(0, 1, 2, 4, 5, 3).flatten(0, 2)


@partition.right("splits, stacked")
def window_partition(x, window_size):
    if x.shape[1] % window_size or x.shape[2] % window_size:
        raise ValueError("the windows do not tile the map")
    strips = torch.stack(x.split(window_size, dim=1), 1)
    squares = torch.stack(strips.split(window_size, dim=3), 2)
    return squares.reshape(-1, window_size, window_size, x.shape[-1])


@partition.wrong(
    'unfold, channels in the middle',
    "`unfold` appends the window's axes behind the channels, and your reshape takes channels for pixels."
)
def window_partition(x, window_size):
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(f'a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}')
    m, c = (window_size, x.shape[-1])
    return x.unfold(1, m, m).unfold(2, m, m).reshape(-1, m, m, c)


@partition.right('einops')
def window_partition(x, window_size):
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(f'a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}')
    return rearrange(x, 'b (h m) (w n) c -> (b h w) m n c', m=window_size, n=window_size)


@partition.right('permute')
def window_partition(x, window_size):
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(f'a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}')
    batch, channels = (x.shape[0], x.shape[-1])
    x = x.view(batch, height // window_size, window_size, width // window_size, window_size, channels)
    windows = x.permute(0, 1, 3, 2, 4, 5).contiguous()
    return windows.view(-1, window_size, window_size, channels)


reverse = Bank("window_reverse")

_REVERSE = 'rearrange(windows, "(b rows cols) m n c -> b (rows m) (cols n) c", rows=rows, cols=cols)'

reverse.wrong(
    "reshape alone",
    "You reshape without moving axes, so whole windows are laid out as strips of rows. Split the first axis into (B, rows, "
    "columns), then bring each grid axis beside the window axis that it belongs to.",
    edits={_REVERSE: "windows.reshape(-1, height, width, windows.shape[-1])"},
)

reverse.wrong(
    "height and width exchanged",
    "You count the windows per row with the height and those per column with the width. There are H / M rows of windows and "
    "W / M columns.",
    edits={"height // window_size, width // window_size": "width // window_size, height // window_size"},
)

reverse.wrong(
    "windows read column by column",
    "You place the windows from top to bottom first. window_partition lists them in reading order: left to right, then down.",
    edits={"(b rows cols) m n c ->": "(b cols rows) m n c ->"},
)

reverse.wrong(
    "pixels transposed",
    "Inside each window your rows and columns are exchanged: its first axis is the image's row.",
    edits={"(b rows cols) m n c ->": "(b rows cols) n m c ->"},
)

reverse.wrong(
    "images inside",
    "You take neighbouring windows of the list for windows of different images. All windows of the first image come before "
    "those of the second: the batch is the outermost part of the first axis.",
    edits={"(b rows cols) m n c ->": "(rows cols b) m n c ->"},
)

reverse.wrong(
    "windows interleaved",
    "You spread each window over the whole map at a stride. When you join the axes to H, the window's own axis is the inner "
    "one: (rows, M), in this order.",
    edits={"b (rows m) (cols n) c": "b (m rows) (n cols) c"},
)


@reverse.wrong(
    "one image only",
    "Your result holds the first image only. The batch size is the number of windows divided by the windows per "
    "image, (H / M) * (W / M).",
)
def window_reverse(windows, window_size, height, width):
    channels = windows.shape[-1]
    x = windows[: (height // window_size) * (width // window_size)]
    x = x.view(1, height // window_size, width // window_size, window_size, window_size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(1, height, width, channels)


@reverse.right("view, permute, reshape")
def window_reverse(windows, window_size, height, width):
    x = windows.view(
        -1, height // window_size, width // window_size, window_size, window_size, windows.shape[-1]
    )
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, height, width, windows.shape[-1])


@reverse.right("loops into an empty map")
def window_reverse(windows, window_size, height, width):
    per_image = (height // window_size) * (width // window_size)
    batch = windows.shape[0] // per_image
    x = windows.new_zeros(batch, height, width, windows.shape[-1])
    number = 0
    for image in range(batch):
        for top in range(0, height, window_size):
            for left in range(0, width, window_size):
                x[image, top : top + window_size, left : left + window_size] = windows[number]
                number += 1
    return x


@reverse.right("concatenation")
def window_reverse(windows, window_size, height, width):
    x = windows.unflatten(0, (-1, height // window_size, width // window_size))
    strips = [torch.cat([x[:, r, c] for c in range(x.shape[2])], dim=2) for r in range(x.shape[1])]
    return torch.cat(strips, dim=1)


@reverse.wrong(
    'one image',
    "You assume that there is one image only; how many there are follows from the number of windows."
)
def window_reverse(windows, window_size, height, width):
    h, w = (height // window_size, width // window_size)
    x = windows.reshape(1, h, w, window_size, window_size, -1)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(1, height, width, -1)


@reverse.wrong(
    'fold',
    "`F.fold` takes floating-point numbers only, and windows may hold whole numbers. Put them together by moving axes."
)
def window_reverse(windows, window_size, height, width):
    b = len(windows) * window_size ** 2 // (height * width)
    columns = rearrange(windows, '(b n) p q c -> b (c p q) n', b=b)
    x = F.fold(columns, (height, width), window_size, stride=window_size)
    return x.permute(0, 2, 3, 1)


@reverse.wrong(
    'cat along the wrong axis',
    "You put the windows of a row below each other. They belong side by side."
)
def window_reverse(windows, window_size, height, width):
    h, w = (height // window_size, width // window_size)
    per_image = windows.unflatten(0, (-1, h, w))
    rows = [torch.cat([per_image[:, i, j] for j in range(w)], dim=1) for i in range(h)]
    return torch.cat(rows, dim=2)


@reverse.wrong(
    'float result',
    "Your map is always float32. It should have the dtype of the windows."
)
def window_reverse(windows, window_size, height, width):
    m, h, w = (window_size, height // window_size, width // window_size)
    x = torch.zeros(len(windows) // (h * w), height, width, windows.shape[-1])
    for number, window in enumerate(windows):
        image, place = divmod(number, h * w)
        row, column = divmod(place, w)
        x[image, row * m:row * m + m, column * m:column * m + m] = window
    return x


@reverse.right('einops')
def window_reverse(windows, window_size, height, width):
    return rearrange(windows, '(b h w) m n c -> b (h m) (w n) c', h=height // window_size, w=width // window_size)


@reverse.right('permute')
def window_reverse(windows, window_size, height, width):
    down, across = (height // window_size, width // window_size)
    batch = windows.shape[0] // (down * across)
    x = windows.reshape(batch, down, across, window_size, window_size, -1)
    return x.transpose(2, 3).reshape(batch, height, width, -1)


@reverse.right('cat')
def window_reverse(windows, window_size, height, width):
    grid = windows.unflatten(0, (-1, height // window_size, width // window_size))
    rows = [torch.cat(list(row.unbind(1)), dim=2) for row in grid.unbind(1)]
    return torch.cat(rows, dim=1)


