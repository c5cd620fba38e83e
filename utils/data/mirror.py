"""Makes a mirror of data sets, for a class without a network: `python -m utils.data mirror sst2 cifar10 --out DIR`.

The files have the Hub's layout and columns. What is written is read back through the door's own assertions before it counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from utils.data.catalog import IMAGES, TEXTS, Spec
from utils.data.door import open_first
from utils.data.readers import open_mirror, verify

ROWS = 5_000  # in a row group: what a reader holds at a time


def mirror(names: Sequence[str], out: Path) -> dict[str, int]:
    """Writes data sets into a mirror; one that is there and whole is left as it is.

    Args:
        names: of the catalog, such as "sst2".
        out: the mirror's folder, to be named by COURSE_DATA; made if it is not there.

    Returns:
        name -> bytes of its files.

    Raises:
        ValueError: a name that is not in the catalog. Its subclass `DataError`: the source's data are not what they should be.
        Unavailable: no source has a data set.
        OSError: the folder cannot be written to.
    """
    catalog = {**TEXTS, **IMAGES}
    unknown = [name for name in names if name not in catalog]
    if unknown or not names:
        raise ValueError(
            f"no data set {', '.join(map(repr, unknown)) or 'given'}; there are {', '.join(catalog)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    return {name: _one(catalog[name], out) for name in names}


def _one(spec: Spec, out: Path) -> int:
    folder = out / spec.hub_id / "data"
    paths = [folder / f"{split.hub_split}-00000-of-00001.parquet" for split in spec.splits.values()]
    if not all(path.exists() for path in paths):
        rows = open_first(spec)
        for which, path in zip(spec.splits, paths, strict=True):
            contents, labels, names = rows.read(which)
            verify(spec, which, labels, names, rows.source)
            _write(spec, path, contents, labels)
    _read_back(spec, out)
    return sum(path.stat().st_size for path in paths)


def _write(spec: Spec, path: Path, contents: list, labels: list[int]) -> None:
    """One split; a kill at any moment leaves no half file under its name."""
    import pyarrow
    import pyarrow.parquet

    image = bool(spec.encoding)
    features = {
        spec.content: {"_type": "Image"} if image else {"dtype": "string", "_type": "Value"},
        spec.label: {"names": list(spec.label_names), "_type": "ClassLabel"},
    }
    column = [{"bytes": item, "path": None} for item in contents] if image else contents
    kind = (
        pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()}) if image else pyarrow.string()
    )
    table = pyarrow.table(
        {spec.content: pyarrow.array(column, kind), spec.label: pyarrow.array(labels, pyarrow.int64())}
    )
    about = json.dumps({"info": {"features": features}})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        pyarrow.parquet.write_table(
            table.replace_schema_metadata({"huggingface": about}),
            beside,
            row_group_size=ROWS,
            compression="zstd",
        )
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read_back(spec: Spec, out: Path) -> None:
    before = os.environ.get("COURSE_DATA")
    os.environ["COURSE_DATA"] = str(out)
    try:
        rows = open_mirror(spec)
        for which in spec.splits:
            _, labels, names = rows.read(which)
            verify(spec, which, labels, names, "new mirror")
    finally:
        if before is None:
            del os.environ["COURSE_DATA"]
        else:
            os.environ["COURSE_DATA"] = before
