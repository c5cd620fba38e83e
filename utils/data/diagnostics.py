"""Minimal pairs: two sentences that differ in one thing, and what a model that understands it must do.

The pairs serve models trained on SST-2 as well as on the bundled grammar: their words are common in both, and their
labels are not typed in but computed from their parse trees (`utils.data.review_trees.value`).

| phenomenon | the pair | the two sentences |
| --- | --- | --- |
| negation | "the plot is dull" / "the plot is never dull" | have opposite labels |
| contrast | "starts out funny but ends up dull" / the adjectives exchanged | opposite labels, the same words |
| long-range subject | "the film that follows the dull sequel is funny" / exchanged | opposite labels, the same words |
| intensifier | "the film is slightly dull" / "the film is very dull" | same label; which is *more* positive |

In "contrast" and "long-range subject" both sentences hold exactly the same words, so that a bag of words must give
them the same score.

References: M. T. Ribeiro et al. (2020): Beyond accuracy: behavioral testing of NLP models with CheckList. ACL; and M. Gardner et al. (2020):
Evaluating models' local decision boundaries via contrast sets. Findings of EMNLP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from utils.data.review_trees import (
    DOWNTONER_FACTOR,
    INTENSIFIER_FACTOR,
    Node,
    Review,
    aside,
    clause,
    negated,
    read,
    third_person,
    word,
)

PHENOMENA = ("negation", "contrast", "intensifier", "long-range subject")

# Frequent in SST-2, and of a clear polarity there.
GOOD = ("funny", "charming", "moving", "clever", "fascinating", "engaging", "beautiful", "brilliant")
BAD = ("dull", "boring", "silly", "tedious", "predictable", "awful", "bland", "stupid")
GOOD_NOUNS, BAD_NOUNS = (
    ("charm", "humor", "wit", "energy"),
    ("confusion", "sentimentality", "boredom", "stupidity"),
)
GOOD_VERBS, BAD_VERBS = ("work", "charm", "delight", "amuse"), ("fail", "bore", "disappoint", "irritate")
WHOLES = ("film", "movie", "comedy", "thriller", "picture", "drama", "romance", "story")
PARTS = ("plot", "acting", "dialogue", "ending", "humor", "script", "music", "direction")
OTHERS = ("sequel", "novel", "book", "remake", "play", "series", "trailer", "original")


@dataclass(frozen=True)
class DiagnosticPair:
    """Two sentences that differ minimally.

    Attributes:
        phenomenon: one of `PHENOMENA`.
        first, second: the sentences.
        labels: their labels, 1 positive and 0 negative. They differ, except for intensifiers.
        higher: 0 or 1: which of the two must get the higher probability of "positive".
        same_words: whether both hold the same words in another order, so that counting words can't tell them apart.
    """

    phenomenon: str
    first: str
    second: str
    labels: tuple[int, int]
    higher: int
    same_words: bool

    @property
    def sentences(self) -> tuple[str, str]:
        return self.first, self.second

    @property
    def labels_differ(self) -> bool:
        return self.labels[0] != self.labels[1]


def _pair(phenomenon: str, first: Node, second: Node) -> DiagnosticPair:
    a, b = read(clause(first, ".")), read(clause(second, "."))
    return DiagnosticPair(
        phenomenon, a.text, b.text, (a.label, b.label), int(b.score > a.score), _bag(a) == _bag(b)
    )


def _bag(review: Review) -> list[str]:
    return sorted(review.text.split())


def _good(i: int) -> Node:
    return word(GOOD[i % len(GOOD)], 1)


def _bad(i: int) -> Node:
    return word(BAD[i % len(BAD)], -1)


def _negation(i: int) -> list[DiagnosticPair]:
    part, whole, adjective = aside("the", PARTS[i]), aside("this", WHOLES[i]), _good(i) if i % 2 else _bad(i)
    opposite = _bad(i + 1) if i % 2 else _good(i + 1)
    polarity = 1 if i % 2 else -1
    verb = (GOOD_VERBS if i % 2 else BAD_VERBS)[i // 2]
    noun = word((GOOD_NOUNS if i % 2 else BAD_NOUNS)[i // 2], polarity)
    return [
        _pair(
            "negation",
            clause(part, "is", adjective),
            clause(part, "is", negated(("not", "never", "n't", "hardly")[i // 2], adjective)),
        ),
        _pair(
            "negation",
            clause(whole, word(third_person(verb, plural=False), polarity)),
            clause(whole, negated("never", word(third_person(verb, plural=False), polarity))),
        ),
        _pair("negation", clause(whole, "has", noun), clause(whole, negated("has no", noun))),
        _pair(
            "negation",
            clause("there is no doubt that", part, "is", opposite),  # a "no" that denies nothing
            negated("it is not true that", clause(part, "is", opposite)),
        ),
    ]


def _contrast(i: int) -> list[DiagnosticPair]:
    whole, part, good, bad = aside("the", WHOLES[i]), aside("the", PARTS[i]), _good(i), _bad(i)
    later_good, later_bad = _good(i + 3), _bad(i + 3)

    def turns(a: Node, b: Node) -> Node:
        return Node("contrast", (whole, "starts out", a, "but", "ends up", b))

    def although(a: Node, b: Node) -> Node:
        return Node("contrast", ("although", clause(part, "is", a), ",", clause(whole, "is", b)))

    def even_though(a: Node, b: Node) -> Node:
        return Node("concession", (clause(whole, "is", a), ", even though", clause(part, "is", b)))

    def but(a: Node, b: Node) -> Node:
        return Node("contrast", (clause(part, "is", a), ", but", clause(whole, "is", b)))

    return [
        _pair("contrast", turns(good, bad), turns(bad, good)),
        _pair("contrast", although(good, later_bad), although(later_bad, good)),
        _pair("contrast", even_though(later_good, bad), even_though(bad, later_good)),
        _pair("contrast", but(later_good, later_bad), but(later_bad, later_good)),
    ]


def _intensifier(i: int) -> list[DiagnosticPair]:
    whole = aside("the", WHOLES[i])
    strong, weak = (
        ("very", "really", "truly", "extremely")[i % 4],
        ("slightly", "somewhat", "mildly", "fairly")[i % 4],
    )

    def degree(adverb: str, factor: float, adjective: Node) -> Node:
        return Node("degree", (adverb, adjective), factor)

    pairs = []
    for adjective in (_good(i), _bad(i)):
        much = clause(whole, "is", degree(strong, INTENSIFIER_FACTOR, adjective))
        little = clause(whole, "is", degree(weak, DOWNTONER_FACTOR, adjective))
        plain = clause(whole, "is", adjective)
        pairs += [_pair("intensifier", plain, much), _pair("intensifier", little, much)]
    return pairs


def _long_range(i: int) -> list[DiagnosticPair]:
    whole, other, further = WHOLES[i], OTHERS[i], OTHERS[(i + 3) % len(OTHERS)]
    good, bad = _good(i), _bad(i)

    def follows(a: Node, b: Node) -> Node:
        return clause(aside("the", whole, "that follows the", a, other), "is", b)

    def opened(a: Node, b: Node) -> Node:
        return clause(
            aside("the", whole, "that opened after the", a, other, "and before the", further), "is", b
        )

    def made(a: Node, b: Node) -> Node:
        return clause(aside("the", whole, "that the director of the", a, other, "made in france"), "is", b)

    def unlike(a: Node, b: Node) -> Node:
        return clause(
            aside("the", PARTS[i], "of this", whole, ", unlike that of the", a, other, ","), "is", b
        )

    return [
        _pair("long-range subject", frame(good, bad), frame(bad, good))
        for frame in (follows, opened, made, unlike)
    ]


def diagnostic_pairs(phenomena: Sequence[str] = PHENOMENA) -> list[DiagnosticPair]:
    """The diagnostic suite: 32 pairs for each phenomenon, always the same.

    Args:
        phenomena: which of "negation", "contrast", "intensifier", "long-range subject".

    Returns:
        list of `DiagnosticPair`, grouped by phenomenon. A model passes a pair where it gives the sentence `higher`
        the higher probability of "positive"; where the labels differ, both predictions should be right as well.
    """
    builders = dict(zip(PHENOMENA, (_negation, _contrast, _intensifier, _long_range), strict=True))
    unknown = [name for name in phenomena if name not in builders]
    if unknown:
        raise ValueError(f"no phenomenon {unknown[0]!r}; there are {', '.join(PHENOMENA)}")
    return [pair for name in phenomena for i in range(8) for pair in builders[name](i)]
