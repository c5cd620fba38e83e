"""Wrong and alternative right answers: what a model does when the image moves."""

from __future__ import annotations

import torch

from utils.grading.bank import Bank

equivariance = Bank("translation_equivariance_error")

STEPS = """    steps = [
        s * after // before for s, before, after in zip(shift, x.shape[2:], output.shape[2:], strict=True)
    ]
"""

equivariance.wrong(
    "output moved as far as the input",
    "You move the output as far as the input. A layer with a stride has fewer positions: at stride 2, four pixels are two of them.",
    edits={STEPS: "    steps = shift\n"},
)

equivariance.wrong(
    "stride the wrong way round",
    "Your factor from input to output positions is upside down: an output of half the size moves half as far.",
    edits={"s * after // before": "s * before // after"},
)

equivariance.wrong(
    "one factor for both axes",
    "You use the factor of the rows for both axes. A layer may have one stride down and another across.",
    edits={
        STEPS: "    steps = [s * output.shape[2] // x.shape[2] for s in shift]\n",
    },
)

MOVE = "moved_after = output.roll(steps, dims=(2, 3))"

equivariance.wrong(
    "axes swapped",
    "You move the columns by what is meant for the rows, and the other way round: `shift` is (down, right), and rows are axis 2.",
    edits={MOVE: "moved_after = output.roll(steps, dims=(3, 2))"},
)

equivariance.wrong(
    "moved back",
    "You move the output in the opposite direction. Both must move the same way, and then be equal.",
    edits={MOVE: "moved_after = output.roll([-step for step in steps], dims=(2, 3))"},
)

equivariance.wrong(
    "output not moved",
    "You compare with the output of the image in place, without moving it. That asks for invariance; equivariance lets the output move along.",
    edits={"(moved_first - moved_after)": "(moved_first - output)"},
)

RATIO = "return (moved_first - moved_after).norm() / output.norm()"

equivariance.wrong(
    "not divided by the output",
    "You return the size of the difference alone. Divide it by the norm of the output: else a layer with larger weights looks worse.",
    edits={RATIO: "return (moved_first - moved_after).norm()"},
)

equivariance.wrong(
    "divided by the norm of the input",
    "You divide by the norm of x. The difference is one of outputs, so the output is what to compare it with.",
    edits={"/ output.norm()": "/ x.norm()"},
)

equivariance.wrong(
    "squares, without the root",
    "You return the ratio of the squared norms: the square root is missing.",
    edits={RATIO: "return (moved_first - moved_after).pow(2).sum() / output.pow(2).sum()"},
)

equivariance.wrong(
    "sum of magnitudes",
    "You add up magnitudes. The exercise asks for the Euclidean norm: the root of the sum of squares.",
    edits={RATIO: "return (moved_first - moved_after).abs().sum() / output.abs().sum()"},
)

equivariance.wrong(
    "largest difference",
    "You return the largest difference. The exercise asks for the Euclidean norm over all numbers, which a single position does not decide.",
    edits={RATIO: "return (moved_first - moved_after).abs().max() / output.abs().max()"},
)

equivariance.wrong(
    "mean over the images",
    "You take the ratio image by image and average the ratios. The norm runs over all numbers of the batch at once.",
    edits={
        RATIO: "return ((moved_first - moved_after).flatten(1).norm(dim=1) / output.flatten(1).norm(dim=1)).mean()"
    },
)

equivariance.wrong(
    "flattened roll",
    "You roll without naming the axes, which moves the numbers through the flattened tensor and over the ends of rows and channels.",
    edits={MOVE: "moved_after = output.roll(steps[0]).roll(steps[1])"},
)

equivariance.right(
    "the output moved first, then the rest",
    edits={
        STEPS: "    scale = [output.shape[i] / x.shape[i] for i in (2, 3)]\n",
        MOVE: "moved_after = torch.roll(output, (round(shift[0] * scale[0]), round(shift[1] * scale[1])), (2, 3))",
        RATIO: "return torch.dist(moved_first, moved_after) / torch.linalg.vector_norm(output)",
    },
)

equivariance.right(
    "undone on the other side, in float64",
    edits={
        MOVE: "back = moved_first.double().roll([-step for step in steps], dims=(2, 3))",
        RATIO: "return ((back - output).square().sum() / output.double().square().sum()).sqrt().to(output.dtype)",
    },
)

equivariance.right(
    "gathered with indices",
    edits={
        MOVE: "rows = (torch.arange(output.shape[2]) - steps[0]) % output.shape[2]\n    columns = (torch.arange(output.shape[3]) - steps[1]) % output.shape[3]",
        RATIO: "return (moved_first - output[:, :, rows][:, :, :, columns]).norm() / output.norm()",
    },
)

equivariance.right(
    "one axis after the other",
    edits={
        MOVE: "moved_after = output.roll(steps[0], 2).roll(steps[1], 3)",
        RATIO: "return (moved_first - moved_after).flatten().norm() / output.flatten().norm()",
    },
)


@equivariance.wrong(
    "other denominator",
    "You divide by the output for the moved input. The formula divides by the norm of layer(x).",
)
@torch.no_grad()
def translation_equivariance_error(layer, x, shift):
    moved_first = layer(x.roll(shift, dims=(2, 3)))
    output = layer(x)
    for name, s, before, after in zip(("down", "right"), shift, x.shape[2:], output.shape[2:], strict=True):
        if s * after % before:
            raise ValueError(
                f"a shift of {s} pixels {name} has no counterpart in the output: {before} positions become {after}"
            )
    after = [s * o // i for s, o, i in zip(shift, output.shape[2:], x.shape[2:])]
    return (moved_first - output.roll(after, dims=(2, 3))).norm() / moved_first.norm()


@equivariance.wrong(
    "stride by integer division",
    "You divide the sizes by `//` to get a stride. A layer can also enlarge the map: a shift of s becomes s * H' / H.",
)
@torch.no_grad()
def translation_equivariance_error(layer, x, shift):
    moved_first = layer(x.roll(shift, dims=(2, 3)))
    output = layer(x)
    for name, s, before, after in zip(("down", "right"), shift, x.shape[2:], output.shape[2:], strict=True):
        if s * after % before:
            raise ValueError(
                f"a shift of {s} pixels {name} has no counterpart in the output: {before} positions become {after}"
            )
    strides = [i // o for i, o in zip(x.shape[2:], output.shape[2:])]
    moved = output.roll((shift[0] // strides[0], shift[1] // strides[1]), dims=(2, 3))
    return (moved_first - moved).norm() / output.norm()


@equivariance.wrong(
    "normalises in place",
    "You divide the layer's output in place; where the layer returns its input as it is, that is the caller's x.",
)
@torch.no_grad()
def translation_equivariance_error(layer, x, shift):
    moved_first = layer(x.roll(shift, dims=(2, 3)))
    output = layer(x)
    for name, s, before, after in zip(("down", "right"), shift, x.shape[2:], output.shape[2:], strict=True):
        if s * after % before:
            raise ValueError(
                f"a shift of {s} pixels {name} has no counterpart in the output: {before} positions become {after}"
            )
    size = output.norm()
    moved_first /= size
    output /= size
    after = [s * o // i for s, o, i in zip(shift, output.shape[2:], x.shape[2:])]
    return (moved_first - output.roll(after, dims=(2, 3))).norm()


equivariance.right(
    "the library's distance",
    edits={RATIO: "return torch.dist(moved_first, moved_after) / torch.linalg.vector_norm(output)"},
)

consistency = Bank("shift_consistency")

ALL = "for axis in (2, 3) for step in (s, -s)"

consistency.wrong(
    "one direction of two",
    "You move down and right only. Up and left count as well.",
    edits={ALL: "for axis in (2, 3) for step in (s,)"},
)

consistency.wrong(
    "across only",
    "You move the images left and right only. Up and down count as well.",
    edits={ALL: "for axis in (3,) for step in (s, -s)"},
)

consistency.wrong(
    "up and down only",
    "You move the images up and down only. Left and right count as well.",
    edits={ALL: "for axis in (2,) for step in (s, -s)"},
)

consistency.wrong(
    "along the diagonals",
    "You move along both axes at once, which is a diagonal. The four moves are up, down, left and right.",
    edits={
        "model(images.roll(step, dims=axis))": "model(images.roll((step, step if axis == 2 else -step), dims=(2, 3)))"
    },
)

BODY = """    in_place = model(images).argmax(-1)  # (B,)
    shares = []
    for s in range(max_shift + 1):
        same = [
            model(images.roll(step, dims=axis)).argmax(-1) == in_place for axis in (2, 3) for step in (s, -s)
        ]  # 4 x (B,)
        shares.append(torch.cat(same).float().mean())
    consistency = torch.stack(shares)
"""

consistency.wrong(
    "zeros come in",
    "Where your images move away, zeros come in. The shift is cyclic here: what leaves on one side comes back on the other.",
    edits={
        BODY: """    in_place = model(images).argmax(-1)
    height, width = images.shape[2:]
    shares = []
    for s in range(max_shift + 1):
        padded = nn.functional.pad(images, (s, s, s, s))
        corners = [(0, s), (2 * s, s), (s, 0), (s, 2 * s)]
        same = [model(padded[:, :, i : i + height, j : j + width]).argmax(-1) == in_place for i, j in corners]
        shares.append(torch.cat(same).float().mean())
    consistency = torch.stack(shares)
"""
    },
)

consistency.wrong(
    "channels moved along",
    "You roll the images without naming an axis, so pixels move over the ends of rows and into other channels.",
    edits={"images.roll(step, dims=axis)": "images.roll(step * (images.shape[-1] if axis == 2 else 1))"},
)

consistency.wrong(
    "batch axis rolled",
    "You roll the axes 0 and 1, which are batch and channels. Height and width are axes 2 and 3.",
    edits={ALL: "for axis in (0, 1) for step in (s, -s)"},
)

consistency.wrong(
    "compared with the shift before",
    "You compare with the shift before. Compare with the image in place, however far it has moved.",
    edits={
        BODY: """    shares = []
    before = [model(images).argmax(-1)] * 4
    for s in range(max_shift + 1):
        now = [model(images.roll(step, dims=axis)).argmax(-1) for axis in (2, 3) for step in (s, -s)]
        shares.append((torch.cat(now) == torch.cat(before)).float().mean())
        before = now
    consistency = torch.stack(shares)
"""
    },
)

consistency.wrong(
    "moved further in every round",
    "Your images move on from where the round before left them, so the distances add up (1, 3, 6, ...). Start from the images in place each time.",
    edits={
        BODY: """    in_place = model(images).argmax(-1)
    shares = []
    moved = [images] * 4
    for s in range(max_shift + 1):
        moves = [(2, s), (2, -s), (3, s), (3, -s)]
        moved = [image.roll(step, dims=axis) for image, (axis, step) in zip(moved, moves)]
        shares.append(torch.cat([model(image).argmax(-1) == in_place for image in moved]).float().mean())
    consistency = torch.stack(shares)
"""
    },
)

SHARE = "torch.cat(same).float().mean()"

consistency.wrong(
    "shares of changed answers",
    "You count the answers that change. Consistency counts those that stay: with a shift of 0 it is 1.",
    edits={SHARE: "1 - torch.cat(same).float().mean()"},
)

consistency.wrong(
    "counts in place of shares",
    "You return counts. Divide by the number of moved images, so that the result does not depend on how many there are.",
    edits={SHARE: "torch.cat(same).float().sum()"},
)

consistency.wrong(
    "all four moves or nothing",
    "You count an image only if all four moves keep its class. Each of the 4 B moved images counts by itself.",
    edits={SHARE: "torch.stack(same).all(0).float().mean()"},
)

consistency.wrong(
    "logits compared",
    "You compare the logits themselves, which agree exactly only where nothing moves. Compare the classes: the "
    "place of the largest logit.",
    edits={
        "model(images).argmax(-1)  # (B,)": "model(images)",
        "model(images.roll(step, dims=axis)).argmax(-1) == in_place": "(model(images.roll(step, dims=axis)) == in_place).all(-1)",
    },
)

consistency.wrong(
    "largest logit of the batch",
    "Your argmax runs over the batch (dim=0). The classes lie along the last axis.",
    edits={
        "model(images).argmax(-1)  # (B,)": "model(images).argmax(0)",
        "dims=axis)).argmax(-1)": "dims=axis)).argmax(0)",
    },
)

consistency.wrong(
    "starts at 1",
    "Your first number belongs to a shift of 1. The list begins with a shift of 0, and so has max_shift + 1 numbers.",
    edits={"for s in range(max_shift + 1)": "for s in range(1, max_shift + 1)"},
)

consistency.wrong(
    "stops too early",
    "The largest shift is missing: `range(n)` ends at n - 1.",
    edits={"for s in range(max_shift + 1)": "for s in range(max(max_shift, 1))"},
)

consistency.wrong(
    "put into training mode",
    "Your model is called in training mode, where dropout and batch norm change its answers from call to call. The lines above "
    "yours have put it into evaluation mode; leave it there.",
    edits={"    in_place = model(images)": "    model.train()\n    in_place = model(images)"},
)

consistency.wrong(
    "returned before the end",
    "The model is not left in the mode in which it came: you return before the last lines can put it back. Give "
    "your result the name `consistency`, and let them return it.",
    edits={"    consistency = torch.stack(shares)\n": "    return torch.stack(shares)\n"},
)

consistency.right(
    "one large batch per shift",
    edits={
        BODY: """    expected = model(images).argmax(dim=1)
    consistency = torch.ones(max_shift + 1)
    for s in range(1, max_shift + 1):
        moves = [(0, s), (0, -s), (s, 0), (-s, 0)]
        batch = torch.cat([torch.roll(images, move, dims=(2, 3)) for move in moves])
        consistency[s] = (model(batch).argmax(dim=1) == expected.repeat(4)).sum() / len(batch)
"""
    },
)

consistency.right(
    "loops over images and moves",
    edits={
        BODY: """    numbers = []
    for s in range(max_shift + 1):
        kept = 0
        for image in images:
            label = model(image[None]).max(1).indices.item()
            for dim, by in ((1, s), (1, -s), (2, s), (2, -s)):
                kept += model(image.roll(by, dim)[None]).max(1).indices.item() == label
        numbers.append(kept / (4 * len(images)))
    consistency = torch.tensor(numbers)
"""
    },
)

consistency.right(
    "halves joined by cat",
    edits={
        BODY: """    def predict(x):
        return model(x).topk(1).indices[:, 0]

    def around(x, s, dim):
        n = x.shape[dim]
        return torch.cat([x.narrow(dim, n - s, s), x.narrow(dim, 0, n - s)], dim)

    first = predict(images)
    rows = []
    for s in range(max_shift + 1):
        height, width = images.shape[2:]
        moved = [around(images, k % n, d) for d, n in ((2, height), (3, width)) for k in (s, n - s)]
        rows.append(torch.stack([predict(m) for m in moved]).eq(first).double().mean())
    consistency = torch.stack(rows).float()
"""
    },
)

consistency.right(
    "averages of the four directions, after softmax",
    edits={
        BODY: """    classes = model(images).softmax(-1).argmax(-1)
    total = torch.zeros(max_shift + 1)
    for direction in (1, -1):
        for axis in (-2, -1):
            for s in range(max_shift + 1):
                now = model(torch.roll(images, direction * s, axis)).softmax(-1).argmax(-1)
                total[s] += torch.mean((now == classes).float()) / 4
    consistency = total
"""
    },
)


@consistency.right("four moves")
@torch.no_grad()
def shift_consistency(model, images, max_shift):
    if not 0 <= max_shift < min(images.shape[-2:]):
        raise ValueError(
            f"max_shift must be between 0 and {min(images.shape[-2:]) - 1} for images of {images.shape[-2]} x {images.shape[-1]} pixels, got {max_shift}"
        )
    was_training = model.training
    model.eval()
    own = model(images).argmax(dim=-1)
    consistency = torch.stack(
        [
            torch.stack(
                [
                    (model(images.roll(move, dims=(2, 3))).argmax(dim=-1) == own).float().mean()
                    for move in ((-s, 0), (s, 0), (0, -s), (0, s))
                ]
            ).mean()
            for s in range(max_shift + 1)
        ]
    )
    model.train(was_training)
    return consistency


@consistency.right("one big batch per shift")
@torch.no_grad()
def shift_consistency(model, images, max_shift):
    if not 0 <= max_shift < min(images.shape[-2:]):
        raise ValueError(
            f"max_shift must be between 0 and {min(images.shape[-2:]) - 1} for images of {images.shape[-2]} x {images.shape[-1]} pixels, got {max_shift}"
        )
    was_training = model.training
    model.eval()

    def classes(x):
        return model(x).max(dim=-1).indices

    own = classes(images)
    consistency = torch.ones(max_shift + 1)
    for s in range(1, max_shift + 1):
        everything = torch.cat([images.roll(sign * s, axis) for sign in (-1, 1) for axis in (2, 3)])
        consistency[s] = (classes(everything) == own.repeat(4)).float().mean().item()
    model.train(was_training)
    return consistency


consistency.wrong(
    'moves pile up',
    'Each of your moves starts from the image that was moved last, so the distances add up. Start from the image in place every time.',
    edits={
        '    shares = []\n': '    moved, shares = images, []\n',
        '        same = [\n            model(images.roll(step, dims=axis)).argmax(-1) == in_place for axis in (2, 3) for step in (s, -s)\n        ]': '        same = []\n        for step, axis in ((s, 2), (s, 3), (-s, 2), (-s, 3)):\n            moved = moved.roll(step, dims=axis)\n            same.append(model(moved).argmax(-1) == in_place)',
    },
)


equivariance.wrong(
    'division first',
    'You round `after // before` before you multiply, so behind a stride the output is not moved at all. Multiply first: `s * after // before`.',
    edits={
        's * after // before for s': 'after // before * s for s',
    },
)
