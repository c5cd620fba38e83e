"""Why an attempt could not be observed, in words: what `observe` gives in place of what was seen."""

from __future__ import annotations

import linecache
import textwrap
import traceback
from dataclasses import dataclass
from types import FrameType
from typing import Any

from utils.checks.attempts import own_codes
from utils.checks.spec import Exercise
from utils.words import Later, later

NOT_STARTED = "not started yet"


@dataclass(frozen=True)
class Problem:
    """Why an attempt could not be observed.

    Args:
        kind: "not started", "raised", "time", "signature", "parameters", "type", "needs".
        sentence: all that is known.
        trace: their own line, where there is one.
        short: what the student reads, where the sentence is long.
    """

    kind: str
    sentence: str
    trace: str = ""
    short: str = ""

    @property
    def signature(self) -> str:
        """What makes two problems the same, for the diagnosis."""
        return f"{self.kind}: {self.sentence}"


class ObservationError(Exception):
    """Carries a :class:`Problem` out of the observation."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


def raised(error: BaseException, attempt: Any, exercise: Exercise) -> Problem:
    frames: list[tuple[FrameType, int]] = list(traceback.walk_tb(error.__traceback__))
    codes = own_codes(attempt)
    deepest = frames[-1][0].f_code if frames else None
    if isinstance(error, NotImplementedError) and NOT_STARTED in str(error):
        if deepest is not None and deepest not in codes:
            owner = next(
                (name for name in exercise.uses if name in deepest.co_qualname.split(".")),
                deepest.co_qualname.split(".")[0],
            )
            return Problem(
                "needs",
                later(
                    "{name} calls {owner}, which is not started yet. Solve {owner} first.",
                    name=exercise.name,
                    owner=owner,
                ),
            )
        return Problem(
            "not started",
            later(
                "{name} is not started yet: replace the line `raise NotImplementedError(...)` by your code.",
                name=exercise.name,
            ),
        )
    own = [(frame, line) for frame, line in frames if frame.f_code in codes]
    files = {code.co_filename for code in codes}
    own = own or [(frame, line) for frame, line in frames if frame.f_code.co_filename in files]
    trace = ""
    if own:
        frame, line = own[-1]
        text = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
        trace = (
            later(
                "line {line} of your cell, in {name}:  {text}",
                line=line,
                name=frame.f_code.co_name,
                text=text,
            )
            if text
            else later("in {name}, line {line}", name=frame.f_code.co_name, line=line)
        )
    first = str(error).strip().split("\n")[0]
    whole, short = (_error(error, text) for text in (first[:300], _in_words(first)))
    return Problem("raised", whole, trace, short)


def _error(error: BaseException, text: str) -> Later:
    kind = type(error).__name__
    if not text.rstrip(": "):
        return later("Your code raised {error}", error=kind)
    said = text if isinstance(text, Later) else text.rstrip(": ")
    return later("Your code raised {error}: {text}", error=kind, text=said)


IN_PLACE = later(
    "a value that backward() needs was changed in place. Look for `+=`, `*=`, `x[...] = ` or a method that ends in _, and make a new tensor"
)


def _in_words(message: str) -> str:
    """An error's message, cut between words; autograd's long one about in-place changes in plain words."""
    if "modified by an inplace operation" in message or "a leaf Variable that requires grad" in message:
        return IN_PLACE
    return textwrap.shorten(message, 200, placeholder=" ...")
