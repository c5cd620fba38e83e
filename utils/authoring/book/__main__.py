"""`python -m utils.authoring.book [--out build/site]`: stages the sources in a temporary folder and runs Sphinx on them."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from utils.authoring.book import look
from utils.authoring.book.editions import TEXTS, translated
from utils.authoring.book.pages import page
from utils.authoring.book.texts import relinked
from utils.authoring.languages import edition
from utils.paths import ROOT
from utils.words import language, languages, say, speaking


def notebook_names() -> list[str]:
    """Notebooks that students have and that are solved *and executed*, such as "01_transformer_recap"."""
    names = {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    return [
        path.stem
        for path in sorted((ROOT / "solutions").glob("[0-9][0-9]_*.ipynb"))
        if path.stem in names
        and "executed" in json.loads(path.read_text(encoding="utf-8"))["metadata"].get("course", {})
    ]


def stage(folder: Path) -> None:
    """Writes Sphinx's sources in the language in use: configuration and templates from `docs/`, pages from notebooks and Markdown files."""
    others = shutil.ignore_patterns("*.??.md")  # texts in other languages: the right one is written below
    shutil.copytree(ROOT / "docs", folder, dirs_exist_ok=True, ignore=others)
    names, spoken = notebook_names(), language()
    texts = {translated(name, spoken): stem for name, stem in TEXTS.items()}
    pages = {name: f"{stem}.md" for name, stem in texts.items()}
    pages |= {
        f"{where}/{name}.ipynb": f"{name}.ipynb" for where in ("notebooks", "solutions") for name in names
    }
    files = folder / "files"  # copied to the site as it is
    for name in names:
        solved, student = (edition.built(name, spoken, solved=solved) for solved in (True, False))
        made = page(solved, student, files / "pictures" / name)
        nbformat.write(made, folder / f"{name}.ipynb")
        for notebook, target in zip((solved, student), ("downloads/solved", "downloads"), strict=True):
            (files / target).mkdir(parents=True, exist_ok=True)
            text = nbformat.writes(notebook) + "\n"
            (files / target / f"{name}.ipynb").write_text(text, encoding="utf-8")
    look.write(files)
    (folder / "look.md").write_text(say(look.PAGE), encoding="utf-8")
    for name, stem in texts.items():
        source = ROOT / name
        text = source.read_text(encoding="utf-8")
        (folder / f"{stem}.md").write_text(
            relinked(text, source.parent, ROOT, pages, folder / "assets"), encoding="utf-8"
        )
    with open(folder / "index.md", "a", encoding="utf-8") as index:
        index.write(
            _contents(say("Notebooks"), [*names, "look"])
            + _contents(say("The course"), [stem for stem in TEXTS.values() if stem != "index"])
        )


def _contents(caption: str, names: list[str]) -> str:
    entries = "\n".join(names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{entries}\n```\n"


def build(out: Path) -> float:
    """Builds the site: English, and below it a folder for each other language.

    Args:
        out: its folder; emptied first.

    Returns:
        seconds taken.

    Raises:
        SystemExit: if Sphinx warns or fails; what it said stands above.
    """
    began = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    for spoken in languages():
        with speaking(spoken):
            _build(out if spoken == "en" else out / spoken)
    return time.perf_counter() - began


def _build(out: Path) -> None:
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        stage(source)
        trees = str(Path(temporary) / "trees")
        if build_main(["-q", "-W", "--keep-going", "-b", "html", "-d", trees, str(source), str(out)]):
            raise SystemExit("the site was not built: see the lines above")
    (out / ".buildinfo").unlink(missing_ok=True)
    shutil.rmtree(out / "_sources", ignore_errors=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m utils.authoring.book", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder of the site")
    out = parser.parse_args().out
    if not notebook_names():
        sys.exit("There is no executed notebook: run make notebooks and make solve first.")
    seconds = build(out)
    print(f"{len(list(out.rglob('*.html')))} pages in {seconds:.0f} s: open {out / 'index.html'}")


if __name__ == "__main__":
    main()
