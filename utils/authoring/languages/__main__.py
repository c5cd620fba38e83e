"""`python -m utils.authoring.languages merge | count | changed [--language ko]`: catalogues from the English, and how far they are."""

from __future__ import annotations

import argparse

from utils.authoring.languages import catalogues, sources
from utils.paths import ROOT
from utils.words import languages


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m utils.authoring.languages", description=__doc__)
    parser.add_argument("do", choices=("merge", "count", "changed"))
    parser.add_argument("--language", help="only this one, also a new one; default all")
    parser.add_argument("--catalogue", help='only this one, such as "checks" or "01_transformer_recap"')
    options = parser.parse_args()
    found = sources.catalogues()
    names = [options.catalogue] if options.catalogue else [*found]
    for language in [options.language] if options.language else languages()[1:]:
        if options.do == "merge":
            for path in catalogues.merge(language, found):
                print(f"wrote {path.relative_to(ROOT)}")
        if options.do == "changed":
            print(catalogues.changed(language, names))
        else:
            print(catalogues.table(catalogues.counts(language, names)))
            print("\n".join(catalogues.losses(language, names)), end="")


if __name__ == "__main__":
    main()
