"""One idea, one stem: where an exercise's answer, check, bank, stand-in and check data lie, and how they are found."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from utils.authoring import build, expected
from utils.checks import fixtures, registry
from utils.checks.registry import all_exercises, exercises_in, exercises_of, find, stems
from utils.grading import answers
from utils.paths import ROOT

EXERCISES = list(all_exercises().values())


def _defines(path: str, text: str) -> bool:
    file = ROOT / path
    return file.exists() and re.search(text, file.read_text(encoding="utf-8"), re.M) is not None


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_everything_of_an_exercise_has_one_stem(exercise):
    name, stem = exercise.name, exercise.stem
    assert exercise.reference == f"solutions.{stem}:{name}"
    assert exercise.stand_in in ("", f"utils.stand_ins.{stem}:{name}")
    assert name in exercises_in(stem)
    assert _defines(f"solutions/{stem}.py", rf"^(def|class) {name}\b")
    assert _defines(f"solutions/mistakes/{stem}.py", rf'Bank\("{name}"\)')
    if exercise.stand_in:
        assert _defines(f"utils/stand_ins/{stem}.py", rf"^(def|class) {name}\b|^{name} = ")
    assert (ROOT / "data" / "expected" / stem / f"{name}.safetensors").exists()
    assert (ROOT / "data" / "expected" / stem / f"{name}.json").exists()


def test_the_rooms_hold_nothing_else():
    found = {exercise.stem for exercise in EXERCISES}
    assert set(stems()) == found
    assert {path.stem for path in (ROOT / "solutions" / "mistakes").glob("[!_]*.py")} == found
    assert {path.stem for path in (ROOT / "utils" / "stand_ins").glob("[!_]*.py")} <= found
    assert len(EXERCISES) >= 74
    assert not [stem for stem in found if re.search(r"\d\d", stem)], "a stem names an idea, not a chapter"


def test_the_order_is_that_of_the_cells():
    for name in build.source_names():
        assert [exercise.name for exercise in exercises_of(name)] == build.used_in(name)
        assert [exercise.name for exercise in exercises_of(name[:2])] == build.used_in(name)
        assert all(exercise.notebook == name for exercise in exercises_of(name))


def test_finding_an_exercise_imports_its_module_and_no_other():
    code = (
        "import sys\nfrom utils.checks.registry import find\nfind('split_heads')\n"
        "print([m for m in sys.modules if m.startswith('utils.checks.exercises.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in json.loads(done.stdout.replace("'", '"'))}
    assert "attention" in loaded and loaded <= {"attention", "scaled_dot_product"}


def test_an_exercise_without_check_data_is_found_too(monkeypatch, tmp_path):
    monkeypatch.setattr(fixtures, "FOLDER", tmp_path)
    registry.forget()
    assert find("split_heads").stem == "attention"
    with pytest.raises(KeyError, match="there are: .*split_heads"):
        find("split_head")
    monkeypatch.undo()
    registry.forget()


NUMBERED = re.compile(r"\b[Ee]xercises? \d+(\.\d+)?\b")


def test_nothing_refers_to_an_exercise_by_its_number():
    """The number in a heading is its place among the cells: it moves when an exercise is inserted before it."""
    texts = [*build.SOURCES.glob("*.py"), *(ROOT / "solutions").glob("*.py"), *(ROOT / "docs").rglob("*.md")]
    texts += [*fixtures.FOLDER.rglob("*.json"), *(ROOT / "utils").rglob("*.py"), *ROOT.glob("*.md")]
    texts += (ROOT / "solutions" / "mistakes").glob("*.py")
    found = {
        path.name: NUMBERED.findall(path.read_text(encoding="utf-8"))
        for path in texts
        if NUMBERED.search(path.read_text(encoding="utf-8"))
    }
    assert not found


def test_sentences_on_disk_are_those_of_banks_and_properties():
    assert expected.stale_sentences() == []


def test_a_stale_a_missing_and_an_orphaned_text_file_are_named(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "expected"
    for exercise in EXERCISES:
        path = folder / exercise.stem / f"{exercise.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fixtures.path_of(exercise).with_suffix(".json").read_bytes())
    monkeypatch.setattr(fixtures, "FOLDER", folder)
    assert expected.stale_sentences() == []
    changed, missing, orphan = (
        folder / "attention" / f"{n}.json" for n in ("split_heads", "merge_heads", "old")
    )
    changed.write_text(changed.read_text(encoding="utf-8").replace("Your", "The", 1), encoding="utf-8")
    missing.rename(orphan)
    said = "\n".join(expected.stale_sentences())
    assert "split_heads.json is stale" in said and "merge_heads.json is missing" in said
    assert "old.json belongs to no exercise" in said and said.count("\n") == 2


def test_sentences_are_text_and_numbers_are_not():
    for exercise in EXERCISES:
        path = fixtures.path_of(exercise)
        said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert list(said["properties"]) == [prop.name for prop in exercise.properties]
        binary = path.read_bytes()
        for sentence in (*said["mistakes"].values(), *said["properties"].values()):
            assert sentence.encode() not in binary, (exercise.name, sentence)
            lines = path.with_suffix(".json").read_text(encoding="utf-8").splitlines()
            assert sum(json.dumps(sentence, ensure_ascii=False) in line for line in lines) >= 1
        assert [m.sentence for m in fixtures.load(exercise).mistakes] == list(said["mistakes"].values())


def test_a_draft_without_a_bank_has_an_empty_one(monkeypatch):
    monkeypatch.setattr(answers, "banks_in", lambda module: {})
    assert answers.bank(find("split_heads")).wrongs == []


def test_a_bank_that_cannot_be_imported_is_not_taken_for_a_missing_one(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'einopz'", name="einopz")

    monkeypatch.setattr(answers.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="einopz"):
        answers.bank(find("split_heads"))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course of three trivial exercises in a folder of its own."""
    from utils.authoring.bench_grading import course

    return course.make(tmp_path_factory.mktemp("stems") / "course")


def _build(folder):
    from utils.authoring.bench_grading.course import environment

    command = [sys.executable, "-m", "utils.authoring", "build"]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.thorough
def test_a_draft_builds_with_a_warning_and_broken_edits_are_named_together(course):
    bank = course / "solutions" / "mistakes" / "trivial.py"
    text = bank.read_text(encoding="utf-8")
    bank.unlink()
    shown = course / "notebooks" / "90_trivial.ipynb"
    shown.unlink()
    draft = _build(course)
    assert draft.returncode == 0, draft.stderr
    assert draft.stdout.count("has no wrong answers in solutions/mistakes/trivial.py yet") == 3
    assert shown.exists(), "a draft is built, with a warning"
    bank.write_text(
        text.replace('"a + b": ', '"a plus b": ').replace('"dim=-1": ', '"axis=-1": '), encoding="utf-8"
    )
    broken = _build(course)
    assert broken.returncode == 1 and "Traceback" not in broken.stderr
    assert "add, 'minus': 'a plus b' is found 0 times" in broken.stderr
    assert "row_sums, 'first axis': 'axis=-1' is found 0 times" in broken.stderr
    bank.write_text(text, encoding="utf-8")
    assert _build(course).returncode == 0


@pytest.mark.thorough
@pytest.mark.slow
def test_an_inserted_exercise_moves_numbers_and_nothing_else(course):
    source = course / "solutions" / "source" / "90_trivial.py"
    text = source.read_text(encoding="utf-8")
    first, second = (
        '# %% [markdown] exercise="add"\n# Add.\n',
        '# %% [markdown] exercise="double"\n# Double.\n',
    )
    source.write_text(text.replace(first, "").replace(second, second + "\n" + first), encoding="utf-8")
    assert _build(course).returncode == 0
    cells = json.loads((course / "notebooks" / "90_trivial.ipynb").read_text(encoding="utf-8"))["cells"]
    heads = {
        cell["id"]: "".join(cell["source"]).splitlines()[0] for cell in cells if cell["id"].endswith("-task")
    }
    assert heads["double-task"].startswith("### Exercise 90.1 ") and heads["add-task"].startswith(
        "### Exercise 90.2 "
    )
    order = json.loads((course / "data" / "expected" / "order.json").read_text(encoding="utf-8"))
    assert order == {"90_trivial": ["double", "add", "row_sums"]}
    source.write_text(text, encoding="utf-8")
    assert _build(course).returncode == 0
