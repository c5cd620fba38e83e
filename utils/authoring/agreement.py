"""Do the plain and the trusted path give the same verdict on every honest answer? Counts it, over the banks and the solved notebooks.

An answer is written into the student notebook with all other exercises right. *Plain*: its check cell passes or raises, as nbval
sees it; many answers share one process, with fresh names for each. *Trusted*: the notebook goes through normalisation, sandbox and
hidden cases. `nbval` runs one notebook through `pytest --nbval-lax` itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tqdm import tqdm

from utils.authoring import stubs
from utils.checks import engine
from utils.checks.registry import exercises_of
from utils.checks.spec import Exercise
from utils.grading import answers
from utils.grading.cells import definitions
from utils.grading.normalise import Submission, normalise
from utils.grading.reading import RELEASE
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade, grade_some
from utils.paths import ROOT

SEED = 31337


@dataclass(frozen=True)
class Honest:
    """An honest answer to one exercise.

    Args:
        exercise: which.
        name: from the bank.
        right: what the bank says of it.
        source: its text.
    """

    exercise: Exercise
    name: str
    right: bool
    source: str


@dataclass
class Count:
    """What was counted in one notebook.

    Args:
        notebook: its name.
        answers: compared.
        agree: both paths say the same.
        as_known: of these, both say what the bank says.
        complaints: the others, in words.
    """

    notebook: str
    answers: int = 0
    agree: int = 0
    as_known: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, what: str, right: bool, plain: bool, trusted: bool) -> None:
        self.answers += 1
        self.agree += plain == trusted
        self.as_known += plain == trusted == right
        if not plain == trusted == right:
            word = {True: "accepts", False: "rejects"}
            known = "right" if right else "wrong"
            self.complaints.append(f"{what} ({known}): plain {word[plain]}, trusted {word[trusted]}")


def released() -> list[str]:
    """Notebooks with exercises whose bank is at hand."""
    names = sorted(path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb"))
    return [name for name in names if exercises_of(name)]


def honest_answers(notebook: str) -> list[Honest]:
    """The bank of a notebook, and per exercise the untouched stub."""
    found = []
    for exercise in exercises_of(notebook):
        reference, bank = answers.reference(exercise), answers.bank(exercise)
        found += [Honest(exercise, one.name, False, one.text(reference)) for one in bank.wrongs]
        found += [Honest(exercise, one.name, True, one.text(reference)) for one in bank.rights]
        found.append(Honest(exercise, "not started", False, stubs.answer(exercise).stub))
    return found


def filled(notebook: str, **edits: str) -> dict[str, Any]:
    """The student notebook with every answer right, except those given."""
    cells = deepcopy(_released(notebook))
    texts = {exercise.name: stubs.answer(exercise).whole for exercise in exercises_of(notebook)} | edits
    for cell in cells["cells"]:
        if cell["id"] in texts:
            cell["source"] = texts[cell["id"]]
    return cells


def _released(notebook: str) -> dict[str, Any]:
    return json.loads((RELEASE / f"{notebook}.ipynb").read_text(encoding="utf-8"))


class Plain:
    """Check cells of one notebook, run in this process.

    Args:
        notebook: its name. The release's definitions and all right answers are run once.
    """

    def __init__(self, notebook: str) -> None:
        self.spaces: dict[str, dict[str, Any]] = {}  # exercise -> names before its cell
        self.space: dict[str, Any] = {"__name__": "__main__"}
        names = {exercise.name for exercise in exercises_of(notebook)}
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in filled(notebook)["cells"]:
                text = "".join(cell["source"])
                if cell["id"] in names:
                    self.spaces[cell["id"]] = dict(self.space)
                    _execute(text, self.space)
                elif cell["cell_type"] == "code":
                    _execute(definitions(text), self.space)

    def verdict(self, name: str, source: str) -> bool:
        """Whether `check(name)` passes behind a cell with this source, where every earlier exercise has passed."""
        space = dict(self.spaces[name])
        engine.PASSED.clear()
        engine.PASSED.update({other: None for other in self.spaces if other != name})
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(compile(source, f"<{name}>", "exec"), space)
                engine.check(space[name])
            except Exception:  # nbval counts a cell that raises anything as failed
                return False
            finally:
                engine.PASSED.clear()
        return True


def _execute(source: str, space: dict[str, Any]) -> None:
    import ast

    for statement in ast.parse(source).body:
        with contextlib.suppress(Exception):  # a constant that rests on a statement that was left out
            exec(compile(ast.Module([statement], []), "<release>", "exec"), space)


def trusted_verdict(box: Sandbox, examiner: Examiner, notebook: str, honest: Honest, folder: Path) -> bool:
    """Whether the exercise passes on hidden cases."""
    submission = written(folder, notebook, filled(notebook, **{honest.exercise.name: honest.source}))
    return (
        grade_some(box, examiner, submission, [honest.exercise.name])[honest.exercise.name].state == "passed"
    )


def written(folder: Path, notebook: str, content: dict[str, Any]) -> Submission:
    """A notebook as the grader reads it from a file."""
    path = folder / f"{notebook}.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    return normalise(path, notebook)


def measure(notebook: str, box: Sandbox, every: int = 1, offset: int = 0) -> Count:
    """Compares the two paths on every `every`-th answer of a notebook's banks, and on the notebook with all answers right.

    Args:
        notebook: its name.
        box: a sandbox.
        every: 1 for all.
        offset: where to begin.
    """
    count, plain, examiner = Count(notebook), Plain(notebook), Examiner(notebook, SEED)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for verdict in grade(box, examiner, written(place, notebook, filled(notebook))):
            source = stubs.answer(examiner.exercises[verdict.exercise]).whole
            count.add(
                f"{verdict.exercise}: the reference",
                True,
                plain.verdict(verdict.exercise, source),
                verdict.state == "passed",
            )
        chosen = honest_answers(notebook)[offset::every]
        for honest in tqdm(chosen, desc=notebook, disable=None):
            seen = plain.verdict(honest.exercise.name, honest.source)
            trusted = trusted_verdict(box, examiner, notebook, honest, place)
            count.add(f"{honest.exercise.name}: {honest.name}", honest.right, seen, trusted)
    return count


def nbval(notebook: str, edits: dict[str, str], folder: Path) -> dict[str, bool]:
    """Verdicts of `pytest --nbval-lax` by exercise, with the cells between the exercises reduced to their definitions.

    Args:
        notebook: its name.
        edits: exercise -> source, where it is not the right one.
        folder: an empty folder.
    """
    content = filled(notebook, **edits)
    names = {exercise.name for exercise in exercises_of(notebook)}
    kept = names | {f"{name}-check" for name in names} | {"set-up"}
    for cell in content["cells"]:
        if cell["cell_type"] == "code" and cell["id"] not in kept:
            cell["source"] = definitions("".join(cell["source"]))
    (folder / "course").symlink_to(ROOT)  # the set-up cell looks there before it fetches anything
    path = folder / f"{notebook}.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-c", "/dev/null", "--rootdir", str(folder), "--junitxml", str(folder / "r.xml"), str(path)]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    code = [cell["id"] for cell in content["cells"] if cell["cell_type"] == "code"]
    verdicts = {}
    for case in ElementTree.parse(folder / "r.xml").iter("testcase"):
        identity = code[int(case.attrib["name"].rsplit("Cell", 1)[1])]
        if identity.endswith("-check"):
            verdicts[identity.removesuffix("-check")] = (
                case.find("failure") is None and case.find("error") is None
            )
    return verdicts


def text(counts: list[Count]) -> str:
    """The figures as a table."""
    rows = [f"{'notebook':<28}{'answers':>9}{'agree':>8}{'as the bank says':>18}"]
    rows += [f"{c.notebook:<28}{c.answers:>9}{c.agree:>8}{c.as_known:>18}" for c in counts]
    total = [sum(getattr(c, name) for c in counts) for name in ("answers", "agree", "as_known")]
    rows.append(f"{'all':<28}{total[0]:>9}{total[1]:>8}{total[2]:>18}")
    rows += [f"  {c.notebook}: {line}" for c in counts for line in c.complaints]
    return "\n".join(rows)


def main(every: int) -> int:
    """Prints the table; 0 if both paths agree on every answer."""
    import torch

    torch.set_num_threads(1)
    with Sandbox() as box:
        counts = [measure(name, box, every) for name in released()]
        print(text(counts))
        print(box.level.sentence())
    return 0 if all(count.agree == count.answers for count in counts) else 1
