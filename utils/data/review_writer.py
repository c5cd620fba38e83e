"""The productions of the review grammar: what may be said, and how often.

`Writer(seed, index).sentence(want)` draws one parse tree whose value has the sign of `want`. What the nodes mean is
in `review_trees.py`, the words are in `lexicon.py`. Distribution: about a quarter of the sentences are plain statements,
the rest negate, contrast, embed, or keep the subject far from the verdict, with judgements of other films in between.
"""

import random
from collections.abc import Callable, Sequence

from utils.data import lexicon
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
    with_article,
    word,
)


class Writer:
    """Draws parse trees; `want` is +1 or -1, the polarity that a node must have.

    One writer writes one sentence. `rng.random` is all that is asked of the generator, so that the sentences are the
    same under every version of Python.
    """

    def __init__(self, seed: int, index: int):
        self.rng = random.Random(f"reviews/{seed}/{index}")
        self.phenomena: set[str] = set()
        self.used: set[str] = set()  # no sentence says "the jokes are crass , even though the jokes are good"

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def one_of(self, options: Sequence[str]) -> str:
        return options[int(self.rng.random() * len(options))]

    def common(self, options: Sequence[str]) -> str:
        """Like `one_of`, the front of the list more often: words have a skewed frequency, as in real text."""
        return self.unused(lambda: options[int(self.rng.random() ** 2 * len(options))])

    def unused(self, draw: Callable[[], str]) -> str:
        """A word that this sentence has not used yet (the last of twenty draws where all are used)."""
        for _ in range(20):
            found = draw()
            if found not in self.used:
                break
        self.used.add(found)
        return found

    def either(self) -> int:
        return 1 if self.chance(0.5) else -1

    # -- words with a polarity ------------------------------------------------------------------------------

    def adjective(self, want: int) -> Node:
        strong = self.chance(0.25)
        if want > 0:
            return word(
                self.common(lexicon.GREAT_ADJECTIVES if strong else lexicon.GOOD_ADJECTIVES), 1 + strong
            )
        return word(self.common(lexicon.AWFUL_ADJECTIVES if strong else lexicon.POOR_ADJECTIVES), -1 - strong)

    def quality(self, want: int) -> Node:
        return word(self.common(lexicon.GOOD_QUALITIES if want > 0 else lexicon.BAD_QUALITIES), want)

    def verdict(self, want: int) -> Node:
        noun = self.common(lexicon.GOOD_VERDICTS if want > 0 else lexicon.BAD_VERDICTS)
        return word(with_article(noun), 2 * want)

    def action(self, want: int, form: str) -> Node:
        """A verb phrase: "delights the audience", "drag". form: "infinitive", "singular" or "plural"."""
        plural = form != "singular"
        if self.chance(0.6):
            verb = self.common(lexicon.GOOD_TRANSITIVE if want > 0 else lexicon.BAD_TRANSITIVE)
            return clause(word(third_person(verb, plural), want), f"the {self.one_of(lexicon.AUDIENCES)}")
        verb = self.common(lexicon.GOOD_INTRANSITIVE if want > 0 else lexicon.BAD_INTRANSITIVE)
        return word(third_person(verb, plural), want)

    def adjective_phrase(self, want: int, downtoner: bool = True) -> Node:
        """An adjective, one with an adverb of degree, or two joined by "and"."""
        draw = self.rng.random()
        if draw < 0.25:
            self.phenomena.add("intensifier")
            if downtoner and self.chance(0.3):
                return Node(
                    "degree", (self.one_of(lexicon.DOWNTONERS), self.adjective(want)), DOWNTONER_FACTOR
                )
            return Node(
                "degree", (self.common(lexicon.INTENSIFIERS), self.adjective(want)), INTENSIFIER_FACTOR
            )
        if draw < 0.4:
            return Node("and", (self.adjective(want), "and", self.adjective(want)))
        return self.adjective(want)

    # -- who or what is judged ------------------------------------------------------------------------------

    def other_work(self, polarity: int | None = None) -> Node:
        """Another film, with a judgement that is none of this film's: "the dreadful sequel"."""
        return aside(self.adjective(polarity or self.either()), self.one_of(lexicon.OTHER_WORKS))

    def setting(self) -> str:
        draw = self.rng.random()
        if draw < 0.45:
            where = f"in {self.one_of(lexicon.PLACES)}"
        elif draw < 0.85:
            where = f"in {with_article(self.one_of(lexicon.SITES))}"
        else:
            where = f"on {with_article(self.one_of(lexicon.SITES_ON))}"
        return f"{with_article(self.one_of(lexicon.HEROES))} {where}"

    def subject(self, part: bool | None = None) -> tuple[Node, str]:
        """A short subject, and its number: "singular", "plural", or "work" (singular, and can be a masterpiece).

        part: True for a part of the film ("the acting"), False for the whole of it, None for either.
        """
        work = self.one_of(lexicon.WORKS)
        determiner = "this" if self.chance(0.5) else "the"
        if self.chance(0.45) if part is None else part:
            whole = f" of this {self.one_of(lexicon.NEUTRAL_ADJECTIVES)} {work}"
            of = whole if part is None and self.chance(0.4) else ""
            plural = self.chance(0.45)
            noun = self.unused(lambda: self.one_of(lexicon.PLURAL_ASPECTS if plural else lexicon.ASPECTS))
            return aside(f"the {noun}{of}"), "plural" if plural else "singular"
        draw = self.rng.random()
        if draw < 0.45:
            return aside(determiner, self.one_of(lexicon.NEUTRAL_ADJECTIVES), work), "work"
        if draw < 0.75:
            return aside(determiner, work, "about", self.setting()), "work"
        return aside(determiner, work), "work"

    def long_subject(self) -> tuple[Node, str]:
        """A subject that stands far from its verb, with judgements of other films in between."""
        self.phenomena.add("long-range subject")
        work, person = self.one_of(lexicon.WORKS), self.one_of(lexicon.PEOPLE)
        draw = self.rng.random()
        if draw < 0.3:
            return aside("the", work, "that follows the", self.other_work()), "work"
        if draw < 0.5:
            where = f"made in {self.one_of(lexicon.PLACES)}"
            return aside("the", work, "that the", person, "of the", self.other_work(), where), "work"
        if draw < 0.7:
            told = f", which {self.one_of(lexicon.DEEDS)} {self.setting()} and which {self.one_of(lexicon.SPEAKERS)} found"
            return aside("this", work, told, self.adjective(self.either()), ","), "work"
        if draw < 0.85:
            start = f"the {self.one_of(lexicon.ASPECTS)} of this {work} , unlike that of the"
            return aside(start, self.other_work(), "and the", self.other_work(), ","), "singular"
        others = self.other_work(), "and before the", self.other_work()
        return aside("the", work, "that opened after the", *others), "work"

    # -- what is said ---------------------------------------------------------------------------------------

    def predicate(self, want: int, number: str) -> Node:
        """A verb phrase of the wanted polarity, negated (with the opposite inside) in three of ten."""
        if self.chance(0.3):
            self.phenomena.add("negation")
            return self.negative_predicate(want, number)
        plural = number == "plural"
        be, have = ("are", "have") if plural else ("is", "has")
        draw = self.rng.random()
        if draw < 0.5:
            return clause(be, self.adjective_phrase(want))
        if draw < 0.68:
            return self.action(want, "plural" if plural else "singular")
        if draw < 0.78:
            return clause("manage" if plural else "manages", "to", self.action(want, "infinitive"))
        if draw < 0.9 or number != "work":
            verb = have if self.chance(0.5) else f"{be} full of"
            return clause(verb, Node("and", (self.quality(want), "and", self.quality(want))))
        return clause(be, self.verdict(want))

    def negative_predicate(self, want: int, number: str) -> Node:
        plural = number == "plural"
        be, have, do = ("are", "have", "do") if plural else ("is", "has", "does")
        draw = self.rng.random()
        if draw < 0.3:
            negator = self.one_of(("not", "n't", "never", "hardly", "by no means"))
            return clause(be, negated(negator, self.adjective_phrase(-want, downtoner=False)))
        if draw < 0.42:
            negator = "far from" if self.chance(0.5) else "anything but"
            return clause(be, negated(negator, self.adjective_phrase(-want, downtoner=False)))
        if draw < 0.52:  # the scope ends at "but": "is not dull but very funny"
            return Node(
                "contrast", (be, negated("not", self.adjective(-want)), "but", self.adjective_phrase(want))
            )
        if draw < 0.58:
            return clause(be, negated("neither", self.adjective(-want), "nor", self.adjective(-want)))
        if draw < 0.74:
            auxiliary = self.one_of((f"{do} not", f"{do} n't", "never"))
            form = "singular" if auxiliary == "never" and not plural else "infinitive"
            return negated(auxiliary, self.action(-want, form))
        if draw < 0.9 or number != "work":
            verb = self.one_of(
                ("lack" if plural else "lacks", f"{have} no", f"{be} without", f"{be} free of")
            )
            return negated(verb, self.quality(-want))
        return clause(be, negated("not", self.verdict(-want)))

    def statement(self, want: int, part: bool | None = None, far: bool = False) -> Node:
        subject, number = self.long_subject() if far else self.subject(part)
        occasion = (self.one_of(lexicon.OCCASIONS),) if self.chance(0.15) else ()
        return clause(subject, self.predicate(want, number), *occasion)

    def sentence(self, want: int) -> Node:
        """A whole sentence whose value has the sign of `want`."""
        draw = self.rng.random()
        if draw < 0.25:
            body = self.statement(want)
        elif draw < 0.45:
            body = self.statement(want, far=True)
        elif draw < 0.53:
            qualities = Node("and", (self.quality(want), "and", self.quality(want)))
            head = aside(with_article(self.one_of(lexicon.NEUTRAL_ADJECTIVES)), self.one_of(lexicon.WORKS))
            if self.chance(0.5):
                body = clause(head, "with", qualities)
            else:
                self.phenomena.add("negation")
                opposite = Node("and", (self.quality(-want), "or", self.quality(-want)))
                body = clause(head, negated("without", opposite))
        elif draw < 0.84:
            self.phenomena.add("contrast")
            body = self.contrast(want)
        else:
            body = self.frame(want)
        return clause(body, ".")

    def contrast(self, want: int) -> Node:
        """Two judgements of opposite polarity, of which the sentence upholds one."""
        draw = self.rng.random()
        first_is_part = self.chance(0.7)  # one film is judged: never two whole films in one sentence
        second_is_part = not first_is_part or self.chance(0.4)
        if draw < 0.3:
            sides = self.statement(-want, first_is_part), ", but", self.statement(want, second_is_part)
            return Node("contrast", sides)
        if draw < 0.42:
            subject, number = self.subject()
            start, end = ("start out", "end up") if number == "plural" else ("starts out", "ends up")
            return Node("contrast", (subject, start, self.adjective(-want), "but", end, self.adjective(want)))
        if draw < 0.55:
            subject, number = self.subject()
            be = "are" if number == "plural" else "is"
            return Node(
                "contrast", (subject, be, self.adjective_phrase(-want), "but", self.adjective_phrase(want))
            )
        if draw < 0.68:
            first, second = self.statement(-want, first_is_part), self.statement(want, second_is_part)
            return Node("contrast", ("although", first, ",", second))
        if draw < 0.84:
            sides = (
                self.statement(want, first_is_part),
                ", even though",
                self.statement(-want, second_is_part),
            )
            return Node("concession", sides)
        if draw < 0.92:
            return Node(
                "contrast", ("despite its", self.quality(-want), ",", self.statement(want, part=False))
            )
        return Node("concession", (self.statement(want, part=False), "despite its", self.quality(-want)))

    def frame(self, want: int) -> Node:
        """A statement inside another clause, which upholds or denies it: the negation is far from its scope."""
        draw = self.rng.random()
        if draw < 0.35:
            self.phenomena.add("negation")
            opening = self.one_of(
                (
                    "i can not say that",
                    "nobody would claim that",
                    "it would be wrong to say that",
                    "it is not true that",
                )
            )
            return negated(opening, self.statement(-want))
        if draw < 0.5:  # "no" and "nobody" that negate nothing
            opening = self.one_of(("there is no doubt that", "nobody can deny that", "it is true that"))
            return clause(opening, self.statement(want))
        if draw < 0.7:
            self.phenomena.add("contrast")
            speakers = self.one_of(lexicon.SPEAKERS)
            told = aside("my", speakers, "told me that", self.statement(self.either()))
            return clause(told, ", but i found it", self.adjective_phrase(want))
        if draw < 0.85:
            subject, number = self.subject()
            be = "are" if number == "plural" else "is"
            pair = Node("and", ("not only", self.adjective(want), "but also", self.adjective(want)))
            return clause(subject, be, pair)
        return Node("and", (self.statement(want, part=True), "and", self.statement(want, part=True)))


def write_review(seed: int, index: int) -> Review:
    """Review number `index` of a seed: positive where the index and a draw say so, half of each in every pair."""
    flip = random.Random(f"labels/{seed}/{index // 2}").random() < 0.5
    want = 1 if (index % 2 == 0) == flip else -1
    writer = Writer(seed, index)
    tree = writer.sentence(want)
    review = read(tree, frozenset(writer.phenomena))
    if review.label != (want > 0):
        raise AssertionError(f"the grammar wrote {review.text!r} for polarity {want:+d}")
    return review


def generate_reviews(count: int, seed: int = 0, start: int = 0) -> list[Review]:
    """Reviews number start .. start + count - 1 of a seed.

    Args:
        count: how many. Each consecutive pair holds one positive and one negative review.
        seed: another seed gives another, independent stream.
        start: index of the first.

    Returns:
        list of `Review`, the same for the same arguments on every machine.
    """
    if count < 0 or start < 0:
        raise ValueError(f"count and start can't be negative, got count={count} and start={start}")
    return [write_review(seed, index) for index in range(start, start + count)]
