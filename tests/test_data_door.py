"""The data door: mirror, Hub, bundled data in this order, and data that are not what they should be are refused."""

import contextlib
import dataclasses
import http.server
import io
import json
import socket
import sys
import threading
import types

import numpy as np
import pytest
import torch
from PIL import Image

from utils.data import DataError, load_images, load_text, readers
from utils.data.catalog import IMAGES, TEXTS, SplitSpec
from utils.data.image_cache import cache_folder, decode
from utils.data.panel import Notice, in_notebook, show_notice

MR = TEXTS["rotten_tomatoes"]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No mirror, no Hub, and caches of its own: what a fresh computer without a network has."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_CACHE_HOME", tmp_path / "hf")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(readers, "_last_probe", None)


@pytest.fixture(params=["datasets", "pyarrow"])
def reader(request, monkeypatch):
    """Both ways to read a mirror: every test that asks for it runs with each."""
    monkeypatch.setattr(readers, "has_datasets", lambda: request.param == "datasets")
    return request.param


def write_split(
    folder, name, contents, labels, *, column="text", names=("neg", "pos"), kind="Value", extra=()
):
    """One parquet file in the Hub's layout."""
    import pyarrow
    import pyarrow.parquet

    features = {
        column: {"dtype": "string", "_type": "Value"} if kind == "Value" else {"_type": "Image"},
        "label": {"names": list(names), "_type": "ClassLabel"}
        if names
        else {"dtype": "int64", "_type": "Value"},
    }
    table = pyarrow.table({column: contents, "label": pyarrow.array(labels, pyarrow.int64())})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, folder / "data" / f"{name}-00000-of-00001.parquet", compression="zstd")


def write_reviews(root, *, train=8_530, labels=None, names=("neg", "pos"), column="text"):
    """A mirror of Rotten Tomatoes with the right shape, and whatever the arguments make wrong."""
    folder = root / MR.hub_id
    for split, rows in (("train", train), ("validation", 1_066), ("test", 1_066)):
        values = [i % 2 for i in range(rows)]
        if labels and split == "train":
            values = labels(values)
        write_split(folder, split, [f"{split} {i}" for i in range(rows)], values, names=names, column=column)
    return folder


def test_a_mirror_is_read_in_both_ways(tmp_path, monkeypatch, reader):
    write_reviews(tmp_path)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    data = load_text("rotten_tomatoes")
    assert (data.name, data.source, data.language, data.note) == ("rotten_tomatoes", "mirror", "en", "")
    assert data.label_names == ("neg", "pos") and data.stands_in_for is None
    assert [len(data.train), len(data.validation), len(data.test)] == [8_530, 1_066, 1_066]
    assert data.train.texts[7] == "train 7" and data.train.labels[7] == 1
    assert type(data.train.texts) is list and type(data.train.labels[0]) is int
    small = load_text("rotten_tomatoes", limit=100, seed=4)
    large = load_text("rotten_tomatoes", limit=300, seed=4)
    assert set(small.train.texts) < set(large.train.texts) and sum(small.train.labels) == 50


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 8_529}, "train split from the mirror: 8,529 rows, and there should be 8,530"),
        ({"train": 4_265}, "train split from the mirror: 4,265 rows, and there should be 8,530"),
        ({"names": ("pos", "neg")}, "label 0 is named 'pos', and it should be 'neg'"),
        ({"names": ("neg", "pos", "neutral")}, "3 label names, and there should be 2"),
        ({"names": ()}, "the files carry no label names"),
        (
            {"labels": lambda values: [0] + [0] + values[2:]},
            r"class 0 \(neg\) has 4,266 rows, and there should be 4,265",
        ),
        ({"labels": lambda values: [-1] + values[1:]}, "labels should lie in 0..1, and -1 occurs"),
        ({"column": "sentence"}, "should have a column 'text'; its columns are sentence, label"),
    ],
)
def test_a_doctored_mirror_is_refused_in_words(tmp_path, monkeypatch, reader, wrong, message):
    write_reviews(tmp_path, **wrong)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=message) as caught:
        load_text("rotten_tomatoes")
    assert "Rotten Tomatoes" in str(caught.value)


def test_a_missing_split_and_a_missing_folder_are_refused(tmp_path, monkeypatch):
    folder = write_reviews(tmp_path)
    (folder / "data" / "validation-00000-of-00001.parquet").unlink()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"holds no file validation-\*\.parquet"):
        load_text("rotten_tomatoes")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match="COURSE_DATA is set to .*typo.* no such folder"):
        load_text("rotten_tomatoes")


def _encoded(colour, kind, size=32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def small_cifar(monkeypatch):
    """CIFAR-10's entry of the catalog with 100 + 20 rows, so that a mirror of it can be written in a test."""
    splits = {"train": SplitSpec("train", 100), "test": SplitSpec("test", 20)}
    spec = dataclasses.replace(IMAGES["cifar10"], splits=splits)
    monkeypatch.setitem(IMAGES, "cifar10", spec)
    return spec


def write_images(root, spec, kind="PNG", size=32, labels=None, names=None, damage=False):
    for split, rows in (("train", 100), ("test", 20)):
        values = labels or [i % 10 for i in range(rows)]
        files = [{"bytes": _encoded((i, 2 * i, 200), kind, size), "path": None} for i in range(rows)]
        if damage:
            files[3]["bytes"] = files[3]["bytes"][:40]
        names = names or spec.label_names
        write_split(root / spec.hub_id, split, files, values[:rows], column="img", names=names, kind="Image")


def test_images_are_decoded_and_cached(tmp_path, monkeypatch, reader, small_cifar):
    write_images(tmp_path, small_cifar)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    data = load_images("cifar10")
    assert data.source == "mirror" and data.note == "" and data.label_names[3] == "cat"
    assert data.train.images.shape == (100, 3, 32, 32) and data.train.images.dtype == torch.uint8
    assert data.train.images[7, :, 5, 9].tolist() == [7, 14, 200]  # channels first, RGB
    assert data.train.labels.dtype == torch.int64 and data.train.labels[:12].tolist() == [*range(10), 0, 1]
    (cached,) = (cache_folder() / "images").glob("cifar10-32-*.npz")

    def not_again(*_):
        raise AssertionError("decoded twice")

    monkeypatch.setattr("utils.data.door.decode", not_again)
    again = load_images("cifar10", limit=10)
    assert len(again.train) == 10 and len(again.test) == 20
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_CACHE", str(cached.parent.parent))
    monkeypatch.setitem(IMAGES, "cifar10", small_cifar)
    cached.write_bytes(b"half a file")  # as after a full disk
    assert torch.equal(load_images("cifar10").train.images, data.train.images)


def test_a_changed_mirror_is_decoded_anew_and_a_doctored_one_refused(tmp_path, monkeypatch, small_cifar):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    write_images(tmp_path, small_cifar)
    load_images("cifar10")
    write_images(tmp_path, small_cifar, labels=[0, 0] + [i % 10 for i in range(2, 100)])
    with pytest.raises(DataError, match=r"CIFAR-10, train split .*: class 0 \(airplane\) has 11 rows"):
        load_images("cifar10")
    swapped = (*small_cifar.label_names[:3], "dog", "deer", "cat", *small_cifar.label_names[6:])
    write_images(tmp_path, small_cifar, names=swapped)
    with pytest.raises(DataError, match="label 3 is named 'dog', and it should be 'cat'"):
        load_images("cifar10")
    write_images(tmp_path, small_cifar, damage=True)
    with pytest.raises(DataError, match=r"CIFAR-10 \(train\): image 3 can't be decoded"):
        load_images("cifar10")


def test_what_differs_from_the_published_images_is_noted(tmp_path, monkeypatch, small_cifar):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    write_images(tmp_path, small_cifar, kind="JPEG")
    assert load_images("cifar10").note == "re-encoded as JPEG"
    write_images(tmp_path, small_cifar, size=64)
    assert load_images("cifar10").note == "resized from 64x64 to 32x32"
    assert load_images("cifar10", size=16).train.images.shape[-1] == 16


def test_an_unwritable_cache_is_no_error(tmp_path, monkeypatch, small_cifar):
    write_images(tmp_path, small_cifar)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("COURSE_CACHE", str(blocked))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert len(load_images("cifar10").train) == 100


def test_decoding_averages_areas_and_agrees_with_pil():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    grey = picture.convert("L")
    files = []
    for image in (picture, grey):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files.append(buffer.getvalue())
    pixels, seen = decode(files * 700, 32)
    assert seen == {"PNG", "64x64"} and pixels.shape == (1_400, 3, 32, 32)
    areas = np.asarray(picture).reshape(32, 2, 32, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(pixels[1_398] - areas).max() <= 1
    assert np.array_equal(pixels[0], pixels[1_398]) and np.array_equal(pixels[1, 0], pixels[1, 2])


@pytest.mark.slow
def test_without_a_network_bundled_data_and_a_visible_notice(monkeypatch, capsys):
    tried: list = []  # each retry of an unreachable Hub would take its time
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address))
    data = load_text("sst2", limit=64)
    images = load_images("cifar10", train=64, test=64)
    assert tried == []
    said = " ".join(capsys.readouterr().out.split())
    assert "Note: SST-2 could not be loaded, so bundled data are used instead" in said
    assert "no local mirror is set (COURSE_DATA)" in said and "HF_HUB_OFFLINE is set" in said
    assert said.count("its figures will differ from the ones in the text") == 2
    assert (data.name, data.source, data.stands_in_for) == ("reviews", "procedural", "sst2")
    assert len(data.train) == 64 and set(data.train.labels) == {0, 1}
    assert images.stands_in_for == "cifar10" and images.source == "procedural" and len(images.train) == 64
    load_text("nsmc", limit=64)
    assert "They are in English, not in Korean." in " ".join(capsys.readouterr().out.split())


def test_bundled_data_asked_for_by_name_need_no_notice(capsys):
    load_images("digits")
    load_images("procedural", train=8, test=8)
    assert capsys.readouterr().out == ""


def test_a_silent_hub_is_given_up_soon(monkeypatch):
    with socket.socket() as listener:  # accepts, and never answers
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(readers, "PROBE_SECONDS", 0.4)
        reason = readers.why_offline()
        assert calls(listener) == 1, "it asks once: each question to a silent Hub takes its time"
        assert "did not answer" in reason or "timed out" in reason
        assert readers.why_offline() == reason and calls(listener) == 0  # remembered
        monkeypatch.setattr(readers, "_last_probe", None)
        with pytest.raises(readers.Unavailable, match="its local cache does not hold stanfordnlp/sst2"):
            readers.open_hub(TEXTS["sst2"])
        assert calls(listener) == 1


def calls(listener: socket.socket) -> int:
    """How many have called since the last time it was asked."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (404, True), (403, False), (503, False)])
def test_what_counts_as_reachable(monkeypatch, status, reachable):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        reason = readers.why_offline()
    finally:
        server.shutdown()
        server.server_close()
    assert (reason is None) == reachable
    assert reachable or str(status) in reason


@pytest.fixture
def pretend_hub(monkeypatch):
    """The Hub, played by a function that records what it is asked and answers with `tables`."""
    import datasets

    asked, tables = [], {}

    def load_dataset(path, *, revision, split):
        asked.append((path, revision, split))
        answer = tables[split]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(readers, "why_offline", lambda: None)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return types.SimpleNamespace(asked=asked, tables=tables)


def _hub_table(rows, names=("neg", "pos")):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))}
    )
    return datasets.Dataset.from_dict(
        {"text": [f"row {i}" for i in range(rows)], "label": [i % 2 for i in range(rows)]}, features=features
    )


def test_the_hub_is_asked_for_the_pinned_revision_and_verified_too(pretend_hub):
    pretend_hub.tables.update(train=_hub_table(8_530), validation=_hub_table(1_066), test=_hub_table(1_066))
    data = load_text("rotten_tomatoes")
    assert data.source == "hub" and data.train.texts[5] == "row 5" and data.train.labels[5] == 1
    assert pretend_hub.asked == [(MR.hub_id, MR.revision, split) for split in ("train", "validation", "test")]
    pretend_hub.tables["test"] = _hub_table(1_066, names=("pos", "neg"))
    with pytest.raises(DataError, match="test split from the hub: label 0 is named 'pos'"):
        load_text("rotten_tomatoes")


def test_a_hub_that_fails_halfway_leads_to_bundled_data_that_say_so(pretend_hub, capsys):
    pretend_hub.tables.update(train=_hub_table(8_530), validation=ConnectionError("connection reset"))
    data = load_text("rotten_tomatoes", limit=16)
    assert data.stands_in_for == "rotten_tomatoes"
    said = " ".join(capsys.readouterr().out.split())
    assert "the Hugging Face Hub failed (ConnectionError: connection reset)" in said


def test_images_from_the_hub(pretend_hub, small_cifar):
    import datasets

    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=list(small_cifar.label_names))}
    )
    for split, rows in (("train", 100), ("test", 20)):
        files = [{"bytes": _encoded((i, 0, 9), "PNG"), "path": None} for i in range(rows)]
        values = {"img": files, "label": [i % 10 for i in range(rows)]}
        pretend_hub.tables[split] = datasets.Dataset.from_dict(values, features=features)
    data = load_images("cifar10")
    assert data.source == "hub" and data.note == "" and data.train.images[42, :, 0, 0].tolist() == [42, 0, 9]


def test_a_mirror_without_the_data_set_asks_the_hub(pretend_hub, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    pretend_hub.tables.update(train=_hub_table(8_530), validation=_hub_table(1_066), test=_hub_table(1_066))
    assert load_text("rotten_tomatoes").source == "hub"


def test_without_the_library_the_notice_says_so(monkeypatch, capsys):
    monkeypatch.setattr(readers, "has_datasets", lambda: False)
    load_text("imdb", limit=8)
    assert "the package `datasets`, which reads the Hugging Face Hub, is not installed" in " ".join(
        capsys.readouterr().out.split()
    )


def test_revisions_are_pinned():
    for spec in (*TEXTS.values(), *IMAGES.values()):
        if spec.name == "nsmc":  # the repository holds a script; its parquet conversion has only a branch
            assert spec.revision == "refs/convert/parquet"
        else:
            assert len(spec.revision) == 40 and int(spec.revision, 16) > 0
        for split in spec.splits.values():
            assert sum(split.counts or (split.rows,)) == split.rows
        assert len(set(spec.shown_names or spec.label_names)) == len(spec.label_names)


@pytest.mark.parametrize(
    ("load", "known"), [(load_text, "sst2, imdb"), (load_images, "cifar10, tiny_imagenet")]
)
def test_an_unknown_name_lists_the_known_ones(load, known):
    with pytest.raises(ValueError, match=f"data set 'mnist'; there are {known}"):
        load("mnist")


def test_the_notice_in_a_notebook_is_a_panel_and_elsewhere_plain_text(monkeypatch, capsys):
    assert not in_notebook()
    notice = Notice("no <network>", ["first", "second & last"])
    page = notice._repr_html_()
    assert 'role="note"' in page and "no &lt;network&gt;" in page and "second &amp; last" in page
    assert repr(notice) == "Note: no <network>\n  first\n  second & last"
    shown = []
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.display.display", shown.append)
    show_notice("title", ["text"])
    assert isinstance(shown[0], Notice) and capsys.readouterr().out == ""


def test_importing_the_door_loads_no_heavy_library():
    import subprocess

    code = "import sys, utils.data; print([m for m in ('datasets', 'pyarrow', 'sklearn', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
