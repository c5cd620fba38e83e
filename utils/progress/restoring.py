"""`restore("01")`: after a restart of the kernel, the answers that passed, out of the notebook's own cells."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.checks import engine, journal
from utils.checks.copies import Copy, copies, parse, run_by_others, where_looked
from utils.checks.earlier import PRELUDE, run
from utils.checks.registry import exercises_of
from utils.words import say


def restore(notebook: str) -> None:
    """Defines again what passed its check before the kernel was restarted, and checks it once more.

    Only the answers' cells run, and what the cells before them import, define, or set to a plain value: no training, no drawing. An
    answer that was changed since it passed is left alone.

    Args:
        notebook: its number, such as "01".

    Raises:
        ValueError: no notebook has this number.
    """
    exercises = exercises_of(notebook)
    if not exercises:
        raise ValueError(
            say(
                'No notebook {number} has exercises; write its number, such as restore("01").',
                number=repr(notebook),
            )
        )
    passed = journal.read()
    wanted = [exercise for exercise in exercises if exercise.name in passed]
    if not wanted or run_by_others():
        return
    space: dict[str, Any] = sys._getframe(1).f_globals
    prelude: dict[str, Any] = {}
    exec(PRELUDE, prelude)
    for name, value in prelude.items():
        space.setdefault(name, value)
    own = list(_copies(exercises[0].notebook, [exercise.name for exercise in exercises]))
    back, left = [], [exercise.name for exercise in wanted]
    for copy in own:
        found = [e for e in wanted if e.name in left and _passed(copy, e.name, passed[e.name])]
        if not found:
            continue
        run(
            copy,
            max((e.name for e in found), key=lambda name: copy.answer_cell(name) or 0),
            space,
            engine.reuse,
        )
        for exercise in found:
            attempt = space.get(exercise.name)
            if attempt is not None and engine.passes(exercise, attempt):
                engine.PASSED[exercise.name] = attempt
                back.append(exercise.name)
                left.remove(exercise.name)
    if back:
        print(say("Back, and checked again: {names}.", names=", ".join(back)))
    if left and own:
        print(
            say("Changed since they passed, so run their cells and checks: {names}.", names=", ".join(left))
        )
    elif left:
        print(
            say(
                "The notebook was not found in {places}, so run the cells of {names} and their checks.",
                places=where_looked(),
                names=", ".join(left),
            )
        )


def _passed(copy: Copy, name: str, hashes: dict[str, str]) -> bool:
    index = copy.answer_cell(name)
    return index is not None and journal.fingerprint(copy.source(index)) in hashes


def _copies(notebook: str, names: list[str]) -> Iterator[Copy]:
    """The notebook that is open in Colab, which lies on no disk there, then the files."""
    if "google.colab" in sys.modules:
        try:
            from google.colab import _message  # the only way to the notebook's own text

            answer = _message.blocking_request("get_ipynb", timeout_sec=20)
            yield Copy(Path(f"{notebook}.ipynb"), parse(answer["ipynb"])[0])
        except Exception as error:  # not a documented interface: without it the files are left
            print(say("(Colab did not hand out the open notebook: {error}.)", error=type(error).__name__))
    yield from copies(notebook, names)
