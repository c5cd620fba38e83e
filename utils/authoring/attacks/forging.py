"""Submissions that want points for a wrong answer: they change what judges them, or what is seen of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from utils.authoring.attacks.places import FRAMES, everywhere, losing, met_the_header
from utils.authoring.attacks.scene import (
    NO_GAIN,
    NOTHING,
    ONE_LOST,
    TARGET,
    WRONG,
    Attack,
    Entry,
    Scene,
    answers,
    code_cell,
    instead_of_an_answer,
    solved,
)
from utils.checks import fixtures
from utils.checks.registry import find
from utils.grading.reports.tables import said

GROUP = "forging"
LOOKED_UP = "scaled_dot_product_attention"
BESIDE = {
    "patch the check function": (
        "import utils.checks, utils.checks.engine as e\n"
        "utils.checks.check = e.check = lambda *a, **k: None\ncheck = e.check\n"
        "e.Result.passed = property(lambda self: True)\ne.examine = lambda *a, **k: None\n"
    ),
    "patch torch.allclose, equal and isclose": (
        "import torch\ntorch.allclose = lambda *a, **k: True\ntorch.equal = lambda *a: True\n"
        "torch.isclose = lambda a, *b, **k: torch.ones_like(a, dtype=torch.bool)\n"
    ),
    "patch the comparison": (
        "import utils.checks.compare as c, utils.checks.engine as e\nc.compare = e.compare = lambda *a, **k: None\n"
        "c._values = c._form = lambda *a, **k: None\n"
    ),
    "patch torch's operators": (
        "import torch\ntorch.Tensor.abs = lambda self: torch.zeros(self.shape)\n"
        "torch.Tensor.__sub__ = lambda a, b: torch.zeros(a.shape)\n"
        "torch.Tensor.__ne__ = lambda a, b: torch.zeros(a.shape, dtype=torch.bool)\n"
    ),
    "put a false reference in its place": (
        "import sys, types\nfor name in ('solutions', 'solutions.attention', 'solutions.transformer'):\n"
        "    fake = types.ModuleType(name)\n    fake.causal_mask = lambda n: torch.zeros(n, n, dtype=torch.bool)\n"
        "    sys.modules[name] = fake\n"
        "from utils.checks import registry, fixtures\nregistry.find('causal_mask').__dict__['reference'] = 'solutions:causal_mask'\n"
        "fixtures.load = lambda e: None\n"
    ),
    "an input transformer that empties later cells": (
        "try:\n    get_ipython().input_transformers_cleanup.append(lambda lines: [])\nexcept NameError:\n    pass\n"
        "import ast, builtins\nbuiltins.compile = lambda *a, **k: (lambda: None).__code__\n"
    ),
    "clear the error messages": (
        "import sys, traceback\nsys.excepthook = lambda *a: None\ntraceback.print_exc = lambda *a, **k: None\n"
        "from utils.checks.engine import CheckFailed\nCheckFailed._render_traceback_ = lambda self: []\n"
        "import utils.checks.observe as o\no.Problem.__init__ = lambda self, *a, **k: None\n"
    ),
    "replace the observation": (
        "import utils.grading.inside as i, utils.checks.observe as o\ni.observe = o.observe = lambda *a, **k: {}\n"
    ),
}
SENT = {
    "send the grader's closing word": (
        "send(wire.pack({'end': 'done', 'state': 'passed', 'points': 1}, {}), ($INDEX,))\n"
    ),
    "send a verdict in place of values": "send(empty($INDEX, passed=True, kind='passed', state='passed', points=99), ($INDEX,))\n",
    "send as many outcomes as there are cases, with nothing in them": "send(empty($INDEX), ($INDEX,))\n",
    "send a frame that claims 2**62 bytes": "write(wire.HEADER.pack(wire.MAGIC, nonce, $INDEX, 2**62) + b'x' * 64)\n",
    "send JSON nested 100,000 deep": (
        "send(raw(json.dumps({'__metadata__': {'message': '[' * 100000}}).encode()), ($INDEX,))\n"
    ),
}
INSTEAD = {
    "answer NaN everywhere": "def causal_mask(length):\n    return torch.full((length, length), float('nan'))\n",
    "answer a tensor that calls itself equal to all": (
        "class Yes(torch.Tensor):\n    def __eq__(self, other):\n        return True\n    def __ne__(self, other):\n        return False\n"
        "    @classmethod\n    def __torch_function__(cls, func, types, args=(), kwargs=None):\n"
        "        return super().__torch_function__(func, types, args, kwargs or {})\n"
        "def causal_mask(length):\n    return torch.zeros(length, length, dtype=torch.bool).as_subclass(Yes)\n"
    ),
    "answer an 8-bit float that no comparison reads": (
        "def causal_mask(length):\n    return torch.zeros(length, length).to(torch.float8_e4m3fn)\n"
    ),
    "answer 60 MB, to cost the grader memory": "def causal_mask(length):\n    return torch.zeros(60 * 2**20, dtype=torch.bool)\n",
    "answer 100,000 names": (
        "import utils.grading.inside as i\ni._outcomes = lambda *a: [{f'k{n}': torch.zeros(1) for n in range(100000)}]\n"
        "def causal_mask(length):\n    return 0\n"
    ),
    "code through pickle": (
        "import os\nclass Bomb:\n    def __reduce__(self):\n        return (open, ('$OUTSIDE/$TOKEN-pickle', 'w'))\n"
        "def causal_mask(length):\n    return Bomb()\n"
    ),
    "code through an exception that pickles": (
        "class Bomb(Exception):\n    def __reduce__(self):\n        return (open, ('$OUTSIDE/$TOKEN-exception', 'w'))\n"
        "    def __str__(self):\n        return open('$OUTSIDE/$TOKEN-text', 'w').name\n"
        "def causal_mask(length):\n    raise Bomb()\n"
    ),
    "carry a hidden input home in an error message": (
        "def causal_mask(length):\n    raise ValueError(f'LEAK{length * 1000003}LEAK')\n"
    ),
    "carry a hidden input home in the name of an error": (
        "def causal_mask(length):\n    raise type(f'LEAK{length * 1000003}LEAK', (Exception,), {})()\n"
    ),
}
# What a student reads must be the same whatever the hidden input is.
TELLING = {
    "carry a hidden input home in the kind of a built-in error": (
        TARGET,
        "import builtins\nKINDS = sorted(n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)\n"
        "               and not n.startswith('Unicode') and n not in ('ExceptionGroup', 'NotImplementedError'))\n"
        "def causal_mask(length):\n    raise getattr(builtins, KINDS[length % len(KINDS)])()\n",
    ),
    "carry a hidden input home in a number of NaN": (
        "sinusoidal_positions",
        "def sinusoidal_positions(length, dim, *rest):\n    table = torch.zeros(length, dim)\n    table.view(-1)[:length % 7 + 1] = float('nan')\n"
        "    return table\n",
    ),
}


def _tells(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    """An error's kind, or a number but for those of cases, in what a student reads of the wrong answer."""
    for verdict in entry["verdicts"]:
        if verdict["state"] != "passed":
            if kind := re.search(r"\b[A-Z]\w*(?:Error|Warning|Exception|Iteration|Exit)\b", said(verdict)):
                yield f"the student reads {kind[0]}"
            if re.search(r"\d", verdict["sentence"]):
                yield f"the student reads {verdict['sentence']}"


def _only_errors(code: str):  # noqa: ANN202
    return lambda scene: scene.write(solved(**{name: code.replace("NAME", name) for name in answers()}))


RAISING = {
    "raise an error in every answer": "def NAME(*given, **named):\n    raise ValueError('no')\n",
    "raise an error in every answer, of a class": (
        "class NAME(nn.Module):\n    def __init__(self, *given, **named):\n        raise ValueError('no')\n"
    ),
}


def _stored_outputs(scene: Scene) -> None:
    notebook = solved(**{TARGET: WRONG})
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            text = f"\u2713 {cell['id']}: all 5 cases are right."
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
            cell["execution_count"] = 1
    scene.write(notebook)


def _own_check_cells(scene: Scene) -> None:
    notebook = solved(**{TARGET: WRONG})
    for cell in notebook["cells"]:
        if cell["id"].endswith("-check"):
            cell["source"] = "print('passed')"
            cell["metadata"]["nbgrader"]["points"] = 1000
    notebook["cells"].insert(0, code_cell("check = lambda *a: None", "first"))
    scene.write(notebook)


def _table(scene: Scene) -> None:
    """The course's public inputs with what is expected of them, and nothing that computes."""
    fixture = fixtures.load(find(LOOKED_UP))
    rows = [
        (case.args["query"].tolist(), [expected["output"].tolist(), expected["weights"].tolist()])
        for case, expected in zip(fixture.cases, fixture.expected, strict=True)
    ]
    code = f"TABLE = {rows!r}\n".replace("-inf", "-1e999").replace("nan", "0.0")
    code += (
        f"def {LOOKED_UP}(query, key, value, mask=None):\n    found = next((out for q, out in TABLE if q == query.tolist()), [0.0, 0.0])\n"
        "    return tuple(torch.tensor(one, dtype=query.dtype) for one in found)\n"
    )
    scene.write(solved(**{LOOKED_UP: code}))


ATTACKS = (
    *everywhere(GROUP, losing(BESIDE), lambda name, place: NO_GAIN),
    *everywhere(
        GROUP,
        {name: FRAMES + code for name, code in SENT.items()},
        lambda name, place: ONE_LOST if place == "the body" else NO_GAIN,
        also=met_the_header,
    ),
    *(Attack(name, GROUP, NO_GAIN, instead_of_an_answer(code)) for name, code in INSTEAD.items()),
    *(
        Attack(
            name, GROUP, ONE_LOST, instead_of_an_answer(code, target), target, also=_tells, together="telling"
        )
        for name, (target, code) in TELLING.items()
    ),
    *(Attack(name, GROUP, NOTHING, _only_errors(code), together="telling") for name, code in RAISING.items()),
    Attack("stored outputs that say passed", GROUP, ONE_LOST, _stored_outputs),
    Attack("check cells and points of its own", GROUP, ONE_LOST, _own_check_cells),
    Attack("a table of the public inputs", GROUP, NO_GAIN, _table, LOOKED_UP),
)
