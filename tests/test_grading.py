"""The trusted grader's core: student code in a sandbox, values over the wire, comparison outside."""

from __future__ import annotations

import ast
import json
import os
import time

import nbformat
import psutil
import pytest

from tests.kinds import each
from utils.authoring import build, stubs
from utils.authoring.attacks.places import FRAMES
from utils.checks.registry import exercises_of
from utils.grading import isolation, reports, run, submissions
from utils.grading.cells import bound, defines
from utils.grading.isolation import Limits
from utils.grading.normalise import normalise
from utils.grading.reading import BadNotebook
from utils.grading.records import Records
from utils.grading.reports import tables
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade

NAME = "01_transformer_recap"
needs_sandbox = pytest.mark.skipif(not isolation.probe().safe, reason=isolation.probe().sentence())


def solved(edit=lambda name, text: text):
    """The student notebook of 01 with all answers filled in, each passed through `edit`."""
    notebook = nbformat.read(build.STUDENT / f"{NAME}.ipynb", as_version=4)
    for exercise in exercises_of(NAME):
        cell = next(cell for cell in notebook.cells if cell.id == exercise.name)
        cell.source = edit(exercise.name, stubs.answer(exercise).whole)
    return notebook


def append(target, text):
    return lambda name, source: source + text if name == target else source


@pytest.fixture(scope="module")
def examiner():
    return Examiner(NAME, seed=99)


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(seconds=40, memory=1536 * 2**20)) as sandbox:
        yield sandbox


def verdicts(box, examiner, notebook, tmp_path):
    path = tmp_path / "submission.ipynb"
    nbformat.write(notebook, path)
    return {v.exercise: v for v in grade(box, examiner, normalise(path, NAME))}


@needs_sandbox
def test_a_right_submission_gets_full_points_on_hidden_cases(box, examiner, tmp_path):
    found = verdicts(box, examiner, solved(), tmp_path)
    assert {name: v.state for name, v in found.items()} == dict.fromkeys(found, "passed")
    assert sum(v.points for v in found.values()) == sum(e.points for e in exercises_of(NAME))


@needs_sandbox
def test_one_mistake_costs_one_exercise_and_is_diagnosed(box, examiner, tmp_path):
    wrong = solved(lambda name, text: text.replace(" / math.sqrt(query.shape[-1])", ""))
    found = verdicts(box, examiner, wrong, tmp_path)
    assert [name for name, v in found.items() if v.state != "passed"] == ["scaled_dot_product_attention"]
    assert "sqrt" in found["scaled_dot_product_attention"].diagnosis


@needs_sandbox
def test_an_unsolved_submission_is_not_started(box, examiner, tmp_path):
    found = verdicts(box, examiner, nbformat.read(build.STUDENT / f"{NAME}.ipynb", as_version=4), tmp_path)
    assert {v.state for v in found.values()} == {"not started"}


ATTACKS = {
    "patch the comparison": "import torch\ntorch.allclose = lambda *a, **k: True\ntorch.equal = lambda *a: True\n",
    "patch the check engine": "import utils.checks.compare as c, utils.checks.engine as e\nc.compare = lambda *a: None\ne.examine = None\n",
    "forge the grader's closing word": FRAMES + "send(wire.pack({'end': 'done'}, {}))\n",
    "read the solutions": f"print(open({str(build.ROOT / 'solutions' / 'attention.py')!r}).read())\n",
    "import the solutions": "import solutions.attention\nsplit_heads = solutions.attention.split_heads\n",
    "open a socket": "import socket\nsocket.socket(socket.AF_INET)\n",
    "leave processes behind": "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(30)\n        os._exit(0)\n",
    "kill the parent": "import os, signal\nos.kill(os.getppid() or 1, signal.SIGTERM)\n",
    "never end": "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n",
    "allocate": "hoard = bytearray(3 * 2**30)\n",
    "fill the disk": "import os\nwith open('fill', 'wb') as f:\n    for _ in range(300): f.write(bytes(2**20))\n",
}


@needs_sandbox
@pytest.mark.parametrize(
    "attack",
    each(ATTACKS, keep=lambda name: name != "never end"),
    ids=lambda name: name.replace(" ", "-"),
)
def test_an_attack_beside_a_wrong_answer_earns_nothing(attack, box, examiner, tmp_path):
    """`causal_mask` is wrong in each; whatever the cell does beside, its points must not come, and the next student gets theirs."""
    wrong = "def causal_mask(length):\n    return torch.ones(length, length, dtype=torch.bool)\n"
    hostile = solved(lambda name, text: wrong + ATTACKS[attack] if name == "causal_mask" else text)
    before = processes()
    quick = Sandbox(Limits(seconds=25, memory=1536 * 2**20)) if attack == "never end" else box
    found = verdicts(quick, examiner, hostile, tmp_path)
    assert found["causal_mask"].state != "passed"
    assert found["causal_mask"].points < next(e.points for e in exercises_of(NAME) if e.name == "causal_mask")
    good = verdicts(quick, examiner, solved(), tmp_path)
    assert all(v.state == "passed" for v in good.values())
    if quick is not box:
        quick.stop()
    time.sleep(0.1)
    # new are the two of the next sandbox, which waits to be asked; it may not have been there before
    until = time.monotonic() + 20
    while len(left := processes() - before) > 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(left) <= 2, "processes are left behind"


def processes():
    """This test run's sandboxes, whatever became of their parents."""
    commands = {p.pid: p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])}
    return {pid for pid, c in commands.items() if "utils.grading.zygote" in c and c[-1] == str(os.getpid())}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"{", "not a notebook"),
        (b'{"cells": 3}', "not a notebook"),
        (b'{"cells": []}', "another assignment"),
        (b"\xff\xfe\x00", "not a notebook"),
    ],
)
def test_broken_files_are_named(content, words, tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(BadNotebook, match=words):
        normalise(path, NAME)


def test_cells_are_found_wherever_they_went(tmp_path):
    notebook = solved()
    cell = next(c for c in notebook.cells if c.id == "split_heads")
    cell.id, cell.metadata = "somewhere-else", {}
    notebook.cells.reverse()
    mask = next(c for c in notebook.cells if c.id == "causal_mask")
    mask.cell_type = "markdown"
    mask.pop("outputs"), mask.pop("execution_count")
    path = tmp_path / "x.ipynb"
    nbformat.write(notebook, path)
    submission = normalise(path, NAME)
    answered = [part.name for part in submission.parts if part.kind == "answer"]
    assert "split_heads" in answered and "causal_mask" not in answered
    assert any("text cell" in note for note in submission.notes)
    assert defines("%matplotlib inline\n!pip install x\ndef f(): pass\n") == ["f"]


def test_platforms_file_names_are_read_and_never_followed(tmp_path):
    import zipfile

    archive = tmp_path / "canvas.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(f"kimminsu_LATE_123_456_{NAME}-1.ipynb", "{}")
        zipped.writestr(f"kimminsu_123_455_{NAME}.ipynb", "{}")
        zipped.writestr(f"../../../evil_9_8_{NAME}.ipynb", "{}")
        zipped.writestr(f"Ana Lima_77_assignsubmission_file_/{NAME}.ipynb", "{}")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = submissions.find(archive, scratch, [NAME])
    assert [(h.student, h.user) for h in found] == [("Ana Lima", "77"), ("evil", "9"), ("kimminsu", "123")]
    assert found[2].origin.endswith(f"_455_{NAME}.ipynb"), "the last one on time counts"
    assert found[2].note.endswith("-1.ipynb"), "and the late one is named"
    late = submissions.chosen(submissions.read(archive, scratch, [NAME]).handed, last=True)
    assert late[2].origin.endswith("-1.ipynb") and late[2].late
    assert all(h.path.parent == scratch for h in found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["canvas.zip", "scratch"]


@needs_sandbox
def test_a_run_resumes_and_writes_every_report(tmp_path):
    folder = tmp_path / "in"
    for student, notebook in (
        ("=cmd()", solved()),
        ("<script>x</script>", solved(append("split_heads", "\n1/0"))),
    ):
        (folder / student.replace("/", "_")).mkdir(parents=True)
        nbformat.write(notebook, folder / student.replace("/", "_") / f"{NAME}.ipynb")
    (folder / "\ud55c\uae00 \U0001f600").mkdir()
    (folder / "\ud55c\uae00 \U0001f600" / f"{NAME}.ipynb").write_bytes(b"")
    out = tmp_path / "out"
    entries = run.run(folder, out, seed=5, progress=False)
    lines = (out / "records.jsonl").read_text().splitlines()
    (out / "records.jsonl").write_text(lines[0] + "\n" + lines[1][:50])  # killed while writing
    again = run.run(folder, out, progress=False)
    strip = [{k: v for k, v in e.items() if k != "when"} for e in entries]
    assert [{k: v for k, v in e.items() if k != "when"} for e in again] == strip
    reports.write(again, out, isolation.probe().sentence())
    table = (out / "grades.csv").read_text(encoding="utf-8-sig")
    assert "'=cmd()" in table and "\n=cmd()" not in table
    page = "".join(p.read_text() for p in (out / "feedback").iterdir())
    assert "<script>" not in page and "the file is empty" in page
    assert json.loads(next((out / "gradescope").rglob("results.json")).read_text())["tests"]
    assert isolation.probe().name in (out / "summary.html").read_text()


def test_records_survive_a_cut_line(tmp_path):
    path = tmp_path / "r.jsonl"
    Records(path).add({"key": "a", "x": 1})
    with open(path, "a") as file:
        file.write('{"key": "b", "x"')
    records = Records(path)
    assert set(records.lines) == {"a"}
    records.add({"key": "c"})
    assert set(Records(path).lines) == {"a", "c"}


def test_formulas_are_defused():
    assert [tables.cell(text) for text in ("=1+1", "+1", "-1", "@x", "Kim", "\t=1")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "Kim",
        "'\t=1",
    ]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("import torch\nfrom torch import nn as N\n", {"torch": " torch", "N": "0 torch nn"}),
        ("'''text'''\nEPS = 1e-6\na = b = (1, -2)\n", {"EPS", "a", "b"}),
        (
            "def f(x, y=2):\n    return g(x)\nclass A(f):\n    'text'\n    def forward(self):\n        print(1)\n",
            {"f", "A"},
        ),
        ("", {}),
        ("f(1)\n", None),
        ("EPS = f()\n", None),
        ("x[0] = 1\n", None),
        ("x.y = 1\n", None),
        ("def f(x=g()):\n    pass\n", None),
        ("@g\ndef f(x):\n    pass\n", None),
        ("def f(x: g(), y: int = 2) -> None:\n    pass\n", None),
        ("def f(x: int, *, y: list[int] = ()) -> 'A':\n    return g(x)\n", {"f"}),
        ("class A(g()):\n    pass\n", None),
        ("class A:\n    x = 1\n", None),
        ("class A(metaclass=g):\n    pass\n", None),
        ("for i in x:\n    pass\n", None),
        ("del x\n", None),
        ("import a\nimport a.b\nif a:\n    import c\n", None),
    ],
)
def test_what_a_cell_binds_without_working(cell, names):
    found = bound(ast.parse(cell))
    assert found == names if names is None or isinstance(names, dict) else set(found) == names


def test_two_definitions_never_count_as_one():
    seen = [bound(ast.parse("def f():\n    pass\n"))["f"] for _ in range(50)]
    assert len(set(seen)) == 50


ANSWERS = {
    "an answer that turns gradients off for good": "import torch\ndef split_heads(x, num_heads):\n    torch.set_grad_enabled(False)\n    b, n, d = x.shape\n    return x.reshape(b, n, num_heads, d // num_heads).transpose(1, 2)\n",
    "an answer that breaks torch when it is called": "import torch\ndef split_heads(x, num_heads):\n    torch.Tensor.transpose = None\n    return x\n",
    "an answer that ends its process": "import os\ndef split_heads(x, num_heads):\n    os._exit(3)\n",
    "an answer that leaves a limit behind": "import resource\ndef split_heads(x, num_heads):\n    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n    return x\n",
}


@needs_sandbox
@pytest.mark.parametrize("code", ANSWERS.values(), ids=lambda code: "")
def test_no_answer_suffers_from_what_another_does_when_it_is_called(code, box, examiner, tmp_path):
    """Checks share a process where they can; what one of them does to it must not cost the others."""
    hostile = solved(lambda name, text: code if name == "split_heads" else text)
    found = verdicts(box, examiner, hostile, tmp_path)
    failed = {name for name, verdict in found.items() if verdict.state != "passed"}
    assert failed <= {"split_heads"}, found


@needs_sandbox
def test_a_later_cell_cannot_change_an_answer_that_waits_for_its_check(box, examiner, tmp_path):
    """`merge_heads` is right when its check cell runs; the cell of `FeedForward` binds it, or breaks what it stands on."""
    for later in (
        "def merge_heads(x):\n    return None\n",
        "torch.Tensor.transpose = torch.Tensor.flatten = torch.Tensor.reshape = None\n",
        "import math as merge_heads\n",
    ):
        notebook = solved(
            lambda name, text, later=later: text + "\n" + later if name == "FeedForward" else text
        )
        found = verdicts(box, examiner, notebook, tmp_path)
        assert found["merge_heads"].state == "passed", later
        assert (
            "torch.Tensor" not in later
            or found["causal_mask"].state == "passed" != found["DecoderLayer"].state
        )
