"""Near-copies and look-alikes: found under other names, in another order, with other comments; honest answers are not marked."""

from __future__ import annotations

import ast
import builtins
import csv
import inspect
import json

import pytest

from utils.checks.registry import all_exercises, exercises_of
from utils.grading import answers, lending, likeness, policy, reports
from utils.grading.cells import binds
from utils.grading.likeness import looks, pairs, prints
from utils.grading.normalise import normalise
from utils.grading.policy import Policy
from utils.grading.verdict import Verdict
from utils.paths import ROOT

COURSE = all_exercises()
BOOKS = sorted({exercise.notebook for exercise in COURSE.values()})


def entry(student, notebook, texts):
    """An entry whose answers are these, exercise -> source."""
    known = likeness._released(notebook)
    packed = {name: likeness._packed(prints(text) - known) for name, text in texts.items()}
    return {
        "student": student,
        "user": "",
        "notebook": notebook,
        "prints": packed,
        "verdicts": [],
        "written": {},
        "problem": "",
        "origin": student,
        "notes": [],
    }


def rights(notebook, n):
    """The n-th right answer of the banks to each exercise that has so many."""
    found = {}
    for exercise in exercises_of(notebook):
        bank = answers.bank(exercise).rights
        if n < len(bank):
            found[exercise.name] = bank[n].text(answers.reference(exercise))
    return found


class Renamed(ast.NodeTransformer):
    """Other names for what a text binds, other docstrings, methods in another order, a line that does nothing behind each, results with a name."""

    def __init__(self, tree):
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
            a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)
        }
        keep = {*dir(builtins), "self", "torch", "nn", "F", "math", "super", *binds(tree)}
        self.names = {name: f"v{n}" for n, name in enumerate(sorted(used - keep))}

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self.names.get(node.arg, node.arg), None)

    def visit_FunctionDef(self, node):
        body = [ast.Expr(ast.Constant("all my own work")), *node.body[bool(ast.get_docstring(node)) :]]
        node.body, node.returns = (
            [one for part in body for one in (part, *ast.parse("unused = 0").body)],
            None,
        )
        self.generic_visit(node)
        return node

    def visit_Return(self, node):
        self.generic_visit(node)
        result = ast.Assign([ast.Name("result", ast.Store())], node.value or ast.Constant(None))
        return [result, ast.Return(ast.Name("result", ast.Load()))]

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        node.body = node.body[::-1]
        return node


def disguised(text):
    tree = ast.parse(text)
    return "# mine\n" + ast.unparse(ast.fix_missing_locations(Renamed(tree).visit(tree)))


def test_a_disguise_changes_nearly_every_line_and_no_print():
    text = inspect.getsource(answers.reference(COURSE["LSTM"]))
    other = disguised(text)
    same = {line.strip() for line in text.splitlines()} & {line.strip() for line in other.splitlines()}
    assert len(same) < len(text.splitlines()) / 4
    assert likeness.share(prints(text), prints(other)) > 0.9


IDLE = ["0 + 0", "if 0: pass", "_ = []", "lambda: 0", "f''", "global zz", "1 if 1 else 2", "while 0: pass", "_ = str()", "for _ in (): pass", "_ = [0 for _ in ()]"]  # fmt: skip


@pytest.mark.parametrize("line", IDLE)
def test_no_line_that_looks_at_nothing_hides_a_copy(line):
    text = inspect.getsource(answers.reference(COURSE["LSTM"]))
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [one for part in node.body for one in (*ast.parse(line).body, part)]
    assert likeness.share(prints(text), prints(ast.unparse(ast.fix_missing_locations(tree)))) > 0.9


def _submission(tmp_path, source):
    cells = json.loads((ROOT / "notebooks" / "01_transformer_recap.ipynb").read_text(encoding="utf-8"))
    next(cell for cell in cells["cells"] if cell["id"] == "MultiHeadAttention")["source"] = source
    (tmp_path / "x.ipynb").write_text(json.dumps(cells), encoding="utf-8")
    return normalise(tmp_path / "x.ipynb", "01_transformer_recap")


def test_no_cell_that_is_run_is_too_long_to_be_looked_at(tmp_path):
    text = inspect.getsource(answers.reference(COURSE["MultiHeadAttention"]))
    long = likeness.record(_submission(tmp_path, text + "\n#" + "x" * 300_000))
    assert long == likeness.record(_submission(tmp_path, text)) and long["MultiHeadAttention"]


@pytest.mark.parametrize(
    "source",
    [
        "exec('class MultiHeadAttention: pass')",
        "e = getattr(__builtins__, 'eval')\nMultiHeadAttention = e('nn')",
    ],
)
def test_code_in_a_text_is_marked(source, tmp_path):
    assert likeness.runs_a_text(_submission(tmp_path, source))
    assert "exec" in next(looks(entry("x", "01_transformer_recap", {}) | {"runs_a_text": True}))
    assert not likeness.runs_a_text(
        _submission(tmp_path, "model.eval()\nclass MultiHeadAttention:\n    execute = 1\n")
    )


@pytest.mark.parametrize("notebook", BOOKS)
@pytest.mark.slow
def test_no_honest_class_is_marked(notebook):
    """As many students as the banks have right answers, no two with the same one; all pairs, and each against official answers and stand-ins."""
    most = max(len(answers.bank(exercise).rights) for exercise in exercises_of(notebook))
    entries = [entry(f"student {n}", notebook, rights(notebook, n)) for n in range(most)]
    assert pairs(entries) == []
    whole = [right for n in range(most) for right in [_whole_only(notebook, n)] if right]
    assert [said for texts in whole for said in looks(entry("x", notebook, texts))] == []


def _whole_only(notebook, n):
    """Those that were written as a whole: what a bank writes as edits of the official answer looks like it, and must."""
    return {
        name: text
        for name, text in rights(notebook, n).items()
        if answers.bank(COURSE[name]).rights[n].edits is None
    }


@pytest.mark.parametrize("notebook", BOOKS)
def test_a_disguised_copy_is_found_with_its_share_among_honest_ones(notebook):
    texts = rights(notebook, 0)
    others = [entry(f"student {n}", notebook, rights(notebook, n)) for n in (1, 2)]
    copied = {
        name: disguised(text) for name, text in reversed(texts.items())
    }  # and the exercises in another order
    found = pairs([entry("Ann", notebook, texts), *others, entry("Ben", notebook, copied)])
    assert [pair.students for pair in found] == [("Ann", "Ben")]
    assert found[0].share > 0.9 and found[0].notebook == notebook


def test_one_large_answer_that_was_copied_is_found_and_named():
    notebook = "01_transformer_recap"
    ann, ben = rights(notebook, 0), rights(notebook, 1)
    assert pairs([entry("Ann", notebook, ann), entry("Ben", notebook, ben)]) == []
    ben["MultiHeadAttention"] = disguised(ann["MultiHeadAttention"])
    (pair,) = pairs([entry("Ann", notebook, ann), entry("Ben", notebook, ben)])
    assert pair.exercises == ("MultiHeadAttention",) and pair.share < 0.5


def test_short_answers_may_be_the_same():
    for name in ("causal_mask", "merge_heads", "split_heads", "msa_flops", "cyclic_shift"):
        text = answers.bank(COURSE[name]).rights[0].text(answers.reference(COURSE[name]))
        notebook = COURSE[name].notebook
        assert pairs([entry(who, notebook, {name: text}) for who in "ab"]) == []


def test_what_the_release_gives_and_what_is_official_makes_no_pair():
    for notebook in BOOKS[::4]:
        cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
        stubs = {c["id"]: "".join(c["source"]) for c in cells if c["cell_type"] == "code"}
        official = {e.name: inspect.getsource(answers.reference(e)) for e in exercises_of(notebook)}
        assert pairs([entry(who, notebook, stubs) for who in "ab"]) == []
        assert [*looks(entry("a", notebook, stubs))] == []
        assert pairs([entry(who, notebook, official) for who in "ab"]) == []
        (said,) = looks(entry("a", notebook, {n: disguised(t) for n, t in official.items()}))
        assert "looks like the official answers" in said


def test_what_most_of_a_class_writes_is_no_copy_and_a_ring_larger_than_half_of_it_is():
    notebook = "01_transformer_recap"
    common = rights(notebook, 0)
    own = ("scaled_dot_product_attention", "MultiHeadAttention", "EncoderLayer", "DecoderLayer")
    group = [entry(f"student {n}", notebook, common) for n in range(10)]
    for n in (1, 2):  # they write the other exercises as most of the class does
        theirs = {name: rights(notebook, n)[name] for name in own}
        group.append(entry(f"own {n}", notebook, common | theirs))
    named = {pair.students for pair in pairs(group)}
    assert named == {(f"student {a}", f"student {b}") for b in range(10) for a in range(b)}


@pytest.mark.parametrize("notebook", BOOKS)
def test_the_text_of_stand_ins_is_marked_under_other_names_too(notebook):
    texts = {
        e.name: "\n".join(lending.texts(lending.closure(e.stand_in)).values())
        for e in exercises_of(notebook)
        if e.stand_in
    }
    enough = sum(len(some) for some in likeness.stand_ins(notebook).values()) >= likeness.IN_NOTEBOOK
    for how in (str, disguised, lambda text: ast.unparse(ast.parse(text))):
        said = " ".join(looks(entry("x", notebook, {name: how(text) for name, text in texts.items()})))
        assert ("looks like the course's stand-ins" in said) == enough


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        (n, alone)
        for n, e in COURSE.items()
        for alone in (False, True)
        if e.stand_in and len(likeness.stand_ins(e.notebook, alone)[n]) >= likeness.IN_EXERCISE
    ],
)
def test_each_stand_in_that_is_long_enough_is_named(name, alone):
    """Pasted with all that it needs, or the class alone beside helpers of one's own."""
    exercise = COURSE[name]
    places = [exercise.stand_in] if alone else lending.closure(exercise.stand_in)
    text = "\n".join(lending.texts(places).values())
    said = " ".join(looks(entry("x", exercise.notebook, {name: disguised(text)})))
    assert "the course's stand-in" in said and name in said


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 50_000, "x = " + "a." * 50_000 + "b", "x = 1\n" * 40_000, "def f(:", "\0", "x=" + "-" * 9_000 + "1", "x = 0x" + "f" * 9_000],
)  # fmt: skip
def test_a_hostile_text_costs_little(text):
    assert len(prints(text)) < likeness.LONGEST


def test_attempts_of_one_student_are_not_compared():
    texts = rights("07_swin", 0)
    assert pairs([entry("Ann", "07_swin", texts), entry("Ann", "07_swin", texts)]) == []


def test_prints_are_recorded_by_exercise_and_shown_on_the_summary_alone(tmp_path):
    notebook = "01_transformer_recap"
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    chosen = rights(notebook, 2)
    entries = []
    for who, how in (("Ann", str), ("Ben", disguised)):
        for cell in cells["cells"]:
            if cell["id"] in chosen:
                cell["source"] = how(chosen[cell["id"]])
        path = tmp_path / f"{notebook}.ipynb"
        path.write_text(json.dumps(cells), encoding="utf-8")
        kept = likeness.record(normalise(path, notebook))
        assert {*chosen} <= {*kept}
        passed = [_passed(exercise) for exercise in exercises_of(notebook)]
        entries.append(entry(who, notebook, {}) | {"prints": kept, "verdicts": passed})
    entries = policy.apply(entries, Policy())
    reports.write(entries, tmp_path / "out", "level 3", copies=pairs(entries))
    summary = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    assert "Near-copies (1)" in summary and "Ann and Ben" in summary and "100 %" in summary
    for page in (tmp_path / "out" / "feedback").iterdir():
        assert "copies" not in page.read_text(encoding="utf-8")
    # the pair is for a person to look at: it costs nothing by itself
    most = f"{sum(exercise.points for exercise in exercises_of(notebook)):g}"
    with open(tmp_path / "out" / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = {row[0]: row[-1] for row in csv.reader(file) if row}
    assert (rows["Ann"], rows["Ben"]) == (most, most)


def _passed(exercise):
    return Verdict(exercise.name, exercise.points, exercise.points, 4, 4, "passed").record()
