"""Other languages: what is extracted, how it is merged, what the built notebooks share with the English ones, what a translation keeps."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from babel.messages.pofile import read_po

from utils import words
from utils.authoring import build, settings
from utils.authoring.languages import blocks, catalogues, edition, kept, sources
from utils.paths import ROOT

LANGUAGES = words.languages()[1:]
NAMES = build.source_names()


@pytest.fixture(scope="module")
def found():
    return sources.catalogues()


def shouted(text: str) -> str:
    return f"XX {text}"


MARKDOWN = """# Head

One paragraph
in two lines, with $x$.

- item
  goes on
- `code`

| a word | `b` |
| --- | --- |
| one \\| two | 3 |

<details><summary>Hint: look</summary>

Inside.
</details>

```python
untouched = "words"
```

$$x = \\text{mean}$$"""


def test_markdown_is_walked_block_by_block():
    units: list[str] = []
    assert blocks.markdown(MARKDOWN, lambda unit: (units.append(unit), unit)[1]) == MARKDOWN
    assert units == ["Head", "One paragraph in two lines, with $x$.", "item goes on"] + [
        "a word",
        "one | two",
        "Hint: look",
        "Inside.",
    ]
    new = blocks.markdown(MARKDOWN, shouted)
    assert "- XX item goes on\n- `code`" in new and r"| XX one \| two | 3 |" in new
    assert "<summary>XX Hint: look</summary>" in new and 'untouched = "words"\n' in new


CODE = '''def f(x):
    """Halves a number,
    as it should.

    Args:
        x: a number; it may
            be negative.
        y: (B, N).

    Returns:
        half of it.
    """
    ### BEGIN SOLUTION
    # one comment
    # in two lines
    return x / 2  # half of it
    ### END SOLUTION  # (B, N)'''


def test_code_is_walked_by_comments_and_parts_of_docstrings():
    units: list[str] = []
    assert blocks.code(CODE, lambda unit: (units.append(unit), unit)[1]) == CODE
    assert sorted(units) == sorted(
        ["Halves a number, as it should.", "x: a number; it may be negative.", "half of it."]
        + ["one comment in two lines", "half of it"]
    )
    new = blocks.code(CODE, shouted)
    assert plain(new) == plain(CODE) and "# XX half of it" in new and "XX x: a number" in new


def test_long_hangul_is_broken_at_its_width_on_the_screen():
    lines = blocks.wrapped("가나다라 " * 30 + "끝", "    # ", "    # ", 60)
    assert max(map(blocks._columns, lines)) <= 60 and len(lines) > 4
    assert " ".join(line.removeprefix("    # ") for line in lines).split()[-1] == "끝"


def test_merging_keeps_translations_and_marks_what_changed(tmp_path):
    first = {"a": {"The first sentence of all.": ["x"], "Gone soon, quite certainly.": ["x"]}}
    catalogues.merge("ko", first, tmp_path)
    path = catalogues.path_of("ko", "a", tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('all."\nmsgstr ""', 'all."\nmsgstr "첫 문장"'), encoding="utf-8")
    assert catalogues.merge("ko", first, tmp_path) == []  # nothing to do: nothing is written
    assert words.read(path) == {"The first sentence of all.": "첫 문장"}
    second = {"a": {"The first sentence of them all.": ["x"]}, "b": {"The first sentence of all.": ["y"]}}
    catalogues.merge("ko", second, tmp_path)
    assert words.read(path) == {}  # fuzzy: English is shown
    assert words.read(catalogues.path_of("ko", "b", tmp_path)) == {"The first sentence of all.": "첫 문장"}
    assert catalogues.counts("ko", ["a"], tmp_path) == {"a": {"translated": 0, "fuzzy": 1, "missing": 0}}
    said = catalogues.changed("ko", ["a"], tmp_path)
    assert "sentence of {+them+} all." in said and "old: 첫 문장" in said


def test_the_former_english_is_kept_whole_however_long_it_is(tmp_path):
    long = "A sentence " + ", and 'this' \"too\"" * 12 + "."
    path = catalogues.path_of("ko", "a", tmp_path)
    catalogues.merge("ko", {"a": {long: ["x"]}}, tmp_path)
    catalog = catalogues.read(path)
    catalog.get(long).string = "긴 문장"
    path.write_text(catalogues._text(catalog, "ko", "a"), encoding="utf-8")
    for _ in range(2):  # also when it is merged again before somebody has looked
        catalogues.merge("ko", {"a": {f"{long} And more.": ["x"]}}, tmp_path)
    assert "{+And more.+}" in catalogues.changed("ko", ["a"], tmp_path)
    assert catalogues.read(path).get(f"{long} And more.").previous_id == [long]


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_hold_the_units_of_today(language, found):
    for name, units in found.items():
        stored = [str(m.id) for m in catalogues.read(catalogues.path_of(language, name)) if m.id]
        assert stored == list(units), f"{name}.po is stale: run make messages"


@pytest.mark.parametrize("language", catalogues.COMPLETE)
def test_complete_languages_miss_nothing(language, found):
    for name, row in catalogues.counts(language, list(found)).items():
        assert (row["fuzzy"], row["missing"]) == (0, 0), f"{name}: run make translations LANGUAGE={language}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_code_formulas_numbers_names_and_links(language, found):
    assert not catalogues.losses(language, list(found))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_small_reader_reads_what_babel_reads(language):
    for path in (words.LOCALE / language).rglob("*.po"):
        with open(path, "rb") as file:
            theirs = {m.id: m.string for m in read_po(file) if m.id and m.string and not m.fuzzy}
        assert words.read(path) == theirs, path.name


LOST = [
    ("`x` and $y$", "`x`와 $y$", ""),
    ("`x` and `y`", "`x`", "code `y`"),
    ("$x^2$ grows", "$x^3$은 자랍니다", "formula $x^2$"),
    ("about 1,024 tokens", "토큰 약 1024개", "number 1,024"),
    ("two of 10 tokens", "토큰 10개 가운데 2개", ""),
    ("see [here](https://a.org)", "[여기](https://b.org)를 보세요", "link https://a.org"),
    ("{name} waits", "기다립니다", "place {name}"),
    ("use MultiHeadAttention", "사용합니다", "name MultiHeadAttention"),
    ("two ViTs", "ViT 2개", ""),
    ("90 million images", "이미지 9천만 장", ""),
    ("1.28 million images", "이미지 128만 장", ""),
    ("17.6 billion MACs", "MAC 17.6억 번", "number 17.6"),
    ("a quarter", "4분의 1", ""),
    ("one too large", "1만 큼", ""),
    ("width * 2**s channels", "채널 width * 2**s개", ""),
    ("**attention** is", "**어텐션(attention)**은", "bold"),
    ("**attention** is", "**어텐션**(attention)은", ""),
    ("{name} waits", "{name}이(가) 기다립니다", ""),
    ("pool waits", "풀링이(가) 기다립니다", "이(가)"),
]


@pytest.mark.parametrize(("english", "other", "what"), LOST)
def test_what_a_translation_loses_is_named(english, other, what):
    said = kept.lost(english, other)
    assert (what in said[0]) if what else not said


def plain(source: str) -> str:
    """Code without docstrings and comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("solved", [False, True])
def test_editions_differ_in_words_alone(language, name, solved):
    english = nbformat.read((build.SOLVED if solved else build.STUDENT) / f"{name}.ipynb", as_version=4)
    other = edition.edition(name, language, solved=solved)
    assert other.metadata["course"].pop("language") == language
    assert other.metadata == english.metadata
    assert [cell.id for cell in other.cells] == [cell.id for cell in english.cells]
    for ours, theirs in zip(english.cells, other.cells, strict=True):
        assert ours.metadata == theirs.metadata and ours.cell_type == theirs.cell_type
        assert bool(ours.source.strip()) == bool(theirs.source.strip()), ours.id
        if ours.cell_type == "code":
            code = theirs.source.replace(settings.speak(language), settings.speak("en"))
            assert plain(code) == plain(ours.source), ours.id
            assert [without_alt(o) for o in theirs.outputs] == [without_alt(o) for o in ours.outputs], ours.id


def without_alt(output):
    data = output.get("data", {})
    if '<img alt="' not in data.get("text/html", ""):
        return output
    return {**output, "data": re.sub(r'alt="[^"]*"', "", data["text/html"])}


@pytest.mark.parametrize("name", NAMES)
def test_what_students_of_other_languages_have_is_up_to_date(name):
    assert not edition.stale(name)


def test_alt_texts_keep_their_values_in_another_order():
    alts = {"From {:.1f} to {} tokens: {}.": "토큰 {1}개까지 {0}부터: {2}"}
    assert edition.retold("From 0.5 to 12 tokens: slow.", alts, "ko") == "토큰 12개까지 0.5부터: slow"
    assert edition.retold("Something else.", alts, "ko") == "Something else."


def test_sentences_stand_where_extraction_finds_them():
    """`say(f"...")` would be looked up with its values in it, and never be found."""
    for path in (ROOT / "utils").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("say", "later") and node.args:
                assert not isinstance(node.args[0], ast.JoinedStr), f"{path.name}:{node.lineno}"
