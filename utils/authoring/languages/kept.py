"""What a translation must keep: code, formulas, numbers, names, links, tags, places for values, and marks that Markdown can read."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

from utils.authoring.languages.blocks import PARSER
from utils.particles import BOTH

_CODE = re.compile(r"(`+)(.+?)\1", re.S)
_FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$(?!\s)[^$]+?(?<![\s\\])\$(?!\d)", re.S)
_LINK = re.compile(r"https?://[^\s)>\]]+|(?<=\]\()[^)\s]+")
_TAG = re.compile(r"</?[a-z][^<>]*>")
_FIELD = re.compile(r"\{[^{}\s]*\}")
_NAME = re.compile(r"\b(?:[A-Za-z]+_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|\w+\.\w+\(|\w+(?=\())", re.A)
_STRAY = re.compile(r"(?<![\d ])\*\*|(?<!\d )\*\*(?!\w)")  # not the power of 2**s and of 2 ** s
_LARGE = {  # what follows a number and multiplies it
    "thousand": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
    "천만": 7,
    "백만": 6,
    "십만": 5,
    "만": 4,
    "천억": 11,
    "백억": 10,
    "십억": 9,
    "억": 8,
    "조": 12,
    "천": 3,
}
_NUMBER = re.compile(rf"(?<![\w.])(\d[\d,]*(?:\.\d+)?)(?: ?({'|'.join(_LARGE)}))?", re.A)
_SPELLED = {  # a number in words -> what a translation may write in digits
    word: str(number)
    for number, spelled in {
        0: "zero zeros none vanishes",
        1: "one ones once single first a an each other",
        2: "two twice both pair double half second",
        3: "three third thirds",
        4: "four fourth quarter quarters",
        5: "five fifth",
        6: "six",
        7: "seven",
        8: "eight eighth eighths",
        9: "nine",
        10: "ten tenfold",
        11: "eleven",
        12: "twelve twelfth",
        16: "sixteen sixteenth",
        20: "twenty",
        60: "sixty",
        100: "hundred",
        1000: "thousand thousands",
    }.items()
    for word in spelled.split()
}


def _parts(text: str) -> dict[str, Counter]:
    found: dict[str, Counter] = {}

    def take(kind: str, pattern: re.Pattern[str], group: int = 0) -> None:
        nonlocal text
        found[kind] = Counter(" ".join(match[group].split()) for match in pattern.finditer(text))
        text = pattern.sub(" ", text)

    take("code", _CODE)
    take("formula", _FORMULA)
    take("link", _LINK)
    take("tag", _TAG)
    take("place", _FIELD)
    found["number"] = Counter(map(_readings, _NUMBER.finditer(text)))
    found["name"] = Counter(set(_NAME.findall(text)))
    return found


def _readings(number: re.Match[str]) -> tuple[str, Decimal | None]:
    """A number as it is written, and, with a word for thousands behind it, its value."""
    written = number[1].rstrip(",")
    return written, Decimal(written.replace(",", "")) * 10 ** _LARGE[number[2]] if number[2] else None


def _apart(some: Counter, others: Counter) -> list[str]:
    """Numbers of the first that are not among the others. "1만" can be 10000, and "only 1": so a single such word is no proof."""
    left, said = list(others.elements()), []
    for written, value in some.elements():
        same = [one for one in left if (one[0] == written if None in (value, one[1]) else one[1] == value)]
        if same:
            left.remove(same[0])
        else:
            said.append(written)
    return said


def _strong(text: str) -> tuple[int, str]:
    """How many parts Markdown prints bold, and a star that it did not understand, or ""."""
    children = [c for token in PARSER.parse(text) for c in token.children or ()]
    stray = "*" if any(c.type == "text" and _STRAY.search(c.content) for c in children) else ""
    return sum(c.type == "strong_open" for c in children), stray


def lost(english: str, other: str, *, prose: bool = True) -> list[str]:
    """What a translation does not keep, in words; empty if all is there.

    Args:
        english: the unit.
        other: its translation.
        prose: whether the unit is Markdown, so that bold has to stay bold.
    """
    here, there = _parts(english), _parts(other)
    said = []
    for kind in ("code", "formula", "link", "tag", "place"):
        for part in (here[kind] - there[kind]) + (there[kind] - here[kind]):
            said.append(f"{kind} {part}: {here[kind][part]} times in English, {there[kind][part]} times here")
    names = {
        *there["name"],
        *(f"{name}s" for name in there["name"]),
    }  # Korean has no plural: "ViT" for "ViTs"
    said += [f"name {name} is missing" for name in here["name"].keys() - names]
    said += [f"number {number} is missing" for number in _apart(here["number"], there["number"])]
    spelled = {_SPELLED[word] for word in re.findall(r"[a-z]+", english.lower()) if word in _SPELLED}
    said += [
        f"number {n} is not in English" for n in _apart(there["number"], here["number"]) if n not in spelled
    ]
    if prose:
        (bold, _), (now, stray) = _strong(english), _strong(other)
        if bold != now or stray:
            said.append(
                f"{bold} parts are bold in English, {now} here{', and a ** is shown as it is' * bool(stray)}"
            )
    for match in BOTH.finditer(other):
        if "}" not in other[max(0, match.start() - 3) : match.start()]:
            said.append(f"{match[0]} stands behind a word that is known: write the form that fits")
    return said
