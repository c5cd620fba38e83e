"""What the grader writes, read back as the platforms read it; what its pages must not say."""

from __future__ import annotations

import csv
import datetime
import functools
import html
import json
import re
import shutil
import subprocess
import zipfile
from xml.etree import ElementTree

import pytest
import torch

from tests.kinds import each
from utils.checks.observe import observe
from utils.checks.registry import all_exercises, exercises_of
from utils.grading import hidden, marks, policy, reports, verdict
from utils.grading.policy import Policy
from utils.grading.reports import tables
from utils.grading.verdict import Examiner, Verdict

NAME, WRITTEN = "03_transformer_sentiment", "assignment-2"


def entry(student, user, verdicts, text="Because of the data.", notebook=NAME, **more):
    return {
        "key": f"{student}{user}{notebook}",
        "student": student,
        "user": user,
        "notebook": notebook,
        "origin": f"{student}/{notebook}.ipynb",
        "problem": "",
        "notes": [],
        "written": {WRITTEN: text} if notebook == NAME else {},
        "verdicts": [v.record() for v in verdicts],
        "isolation": "Isolation: x.",
    } | more


@pytest.fixture
def entries():
    passed = Verdict("padding_mask", 2.0, 2, 5, 5, "passed")
    half = Verdict(
        "TransformerEncoder",
        2.0,
        4,
        2,
        4,
        "failed",
        "a padded batch",
        "`output` is wrong.",
        "You mask the real tokens.",
    )
    none = Verdict("warmup_cosine", 0.0, 2, 0, 4, "not started")
    return [
        entry("Ana; =1+1", "77", [passed, half, none]),
        entry("=cmd()", "78", [passed, half, none], text=""),
        entry("\uae40\ubbfc\uc218", "79", [passed, passed, passed], text="\ub370\uc774\ud130 <b>"),
        entry("Ana; =1+1", "77", [passed], notebook="01_transformer_recap"),
        entry("Zed", "", [], problem="the file is empty", notebook=""),
    ]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# How Canvas reads an import (lib/gradebook_importer.rb): strict about quotes, lines of separators skipped, ; only where no comma is.
CANVAS = """
require "csv"; require "json"
first = File.open(ARGV[0], "r:UTF-8", &:readline)
options = {converters: [], skip_lines: /^[;, ]*$/, col_sep: (first.count(";") > first.count(",") ? ";" : ",")}
rows = []
CSV.foreach(ARGV[0], "r:UTF-8", **options) { |row| rows << row }
puts JSON.generate(rows)
"""
ruby = pytest.mark.skipif(
    shutil.which("ruby") is None, reason="Canvas reads with Ruby's csv; there is no ruby"
)


def canvas(path):
    done = subprocess.run(["ruby", "-e", CANVAS, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@ruby
def test_canvas_reads_grades_csv(entries, tmp_path):
    columns = {NAME: "Homework 3; part 1 (12345)"}
    path = tables.grades_csv(entries, tmp_path / "g.csv", columns=columns)
    table = canvas(path)
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert table[0] == [*head, "01_transformer_recap", "Homework 3; part 1 (12345)"]
    assert table[1] == ["    Points Possible", "", "", "", "", "2", "18"], (
        "written questions count from the start"
    )
    by_name = {row[0]: row for row in table[2:]}
    assert by_name["Ana; =1+1"][1:] == ["77", "", "", "", "2", ""], "not yet marked is blank, never 0"
    assert by_name["'=cmd()"][1:] == ["78", "", "", "", "", "4"], "who wrote nothing has nothing to be marked"
    assert by_name["Zed"][5:] == ["", ""]
    data = path.read_bytes()
    assert not data.startswith(b"\xef\xbb\xbf") and b'"Ana; =1+1"' in data
    assert not any("final" in line for line in tables.warnings_of(columns, entries))
    assert any("final" in line for line in tables.warnings_of({NAME: "Final project (7)"}, entries))


@ruby
def test_a_byte_order_mark_is_what_canvas_does_not_read(entries, tmp_path):
    """The reader of these tests is as strict as Canvas'."""
    path = tables.grades_csv(entries, tmp_path / "g.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with pytest.raises(AssertionError, match="Illegal quoting"):
        canvas(path)


MOODLE_NAMES = re.compile(r"^[^_/]+_(\d+)_assignfeedback_file_/feedback\.html$")


def test_moodle_reads_its_worksheet_and_its_feedback_files(entries, tmp_path):
    reports.write(entries, tmp_path, "Isolation: x.")
    folder = tmp_path / "moodle"
    table = rows(folder / f"{NAME}.csv")
    for column in ("Identifier", "Grade", "Last modified (grade)"):  # what its importer asks for
        assert column in table[0]
    grades = {row[0]: row[2] for row in table[1:]}
    assert grades == {"Participant 77": "", "Participant 78": "4", "Participant 79": ""}
    assert all(datetime.datetime.fromisoformat(row[4]).tzinfo for row in table[1:]), (
        "a time that PHP reads too"
    )
    with zipfile.ZipFile(folder / f"{NAME}-feedback.zip") as zipped:
        found = [MOODLE_NAMES.match(name) for name in zipped.namelist()]
        assert all(found) and sorted(match[1] for match in found) == ["77", "78", "79"]
        assert all(b"<!doctype html>" in zipped.read(name) for name in zipped.namelist())


def test_gradescope_reads_results_json(entries, tmp_path):
    tables.gradescope(entries, tmp_path, "Isolation: x.")
    found = [json.loads(path.read_text()) for path in tmp_path.rglob("results.json")]
    assert len(found) == len(entries), "one per submission, none overwritten"
    for result in found:
        assert {"score", "output", "tests"} <= set(result)
        assert sum(test["score"] for test in result["tests"]) == pytest.approx(result["score"])
        assert all(
            0 <= test["score"] <= test["max_score"] and test["status"] in ("passed", "failed")
            for test in result["tests"]
        )
        assert "Isolation" in result["output"] or "empty" in result["output"]


def test_junit_is_well_formed_and_counts_right(entries, tmp_path):
    bad = entry(
        "control \x00\x1b\uffff <&>", "1", [Verdict("x", 0, 1, 0, 2, "failed", "a <b>", "\x08 & ]]>")]
    )
    root = ElementTree.parse(tables.junit([*entries, bad], tmp_path / "j.xml", "Isolation: x.")).getroot()
    suites = root.findall("testsuite")
    assert len(suites) == len(entries) + 1
    for suite in suites:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == sum(case.find("failure") is not None for case in cases)
        assert int(suite.attrib["skipped"]) == sum(case.find("skipped") is not None for case in cases)
        assert suite.find("properties/property").attrib["value"] == "Isolation: x."


def test_summary_counts_mistakes_and_exercises(entries, tmp_path):
    reports.write(entries, tmp_path, "Isolation: x.")
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "Isolation: x." in page and "the file is empty" in page
    assert "3 submissions; median 4 of 18 points, mean 4.0. 2 grades are blank" in page
    assert "<td>2</td><td><code>TransformerEncoder</code></td><td>You mask the real tokens.</td>" in page
    assert "<td><code>TransformerEncoder</code></td><td>0</td><td>2</td><td>0</td>" in page


def test_marks_come_back_and_survive_a_regrade(entries, tmp_path):
    folder = reports.pages.written(entries, tmp_path)
    sheet = folder / f"{NAME}-{WRITTEN}.csv"
    table = rows(sheet)
    assert [row[1] for row in table[1:]] == ["Ana; =1+1", "\uae40\ubbfc\uc218"], (
        "a row for each answer that there is"
    )
    page = (folder / f"{NAME}-{WRITTEN}.html").read_text(encoding="utf-8")
    assert "Rubric" in page and "&lt;b&gt;" in page and "(no answer)" in page
    with open(sheet, "w", newline="", encoding="utf-8-sig") as file:  # as a German spreadsheet saves it
        out = csv.writer(file, delimiter=";")
        out.writerow(table[0])
        out.writerow([*table[1][:2], "7,5", "good"])
        out.writerow([*table[2][:2], "99", ""])
    regraded = [dict(one, key="of another version", when="later") for one in entries]
    reports.pages.written([*regraded, entry("Late", "80", [], text="Mine too.")], tmp_path)
    kept = rows(sheet)
    assert [row[2] for row in kept[1:]] == ["7,5", "99", ""] and kept[3][1] == "Late"
    complaints = marks.merge(regraded, tmp_path)
    assert regraded[0]["marks"] == {WRITTEN: 7.5} and "marks" not in regraded[2]
    assert len(complaints) == 1 and "'99' is not between 0 and 10" in complaints[0]
    assert tables.grade(regraded[0]) == 11.5 and tables.possible(regraded[0]) == 18
    assert tables.possible(regraded[2]) == 16 and tables.grade(regraded[2]) is None
    assert regraded[0]["comments"] == {WRITTEN: "good"}
    own = reports.pages.feedback(policy.apply(regraded, Policy()), tmp_path / "f", "Isolation: x.")
    page = (own / f"{tables.file_name(regraded[0])}.html").read_text(encoding="utf-8")
    assert "Comment: good" in page and "7.5 of 10 points" in page and "Because of the data." in page
    changed = [entry("Ana; =1+1", "77", [], text="Another answer.")]
    assert (
        any("Mark the new one" in line for line in marks.merge(changed, tmp_path))
        and "marks" not in changed[0]
    )


def test_what_a_sandbox_says_is_not_what_a_student_reads():
    """Feedback about hidden cases is made of fixed sentences; the process's own words, which it can fill with hidden values, are not."""
    exercise = exercises_of("01_transformer_recap")[1]
    examiner = Examiner.__new__(Examiner)
    examiner.notebook, examiner.exercises = exercise.notebook, {exercise.name: exercise}
    examiner.fixtures = {exercise.name: hidden.build(exercise, 3)}
    count = len(examiner.fixtures[exercise.name].cases)
    for kind in [*verdict.NEUTRAL, "raised", "3.14159", "value"]:
        for sentence in (
            "3.14159 is hidden",
            "Your code raised V3_14159: 3.14159",
            "Your code raised ValueError: 3.14159",
        ):
            problem = {"kind": kind, "sentence": sentence, "trace": "3.14159"}
            payload = verdict.wire.pack({"exercise": exercise.name, "outcomes": [problem] * count}, {})
            found = examiner.judge(exercise.name, payload)
            shown = found.record() | {"said": ""}
            assert "14159" not in json.dumps(shown), kind
            assert found.points == 0 and (kind == "not started" or "14159" in found.said)


def examiner_of(exercise):
    examiner = Examiner.__new__(Examiner)
    examiner.notebook, examiner.exercises = exercise.notebook, {exercise.name: exercise}
    examiner.fixtures = {exercise.name: hidden.build(exercise, 3)}
    return examiner


def test_of_which_kind_an_error_is_and_how_many_values_are_nan_carries_nothing_home():
    """Fifty-nine kinds of errors are six bits an exercise, and a count of values is as many as there are."""
    exercise = exercises_of("01_transformer_recap")[1]
    examiner = examiner_of(exercise)
    expected = examiner.fixtures[exercise.name].expected
    shown = set()
    for kind in ("ValueError", "KeyError", "MemoryError", "V3_14159"):
        problem = {"kind": "raised", "sentence": f"Your code raised {kind}: no", "trace": ""}
        payload = verdict.wire.pack({"exercise": exercise.name, "outcomes": [problem] * len(expected)}, {})
        shown.add(examiner.judge(exercise.name, payload).sentence)
    assert len(shown) == 1, shown
    shown = set()
    for count in (1, 3):
        outcomes = [{key: value.clone().contiguous() for key, value in seen.items()} for seen in expected]
        outcomes[0][exercise.outputs[0]].view(-1)[:count] = float("nan")
        found = examiner._verdict(exercise, outcomes)
        assert "NaN" in found.sentence
        shown.add(found.sentence)
    assert len(shown) == 1, shown


@pytest.mark.slow
@pytest.mark.parametrize("exercise", each(all_exercises().values(), keep=15), ids=lambda e: e.name)
def test_code_that_only_raises_gets_nothing_where_an_error_is_due(exercise):
    def raises(*given, **named):
        raise ValueError

    examiner = examiner_of(exercise)
    fixture = examiner.fixtures[exercise.name]
    seen = [observe(raises, case) for case in fixture.cases]
    found = examiner._verdict(exercise, list(seen))
    assert (found.points, found.right) == (0.0, 0)
    errors = [
        case.mode == "refused" or "refused" in expected
        for case, expected in zip(fixture.cases, fixture.expected, strict=True)
    ]
    ordinary, due = errors.index(False), sum(errors)
    seen[ordinary] = fixture.expected[ordinary]
    assert examiner._verdict(exercise, seen).right == 1 + due


def test_no_function_of_the_courses_own_is_an_answer():
    """`utils.experiments` measures what an exercise asks to write."""
    from utils.checks.problems import Problem
    from utils.experiments.probes import mean_attention_distance as theirs
    from utils.grading import inside

    name = "mean_attention_distance"
    examiner = examiner_of(all_exercises()[name])
    (check,), tensors = examiner.request({name: []})
    for attempt in (theirs, functools.partial(theirs), torch.no_grad()(theirs)):
        (found,) = inside.answer(check, tensors, {name: attempt}, "", 5.0)
        assert (
            isinstance(found, Problem) and found.kind == "borrowed" and "utils.experiments" in found.sentence
        )
    with_help = type(
        "Own", (), {"__call__": lambda self, weights, grid: weights, "help": staticmethod(theirs)}
    )
    assert not inside._owner(with_help) and not inside._owner(with_help()) and not inside._owner(3)
    own = inside.answer(check, tensors, {name: lambda weights, grid: theirs(weights, grid)}, "", 5.0)
    assert not isinstance(own[0], Problem), "a wrapper is not found: README, what is not held"


def test_partial_credit_is_by_cases():
    exercise = next(e for e in exercises_of("01_transformer_recap") if e.name == "causal_mask")
    examiner = Examiner.__new__(Examiner)
    examiner.exercises, examiner.fixtures = (
        {exercise.name: exercise},
        {exercise.name: hidden.build(exercise, 3)},
    )
    fixture = examiner.fixtures[exercise.name]
    count = len(fixture.cases)
    for wrong in range(count + 1):
        tensors, outcomes = {}, []
        for index, seen in enumerate(fixture.expected):
            if index < wrong:
                outcomes.append(
                    {"kind": "raised", "sentence": "Your code raised ValueError: no", "trace": ""}
                )
            else:
                outcomes.append({"seen": list(seen)})
                tensors |= {f"{index}/{key}": value for key, value in seen.items()}
        found = examiner.judge(
            exercise.name, verdict.wire.pack({"exercise": exercise.name, "outcomes": outcomes}, tensors)
        )
        assert found.right == count - wrong and found.points == round(
            exercise.points * (count - wrong) / count, 2
        )
        assert (found.state == "passed") == (wrong == 0)


@pytest.mark.parametrize(
    ("state", "points", "marked"), [("passed", 3.0, True), ("failed", 1.5, True), ("failed", 0.0, False)]
)
def test_a_layer_is_marked_wherever_it_earns_points(state, points, marked, entries, tmp_path):
    """A partly right `nn.LSTM` had its part of the points without a mark."""
    entries[0]["verdicts"][0] |= {"layers": ["nn.LSTM"], "state": state, "points": points}
    reports.write(entries, tmp_path, "x")
    page = html.unescape((tmp_path / "summary.html").read_text(encoding="utf-8"))
    assert ("it is the library's nn.LSTM" in page) == marked


def test_no_half_of_a_character_stops_the_reports_of_a_class(entries, tmp_path):
    entries[2]["verdicts"][0]["layers"] = ["\ud800.Transformer"]
    entries[2]["notes"] = entries[2]["skipped"] = ["\ud800"]
    reports.write(policy.apply(entries, Policy(layers="refuse")), tmp_path, "x")
    assert (
        "?.Transformer"
        in (tmp_path / "gradescope" / NAME / f"{tables.file_name(entries[2])}" / "results.json").read_text()
    )


def test_no_name_turns_what_stands_behind_it_and_namesakes_are_told_apart(entries, tmp_path):
    entries[0]["student"] = entries[2]["student"] = "Kim\u202e Minsu\x07"
    entries[0]["missing"] = [f"own{n}" for n in range(400)]
    reports.write(entries, tmp_path, "x")
    text = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "\u202e" not in text and "\x07" not in text and "Kim Minsu (77), " in text
    assert "own9 and 390 more" in text


def test_the_rows_of_one_student_hide_no_others():
    from pathlib import Path

    from utils.grading import run
    from utils.grading.submissions import Delivery, Handed, Row

    rows = [Row("Eve", f"Eve/{n}.txt", "no notebook (.txt)") for n in range(5_000)]
    rows += [Row("Eve", "Eve/z.ipynb", f"graded as {NAME}"), Row("Zoe", "Zoe/x.txt", "no notebook (.txt)")]
    handed = [Handed("Eve", "", NAME, Path("z"), "Eve/z.ipynb")]
    found = run._arrived(Delivery(handed, rows), handed)
    assert len(found) == run.MOST_ROWS + 3 and found[-1]["origin"] == "4800 more files"
    assert {"Eve/z.ipynb", "Zoe/x.txt"} <= {row["origin"] for row in found}


def test_what_comes_out_is_nothing_that_is_graded(tmp_path):
    """Else its files, and what was unpacked there, were a student's."""
    from utils.grading import run

    (tmp_path / "in").mkdir()
    for out in ("in", "in/graded", "in/a/../b"):
        with pytest.raises(RuntimeError, match="give another folder"):
            run.run(tmp_path / "in", tmp_path / out)
    assert not [*(tmp_path / "in").iterdir()]
    run.apart(tmp_path / "in", tmp_path / "in2")


def test_no_name_bends_a_terminal_or_the_page_of_another(capsys, tmp_path):
    from utils.grading import __main__ as commands

    commands._tell([], ["\x1b]0;owned\x07\x1b[2JAnn\u202e \x9b31m: no id"])
    assert capsys.readouterr().err == "]0;owned[2JAnn 31m: no id\n"
    name = tables.file_name({"student": "Ann Lee", "user": "1"})
    assert re.fullmatch(r"Ann-Lee-[0-9a-f]{16,}", name)
