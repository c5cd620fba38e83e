"""The real data sets: where each lives, at which revision, and what must be true of it.

A data set that changed silently is worse than one that is missing: 12,500 test rows in place of 25,000 once gave a
textbook 100% accuracy without an error. So rows, classes and label names are written down here and asserted at load.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from utils.data.tiny_imagenet_classes import WNIDS, WORDS


@dataclass(frozen=True)
class SplitSpec:
    """What a split must look like.

    Attributes:
        hub_split: its name on the Hub and in the mirror's file names.
        rows: number of rows.
        counts: rows per class, as published; None where classes are equally large.
        tolerance: by how many rows a class may differ from `counts`.
    """

    hub_split: str
    rows: int
    counts: tuple[int, ...] | None = None
    tolerance: int = 0


@dataclass(frozen=True)
class Spec:
    """One data set of the Hub.

    Attributes:
        name: the course's name for it.
        title: the name that a reader knows.
        hub_id: `owner/name` on the Hub, and the mirror's folder.
        revision: the pinned revision on the Hub: a commit, or a branch where no commit could be pinned.
        content: column of the text or the image.
        label: column of the label.
        label_names: class names of the Hub, in the order of the labels; asserted at load.
        shown_names: names for people, where the Hub's are codes.
        splits: the course's split name -> what it must look like.
        held_out: splits that the Hub doesn't have -> (split it is taken from, number of rows).
        missing: splits that can't be had -> why, as the end of a sentence.
        language: of the texts.
        native: (images) height and width of the published images.
        encoding: (images) how the Hub's files are encoded, "PNG" or "JPEG".
    """

    name: str
    title: str
    hub_id: str
    revision: str
    content: str
    label_names: tuple[str, ...]
    splits: Mapping[str, SplitSpec]
    label: str = "label"
    held_out: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    native: int = 0
    shown_names: tuple[str, ...] = ()
    encoding: str = ""


TEXTS = {
    spec.name: spec
    for spec in (
        Spec(
            name="sst2",
            title="SST-2",
            hub_id="stanfordnlp/sst2",
            revision="8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
            content="sentence",
            label_names=("negative", "positive"),
            splits={
                "train": SplitSpec("train", 67_349, (29_780, 37_569)),
                "validation": SplitSpec("validation", 872, (428, 444)),
            },
            missing={
                "test": "the labels of SST-2's test sentences were never published, so accuracy is reported on "
                ".validation, as in the literature"
            },
        ),
        Spec(
            name="imdb",
            title="IMDb",
            hub_id="stanfordnlp/imdb",
            revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
            content="text",
            label_names=("neg", "pos"),
            splits={"train": SplitSpec("train", 25_000), "test": SplitSpec("test", 25_000)},
            held_out={"validation": ("train", 2_500)},
        ),
        Spec(
            name="rotten_tomatoes",
            title="Rotten Tomatoes (MR)",
            hub_id="cornell-movie-review-data/rotten_tomatoes",
            revision="aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
            content="text",
            label_names=("neg", "pos"),
            splits={
                "train": SplitSpec("train", 8_530),
                "validation": SplitSpec("validation", 1_066),
                "test": SplitSpec("test", 1_066),
            },
        ),
        Spec(
            name="nsmc",
            title="NSMC",
            hub_id="e9t/nsmc",
            revision="refs/convert/parquet",  # the repository itself holds a loading script, which datasets 4+ refuses
            content="document",
            label_names=("negative", "positive"),
            splits={
                "train": SplitSpec("train", 150_000, (75_173, 74_827), tolerance=1_500),
                "test": SplitSpec("test", 50_000, (24_827, 25_173), tolerance=500),
            },
            held_out={"validation": ("train", 10_000)},
            language="ko",
        ),
    )
}

IMAGES = {
    spec.name: spec
    for spec in (
        Spec(
            name="cifar10",
            title="CIFAR-10",
            hub_id="uoft-cs/cifar10",
            revision="0b2714987fa478483af9968de7c934580d0bb9a2",
            content="img",
            label_names=(
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
            splits={"train": SplitSpec("train", 50_000), "test": SplitSpec("test", 10_000)},
            native=32,
            encoding="PNG",
        ),
        Spec(
            name="tiny_imagenet",
            title="Tiny ImageNet",
            hub_id="zh-plus/tiny-imagenet",
            revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
            content="image",
            label_names=WNIDS,
            shown_names=WORDS,
            # The labelled `valid` split serves as the test split: the real one has no labels.
            splits={"train": SplitSpec("train", 100_000), "test": SplitSpec("valid", 10_000)},
            native=64,
            encoding="JPEG",
        ),
    )
}
