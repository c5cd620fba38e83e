"""Licences and citation: there, whole, and in step with pyproject."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_code_and_text_have_their_licences():
    code = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert code.startswith("MIT License")
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in code
    text = (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by/4.0/" in text
    for number in range(1, 9):  # the legal text is whole
        assert f"Section {number} -- " in text


def test_citation_has_the_required_keys_and_agrees_with_pyproject():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {
        "cff-version",
        "message",
        "title",
        "authors",
    } <= citation.keys()  # what version 1.2.0 of the format requires
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all(author.get("name") for author in citation["authors"])
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert str(citation["version"]) == settings["project"]["version"]
    assert citation["repository-code"] + ".git" == settings["tool"]["course"]["repository"]
