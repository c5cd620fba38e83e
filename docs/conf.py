"""Sphinx's settings for the site. `python -m utils.authoring.book` copies this folder, puts the pages beside it, and builds.

Nothing on the site comes from elsewhere: formulas are MathML, icons and fonts are the theme's own files.
"""

import tomllib

from utils.paths import ROOT
from utils.words import language as spoken
from utils.words import say

_settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

project = say("Transformers for vision, built by hand")
author = "The course's authors"
version = release = _settings["project"]["version"]
html_show_copyright = False
language = spoken()

extensions = [
    "myst_nb",
    "utils.authoring.book.mathml",
    "utils.authoring.book.sections",
    "utils.authoring.book.editions",
]
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
suppress_warnings = [
    "myst.header",  # a heading may skip a level
    "misc.highlighting_failure",  # code blocks without a language are not all Python
]
nb_execution_mode = "off"  # outputs are the stored ones
nb_merge_streams = True
nb_ipywidgets_js = {}  # no widgets: the static picture stands in the same place

html_theme = "sphinx_book_theme"
html_title = project
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_extra_path = ["files"]
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's system says
html_theme_options = {
    "repository_url": _settings["tool"]["course"]["repository"].removesuffix(".git"),
    "use_repository_button": True,
    "use_download_button": False,  # each notebook's page has its own buttons
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "article_header_end": ["language.html", "article-header-buttons.html"],
}
