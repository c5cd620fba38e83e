"""A pytest plugin beside nbval: points per exercise in the report, the gradebook's `grades.csv`, and a warm kernel.

    python -m pytest -p utils.grading.plugin --nbval-lax --warm --grades OUT SUBMISSIONS

A student's code runs in the process that reports its result, so treat the points as a smoke test: who wants to forge them can.
`python -m utils.grading grade` is the path that cannot be forged.

What the plugin changes for nbval: a submission that lies in no copy of the course runs in this one's `notebooks/`; the kernel is this
Python's, whatever a submission's metadata ask for; the budget is `smoke` unless `COURSE_BUDGET` says otherwise; a file that cannot
be read does not stop the run.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from utils.paths import ROOT

# nbformat imports jsonschema, which would build 38 grammars for formats that no notebook's schema asks for: a second per run.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # how Python says "there is no such module"

PROPERTY = "course_cell"  # under this name a cell's result travels with its report (also between processes of pytest-xdist)
Grades = dict[str, dict[str, Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("course", "grading of course notebooks (with --nbval or --nbval-lax)")
    group.addoption("--grades", metavar="OUT", default="", help="write OUT/grades.csv, points per notebook")
    group.addoption(
        "--warm", action="store_true", help="run notebooks in forks of a process that has imported torch"
    )


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        if option.warm or option.grades:
            raise pytest.UsageError("--warm and --grades need --nbval-lax (or --nbval)")
        return
    os.environ.setdefault("COURSE_BUDGET", "smoke")
    option.continue_on_collection_errors = (
        True  # one file that is no notebook must not cost the others their grades
    )
    run_inside_the_course()
    config.pluginmanager.register(Gradebook(config), "course-gradebook")
    if option.warm and not option.nbval_kernel_name:
        warm_up(config)
    elif not option.nbval_kernel_name:
        option.nbval_current_env = True


def run_inside_the_course() -> None:
    """Makes nbval run a notebook that lies outside of any copy of the course in this one's `notebooks/`.

    Its set-up cell would otherwise fetch the course from the network, once per submission.
    """
    import nbval.plugin

    kernel: Any = nbval.plugin.RunningKernel
    if kernel.__module__ == __name__:
        return

    class CourseKernel(kernel):
        def __init__(self, name: str, cwd: str | None = None, startup_timeout: float = 60) -> None:
            here = Path(cwd or ".").resolve()
            inside = any((place / "utils" / "checks").is_dir() for place in (here, *here.parents))
            super().__init__(
                name, cwd=str(here if inside else ROOT / "notebooks"), startup_timeout=startup_timeout
            )

    CourseKernel.__module__ = __name__
    nbval.plugin.RunningKernel = CourseKernel


def warm_up(config: pytest.Config) -> None:
    """Starts a warm kernel for this run, or takes the one that the environment names."""
    from utils.grading import warm

    server = warm.running()
    if server is None:
        try:
            server = warm.start()
        except OSError as error:
            raise pytest.UsageError(f"--warm: {error}") from error
        config.add_cleanup(server.stop)
    import nbval.kernel

    from utils.grading.warm.client import WarmManager

    nbval.kernel.KernelManager = WarmManager
    os.environ.update(server.environment())
    config.option.nbval_kernel_name = warm.KERNEL


class Gradebook:
    """Collects what the check cells gave, and tells it at the end.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.cells: dict[str, list[dict[str, Any]]] = {}
        self.problems: dict[str, str] = {}
        self.entries: list[dict[str, Any]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]):  # noqa: ANN201
        report = yield
        cell = getattr(item, "cell", None)
        if cell is not None and report.when in ("setup", "call") and (report.when == "call" or report.failed):
            found = {
                "path": str(item.path),
                "id": str(cell.get("id", "")),
                "checks": checked(cell.source),
                "passed": report.passed,
                "said": said(call.excinfo.value if call.excinfo else None),
            }
            report.user_properties.append((PROPERTY, json.dumps(found)))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == PROPERTY:
                found = json.loads(str(value))
                self.cells.setdefault(found["path"], []).append(found)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and report.nodeid.endswith(".ipynb"):
            path = str((self.config.rootpath / report.nodeid).resolve())
            self.problems[path] = "the file is not a notebook"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        if hasattr(self.config, "workerinput"):  # a process of pytest-xdist: the first one tells
            return
        for path in sorted({*self.cells, *self.problems}):
            entry = self.entry(Path(path), self.cells.get(path, []), self.problems.get(path, ""))
            if entry["verdicts"] or entry["problem"]:
                self.entries.append(entry)
        if self.config.option.grades and self.entries:
            from utils.grading.reports import tables

            out = Path(self.config.option.grades)
            out.mkdir(parents=True, exist_ok=True)
            tables.grades_csv(self.entries, out / "grades.csv")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.entries:
            return
        terminalreporter.section("points (a smoke test: a submission's code can forge them)")
        for entry in self.entries:
            earned = sum(v["points"] for v in entry["verdicts"])
            most = sum(v["possible"] for v in entry["verdicts"])
            terminalreporter.write_line(
                f"{entry['student']}  {entry['notebook']}: {earned:g} of {most} points"
                + (f" ({entry['problem']})" if entry["problem"] else "")
            )
            for v in entry["verdicts"]:
                if v["state"] != "passed":
                    line = f"    {v['exercise']}: {v['points']:g} of {v['possible']} · {v['state']}"
                    terminalreporter.write_line(f"{line}. {v['sentence']}".rstrip(". ") + ".")
        if self.config.option.grades:
            terminalreporter.write_line(f"wrote {Path(self.config.option.grades) / 'grades.csv'}")

    def entry(self, path: Path, cells: list[dict[str, Any]], problem: str) -> dict[str, Any]:
        """A gradebook entry of the form that the trusted path writes."""
        student, user, name = whose(path, [Path(arg) for arg in self.config.invocation_params.args])
        checked_here = {exercise for cell in cells for exercise in cell["checks"]}
        name = name or next((n for n in released() if checked_here & set(points_of(n))), "")
        verdicts = [
            verdict(exercise, points, cells) for exercise, points in (points_of(name) if name else {}).items()
        ]
        # written answers are not read on this path
        head = {
            "written_counts": False,
            "key": str(path),
            "student": student,
            "user": user,
            "notebook": name,
            "origin": str(path),
        }
        return head | {"verdicts": verdicts, "written": {}, "notes": [], "problem": problem}


def checked(source: str) -> list[str]:
    """Names of the exercises that a cell checks, `check(name)` at the beginning of a line."""
    return re.findall(r"^check\(\s*(\w+)\s*\)", source, re.M)


def said(error: BaseException | None) -> str:
    """The line with which a check failed, as the kernel sent it; "" if none did."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(getattr(error, "inner_traceback", None) or error or ""))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((x for x in lines if re.match(r"(NotStarted|CheckFailed): ", x)), lines[-1] if lines else "")


def verdict(exercise: str, points: int, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """What one exercise earned: its own check cell decides, else the last cell that checks it."""
    ours = [cell for cell in cells if exercise in cell["checks"]]
    own = [cell for cell in ours if cell["id"] == f"{exercise}-check"] or ours
    found = {"exercise": exercise, "points": 0.0, "possible": points, "right": 0, "cases": 0, "concept": ""}
    found |= {"state": "missing", "sentence": "No cell checks it", "diagnosis": "", "substitutes": []}
    if not own:
        return found
    cell = own[-1]
    if cell["passed"]:
        return found | {"points": float(points), "state": "passed", "sentence": ""}
    kind, _, sentence = cell["said"].partition(": ")
    if kind == "NotStarted":
        return found | {"state": "not started", "sentence": ""}
    found |= {"state": "failed", "sentence": sentence if kind == "CheckFailed" else cell["said"][:300]}
    if share := re.search(r": (\d+) of (\d+) cases are right", cell["said"]):
        right, cases = int(share[1]), int(share[2])
        found |= {"right": right, "cases": cases, "points": round(points * min(right / max(cases, 1), 1), 2)}
    return found


@cache
def released() -> tuple[str, ...]:
    """Names of the released notebooks."""
    return tuple(sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")))


@cache
def points_of(notebook: str) -> dict[str, int]:
    """Points by exercise, from the released notebook (not from a submission), without importing torch."""
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    grades = [cell["metadata"].get("nbgrader", {}) for cell in cells if cell["cell_type"] == "code"]
    return {g["grade_id"].removesuffix("-check"): g["points"] for g in grades if g.get("points")}


def whose(path: Path, arguments: list[Path]) -> tuple[str, str, str]:
    """Student, platform id and notebook of a file, read off its place below the folder that pytest was pointed at."""
    from utils.grading import submissions
    from utils.grading.reading import named

    base = path.parent.parent
    for argument in arguments:
        if argument.is_dir() and path.is_relative_to(argument.resolve()):
            base = argument.resolve()
            break
    student, user = submissions.whose(path.relative_to(base).as_posix())
    return student, user, named(path.name, list(released()))
