"""Reading rows from a local mirror or from the Hub, and asserting that they are what the catalog says.

A mirror is a folder in one of the Hub's layouts: `<root>/<hub id>/data/<split>-*.parquet` (or any other sub-folder), or
that of the Hub's own conversion, `<root>/<hub id>/default/<split>/0000.parquet`. It is read with the `datasets` library where that is installed, else with pyarrow; both give the same
rows. The Hub is asked at the pinned revision, and only when it answers a short probe: offline, `datasets` would
retry for half a minute.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.data.catalog import Spec
from utils.data.containers import DataError
from utils.data.text import composed
from utils.words import later, say

PROBE_SECONDS = 3.0
PROBE_MEMORY_SECONDS = 60.0
_last_probe: tuple[float, str, str | None] | None = None  # (when, endpoint, reason why not)


class Unavailable(Exception):
    """A source does not have the data set; its text is the end of the sentence "... because"."""


@dataclass(frozen=True)
class Rows:
    """A source that is ready to be read.

    Attributes:
        source: "mirror" or "hub".
        fingerprint: changes when the underlying files change; names the cache of decoded images.
        read: split of the catalog -> (contents, labels, label names); contents are texts, or encoded images as bytes.
    """

    source: str
    fingerprint: str
    read: Callable[[str], tuple[list, list[int], tuple[str, ...]]]


def has_datasets() -> bool:
    """Whether the `datasets` library can be used (an accelerator machine may lack it)."""
    return importlib.util.find_spec("datasets") is not None


def open_mirror(spec: Spec) -> Rows:
    """The data set in the mirror that the setting COURSE_DATA names.

    Raises:
        Unavailable: no mirror is set, or it does not hold this data set.
        DataError: the setting names no folder, or the data set's folder lacks a split.
    """
    setting = os.environ.get("COURSE_DATA", "").strip()
    if not setting:
        raise Unavailable(say("no local mirror is set (COURSE_DATA)"))
    root = Path(setting).expanduser()
    if not root.is_dir():
        raise DataError(
            say("COURSE_DATA is set to {folder}, and there is no such folder", folder=repr(setting))
        )
    folder = root / spec.hub_id
    if not folder.is_dir():
        raise Unavailable(say("the mirror {mirror} has no folder {name}", mirror=setting, name=spec.hub_id))
    files = {name: _files(folder, split.hub_split) for name, split in spec.splits.items()}
    stats = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for paths in files.values()
        for path in paths
    ]
    read = _read_parquet_with_datasets if has_datasets() else _read_parquet_with_pyarrow
    return Rows("mirror", _digest(spec.hub_id, stats), lambda name: read(spec, files[name]))


def _files(folder: Path, hub_split: str) -> list[Path]:
    """A split's files, in whichever of the Hub's two layouts; if both are there, one of them.

    Raises:
        DataError: there are none, or one is no whole Parquet file.
    """
    named = sorted(folder.rglob(f"{hub_split}-*.parquet"))
    converted = sorted(path for path in folder.rglob("*.parquet") if path.parent.name == hub_split)
    paths = named or converted
    if not paths:
        raise DataError(
            say(
                "the mirror's {folder} holds no file {split}-*.parquet, and none in a folder {split}/",
                folder=folder,
                split=hub_split,
            )
        )
    for path in paths:
        if wrong := _damage(path):
            raise DataError(wrong)
    return paths


def _damage(path: Path) -> str:
    """What is wrong with a Parquet file as far as its ends tell; "" if nothing is."""
    try:
        with open(path, "rb") as file:
            head = file.read(200)
            file.seek(max(0, path.stat().st_size - 4))
            tail = file.read(4)
    except OSError as error:
        if path.is_symlink() and not path.exists():
            return say(
                "the mirror's {path} is a link to {target}, which is not there: copy the mirror with its contents (cp -rL)",
                path=path,
                target=path.readlink(),
            )
        return say("the mirror's {path} can't be read ({error})", path=path, error=error.strerror)
    if head.startswith(b"version https://git-lfs"):
        return say(
            "the mirror's {path} is a pointer of Git LFS and not the data: run `git lfs pull` in the mirror's repository",
            path=path,
        )
    if b"/annex/objects/" in head:
        return say(
            "the mirror's {path} is a pointer of git-annex and not the data: run `git annex get` in the mirror's repository",
            path=path,
        )
    if not head:
        return say("the mirror's {path} is empty: fetch it again", path=path)
    if not head.startswith(b"PAR1"):
        return say(
            "the mirror's {path} is no Parquet file (it begins with {head}): fetch it again",
            path=path,
            head=repr(head[:16]),
        )
    return "" if tail == b"PAR1" else say("the mirror's {path} is cut off: fetch it again", path=path)


@contextlib.contextmanager
def _as_parquet(paths: list[Path]) -> Iterator[None]:
    """Names the files where a library only says that something is invalid: both ends may be whole and the middle not."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        names = ", ".join(str(path) for path in paths)
        raise DataError(
            say("the mirror's {names} can't be read as Parquet ({said}): fetch again", names=names, said=said)
        ) from error


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _column_error(spec: Spec, column: str, found: list[str]) -> DataError:
    return DataError(
        say(
            "{title} should have a column {column}; its columns are {found}",
            title=spec.title,
            column=repr(column),
            found=", ".join(found),
        )
    )


def _read_parquet_with_pyarrow(spec: Spec, paths: list[Path]) -> tuple[list, list[int], tuple[str, ...]]:
    import pyarrow
    import pyarrow.parquet

    with _as_parquet(paths):
        tables = [pyarrow.parquet.read_table(path) for path in paths]
    schema = tables[0].schema
    for column in (spec.content, spec.label):
        if column not in schema.names:
            raise _column_error(spec, column, schema.names)
    table = pyarrow.concat_tables([table.select([spec.content, spec.label]) for table in tables])
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    names = metadata.get("info", {}).get("features", {}).get(spec.label, {}).get("names", ())
    return _plain(table[spec.content].to_pylist()), table[spec.label].to_pylist(), tuple(names)


def _read_parquet_with_datasets(spec: Spec, paths: list[Path]) -> tuple[list, list[int], tuple[str, ...]]:
    import datasets

    with _as_parquet(paths):
        table = datasets.load_dataset("parquet", data_files=[str(path) for path in paths], split="train")
    return _read_dataset(spec, table)


def _read_dataset(spec: Spec, table) -> tuple[list, list[int], tuple[str, ...]]:
    """Contents, labels and label names of a `datasets.Dataset`."""
    import datasets

    for column in (spec.content, spec.label):
        if column not in table.column_names:
            raise _column_error(spec, column, table.column_names)
    feature = table.features[spec.label]
    names = tuple(getattr(feature, "names", None) or ())
    if spec.encoding:
        table = table.cast_column(spec.content, datasets.Image(decode=False))
    return _plain(table[spec.content][:]), list(table[spec.label][:]), names


def _plain(contents: list) -> list:
    """Encoded images come as {"bytes": ..., "path": ...}; a missing text becomes an empty one; texts are normalised (NFC)."""
    return [item["bytes"] if isinstance(item, dict) else composed(item or "") for item in contents]


def open_hub(spec: Spec) -> Rows:
    """The data set on the Hub, at the pinned revision, from the library's cache if it was fetched before.

    Raises:
        Unavailable: the library is missing, the Hub can't be reached and its cache holds nothing, or it refuses.
    """
    if not has_datasets():
        raise Unavailable(say("the package `datasets`, which reads the Hugging Face Hub, is not installed"))
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "10")
    reason = why_offline()
    import datasets

    tables = {}
    with _offline() if reason else contextlib.nullcontext():
        for name, split in spec.splits.items():
            try:
                tables[name] = datasets.load_dataset(
                    spec.hub_id, revision=spec.revision, split=split.hub_split
                )
            except (
                Exception
            ) as error:  # many kinds: no route, no such revision, a proxy's refusal, a full disk
                if reason:
                    raise Unavailable(
                        say(
                            "{reason}, and its local cache does not hold {name}",
                            reason=reason,
                            name=spec.hub_id,
                        )
                    ) from error
                first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
                raise Unavailable(
                    say(
                        "the Hugging Face Hub failed ({error}: {text})",
                        error=type(error).__name__,
                        text=first[:160],
                    )
                ) from error
    fingerprints = [getattr(table, "_fingerprint", "") for table in tables.values()]
    digest = _digest(spec.hub_id, spec.revision, fingerprints)
    return Rows("hub", digest, lambda name: _read_dataset(spec, tables[name]))


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Let the libraries use their cache only, at once, without retries."""
    import datasets.config
    import huggingface_hub.constants

    modules: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [module.HF_HUB_OFFLINE for module in modules]
    for module in modules:
        module.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            module.HF_HUB_OFFLINE = value


def why_offline() -> str | None:
    """None where the Hub answers, else the reason as part of a sentence; known within three seconds.

    The answer is remembered for a minute, so that a notebook that loads several data sets asks once.
    """
    global _last_probe
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE"):
            return say("the Hugging Face Hub is switched off ({variable} is set)", variable=variable)
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    now = time.monotonic()
    if _last_probe and _last_probe[1] == endpoint and now - _last_probe[0] < PROBE_MEMORY_SECONDS:
        return _last_probe[2]
    answer: list[str | None] = [
        say("the Hugging Face Hub did not answer within {seconds:g} seconds", seconds=PROBE_SECONDS)
    ]
    # A thread, because looking up a name has no time limit of its own.
    thread = threading.Thread(target=lambda: answer.append(_ask(endpoint)), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    _last_probe = (now, endpoint, answer[-1])
    return answer[-1]


def _ask(endpoint: str) -> str | None:
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "course-data-door"})
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        if error.code in (403, 407) or error.code >= 500:
            return say("the Hugging Face Hub can't be reached (the network answers {code})", code=error.code)
        return None
    except (OSError, ValueError) as error:
        return say("the Hugging Face Hub can't be reached ({reason})", reason=getattr(error, "reason", error))


def verify(spec: Spec, which: str, labels: list[int], names: tuple[str, ...], where: str) -> None:
    """Assert row count, class balance, label names and their order.

    Raises:
        DataError: with the numbers found and expected.
    """
    split = spec.splits[which]
    place = say("{title}, {which} split from the {where}", title=spec.title, which=which, where=where)
    if names != spec.label_names:
        raise DataError(f"{place}: {_name_difference(names, spec.label_names)}")
    if len(labels) != split.rows:
        raise DataError(
            say(
                "{place}: {count:,} rows, and there should be {wanted:,}",
                place=place,
                count=len(labels),
                wanted=split.rows,
            )
        )
    classes = len(spec.label_names)
    counts = Counter(labels)
    strange = sorted(set(counts) - set(range(classes)), key=str)
    if strange:
        raise DataError(
            say(
                "{place}: labels should lie in 0..{last}, and {strange} occurs",
                place=place,
                last=classes - 1,
                strange=repr(strange[0]),
            )
        )
    expected = split.counts or (split.rows // classes,) * classes
    for index, wanted in enumerate(expected):
        if abs(counts[index] - wanted) > split.tolerance:
            about = later("about {wanted:,}", wanted=wanted) if split.tolerance else f"{wanted:,}"
            raise DataError(
                say(
                    "{place}: class {index} ({name}) has {count:,} rows, and there should be {about}",
                    place=place,
                    index=index,
                    name=spec.label_names[index],
                    count=counts[index],
                    about=about,
                )
            )


def _name_difference(found: tuple[str, ...], expected: tuple[str, ...]) -> str:
    if not found:
        return say("the files carry no label names, so the meaning of the labels can't be verified")
    if len(found) != len(expected):
        return say(
            "{found} label names, and there should be {wanted}", found=len(found), wanted=len(expected)
        )
    index = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return say(
        "label {index} is named {found}, and it should be {wanted}",
        index=index,
        found=repr(found[index]),
        wanted=repr(expected[index]),
    )
