"""Properties of what reads submissions: the normaliser, cells and needs, on text that hypothesis makes up."""

from __future__ import annotations

import ast
import json
import tempfile
import time
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from utils.authoring.attacks.scene import answers, code_cell, solved
from utils.grading import likeness
from utils.grading.cells import binds, plain, problem_of, read
from utils.grading.needs import needed, statement
from utils.grading.normalise import normalise
from utils.grading.reading import RELEASE, BadNotebook, clean, notebook_of, read_cells

NAME = "01_transformer_recap"
MAGICS = [
    "%matplotlib inline",
    "!ls -l",
    "x = !pwd",
    "t = %timeit -o f(1)",
    "f?",
    "%time y = 3",
    "?len",
    "%%time",
]
STATEMENTS = [
    "a = 1",
    "b = a + c",
    "def f(x):\n    return x + a",
    "class K:\n    n = b",
    "K.m = f",
    "for i in range(3):\n    rows[i] = f(i)",
    "rows = {}",
    "c = [f(2) for _ in rows]",
    "import math",
    "math.x = a",
    "if b:\n    d = K()\nelse:\n    d = None",
    "d.y = c",
    "with open('x') as e:\n    pass",
    "@f\ndef g():\n    return d",
]
python = st.lists(st.sampled_from(STATEMENTS), max_size=12)
texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([*STATEMENTS, *MAGICS, "def broken(:"]), max_size=8).map("\n".join),
)


@given(texts)
@example("%%bash\nls\n")
@example("\\\n")
@example("x = !a \\\n b")
def test_reading_a_cell_never_fails_and_keeps_its_lines(source):
    assert plain(source)[0].count("\n") == source.count("\n")
    tree, text, left = read(source)
    assert text.count("\n") == source.count("\n")
    assert all(1 <= number <= source.count("\n") + 1 for number in left)
    if tree is None:
        assert problem_of(source) or "\0" in source
    else:
        assert ast.dump(ast.parse(text)) == ast.dump(tree)


@given(python, st.lists(st.tuples(st.integers(0, 12), st.sampled_from(MAGICS[:-1])), max_size=5))
def test_lines_for_ipython_cost_no_statement_its_place(statements, magics):
    """Python's own statements stay, as they are, whatever lines for IPython stand between them."""
    lines = list(statements)
    for place, magic in magics:
        lines.insert(min(place, len(lines)), magic)
    tree, _, _ = read("\n".join(lines))
    assert tree is not None
    kept = [ast.dump(node) for node in tree.body]
    for source in statements:
        assert ast.dump(ast.parse(source).body[0]) in kept


@given(python, st.sampled_from(["f", "K", "c", "d", "g", "rows"]))
def test_what_is_needed_is_enough(statements, goal):
    """Running what is needed alone gives the same names that a goal's value is made of as running everything."""
    read_ones = [statement(ast.parse(source).body[0]) for source in statements]
    chosen = needed(read_ones, [goal])
    makers = [index for index, one in enumerate(read_ones) if goal in one.makes]
    assert set(makers) <= chosen
    for index in chosen:
        for name in read_ones[index].now:
            before = [i for i in range(index) if name in read_ones[i].makes]
            assert not before or before[-1] in chosen, "the last one who makes a name before it is used"
        for name in read_ones[index].later:
            assert {i for i, one in enumerate(read_ones) if name in one.makes} <= chosen


def test_live_cells_are_not_run_for_the_sake_of_a_common_name():
    """An answer's cell and trial cells that use `x`, `_` or `layer` do not draw the release's training in."""
    notebook = solved()
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "causal_mask")
    cell["source"] = "x = 3\nlayer = x\nfor _ in range(3):\n    print(x, layer)\n" + cell["source"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        parts = normalise(path, NAME).parts
    assert not any(
        "ready(" in part.source and part.kind == "release" and "import" not in part.source for part in parts
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "id", "source", "metadata", "nbgrader"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
cells = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw", "?"]),
        "source": texts | st.lists(texts, max_size=3),
    },
    optional={
        "id": st.text(max_size=10) | st.sampled_from(["causal_mask", "causal_mask-check"]),
        "metadata": values,
    },
)


@settings(deadline=None)
@given(st.one_of(values, st.fixed_dictionaries({"cells": st.lists(cells, max_size=6)})))
def test_any_json_is_a_notebook_or_a_reason(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ipynb"
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            found = read_cells(path)
            notebook_of(found)
            submission = normalise(path, NAME)
        except BadNotebook as error:
            assert str(error)
            return
    assert all(part.kind in ("release", "helper", "answer") for part in submission.parts)


@settings(deadline=None, max_examples=30)
@given(
    st.permutations(["causal_mask", "split_heads", "merge_heads"]),
    st.lists(st.tuples(st.integers(4, 60), texts), max_size=4),
)
def test_whatever_stands_between_no_answer_is_lost(order, added):
    """Cells of any text between, and the cells of three answers with their checks in any order: each answer is still run, whole."""
    notebook = solved()
    by_id = {cell["id"]: cell for cell in notebook["cells"]}
    places = [n for n, cell in enumerate(notebook["cells"]) if cell["id"] in order]
    for place, name in zip(places, order, strict=True):
        notebook["cells"][place], notebook["cells"][place + 1] = by_id[name], by_id[f"{name}-check"]
    names = set(answers())
    for number, (place, source) in enumerate(added):
        tree = read(source)[0]
        if tree is None or not binds(tree) & names:
            cell = {"cell_type": "code", "id": f"added-{number}", "source": source}
            notebook["cells"].insert(place, cell)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        submission = normalise(path, NAME)
    ran = {
        part.name: part.source for part in submission.parts if part.kind == "answer" and part.source.strip()
    }
    for name in order:
        assert f"{name}(" in ran[name]
    assert set(submission.answers) == names


@pytest.mark.parametrize("other", ["x", [1], 3, {"nbgrader": "x"}, {"nbgrader": [1]}, {"language_info": "x"}])
def test_metadata_of_another_form_costs_no_cell(other, tmp_path):
    notebook = solved()
    notebook["metadata"] = notebook["cells"][7]["metadata"] = other
    notebook["cells"].append("no cell")
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert set(normalise(path, NAME).answers) == set(answers())


def test_a_cell_that_is_cut_is_said_to_be(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text(
        json.dumps(solved(causal_mask="T = [" + "1," * 110_000 + "]\n" + answers()["causal_mask"]))
    )
    assert any("more than 200,000 characters" in note for note in normalise(path, NAME).notes)


@pytest.mark.parametrize(
    "way", ["in place", "below", "above", "anew", "under the question", "in two cells", "as Raw"]
)
def test_a_written_answer_is_found_beside_its_place_too(way, tmp_path):
    """An empty one is worth 0 without a person's look, so it must be empty."""
    name, said = "03_transformer_sentiment", "Because of the data."
    notebook = json.loads((RELEASE / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    place = next(n for n, cell in enumerate(cells) if cell["id"] == "answer-assignment-2")
    own = {"cell_type": "raw" if way == "as Raw" else "markdown", "id": "own", "metadata": {}, "source": said}
    path = tmp_path / f"{name}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert normalise(path, name).written == {"assignment-2": ""}
    if way in ("in place", "anew"):
        cells[place] = own if way == "anew" else cells[place] | {"source": said}
    elif way == "under the question":
        cells[place - 1]["source"] = "".join(cells[place - 1]["source"]) + "\n\n" + said
    elif way == "in two cells":
        cells[place : place + 1] = [cells[place] | {"source": "Because of"}, own | {"source": "the data."}]
    else:
        cells.insert(place + (way != "above"), own)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert "".join(normalise(path, name).written["assignment-2"].split()) == "".join(said.split())


@given(st.text())
def test_clean_text_can_be_stored(text):
    assert clean(text).encode("utf-8").decode("utf-8") == clean(text)
    assert clean("\ud83d half") == "? half"


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("%time x = 3", "x = 3"),
        ("x = %time 3", "x = 3"),
        ("files = !ls *.py", "files = []"),
        ("t = %timeit -o f(4)", "t = None"),
        ("    !ls", "    pass"),
        ("cd ..", "pass"),
        ("pip install einops", "pass"),
        ("x % 3", "x % 3"),
    ],
)
def test_what_a_line_for_ipython_becomes(source, made):
    assert plain(source)[0] == made


@pytest.mark.parametrize(
    "where", ["{}", "check({})", "def causal_mask(length={}):\n    return 1", "T = [{}]"]
)
def test_a_number_that_python_cannot_write_costs_its_cell_alone(where, tmp_path):
    """`ast.unparse` raises on it, and the whole file was "not graded, run the command again"."""
    cells = json.loads((RELEASE / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    place = next(n for n, cell in enumerate(cells["cells"]) if cell["id"] == "causal_mask")
    own = deepcopy(cells["cells"][place]) | {
        "id": "own",
        "metadata": {},
        "source": where.format("0x" + "f" * 9_000),
    }
    cells["cells"].insert(place, own)
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(cells), encoding="utf-8")
    assert "causal_mask" in normalise(path, NAME).answers
    likeness.record(normalise(path, NAME))


def _with(tmp_path: Path, *sources: str, behind: str = "") -> Path:
    """A solved notebook with other cells at the front, and one at the end."""
    notebook = solved()
    notebook["cells"][1:1] = [code_cell(source, f"own-{n}") for n, source in enumerate(sources)]
    notebook["cells"].append(code_cell(behind, "behind"))
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "source",
    [
        "x = ?\n" + " " * 100_000,  # a pattern that began with blanks, twice
        "x = 0\n" + "x += x\n" * 20_000 + "def causal_mask(n): return x",  # who makes x, for each line anew
        "a\n\n" * 50_000,  # the least of the lines that are left, for each of them
    ],
    ids=["blanks", "one name", "many trials"],
)
@pytest.mark.slow
def test_the_time_to_read_a_cell_does_not_grow_with_its_square(source, tmp_path):
    """Seconds of the processor."""
    path = _with(tmp_path, source)
    began = time.thread_time()
    normalise(path, NAME)
    assert time.thread_time() - began < 8


def test_of_thousands_of_checks_by_another_name_the_first_is_bound(tmp_path, monkeypatch):
    """Each that is bound costs a look at its whole cell."""
    from utils.grading import normalise as module

    plain, calls = module._put, []
    monkeypatch.setattr(module, "_put", lambda *given: calls.append(given) or plain(*given))
    notebook = solved(merge_heads="")
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "merge_heads-check")
    cell["source"] = 'check(mine, "merge_heads")\n' * 7_000
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    (part,) = (part for part in normalise(path, NAME).parts if part.name == "merge_heads")
    assert len(calls) == 1 and part.source.strip() == "merge_heads = (mine)"


@pytest.mark.parametrize(
    "line",
    [
        "x = 1; check(\n    causal_mask\n)",
        "check(\n    causal_mask,\n); x = 1",
        "print(\n); x = 1; print(\n    1\n); print(2)",
    ],
)
def test_what_shares_a_line_with_what_is_not_run_is_still_python(line, tmp_path):
    notebook = solved()
    place = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "causal_mask")
    notebook["cells"].insert(place, code_cell(line))
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    (part,) = (part for part in normalise(path, NAME).parts if "x = 1" in part.source)
    assert "x" in binds(ast.parse(part.source)) and "check" not in part.source


def test_what_python_itself_reads_too_slowly_has_a_limit_and_a_sentence(tmp_path, monkeypatch):
    """Its parser needs seconds for one long f-string, in a process that has other submissions to read."""
    path = _with(tmp_path, *["x = f'" + "{a}" * 10_000 + "'"] * 9)
    monkeypatch.setattr("utils.grading.normalise.SECONDS", 0.01)
    with pytest.raises(BadNotebook, match="to be read"):
        normalise(path, NAME)


DEEP = "+".join(["1"] * 1500)


@pytest.mark.parametrize(
    "where", ["check({})", "def own(): return {}", "own = [{}]", "if {}: own = causal_mask"]
)
def test_an_expression_that_is_nested_too_deep_to_be_written_costs_nothing_else(where, tmp_path):
    """`ast.unparse` raised RecursionError on it, and the whole file was "not graded, run the command again"."""
    source = where.format(DEEP)
    for path in (_with(tmp_path, source), _with(tmp_path, behind=source)):
        submission = normalise(path, NAME)
        assert {*submission.answers} == {*answers()}
        ran = "\n".join(part.source for part in submission.parts)
        assert DEEP in ran or not source.startswith("def"), "it is run as it stands"


def test_a_text_that_nobody_has_thought_of_is_no_failure_of_the_grader(tmp_path, monkeypatch):
    def fail(*given):
        raise RecursionError

    monkeypatch.setattr("utils.grading.normalise.in_order", fail)
    with pytest.raises(BadNotebook, match="RecursionError"):
        normalise(_with(tmp_path), NAME)


def test_a_shortage_of_memory_is_nobodys_zero(tmp_path, monkeypatch):
    def fail(*given):
        raise MemoryError

    monkeypatch.setattr("utils.grading.normalise.in_order", fail)
    with pytest.raises(MemoryError):
        normalise(_with(tmp_path), NAME)
