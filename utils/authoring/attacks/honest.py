"""Honest notebooks as they really come: other editors' metadata, cells moved and doubled, notes in Korean. All of them are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from utils.authoring.attacks.scene import (
    FULL,
    NOTEBOOK,
    TARGET,
    Attack,
    Scene,
    answers,
    cell_of,
    code_cell,
    one_class,
    solved,
)

GROUP = "odd but honest"
Notebook = dict[str, Any]


def _edited(change: Callable[[Notebook], Notebook | None]) -> Callable[[Scene], object]:
    def make(scene: Scene) -> None:
        notebook = solved()
        scene.write(change(notebook) or notebook)

    return make


def _colab(notebook: Notebook) -> None:
    notebook["metadata"] = {
        "accelerator": "GPU",
        "colab": {"provenance": [], "gpuType": "T4", "toc_visible": True},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    notebook |= {"nbformat": 4, "nbformat_minor": 0}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] = {
            "id": f"aB{number}",
            "colab": {"base_uri": "https://localhost:8080/"},
            "outputId": "x",
        }
        cell.pop("id")


def _vscode(notebook: Notebook) -> None:
    notebook["metadata"]["vscode"] = {"interpreter": {"hash": "0" * 64}}
    notebook["metadata"]["language_info"] = {
        "name": "python",
        "version": "3.12.1",
        "pygments_lexer": "ipython3",
    }
    for cell in notebook["cells"]:
        cell["metadata"]["vscode"] = {"languageId": "python"}


def _no_ids(notebook: Notebook) -> None:
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        cell.pop("id")


def _no_metadata(notebook: Notebook) -> Notebook:
    cells = [{"cell_type": cell["cell_type"], "source": cell["source"]} for cell in notebook["cells"]]
    return {"cells": cells}


def _answers_moved_to_new_cells(notebook: Notebook) -> None:
    stubs = json.loads(json.dumps(notebook["cells"]))
    for cell in stubs:
        if cell["id"] in answers():
            cell["source"] = f'def {cell["id"]}(*args):\n    raise NotImplementedError("not started yet")\n'
    own = [code_cell(text, f"mine-{name}") for name, text in answers().items()]
    notebook["cells"] = stubs[:8] + own + stubs[8:]


def _one_cell(notebook: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in answers()]
    notebook["cells"].insert(5, code_cell("\n\n".join(answers().values())))


def _doubled(notebook: Notebook) -> None:
    notebook["cells"] = [copy for cell in notebook["cells"] for copy in (cell, deepcopy(cell))]


def _korean(notebook: Notebook) -> None:
    cell = cell_of(notebook, TARGET)
    cell["source"] = (
        f"# \uc815\ub2f5 \U0001f600 \u2014 \uc774\ub807\uac8c \ud480\uc5c8\uc5b4\uc694\n\ubcc0\uc218 = 3\n{cell['source']}"
    )
    notebook["cells"].append(
        {
            "cell_type": "markdown",
            "id": "note",
            "metadata": {},
            "source": "\ud55c\uad6d\uc5b4 \U0001f9d1\u200d\U0001f393",
        }
    )


def _magics(notebook: Notebook) -> None:
    cell = cell_of(notebook, TARGET)
    cell["source"] = f"%matplotlib inline\n!pip install einops\n%timeit 1\n{cell['source']}\ncausal_mask?\n"
    cell_of(notebook, "split_heads")["source"] = "%%time\n" + answers()["split_heads"]


def _own_names(notebook: Notebook) -> None:
    """An import added to the release's own cell, a constant and a helper, used by an answer."""
    imports = next(
        cell
        for cell in notebook["cells"]
        if "from utils" in "".join(cell["source"]) and cell["id"] != "set-up"
    )
    imports["source"] = "".join(imports["source"]) + "\nimport functools as ft\n"
    place = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == TARGET)
    notebook["cells"].insert(
        place, code_cell('LOW = float("-inf")\nkeep = lambda x: torch.tril(x)\n', "constants")
    )
    cell_of(notebook, TARGET)["source"] = (
        "def causal_mask(length):\n    assert LOW < 0 and ft.reduce\n    return keep(torch.ones(length, length)).bool()\n"
    )


def _helper_at_the_end(notebook: Notebook) -> None:
    cell_of(notebook, TARGET)["source"] = "def causal_mask(length):\n    return lower(length)\n"
    notebook["cells"].append(
        code_cell("def lower(n):\n    return torch.ones(n, n, dtype=torch.bool).tril()\n", "late")
    )


def _scratch(notebook: Notebook) -> None:
    """Trial cells that fail, never end, or train for hours. They are not rerun."""
    trials = (
        "1 / 0",
        "while True:\n    pass",
        "for _ in range(10**9):\n    fit(None)",
        "def broken(:",
        "x = undefined",
        "import no_such_module",
    )
    for number, text in enumerate(trials):
        notebook["cells"].insert(12 + number, code_cell(text, f"trial-{number}"))


def _redefined_later(notebook: Notebook) -> None:
    place = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == f"{TARGET}-check")
    notebook["cells"].insert(
        place + 1, code_cell("length = 7\nshape = (2, 3)\ndef plot_mask(m):\n    pass\n", "scratch")
    )
    cell_of(notebook, "greedy_decode")["source"] += "\ntorch_before = torch.zeros(3)\n"


def _prints(notebook: Notebook) -> None:
    cell_of(notebook, TARGET)["source"] += "\nfor _ in range(200):\n    print('x' * 10**6)\n"


def _outputs(notebook: Notebook) -> None:
    cell = cell_of(notebook, TARGET)
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "y" * 5_000_000}]
    cell["outputs"].append(
        {"output_type": "error", "ename": "E", "evalue": "<script>", "traceback": ["\x1b[31m"]}
    )


def _line_ends(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")


def _surrogate(notebook: Notebook) -> None:
    cell_of(notebook, TARGET)["source"] += "\n# \ud83d half an emoji\n"
    notebook["cells"].append({"cell_type": "markdown", "id": "n", "metadata": {}, "source": "\udc00"})


def _modulo(notebook: Notebook) -> None:
    cell_of(notebook, TARGET)["source"] += "\nrest = (7\n    % 3)\n"


def _bytes(encode: Callable[[str], bytes]) -> Callable[[Scene], object]:
    return lambda scene: scene.write(encode(json.dumps(solved(), ensure_ascii=False)))


def _drop(kind: str) -> Callable[[Notebook], None]:
    def change(notebook: Notebook) -> None:
        notebook["cells"] = [cell for cell in notebook["cells"] if not cell["id"].endswith(kind)]

    return change


def _kernel(spec: dict[str, Any]) -> Callable[[Notebook], None]:
    return lambda notebook: notebook["metadata"].update({"kernelspec": spec, "language_info": {"name": "R"}})


def _no_tables(notebook: Notebook) -> None:
    """What nbgrader keeps of a cell, by whoever wrote something else there."""
    others: tuple[Any, ...] = ("x", [1], 3, True)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"]["nbgrader"] = others[number % len(others)]


ODD: dict[str, Callable[[Notebook], Notebook | None]] = {
    "as it should be": lambda notebook: None,
    "Colab's metadata, no ids": _colab,
    "VS Code's metadata": _vscode,
    "no cell ids (format 4.4)": _no_ids,
    "no metadata at all": _no_metadata,
    "nbgrader's metadata that is no table": _no_tables,
    "cells in reversed order": lambda notebook: notebook["cells"].reverse(),
    "every cell twice": _doubled,
    "answers in new cells, stubs left above": _answers_moved_to_new_cells,
    "all answers in one cell": _one_cell,
    "check cells deleted": _drop("-check"),
    "kernel of another language": _kernel({"name": "ir", "language": "R", "display_name": "R"}),
    "kernel that does not exist": _kernel({"name": "my-env-3.99"}),
    "Korean and emoji in code and text": _korean,
    "magics, shell lines, help": _magics,
    "own imports, constants and helpers": _own_names,
    "a helper defined behind all answers": _helper_at_the_end,
    "trial cells that fail, loop or train": _scratch,
    "scratch work that reuses names": _redefined_later,
    "200 MB printed by a cell": _prints,
    "5 MB of stored outputs and an error": _outputs,
    "Windows line ends": _line_ends,
    "half a surrogate pair in a comment": _surrogate,
    "a line that begins with %, and is no magic": _modulo,
}
ATTACKS = one_class(
    GROUP,
    (
        *(Attack(name, GROUP, FULL, _edited(change)) for name, change in ODD.items()),
        Attack("UTF-8 with a byte order mark", GROUP, FULL, _bytes(lambda text: text.encode("utf-8-sig"))),
        Attack("UTF-16", GROUP, FULL, _bytes(lambda text: text.encode("utf-16"))),
        Attack(
            "a copy's file name", GROUP, FULL, lambda scene: scene.write(solved(), f"{NOTEBOOK} (1).ipynb")
        ),
    ),
)
