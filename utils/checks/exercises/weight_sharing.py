"""Checks: shared against free weights by least squares."""

from __future__ import annotations

import torch

from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "06_inductive_bias"
DOUBLE = torch.float64


def _convolution_cases(draw: Draw) -> list[Case]:
    def case(name: str, n: int, d: int, kernel_size: int, dtype=DOUBLE, scale: float = 1.0) -> Case:
        args = {
            "inputs": draw.normal(n, d, scale=scale, dtype=dtype),
            "outputs": draw.normal(n, d, scale=scale, shift=0.3 * scale, dtype=dtype),
        }
        return Case(name, args={**args, "kernel_size": kernel_size})

    cases = [
        case("more signals than positions, very small numbers", 9, 5, 3, scale=1e-4),
        case("a kernel as long as the signal", 6, 5, 5),
        case("a kernel of one entry", 4, 6, 1),
        case("one signal", 1, 8, 3),
        case("as many signals as positions", 7, 7, 5),
        case("single precision", 12, 6, 3, torch.float32),
        case("many signals, fitted without error", 10, 6, 3),
        case("a constant signal, which cannot tell the entries apart", 2, 6, 3),
    ]
    exact, constant = cases[-2], cases[-1]
    kernel = draw.normal(3, dtype=DOUBLE)
    exact.args["outputs"].copy_(sum(kernel[j] * exact.args["inputs"].roll(1 - j, -1) for j in range(3)))
    constant.args["inputs"].copy_(constant.args["inputs"][:, :1].expand(2, 6))
    return cases


def _matrix_cases(draw: Draw) -> list[Case]:
    def case(name: str, n: int, d: int, e: int, dtype: torch.dtype = DOUBLE) -> Case:
        args = {
            "inputs": draw.normal(n, d, shift=0.2, dtype=dtype),
            "outputs": draw.normal(n, e, shift=0.5, dtype=dtype),
        }
        return Case(name, args=args)

    cases = [
        case("more signals than positions", 12, 5, 5),
        case("fewer signals than positions", 3, 6, 4),
        case("as many outputs as inputs, few signals, two of them equal", 3, 5, 5),
        case("as many signals as positions, two of them equal", 5, 5, 3),
        case("one signal", 1, 4, 3),
        case("outputs of another length", 11, 4, 7),
        case("single precision", 20, 4, 3, torch.float32),
        case("a position that hardly varies", 15, 5, 3),
    ]
    cases[-1].args["inputs"][:, 1] *= 0.02  # a small singular value, far from rounding
    for one in cases:
        if one.name.endswith("two of them equal"):
            one.args["inputs"][-1] = one.args["inputs"][0]
    return cases


def _fits_no_worse(case: Case, seen: Seen) -> bool:
    """No kernel beats a least-squares fit: its errors are orthogonal to every shifted input."""
    inputs, outputs, k = (case.args[name] for name in ("inputs", "outputs", "kernel_size"))
    kernel = seen["kernel"]
    if kernel.shape != (k,):
        return True  # said elsewhere
    shifted = [inputs.roll(k // 2 - j, -1) for j in range(k)]
    left = outputs - sum(kernel[j].to(inputs.dtype) * shifted[j] for j in range(k))
    scale = 1e-3 * outputs.norm() * inputs.norm()
    return all(bool((left * x).sum().abs() < scale) for x in shifted)


FIT_CONVOLUTION = Exercise(
    name="fit_convolution",
    notebook=NOTEBOOK,
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.weight_sharing:fit_convolution",
    stand_in="utils.stand_ins.weight_sharing:fit_convolution",
    outputs=("kernel",),
    cases=_convolution_cases,
    refuses=lambda draw: [
        Case(
            "an even kernel",
            args={"inputs": draw.normal(4, 6), "outputs": draw.normal(4, 6), "kernel_size": 2},
        ),
        Case(
            "a kernel longer than the signals",
            args={"inputs": draw.normal(6, 4), "outputs": draw.normal(6, 4), "kernel_size": 5},
        ),
        Case(
            "outputs of another length",
            args={"inputs": draw.normal(4, 6), "outputs": draw.normal(4, 5), "kernel_size": 3},
        ),
    ],
    gradients=False,
    rtol=1e-3,
    atol=1e-4,
    properties=(
        Property(
            "errors orthogonal to the inputs",
            "Your kernel does not have the smallest squared error: another one fits these signals better. Is there one row "
            "per output of every signal, and in each row the inputs that this output depends on?",
            _fits_no_worse,
        ),
    ),
)

FIT_MATRIX = Exercise(
    name="fit_matrix",
    notebook=NOTEBOOK,
    points=2,
    stars=2,
    minutes=8,
    reference="solutions.weight_sharing:fit_matrix",
    stand_in="utils.stand_ins.weight_sharing:fit_matrix",
    outputs=("matrix",),
    cases=_matrix_cases,
    refuses=lambda draw: [
        Case("fewer outputs than inputs", args={"inputs": draw.normal(4, 3), "outputs": draw.normal(3, 2)})
    ],
    gradients=False,
    rtol=1e-3,
    atol=1e-4,
)
