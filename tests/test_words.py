"""Sentences in the reader's language: what is looked up, what is shown where nothing is found, particles."""

from __future__ import annotations

import os

import pytest

from utils import words
from utils.particles import chosen


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    folder = tmp_path / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "checks.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain\\n"\n\n'
        'msgid "{name} waits for {other}."\nmsgstr "{other}을(를) {name}이(가) "\n"기다립니다.\\n"\n\n'
        '#, fuzzy\nmsgid "Old."\nmsgstr "낡은 말"\n\nmsgid "Empty."\nmsgstr ""\n\n'
        '#~ msgid "Gone."\n#~ msgstr "없는 말"\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(words, "LOCALE", tmp_path)
    monkeypatch.setenv(words.VARIABLE, "")
    words.translations.cache_clear()
    yield
    words.translations.cache_clear()


def test_a_sentence_is_said_in_the_chosen_language_in_its_own_word_order(catalogue):
    assert words.say("{name} waits for {other}.", name="pool", other="mask") == "pool waits for mask."
    words.speak("ko_KR.UTF-8")
    assert words.say("{name} waits for {other}.", name="pool", other="mask") == "mask를 pool이 기다립니다.\n"
    with words.speaking("en"):
        assert words.say("{name} waits for {other}.", name="a", other="b") == "a waits for b."
    assert words.languages() == ["en", "ko"]


@pytest.mark.parametrize("sentence", ["Old.", "Empty.", "Gone.", "Never heard of {this}."])
def test_fuzzy_missing_and_unknown_sentences_are_shown_in_english(catalogue, sentence):
    os.environ[words.VARIABLE] = "ko"
    assert words.say(sentence) == sentence


# Read aloud by a Korean reader: 마스크를, 딤을, 헤즈를, ...
READ = {
    "`mask`를": "`mask`을(를)",
    "`dim`을": "`dim`을(를)",
    "`num_heads`를": "`num_heads`을(를)",
    "`token`은": "`token`은(는)",
    "`input`이": "`input`이(가)",
    "`weight`가": "`weight`이(가)",
    "`value`와": "`value`과(와)",
    "`scale`로": "`scale`(으)로",
    "`dim`으로": "`dim`(으)로",
    "`key`로": "`key`(으)로",
    "`split_heads`는": "`split_heads`은(는)",
    "`MultiHeadAttention`을": "`MultiHeadAttention`을(를)",
    "`LSTM`이": "`LSTM`이(가)",
    "`ViT`가": "`ViT`이(가)",
    "`MLP`를": "`MLP`을(를)",
    "`N`을": "`N`을(를)",
    "`D`를": "`D`을(를)",
    "(3, 4)를": "(3, 4)을(를)",
    "3을": "3을(를)",
    "10이": "10이(가)",
    "7로": "7(으)로",
    "**쿼리**를": "**쿼리**을(를)",
    "손실이": "손실이(가)",
    "가중치로": "가중치(으)로",
    "힌트 둘과 `map`을": "힌트 둘과 `map`을(를)",
    "`pool`로": "`pool`(으)로",
    "`dropout`이": "`dropout`이(가)",
    "`PatchEmbedding`은": "`PatchEmbedding`은(는)",
}


@pytest.mark.parametrize("right", READ)
def test_a_particle_follows_how_the_word_is_read(right):
    assert chosen(READ[right]) == right


def test_every_sentence_of_the_checks_tables_can_be_said_in_another_language():
    from utils.checks import words as checks
    from utils.grading.reports.words import WORDS
    from utils.grading.verdict import NEUTRAL

    for table in (checks.NOTES, checks.INNER, NEUTRAL, WORDS):
        assert all(isinstance(sentence, words.Later) for sentence in table.values())


def test_a_later_sentence_is_english_until_it_is_said(catalogue):
    words.speak("ko")
    inner = words.later("{name} waits for {other}.", name="a", other="map")
    assert inner == "a waits for map." and words.say(inner) == "map을 a가 기다립니다.\n"
    outer = words.later("First: {what}", what=inner)
    assert words.say(outer) == "First: map을 a가 기다립니다.\n"
