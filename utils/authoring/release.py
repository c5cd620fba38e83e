"""Makes the class repository: the course without anything that holds or needs an answer.

    python -m utils.authoring.release OUT --repository https://github.com/<class>/<course>.git

A list is copied and nothing else: the notebooks of `solutions/source/`, the check data of the exercises, the recorded results that are
named here, and the modules of the packages that are named here. A file or folder that is added tomorrow is not in it until somebody
writes it down. Then all of it is searched for the lines that students are to write.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from utils.authoring import build, settings, stubs
from utils.checks.registry import all_exercises
from utils.paths import ROOT
from utils.words import languages

#: files that go as they are, but for the repository's address
FILES = (
    ".devcontainer/devcontainer.json",
    ".gitignore",
    "CITATION.cff",
    "LICENSE",
    "LICENSE-TEXT",
    "data/README.md",
    "data/checkpoints/cifar10_vit.jsonl",
    "data/checkpoints/cifar10_vit.safetensors",
    "data/checkpoints/cifar10_vit_unmirrored.jsonl",
    "data/checkpoints/cifar10_vit_unmirrored.safetensors",
    "data/expected/order.json",
    "data/lecture_tables.json",
    "data/results/.gitignore",
    "data/results/README.md",
    "data/results/bench.json",
    "docs/_static/positions.png",
    "docs/places.md",
    "docs/places.ko.md",
    "environment.yml",
    "start.py",
    "pyproject.toml",
    "requirements.lock",
)
#: folders of `utils` that notebooks need (room A); of each, its own modules, and no folder below it that is not named as well
PACKAGES = (
    "checks",
    "checks/exercises",
    "cost",
    "data",
    "experiments",
    "experiments/grids",
    "layers",
    "plotting",
    "progress",
    "stand_ins",
    "training",
)
MODULES = (
    "__init__",
    "budget",
    "early",
    "particles",
    "paths",
    "setup",
    "storage",
    "words",
)  # of `utils` itself
VARIABLES = ("PYTHON", "TORCH")  # of the Makefile; the first with those that stand beside it
TARGETS = ("lab", "progress", "$(VENV)/.installed")
#: pages, and those of their sections that are for students, beside what stands above them
PAGES = {
    "README.md": ("Students", "What is inside", "Data", "Licence"),
    "README.ko.md": ("학생", "라이선스"),
}
BINARY = (".png", ".safetensors")  # copied byte by byte
SHORTEST = 40  # characters of an answer that is searched for


class Unknown(UserWarning):
    """Listed files stay out of the release, because git does not know them."""


class Leak(RuntimeError):
    """The release would show an answer; nothing was written."""


def release(
    out: Path, repository: str, root: Path = ROOT, editions: Sequence[str] | None = None
) -> list[str]:
    """Writes the class repository.

    Args:
        out: folder that does not exist yet, or is empty.
        repository: where the class will find it, such as "https://github.com/<class>/<course>.git": badges and set-up cells lead there.
        root: the course to copy from.
        editions: languages of the notebooks; default all.

    Returns:
        the files written, relative to `out`.

    Raises:
        FileExistsError: the folder holds something.
        FileNotFoundError: a listed file is missing.
        ValueError: `repository` is no address, or is that of the course with the answers.
        Leak: a file would show lines of an answer; it is named, and nothing is left in `out`.
    """
    address = Address(repository)
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    for name in listed(root, editions):
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, target)
    makefile = students_makefile((root / "Makefile").read_text(encoding="utf-8"))
    (out / "Makefile").write_text(makefile, encoding="utf-8")
    for name, sections in PAGES.items():
        page = students_page((root / name).read_text(encoding="utf-8"), sections)
        (out / name).write_text(page, encoding="utf-8")
    for path in out.rglob("*"):
        if path.is_file():
            address.write_into(path)
    leaks = [line for path in sorted(out.rglob("*")) if path.is_file() for line in shown(path, out)]
    if leaks:
        shutil.rmtree(out)
        raise Leak("these files would show an answer:\n" + "\n".join(leaks[:20]))
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def listed(root: Path = ROOT, editions: Sequence[str] | None = None) -> list[str]:
    """Names of all files that are copied, relative to `root`. In a git checkout those that git does not know are left out, with a warning.

    Raises:
        FileNotFoundError: a listed file, or a language of `editions`, is not there.
    """
    names = [*FILES, *_results(root), *_check_data(root)]
    for language in editions or languages():
        folder = "notebooks" if language == "en" else f"notebooks/{language}"
        names += [f"{folder}/{name}.ipynb" for name in build.source_names()]
        if language != "en":  # what code says; the catalogues of notebooks hold model answers
            names += _below(root, f"locale/{language}/LC_MESSAGES/checks.po")
    names += [f"utils/{name}.py" for name in MODULES]
    for package in PACKAGES:
        names += _below(root, f"utils/{package}/*.py")
    names += _below(root, "utils/plotting/alt/*.toml")  # what pictures show, in words: notebooks look it up
    known = _known_to_git(root)
    unknown = [name for name in names if known is not None and name not in known]
    if unknown:
        warnings.warn(
            f"left out, because git does not know them: {', '.join(unknown)}", Unknown, stacklevel=2
        )
    return sorted(set(names) - set(unknown))


def _results(root: Path) -> Iterator[str]:
    """The recorded rows of the declared experiments; one that was never run has none."""
    declared = [path.stem.replace("_", "-") for path in root.glob("utils/experiments/grids/[a-z]*.py")]
    for name in declared:
        path = f"data/results/{name}.jsonl"
        if (root / path).exists():
            yield path


def _check_data(root: Path) -> Iterator[str]:
    """Files of `data/expected` that belong to an exercise: they are named as it is."""
    for name in all_exercises():
        yield from _below(root, f"data/expected/*/{name}.*")


def _below(root: Path, pattern: str) -> list[str]:
    found = [path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file()]
    if not found:
        raise FileNotFoundError(f"nothing is like {pattern}")
    return found


def _known_to_git(root: Path) -> set[str] | None:
    """The files that git tracks; None where the folder is no checkout."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return set(done.stdout.split("\0"))


class Address:
    """The class's repository, to be written where the course's own stands.

    Args:
        repository: what `git clone` takes over https.

    Raises:
        ValueError: it is no such address, or is the course's own.
    """

    def __init__(self, repository: str) -> None:
        self.theirs = re.sub(r"(\.git)?/*$", "", repository.strip())
        self.ours = settings.repository().removesuffix(".git")
        if not re.fullmatch(r"(https|file)://\S+/\S+", self.theirs):
            raise ValueError(
                f"{repository!r} is no address of a repository: say REPOSITORY=https://github.com/<class>/<course>.git, "
                "where students will fetch the class's copy from"
            )
        if self.theirs.lower() == self.ours.lower():
            raise ValueError(
                f"{repository} is the course's own repository, where the answers are: name the class's"
            )
        self.in_colab = self.theirs.startswith("https://github.com/")  # Colab opens notebooks from there only

    def write_into(self, path: Path) -> None:
        """Puts the class's address in place of the course's; where Colab cannot open it, the notebooks' badge goes."""
        if (
            path.suffix in BINARY
        ):  # small integers read as text, and text loses its carriage returns: 13 became 10
            return
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb" and not self.in_colab:
            notebook = json.loads(text)
            notebook["cells"] = [cell for cell in notebook["cells"] if cell.get("id") != "badge"]
            text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
        text = text.replace(self.ours, self.theirs).replace("<this repository>", f"{self.theirs}.git")
        if self.in_colab:  # its addresses hold owner and name alone
            host = "https://github.com"
            text = text.replace(self.ours.removeprefix(host), self.theirs.removeprefix(host))
        path.write_text(text, encoding="utf-8")


def students_makefile(text: str) -> str:
    """Of the Makefile: its `VARIABLES` and the rules of `TARGETS`, each with the comment above it.

    Raises:
        ValueError: the Makefile has no such variable or rule.
    """
    blocks = re.split(r"\n{2,}", text.strip())
    kept = {}
    for name, ends in [*((name, " ?= ") for name in VARIABLES), *((name, ":") for name in TARGETS)]:
        place = next((i for i, block in enumerate(blocks) if f"\n{name}{ends}" in f"\n{block}"), None)
        if place is None:
            raise ValueError(f"the Makefile has no {name}")
        kept[place] = blocks[place]
    phony = " ".join(name for name in TARGETS if name.isalpha())
    first, *rest = (kept[place] for place in sorted(kept))
    return "\n\n".join([first, f".PHONY: {phony}", *rest]) + "\n"


def students_page(text: str, names: tuple[str, ...]) -> str:
    """Of a README: what stands above its sections, but for the line that leads to them, and the sections of these names.

    Raises:
        ValueError: it has no section of such a name.
    """
    top, *sections = re.split(r"^(?=## )", text, flags=re.M)
    top = "\n\n".join(part for part in top.strip().split("\n\n") if "](#" not in part)
    by_name = {section.splitlines()[0].removeprefix("## "): section for section in sections}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(f"the README has no section {missing[0]!r}")
    return "\n\n".join(part.strip() for part in [top, *(by_name[name] for name in names)]) + "\n"


def shown(path: Path, root: Path) -> list[str]:
    """Answers that a file shows, one line each: "file: exercise". Data files are searched as bytes."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":  # JSON hides line ends and quotes
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    except (UnicodeDecodeError, ValueError, KeyError):
        text = path.read_bytes().decode("latin-1")
    lines = (line.strip() for line in text.splitlines())
    flat = "\n".join(line for line in lines if line and not line.startswith("#"))
    found = [name for name, regions in bodies().items() if all(region in flat for region in regions)]
    if "### BEGIN SOLUTION" in text:
        found.append("the markers of a solution")
    return [f"{path.relative_to(root)}: {name}" for name in found]


@cache
def bodies() -> dict[str, tuple[str, ...]]:
    """What a student writes, by exercise: its marked regions as lines of code, without comments and indents.

    An exercise is shown where all its regions stand: one alone (`self.norm = nn.LayerNorm(dim)`) is everybody's. Answers of a few
    characters are left out, since they are found by accident.
    """
    found = {}
    for exercise in all_exercises().values():
        regions = tuple("\n".join(lines) for lines in _regions(stubs.answer(exercise).whole))
        if sum(map(len, regions)) >= SHORTEST:
            found[exercise.name] = regions
    return found


def _regions(whole: str) -> list[list[str]]:
    regions: list[list[str]] = []
    inside = False
    for line in (line.strip() for line in whole.splitlines()):
        if line == stubs.BEGIN:
            regions.append([])
            inside = True
        elif line == stubs.END:
            inside = False
        elif inside and line and not line.startswith("#"):
            regions[-1].append(line)
    return regions


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring.release", description="Makes the class repository."
    )
    parser.add_argument("out", type=Path, help="a folder that does not exist yet, or is empty")
    parser.add_argument(
        "--languages",
        nargs="+",
        choices=languages(),
        help="notebooks in these alone, such as: --languages ko",
    )
    parser.add_argument(
        "--repository",
        required=True,
        help="where the class will find it: https://github.com/<class>/<course>.git",
    )
    options = parser.parse_args()
    try:
        with warnings.catch_warnings(record=True) as said:
            files = release(options.out, options.repository, editions=options.languages)
    except (OSError, ValueError, Leak) as error:
        print(error, file=sys.stderr)
        return 1
    for warning in said:
        print(warning.message, file=sys.stderr)
    print(f"{options.out}: {len(files)} files; searched for {len(bodies())} answers, found none.")
    print(f"Badges and set-up cells lead to {options.repository}: put this folder there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
