"""Wrong and alternative right answers: linear warm-up and cosine decay."""

from __future__ import annotations

import math

import torch

from utils.grading.bank import Bank

schedule_bank = Bank("warmup_cosine")

schedule_bank.wrong(
    "whole-number division",
    "Your factor is 0 during the whole warm-up, so nothing is learned there. Do you divide with `//`? It drops the "
    "fraction; `/` keeps it.",
    edits={"step / warmup_steps": "step // warmup_steps"},
)

schedule_bank.wrong(
    "warm-up one step early",
    "Your warm-up runs one step ahead: it should be 0 at step 0 and reach 1 at step `warmup_steps`, not before.",
    edits={"step / warmup_steps": "(step + 1) / warmup_steps"},
)

schedule_bank.wrong(
    "warm-up counted by the whole training",
    "Your warm-up divides by `total_steps`, so it never gets to 1 before the cosine begins with a jump.",
    edits={"step / warmup_steps": "step / total_steps"},
)

schedule_bank.wrong(
    "no warm-up",
    "Your factor begins at 1: there is no warm-up.",
    edits={"return step / warmup_steps": "return 1.0"},
)

schedule_bank.wrong(
    "cosine over the whole training",
    "Your cosine counts its progress from step 0, so it starts lower than the warm-up ended. It should begin where the "
    "warm-up ends.",
    edits={"(step - warmup_steps) / (total_steps - warmup_steps)": "step / total_steps"},
)

schedule_bank.wrong(
    "cosine too slow",
    "Your cosine does not reach 0 at `total_steps`: it divides by all steps, and has only those after the warm-up.",
    edits={"(step - warmup_steps) / (total_steps - warmup_steps)": "(step - warmup_steps) / total_steps"},
)

schedule_bank.wrong(
    "quarter of a wave",
    "Your factor falls along a quarter of a wave. Half a wave is meant: it begins flat, falls, and ends flat; 1/2 at half time.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "math.cos(math.pi / 2 * progress)"},
)

schedule_bank.wrong(
    "degrees",
    "Your cosine is given degrees. `math.cos` takes radians: half a wave is pi, not 180.",
    edits={"math.cos(math.pi * progress)": "math.cos(180 * progress)"},
)

schedule_bank.wrong(
    "cosine between -1 and 1",
    "Your factor is the bare cosine, which falls from 1 to -1: with a negative learning rate the loss rises. Bring "
    "it between 0 and 1.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "math.cos(math.pi * progress)"},
)

schedule_bank.wrong(
    "not halved",
    "Your factor is 2 where the cosine begins: 1 + cos lies between 0 and 2. Halve it.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "1 + math.cos(math.pi * progress)"},
)

schedule_bank.wrong(
    "rises instead of falls",
    "Your cosine is upside down: it begins at 0 and rises to 1.",
    edits={"(1 + math.cos(math.pi * progress))": "(1 - math.cos(math.pi * progress))"},
)

schedule_bank.wrong(
    "straight line down",
    "Your factor falls along a straight line. It should follow half a cosine.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "1 - progress"},
)

schedule_bank.wrong(
    "up again after the end",
    "After `total_steps` your factor rises again. It should stay at 0.",
    edits={
        "min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))": "(step - warmup_steps) / (total_steps - warmup_steps)"
    },
)

schedule_bank.wrong(
    "a whole wave",
    "Your factor falls and rises again before the end: a whole wave (2 pi). Half a wave ends at the bottom.",
    edits={"math.pi * progress": "2 * math.pi * progress"},
)


@schedule_bank.right("half-angle formula")
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps
    if step >= total_steps:
        return 0.0
    return math.cos(math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)) ** 2


@schedule_bank.right("both ramps, then the smaller")
def warmup_cosine(step, warmup_steps, total_steps):
    up = step / warmup_steps if warmup_steps else 1.0
    done = max(0, min(step, total_steps) - warmup_steps) / (total_steps - warmup_steps)
    return min(up, 0.5 + 0.5 * math.cos(done * math.pi))


@schedule_bank.right("with torch, as a tensor")
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return torch.tensor(step / warmup_steps, dtype=torch.float64)
    progress = torch.tensor((step - warmup_steps) / (total_steps - warmup_steps), dtype=torch.float64)
    return (1 + torch.cos(torch.pi * progress.clamp(0, 1))) / 2


@schedule_bank.right("in degrees, converted")
def warmup_cosine(step, warmup_steps, total_steps):
    if step <= warmup_steps and warmup_steps > 0:
        return step / warmup_steps
    angle = 180 * min(step - warmup_steps, total_steps - warmup_steps) / (total_steps - warmup_steps)
    return (1 + math.cos(math.radians(angle))) / 2


@schedule_bank.wrong(
    'begins at zero without warm-up',
    "With `warmup_steps` = 0 your code still takes a warm-up of one step, so the factor begins at 0. It should "
    "begin at 1."
)
def warmup_cosine(step, warmup_steps, total_steps):
    w = max(1, warmup_steps)
    if step < w:
        return step / w
    if step > total_steps:
        return 0.0
    return 0.5 * (1 + math.cos(math.pi * (step - w) / (total_steps - w)))


@schedule_bank.wrong(
    'a floor of 10 %',
    "Your factor ends at 0.1. It should fall to 0 at `total_steps`."
)
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps
    if step >= total_steps:
        return 0.1
    c = 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))
    return 0.1 + 0.9 * c


@schedule_bank.wrong(
    'cosine warm-up as well',
    "Your warm-up follows a cosine. It should be a straight line from 0 to 1."
)
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return 0.5 * (1 - math.cos(math.pi * step / warmup_steps))
    if step >= total_steps:
        return 0.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))


@schedule_bank.right('three cases')
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps
    if step >= total_steps:
        return 0.0
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


@schedule_bank.right('minimum and clamp')
def warmup_cosine(step, warmup_steps, total_steps):
    rising = step / warmup_steps if warmup_steps else 1.0
    done = min(max((step - warmup_steps) / (total_steps - warmup_steps), 0.0), 1.0)
    return min(rising, 1.0) * (1 + math.cos(math.pi * done)) / 2


