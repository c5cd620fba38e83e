"""One piece of code tried from three places: a helper cell, the answer's cell, and the body of the function."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from utils.authoring.attacks.scene import TARGET, Scene, cell_of, code_cell, solved

Make = Callable[[Scene], object]
RESULT = "    right = torch.ones(length, length, dtype=torch.bool).tril()\n    return right if {won} else torch.zeros_like(right)\n"


def from_a_helper(code: str, result: str = RESULT) -> Make:
    """In a function of another cell, which has run before the answer is asked."""

    def make(scene: Scene) -> None:
        helper = (
            f"def try_it():\n{textwrap.indent(scene.filled(code), '    ')}\n    return won\nran = try_it()\n"
        )
        notebook = solved(**{TARGET: f"def {TARGET}(length):\n{result.format(won='ran')}"})
        notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, TARGET)), code_cell(helper))
        scene.write(notebook)

    return make


def from_the_cell(code: str, result: str = RESULT) -> Make:
    """In the answer's cell, before the function."""
    return lambda scene: scene.write(
        solved(**{TARGET: f"{scene.filled(code)}\ndef {TARGET}(length):\n{result.format(won='won')}"})
    )


def from_the_body(code: str, result: str = RESULT) -> Make:
    """In the function, whenever it is called."""

    def make(scene: Scene) -> None:
        body = textwrap.indent(scene.filled(code), "    ")
        scene.write(solved(**{TARGET: f"def {TARGET}(length):\n{body}\n{result.format(won='won')}"}))

    return make


#: code that sets `won` -> a submission whose answer is right if it won, or whatever else `result` makes of it
PLACES: dict[str, Callable[..., Make]] = {
    "a helper": from_a_helper,
    "the cell": from_the_cell,
    "the body": from_the_body,
}
