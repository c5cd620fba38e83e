"""What a sandbox can reach: of the host nothing, of another submission not one byte, of the course's own results none."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import re
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.kinds import each
from utils.authoring.attacks.scene import NOTEBOOK, TARGET, answers, code_cell, solved
from utils.checks.chain import rests_on, stand_in
from utils.checks.registry import all_exercises, exercises_of
from utils.grading import hidden, inside, isolation, lending, wire
from utils.grading.isolation import Limits, probe
from utils.grading.normalise import normalise
from utils.grading.reading import release_cells
from utils.grading.verdict import NEUTRAL, Examiner
from utils.grading.worker import Request, Sandbox, grade, grade_some
from utils.paths import ROOT

pytestmark = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
COURSE = all_exercises()
RIGHT = "def causal_mask(length):\n    return torch.ones(length, length, dtype=torch.bool).tril()\n"
WRONG = "def causal_mask(length):\n    return torch.zeros(length, length, dtype=torch.bool)\n"


@pytest.fixture(scope="module")
def examiner():
    return Examiner(NOTEBOOK, 5)


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(check=5.0)) as sandbox:
        yield sandbox


def submission(tmp_path, **edits):
    path = tmp_path / f"{NOTEBOOK}.ipynb"
    path.write_text(json.dumps(solved(**edits)), encoding="utf-8")
    return normalise(path, NOTEBOOK)


def tells(box, examiner, tmp_path, body):
    """Runs a body that ends with `told = ...` in a sandbox, and gives what it told: the exercise's error carries it out."""
    code = f"def causal_mask(length):\n{body}\n    raise ValueError(repr(told))\n"
    said = grade_some(box, examiner, submission(tmp_path, **{TARGET: code}), [TARGET])[TARGET].said
    found = re.match(r"Your code raised ValueError: (.*?),? (?:line \d+ of your cell|in causal_mask)", said)
    assert found, said
    return ast.literal_eval(found[1])


SEARCH = """
    import re
    places = []  # the mark is never put together here: the search would find itself
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if found and "[v" not in line:
                first, last = int(found[1], 16), int(found[2], 16)
                while first < last:
                    memory.seek(first)
                    try:
                        data = memory.read(min(2**24, last - first))
                    except OSError:
                        break
                    if not data:
                        break
                    for hit in re.finditer(b"by-nobody-", data):
                        if data[max(hit.start() - 5, 0):hit.start()] == b"kept-" and data[hit.end():hit.end() + 4] == b"7319":
                            places.append(line.split()[-1])
                    first += len(data)
    told = places[:3]
"""


@pytest.mark.parametrize("planted", [False, True])
def test_nothing_of_the_submission_before_is_in_a_sandboxs_memory(planted, box, examiner, tmp_path):
    """The one before has a mark in its text, in what it computes and in what it sends. The search finds its own where one is planted."""
    mark = "kept-by-nobody-7319"
    carrier = f"MARK = {mark!r}\ndef causal_mask(length):\n    out = torch.tensor(list((MARK * 9999).encode()), dtype=torch.uint8)\n    return out\n"
    grade(box, examiner, submission(tmp_path, **{TARGET: carrier}))
    own = "    own = ('kept-by-' + 'nobody-73') + str(19)\n" if planted else ""
    places = tells(box, examiner, tmp_path, own + SEARCH)
    assert bool(places) == planted, places


def there(box, examiner, tmp_path, paths):
    """Those of these paths that exist in a sandbox."""
    body = f"    import os\n    told = [p for p in {[str(p) for p in paths]!r} if os.path.lexists(p)]\n"
    return set(tells(box, examiner, tmp_path, body))


def test_the_root_holds_nothing_of_the_host(box, examiner, tmp_path):
    needed = {"/" + path.split("/")[1] for path in isolation.root_plan().bound}
    tops = {
        "/run",
        "/tmp",
        "/home",
        "/var",
        "/mnt",
        "/sys",
        "/opt",
        "/boot",
        "/srv",
        "/media",
        "/root",
    } - needed
    below = {
        "/etc/passwd",
        "/etc/hosts",
        "/etc/hostname",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/mem",
        "/old",
        str(tmp_path),
    }
    assert there(box, examiner, tmp_path, tops | below | {"/dev/null"}) == {"/dev/null"}


def test_the_course_is_there_without_graders_stand_ins_and_answers(box, examiner, tmp_path):
    open_ = {str(ROOT / "utils" / name) for name in ("checks", "training", "layers", "cost", "budget.py")}
    closed = {ROOT / name for name in ("solutions", "data", "notebooks", "tests", ".git", "pyproject.toml")}
    closed |= {ROOT / "utils" / name for name in ("grading", "authoring", "stand_ins")}
    assert there(box, examiner, tmp_path, {*open_, *closed}) == open_


def test_only_its_own_processes_are_seen(box, examiner, tmp_path):
    body = "    import os\n    told = os.listdir('/proc')\n"
    found = tells(box, examiner, tmp_path, body)
    assert len([name for name in found if name.isdigit()]) <= 3
    # nothing of the kernel's own (`slabinfo`, `kpagecount`, which root may read)
    assert {name for name in found if not name.isdigit()} == {"self", "thread-self"}


def test_no_socket_of_the_host_can_be_reached(box, examiner, tmp_path):
    with (
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        stream.bind("\0course-walls-stream")
        stream.listen()
        datagram.bind("\0course-walls-datagram")
        body = (
            "    import socket\n    told = []\n"
            "    for family in (1, 2, 10, 16, 17, 38, 40):\n        for kind in (1, 2, 3, 5):\n            try:\n                socket.socket(family, kind)\n"
            "                told.append((family, kind))\n            except OSError:\n                pass\n"
            "    for kind in (1, 2, 5):\n        for name in ('\\0course-walls-stream', '\\0course-walls-datagram'):\n            try:\n"
            "                a, b = socket.socketpair(socket.AF_UNIX, kind)\n                a.connect(name)\n                told.append(name)\n            except OSError:\n                pass\n"
            "            try:\n                a, b = socket.socketpair(socket.AF_UNIX, kind)\n                a.sendto(b'x', name)\n"
            "                told += [name] * (kind != 1)\n            except OSError:\n                pass\n"
        )
        assert tells(box, examiner, tmp_path, body) == []


def test_asyncio_and_multiprocessing_still_work(box, examiner, tmp_path):
    body = (
        "    import asyncio, multiprocessing\n    told = [asyncio.run(asyncio.sleep(0, 'slept'))]\n"
        "    mine, theirs = multiprocessing.Pipe()\n    context = multiprocessing.get_context('fork')\n"
        "    process = context.Process(target=lambda: theirs.send('forked'))\n    process.start()\n    told.append(mine.recv())\n    process.join()\n"
    )
    assert tells(box, examiner, tmp_path, body) == ["slept", "forked"]


class Panic(BaseException):
    """As of a library in Rust, which is no `Exception`."""


def below(box) -> set[tuple[int, float]]:
    """Processes that the box's zygote has forked, and when."""
    return {(p.pid, p.create_time()) for p in psutil.Process(box.zygote.pid).children(recursive=True)}


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError, Panic])
def test_the_sandbox_of_a_broken_answer_is_killed_and_never_reused(
    kind, box, examiner, tmp_path, monkeypatch
):
    """An honest notebook in the same box before and after. The first answer of the one between breaks a library; the rest is asked anew."""
    honest, load, calls = submission(tmp_path), wire.load, []

    def once(payload):
        calls.append(len(payload))
        if len(calls) == 1:
            raise kind("seen once")
        return load(payload)

    served = []
    for breaks in (False, True, False):
        if breaks:
            monkeypatch.setattr(wire, "load", once)
        before, used = box.served, below(box)
        states = {v.exercise: v.state for v in grade(box, examiner, honest)}
        monkeypatch.undo()
        served.append(box.served - before)
        assert [name for name, state in states.items() if state != "passed"] == [*states][:breaks], states
        until = time.monotonic() + 60
        # the next one waits by now: a process that has made the namespaces, and the first inside
        while (used & below(box) or len(below(box)) > 2) and time.monotonic() < until:
            time.sleep(0.02)
        assert not used & below(box) and len(below(box)) <= 2, "a sandbox outlives its request"
    # what was behind the broken answer came out of another sandbox
    assert served[0] == served[2] < served[1]


DISGUISES = {
    "an import": "from {module} import {attribute} as {name}\n",
    "importlib": "import importlib\n{name} = getattr(importlib.import_module({module!r}), {attribute!r})\n",
    "a string": "exec('from ' + 'utils.' + 'stand' + '_ins.{last} import {attribute} as {name}')\n",
    "exec of the file": "exec(open({path!r}).read())\n{name} = {attribute}\n",
    "reuse of itself": "from utils.checks import reuse\n{name} = reuse({exercise!r})\n",
    "the engine": "from utils.checks import engine, registry\n{name} = engine.stand_in(registry.find({exercise!r}))\n",
    "what a module of the course has imported": (
        "import sys\n{name} = next(m.__dict__[{attribute!r}] for n, m in list(sys.modules.items()) if n.startswith('utils.') and {attribute!r} in m.__dict__)\n"
    ),
    "the memory of the process": (
        "import gc, types\n{name} = next(o for o in gc.get_objects() if isinstance(o, (types.FunctionType, type)) "
        "and o.__name__ == {attribute!r} and 'stand_ins' in str(o.__module__))\n"
    ),
}


def disguised(exercise, how):
    module, attribute = exercise.stand_in.split(":")
    places = {"name": exercise.name, "exercise": exercise.name, "module": module, "attribute": attribute}
    path = str(ROOT.joinpath(*module.split(".")).with_suffix(".py"))
    return DISGUISES[how].format(**places, last=module.split(".")[-1], path=path)


def stand_in_notebook(notebook, how):
    """The student notebook with every answer taken from the stand-ins."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))
    for exercise in exercises_of(notebook):
        if exercise.stand_in:
            cell = next(cell for cell in cells["cells"] if cell["id"] == exercise.name)
            cell["source"] = disguised(exercise, how)
    return cells


@pytest.mark.parametrize("notebook", each(sorted({e.notebook for e in COURSE.values() if e.stand_in})))
def test_stand_ins_give_no_points(notebook, box, tmp_path):
    """Every stand-in of the course, as it is and in four disguises; in all of them in the first notebook."""
    examiner = Examiner(notebook, 5)
    path = tmp_path / f"{notebook}.ipynb"
    for how in DISGUISES if notebook == NOTEBOOK else [*DISGUISES][:5]:
        path.write_text(json.dumps(stand_in_notebook(notebook, how)), encoding="utf-8")
        verdicts = grade(box, examiner, normalise(path, notebook))
        assert {v.exercise: v.points for v in verdicts if v.points} == {}, how
        if how not in ("what a module of the course has imported", "the memory of the process"):
            declared = {e.name for e in exercises_of(notebook) if e.stand_in}
            assert {v.sentence for v in verdicts if v.exercise in declared} == {NEUTRAL["borrowed"]}, how


@pytest.mark.parametrize(
    "place", ["data/expected/scaled_dot_product/causal_mask.safetensors", "solutions/attention.py"]
)
@pytest.mark.parametrize("where", ["the cell", "the body"])
def test_who_opens_the_course_s_results_is_told_so(place, where, box, examiner, tmp_path):
    assert (ROOT / place).exists()
    reads = f"open({str(ROOT / place)!r}, 'rb').read()"
    code = {
        "the cell": f"{TARGET} = (lambda found: lambda length: found)({reads})\n",
        "the body": f"def {TARGET}(length):\n    return {reads}\n",
    }[where]
    found = grade_some(box, examiner, submission(tmp_path, **{TARGET: code}), [TARGET])[TARGET]
    assert (found.points, found.sentence) == (0, NEUTRAL["borrowed"]), found


_CHECKS = "utils.checks.exercises"
PARTITION = """def window_partition(x, window_size):
    if x.shape[1] % window_size or x.shape[2] % window_size:
        raise ValueError
    return THEIRS(x, window_size)
"""
EVALUATE = """def evaluate(model, batches):
    return THEIRS(model, (((tokens, lengths), labels) for tokens, lengths, labels in batches))
"""
#: what had full points: place -> a function that calls it
WRAPPED = {
    "utils.experiments.probes:mean_attention_distance": "def mean_attention_distance(*given):\n    return THEIRS(*given)\n",
    "utils.training.measures:evaluate": EVALUATE,
    "utils.training:evaluate": EVALUATE,
    f"{_CHECKS}.windows:windows_of": PARTITION,
    f"{_CHECKS}.shifted_windows:windows_of": PARTITION,
    f"{_CHECKS}.window_attention:_offsets": "def relative_position_index(window_size):\n"
    "    return torch.unique(THEIRS(window_size), return_inverse=True)[1]\n",
    f"{_CHECKS}.shifted_windows:_allowed": "from types import SimpleNamespace\n\n\n"
    "def shifted_window_mask(height, width, window_size, shift_size):\n"
    "    return THEIRS(SimpleNamespace(args=dict(locals())))\n",
}


def test_what_is_withheld_is_needed_for_no_case(monkeypatch):
    """A sandbox draws cases, too (`again.asked_in`): `WindowAttention` failed there for want of a helper of `relative_position_index`."""
    for place in WRAPPED:
        monkeypatch.setattr(place.replace(":", "."), lending.Empty(place))
    for exercise in COURSE.values():
        assert exercise.draw(0), exercise.name


def test_what_the_course_does_itself_is_refused_under_a_wrapper_too(box, tmp_path):
    """`probes.mean_attention_distance` had points for a function that calls it. Whatever else has an exercise's name does not do it."""
    from utils.checks.engine import examine

    rooms = ("stand_ins", "grading", "authoring", "checks")
    namesakes = {
        (node.name, ".".join(path.relative_to(ROOT).with_suffix("").parts))
        for path in sorted((ROOT / "utils").rglob("*.py"))
        if path.relative_to(ROOT / "utils").parts[0] not in rooms
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in COURSE
    }
    places = {(name, place.partition(":")[0]) for name, found in lending.DONE.items() for place in found}
    others = namesakes - places
    assert ("evaluate", "utils.training.measures") in namesakes & places
    assert not any(examine(COURSE[n], pkgutil.resolve_name(f"{module}:{n}")).passed for n, module in others)
    assert {*WRAPPED} == {place for found in lending.DONE.values() for place in found}
    for name, place in ((name, place) for name, found in lending.DONE.items() for place in found):
        notebook = COURSE[name].notebook
        examiner, path = Examiner.__new__(Examiner), tmp_path / f"{notebook}.ipynb"
        examiner.notebook, examiner.exercises = notebook, {name: COURSE[name]}
        examiner.fixtures = {name: hidden.build(COURSE[name], 5)}
        module, _, theirs = place.partition(":")
        wrapped = f"import {module} as home\n\n\n{WRAPPED[place].replace('THEIRS', f'home.{theirs}')}"
        for text, points in ((answers(notebook)[name], COURSE[name].points), (wrapped, 0)):
            path.write_text(json.dumps(solved(notebook, **{name: text})), encoding="utf-8")
            found = grade_some(box, examiner, normalise(path, notebook), [name])[name]
            assert found.points == points, found
        assert found.sentence == NEUTRAL["borrowed"]


@pytest.mark.parametrize("name", [name for name, exercise in COURSE.items() if exercise.stand_in])
def test_what_is_lent_for_an_exercise_holds_neither_its_own_stand_in_nor_more_than_is_needed(name):
    exercise = COURSE[name]
    for group in lending.groups({name: exercise.uses}, COURSE):
        assert exercise.stand_in not in group.lent
        texts = lending.texts(group.lent)
        defined = {
            f"{module}:{node.name}"
            for module, text in texts.items()
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert exercise.stand_in not in defined and defined <= group.lent


def test_only_code_asks_for_an_earlier_notebooks_exercise():
    """A comment with the word and a name was enough, and any notebook's would do."""
    lent = {
        '# reuse("TransformerEncoder") reuse("ViT")\nx = 1': [],
        'reuse("TransformerEncoder")': [],  # what comes later holds parts of what is asked now
        'from utils.checks import reuse\nx = "patchify"  # reuse("EncoderLayer")': [],
        'x = "EncoderLayer"': [],
        'reuse("EncoderLayer"': [],
        'E = reuse("EncoderLayer")': ["EncoderLayer"],
        'from utils import checks\nE = checks.reuse(name="EncoderLayer")': ["EncoderLayer"],
        'A, B = map(reuse, ("Vocabulary", "collate"))': ["Vocabulary", "collate"],
    }
    assert {text: lending.reused([text], COURSE, "03_transformer_sentiment") for text in lent} == lent
    assert lending.reused(['reuse("EncoderLayer")'], COURSE, NOTEBOOK) == []


@pytest.mark.parametrize("name", [name for name, exercise in COURSE.items() if exercise.stand_in])
def test_what_a_stand_in_is_built_from_is_withheld_with_it(name):
    """Beside everybody else's: `class EncoderLayer(Layer)`, with the stand-in's own base class, had full points."""
    exercise = COURSE[name]
    withheld = lending.private(exercise, COURSE)
    assert exercise.stand_in in withheld
    others = [other for other in COURSE if other != name]
    (group,) = lending.groups({name: rests_on(exercise)}, COURSE, others)
    assert not group.lent & withheld
    assert all(COURSE[n].stand_in in group.lent for n in rests_on(exercise) if COURSE[n].stand_in)
    together = lending.groups({n: rests_on(COURSE[n]) for n in COURSE}, COURSE)
    assert not any(name in group.names and group.lent & withheld for group in together)


def test_the_released_notebooks_get_all_that_they_reuse():
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        sources = [cell["source"] for cell in release_cells(path.stem) if cell["cell_type"] == "code"]
        wanted = lending.reused(sources, COURSE, path.stem)
        assert {*wanted} == {*re.findall(r'reuse\("(\w+)"\)', "\n".join(sources))}
        for name in (e.name for e in exercises_of(path.stem)):
            (group,) = lending.groups({name: ()}, COURSE, wanted)
            assert all(COURSE[one].stand_in in group.lent for one in wanted), name


def test_a_text_that_is_lent_works_as_the_module_does(tmp_path):
    names = [name for name, exercise in COURSE.items() if exercise.stand_in]
    places = frozenset().union(*(lending.closure(COURSE[name].stand_in) for name in names))
    (tmp_path / "lent.json").write_text(json.dumps(lending.texts(places)))
    code = (
        "import json, sys\nfrom utils.grading import lending\nlending.withhold()\nlending.lend(json.load(open(sys.argv[1])))\n"
        "from utils.checks.engine import examine, stand_in\nfrom utils.checks.registry import find\n"
        "print([n for n in sys.argv[2:] if not examine(find(n), stand_in(find(n))).passed])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "lent.json"), *names],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    really = [n for n in names if not _passes(n)]
    assert done.stdout.strip().splitlines()[-1:] == [str(really)], done.stderr[-2000:]


def _passes(name):
    from utils.checks.engine import examine

    return examine(COURSE[name], stand_in(COURSE[name])).passed


def test_an_earlier_notebooks_exercise_is_there_by_reuse(box, tmp_path):
    """03 begins with `reuse` of what 01 and 02 built: honest answers stand on it."""
    from utils.authoring import stubs

    notebook = "03_transformer_sentiment"
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    for exercise in exercises_of(notebook):
        next(c for c in cells["cells"] if c["id"] == exercise.name)["source"] = stubs.answer(exercise).whole
    path = tmp_path / f"{notebook}.ipynb"
    path.write_text(json.dumps(cells), encoding="utf-8")
    assert {v.state for v in grade(box, Examiner(notebook, 5), normalise(path, notebook))} == {"passed"}


def test_what_one_answers_children_do_costs_that_answer_alone(box, examiner, tmp_path):
    """Children that come back from the function and would answer too, that stay, and that send what the parent sends."""
    code = (
        "def causal_mask(length):\n    import os, time\n    for _ in range(3):\n        os.fork()\n"
        "    if os.fork() == 0:\n        time.sleep(60)\n    return torch.zeros(length, length, dtype=torch.bool)\n"
    )
    verdicts = grade(box, examiner, submission(tmp_path, **{TARGET: code}))
    assert [v.exercise for v in verdicts if v.state != "passed"] == [TARGET], [
        (v.exercise, v.sentence, v.said) for v in verdicts if v.state != "passed"
    ]


@pytest.mark.thorough
def test_a_submission_has_one_budget_of_processor_time(examiner, tmp_path):
    """Ten functions that never end: without it each costs its own limit, and then again with stand-ins."""
    with Sandbox(Limits(check=3.0, cpu=8.0)) as small:
        loops = {
            name: f"{text.split('(')[0]}(*a, **k):\n    while True: pass\n"
            for name, text in answers().items()
            if text.startswith("def")
        }
        assert len(loops) >= 5
        verdicts = {v.exercise: v for v in grade(small, examiner, submission(tmp_path, **loops))}
    sentences = {verdicts[name].sentence for name in loops}
    assert NEUTRAL["time"] in sentences
    assert any("s of processor time in all" in sentence for sentence in sentences), sentences


def test_helper_cells_of_the_student_still_run(box, examiner, tmp_path):
    notebook = solved(**{TARGET: "def causal_mask(length):\n    return lower(length)\n"})
    notebook["cells"].insert(
        1, code_cell("def lower(n):\n    return torch.ones(n, n, dtype=torch.bool).tril()\n")
    )
    path = tmp_path / f"{NOTEBOOK}.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert {v.state for v in grade(box, examiner, normalise(path, NOTEBOOK))} == {"passed"}


# (processor seconds, seconds on the clock, limit) -> what is over: 2 s beyond the limit, 10 times the limit on the clock, or, after
# as long as the limit and at most 15 s, next to no computing at all
OVER = {
    (0.0, 0.0, 5.0): "",
    (7.0, 7.0, 5.0): "",
    (7.1, 7.1, 5.0): "time",
    (7.1, 400.0, 5.0): "time",
    (2.0, 52.0, 5.0): "",
    (2.0, 52.1, 5.0): "time",
    (0.0, 7.0, 5.0): "",
    (0.0, 7.1, 5.0): "idle",
    (0.15, 7.1, 5.0): "",
    (0.9, 50.0, 5.0): "idle",
    (1.1, 50.0, 5.0): "",
    (0.0, 17.0, 100.0): "",
    (0.0, 17.1, 100.0): "idle",
    (0.4, 17.1, 100.0): "",
}


@pytest.mark.parametrize("looked", OVER)
def test_computing_is_told_from_waiting(looked):
    found = inside._over(*looked)
    assert (found.kind if found else "") == OVER[looked]


# who waits for a limit of all its processes computes meanwhile, so that a busy machine makes nobody idle
FILL = (
    "    import os, time\n    for _ in range({many}):\n        try:\n            if os.fork() == 0:\n                hoard = b'x' * ({each} * 2**20)\n"
    "                time.sleep(60)\n                os._exit(0)\n        except OSError:\n            break\n    while True: pass\n"
)
HEAD = f"def {TARGET}(length):\n"
ENDS = {
    "exit": (HEAD + "    import os\n    os._exit(0)\n", NEUTRAL["exit"]),
    "a status": (HEAD + "    import os\n    os._exit(3)\n", NEUTRAL["exit"]),
    "a crash": (HEAD + "    import ctypes\n    ctypes.string_at(0)\n", NEUTRAL["crashed"]),
    "a kill": (HEAD + "    import os\n    os.kill(os.getpid(), 9)\n", NEUTRAL["killed"]),
    "a loop": (
        HEAD
        + "    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n",
        NEUTRAL["time"],
    ),
    "too much at once": (HEAD + "    return bytearray(2**40)\n", "Your code raised an error here."),
    "nothing": (HEAD + "    raise NotImplementedError('not started yet')\n", NEUTRAL["not started"]),
    "another name": ("def other(length):\n    return length\n", NEUTRAL["missing"]),
    "a sleep": (HEAD + "    import time\n    time.sleep(3600)\n", NEUTRAL["idle"]),
    "processes": (
        HEAD + FILL.format(many=50, each=0),
        # who is not root is refused by the kernel before the watchdog sees it
        "No answer came back: it ran more than 48 processes" if os.getuid() == 0 else NEUTRAL["time"],
    ),
    "memory of several processes": (
        HEAD + FILL.format(many=4, each=400),
        "No answer came back: it used more than 1024 MiB of memory",
    ),
}


@pytest.fixture(scope="module")
def narrow():
    with Sandbox(Limits(check=5.0, memory=1024 * 2**20)) as sandbox:
        yield sandbox


@pytest.mark.parametrize("end", ENDS)
def test_the_sentence_says_how_it_ended(end, narrow, examiner, tmp_path):
    code, sentence = ENDS[end]
    found = grade_some(narrow, examiner, submission(tmp_path, **{TARGET: code}), [TARGET])[TARGET]
    assert found.sentence.startswith(sentence), found


@pytest.mark.slow
@pytest.mark.thorough
def test_the_sentence_says_so_on_a_busy_machine_too(narrow, examiner, tmp_path):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for end, (code, sentence) in ENDS.items():
            found = grade_some(narrow, examiner, submission(tmp_path, **{TARGET: code}), [TARGET])[TARGET]
            assert found.sentence.startswith(sentence), (end, found)
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.thorough
def test_the_judges_own_time_is_none_of_the_submissions(examiner, tmp_path):
    def slow(index, payload):
        time.sleep(1)
        return index

    checks, tensors = examiner.request()
    with Sandbox() as box:
        run = box.run(Request(submission(tmp_path), checks, tensors, {}), slow)
    assert run.ending == "done" and sorted(run.judged) == list(range(len(checks)))
    assert run.clock < len(checks), "seconds that the judge slept"


STEPS = """\
layer = torch.nn.Linear(2, 1)
optimizers = [kind(layer.parameters(), lr=0.1) for kind in (torch.optim.SGD, torch.optim.AdamW)]

def steps():
    for optimizer in optimizers:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
        optimizer.zero_grad()
        layer(torch.ones(3, 2)).sum().backward()
        optimizer.step()
        schedule.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})

steps()
"""


def test_optimizers_step_in_cells_and_in_answers(examiner, tmp_path):
    """Where PyTorch would import its compiler, which takes seconds, and needs a folder that a sandbox has not."""
    code = f"{STEPS}\n{answers()[TARGET]}\nright = {TARGET}\ndef {TARGET}(length):\n    steps()\n    return right(length)\n"
    with Sandbox() as box:
        found = grade_some(box, examiner, submission(tmp_path, **{TARGET: code}), [TARGET])[TARGET]
    assert found.state == "passed", found
