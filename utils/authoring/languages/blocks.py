"""Text unit by unit: each block of words in a Markdown text, each comment and each part of a docstring in code.

Both functions walk through a text and put what `say` returns in the place of each unit. Extraction is the same walk with a `say` that
takes notes, so what is extracted and what is looked up cannot differ. A unit is one line: where the source breaks it means nothing.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt

Say = Callable[[str], str]
WIDTH = 92  # columns of a comment or docstring; Hangul takes two each
PARSER = MarkdownIt("commonmark").enable("table")
_SUMMARY = re.compile(r"(<summary>)(.*?)(?=</summary>)", re.S)
# What needs no words: code, formulas, addresses, tags, names with digits or underscores, letters that stand alone.
_WORDLESS = re.compile(
    r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|https?://\S+|\b\w*[\d_]\w*\b", re.S
)
_MARKS = ("### BEGIN SOLUTION", "### END SOLUTION", "noqa", "type:", "fmt:", "@param")
_SECTION = re.compile(r"[A-Z]\w+:$")  # "Args:"
_ENTRY = re.compile(r" *\*{0,2}\w+(?:, \*{0,2}\w+)*: ")  # "dim: ...", "query, key: ..."


def has_words(text: str) -> bool:
    """Whether there is anything to translate."""
    return bool(re.search(r"[A-Za-z]{2,}", _WORDLESS.sub(" ", text)))


def one_line(text: str) -> str:
    """The text in one line, but for line breaks that Markdown keeps."""
    return re.sub(r"(?<!  )(?<!\\)\n *", " ", text).strip()


def markdown(text: str, say: Say) -> str:
    """A Markdown text with each of its blocks as `say` says it."""
    lines = text.split("\n")
    edits: list[tuple[int, int, int, int, str]] = []  # first line, column, last line, column, new text
    row, column = -1, 0
    for token in PARSER.parse(text):
        if token.type == "html_block" and token.map:
            first, last = token.map
            block = "\n".join(lines[first:last])
            said = _SUMMARY.sub(lambda m: m[1] + _said(one_line(m[2]), say), block)
            if said != block:
                edits.append((first, 0, last - 1, len(lines[last - 1]), said))
        if token.type != "inline" or not token.map:
            continue
        first, last = token.map
        content = token.content.split("\n")
        cell = token.level >= 4 and len(content) == 1  # of a table: several in a line
        if row != first:
            row, column = first, 0
        shown = _found(content[0], lines[first], column)
        if shown is None:
            continue
        begin, end = shown
        column = end
        new = _said(one_line(token.content), say)
        if new == one_line(token.content):
            continue
        if cell and r"\|" in lines[first][begin:end]:
            new = new.replace("|", r"\|")
        stop = end if len(content) == 1 else len(lines[last - 1])
        edits.append((first, begin, first if len(content) == 1 else last - 1, stop, new))
    for first, begin, last, end, new in reversed(edits):
        lines[first : last + 1] = [lines[first][:begin] + new + lines[last][end:]]
    return "\n".join(lines)


def _said(unit: str, say: Say) -> str:
    return say(unit) if has_words(unit) else unit


def _found(content: str, line: str, start: int) -> tuple[int, int] | None:
    """Where a line holds a block's first line, from column `start`; in a table "|" is written with a backslash."""
    for text in (content, content.replace("|", r"\|")):
        if (at := line.find(text, start)) >= 0:
            return at, at + len(text)
    return None


def code(source: str, say: Say) -> str:
    """Python with each comment and each part of a docstring as `say` says it; anything else (a magic) as it is."""
    try:
        tree = ast.parse(source)
        comments = [
            t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT
        ]
    except (SyntaxError, tokenize.TokenError):
        return source
    lines = source.split("\n")
    edits = [*_docstrings(tree, lines, say), *_comments(comments, lines, say)]
    for first, last, new in sorted(edits, reverse=True):
        lines[first : last + 1] = new
    return "\n".join(lines)


Edit = tuple[int, int, list[str]]  # first line, last line, new lines


def _comments(comments: list[tokenize.TokenInfo], lines: list[str], say: Say) -> Iterator[Edit]:
    index = 0
    while index < len(comments):
        row, column = comments[index].start
        before = lines[row - 1][:column]
        group = [comments[index].string]
        while (
            not before.strip()
            and index + 1 < len(comments)
            and comments[index + 1].start == (row + len(group), column)
            and not lines[row - 1 + len(group)][:column].strip()
            and _ordinary(group[-1])
            and _ordinary(comments[index + 1].string)
        ):
            index += 1
            group.append(comments[index].string)
        index += 1
        mark = "# @title " if group[0].startswith("# @title ") else "# "
        unit = " ".join(text.removeprefix(mark if n == 0 else "#").strip() for n, text in enumerate(group))
        if not (_ordinary(group[0]) and has_words(unit)):
            continue
        new = say(unit)
        if new == unit:
            continue
        begin = before + mark
        if before.strip() or mark != "# ":
            yield row - 1, row - 1, [begin + new]
        else:
            yield row - 1, row - 2 + len(group), wrapped(new, begin, begin)


def _ordinary(comment: str) -> bool:
    return comment.startswith("# ") and not any(
        comment.lstrip("# ").startswith(m.lstrip("# ")) for m in _MARKS
    )


def _docstrings(tree: ast.Module, lines: list[str], say: Say) -> Iterator[Edit]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is None:
            continue
        text = node.body[0]
        first, last = text.lineno - 1, (text.end_lineno or text.lineno) - 1
        indent = lines[first][: text.col_offset]
        literal = "\n".join([lines[first][text.col_offset :], *lines[first + 1 : last + 1]])
        match = re.fullmatch(r'(r?""")(.*)"""(\s*#.*)?', literal, re.S)
        if not match:
            continue
        old = match[2].split("\n")
        body = [old[0].strip(), *(line.removeprefix(indent).rstrip() for line in old[1:])]
        while not body[-1]:  # the closing quotes stand in a line of their own
            body.pop()
        new = list(_documented(body, say, WIDTH - len(indent)))
        if new == body:
            continue
        first_width = len(indent) + len(match[1]) + 3
        if len(new) == 1 and _columns(new[0]) + first_width <= WIDTH:
            yield first, last, [f'{indent}{match[1]}{new[0]}"""']
        else:
            rest = [f"{indent}{line}".rstrip() for line in new[1:]]
            yield first, last, [f"{indent}{match[1]}{new[0]}", *rest, f'{indent}"""']


def _documented(lines: list[str], say: Say, width: int) -> Iterator[str]:
    """The lines of a docstring, said part by part: paragraphs, and in a section ("Args:") one entry after the other."""
    unit: list[str] = []
    section = False

    def told() -> Iterator[str]:
        if unit:
            indent = unit[0][: len(unit[0]) - len(unit[0].lstrip())]
            old = " ".join(line.strip() for line in unit)
            new = say(old) if has_words(old) else old
            yield from unit if new == old else wrapped(new, indent, indent + "    " * section, width)
            unit.clear()

    for line in lines:
        inner = len(line) - len(line.lstrip())
        if not line.strip():
            yield from told()
            section = False
            yield ""
        elif _SECTION.fullmatch(line.strip()) and not unit:
            section = True
            yield line
        else:
            outer = section and unit and inner <= len(unit[0]) - len(unit[0].lstrip())
            if outer and (unit[-1].endswith(".") or _ENTRY.match(line)):
                yield from told()
            unit.append(line)
    yield from told()


def wrapped(text: str, first: str, rest: str, width: int = WIDTH) -> list[str]:
    """A text in lines of at most `width` columns, broken between words."""
    lines, line = [], first
    for word in text.split(" "):
        if line.strip(" #") and _columns(line) + _columns(word) + 1 > width:
            lines.append(line.rstrip())
            line = rest
        line += word if line in (first, rest) and line == (rest if lines else first) else f" {word}"
    return [*lines, line]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
