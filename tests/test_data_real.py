"""The door on the real data, where a mirror is at hand (COURSE_DATA); facts about each that a mix-up would break."""

import os

import numpy as np
import pytest
import torch

from utils.data import diagnostic_pairs, lexicon, load_images, load_text, readers

needs_mirror = pytest.mark.skipif(
    not os.environ.get("COURSE_DATA"), reason="no mirror of the real data: COURSE_DATA is not set"
)
pytestmark = [pytest.mark.slow, needs_mirror]


@pytest.fixture(params=["datasets", "pyarrow"])
def reader(request, monkeypatch):
    monkeypatch.setattr(readers, "has_datasets", lambda: request.param == "datasets")


def test_sst2(reader):
    data = load_text("sst2")
    assert (len(data.train), len(data.validation), data.source) == (67_349, 872, "mirror")
    assert data.label_names == ("negative", "positive") and list(data.splits) == ["train", "validation"]
    assert data.train.texts[1] == "contains no wit , only labored gags" and data.train.labels[1] == 0
    with pytest.raises(ValueError, match="never published"):
        _ = data.test
    positive = [
        label for text, label in zip(data.train.texts, data.train.labels, strict=True) if "wonderful" in text
    ]
    assert np.mean(positive) > 0.9


@pytest.mark.parametrize(
    ("name", "sizes", "language", "praise"),
    [
        ("imdb", [22_500, 2_500, 25_000], "en", "superb"),
        ("rotten_tomatoes", [8_530, 1_066, 1_066], "en", "moving"),
        ("nsmc", [140_000, 10_000, 50_000], "ko", "최고"),
    ],
)
def test_other_texts(reader, name, sizes, language, praise):
    data = load_text(name)
    assert [len(split) for split in data.splits.values()] == sizes and data.language == language
    labels = [y for x, y in zip(data.test.texts, data.test.labels, strict=True) if praise in x]
    assert len(labels) > 5 and np.mean(labels) > 0.7, "praise should be labelled 1"
    for split in data.splits.values():
        assert abs(np.mean(split.labels) - 0.5) < 0.01
    if "validation" in data.splits and name != "rotten_tomatoes":  # held out of train by the course
        assert data.validation.labels.count(1) == sizes[1] // 2
    assert bool(data.note) == (name == "nsmc")


def test_the_grammar_and_the_pairs_use_words_of_sst2():
    known = {word for text in load_text("sst2").train.texts for word in text.split()}
    words = lexicon.content_words()
    assert len(words & known) / len(words) > 0.95
    pairs = {w for pair in diagnostic_pairs() for sentence in pair.sentences for w in sentence.split()}
    assert pairs <= known, sorted(pairs - known)


def test_cifar10(tmp_path, monkeypatch, reader):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    data = load_images("cifar10")
    assert data.train.images.shape == (50_000, 3, 32, 32) and data.test.images.shape == (10_000, 3, 32, 32)
    assert (data.train.labels.bincount() == 5_000).all() and (data.test.labels.bincount() == 1_000).all()
    assert data.note == "re-encoded as JPEG"
    mean = data.train.images.double().mean((0, 2, 3)) / 255  # published: 0.4914, 0.4822, 0.4465
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465], dtype=torch.float64), atol=0.005)
    ships = data.train.images[data.train.labels == data.label_names.index("ship")].double().mean((0, 2, 3))
    frogs = data.train.images[data.train.labels == data.label_names.index("frog")].double().mean((0, 2, 3))
    assert ships[2] > ships[0] and frogs[2] < frogs[0]  # sea and sky are blue, frogs are not
    again = load_images("cifar10", limit=1_000)  # from the cache
    assert (again.train.labels.bincount() == 100).all() and torch.equal(again.test.images, data.test.images)


def test_tiny_imagenet():
    data = load_images("tiny_imagenet", limit={"train": 2_000, "test": 1_000})
    assert data.train.images.shape == (2_000, 3, 32, 32) and len(data.label_names) == 200
    assert (data.train.labels.bincount() == 10).all() and (data.test.labels.bincount() == 5).all()
    assert data.label_names[0] == "goldfish" and data.label_names[-1] == "acorn"
    assert data.note == "32x32 pixels instead of 64x64"
