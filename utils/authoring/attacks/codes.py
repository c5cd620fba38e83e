"""One answer that is not there, or that is no code. It costs its own points and no others."""

from __future__ import annotations

from utils.authoring.attacks.scene import (
    ONE_LOST,
    TARGET,
    Attack,
    Scene,
    cell_of,
    instead_of_an_answer,
    one_class,
    solved,
)

GROUP = "one answer broken"


def _deleted(scene: Scene) -> None:
    notebook = solved()
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != TARGET]
    scene.write(notebook)


def _markdown(scene: Scene) -> None:
    notebook = solved()
    cell = cell_of(notebook, TARGET)
    cell["cell_type"] = "markdown"
    cell.pop("outputs", None), cell.pop("execution_count", None)
    scene.write(notebook)


CODE = {
    "a syntax error": "def causal_mask(length):\n    return torch.ones(length, length\n",
    "an error before the definition": "raise SystemExit(3)\n",
    "a null byte in the source": "def causal_mask(length):\n    return '\x00'\n",
    "an expression nested 50,000 deep": "def causal_mask(length):\n    return " + "-" * 50000 + "1\n",
    "a sum of 40,000 terms": "def causal_mask(length):\n    return "
    + "+".join("1" for _ in range(40000))
    + "\n",
    "a name bound to no function": "causal_mask = 42\n",
    "a lambda that returns None": "causal_mask = lambda length: None\n",
    "a wrong signature": "def causal_mask():\n    return torch.ones(3, 3, dtype=torch.bool).tril()\n",
    "half a surrogate pair, and wrong": "def causal_mask(length):\n    return '\ud800'\n",
    "HTML and a script in the error": "def causal_mask(length):\n    raise ValueError('<script>alert(1)</script>')\n",
}
ATTACKS = one_class(
    GROUP,
    (
        Attack("its cell deleted", GROUP, ONE_LOST, _deleted),
        Attack("its cell turned into text", GROUP, ONE_LOST, _markdown),
        *(Attack(name, GROUP, ONE_LOST, instead_of_an_answer(code)) for name, code in CODE.items()),
    ),
)
