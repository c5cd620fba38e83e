"""One door to all data: `load_text("sst2")`, `load_images("cifar10")`.

Asked for a real data set, the door tries a local mirror in the Hub's layout (setting COURSE_DATA), then the Hugging
Face Hub at a pinned revision, and else opens bundled data with a visible notice. Data that are found but differ from
the catalog (rows, class balance, label names, order) raise `DataError`; they never lead to a silent replacement.
"""

import functools
from collections.abc import Mapping
from numbers import Integral

import numpy as np
import torch

from utils.data.catalog import IMAGES, TEXTS, Spec
from utils.data.containers import ImageData, ImageSplit, TextData, TextSplit
from utils.data.digits import SIDE, bundled_digits, digit_pairs
from utils.data.image_cache import cache_folder, decode, load_cached, save_cached
from utils.data.panel import show_notice
from utils.data.readers import Rows, Unavailable, open_hub, open_mirror, verify
from utils.data.review_writer import generate_reviews
from utils.data.subsets import HELD_OUT_SEED, subset_indices
from utils.words import say

Limit = int | Mapping[str, int] | None

REVIEW_SIZES = {"train": 20_000, "validation": 2_000, "test": 2_000}
TEXT_NAMES = (*TEXTS, "reviews")
IMAGE_NAMES = (*IMAGES, "digits", "digit pairs", "procedural")


def load_text(name: str, *, limit: Limit = None, seed: int = 0) -> TextData:
    """Load a text classification data set.

    Args:
        name: "sst2", "imdb", "nsmc", "rotten_tomatoes", or "reviews" (written by the course's own grammar).
        limit: None for everything; a number n for a class-balanced subset of n *training* examples, the evaluation
            splits left whole; or numbers per split, such as {"train": 512, "validation": 256}. A number larger than
            the split means all of it.
        seed: of the subsets, which are nested: for one seed the subset of 1,000 is a part of that of 10,000.

    Returns:
        `TextData` with `.train`, `.validation`, `.test`, each with `.texts` and `.labels`.

    Raises:
        ValueError: an unknown name or split. Its subclass `DataError`: data that are not what they should be.
    """
    check_numbers(limit, seed)
    if name == "reviews":
        return bundled_reviews().limited(limit, seed)
    if name not in TEXTS:
        raise ValueError(f"no text data set {name!r}; there are {', '.join(TEXT_NAMES)}")
    spec = TEXTS[name]
    try:
        rows = open_first(spec)
    except Unavailable as error:
        data = bundled_reviews(stands_in_for=name)
        what = say("short film reviews that a grammar of this course writes.")
        what += "" if spec.language == "en" else " " + say("They are in English, not in Korean.")
        announce(spec, error, data, what)
        return data.limited(limit, seed)
    splits, published = {}, True
    for which, split in spec.splits.items():
        texts, labels, names = rows.read(which)
        verify(spec, which, labels, names, rows.source)
        published &= split.counts is None or split.counts == tuple(labels.count(i) for i in range(len(names)))
        splits[which] = TextSplit(texts, labels)
    for which, (parent, count) in spec.held_out.items():
        whole = splits[parent]
        chosen = subset_indices(len(whole), count, HELD_OUT_SEED, whole.labels)
        rest = np.setdiff1d(np.arange(len(whole)), chosen)
        splits[which], splits[parent] = whole.take(np.sort(chosen)), whole.take(rest)
    order = [which for which in ("train", "validation", "test") if which in splits]
    return TextData(
        name=name,
        source=rows.source,
        label_names=spec.label_names,
        splits={which: splits[which] for which in order},
        note="" if published else "another split than the published one",
        missing=spec.missing,
        language=spec.language,
    ).limited(limit, seed)


def load_images(
    name: str,
    *,
    size: int = 32,
    limit: Limit = None,
    seed: int = 0,
    rule: str = "local",
    train: int = 20_000,
    test: int = 5_000,
) -> ImageData:
    """Load an image classification data set, pixels in memory.

    Args:
        name: "cifar10", "tiny_imagenet" (200 classes, 32 x 32), "digits" (scikit-learn's, 1,797 of them), "digit pairs"
            (two of them, to be compared, see `DigitPairs`), or "procedural" (drawn by this course, see `ProceduralImages`).
        size: height and width. Real images of another size are resampled (CIFAR-10's own size is 32).
        limit: as in `load_text`: a number of training images, or numbers per split.
        seed: of the nested subsets; for "digit pairs" and "procedural" also of the images.
        rule: (procedural) what the label says: "local", "relational" or "position", over the same images.
        train: (digit pairs, procedural) number of training images.
        test: (digit pairs, procedural) number of test images: the same ones whatever `train` is.

    Returns:
        `ImageData` with `.train` and `.test`, each with `.images` (N, 3, size, size) uint8 and `.labels` (N,) int64.

    Raises:
        ValueError: an unknown name, rule or split. Its subclass `DataError`: data that are not what they should be.
    """
    check_numbers(limit, seed)
    if name == "digits":
        return bundled_digits(size).limited(limit, seed)
    if name == "digit pairs":
        if size != SIDE:
            raise ValueError(f"digit pairs have {SIDE} pixels a side, not {size}")
        return digit_pairs(seed, train, test).limited(limit, seed)
    if name == "procedural":
        return procedural_images(rule, size, seed, train, test).limited(limit, seed)
    if name not in IMAGES:
        raise ValueError(f"no image data set {name!r}; there are {', '.join(IMAGE_NAMES)}")
    spec = IMAGES[name]
    try:
        rows = open_first(spec)
    except Unavailable as error:
        data = procedural_images(rule, size, seed, train, test, stands_in_for=name)
        announce(spec, error, data, say("images that this course draws itself."))
        return data.limited(limit, seed)
    arrays = _decoded(spec, rows, size)
    splits = {}
    for which in spec.splits:
        labels = arrays[f"{which}_labels"]
        verify(spec, which, labels.tolist(), tuple(arrays["names"].tolist()), rows.source)
        splits[which] = ImageSplit(torch.from_numpy(arrays[f"{which}_images"]), torch.from_numpy(labels))
    shown = spec.shown_names or spec.label_names
    return ImageData(name, rows.source, shown, splits, note=str(arrays["note"])).limited(limit, seed)


def open_first(spec: Spec) -> Rows:
    """The first source that has the data set; `Unavailable` with every source's reason where none has."""
    reasons = []
    for source in (open_mirror, open_hub):
        try:
            return source(spec)
        except Unavailable as error:
            reasons.append(str(error))
    raise Unavailable("; ".join(reasons))


def announce(spec: Spec, error: Unavailable, data: TextData | ImageData, what: str) -> None:
    """The visible notice that other data are used than asked for."""
    sizes = ", ".join(f"{len(split):,} {which}" for which, split in data.splits.items())
    show_notice(
        say("{title} could not be loaded, so bundled data are used instead", title=spec.title),
        [
            say(
                "Used instead: {name}, {what} {sizes}, {count} classes ({classes}).",
                name=data.name,
                what=what,
                sizes=sizes,
                count=len(data.label_names),
                classes=", ".join(data.label_names),
            ),
            say("Why: {reason}.", reason=error),
            say(
                "Everything below still runs, but its figures will differ from the ones in the text. For the real data, "
                "connect to the network or set COURSE_DATA to a mirror, restart the kernel and run again."
            ),
        ],
    )


def _decoded(spec: Spec, rows: Rows, size: int) -> dict[str, np.ndarray]:
    """Pixels, labels, label names and the note, from the cache if these very files were decoded before."""
    path = cache_folder() / "images" / f"{spec.name}-{size}-{rows.fingerprint}.npz"
    arrays = load_cached(path)
    if arrays is not None:
        return arrays
    arrays, seen = {}, set()
    for which in spec.splits:
        files, labels, names = rows.read(which)
        verify(spec, which, labels, names, rows.source)  # before minutes are spent on decoding
        arrays[f"{which}_images"], found = decode(files, size, f"{spec.title} ({which})")
        arrays[f"{which}_labels"] = np.asarray(labels, dtype=np.int64)
        arrays["names"] = np.asarray(names)
        seen |= found
    notes = []
    if spec.encoding == "PNG" and "JPEG" in seen:
        notes.append("re-encoded as JPEG")
    scaled = sorted(item for item in seen if "x" in item)
    if scaled:
        notes.append(f"resized from {', '.join(scaled)} to {size}x{size}")
    elif spec.native and spec.native != size:
        notes.append(f"{size}x{size} pixels instead of {spec.native}x{spec.native}")
    arrays["note"] = np.asarray("; ".join(notes))
    save_cached(path, arrays)
    return arrays


@functools.lru_cache(maxsize=1)
def _review_splits() -> dict[str, TextSplit]:
    seen: set[str] = set()
    splits = {}
    for stream, (which, count) in enumerate(REVIEW_SIZES.items()):
        written = generate_reviews(count + count // 20, seed=stream)
        reviews = [review for review in written if review.text not in seen][:count]
        seen.update(review.text for review in reviews)
        splits[which] = TextSplit([r.text for r in reviews], [r.label for r in reviews])
    return splits


def bundled_reviews(stands_in_for: str | None = None) -> TextData:
    """Reviews of the course's grammar: 20,000 for training, 2,000 each for validation and test, no sentence in two."""
    splits = {  # fresh lists each time: what a notebook does to its copy is its own affair
        which: TextSplit(list(split.texts), list(split.labels)) for which, split in _review_splits().items()
    }
    return TextData("reviews", "procedural", ("negative", "positive"), splits, stands_in_for=stands_in_for)


def procedural_images(
    rule: str, size: int, seed: int, train: int, test: int, stands_in_for: str | None = None
) -> ImageData:
    """Procedural images of one rule; the test images come from a part of the stream that no training set reaches."""
    from utils.data.shapes import TEST_START, ProceduralImages

    stream = ProceduralImages(rule, size=size, seed=seed)
    splits = {
        "train": ImageSplit(*stream.batch(0, train)),
        "test": ImageSplit(*stream.batch(TEST_START, test)),
    }
    return ImageData(
        f"procedural ({rule})", "procedural", stream.label_names, splits, stands_in_for=stands_in_for
    )


def check_numbers(limit: Limit, seed: int) -> None:
    """Refuses limits and seeds that mean nothing, before anything is loaded.

    Raises:
        ValueError: the text names the argument and its value.
    """
    for what, value in limit.items() if isinstance(limit, Mapping) else [("", limit)]:
        if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 0):
            raise ValueError(
                f"limit{what and f' of {what!r}'} is {value!r}; a whole number of 0 or more is needed"
            )
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed is {seed!r}; a whole number of 0 or more is needed")
