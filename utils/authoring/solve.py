"""Executes solved notebooks and stores their outputs, with a note of how, where and how long."""

from __future__ import annotations

import datetime
import os
import re
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from utils.authoring.build import ROOT, SOLVED, code_hash

LONG = 10  # seconds: a cell that takes longer says so before it is run


def execute(
    notebook: NotebookNode, folder: Path, *, budget: str, timeout: int = 1800, allow_errors: bool = False
) -> float:
    """Runs all cells of a notebook in place, in `folder`.

    Args:
        notebook: changed in place.
        folder: working folder.
        budget: "smoke", "cpu" or "gpu".
        timeout: seconds per cell.
        allow_errors: go on after a cell that raises.

    Returns:
        seconds taken.
    """
    settings = {"COURSE_BUDGET": budget, "COURSE_PROGRESS": "plain"}  # no progress bars in stored outputs
    previous = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    began = time.perf_counter()
    try:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            allow_errors=allow_errors,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute()
    finally:
        for name, value in previous.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return time.perf_counter() - began


def seconds_of(cell: NotebookNode) -> int:
    """How long a cell ran, by the kernel's own times; 0 if it was not run."""
    times = cell.metadata.get("execution", {})
    try:
        began, ended = (
            datetime.datetime.fromisoformat(times[key])
            for key in ("iopub.execute_input", "iopub.status.idle")
        )
    except KeyError:
        return 0
    return round((ended - began).total_seconds())


def tidy(notebook: NotebookNode) -> None:
    """Removes from outputs what says nothing to a reader: progress bars on stderr, widget state, run times of cells, local paths."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {
        "name": "python"
    }  # the kernel adds versions, which differ by machine
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                continue
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text).replace(str(ROOT), ".")
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                output.data.pop("application/vnd.jupyter.widget-view+json")
                if not output.data.keys() - {"text/plain"}:  # a progress bar, as text
                    continue
            kept.append(output)
        cell.outputs = kept


def solve(name: str, budget: str) -> float:
    """Executes `solutions/<name>.ipynb` and stores its outputs.

    Raises:
        SystemExit: with the failing cell, if a cell raises.

    Returns:
        seconds taken.
    """
    from utils.budget import describe_machine

    path = SOLVED / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    try:
        seconds = execute(notebook, path.parent, budget=budget)
    except CellExecutionError as error:
        raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from error
    long = {cell.id: taken for cell in notebook.cells if (taken := seconds_of(cell)) >= LONG}
    tidy(notebook)
    notebook.metadata["course"]["executed"] = {
        "code": code_hash(notebook),
        "budget": budget,
        "machine": describe_machine(),
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds),
        "cells": long,
    }
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return seconds
