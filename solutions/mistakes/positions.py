"""Wrong and alternative right answers: sinusoidal positions."""

from __future__ import annotations

from utils.grading.bank import Bank

positions = Bank("sinusoidal_positions")

positions.wrong(
    "frequencies spread to the very end",
    "Your frequencies go all the way down to 1/10000, as in tensor2tensor: the exponent is divided by D/2 - 1. The paper's is 2i / D, "
    "which ends just before 1.",
    edits={"-torch.arange(0, dim, 2) / dim": "-torch.arange(dim // 2) / max(dim // 2 - 1, 1)"},
)

STACK = "torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)"

positions.wrong(
    "sines first, cosines behind",
    "All your sines come first and all cosines behind them. They alternate: sine in the even columns, cosine in the odd ones.",
    edits={STACK: "torch.cat([angles.sin(), angles.cos()], dim=-1)"},
)

positions.wrong(
    "sine and cosine exchanged",
    "Your cosines are in the even columns. The sine comes first: column 2i is the sine, column 2i + 1 the cosine.",
    edits={STACK: STACK.replace("angles.sin(), angles.cos()", "angles.cos(), angles.sin()")},
)

SPEEDS = "10000 ** (-torch.arange(0, dim, 2) / dim)"

positions.wrong(
    "exponent half as large",
    "Your frequencies fall too slowly: the exponent is 2i / D with i counting the pairs, so it runs from 0 almost to 1. Yours "
    "ends at one half.",
    edits={SPEEDS: "10000 ** (-torch.arange(dim // 2) / dim)"},
)

positions.wrong(
    "exponent twice as large",
    "Your frequencies fall too fast: you count in steps of two and then multiply by two again. The exponent is 2i / D with i = 0, "
    "1, 2, ...",
    edits={SPEEDS: "10000 ** (-2 * torch.arange(0, dim, 2) / dim)"},
)

positions.wrong(
    "exponent with the wrong sign",
    "Your frequencies grow from column to column. The position is divided by 10000^(2i / D), so they fall from 1 to about 1/10000.",
    edits={SPEEDS: SPEEDS.replace("(-", "(")},
)

positions.wrong(
    "a frequency for each column",
    "Each of your columns has a frequency of its own. The two columns of a pair, 2i and 2i + 1, share one.",
    edits={
        SPEEDS: "10000 ** (-torch.arange(dim) / dim)",
        STACK: "torch.where(torch.arange(dim) % 2 == 0, angles.sin(), angles.cos())",
    },
)

positions.wrong(
    "positions counted from one",
    "Your positions start at 1. They start at 0, so the first row is 0, 1, 0, 1, ...",
    edits={"torch.arange(length)": "torch.arange(1, length + 1)"},
)

positions.wrong(
    "another base",
    "Your base is 1000. The paper's is 10000.",
    edits={SPEEDS: SPEEDS.replace("10000", "1000")},
)

positions.wrong(
    "whole turns",
    "Your angles have a factor of 2 pi. The formula has none: the first hand turns by one radian per position.",
    edits={"positions * speeds": "2 * torch.pi * positions * speeds"},
)

positions.wrong(
    "only sines",
    "Both columns of your pairs hold the sine. With the sine alone, two positions can look the same; the second column is the "
    "cosine.",
    edits={STACK: STACK.replace("angles.cos()", "angles.sin()")},
)

positions.wrong(
    "transposed",
    "Your table has a row per column of the encoding, (D, N). A row belongs to a position: (N, D).",
    edits={STACK: STACK + ".T"},
)

positions.wrong(
    "double precision is returned",
    "Your table is float64. Compute it as you like, and return float32, as the network's other numbers are.",
    edits={STACK: STACK + ".double()"},
)


@positions.right("two slices of an empty table")
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError("the width has to be even")
    table = torch.zeros(length, dim)
    position = torch.arange(length).unsqueeze(1).float()
    exponents = torch.arange(0, dim, 2).float() / dim
    table[:, 0::2] = torch.sin(position / 10000**exponents)
    table[:, 1::2] = torch.cos(position / 10000**exponents)
    return table


@positions.right("two loops")
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError(f'an odd width: {dim}')
    import math

    rows = []
    for p in range(length):
        row = []
        for i in range(dim // 2):
            angle = p / 10000 ** (2 * i / dim)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows)


@positions.right("exponential of a logarithm, sine shifted by a quarter turn")
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError("the width has to be even")
    import math

    speeds = torch.exp(torch.arange(0, dim, 2, dtype=torch.float64) * (-math.log(10000.0) / dim))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), speeds).repeat_interleave(2, dim=1)
    shift = torch.tensor([0.0, math.pi / 2], dtype=torch.float64).repeat(dim // 2)
    return torch.sin(angles + shift).float()


@positions.right('stack and flatten')
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError(f'sine and cosine come in pairs, so dim must be even, got {dim}')
    speeds = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angles = torch.arange(length)[:, None] * speeds
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@positions.right('every second column')
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError(f'sine and cosine come in pairs, so dim must be even, got {dim}')
    position = torch.arange(length, dtype=torch.float32).unsqueeze(1)
    divide = torch.exp(torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(10000.0) / dim))
    table = torch.zeros(length, dim)
    table[:, 0::2] = torch.sin(position * divide)
    table[:, 1::2] = torch.cos(position * divide)
    return table


@positions.right('plain loops')
def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError(f'sine and cosine come in pairs, so dim must be even, got {dim}')
    rows = [[(math.cos if column % 2 else math.sin)(p / 10000 ** ((column - column % 2) / dim)) for column in range(dim)] for p in range(length)]
    return torch.tensor(rows, dtype=torch.float32).reshape(length, dim)


