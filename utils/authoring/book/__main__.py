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
from utils.authoring.book.pages import page
from utils.authoring.book.texts import relinked
from utils.paths import ROOT

TEXTS = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "data/README.md": "data",
    "docs/measured.md": "measured",
    "docs/claims.md": "claims",
    "docs/instructors.md": "instructors",
    "docs/places.md": "places",
}


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
    """Writes Sphinx's sources: configuration and templates from `docs/`, pages from notebooks and Markdown files."""
    shutil.copytree(ROOT / "docs", folder, dirs_exist_ok=True)
    names = notebook_names()
    pages = {name: f"{stem}.md" for name, stem in TEXTS.items()}
    pages |= {
        f"{where}/{name}.ipynb": f"{name}.ipynb" for where in ("notebooks", "solutions") for name in names
    }
    files = folder / "files"  # copied to the site as it is
    for name in names:
        sources = [ROOT / where / f"{name}.ipynb" for where in ("solutions", "notebooks")]
        solved, student = (nbformat.read(source, as_version=4) for source in sources)
        made = page(solved, student, files / "pictures" / name)
        nbformat.write(made, folder / f"{name}.ipynb")
        for source, target in zip(sources, ("downloads/solved", "downloads"), strict=True):
            (files / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, files / target)
    look.write(files)
    (folder / "look.md").write_text(look.PAGE, encoding="utf-8")
    for name, stem in TEXTS.items():
        source = ROOT / name
        text = source.read_text(encoding="utf-8")
        (folder / f"{stem}.md").write_text(
            relinked(text, source.parent, ROOT, pages, folder / "assets"), encoding="utf-8"
        )
    with open(folder / "index.md", "a", encoding="utf-8") as index:
        index.write(
            _contents("Notebooks", [*names, "look"])
            + _contents("The course", ["places", "instructors", "measured", "claims", "contributing", "data"])
        )


def _contents(caption: str, names: list[str]) -> str:
    entries = "\n".join(names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{entries}\n```\n"


def build(out: Path) -> float:
    """Builds the site.

    Args:
        out: its folder; emptied first.

    Returns:
        seconds taken.

    Raises:
        SystemExit: if Sphinx warns or fails; what it said stands above.
    """
    from sphinx.cmd.build import build_main

    began = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        stage(source)
        trees = str(Path(temporary) / "trees")
        if build_main(["-q", "-W", "--keep-going", "-b", "html", "-d", trees, str(source), str(out)]):
            raise SystemExit("the site was not built: see the lines above")
    (out / ".buildinfo").unlink(missing_ok=True)
    shutil.rmtree(out / "_sources", ignore_errors=True)
    return time.perf_counter() - began


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m utils.authoring.book", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder of the site")
    out = parser.parse_args().out
    if not notebook_names():
        sys.exit("There is no executed notebook: run make notebooks and make solve first.")
    seconds = build(out)
    print(f"{len(list(out.glob('*.html')))} pages in {seconds:.0f} s: open {out / 'index.html'}")


if __name__ == "__main__":
    main()
