"""What stands between a newcomer and the first green check, measured: `python -m utils.authoring.first_minutes [--cold]`.

It does what the README tells a student to do, in a temporary folder: clone, `make` the environment, start JupyterLab, run
notebook 01 to its first exercise, answer it (with the course's own answer), run the check. What is cloned is the last commit.
With `--cold` the package cache is empty, else it holds all packages. For authors: it needs `solutions/`.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from utils.paths import ROOT

NOTEBOOK = "01_transformer_recap"
LARGEST = 10  # packages whose download is listed


def words(text: str) -> int:
    """Number of words that a reader reads in Markdown; code blocks, formulas and addresses are not counted."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$|<[^>]+>", " ", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    return len(re.findall(r"[^\W_][\w'\u2019-]*", text))


def reading(root: Path = ROOT) -> list[tuple[int, str, str]]:
    """What stands before the first line of code that a student writes, and before its check: README (to the end of the students'
    part) and notebook 01. Folded hints are not counted: nobody has to open them.

    Returns:
        (number, unit, of what) for each.

    Raises:
        ValueError: the README has no heading that says "tudent".
    """
    parts = re.split(r"^(?=## )", (root / "README.md").read_text(encoding="utf-8"), flags=re.M)
    last = next((i for i, part in enumerate(parts) if re.match(r"## .*tudent", part)), None)
    if last is None:
        raise ValueError("the README has no heading for students")
    cells = nbformat.read(root / "notebooks" / f"{NOTEBOOK}.ipynb", as_version=4).cells
    answer = _first_answer(cells)
    before = cells[:answer]
    text = [cell.source.partition("<details>")[0] for cell in before if cell.cell_type == "markdown"]
    code = [cell.source for cell in before if cell.cell_type == "code"]
    lines = sum(bool(line.strip()) for source in code for line in source.splitlines())
    return [
        (words(parts[0]), "words", "README, before its first heading"),
        (words(parts[last]), "words", "README, the students' section"),
        (sum(map(words, text)), "words", "notebook 01, the text before the first stub"),
        (words(_docstring(cells[answer].source)), "words", "the first stub's docstring"),
        (lines, "lines", "of given code before it, to run (reading it can wait)"),
        (len(text), "cells", "of text, to the first check"),
        (len(code) + 2, "cells", "of code, the stub and its check among them"),
    ]


def print_reading() -> None:
    """Prints `reading`, one line each."""
    for count, unit, what in reading():
        print(f"{count:8d} {unit:8s} {what}")


def _docstring(source: str) -> str:
    """The docstring of the one function or class that a stub defines."""
    body = ast.parse(source).body
    node = next(each for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef))
    return ast.get_docstring(node) or ""


def _first_answer(cells: list) -> int:
    return next(i for i, cell in enumerate(cells) if cell.metadata.get("nbgrader", {}).get("solution"))


def make_environment(folder: Path, environment: dict[str, str]) -> None:
    """Creates the course's environment, by the Makefile's own rule."""
    command = ["make", "--silent", ".venv/.installed", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=folder, env=environment, check=True)


def start_lab(folder: Path, environment: dict[str, str]) -> None:
    """Starts JupyterLab, waits for its first answer, and stops it.

    Raises:
        RuntimeError: it ends, or does not answer in five minutes.
    """
    runtime = folder / ".runtime"
    command = [".venv/bin/jupyter", "lab", "notebooks/", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token="]
    environment = {**environment, "JUPYTER_RUNTIME_DIR": str(runtime)}
    server = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        until = time.monotonic() + 300
        while time.monotonic() < until and server.poll() is None:
            for file in runtime.glob("jpserver-*.json"):
                address = re.search(r"http://127\.0\.0\.1:\d+", file.read_text())
                try:
                    if address and direct.open(f"{address[0]}/lab", timeout=60).status == 200:
                        return
                except OSError:  # it writes the file before it listens
                    pass
            time.sleep(0.1)
        raise RuntimeError("JupyterLab did not answer")
    finally:
        server.terminate()
        server.wait(30)


def first_check(folder: Path, environment: dict[str, str]) -> None:
    """Runs notebook 01 in a kernel of the new environment to the first check, with the course's answer.

    Raises:
        RuntimeError: the check is not green.
    """
    solved = nbformat.read(ROOT / "solutions" / f"{NOTEBOOK}.ipynb", as_version=4)
    solved.cells = solved.cells[: _first_answer(solved.cells) + 2]
    before = dict(os.environ)
    os.environ.update(environment)
    os.environ["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{before['PATH']}"
    os.environ["JUPYTER_PATH"] = str(folder / ".venv" / "share" / "jupyter")
    try:
        client = NotebookClient(
            solved,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder / "notebooks")}},
        )
        spec = client.create_kernel_manager().kernel_spec
        assert spec is not None  # only a manager without a kernel's name has none
        spec.argv[0] = str(folder / ".venv" / "bin" / "python")
        client.execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    shown = "".join(str(output.get("data", {})) for output in solved.cells[-1].outputs)
    if "cases are right" not in shown:
        raise RuntimeError(f"the first check is not green: {solved.cells[-1].outputs}")


def download_sizes(folder: Path, environment: dict[str, str]) -> list[tuple[int, str]]:
    """Sizes in bytes of the files that pip fetches here for the lock and all that it needs, largest first."""
    target = folder / ".wheels"
    command = [str(folder / ".venv" / "bin" / "python"), "-m", "pip", "download", "--quiet"]
    command += ["--dest", str(target), "--requirement", "requirements.lock"]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return sorted(((file.stat().st_size, file.name) for file in target.iterdir()), reverse=True)


def print_sizes(sizes: list[tuple[int, str]]) -> None:
    """Prints the sum and the largest of `download_sizes`, and what they rest on."""
    total = sum(size for size, _ in sizes)
    print(f"{total / 1e6:8.1f} MB       {len(sizes)} packages to download; the largest {LARGEST}:")
    for size, name in sizes[:LARGEST]:
        print(f"{size / 1e6:8.1f} MB       {name.partition('-')[0]} ({100 * size / total:.0f} %; {name})")
    print(
        "Sizes are exact for the index that pip asked here; times depend on the network and on what lies nearby."
    )
    if any(name.startswith("torch-") and "+cpu" in name for _, name in sizes):
        print(
            "This torch is the build without CUDA. Where pip finds the one with CUDA (an ordinary Linux machine),"
        )
        print("the CUDA libraries come on top: gigabytes.")


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _work() -> float:
    """Seconds that this process and those it has waited for have kept a processor busy: a figure that others' load changes little."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def clone(folder: Path) -> None:
    """Clones the last commit of this repository."""
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder)], check=True)


def measure(cold: bool) -> None:
    """Does it all once and prints the figures.

    Args:
        cold: with an empty package cache, so that everything is fetched; else the environment is made once before, uncounted.
    """
    from utils.budget import describe_machine

    state = "empty" if cold else "full: the environment has been made once before"
    print(f"{describe_machine()}; the package cache (pip's, uv's) is {state}.")
    print_reading()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "course"
        environment = {
            k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("VIRTUAL_ENV")
        }
        environment["PIP_CACHE_DIR"] = environment["UV_CACHE_DIR"] = str(Path(temporary) / "cache")
        if not cold:
            earlier = Path(temporary) / "earlier"
            clone(earlier)
            make_environment(earlier, environment)
            shutil.rmtree(earlier)
        steps: dict[str, Callable[[], object]] = {
            "clone": lambda: clone(folder),
            "make the environment": lambda: make_environment(folder, environment),
            "start JupyterLab (to its page)": lambda: start_lab(folder, environment),
            "kernel, set-up, imports, first check": lambda: first_check(folder, environment),
        }
        total = work = 0.0
        for what, step in steps.items():
            began, worked = time.perf_counter(), _work()
            step()
            seconds, busy = time.perf_counter() - began, _work() - worked
            total, work = total + seconds, work + busy
            print(f"{seconds:8.1f} s        {what} ({busy:.1f} s of processor time)", flush=True)
        print(
            f"{total:8.1f} s        from nothing to the first green check, without reading and thinking",
            end=" ",
        )
        print(f"({work:.1f} s of processor time)")
        print(f"{folder_size(folder / '.git') / 1e6:8.1f} MB       fetched by git (one commit)")
        print(f"{folder_size(folder / '.venv') / 1e6:8.1f} MB       the environment on disk", flush=True)
        print_sizes(download_sizes(folder, environment))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring.first_minutes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cold", action="store_true", help="with an empty package cache")
    parser.add_argument(
        "--reading", action="store_true", help="count only what there is to read; installs nothing"
    )
    arguments = parser.parse_args()
    if arguments.reading:
        print_reading()
    else:
        measure(arguments.cold)


if __name__ == "__main__":
    main()
