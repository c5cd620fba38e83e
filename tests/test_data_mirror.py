"""Mirrors: both of the Hub's layouts are read, damaged files are named, and a mirror is made by one command."""

from __future__ import annotations

import os
import shutil
import unicodedata

import pytest

from tests.test_data_door import (  # noqa: F401 - fixtures
    MR,
    nowhere,
    reader,
    small_cifar,
    write_images,
    write_reviews,
)
from utils.data import DataError, load_images, load_text, tokenize
from utils.data.__main__ import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A mirror of film reviews, and its folder."""
    write_reviews(tmp_path / "mirror")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mirror"))
    return tmp_path / "mirror" / MR.hub_id


def _converted(folder, shards=1):
    """The layout of the Hub's own conversion: default/train/0000.parquet, 0001.parquet and so on."""
    import pyarrow.parquet

    for path in sorted(folder.rglob("*.parquet")):
        table = pyarrow.parquet.read_table(path)
        size = -(-len(table) // shards)
        for n in range(shards):
            target = folder / "default" / path.name.partition("-")[0] / f"{n:04}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(table.slice(n * size, size), target)
        path.unlink()


@pytest.mark.parametrize("shards", [1, 2, 11])
def test_the_hubs_own_conversion_is_read(place, reader, shards):  # noqa: F811
    expected = load_text("rotten_tomatoes").train.texts
    _converted(place, shards)
    assert len(list(place.glob("default/train/*.parquet"))) == shards
    data = load_text("rotten_tomatoes")
    assert data.source == "mirror" and data.train.texts == expected
    assert len(data.test) == 1_066


def test_both_layouts_side_by_side_are_not_read_twice(place):
    for path in sorted(place.rglob("*.parquet")):
        target = place / "default" / path.name.partition("-")[0] / "0000.parquet"
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    assert len(load_text("rotten_tomatoes").train) == 8_530


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: path.write_bytes(POINTER),
            "is a pointer of Git LFS and not the data: run `git lfs pull`",
        ),
        (lambda path: path.write_bytes(b"../.git/annex/objects/aB/cD/SHA256E-s12.parquet"), "git-annex"),
        (
            lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
            "is cut off: fetch it again",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is cut off"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (
            lambda path: path.write_bytes(b"<!DOCTYPE html><html>"),
            "is no Parquet file (it begins with b'<!DOCTYPE html>",
        ),
        (
            lambda path: (path.unlink(), path.symlink_to("../blobs/abc")),
            "is a link to ../blobs/abc, which is not there",
        ),
        (lambda path: path.write_bytes(b"PAR1" + b"\0" * 500 + b"PAR1"), "can't be read as Parquet"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(place, reader, damage, said):  # noqa: F811
    path = sorted(place.rglob("train-*.parquet"))[0]
    damage(path)
    with pytest.raises(DataError) as error:
        load_text("rotten_tomatoes")
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_hangul_typed_on_macos_is_composed(tmp_path, monkeypatch, reader):  # noqa: F811
    korean = "\uc774 \uc601\ud654 \uc815\ub9d0 \uc88b\ub2e4"
    apart = unicodedata.normalize("NFD", korean)
    assert len(apart) > len(korean)
    for unit in ("words", "eojeol", "syllables", "bigrams"):
        assert tokenize(apart, unit) == tokenize(korean, unit)
    write_reviews(tmp_path / "mirror")
    from tests.test_data_door import write_split

    folder = tmp_path / "mirror" / MR.hub_id
    write_split(folder, "validation", [apart] * 1_066, [0, 1] * 533)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mirror"))
    assert load_text("rotten_tomatoes").validation.texts[0] == korean


def test_one_command_makes_a_mirror(place, tmp_path, monkeypatch, capsys, small_cifar):  # noqa: F811
    write_images(tmp_path / "mirror", small_cifar)
    texts, images = load_text("rotten_tomatoes").test.texts, load_images("cifar10").train.images
    out = tmp_path / "for the class"
    assert main(["mirror", "rotten_tomatoes", "cifar10", "--out", str(out)]) == 0
    assert f"export COURSE_DATA={out}" in capsys.readouterr().out
    assert os.environ["COURSE_DATA"] == str(tmp_path / "mirror"), "the setting is as it was"
    shutil.rmtree(tmp_path / "mirror")
    monkeypatch.setenv("COURSE_DATA", str(out))
    again = load_text("rotten_tomatoes")
    assert again.source == "mirror" and again.test.texts == texts
    assert load_images("cifar10").train.images.equal(images)
    assert not list(out.rglob("*.partial"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert main(["mirror", "rotten_tomatoes", "--out", str(out)]) == 0, (
        "made again, from itself: nothing to do"
    )
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before


def test_a_mirror_that_cannot_be_made_says_why(tmp_path, monkeypatch, capsys):
    assert main(["mirror", "sst3", "--out", str(tmp_path / "out")]) == 1
    assert "no data set 'sst3'; there are sst2" in capsys.readouterr().err
    assert main(["mirror", "sst2", "--out", str(tmp_path / "out")]) == 1
    assert "COURSE_DATA" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.parquet"))
