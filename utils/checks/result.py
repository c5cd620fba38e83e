"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, field

from utils.checks.compare import Finding
from utils.checks.spec import Exercise


@dataclass(frozen=True)
class Result:
    """What a check found.

    Args:
        exercise: the exercise.
        findings: one per case, None where the case is right.
        names: the cases' names.
        diagnosis: the sentence of the known mistake that this attempt looks like, or "".
        seconds: time taken.
        substitutes: earlier exercises for which the library's version stood in.
        rest: index of a case in which the result is not that of the diagnosis alone; -1 if there is none.
        reads: names of plain values that the answer reads from the notebook.
        older: a sentence, if not the text in the cell was judged but an older version of it; else "".
        notes: further remarks on what was judged.
    """

    exercise: Exercise
    names: list[str]
    findings: list[Finding | None]
    diagnosis: str = ""
    seconds: float = 0.0
    substitutes: tuple[str, ...] = field(default=())
    rest: int = -1
    reads: tuple[str, ...] = field(default=())
    older: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(finding is None for finding in self.findings)

    @property
    def first(self) -> int:
        """Index of the wrong case to speak of: the first one whose values are wrong, else the first one whose gradients are.

        Raises:
            StopIteration: if all are right.
        """
        wrong = [index for index, finding in enumerate(self.findings) if finding is not None]
        return next(
            (index for index in wrong if self.findings[index].kind != "gradient"),  # type: ignore[union-attr]
            next(iter(wrong)),
        )

    @property
    def right(self) -> int:
        """Number of cases that are right."""
        return sum(finding is None for finding in self.findings)

    @property
    def started(self) -> bool:
        return not all(f is not None and f.kind == "not started" for f in self.findings)
