"""Shared and free weights: what students really write, wrong and right."""

from __future__ import annotations

from utils.grading.bank import Bank

# fit_convolution -------------------------------------------------------------------------------------------------------

shared = Bank("fit_convolution")
SHIFTED = "shifted = [inputs.roll(reach - j, dims=-1) for j in range(kernel_size)]"
COLUMNS = "columns = torch.stack(shifted, dim=-1).flatten(0, 1)"
SOLVE = "return torch.linalg.pinv(columns) @ outputs.flatten()"

shared.wrong(
    "kernel flipped",
    "Your kernel comes out in the opposite order: for the output at i, entry j should meet the input at i + j - r, "
    "as in conv1d, and yours meets the one at i - j + r.",
    edits={SHIFTED: "shifted = [inputs.roll(j - reach, dims=-1) for j in range(kernel_size)]"},
)
shared.wrong(
    "starts at the output's own place",
    "Your kernel begins at the output's own place. It should reach r = kernel_size // 2 places to both sides.",
    edits={SHIFTED: "shifted = [inputs.roll(-j, dims=-1) for j in range(kernel_size)]"},
)
shared.wrong(
    "zeros beyond the ends",
    "You put zeros beyond the ends of the signal. Here it goes on at its other end (roll, or an index modulo d).",
    edits={
        SHIFTED: "padded = torch.nn.functional.pad(inputs, (reach, reach))\n    shifted = [padded[:, j : j + inputs.shape[1]] for j in range(kernel_size)]"
    },
)
shared.wrong(
    "rows and columns mixed",
    "Your table has the right size, but its rows do not belong to the outputs' order: a reshape has mixed positions "
    "and kernel entries. Stack the shifted signals along a new last axis.",
    edits={COLUMNS: "columns = torch.stack(shifted, dim=1).reshape(-1, kernel_size)"},
)
shared.wrong(
    "mean over the signals",
    "You average the signals before fitting, so most of what they say about the kernel is gone. Every output of every signal is a row.",
    edits={
        COLUMNS: "columns = torch.stack(shifted, dim=-1).mean(0)",
        SOLVE: "return torch.linalg.pinv(columns) @ outputs.mean(0)",
    },
)
shared.wrong(
    "only the first signal",
    "You fit the first signal only. Use all of them.",
    edits={
        COLUMNS: "columns = torch.stack(shifted, dim=-1)[0]",
        SOLVE: "return torch.linalg.pinv(columns) @ outputs[0]",
    },
)
shared.wrong(
    "mean of one kernel per signal",
    "You fit a kernel to each signal and average the kernels. One fit to all signals together weighs them by how much they tell.",
    edits={
        COLUMNS: "columns = torch.stack(shifted, dim=-1)",
        SOLVE: "return torch.stack([torch.linalg.pinv(c) @ y for c, y in zip(columns, outputs)]).mean(0)",
    },
)
shared.wrong(
    "ridge",
    "You add a penalty on large weights (ridge regression). Plain least squares was asked for.",
    edits={
        SOLVE: "gram = columns.T @ columns + 0.1 * torch.eye(kernel_size, dtype=columns.dtype)\n    return torch.linalg.solve(gram, columns.T @ outputs.flatten())"
    },
)
shared.wrong(
    "correlation in place of a fit",
    "You fit each entry of the kernel by itself: X'y, divided by each column's own squares. The shifted inputs "
    "overlap, so all entries must be fitted together: (X'X)^-1 X'y.",
    edits={SOLVE: "return columns.T @ outputs.flatten() / columns.square().sum(0)"},
)
shared.wrong(
    "a column",
    "Your kernel is a column, (k, 1). It should have the shape (k,).",
    edits={SOLVE: "return torch.linalg.pinv(columns) @ outputs.reshape(-1, 1)"},
)

shared.right(
    "lstsq",
    edits={
        SOLVE: "return torch.linalg.lstsq(columns, outputs.reshape(-1, 1), driver='gelsd').solution[:, 0]"
    },
)
shared.right(
    "an index table",
    edits={
        SHIFTED: "places = (torch.arange(inputs.shape[1])[:, None] + torch.arange(kernel_size) - reach) % inputs.shape[1]",
        COLUMNS: "columns = inputs[:, places].flatten(0, 1)",
    },
)
shared.right(
    "circular padding and unfold",
    edits={
        SHIFTED: "padded = torch.cat([inputs[:, inputs.shape[1] - reach :], inputs, inputs[:, :reach]], dim=1)",
        COLUMNS: "columns = padded.unfold(1, kernel_size, 1).reshape(-1, kernel_size)",
    },
)
shared.right(
    "normal equations by pinv",
    edits={
        SOLVE: "return torch.linalg.pinv(columns.T @ columns, hermitian=True) @ (columns.T @ outputs.flatten())"
    },
)
shared.right(
    "double precision inside",
    edits={
        SOLVE: "return (torch.linalg.pinv(columns.double()) @ outputs.double().flatten()).to(inputs.dtype)"
    },
)


@shared.right("loops and NumPy")
def fit_convolution(inputs, outputs, kernel_size):
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= inputs.shape[1] or inputs.shape != outputs.shape:
        raise ValueError(f'kernel size {kernel_size}')
    import numpy as np

    n, d = inputs.shape
    rows, right = [], []
    for s in range(n):
        for i in range(d):
            rows.append([float(inputs[s, (i + j - kernel_size // 2) % d]) for j in range(kernel_size)])
            right.append(float(outputs[s, i]))
    kernel = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    return torch.tensor(kernel, dtype=inputs.dtype)


@shared.wrong(
    'normal equations',
    'Your normal equations need an inverse that is not there where several kernels fit equally well. The pseudo-inverse gives the '
    'shortest.'
)
def fit_convolution(inputs, outputs, kernel_size):
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f'kernel_size must be odd and between 1 and {d}, got {kernel_size}')
    if inputs.shape != outputs.shape:
        raise ValueError(f'inputs and outputs must have one shape, got {list(inputs.shape)} and {list(outputs.shape)}')
    r = kernel_size // 2
    table = torch.stack([inputs.roll(r - j, dims=1) for j in range(kernel_size)], dim=-1)
    table, target = (table.reshape(-1, kernel_size), outputs.reshape(-1))
    return torch.linalg.solve(table.T @ table, table.T @ target)


@shared.wrong(
    'roll without dims',
    'You roll without `dims`, which moves the flattened table: numbers of one signal run into the next.'
)
def fit_convolution(inputs, outputs, kernel_size):
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f'kernel_size must be odd and between 1 and {d}, got {kernel_size}')
    if inputs.shape != outputs.shape:
        raise ValueError(f'inputs and outputs must have one shape, got {list(inputs.shape)} and {list(outputs.shape)}')
    r = kernel_size // 2
    columns = torch.stack([inputs.roll(r - j) for j in range(kernel_size)], dim=-1)
    return torch.linalg.pinv(columns.flatten(0, 1)) @ outputs.flatten()


@shared.wrong(
    'with an intercept',
    'You subtract the means first, which fits an offset as well. The model has none.'
)
def fit_convolution(inputs, outputs, kernel_size):
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f'kernel_size must be odd and between 1 and {d}, got {kernel_size}')
    if inputs.shape != outputs.shape:
        raise ValueError(f'inputs and outputs must have one shape, got {list(inputs.shape)} and {list(outputs.shape)}')
    r = kernel_size // 2
    columns = torch.stack([inputs.roll(r - j, dims=1) for j in range(kernel_size)], dim=-1).flatten(0, 1)
    target = outputs.flatten()
    columns, target = (columns - columns.mean(0), target - target.mean())
    return torch.linalg.pinv(columns) @ target


@shared.wrong(
    'middle output only',
    'You use one output of each signal. Every output is an equation: n d of them.'
)
def fit_convolution(inputs, outputs, kernel_size):
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f'kernel_size must be odd and between 1 and {d}, got {kernel_size}')
    if inputs.shape != outputs.shape:
        raise ValueError(f'inputs and outputs must have one shape, got {list(inputs.shape)} and {list(outputs.shape)}')
    d, r = (inputs.shape[1], kernel_size // 2)
    middle = d // 2
    table = inputs[:, middle - r:middle - r + kernel_size]
    return torch.linalg.pinv(table) @ outputs[:, middle]


@shared.wrong(
    'stacked along the wrong axis',
    'You stack the moved copies in front and reshape, which mixes positions and kernel entries. Each row of the table belongs to '
    'one output.'
)
def fit_convolution(inputs, outputs, kernel_size):
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f'kernel_size must be odd and between 1 and {d}, got {kernel_size}')
    if inputs.shape != outputs.shape:
        raise ValueError(f'inputs and outputs must have one shape, got {list(inputs.shape)} and {list(outputs.shape)}')
    r = kernel_size // 2
    copies = torch.stack([inputs.roll(r - j, dims=1) for j in range(kernel_size)])
    return torch.linalg.pinv(copies.reshape(-1, kernel_size)) @ outputs.flatten()


# fit_matrix ------------------------------------------------------------------------------------------------------------

free = Bank("fit_matrix")
FIT = "transposed = torch.linalg.pinv(inputs) @ outputs"
TURN = "return transposed.mT"

free.wrong(
    "small directions thrown away",
    "Your pseudo-inverse throws away directions in which the signals vary little, and with them a part of the fit. Leave its tolerance "
    "as it is: it is for rounding only.",
    edits={"torch.linalg.pinv(inputs)": "torch.linalg.pinv(inputs, rtol=0.1)"},
)

free.wrong(
    "not transposed",
    "Your matrix is (d, e), for inputs that stand in front of it. Transpose it: outputs[s] = matrix @ inputs[s].",
    edits={TURN: "return transposed"},
)
free.wrong(
    "from outputs to inputs",
    "Your matrix goes from the outputs to the inputs. It should make outputs from inputs.",
    edits={FIT: "transposed = torch.linalg.pinv(outputs) @ inputs"},
)
free.wrong(
    "with an intercept",
    "You subtract the means first, which fits a matrix and an offset. The model here has no offset.",
    edits={FIT: "transposed = torch.linalg.pinv(inputs - inputs.mean(0)) @ (outputs - outputs.mean(0))"},
)
free.wrong(
    "ridge",
    "You add a penalty on large weights (ridge regression). Plain least squares was asked for.",
    edits={
        FIT: "gram = inputs.mT @ inputs + 0.1 * torch.eye(inputs.shape[1], dtype=inputs.dtype)\n    transposed = torch.linalg.solve(gram, inputs.mT @ outputs)"
    },
)
free.wrong(
    "correlation in place of a fit",
    "You correlate inputs and outputs, and leave out how the inputs overlap: that is X'Y, and the fit is (X'X)^-1 X'Y.",
    edits={FIT: "transposed = inputs.mT @ outputs / len(inputs)"},
)
free.wrong(
    "only one of many",
    "With fewer signals than positions your matrix fits, but it is not the one with the smallest entries: some columns are simply zero. The pseudo-inverse gives the minimum norm.",
    edits={
        FIT: "few = min(inputs.shape)\n    transposed = torch.zeros(inputs.shape[1], outputs.shape[1], dtype=inputs.dtype)\n    transposed[:few] = torch.linalg.pinv(inputs[:, :few]) @ outputs"
    },
)
free.wrong(
    "normal equations without a way out",
    "You add a small number to the diagonal of X'X so that it has an inverse, and that changes the fit. The "
    "pseudo-inverse needs no such help, also with fewer signals than positions.",
    edits={
        FIT: "gram = inputs.mT @ inputs + 1e-3 * torch.eye(inputs.shape[1], dtype=inputs.dtype)\n    transposed = torch.linalg.solve(gram, inputs.mT @ outputs)"
    },
)
free.wrong(
    "a diagonal",
    "Your matrix has weights on its diagonal only, one per position. A free matrix has a weight for every pair of "
    "positions.",
    edits={
        FIT: "weight = (inputs[:, :1] * outputs).sum(0) / inputs[:, :1].square().sum()\n    transposed = torch.zeros(inputs.shape[1], outputs.shape[1], dtype=inputs.dtype)\n    transposed[range(min(transposed.shape)), range(min(transposed.shape))] = weight[: min(transposed.shape)]"
    },
)

free.right("lstsq", edits={FIT: "transposed = torch.linalg.lstsq(inputs, outputs, driver='gelsd').solution"})
free.right(
    "svd by hand",
    edits={
        FIT: "u, s, v = torch.linalg.svd(inputs, full_matrices=False)\n    inverse = torch.where(s > 1e-6 * s[0], 1 / s, 0)\n    transposed = v.mT @ ((u.mT @ outputs) * inverse[:, None])"
    },
)
free.right("pinv of the transpose", edits={TURN: "return outputs.mT @ torch.linalg.pinv(inputs.mT)"})
free.right(
    "einsum", edits={FIT: "transposed = torch.einsum('dn,ne->de', torch.linalg.pinv(inputs), outputs)"}
)
free.right(
    "two cases, the smaller product of the signals",
    edits={
        FIT: "if len(inputs) >= inputs.shape[1]:\n        transposed = torch.linalg.pinv(inputs.mT @ inputs) @ inputs.mT @ outputs\n    else:\n        transposed = inputs.mT @ torch.linalg.pinv(inputs @ inputs.mT) @ outputs"
    },
)
free.right(
    "double precision inside",
    edits={FIT: "transposed = (torch.linalg.pinv(inputs.double()) @ outputs.double()).to(inputs.dtype)"},
)


@free.wrong(
    'gradient descent',
    "Your gradient descent stops before it has converged, and keeps its random start in directions of which the "
    "signals say nothing. Solve the least-squares problem directly."
)
def fit_matrix(inputs, outputs):
    if len(inputs) != len(outputs):
        raise ValueError(f'there must be as many outputs as inputs, got {len(outputs)} and {len(inputs)}')
    torch.manual_seed(0)
    matrix = torch.randn(outputs.shape[1], inputs.shape[1], dtype=inputs.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([matrix], lr=0.05)
    with torch.enable_grad():
        for _ in range(200):
            optimizer.zero_grad()
            (inputs @ matrix.mT - outputs).square().mean().backward()
            optimizer.step()
    return matrix.detach()


