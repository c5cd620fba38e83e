"""Progress: what passed is noted beside the notebook, shown, and brought back after a restart; hints come one by one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import types

import nbformat
import pytest
from jupyter_client.manager import KernelManager

import start
from tests.browser import launch, violations
from utils.authoring import stubs
from utils.checks import copies, engine, journal
from utils.checks.registry import find
from utils.paths import ROOT
from utils.progress import hint, hints, overview, restoring

NOTEBOOK = ROOT / "notebooks" / "01_transformer_recap.ipynb"
GRADERS = ("PYTEST_VERSION", "PYTEST_CURRENT_TEST", "COURSE_PROGRESS")


@pytest.fixture
def student(tmp_path, monkeypatch):
    """A folder in which a student works, in a kernel: nothing of pytest in sight, no notebook anywhere else."""
    for name in GRADERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.setattr(journal, "in_jupyter", lambda: True)
    monkeypatch.setattr(copies, "ROOT", tmp_path / "nowhere")
    monkeypatch.setattr(engine, "PASSED", {})
    monkeypatch.chdir(tmp_path)
    copies._read.cache_clear()
    return tmp_path


def solved(*names: str, comment: str = "") -> nbformat.NotebookNode:
    """Notebook 01 with these exercises solved."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.id in names:
            cell.source = stubs.answer(find(cell.id)).whole + comment
    return notebook


def passes(name: str) -> None:
    """A check that passes, on the answer as IPython would have defined it: from a cell that linecache knows."""
    import linecache

    source = stubs.answer(find(name)).whole
    linecache.cache[f"<cell {name}>"] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        f"<cell {name}>",
    )
    space: dict = {"__name__": "__main__"}
    from utils.checks.earlier import PRELUDE

    exec(PRELUDE, space)
    exec(compile(source, f"<cell {name}>", "exec"), space)
    engine.check(space[name])


def states() -> dict[str, str]:
    first = overview.standings()[0]
    return {exercise.name: state for exercise, state in first.states.items()}


# ------------------------------------------------------------------------------------------------ the journal


def test_a_check_that_passes_leaves_a_line_and_one_that_fails_does_not(student):
    passes("split_heads")
    engine.check(lambda x, num_heads: x, "merge_heads")  # a panel, and no exception where a student works
    lines = [json.loads(line) for line in (student / journal.NAME).read_text().splitlines()]
    assert [line["exercise"] for line in lines] == ["split_heads"]
    assert set(lines[0]) == {"exercise", "source", "time"}
    assert lines[0]["source"] == journal.fingerprint(stubs.answer(find("split_heads")).whole)


@pytest.mark.parametrize("variable", ["PYTEST_VERSION", "NBGRADER_EXECUTION", "COURSE_PROGRESS"])
def test_nothing_is_written_while_others_run_the_notebook(student, monkeypatch, capsys, variable):
    monkeypatch.setenv(variable, "plain")
    passes("split_heads")
    assert list(student.iterdir()) == []
    capsys.readouterr()
    overview.progress()
    restoring.restore("01")
    assert capsys.readouterr().out == ""


def test_a_script_writes_nothing_and_a_folder_that_is_closed_is_no_error(student, monkeypatch):
    monkeypatch.setattr(journal, "in_jupyter", lambda: False)
    passes("split_heads")
    assert list(student.iterdir()) == []
    monkeypatch.setattr(journal, "in_jupyter", lambda: True)
    (student / journal.NAME).mkdir()  # cannot be opened as a file, even by root
    passes("split_heads")


def test_a_broken_journal_is_read_as_far_as_it_goes(student):
    good = {"exercise": "split_heads", "source": "ab", "time": "2026-01-02T03:04:05+00:00"}
    broken = [b"\xff\xfe", b"[]", b"7", b'{"exercise": "x"}', json.dumps(good | {"time": "noon"}).encode()]
    text = b"\n".join([*broken, json.dumps(good).encode(), json.dumps(good).encode()[:20]])
    (student / journal.NAME).write_bytes(text)
    assert journal.read() == {"split_heads": {"ab": good["time"]}}


def test_a_long_journal_is_shortened_and_says_the_same(student, monkeypatch):
    monkeypatch.setattr(journal, "LARGEST", 2_000)
    for _ in range(60):
        journal.record(find("split_heads"), engine.check)
    journal.record(find("merge_heads"), engine.check)
    assert (student / journal.NAME).stat().st_size < 2_500
    assert set(journal.read()) == {"split_heads", "merge_heads"}
    assert [path.name for path in student.iterdir()] == [journal.NAME]


def test_the_hash_counts_what_a_cell_does(student):
    same = [
        "def f(x):\n    return x",
        "# mine\ndef f( x ):\n\n    return x  # done\n",
        "%time\ndef f(x):\n    return x",
    ]
    first, second, magic = (journal.fingerprint(source) for source in same)
    assert first == second != magic
    assert first != journal.fingerprint("def f(x):\n    return -x")
    assert journal.fingerprint("") == ""


# ------------------------------------------------------------------------------------------------ the table


def test_the_table_says_passed_changed_and_open(student):
    notebook = solved("split_heads", "merge_heads")
    nbformat.write(notebook, student / NOTEBOOK.name)
    assert set(states().values()) == {"open"}
    passes("split_heads")
    passes("merge_heads")
    assert states()["split_heads"] == states()["merge_heads"] == "passed"
    time.sleep(0.01)
    changed = solved("split_heads", "merge_heads")
    cell = next(cell for cell in changed.cells if cell.id == "split_heads")
    cell.source += "\nprint('and more')"
    nbformat.write(changed, student / NOTEBOOK.name)
    assert (states()["split_heads"], states()["merge_heads"], states()["causal_mask"]) == (
        "changed",
        "passed",
        "open",
    )
    found = overview.standings()
    assert found[0].points == (find("merge_heads").points, sum(e.points for e in found[0].states))
    assert overview.next_step(found)[1].name == "scaled_dot_product_attention"
    row = overview.rows(found)[0]
    assert row[1:5] == ("1 of 10", "split_heads", "8", f"{found[0].points[0]} of {found[0].points[1]}")
    nbformat.write(solved("split_heads", comment="\n# a remark"), student / NOTEBOOK.name)
    assert states()["split_heads"] == "passed", "a comment is no change"
    assert states()["merge_heads"] == "changed", "an answer that was taken out again"


def test_an_answer_that_is_not_saved_yet_is_passed(student):
    nbformat.write(solved(), student / NOTEBOOK.name)
    long_ago = time.time() - 100
    os.utime(student / NOTEBOOK.name, (long_ago, long_ago))
    passes("split_heads")
    assert states()["split_heads"] == "passed"


def test_next_is_where_the_student_is(student):
    for name in ("split_heads", "Vocabulary"):
        journal.record(find(name), engine.check)
    assert overview.next_step(overview.standings()) == ("02_lstm_sentiment", find("collate"))
    everything = overview.standings()
    done = [overview.Standing(s.notebook, dict.fromkeys(s.states, "passed")) for s in everything]
    assert overview.next_step(done) is None
    assert "Next" not in overview.summary(done)


def test_the_table_is_one_that_a_screen_reader_reads(student):
    import xml.etree.ElementTree as tree

    page = tree.fromstring(f"<div>{overview.page(overview.standings())}</div>")
    table = page.find("table")
    assert table.find("caption").text == "Your progress"
    assert [th.get("scope") for th in table.findall("thead/tr/th")] == ["col"] * len(overview.COLUMNS)
    for row in table.findall("tbody/tr"):
        assert row.find("th").get("scope") == "row"
        assert len(row) == len(overview.COLUMNS)
    assert "color" not in overview.page(overview.standings()), "no colour carries a meaning"


def test_the_terminal_gets_text(student, capsys, monkeypatch):
    monkeypatch.setattr(overview, "in_jupyter", lambda: False)
    overview.progress()
    out = capsys.readouterr().out
    assert out.startswith("Notebook") and "01_transformer_recap" in out and "<" not in out
    assert all(len(line) <= 110 for line in out.splitlines())


def test_the_module_prints_the_table_of_the_folder_it_is_called_in(student):
    """`python -m utils.progress`, which `make progress` calls, in a process of its own."""
    nbformat.write(solved("split_heads"), student / NOTEBOOK.name)
    passes("split_heads")
    env = {name: value for name, value in os.environ.items() if name not in GRADERS}
    env |= {"PYTHONPATH": str(ROOT), "COURSE_WORK": str(student)}
    done = subprocess.run(
        [sys.executable, "-m", "utils.progress"], cwd=student, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("01_transformer_recap"))
    assert "1 of 10" in row and "Next: " in done.stdout and "<" not in done.stdout


@pytest.mark.browser
def test_the_table_passes_axe(student):
    with launch() as browser:  # no fixture: its event loop would be in the way of the kernels below
        page = browser.new_page()
        page.set_content(f"<main id='table'>{overview.page(overview.standings())}</main>")
        assert violations(page, ["#table table"]) == violations(page, ["#table"]) == []


NO_SOCKET = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.socket.sendto,
    socket.create_connection,
    socket.getaddrinfo,
)


def test_nothing_is_sent_anywhere(student, monkeypatch, capsys):
    """Check, progress, hint and restore, where whatever would leave the process raises."""

    def refused(*args, **kwargs):
        raise AssertionError(f"something was to be sent: {args}")

    for function in NO_SOCKET:
        owner = socket if function in (socket.create_connection, socket.getaddrinfo) else socket.socket
        monkeypatch.setattr(owner, function.__name__, refused)
    with pytest.raises(AssertionError, match="to be sent"):
        socket.create_connection(("127.0.0.1", 9))
    nbformat.write(solved("split_heads"), student / NOTEBOOK.name)
    passes("split_heads")
    engine.check(lambda x, num_heads: x, "merge_heads")
    overview.progress()
    hint("split_heads")
    engine.PASSED.clear()
    exec("from utils.progress import restore\nrestore('01')", {"__name__": "__main__"})
    assert "Back, and checked again: split_heads." in capsys.readouterr().out


def test_the_last_line_leads_to_the_first_open_exercise(student, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a folder/My copy.ipynb")
    cells = [cell.id for cell in nbformat.read(NOTEBOOK, as_version=4).cells]
    names = [name.removesuffix("-task") for name in cells if name.endswith("-task")]
    line, linked = overview.here(overview.standings(), "01")
    assert line == f"01_transformer_recap: 0 of {len(names)} solved; first open: 1.1."
    assert f'href="My%20copy.ipynb#cell-id={names[0]}-task">1.1</a>' in linked
    for passed in (1, len(names)):
        states = {find(name): "passed" if index < passed else "open" for index, name in enumerate(names)}
        line, linked = overview.here([overview.Standing("01_transformer_recap", states)], "01")
        assert f": {passed} of {len(names)} solved" in line
        if passed == 1:
            assert line.endswith("first open: 1.2.") and f"{names[1]}-task" in linked
        else:
            assert line.endswith("solved.") and linked == line
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert 'href="#scrollTo=' in overview.here(overview.standings(), "01")[1]
    monkeypatch.delitem(sys.modules, "google.colab")
    plain = "01_transformer_recap: 0 of 10 solved; first open: 1.1."
    monkeypatch.setitem(vars(sys.modules["__main__"]), "__vsc_ipynb_file__", "/work/01.ipynb")
    assert overview.here(overview.standings(), "01") == (plain, plain), "VS Code, on a Jupyter server"
    monkeypatch.delitem(vars(sys.modules["__main__"]), "__vsc_ipynb_file__")
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert overview.here(overview.standings(), "01") == (plain, plain), "VS Code with a kernel of its own"
    assert overview.here(overview.standings(), "10") == overview.here(overview.standings(), "") == ("", "")


# ------------------------------------------------------------------------------------------------ hints


def test_hints_come_one_by_one_as_the_text_has_them(monkeypatch, capsys):
    monkeypatch.setattr(hints, "_shown", type(hints._shown)())
    text = NOTEBOOK.read_text(encoding="utf-8")
    found = hints.hints_of("scaled_dot_product_attention")
    assert len(found) >= 2
    for number, (title, body) in enumerate(found, 1):
        hint("scaled_dot_product_attention")
        out = capsys.readouterr().out
        assert f"{title} ({number} of {len(found)})" in out
        assert body.splitlines()[0] in out
        assert json.dumps(body.splitlines()[0])[1:-1] in text
        assert all(other not in out for other, _ in found[number:])
    hint("scaled_dot_product_attention")
    assert "first again" in capsys.readouterr().out


def test_every_folded_hint_of_every_notebook_is_found():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.id.endswith("-task") and cell.cell_type == "markdown":
                assert len(hints.hints_of(cell.id.removesuffix("-task"))) == cell.source.count(
                    "<summary>Hint"
                ), cell.id


def test_a_name_that_is_none_is_answered_with_those_that_are():
    with pytest.raises(KeyError, match="split_heads"):
        hint("split_head")


# ------------------------------------------------------------------------------------------------ after a restart


def test_restore_brings_back_what_passed_and_runs_no_other_work(student, capsys):
    notebook = solved("scaled_dot_product_attention", "split_heads", "merge_heads", "causal_mask")
    place = next(i for i, cell in enumerate(notebook.cells) if cell.id == "split_heads")
    notebook.cells.insert(
        place,
        nbformat.v4.new_code_cell("trained = [open('trained', 'w')]\nSIZE = 3\ndef helper(): return SIZE"),
    )
    nbformat.write(notebook, student / "my first notebook.ipynb")
    for name in ("split_heads", "merge_heads", "causal_mask"):
        passes(name)
    time.sleep(0.01)
    cell = next(cell for cell in notebook.cells if cell.id == "causal_mask")
    cell.source = cell.source + "\nx = 1"
    nbformat.write(notebook, student / "my first notebook.ipynb")
    engine.PASSED.clear()
    capsys.readouterr()
    space = {"__name__": "__main__"}
    exec("from utils.progress import restore\nrestore('01')", space)
    out = capsys.readouterr().out
    assert "Back, and checked again: split_heads, merge_heads." in out
    assert "Changed since they passed, so run their cells and checks: causal_mask." in out
    assert set(engine.PASSED) == {"split_heads", "merge_heads"}
    assert space["split_heads"] is engine.PASSED["split_heads"]
    assert space["helper"]() == 3
    assert "scaled_dot_product_attention" not in engine.PASSED, "it never passed"
    assert not (student / "trained").exists() and "trained" not in space


def test_restore_has_nothing_to_say_at_the_first_start(student, capsys):
    nbformat.write(solved(), student / NOTEBOOK.name)
    exec("from utils.progress import restore\nrestore('01')", {})
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="no notebook|No notebook"):
        exec("from utils.progress import restore\nrestore('77')", {})


def test_restore_takes_the_open_notebook_from_colab(student, monkeypatch, capsys):
    passes("split_heads")
    message = types.ModuleType("google.colab._message")
    asked = []

    def blocking_request(what, timeout_sec=None):
        asked.append(what)
        return {"ipynb": json.loads(nbformat.writes(solved("split_heads")))}

    message.blocking_request = blocking_request
    colab = types.ModuleType("google.colab")
    colab._message = message
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setitem(sys.modules, "google.colab._message", message)
    space: dict = {}
    exec("from utils.progress import restore\nrestore('01')", space)
    assert asked == ["get_ipynb"] and "split_heads" in space
    message.blocking_request = lambda *args, **kwargs: {}["no answer"]
    exec("from utils.progress import restore\nrestore('01')", {})
    assert "Colab did not hand out the open notebook" in capsys.readouterr().out


@contextlib.contextmanager
def kernel(folder, python=sys.executable):
    """A kernel of a Python as JupyterLab starts one: its environment shows no trace of pytest."""
    env = {name: value for name, value in os.environ.items() if name not in GRADERS} | {
        "COURSE_BUDGET": "smoke"
    }
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = str(python)
    manager.start_kernel(cwd=str(folder), env=env)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)

    def run(source: str) -> str:
        said = []

        def hook(message):
            content = message["content"]
            shown = content.get("text") or content.get("data", {}).get("text/plain")
            said.append(shown or re.sub(r"\x1b\[[\d;]*m", "", "\n".join(content.get("traceback", []))))

        client.execute_interactive(source, output_hook=hook, timeout=120)
        return "".join(text for text in said if isinstance(text, str))

    try:
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run_with(version: tuple[int, int], folder) -> subprocess.CompletedProcess:
    """`start.py --only-install` by a Python of this version: an installed one, or this one that says it were."""
    code = (
        f"import sys, runpy; sys.version_info = ({version[0]}, {version[1]}, 18, 'final', 0)\n"
        "sys.argv = ['start.py', '--only-install', '--no-uv']; runpy.run_path('start.py', run_name='__main__')"
    )
    name = shutil.which(f"python{version[0]}.{version[1]}")
    works = name and subprocess.run([name, "-c", ""], capture_output=True).returncode == 0
    command = [name, "start.py", "--only-install", "--no-uv"] if works else [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_a_newcomer_solves_three_restarts_and_goes_on(tmp_path):
    """Wrong Python, then a right one; in a kernel of the environment: solve and check three exercises, restart, restore, see the table."""
    three = ["scaled_dot_product_attention", "split_heads", "merge_heads"]
    (tmp_path / "utils").symlink_to(ROOT / "utils")
    shutil.copy(ROOT / "start.py", tmp_path)
    (tmp_path / "requirements.lock").write_text("# nothing to fetch: the packages are lent below\n")
    wrong = run_with((3, 9), tmp_path)
    assert wrong.returncode == 1 and "the course needs Python 3.11 to 3.13" in wrong.stderr
    assert "Traceback" not in wrong.stderr and not (tmp_path / ".venv").exists()
    right = subprocess.run(
        [sys.executable, "start.py", "--only-install", "--no-uv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert right.returncode == 0, right.stderr
    python = tmp_path / ".venv" / "bin" / "python"
    lent = next((tmp_path / ".venv" / "lib").glob("python*/site-packages")) / "lent.pth"
    lent.write_text(sysconfig.get_paths()["purelib"] + "\n")
    work = tmp_path / "notebooks"
    work.mkdir()
    nbformat.write(solved(*three), work / NOTEBOOK.name)
    cells = {cell.id: cell.source for cell in solved(*three).cells}
    order = list(cells)
    begin = [
        name
        for name in order[: order.index("restore") + 1]
        if name in ("set-up", "restore") or "import" in cells[name]
    ]
    with kernel(work, python) as run:
        assert run("import sys; print(sys.prefix)").strip() == str(tmp_path / ".venv")
        for name in begin:
            assert "Back" not in run(cells[name])
        for name in three:
            run(cells[name])
            assert "all" in run(cells[f"{name}-check"])
    assert (work / journal.NAME).exists()
    with kernel(work, python) as run:
        said = "".join(run(cells[name]) for name in begin)
        assert f"Back, and checked again: {', '.join(three)}." in said
        assert run("from utils.checks import ready\nready('split_heads')").endswith("True")
        table = run(cells["progress"])
        assert "3 of 10" in table and "Next: MultiHeadAttention in 01_transformer_recap" in table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("notebooks", "NameError: `check` is not there yet: first run the set-up cell at the top"),
        ("notebooks/ko", "NameError: `check`은 아직 없습니다. 먼저 맨 위의 준비 셀"),
    ],
)
def test_a_check_before_the_set_up_gets_a_sentence_and_stays_an_error(
    tmp_path, monkeypatch, folder, sentence
):
    """In a kernel of the environment that `start.py` makes, as JupyterLab and VS Code start it."""
    venv, work = tmp_path / ".venv", tmp_path / folder
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    lent = next((venv / "lib").glob("python*/site-packages")) / "lent.pth"
    lent.write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name in ("utils", "locale"):
        (tmp_path / name).symlink_to(ROOT / name)
    work.mkdir(parents=True)
    monkeypatch.setattr(start, "HERE", tmp_path)
    start.tell_kernels(venv)
    notebook = nbformat.read(ROOT / folder / NOTEBOOK.name, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    with kernel(work, venv / "bin" / "python") as run:
        left = run("print(*[name for name in globals() if not name.startswith('__')])")
        assert "watch" not in left and "sys" not in left, left
        said = run("check(split_heads)")
        assert said.startswith(sentence), said
        assert "name 'mine' is not defined" in run("mine"), "a name of the student's own"
        for cell in code[:2]:
            run(cell)
        assert run("check") and "name 'hint' is not defined" in run("hint"), "later the usual words"
