"""A grammar that writes film reviews and knows what they mean.

Each sentence is drawn as a parse tree first and read off it afterwards. Its label is the sign of the tree's value,
computed from the leaves upward by one rule per kind of node (`value`): a negation flips exactly what lies in its
scope, "but" lets the second clause win, "although" the other one, and what is said about *another* film counts for
nothing. Words are never counted, and a model that counts them must stay behind one that reads.

Sentence i of a seed depends on (seed, i) alone, so a larger set contains the smaller one.

References:
1. K. Moilanen and S. Pulman (2007): Sentiment composition. RANLP. (Polarity by rules on the parse.)
2. M. Taboada, J. Brooke, M. Tofiloski, K. Voll and M. Stede (2011): Lexicon-based methods for sentiment analysis.
   Computational Linguistics 37(2). (Intensifiers as factors; negation weakens: "not excellent" is not "terrible".)
3. R. Socher et al. (2013): Recursive deep models for semantic compositionality over a sentiment treebank. EMNLP.
   (SST, the corpus whose look the sentences have.)
"""

from dataclasses import dataclass, field

NEGATION_FACTOR = -0.5
INTENSIFIER_FACTOR = 1.5
DOWNTONER_FACTOR = 0.5


@dataclass(frozen=True)
class Node:
    """A node of the parse tree.

    Attributes:
        kind: which rule gives its value, see `value`.
        parts: words and child nodes in the order in which they are read.
        weight: for kind "word" its polarity (-2, -1, 1, 2); for kind "degree" the factor of its adverb.
    """

    kind: str
    parts: tuple["Node | str", ...]
    weight: float = 0.0

    @property
    def children(self) -> tuple["Node", ...]:
        return tuple(part for part in self.parts if isinstance(part, Node))

    def words(self) -> list[str]:
        """The words below this node, left to right."""
        found: list[str] = []
        for part in self.parts:
            found.extend(part.words() if isinstance(part, Node) else part.split())
        return found

    def __str__(self) -> str:
        inside = " ".join(str(part) for part in self.parts)
        return f"[{self.kind} {value(self):+g}: {inside}]"


def value(node: Node) -> float:
    """Value of a parse tree: positive is praise, its size is how strong.

    | kind | rule |
    | --- | --- |
    | word | its polarity in the lexicon |
    | degree | factor of the adverb times the value of what it modifies |
    | not | -0.5 times the value of its scope: flipped and weakened |
    | and | sum of the children |
    | contrast | value of the *last* child: "dull but funny" is funny |
    | concession | value of the *first* child: "funny , although dull" is funny |
    | aside | 0: about another film, another person, or no judgement at all |
    | clause | sum of the children (the subject is usually an aside) |
    """
    values = [value(child) for child in node.children]
    match node.kind:
        case "word":
            return node.weight
        case "degree":
            return node.weight * values[0]
        case "not":
            return NEGATION_FACTOR * sum(values)
        case "contrast":
            return values[-1]
        case "concession":
            return values[0]
        case "aside":
            return 0.0
        case "and" | "clause":
            return float(sum(values))
    raise ValueError(f"no rule for a node of kind {node.kind!r}")


@dataclass(frozen=True)
class Review:
    """One sentence with its meaning.

    Attributes:
        text: lower case, words separated by spaces, tokenised as SST-2 is ("is n't").
        label: 1 positive, 0 negative: the sign of `score`.
        score: value of the tree.
        phenomena: which of "negation", "contrast", "intensifier", "long-range subject" occur.
        tree: the parse; `str(review.tree)` shows it with the value of every node.
    """

    text: str
    label: int
    score: float
    phenomena: frozenset[str]
    tree: Node = field(repr=False)


def read(tree: Node, phenomena: frozenset[str] = frozenset()) -> Review:
    """The review that a parse tree stands for."""
    score = value(tree)
    if score == 0:
        raise ValueError(f"a review needs a verdict, and this tree's value is 0: {tree}")
    return Review(" ".join(tree.words()), int(score > 0), score, phenomena, tree)


# Helpers with which the writer and the diagnostic suite build trees.


def word(text: str, weight: float) -> Node:
    return Node("word", (text,), weight)


def aside(*parts: Node | str) -> Node:
    return Node("aside", parts)


def clause(*parts: Node | str) -> Node:
    return Node("clause", parts)


def negated(*parts: Node | str) -> Node:
    return Node("not", parts)


def with_article(text: str) -> str:
    """Put the right article in front: "an honest film", "a dull one"."""
    sounded = (
        text[0] in "aeio"
        or (text[0] == "u" and not text.startswith(("uni", "use")))
        or text.startswith("hones")
    )
    return ("an " if sounded and not text.startswith(("one-", "eu")) else "a ") + text


def third_person(verb: str, plural: bool) -> str:
    """Inflect a verb: "charms", "touches", "satisfies"; bare for a plural subject."""
    if plural:
        return verb
    if verb.endswith("y") and verb[-2] not in "aeo":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s")
