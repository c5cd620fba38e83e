"""Do right answers pass whatever the notebook has switched on? Every right answer of the banks, in five sessions.

    python -m utils.authoring sessions [--exercise NAME ...] [--notebook 01]

Exits with 1 if one is rejected.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from utils.checks import fixtures
from utils.checks.engine import examine
from utils.checks.spec import Exercise
from utils.grading import answers

SESSIONS = (
    "gradients off",
    "inference mode",
    "default device meta",
    "default dtype float64",
    "fused attention alone",
)
ONE_BY_ONE = tuple((name,) for name in SESSIONS)


@contextlib.contextmanager
def session(*names: str) -> Iterator[None]:
    """A session in which a student left something switched on, or several things; switched back behind the block."""
    with contextlib.ExitStack() as stack:
        for name in names:
            if name == "gradients off":
                stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
                torch.set_grad_enabled(False)
            elif name == "inference mode":
                stack.enter_context(torch.inference_mode())
            elif name == "default device meta":
                stack.callback(torch.set_default_device, None)
                torch.set_default_device("meta")
            elif name == "default dtype float64":
                stack.callback(torch.set_default_dtype, torch.get_default_dtype())
                torch.set_default_dtype(torch.float64)
            elif name == "fused attention alone":
                stack.enter_context(sdpa_kernel(SDPBackend.FLASH_ATTENTION))
            else:
                raise ValueError(f"no such session: {name!r}")
        yield


def rejected(
    exercise: Exercise,
    *,
    everything: bool = True,
    sessions: Sequence[Sequence[str]] = ONE_BY_ONE,
) -> list[str]:
    """The right answers of an exercise that fail in some session, in words.

    Args:
        exercise: which.
        everything: also the alternative right answers of the bank, not the reference alone.
        sessions: what is switched on in each.
    """
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    rights = [("the reference", reference)]
    if everything:
        rights += [(one.name, one.build(reference, module)) for one in answers.bank(exercise).rights]
    complaints = []
    for names in sessions:
        fixtures.load.cache_clear()  # the first check of a session reads its data in that session
        with session(*names):
            for answer, attempt in rights:
                result = examine(exercise, attempt)
                if not result.passed:
                    said = next(finding.sentence for finding in result.findings if finding)
                    complaints.append(f"{exercise.name}, {answer}, {' and '.join(names)}: {said}")
    return complaints


def main(names: list[str] | None, notebook: str) -> int:
    """Prints what was rejected; 0 if nothing."""
    chosen = answers.select(names, notebook)
    complaints = [line for exercise in chosen for line in rejected(exercise)]
    print(
        "\n".join(complaints)
        or f"{len(chosen)} exercises: no right answer is rejected in {len(SESSIONS)} sessions."
    )
    return 1 if complaints else 0
