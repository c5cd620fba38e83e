"""Without a network and without data: what notebooks say is about the data that were there.

The slow tests look at the class's notebooks as `executed` runs them: at smoke size, offline, on the course's own reviews and images.
"""

from __future__ import annotations

import ast
import re
import tomllib

import nbformat
import pytest

from tests.kinds import each
from utils import experiments
from utils.authoring import build, claims
from utils.data.catalog import IMAGES, TEXTS
from utils.plotting import display
from utils.stand_ins.vit import ViT

NAMES = build.source_names()
SPECS = (*TEXTS.values(), *IMAGES.values())
#: as people say them, and as the course does
PEOPLE = "|".join(re.escape(spec.title) for spec in SPECS)
REAL = re.compile(rf"\b(?:{PEOPLE}|{'|'.join(spec.name for spec in SPECS)})(?!\w)")
#: cells that name a real data set because they speak of what was recorded, or of the checkpoint, whatever the data here
ABOUT_RECORDS = {
    ("02_lstm_sentiment", "7-training-and-measuring-code-6"),
    ("03_transformer_sentiment", "7-a-fair-comparison-code-3"),
    ("05_vit", "the-course-s-checkpoint-code-1"),
    ("05_vit", "published-weights-code-1"),
    ("05_vit", "published-weights-code-3"),
    ("05_vit", "10-looking-inside-code-2"),
    ("05_vit", "through-all-layers-attention-rollout-code-2"),
    ("08_mixer_poolformer", "recorded-the-same-experiment-longer-code-1"),
}


def read(name: str):
    return nbformat.read(build.STUDENT / f"{name}.ipynb", as_version=4)


def said_by(cell) -> str:
    """What a cell put out: printed lines, and the alt texts of its pictures; not the notice of the data door."""
    outputs = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", [])]
    return "\n".join(text for text in outputs if "bundled data are used instead" not in text)


def test_no_cell_types_the_name_of_its_data_into_what_it_shows():
    """Drawn shapes stood under "a small Swin on CIFAR-10". A name comes from the data (`data.name`)."""
    typed = set()
    for name in NAMES:
        for cell in read(name).cells:
            if cell.cell_type == "code":
                constants = [n.value for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Constant)]
                if any(re.search(rf"\b(?:{PEOPLE}|photo\w*)(?!\w)", str(value)) for value in constants):
                    typed.add((name, cell.id))
    # What the checkpoint was trained on; and one printed word that waits for the next time when 04's times are measured.
    assert typed == {
        ("05_vit", "published-weights-code-1"),
        ("04_attention_in_vision", "what-content-dependent-weights-can-do-code-4"),
    }


def test_no_alt_text_names_data_that_may_not_be_there():
    for path in sorted(display.TEXTS.glob("*.toml")):
        for key, text in tomllib.loads(path.read_text(encoding="utf-8")).items():
            assert not re.search(rf"\b(?:{PEOPLE}|[Pp]hoto\w*)(?!\w)", text), f"{path.stem}/{key}"


def test_the_names_would_be_seen():
    for text in ("a small Swin on CIFAR-10", "reads SST-2.", "Rotten Tomatoes (MR)", "on tiny_imagenet, 20"):
        assert REAL.search(text), text
    assert not REAL.search("procedural (local), reviews, digits")


@pytest.mark.parametrize(("classes", "chance"), [(4, "25%"), (10, "10%"), (None, "10%")])
def test_a_lead_over_chance_is_one_over_the_chance_of_these_classes(classes, chance, capsys):
    """08, live: drawn images have four classes, recorded rows (which do not say how many) are of CIFAR-10."""
    cell = next(c for c in read("08_mixer_poolformer").cells if "def read_runs" in c.source)
    module = ast.parse(cell.source)
    module.body = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    mixers = ("attention", "window attention", "token MLP", "pooling", "random", "identity")
    place = {
        "experiments": experiments,
        "NAMES": (*mixers, "wider identity"),
        "short": lambda rows: [row | {"model": row["mixer"]} for row in rows],
    }
    exec(compile(module, "08", "exec"), place)  # noqa: S102
    rows = [
        {
            "mixer": mixer,
            "seed": seed,
            "test_accuracy": 0.5 + 0.1 * (mixer == "pooling"),
            "train_accuracy": 0.9,
        }
        for mixer in mixers
        for seed in (0, 1)
    ]
    if classes:
        rows = [row | {"classes": classes} for row in rows]
    place["read_runs"](rows)
    assert f"lead over chance ({chance})" in capsys.readouterr().out


def test_a_training_says_how_many_classes_it_had():
    rows = experiments.run_live(
        "data-scaling",
        "smoke",
        models=("ViT",),
        sizes=(32,),
        steps=1,
        only={"arm": "steps", "augment": False},
        test_images=20,
        classes={"ViT": ViT},
        progress=False,
    )
    assert rows[0]["classes"] == 10 and rows[0]["data_used"] == "digits"


@pytest.mark.thorough
@pytest.mark.slow
def test_only_what_speaks_of_records_names_a_real_data_set(executed):
    named = {
        (name, cell.id)
        for name in NAMES
        for cell in executed(name, True).cells
        if cell.cell_type == "code" and REAL.search(said_by(cell))
    }
    assert named == ABOUT_RECORDS


@pytest.mark.slow
@pytest.mark.parametrize("name", each(NAMES, "05_vit".__eq__))
def test_a_number_that_only_the_stored_run_shows_is_said_to_be_its(name, executed, tmp_path):
    """Where the output differs from a number in the text, the text says of which run it speaks."""
    notebook = executed(name, True)
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    texts = {cell.id: cell.source for cell in notebook.cells}
    off = [problem for problem in claims.problems(name, tmp_path) if "the text does not say" not in problem]
    left = []
    for problem in off:
        cell = problem.split(": ")[0].removeprefix(f"{name}, ")
        if cell.startswith(("prediction-", "answer-")):  # not in a student's notebook
            continue
        if "stored run" not in texts[cell]:
            left.append(problem)
    assert left == []


@pytest.mark.thorough
@pytest.mark.slow
def test_attention_is_ahead_of_the_best_kernel_on_drawn_images(executed):
    """04 says so, beside what photographs show."""
    notebook = executed("04_attention_in_vision", True)
    cell = next(c for c in notebook.cells if c.id == "what-content-dependent-weights-can-do-code-4")
    errors = {
        key: float(re.search(rf"{key}: ([\d.]+)", said_by(cell))[1]) for key in ("best kernel", "attention")
    }
    assert errors["attention"] < 0.8 * errors["best kernel"]
