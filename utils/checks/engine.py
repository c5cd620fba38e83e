"""`check`, `ready`, `reuse`: what a student's notebook calls."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from utils.checks import by_hand, fixtures, journal, messages, notebook
from utils.checks.attempts import name_of
from utils.checks.chain import rests_on, stand_in, substituted
from utils.checks.compare import Finding, compare
from utils.checks.explain import Cause, cause, known, notebook_names
from utils.checks.observe import observe
from utils.checks.problems import Problem
from utils.checks.registry import all_exercises, exercises_of, find
from utils.checks.result import Result
from utils.checks.spec import Exercise, Seen
from utils.checks.state import own_state
from utils.words import say

PASSED: dict[str, Any] = {}


class CheckFailed(AssertionError):
    """A check did not pass. Shown as its message alone, without a traceback.

    Args:
        result: what was found.
        message: overrides the message made from the result.
    """

    def __init__(self, result: Result | None, message: str = "") -> None:
        self.result = result
        super().__init__(message or (messages.text(result) if result else ""))

    def _render_traceback_(self) -> list[str]:  # IPython shows these lines in place of a traceback
        return [f"{type(self).__name__}: {messages.short(self.result) if self.result else self}"]


class NotStarted(CheckFailed):
    """The exercise still holds its `raise NotImplementedError`."""


def examine(exercise: Exercise, attempt: Any, fixture: fixtures.Fixture | None = None) -> Result:
    """Observes an attempt on all cases and compares; says nothing, raises nothing for a wrong answer.

    Args:
        exercise: which one.
        attempt: the function or class.
        fixture: prepared cases; default the public ones.
    """
    with own_state():  # also for what is loaded and compared here
        return _examine(exercise, attempt, fixture or fixtures.load(exercise))


def passes(exercise: Exercise, attempt: Any, fixture: fixtures.Fixture | None = None) -> bool:
    """Whether an attempt is right in all cases: `examine` without the why, which ends at the first case that is wrong.

    Args:
        exercise: which one.
        attempt: the function or class.
        fixture: prepared cases; default the public ones.
    """
    with own_state():
        return all(
            finding is None for _, finding in _seen(exercise, attempt, fixture or fixtures.load(exercise))
        )


def _seen(
    exercise: Exercise, attempt: Any, fixture: fixtures.Fixture
) -> Iterator[tuple[Seen | Problem, Finding | None]]:
    """Case by case, what an attempt does and what is wrong with it; ends where more cases would tell nothing."""
    used = time.process_time()
    for case, expected in zip(fixture.cases, fixture.expected, strict=True):
        left = exercise.seconds - (time.process_time() - used)
        outcome = observe(attempt, case, seconds=max(left, 0.05))
        if not isinstance(outcome, Problem):
            yield outcome, compare(exercise, case, expected, outcome)
            continue
        trace = (outcome.trace,) if outcome.trace else ()
        yield outcome, Finding(outcome.kind, outcome.short or outcome.sentence, trace)
        if outcome.kind in ("time", "not started"):
            return


def _examine(exercise: Exercise, attempt: Any, fixture: fixtures.Fixture) -> Result:
    began = time.perf_counter()
    findings: list[Finding | None] = []
    outcomes: list[Seen | Problem] = []
    for outcome, finding in _seen(exercise, attempt, fixture):
        outcomes.append(outcome)
        findings.append(finding)
    findings += [findings[-1]] * (len(fixture.cases) - len(findings))
    names = [case.name for case in fixture.cases]
    if all(finding is None for finding in findings):
        return Result(exercise, names, findings, seconds=time.perf_counter() - began)
    found = Cause()
    if len(outcomes) == len(fixture.cases):
        found = cause(fixture, attempt, findings, outcomes)
    reads = notebook_names(attempt) if findings[0] is None or findings[0].kind != "not started" else ()
    return Result(
        exercise, names, findings, found.sentence, time.perf_counter() - began, rest=found.rest, reads=reads
    )


def diagnose(
    fixture: fixtures.Fixture, outcomes: list[Seen | Problem], findings: list[Finding | None] | None = None
) -> str:
    """The sentence of the one known mistake that these outcomes are, else "". For the grader, which has no attempt to call.

    Args:
        fixture: with the mistakes' fingerprints.
        outcomes: one per case.
        findings: what is wrong in each case; with them, a mistake is also recognised beside a second fault.
    """
    return known(fixture, outcomes, findings).sentence


def check(attempt: Any, name: str = "") -> None:
    """Checks an answer and says at once, in words, what is wrong.

    Where somebody works in the notebook, the verdict is a panel and nothing else, so that Run All goes on behind an open exercise. A
    script, a test or a grader gets an exception.

    Args:
        attempt: your function or class itself (not a call of it).
        name: the exercise's name, if the attempt is called otherwise.

    Raises:
        NotStarted: the exercise is untouched.
        CheckFailed: something is wrong; the message says what.
    """
    exercise = _exercise_of(attempt, name, sys._getframe(1).f_globals)
    PASSED.pop(exercise.name, None)
    with notebook.capped_output() as printed:
        result = examine(exercise, attempt)
        if not result.passed and result.started:
            result = _with_stand_ins(result, attempt)
    result = replace(result, older=notebook.older_version(attempt, exercise.name))
    if result.passed and (note := by_hand.note(exercise, attempt)):
        result = replace(result, notes=(note,))
    messages.show(result)
    if said := printed.said():
        print(said)
    if result.passed:
        PASSED[exercise.name] = attempt
        journal.record(exercise, attempt)
    elif not journal.serves_a_student():
        raise CheckFailed(result) if result.started else NotStarted(result)


def ready(*names: str) -> bool:
    """Whether these exercises have passed their checks in this session; if not, one calm line says which are missing.

    What an answer calls has to have passed too: a check that stood in for it proves nothing about the student's own. An answer that
    is there and was not asked since the notebook was restarted is asked now.

    Args:
        names: exercises' names.
    """
    space = sys._getframe(1).f_globals
    missing, undefined = [], []
    for name in _with_what_they_use(names):
        if name in PASSED:
            continue
        if name not in space:
            undefined.append(name)
        elif _passes_quietly(name, space[name]):
            PASSED[name] = space[name]
        else:
            missing.append(name)
    if undefined:
        print(
            say(
                "This cell needs {names}: run the cells above first (Run > Run All Above).",
                names=", ".join(undefined),
            )
        )
    if missing:
        print(
            say(
                "This cell waits for {names}: once the check above passes, run it again.",
                names=", ".join(missing),
            )
        )
    return not missing and not undefined


def _passes_quietly(name: str, attempt: Any) -> bool:
    with notebook.capped_output():
        return callable(attempt) and passes(find(name), attempt)


def _with_what_they_use(names: tuple[str, ...]) -> list[str]:
    """The names and, before each, the exercises of the same notebook that its answer rests on."""
    order: dict[str, None] = {}
    for name in names:
        exercise = find(name)
        below = [used for used in rests_on(exercise) if find(used).notebook == exercise.notebook]
        order |= dict.fromkeys([*below, name])
    return list(order)


def reuse(name: str) -> Any:
    """What an earlier notebook's exercise built: your own answer if it passes its check, else one built on the library's modules.

    Args:
        name: the exercise's name.

    Returns:
        the function or class.
    """
    from utils.checks.copies import copies, where_looked
    from utils.checks.earlier import answers

    exercise = find(name)
    number = exercise.notebook[:2]
    wrong = ""
    for attempt, path in answers(exercise, reuse):
        if passes(exercise, attempt):
            print(say("{name}: your own, from {file}.", name=name, file=path.name))
            return attempt
        wrong = wrong or path.name
    names = [other.name for other in exercises_of(exercise.notebook)]
    if wrong:
        why = say("yours in {file}, as it was saved, does not pass its check", file=wrong)
    elif saved := next(iter(copies(exercise.notebook, names)), None):
        why = say(
            "{file}, as it was saved, holds no answer that runs; if you solved it, save that notebook (Ctrl+S) and run this again",
            file=saved.path.name,
        )
    else:
        why = say("no notebook {number} of yours was found in {places}", number=number, places=where_looked())
    print(say("{name}: the library's version: {why}.", name=name, why=why))
    return stand_in(exercise)


def _with_stand_ins(result: Result, attempt: Any) -> Result:
    """Repeats a failed check with library versions of all exercises below it that have not passed.

    So one wrong answer costs one exercise, not all that build on it.
    """
    names = tuple(name for name in rests_on(result.exercise) if name not in PASSED and find(name).stand_in)
    if not names:
        return result
    with substituted(attempt, {name: stand_in(find(name)) for name in names}):
        again = examine(result.exercise, attempt)
    return replace(again, seconds=result.seconds + again.seconds, substitutes=names)


def _exercise_of(attempt: Any, name: str, space: dict[str, Any]) -> Exercise:
    """The exercise that an attempt answers: by name, by the attempt's own name, or by the name that it is assigned to.

    Raises:
        CheckFailed: nothing that can be called, or no such exercise.
    """
    kind = type(attempt).__name__
    if not callable(attempt) or exists(kind):  # a number, or an object that was built from the answer
        raise CheckFailed(
            None,
            say(
                "check(...) needs your function or class itself and got an object of type {kind}. Write check(my_function), "
                "without calling it.",
                kind=kind,
            ),
        )
    name = name or name_of(attempt, space, exists)
    if exists(name):
        return find(name)
    given = name or getattr(attempt, "__name__", "") or type(attempt).__name__
    raise CheckFailed(
        None,
        say(
            "No exercise is called {name}. Keep the name that the exercise gives, or write "
            'check(your_function, "name").',
            name=repr(given),
        )
        + _similar(given),
    )


def exists(name: str) -> bool:
    """Whether an exercise is called so."""
    try:
        return name.isidentifier() and find(name) is not None
    except KeyError:
        return False


def _similar(name: str) -> str:
    close = difflib.get_close_matches(name, all_exercises(), n=2, cutoff=0.6)
    return " " + say("Did you mean {names}?", names=say(" or ").join(close)) if close else ""
