"""Wrong and alternative right answers: the Swin block and patch merging."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.grading.bank import Bank

block = Bank("SwinBlock")

_SHIFT = "windows = cyclic_shift(windows, shift)"

_BACK = "y = cyclic_shift(y, -shift)"

block.wrong(
    "rolled in the wrong direction",
    "You shift the map the other way: down and to the right first, then back. The mask is made for the other direction, up and "
    "to the left first, so it separates the wrong pixels.",
    edits={_SHIFT: "windows = cyclic_shift(windows, -shift)", _BACK: "y = cyclic_shift(y, shift)"},
)

block.wrong(
    "not rolled back",
    "You never undo the shift, so the attention's output is added to the wrong pixels. Shift back by the same amount before the "
    "residual connection.",
    edits={f"        if shift:\n            {_BACK}\n": ""},
)

block.wrong(
    "rolled twice in one direction",
    "You shift a second time in the same direction instead of back. The way back is a shift by minus s.",
    edits={_BACK: "y = cyclic_shift(y, shift)"},
)

_MASK = "self.mask_for(full_height, full_width, x.device) if shift else None"

block.wrong(
    "no mask",
    "You do not pass a mask to the attention after the shift, so pixels from opposite edges of the image attend to each other.",
    edits={_MASK: "None"},
)

block.wrong(
    "no shift",
    "You never shift the map, but use the mask of a shifted one. Where `shift` is not 0, shift before the windows are cut.",
    edits={f"        if shift:\n            {_SHIFT}\n": "", f"        if shift:\n            {_BACK}\n": ""},
)

_NORM = "        windows = self.norm1(x)\n"

block.wrong(
    "norm after the attention",
    "You normalise after the attention. A Swin block is pre-norm: norm1 comes before the windows are cut.",
    edits={
        _NORM: "        windows = x\n",
        "x = x + y[:, :height, :width]": "x = x + self.norm1(y[:, :height, :width])",
    },
)

block.wrong(
    "residual of the normalised map",
    "Your first residual connection starts behind norm1. It should add the block's input as it came in.",
    edits={_NORM: "        x = windows = self.norm1(x)\n"},
)

block.wrong(
    "first residual missing",
    "Your first residual connection is missing: the attention's output is to be added to the block's input.",
    edits={"x = x + y[:, :height, :width]": "x = y[:, :height, :width]"},
)

_LAST = "return x + self.mlp(self.norm2(x))"

block.wrong(
    "second residual missing",
    "Your second residual connection is missing: the MLP's output is to be added to its input.",
    edits={_LAST: "return self.mlp(self.norm2(x))"},
)

block.wrong(
    "norm2 missing",
    "Your MLP works on values that were not normalised. norm2 comes before it.",
    edits={_LAST: "return x + self.mlp(x)"},
)

block.wrong(
    "norm1 twice",
    "You use norm1 before the MLP, too. The MLP has a norm of its own, norm2.",
    edits={_LAST: "return x + self.mlp(self.norm1(x))"},
)

_PAD = "windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))"

block.wrong(
    "padded after the shift",
    "You pad after the shift. Then the rows and columns that the mask takes for the wrapped ones are partly padding: pad first, "
    "shift then.",
    edits={
        f"        if height % window or width % window:\n            {_PAD}\n        full_height, full_width = windows.shape[1:3]\n": "",
        _SHIFT: f"{_SHIFT}\n        {_PAD}\n        full_height, full_width = windows.shape[1:3]",
        f"        if shift:\n            {_BACK}\n": "        y = y[:, :height, :width]\n        if shift:\n            y = cyclic_shift(y, -shift)\n",
    },
)

block.wrong(
    "padded before the norm",
    "You pad before norm1, which turns the zeros into the norm's bias. Normalise first, pad then.",
    edits={
        _NORM: "        windows = x\n",
        "        full_height, full_width = windows.shape[1:3]\n": "        windows = self.norm1(windows)\n        full_height, full_width = windows.shape[1:3]\n",
    },
)

block.wrong(
    "padded at the top and on the left",
    "You pad at the top and on the left. The zeros go to the bottom and to the right: in F.pad's list, the second value of each "
    "pair.",
    edits={
        _PAD: "windows = F.pad(windows, (0, 0, -width % window, 0, -height % window, 0))",
        "y[:, :height, :width]": "y[:, -height:, -width:]",
    },
)

block.wrong(
    "windows put back with the sides exchanged",
    "You call window_reverse with width and height exchanged. The order of its arguments is height, width.",
    edits={
        "window, full_height, full_width)": "window, full_width, full_height).reshape(len(x), full_height, full_width, -1)"
    },
)

block.right(
    "always shifted, padded and masked",
    edits={
        f"        if height % window or width % window:\n            {_PAD}\n": f"        {_PAD}\n",
        "        if shift:\n            windows = cyclic_shift": "        windows = cyclic_shift",
        "        if shift:\n            y = cyclic_shift": "        y = cyclic_shift",
        _MASK: "shifted_window_mask(full_height, full_width, window, shift)",
    },
)

block.right(
    "cut off before the way back is not needed: cropping by narrow, MLP on tokens",
    edits={
        "y[:, :height, :width]": "y.narrow(1, 0, height).narrow(2, 0, width)",
        _LAST: "tokens = x.flatten(1, 2)\n        return (tokens + self.mlp(self.norm2(tokens))).view_as(x)",
    },
)


@block.right("cut lines moved instead of the map: ragged windows")
class SwinBlock(nn.Module):
    def __init__(self, dim, num_heads, window_size=7, shift_size=0, mlp_ratio=4.0):
        super().__init__()
        self.window_size, self.shift_size = window_size, shift_size
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Linear(dim, int(mlp_ratio * dim)))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("fc2", nn.Linear(int(mlp_ratio * dim), dim))

    def forward(self, x):
        if min(x.shape[1:3]) < self.window_size:
            raise ValueError("the window is larger than the map")
        _, height, width, _ = x.shape
        m = self.window_size
        s = self.shift_size if min(height, width) > m else 0
        y = F.pad(self.norm1(x), (0, 0, 0, -width % m, 0, -height % m))
        full = y.shape
        # surround the map so that the moved windows are whole, and hide what does not belong to it
        y = F.pad(y, (0, 0, (m - s) % m, s, (m - s) % m, s))
        inside = F.pad(torch.ones(1, full[1], full[2], 1), (0, 0, (m - s) % m, s, (m - s) % m, s)).bool()
        tokens = window_partition(y, m).flatten(1, 2)
        inside = window_partition(inside, m).flatten(1)
        mask = inside[:, :, None] == inside[:, None, :]
        tokens = self.attn(tokens, mask).unflatten(1, (m, m))
        y = window_reverse(tokens, m, y.shape[1], y.shape[2])
        y = y[:, (m - s) % m :, (m - s) % m :][:, :height, :width]
        x = x + y
        return x + self.mlp(self.norm2(x))


block.wrong(
    'shift where one window spans the map',
    'You shift where one window spans the map. Then there is nothing to shift: use `shift`, which is 0 there.',
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, -shift)\n"
        "        x = x + y[:, :height, :width]": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if self.shift_size:\n"
        "            y = cyclic_shift(y, self.shift_size)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)\n"
        "        if self.shift_size:\n"
        "            y = cyclic_shift(y, -self.shift_size)\n"
        "        y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


block.wrong(
    'mask always',
    "You pass a mask where `shift` is 0. `mask_for` makes it for `self.shift_size`, which may not be 0 there: "
    "without a shift every pair in a window may attend, so pass None.",
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        y = cyclic_shift(y, shift)\n"
        "        mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]": "y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


block.wrong(
    'cut off before rolling back',
    'You cut the padding off before the shift is undone, and lose real pixels.',
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)\n"
        "        y = y[:, :height, :width]",
        "x = x + y[:, :height, :width]": "x = x + y",
    },
)


block.wrong(
    'first mask remembered for ever',
    'You keep the mask of the first call. It depends on the size of the map.',
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            if self._mask is None:\n"
        "                self._mask = shifted_window_mask(tall, wide, window, shift).to(x.device)\n"
        "            mask = self._mask\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]": "y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


block.wrong(
    'padding masked out',
    "You hide the padding in the mask. It should be attended to like any other position.",
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        real = F.pad(torch.ones(1, height, width, 1, dtype=torch.bool), (0, 0, 0, wide - width, 0, tall - height))\n"
        "        mask = torch.ones(tall * wide // window ** 2, window ** 2, window ** 2, dtype=torch.bool)\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            real = cyclic_shift(real, shift)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        real = window_partition(real, window).flatten(1)\n"
        "        eye = torch.eye(window ** 2, dtype=torch.bool)\n"
        "        mask = mask & real[:, None, :] | eye\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]": "y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


block.wrong(
    'post-norm',
    "You normalise after each sum (post-norm). A Swin block is pre-norm: norm1 comes before the attention and norm2 "
    "before the MLP, inside the branches.",
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]\n"
        "        return x + self.mlp(self.norm2(x))": "y = y[:, :height, :width]\n"
        "        x = self.norm1(x + y)\n"
        "        return self.norm2(x + self.mlp(x))",
    },
)


block.wrong(
    'pads a full window',
    'You add a whole window of zeros where nothing is missing.',
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, window - width % window, 0, window - height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]": "y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


block.right(
    'step by step',
    edits={
        "windows = self.norm1(x)\n"
        "        if height % window or width % window:\n"
        "            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))\n"
        "        full_height, full_width = windows.shape[1:3]\n"
        "        if shift:\n"
        "            windows = cyclic_shift(windows, shift)\n"
        "        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)\n"
        "        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)\n"
        "        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)": "y = F.pad(self.norm1(x), (0, 0, 0, -width % window, 0, -height % window))\n"
        "        tall, wide = y.shape[1:3]\n"
        "        mask = None\n"
        "        if shift:\n"
        "            y = cyclic_shift(y, shift)\n"
        "            mask = self.mask_for(tall, wide, x.device)\n"
        "        windows = window_partition(y, window).flatten(1, 2)\n"
        "        windows = self.attn(windows, mask).unflatten(1, (window, window))\n"
        "        y = window_reverse(windows, window, tall, wide)",
        "x = x + y[:, :height, :width]": "y = y[:, :height, :width]\n"
        "        x = x + y",
    },
)


@block.right('helper method')
class SwinBlock(nn.Module):

    def __init__(self, dim, num_heads, window_size=7, shift_size=0, mlp_ratio=4.0):
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(f"the shift must be at least 0 and below the window's {window_size}, got {shift_size}")
        self.window_size, self.shift_size = (window_size, shift_size)
        hidden = int(mlp_ratio * dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module('fc1', nn.Linear(dim, hidden))
        self.mlp.add_module('act', nn.GELU())
        self.mlp.add_module('fc2', nn.Linear(hidden, dim))
        self._mask = None

    def attend(self, y, shift):
        window = self.window_size
        _, tall, wide, _ = y.shape
        mask = self.mask_for(tall, wide, y.device) if shift else None
        tokens = window_partition(cyclic_shift(y, shift), window).flatten(1, 2)
        windows = self.attn(tokens, mask).reshape(-1, window, window, y.shape[-1])
        return cyclic_shift(window_reverse(windows, window, tall, wide), -shift)

    def mask_for(self, height, width, device):
        key = (height, width, device)
        if self._mask is None or self._mask[0] != key:
            mask = shifted_window_mask(height, width, self.window_size, self.shift_size)
            self._mask = (key, mask.to(device))
        return self._mask[1]

    def forward(self, x):
        _, height, width, _ = x.shape
        window = self.window_size
        if min(height, width) < window:
            raise ValueError(f'a window of {window} x {window} does not fit into a {height} x {width} map')
        shift = self.shift_size if min(height, width) > window else 0
        below, right = (-height % window, -width % window)
        y = self.norm1(x)
        if below or right:
            y = F.pad(y, (0, 0, 0, right, 0, below))
        y = self.attend(y, shift)
        x = x + y[:, :height, :width].contiguous()
        return x + self.mlp(self.norm2(x))


@block.right('einops and zeros')
class SwinBlock(nn.Module):

    def __init__(self, dim, num_heads, window_size=7, shift_size=0, mlp_ratio=4.0):
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(f"the shift must be at least 0 and below the window's {window_size}, got {shift_size}")
        self.window_size, self.shift_size = (window_size, shift_size)
        hidden = int(mlp_ratio * dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module('fc1', nn.Linear(dim, hidden))
        self.mlp.add_module('act', nn.GELU())
        self.mlp.add_module('fc2', nn.Linear(hidden, dim))
        self._mask = None

    def mask_for(self, height, width, device):
        key = (height, width, device)
        if self._mask is None or self._mask[0] != key:
            mask = shifted_window_mask(height, width, self.window_size, self.shift_size)
            self._mask = (key, mask.to(device))
        return self._mask[1]

    def forward(self, x):
        _, height, width, _ = x.shape
        window = self.window_size
        if min(height, width) < window:
            raise ValueError(f'a window of {window} x {window} does not fit into a {height} x {width} map')
        shift = self.shift_size if min(height, width) > window else 0
        tall, wide = (-(-side // window) * window for side in (height, width))
        y = x.new_zeros(x.shape[0], tall, wide, x.shape[3])
        y[:, :height, :width] = self.norm1(x)
        y = cyclic_shift(y, shift) if shift > 0 else y
        mask = self.mask_for(tall, wide, x.device) if shift > 0 else None
        tokens = rearrange(window_partition(y, window), 'b m n c -> b (m n) c')
        tokens = rearrange(self.attn(tokens, mask=mask), 'b (m n) c -> b m n c', m=window)
        y = window_reverse(tokens, window, tall, wide)
        if shift > 0:
            y = cyclic_shift(y, -shift)
        middle = x + y[:, :height, :width]
        hidden = self.mlp.act(self.mlp.fc1(self.norm2(middle)))
        return middle + self.mlp.fc2(hidden)


merging = Bank("PatchMerging")

_MERGE = '"b (h row) (w col) c -> b h w (col row c)"'

merging.wrong(
    "channels outside, row by row",
    "Your 4C numbers are in the order of `nn.Unfold` and `pixel_unshuffle`: channel by channel, its four neighbours together. Here each "
    "neighbour's C channels stay together: upper left, lower left, upper right, lower right.",
    edits={_MERGE: '"b (h row) (w col) c -> b h w (c row col)"'},
)

merging.wrong(
    "row by row",
    "You concatenate the four neighbours row by row: upper left, upper right, lower left, lower right. The order is column by "
    "column: upper left, lower left, upper right, lower right.",
    edits={_MERGE: '"b (h row) (w col) c -> b h w (row col c)"'},
)

merging.wrong(
    "channels outside",
    "You interleave the neighbours channel by channel. Each neighbour's C channels stay together: (4 neighbours, C).",
    edits={_MERGE: '"b (h row) (w col) c -> b h w (c col row)"'},
)

merging.wrong(
    "quarters of the map",
    "You merge pixels from the four quarters of the map. Neighbours lie side by side: when you split H, the axis of size 2 is "
    "the inner one.",
    edits={_MERGE: '"b (row h) (col w) c -> b h w (col row c)"'},
)

merging.wrong(
    "norm after the reduction",
    "You normalise after the reduction. The norm has 4C channels: it comes before.",
    edits={"self.reduction(self.norm(x))": "self.norm(self.reduction(x))"},
)

merging.wrong(
    "norm after the reduction, with 2C channels",
    "You made the norm 2C wide and put it behind the reduction. It is 4C wide and comes before the reduction.",
    edits={
        "nn.LayerNorm(4 * dim)": "nn.LayerNorm(2 * dim)",
        "self.reduction(self.norm(x))": "self.norm(self.reduction(x))",
    },
)

merging.wrong(
    "no norm",
    "You do not use the norm. The 4C channels are normalised before they are reduced to 2C.",
    edits={"self.reduction(self.norm(x))": "self.reduction(x)"},
)

merging.wrong(
    "odd sides cut off",
    "You drop the last row or column of a map with an odd side. Pad it with zeros instead: no pixel is lost.",
    edits={
        "x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))": "x = x[:, : height - height % 2, : width - width % 2]"
    },
)

merging.wrong(
    "padded at the top and on the left",
    "You pad at the top and on the left. The zeros go to the bottom and to the right.",
    edits={"(0, 0, 0, width % 2, 0, height % 2)": "(0, 0, width % 2, 0, height % 2, 0)"},
)

merging.wrong(
    "padding of rows and columns exchanged",
    "You pad a row where the width is odd and a column where the height is. F.pad begins with the last axis: channels, width, "
    "height.",
    edits={"(0, 0, 0, width % 2, 0, height % 2)": "(0, 0, 0, height % 2, 0, width % 2)"},
)


@merging.right("four slices")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, dim=-1)))


@merging.right("view and permute, padding by concatenation")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        if x.shape[1] % 2:
            x = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
        if x.shape[2] % 2:
            x = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
        return self.reduction(self.norm(x.reshape(batch, height // 2, width // 2, 4 * channels)))


@merging.right("a strided convolution does the reduction")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = (
            F.unfold(x.permute(0, 3, 1, 2), 2, stride=2)
            .unflatten(1, (-1, 4))
            .unflatten(-1, ((x.shape[1]) // 2, x.shape[2] // 2))
        )  # (B, C, 4 row by row, H/2, W/2)
        x = x[:, :, [0, 2, 1, 3]].permute(0, 3, 4, 2, 1).flatten(3)
        return F.linear(self.norm(x), self.reduction.weight)


@merging.wrong(
    'last row repeated',
    "You pad by repeating the last row or column. Pad with zeros."
)
class PatchMerging(nn.Module):

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        if x.shape[1] % 2:
            x = torch.cat([x, x[:, -1:]], dim=1)
        if x.shape[2] % 2:
            x = torch.cat([x, x[:, :, -1:]], dim=2)
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, dim=-1)))


@merging.wrong(
    'tokens in a row',
    "You return the tokens in one row, (B, N, 2C). The result should be a map, (B, H / 2, W / 2, 2C)."
)
class PatchMerging(nn.Module):

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, dim=-1).flatten(1, 2)))


@merging.right("pixel_unshuffle")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x.permute(0, 3, 1, 2), (0, x.shape[2] % 2, 0, x.shape[1] % 2))
        groups = F.pixel_unshuffle(x, 2).unflatten(1, (-1, 2, 2))  # (B, C, row, column, h, w)
        return self.reduction(self.norm(groups.permute(0, 4, 5, 3, 2, 1).flatten(3)))


@merging.right('einops')
class PatchMerging(nn.Module):

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        return self.reduction(self.norm(rearrange(x, 'b (h p) (w q) c -> b h w (q p c)', p=2, q=2)))


@merging.right("one map per neighbour, stacked")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim * 4)
        self.reduction = nn.Linear(dim * 4, dim * 2, bias=False)

    def forward(self, x):
        height, width = ((side + 1) // 2 * 2 for side in x.shape[1:3])
        whole = x.new_zeros(len(x), height, width, x.shape[3])
        whole[:, : x.shape[1], : x.shape[2]] = x
        neighbours = [whole[:, row::2, column::2] for column in range(2) for row in range(2)]
        return self.reduction(self.norm(torch.stack(neighbours, dim=3).flatten(3)))


