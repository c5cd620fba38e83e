"""The bundled reviews: their meaning, their variety, and that counting words does not solve them."""

import hashlib
import time
from collections import Counter

import pytest
import torch

from utils.data import diagnostic_pairs, generate_reviews, lexicon, load_text
from utils.data.diagnostics import PHENOMENA
from utils.data.review_trees import (
    Node,
    aside,
    clause,
    negated,
    read,
    third_person,
    value,
    with_article,
    word,
)

GOOD, BAD = word("funny", 1), word("dull", -1)


def test_the_lexicon_is_large_and_no_word_takes_two_sides():
    words = lexicon.content_words()
    assert len(words) >= 1_000
    good, bad, neutral = set(), set(), set()
    for name, entries in vars(lexicon).items():
        if name.isupper() and isinstance(entries, tuple):
            assert len(entries) == len(set(entries)), f"{name} repeats a word"
            side = good if name.startswith(("GOOD", "GREAT")) else neutral
            side = bad if name.startswith(("POOR", "BAD", "AWFUL")) else side
            side.update(w for entry in entries for w in entry.split())
    assert len(good) > 300 and len(bad) > 300
    assert not good & bad and not (good | bad) & neutral and not words & lexicon.FUNCTION_WORDS


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (clause("it is", GOOD), 1.0),
        (negated("not", GOOD), -0.5),
        (negated("not", negated("not", GOOD)), 0.25),
        (Node("degree", ("very", BAD), 1.5), -1.5),
        (negated("not", Node("degree", ("very", GOOD), 1.5)), -0.75),
        (Node("and", (GOOD, "and", GOOD)), 2.0),
        (Node("contrast", (GOOD, "but", BAD)), -1.0),
        (Node("concession", (GOOD, ", although", BAD)), 1.0),
        (Node("contrast", (negated("not", BAD), "but", BAD)), -1.0),  # the scope of "not" ends at "but"
        (negated("it is not true that", Node("contrast", (GOOD, "but", BAD))), 0.5),  # here it does not
        (clause(aside("the film that follows the", BAD, "sequel"), "is", GOOD), 1.0),
    ],
)
def test_meaning_is_computed_on_the_parse(tree, expected):
    assert value(tree) == expected


def test_a_sentence_without_a_verdict_and_an_unknown_node_are_refused():
    with pytest.raises(ValueError, match="needs a verdict"):
        read(aside("the", BAD, "sequel"))
    with pytest.raises(ValueError, match="no rule for a node of kind 'maybe'"):
        value(Node("maybe", ("x",)))


def test_inflection():
    assert [with_article(w) for w in ("honest film", "unusual film", "united film", "dull film", "epic")] == [
        "an honest film", "an unusual film", "a united film", "a dull film", "an epic",
    ]  # fmt: skip
    assert [third_person(v, False) for v in ("touch", "satisfy", "annoy", "bore")] == [
        "touches", "satisfies", "annoys", "bores",
    ]  # fmt: skip
    assert third_person("touch", True) == "touch"


def test_reviews_are_balanced_varied_and_read_off_their_trees():
    reviews = generate_reviews(4_000, seed=5)
    assert all(a.label + b.label == 1 for a, b in zip(reviews[::2], reviews[1::2], strict=True))
    assert {r.label for r in reviews[::2]} == {0, 1}, "the order within a pair gives the label away"
    assert len({r.text for r in reviews}) > 3_950
    for review in reviews[:500]:
        assert review.text == " ".join(review.tree.words())
        assert review.score == value(review.tree) and review.label == (review.score > 0)
    seen = Counter(name for review in reviews for name in review.phenomena)
    assert all(seen[name] > 400 for name in PHENOMENA), seen
    used = {w for review in generate_reviews(20_000, seed=5) for w in review.text.split()}
    assert len(used) > 1_000


def test_any_part_of_a_stream_can_be_written_again():
    assert generate_reviews(20, seed=1, start=30) == generate_reviews(50, seed=1)[30:]
    assert [r.text for r in generate_reviews(20, seed=1)] != [r.text for r in generate_reviews(20, seed=2)]
    text = "\n".join(f"{r.label} {r.text}" for r in generate_reviews(1_000, seed=0))
    # Written down once: every machine and Python version must write the same sentences.
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == PINNED


PINNED = "8a50326d7a8494d4"


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="can't be negative"):
        generate_reviews(-1)


def test_the_loaded_splits_share_no_sentence():
    data = load_text("reviews")
    assert [len(split) for split in data.splits.values()] == [20_000, 2_000, 2_000]
    train = set(data.train.texts)
    assert not train & set(data.validation.texts) and not train & set(data.test.texts)
    assert not set(data.validation.texts) & set(data.test.texts)
    for split in data.splits.values():
        assert abs(sum(split.labels) / len(split) - 0.5) < 0.01


def test_diagnostic_pairs_are_minimal_and_labelled_by_their_meaning():
    pairs = diagnostic_pairs()
    assert Counter(p.phenomenon for p in pairs) == dict.fromkeys(PHENOMENA, 32)
    assert len({p.sentences for p in pairs}) == len(pairs)
    for pair in pairs:
        first, second = (Counter(s.split()) for s in pair.sentences)
        assert pair.first != pair.second
        assert pair.labels_differ == (pair.phenomenon != "intensifier")
        if pair.labels_differ:
            assert pair.labels[pair.higher] == 1
        assert pair.same_words == (first == second) == (pair.phenomenon in ("contrast", "long-range subject"))
        if not pair.same_words:  # one word or one short phrase is added or exchanged
            assert sum(((first - second) + (second - first)).values()) <= 8
    higher = {p.sentences: p.higher for p in pairs}
    assert higher["the film is funny .", "the film is very funny ."] == 1
    assert higher["the film is dull .", "the film is very dull ."] == 0
    assert higher["the plot is dull .", "the plot is not dull ."] == 1
    assert (
        higher["the film starts out funny but ends up dull .", "the film starts out dull but ends up funny ."]
        == 1
    )
    assert [p.phenomenon for p in diagnostic_pairs(["contrast"])] == ["contrast"] * 32
    with pytest.raises(ValueError, match="no phenomenon 'irony'"):
        diagnostic_pairs(["irony"])


def test_the_diagnostic_suite_speaks_the_grammars_words():
    vocabulary = {w for review in generate_reviews(20_000, seed=0) for w in review.text.split()}
    words = {w for pair in diagnostic_pairs() for sentence in pair.sentences for w in sentence.split()}
    assert words <= vocabulary, sorted(words - vocabulary)


class _Reader(torch.nn.Module):
    """Embedding, bidirectional GRU, maximum over time, one logit."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, 64, padding_idx=0)
        self.rnn = torch.nn.GRU(64, 64, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(128, 1)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            self.embed(ids), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(
            self.rnn(packed)[0], batch_first=True, padding_value=-9.0
        )
        return self.head(states.amax(1)).squeeze(-1)


def _encode(reviews, index):
    lengths = torch.tensor([len(r.text.split()) for r in reviews])
    ids = torch.zeros(len(reviews), int(lengths.max()), dtype=torch.long)
    for row, review in enumerate(reviews):
        ids[row, : lengths[row]] = torch.tensor([index.get(w, 0) for w in review.text.split()])
    return ids, lengths, torch.tensor([r.label for r in reviews])


def _train_reader(train, index, epochs: int = 6, batch: int = 64) -> _Reader:
    torch.manual_seed(0)
    model = _Reader(len(index) + 1)
    ids, lengths, labels = _encode(train, index)
    steps = epochs * (len(train) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(train))[: len(train) // batch * batch].view(-1, batch):
            longest = lengths[chosen].max()
            logits = model(ids[chosen, :longest], lengths[chosen])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[chosen].float())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()


@pytest.mark.slow
@pytest.mark.thorough
def test_a_bag_of_words_stays_clearly_below_a_sequence_model(capsys):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = generate_reviews(6_000, seed=0), generate_reviews(2_000, seed=1)
    truth = [r.label for r in test]

    counts = CountVectorizer(token_pattern=r"\S+")
    features = counts.fit_transform([r.text for r in train])
    bag = LogisticRegression(C=0.3, max_iter=500).fit(features, [r.label for r in train])
    bag_accuracy = bag.score(counts.transform([r.text for r in test]), truth)

    began = time.perf_counter()
    index = {w: i + 1 for i, w in enumerate(sorted({w for r in train for w in r.text.split()}))}
    model = _train_reader(train, index)
    ids, lengths, labels = _encode(test, index)
    with torch.no_grad():
        accuracy = ((model(ids, lengths) > 0) == labels.bool()).float().mean().item()
    with capsys.disabled():
        print(
            f"\n  bundled reviews, 6,000 for training: bag of words {100 * bag_accuracy:.1f}%, "
            f"GRU {100 * accuracy:.1f}% ({time.perf_counter() - began:.0f} s)"
        )
    assert accuracy > 0.9
    assert bag_accuracy < accuracy - 0.1
