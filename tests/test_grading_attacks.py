"""Hostile, broken and odd submissions against the whole grader: what each scores, and that nothing changes outside its sandbox.

Here every fifth class of them is graded; `python -m utils.authoring attacks` grades all, and ATTACKS.md is what it wrote.
"""

from __future__ import annotations

import html
import json
import re
import zipfile
from pathlib import Path

import pytest

from utils.authoring.attacks import ALL, table, trial
from utils.authoring.attacks.scene import FULL
from utils.grading import isolation, reports
from utils.grading.isolation import probe
from utils.grading.reports.tables import said

pytestmark = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
DONE: dict[str, trial.Outcome] = {}


CLASSES = table.classes(ALL)
SAMPLE = list(CLASSES)[::5]
TRIED = {attack.name for name in SAMPLE for attack in CLASSES[name]}


@pytest.fixture(scope="module", autouse=True)
def before():
    """Memory at the start, in MiB: what earlier test modules have used of this process is not the grader's."""
    return trial.memory("VmRSS")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("class")


def test_there_are_at_least_forty_and_each_has_a_name_of_its_own():
    assert len(ALL) >= 40 and len({attack.name for attack in ALL}) == len(ALL)


def test_the_written_table_has_all_of_them_and_each_stands():
    page = (isolation.ROOT / "utils" / "grading" / "ATTACKS.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    listed = {html.unescape(line.split(" | ")[0].removeprefix("| ").replace("\\|", "|")) for line in rows}
    assert {attack.name.replace("\n", " ") for attack in ALL} <= listed, (
        "write it again: utils/grading/README.md says how"
    )
    assert f"| all | {len(ALL)} | {len(ALL)} |" in page and "not as it must be" not in page
    command = re.search(r"`python -m utils.authoring attacks ([^`]*)`", page)
    assert command and "--workers 1 2 --rounds 2" in command[1], command


def test_what_an_earlier_round_left_behind_is_not_forgotten(monkeypatch, tmp_path, capsys):
    """Seen once: the row of the last round was written over those before."""
    left = iter([(1, 2), (0, 0), (0, 0), (3, 0)])

    def graded(attacks, base, out, workers):
        processes, files = next(left)
        (attack,) = attacks
        said = [f"{workers} workers"] * bool(processes)
        return [trial.Outcome(attack, "0", said, processes, files, 1.0, 10.0 * processes)]

    monkeypatch.setattr(table, "together", graded)
    page = tmp_path / "page.md"
    assert table.main(["sleep inside the function"], str(page), workers=(1, 2), rounds=2) == 1
    said = capsys.readouterr().out
    assert "left behind: 4 processes, 2 files; 4 s" in said and "1 workers" in said and "2 workers" in said
    text = page.read_text(encoding="utf-8")
    assert "Left behind: 4 processes, 2 files." in text and "--workers 1 2 --rounds 2 --page" in text


def test_attacks_of_one_class_have_one_policy():
    assert all(len({str(attack.policy) for attack in attacks}) == 1 for attacks in CLASSES.values())


@pytest.mark.parametrize(
    "name", SAMPLE, ids=lambda name: name.replace(" ", "-").encode("ascii", "replace").decode()
)
def test_attack(name, base):
    outcomes = trial.together(CLASSES[name], base / f"a{list(CLASSES).index(name)}", base / "out")
    DONE.update({outcome.attack.name: outcome for outcome in outcomes})
    assert not (found := {one.attack.name: one.complaints for one in outcomes if one.complaints}), found


def written(folder):
    """(name, text) of every file in `folder`, also of those inside a zip (the feedback for an LMS)."""
    for path in filter(Path.is_file, folder.rglob("*")):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    yield f"{path}:{name}", name + "\n" + packed.read(name).decode("utf-8")
        else:
            yield str(path), path.read_text(encoding="utf-8")


def test_no_report_is_broken_and_no_hidden_value_comes_home(base):
    """All of them as one class: the pages, tables and files hold no live formula, no live script and no word that an attack smuggled."""
    entries = [outcome.entry for outcome in DONE.values() if outcome.entry]
    if not DONE.keys() >= TRIED:
        pytest.skip("runs with the whole module")
    out = base / "reports"
    reports.write(entries, out, reports.isolation_of(entries, probe().sentence()))
    for name, text in written(out):
        # What came home has a number, `LEAK5000015LEAK`; a student's own code, which feedback shows, has `LEAK{length ...`.
        assert not re.search(r"LEAK\d", text), name
        if name.endswith(".html"):
            assert "<script" not in text and "<img" not in text, name
    kept = [v["said"] for entry in entries for v in entry["verdicts"]]
    assert any(re.search(r"LEAK\d", text) for text in kept), (
        "the instructor's records keep what the process said"
    )
    assert not any("LEAK" in said(v) for entry in entries for v in entry["verdicts"])
    json.loads((base / "out" / "seed.json").read_text())


def test_nothing_is_left_behind_and_the_grader_stays_small(before, capsys):
    if not DONE.keys() >= TRIED:
        pytest.skip("runs with the whole module")
    largest = max(outcome.memory for outcome in DONE.values()) - before
    with capsys.disabled():
        print("\n" + table.text(list(DONE.values())))
        print(f"the grader's memory grew by at most {largest:.0f} MiB")
    assert trial.leftover_processes() == 0
    assert sum(outcome.files for outcome in DONE.values()) == 0
    assert largest < 2000


def test_honest_ones_are_among_them():
    assert sum(attack.expect == FULL for attack in ALL) >= 20


def test_limits_of_the_attacks_are_bounded():
    """If a limit fails, an attack must still harm no machine: at most 50 processes, 3 GiB, 300 MB."""
    assert isolation.Limits().processes <= 50 and trial.LIMITS.memory < 3 * 2**30
