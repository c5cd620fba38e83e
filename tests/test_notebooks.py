"""The built notebooks: fresh, free of answers, runnable unsolved and without `solutions/`, every image described."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib

import nbformat
import pytest

from tests.kinds import each
from utils.authoring import build, solve, stubs
from utils.checks.registry import exercises_of
from utils.data import IMAGES
from utils.plotting import display

NAMES = build.source_names()
MAX_LINES = {"cell": 45, "answer": 25}
WIDTH = 96  # columns of code: what the pages and a laptop's half screen show
DOORS = 6  # lines that import from the course's own modules


def read(folder, name):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
def test_built_notebooks_are_up_to_date(name):
    assert build.stale(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_outputs_come_from_the_cpu_budget_or_better(name):
    assert read(build.SOLVED, name).metadata["course"]["executed"]["budget"] in ("cpu", "gpu")


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_that_takes_long_says_so_before_it_is_run(name):
    """Within a factor of two of what it took when it was executed; a notebook whose execution kept no times says something all the same.

    It says nothing of a T4: no time was measured there.
    """
    notebook = read(build.SOLVED, name)
    told = {}
    for before, cell in itertools.pairwise(notebook.cells):
        if before.id == f"{cell.id}-time":
            told[cell.id] = int(re.search(r"\d+", before.source)[0])
    assert told
    took = notebook.metadata["course"]["executed"].get("cells", {})
    assert {key: seconds for key, seconds in took.items() if seconds >= solve.LONG and key not in told} == {}
    wrong = {
        key: (told[key], took[key])
        for key in told.keys() & took.keys()
        if not 0.5 <= told[key] / took[key] <= 2
    }
    assert wrong == {}


@pytest.mark.parametrize("name", NAMES)
def test_no_stub_leaks_a_line_of_its_solution(name):
    notebook = read(build.STUDENT, name)
    assert all(not cell.get("outputs") for cell in notebook.cells), "student notebooks carry no outputs"
    for exercise in exercises_of(name):
        answer = stubs.answer(exercise)
        given = {line.strip() for line in answer.stub.splitlines()}
        secret = [
            line.strip() for line in answer.hidden if len(line.strip()) >= 12 and line.strip() not in given
        ]
        own = next(cell.source for cell in notebook.cells if cell.id == exercise.name)
        task = next(cell.source for cell in notebook.cells if cell.id == f"{exercise.name}-task")
        starts = r"(?<![\w.])"  # `channels = ...` is not shown by `self.in_channels = ...`
        leaked = [line for line in secret if re.search(starts + re.escape(line), own + "\n" + task)]
        assert leaked == [], f"{exercise.name}: the stub or its task shows {leaked}"
        everywhere = "\n".join(cell.source for cell in notebook.cells)
        pairs = ["\n".join(pair) for pair in zip(secret, secret[1:], strict=False)]
        flat = "\n".join(line.strip() for line in everywhere.splitlines())
        assert [pair for pair in pairs if pair in flat] == [], (
            f"{exercise.name}: another cell holds lines of the answer"
        )


@pytest.mark.parametrize("name", NAMES)
def test_answers_and_cells_are_short(name):
    for exercise in exercises_of(name):
        lines = [
            line
            for line in stubs.answer(exercise).hidden
            if line.strip() and not line.strip().startswith("#")
        ]
        assert len(lines) <= MAX_LINES["answer"], f"{exercise.name}: {len(lines)} lines to write"
    answers = {exercise.name for exercise in exercises_of(name)}
    long = [
        (cell.id, cell.source.count("\n") + 1)
        for cell in read(build.STUDENT, name).cells
        if cell.cell_type == "code"
        and cell.id not in answers
        and cell.source.count("\n") + 1 > MAX_LINES["cell"]
    ]
    assert long == []


def test_the_longest_notebook_has_at_most_4500_words():
    """Beside its reading list: alt texts, tables and hints count."""
    cells = [
        cell.source for cell in read(build.STUDENT, "06_inductive_bias").cells if cell.cell_type == "markdown"
    ]
    words = [len(text.split()) for text in cells if not text.startswith("## Further reading")]
    assert sum(words) <= 4_500 and max(words) <= 250


@pytest.mark.parametrize("name", NAMES)
def test_code_is_at_most_96_columns_wide(name):
    """All of a student's notebook, stubs included; of the solved one all but the answers, which the pages wrap."""
    answers = {exercise.name for exercise in exercises_of(name)}
    for folder, left_out in ((build.STUDENT, set()), (build.SOLVED, answers)):
        wide = [
            f"{cell.id}: {len(line)}"
            for cell in read(folder, name).cells
            if cell.cell_type == "code" and cell.id not in left_out
            for line in cell.source.splitlines()
            if len(line) > WIDTH
        ]
        assert wide == []


@pytest.mark.parametrize("name", NAMES)
def test_few_lines_import_from_the_course(name):
    lines = []
    for cell in read(build.STUDENT, name).cells:
        if cell.cell_type == "code" and cell.id != "set-up":
            for node in ast.walk(ast.parse(cell.source)):
                named = (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else [alias.name for alias in getattr(node, "names", [])]
                    if isinstance(node, ast.Import)
                    else []
                )
                lines += [module for module in named if module.split(".")[0] == "utils"]
    assert len(lines) <= DOORS, lines


@pytest.mark.parametrize("name", NAMES)
def test_cells_that_only_draw_are_folded(name):
    """Where a cell begins with the drawing, nothing but the drawing is in it: JupyterLab, Colab and the pages close it."""
    for cell in read(build.SOLVED, name).cells:
        if cell.cell_type != "code":
            continue
        folded = cell.source.startswith("# @title ")
        assert (
            cell.metadata.get("jupyter") == {"source_hidden": True},
            cell.metadata.get("cellView") == "form",
            "hide-input" in cell.metadata.get("tags", []),
        ) == (folded,) * 3, cell.id
        code = ast.parse(cell.source).body
        if len(code) == 1 and isinstance(code[0], ast.If):
            code = code[0].body
        draws = code and re.match(r"(fig\b.*= )?plotting\.(figure|show|images|flow)\(", ast.unparse(code[0]))
        assert folded or not draws, f"{cell.id} only draws: give it the marker fold"


@pytest.mark.parametrize("name", NAMES)
def test_no_alt_text_stands_in_a_cell(name):
    """It would tell what the picture shows before the cell has run, under a question that asks for a prediction."""
    for cell in read(build.STUDENT, name).cells:
        if cell.cell_type != "code":
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "plotting.show":
                given = [*call.args[1:2], *[key.value for key in call.keywords if key.arg == "alt"]]
                written = [
                    node for part in given for node in ast.walk(part) if isinstance(node, ast.Constant)
                ]
                said = [str(node.value) for node in written if len(str(node.value).split()) > 3]
                assert said == [], f"{cell.id}: put the text into utils/plotting/alt/{name}.toml"


@pytest.mark.parametrize("name", NAMES)
def test_stored_alt_texts_are_the_ones_that_cells_ask_for(name):
    stored = tomllib.loads((display.TEXTS / f"{name}.toml").read_text(encoding="utf-8"))
    code = "\n".join(cell.source for cell in read(build.STUDENT, name).cells if cell.cell_type == "code")
    asked = re.findall(rf'"{name[:2]}/([a-z0-9-]+)"', code)
    assert sorted(stored) == sorted(set(asked))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_prediction_is_about_stays_closed(name):
    """Behind "Predict" and the code that answers it, the text that tells the result is in a closed block."""
    cells = [cell for cell in read(build.STUDENT, name).cells if not cell.id.endswith("-time")]
    closed = 0
    for index, cell in enumerate(cells):
        if not cell.id.startswith("prediction-") or cells[index + 1].cell_type != "code":
            continue
        after = next(c for c in cells[index + 1 :] if c.cell_type == "markdown")
        if (
            after.id.endswith("-task")
            or after.source.startswith("#")
            or after.id.startswith(("predict-", "question-"))
        ):
            continue
        start, _, rest = after.source.partition("</details>")
        assert start.startswith(f"<details><summary>{build.OUTCOME}</summary>\n\n"), after.id
        assert not rest.strip() or rest.lstrip().startswith("#"), after.id
        closed += 1
    assert closed or not any(cell.id.startswith("prediction-") for cell in cells) or name[:2] == "10"


def test_outputs_survive_new_line_breaks_and_not_a_new_number():
    old = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1,  2)  # two", id="a")])
    old.cells[0].outputs = [nbformat.v4.new_output("stream", text="1 2\n")]
    for source, kept in (("print(\n    1, 2\n)", True), ("print(1, 3)", False), ("%time print(1, 2)", False)):
        new = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="a")])
        build.keep_outputs(new, old)
        assert bool(new.cells[0].outputs) == kept, source


@pytest.mark.parametrize("name", NAMES)
def test_every_image_has_alt_text(name):
    for cell in read(build.SOLVED, name).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]\(", cell.source), f"{cell.id}: an image without alt text"
            continue
        for output in cell.outputs:
            data = output.get("data", {})
            assert not any(kind.startswith("image/") for kind in data), (
                f"{cell.id}: a picture without alt text, or one that is stored twice; use plotting.show"
            )
            for tag in re.findall(r"<img [^>]*>", data.get("text/html", "")):
                assert re.search(r'alt="[^"]{15,}"', tag), f"{cell.id}: an image without alt text"


PLACEHOLDER = re.compile(r"^#* ?TEXT-[A-Z]|^#* ?(TODO|FIXME|XXX)\b|@[A-Z]{2,}@|\b[A-Z_]+_HERE\b", re.M)


@pytest.mark.parametrize("name", NAMES)
def test_no_placeholder_is_left(name):
    left = [m[0] for cell in read(build.SOLVED, name).cells for m in PLACEHOLDER.finditer(cell.source)]
    assert left == []


def test_no_placeholder_is_left_in_the_pages():
    for page in ("README.md", "CONTRIBUTING.md", "data/README.md"):
        assert PLACEHOLDER.findall((build.ROOT / page).read_text(encoding="utf-8")) == [], page


def test_placeholders_would_be_seen():
    for text in ("TEXT-MAP", "a\n# TODO: write", "reaches @BOW@%", "PAIRS_HERE"):
        assert PLACEHOLDER.search(text), text


@pytest.mark.parametrize("name", NAMES)
def test_solved_notebooks_store_no_error(name):
    for cell in read(build.SOLVED, name).cells:
        assert all(output.output_type != "error" for output in cell.get("outputs", [])), cell.id


@pytest.mark.slow
@pytest.mark.parametrize("name", each(NAMES))
def test_unsolved_notebook_fails_only_at_its_exercises(name, executed):
    """In the class's copy (no solutions/), with this and every earlier notebook unsolved."""
    notebook = executed(name, False)
    assert errors(notebook).keys() == {f"{exercise.name}-check" for exercise in exercises_of(name)}
    for cell, output in errors(notebook).items():
        assert output.ename == "NotStarted", f"{cell}: {output.evalue}"
        assert "not started yet" in output.evalue
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source)


@pytest.mark.slow
@pytest.mark.parametrize("name", each(NAMES, keep=lambda name: name == "05_vit"))
def test_solved_notebook_runs_in_the_classs_copy(name, executed):
    """A student's finished notebook: no solutions/, no data mirror, no network, earlier notebooks unsolved."""
    notebook = executed(name, True)
    assert {cell: output.evalue for cell, output in errors(notebook).items()} == {}
    for exercise in exercises_of(name):
        cell = next(cell for cell in notebook.cells if cell.id == f"{exercise.name}-check")
        assert "cases are right" in str(cell.outputs), exercise.name


@pytest.mark.slow
def test_without_cifar10_the_checkpoint_answers_with_its_own_classes(executed):
    """05 offline: the images are the course's, the model knows airplanes to trucks; "stripes 95 % (is a rings)" was said once."""
    notebook = executed("05_vit", True)
    text = "\n".join(
        output.get("data", {}).get("text/plain", "")
        for c in notebook.cells
        for output in c.get("outputs", [])
    )
    said = re.search(r"The eight of the first 40 test images that .* is surest of: (.*)\.", text)[1]
    answers = re.findall(r"([a-z ]+) \d+% \(label: ([a-z ]+)\)", said)
    assert len(answers) == 8
    assert {answer.strip() for answer, _ in answers} <= set(IMAGES["cifar10"].label_names)
    assert not {label for _, label in answers} & set(IMAGES["cifar10"].label_names)
    printed = "".join(output.get("text", "") for c in notebook.cells for output in c.get("outputs", []))
    assert "none of the classes that the model knows" in printed


def errors(notebook) -> dict[str, nbformat.NotebookNode]:
    """The errors that cells have put out, by the cell's id."""
    return {
        cell.id: output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
