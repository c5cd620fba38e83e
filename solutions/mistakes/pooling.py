"""Wrong and alternative right answers: the token mixer of PoolFormer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.grading.bank import Bank

pooling = Bank("Pooling")

_COUNT = ", count_include_pad=False"

pooling.wrong(
    "padding counted",
    "You count the padding: at the border your mean divides by K * K although fewer positions lie inside the map, so it is too "
    "small. `F.avg_pool2d` has an argument for that.",
    edits={_COUNT: ""},
)

pooling.wrong(
    "input not subtracted",
    "You return the mean itself. The block adds the input back, so the mixer subtracts it.",
    edits={"return mean - x": "return mean"},
)

pooling.wrong(
    "subtracted the other way round",
    "Your sign is reversed: it is the mean minus the input.",
    edits={"return mean - x": "return x - mean"},
)

pooling.wrong(
    "maximum instead of mean",
    "You take the maximum of the neighbourhood, not its mean.",
    edits={"F.avg_pool2d(": "F.max_pool2d(", _COUNT: ""},
)

pooling.wrong(
    "sum instead of mean",
    "Your mean is multiplied by K * K. The mean of the neighbourhood itself is asked for, minus the token.",
    edits={"return mean - x": "return mean * self.pool_size**2 - x"},
)

pooling.wrong(
    "plain sum",
    "You add up the neighbourhood and do not divide by the number of positions.",
    edits={
        "return mean - x": "return F.avg_pool2d(x, self.pool_size, 1, self.pool_size // 2, divisor_override=1) - x"
    },
)

pooling.wrong(
    "mean of the neighbours without the token",
    "Your mean leaves the token itself out. It is one of the positions of its neighbourhood: the mean is over all of them.",
    edits={
        "return mean - x": "number = F.avg_pool2d(torch.ones_like(x), self.pool_size, 1, self.pool_size // 2) * self.pool_size**2\n"
        "        return torch.where(number > 1, (mean * number - x) / (number - 1).clamp(min=1), x) - x"
    },
)

pooling.wrong(
    "a window that begins at the token",
    "Your neighbourhood begins at the token and reaches to the right and down. The token is in the middle: pad pool_size // 2 on "
    "every side.",
    edits={
        "x, self.pool_size, stride=1, padding=self.pool_size // 2, count_include_pad=False": "F.pad(x, (0, self.pool_size - 1, 0, self.pool_size - 1)), self.pool_size, stride=1"
    },
)

pooling.wrong(
    "the border repeated",
    "You continue the map beyond its border with copies of the border. Then these count several times in the mean: take the mean "
    "over the positions that are there.",
    edits={
        "x, self.pool_size, stride=1, padding=self.pool_size // 2, count_include_pad=False": 'F.pad(x, (self.pool_size // 2,) * 4, mode="replicate"), self.pool_size, stride=1'
    },
)

pooling.wrong(
    "always three",
    "Your neighbourhood is 3 x 3, whatever `pool_size` says.",
    edits={"x, self.pool_size, stride=1, padding=self.pool_size // 2": "x, 3, stride=1, padding=1"},
)


@pooling.right("AvgPool2d")
class Pooling(nn.Module):
    def __init__(self, pool_size=3):
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'an even neighbourhood: {pool_size}')
        super().__init__()
        self.pool = nn.AvgPool2d(pool_size, 1, pool_size // 2, count_include_pad=False)

    def forward(self, x):
        return torch.sub(self.pool(x), x)


@pooling.right("sums by convolution, divided by the number of positions")
class Pooling(nn.Module):
    def __init__(self, pool_size=3):
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'an even neighbourhood: {pool_size}')
        super().__init__()
        self.pool_size = pool_size

    def forward(self, x):
        channels, size = x.shape[1], self.pool_size
        kernel = torch.ones(channels, 1, size, size, dtype=x.dtype)
        total = F.conv2d(x, kernel, padding=size // 2, groups=channels)
        return total / F.conv2d(torch.ones_like(x), kernel, padding=size // 2, groups=channels) - x


@pooling.right("loops and slices")
class Pooling(nn.Module):
    def __init__(self, pool_size=3):
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'an even neighbourhood: {pool_size}')
        super().__init__()
        self.reach = pool_size // 2

    def forward(self, x):
        height, width = x.shape[-2:]
        rows = []
        for i in range(height):
            row = []
            for j in range(width):
                part = x[
                    ...,
                    max(0, i - self.reach) : i + self.reach + 1,
                    max(0, j - self.reach) : j + self.reach + 1,
                ]
                row.append(part.mean(dim=(-2, -1)) - x[..., i, j])
            rows.append(torch.stack(row, dim=-1))
        return torch.stack(rows, dim=-2)


@pooling.right("a banded matrix along each axis")
class Pooling(nn.Module):
    def __init__(self, pool_size=3):
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'an even neighbourhood: {pool_size}')
        super().__init__()
        self.reach = pool_size // 2

    def forward(self, x):
        def band(side):
            at = torch.arange(side)
            near = ((at[:, None] - at[None, :]).abs() <= self.reach).to(x.dtype)
            return near / near.sum(dim=1, keepdim=True)

        return band(x.shape[-2]) @ x @ band(x.shape[-1]).T - x


@pooling.wrong(
    'without the middle',
    'Your mean leaves the position itself out. It is over the whole neighbourhood.'
)
class Pooling(nn.Module):

    def __init__(self, pool_size=3):
        super().__init__()
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'a neighbourhood with the token in its middle has an odd side, got {pool_size}')
        self.pool_size = pool_size

    def forward(self, x):
        k = self.pool_size

        def mean(t):
            return F.avg_pool2d(t, k, stride=1, padding=k // 2)

        count = mean(torch.ones_like(x)) * k * k
        return (mean(x) * k * k - x) / (count - 1).clamp(min=1) - x


pooling.wrong(
    'stride left out',
    'Your window jumps by its own size. It moves one position at a time: stride 1.',
    edits={
        "mean = F.avg_pool2d(x, self.pool_size, stride=1, padding=self.pool_size // 2, count_include_pad=False)\n"
        "        return mean - x": "k = self.pool_size\n"
        "        pooled = F.avg_pool2d(x, k, padding=k // 2, count_include_pad=False)\n"
        "        return F.interpolate(pooled, size=x.shape[-2:]) - x",
    },
)


pooling.wrong(
    'pools tokens in a row',
    'You pool along the flattened positions. The neighbourhood is K x K, in rows and columns.',
    edits={
        "mean = F.avg_pool2d(x, self.pool_size, stride=1, padding=self.pool_size // 2, count_include_pad=False)\n"
        "        return mean - x": "k = self.pool_size\n"
        "        rows = F.avg_pool1d(x.flatten(2), k, 1, k // 2, count_include_pad=False)\n"
        "        return rows.view_as(x) - x",
    },
)


@pooling.wrong(
    'no mixing in eval',
    "Your output is 0 everywhere in evaluation mode (does it depend on `self.training`?). Pooling is no dropout: it "
    "mixes in both modes."
)
class Pooling(nn.Module):

    def __init__(self, pool_size=3):
        super().__init__()
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'a neighbourhood with the token in its middle has an odd side, got {pool_size}')
        self.pool_size = pool_size

    def forward(self, x):
        if not self.training:
            return torch.zeros_like(x)
        k = self.pool_size
        return F.avg_pool2d(x, k, stride=1, padding=k // 2, count_include_pad=False) - x


@pooling.right('one call')
class Pooling(nn.Module):

    def __init__(self, pool_size=3):
        super().__init__()
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'a neighbourhood with the token in its middle has an odd side, got {pool_size}')
        self.pool_size = pool_size

    def forward(self, x):
        k = self.pool_size
        return F.avg_pool2d(x, k, stride=1, padding=k // 2, count_include_pad=False) - x


@pooling.right('mean of ones')
class Pooling(nn.Module):

    def __init__(self, pool_size=3):
        super().__init__()
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f'a neighbourhood with the token in its middle has an odd side, got {pool_size}')
        self.pool_size = pool_size

    def forward(self, x):

        def pool(t):
            return F.avg_pool2d(t, self.pool_size, stride=1, padding=self.pool_size // 2)
        return pool(x) / pool(torch.ones_like(x[:1, :1])) - x


pooling.wrong(
    'mean of the others',
    'Your mean leaves out the token itself. It belongs to its neighbourhood and counts.',
    edits={
        'return mean - x': 'count = F.avg_pool2d(torch.ones_like(x), self.pool_size, 1, self.pool_size // 2, divisor_override=1)\n        return (mean * count - x) / (count - 1).clamp(min=1) - x',
    },
)


pooling.wrong(
    'gradient of the token missing',
    'The x that you subtract is detached: the values are right, and its part of the gradient is missing. Leave out detach() and .data.',
    edits={
        'return mean - x': 'return mean - x.detach()',
    },
)
