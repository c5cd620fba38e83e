"""A Sphinx extension that writes formulas as MathML, with docutils' own converter.

Browsers have drawn MathML by themselves since 2023 (Chromium 109, Firefox and Safari before it), screen readers read it, and
a page needs no script and no network for it. A formula that the converter does not know stops the build with its text.

Reference:
1. W3C (2025). MathML Core. https://www.w3.org/TR/mathml-core/
"""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ACCENTS = tuple("~˜^ˆ¯ˉ‾_→⃗.˙¨ˇ˘´`\u0302\u0303\u0304\u0305")  # over a letter
# LaTeX that notebooks use (MathJax knows it) -> the same in words that docutils knows.
SYNONYMS = (
    (re.compile(r"\\(big|Big|bigg|Bigg)(?=\s*[(\[]|\s*\\[{l])"), r"\\\1l"),
    (re.compile(r"\\(big|Big|bigg|Bigg)(?=\s*[)\]]|\s*\\[}r])"), r"\\\1r"),
    (re.compile(r"\\dots(?![a-zA-Z])"), r"\\ldots"),
    (re.compile(r"\\\\\[[^\]]*\]"), r"\\\\"),  # extra space between rows
)


def to_mathml(tex: str, *, block: bool = False) -> str:
    """A formula as a `<math>` element.

    Args:
        tex: LaTeX, without dollar signs.
        block: a displayed formula.

    Raises:
        ValueError: for LaTeX that the converter does not know, with the formula.
    """
    for pattern, replacement in SYNONYMS:
        tex = pattern.sub(replacement, tex)
    try:
        return _feet(tex2mathml(tex.strip(), as_block=block))
    except (MathError, SyntaxError) as error:
        raise ValueError(f"{error} In the formula: {tex}") from error


def _feet(mathml: str) -> str:
    """An index of a letter with an accent moved from below the letter to its foot.

    The converter writes both as `<munderover>`, which is right for sums; here it becomes `<msub>` around `<mover>`.
    """
    ElementTree.register_namespace("", NAMESPACE)
    named = re.sub(r"&(?!lt;|gt;|amp;|quot;|apos;)\w+;", lambda entity: html.unescape(entity[0]), mathml)
    root = ElementTree.fromstring(named)
    tag = f"{{{NAMESPACE}}}".__add__
    for element in list(root.iter(tag("munderover"))):
        base, index, accent = element
        if accent.tag != tag("mo") or (accent.text or "").strip() not in ACCENTS:
            continue
        element.tag = tag("msub")
        over = ElementTree.Element(tag("mover"), {"accent": "true"})
        over.extend([base, accent])
        for child in (base, index, accent):
            element.remove(child)
        element.extend([over, index])
    for element in list(root.iter(tag("msup"))):  # an exponent stands right above the index, not behind it
        if len(element) == 2 and element[0].tag == tag("msub") and element[0][0].tag == tag("mover"):
            base, power = element
            element.tag = tag("msubsup")
            element.remove(base)
            element.insert(0, base[0])
            element.insert(1, base[1])
    return ElementTree.tostring(root, encoding="unicode")


def _convert(node: nodes.Node, *, block: bool) -> str:
    try:
        return to_mathml(node.astext(), block=block)
    except ValueError as error:
        raise ExtensionError(f"{node.source}: {error}") from error


def _inline(translator, node: nodes.math) -> None:
    translator.body.append(f'<span class="course-math">{_convert(node, block=False)}</span>')
    raise nodes.SkipNode


def _display(translator, node: nodes.math_block) -> None:
    anchor = f' id="{html.escape(node["ids"][0])}"' if node.get("ids") else ""
    translator.body.append(f'<div class="course-math-block"{anchor}>{_convert(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app) -> dict:
    """Called by Sphinx."""
    app.add_html_math_renderer(
        "course_mathml", inline_renderers=(_inline, None), block_renderers=(_display, None)
    )
    app.config.html_math_renderer = "course_mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
