"""Recorded rows: whole lines or none, also on a full disk; claims; the older files stay readable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.experiments import results
from utils.experiments.audit import audit_file
from utils.experiments.declare import names
from utils.experiments.results import append, claim, load, path_of, read

ROOT = Path(__file__).parents[1]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
    )


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [{"cell": "a", "seed": 0, "test_accuracy": 0.5, "word": "정확도"}, {"cell": "b", "seed": 1}]
    for row in rows:
        append(path_of("x", tmp_path), row)
    assert load("x", tmp_path) == rows
    assert load("x", tmp_path, seed=1) == rows[1:]
    assert load("x", tmp_path, seed=(0, 1), cell="a") == rows[:1]
    assert load("nothing", tmp_path) == []


def test_a_line_that_was_cut_off_is_skipped_and_closed_by_the_next_one(tmp_path):
    path = path_of("x", tmp_path)
    append(path, {"cell": "a"})
    with path.open("a") as file:
        file.write('{"cell": "b", "seed')
    assert [row["cell"] for row in read(path)] == ["a"]
    append(path, {"cell": "c"})
    with pytest.warns(UserWarning, match="x.jsonl, line 2: no JSON"):
        assert [row["cell"] for row in read(path)] == ["a", "c"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    """The limit on the file's size makes the system write a part of the line, as a full disk does."""
    path = path_of("x", tmp_path)
    append(path, {"cell": "a"})
    before = path.read_bytes()
    code = f"""
import resource, signal, sys
from pathlib import Path
from utils.experiments.results import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)} + 20, {len(before)} + 20))
try:
    append(Path(sys.argv[1]), {{"cell": "b", "curve": list(range(50))}})
except OSError as error:
    print("refused:", error)
"""
    done = python(code, str(path))
    assert done.stdout.startswith("refused:"), done.stderr
    assert path.read_bytes() == before
    append(path, {"cell": "c"})
    assert [row["cell"] for row in read(path)] == ["a", "c"]


def test_many_processes_append_whole_lines(tmp_path):
    code = """
import sys
from pathlib import Path
from utils.experiments.results import append
for i in range(40):
    append(Path(sys.argv[1]), {"cell": sys.argv[2] + str(i), "who": sys.argv[2], "i": i, "filler": "x" * 3000})
"""
    path = path_of("x", tmp_path)
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), who], cwd=ROOT) for who in "abc"]
    assert [process.wait(600) for process in running] == [0, 0, 0]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["who"], row["i"]) for row in rows) == [(who, i) for who in "abc" for i in range(40)]


def test_a_claimed_cell_is_refused_to_others_until_its_holder_ends(tmp_path):
    code = """
import sys
from utils.experiments.results import claim
with claim("x", "cell", sys.argv[1]) as ours:
    print(ours)
"""
    with claim("x", "cell", tmp_path) as ours:
        assert ours
        assert python(code, str(tmp_path)).stdout.strip() == "False"
    assert python(code, str(tmp_path)).stdout.strip() == "True"


@pytest.mark.parametrize("name", names())
def test_recorded_files_are_clean(name):
    """Every row whole, at a declared place, its rate the one that the tuning rows give, one row per place, one set of conditions."""
    report = audit_file(path_of(name))
    assert not report.findings, str(report)
    assert all(done <= of for done, of in report.places.values())


@pytest.mark.parametrize("path", sorted(results.RESULTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_recorded_line_is_whole_and_says_how_it_was_made(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert rows, f"{path.name} is empty"
    for row in rows:
        assert row["command"].startswith("python -m utils.experiments"), row
        assert row["machine"] and row["seconds"] > 0
        said = {
            column: value for column, value in row.items() if column != "right"
        }  # a bitmap in base64 has slashes
        assert not re.search(r"[\"\s=]/\w", json.dumps(said)), "a path of the machine that recorded it"


def test_the_results_readme_lists_every_recorded_run_with_its_command():
    text = (results.RESULTS / "README.md").read_text(encoding="utf-8")
    for path in results.RESULTS.glob("*.jsonl"):
        assert f"`{path.name}`" in text, f"data/results/README.md does not mention {path.name}"
        for command in {row["command"] for row in read(path)}:
            assert f"`{command}`" in text, f"data/results/README.md lacks: {command}"
