"""An answer that is the library's own layer: accepted, with a sentence, and marked; an honest one is not."""

from __future__ import annotations

import functools
import json

import pytest
import torch
from torch import nn

from utils.authoring import stubs
from utils.checks import by_hand, check
from utils.checks.registry import all_exercises, find
from utils.grading import answers
from utils.paths import ROOT

COURSE = all_exercises()
DECLARED = [name for name, exercise in COURSE.items() if exercise.by_hand]


def used(name: str, *texts: str) -> list[str]:
    return by_hand.used(COURSE[name], *texts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from utils.training.measures import evaluate as theirs\n", ["utils.training.measures.evaluate"]),
        ("from utils.training import evaluate as theirs, fit\n", ["utils.training.evaluate"]),
        ("import utils.training.loop as theirs\n", ["utils.training.loop"]),
        ("from importlib import import_module\ntheirs = import_module('utils.checks.chain')\n", ["utils.checks.chain"]),
        ("from utils.checks import check, ready, reuse\ntheirs = reuse('pool')\n", []),
        ("from utils.training import fit\nfrom utils.training.measures import accuracy\ntheirs = fit\n", []),
    ],
)  # fmt: skip
def test_what_the_course_itself_has_is_marked_where_an_answer_rests_on_it(text, found):
    assert (
        used("evaluate", f"{text}def evaluate(model, batches):\n    return theirs(model, batches)\n") == found
    )


def test_torch_has_every_layer_that_is_declared():
    homes = {"nn": nn, "torch": torch, "F": nn.functional}
    for name in DECLARED:
        for layer in COURSE[name].by_hand:
            home, _, path = layer.partition(".")
            functools.reduce(getattr, path.split("."), homes[home])


def test_an_exercise_that_a_layer_of_torch_does_declares_it():
    """Every layer of PyTorch that attends or recurs, under the name of an exercise or a part of it: none was forgotten."""
    for name, layer in {
        "LSTM": "nn.LSTM",
        "LSTMCell": "nn.LSTMCell",
        "MultiHeadAttention": "nn.MultiheadAttention",
        "TransformerEncoder": "nn.TransformerEncoder",
        "EncoderLayer": "nn.TransformerEncoderLayer",
        "DecoderLayer": "nn.TransformerDecoderLayer",
        "scaled_dot_product_attention": "F.scaled_dot_product_attention",
    }.items():
        assert layer in COURSE[name].by_hand
    attends = {name for name in COURSE if "Attention" in name and name != "LocalAttention2d"}
    assert attends | {"ViT", "ViTBlock", "PixelTransformer", "PerceiverIO", "causal_mask"} <= {*DECLARED}


@pytest.mark.parametrize("name", sorted({COURSE[name].notebook for name in DECLARED}))
def test_the_notebook_says_by_hand_exactly_where_a_list_is_declared(name):
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    for exercise in COURSE.values():
        if exercise.notebook == name:
            head = sources[f"{exercise.name}-task"].split("\n\n")[2]
            assert ("by hand" in head) == bool(exercise.by_hand), exercise.name
            assert not exercise.by_hand or f"`{exercise.by_hand[0]}`" in head


def test_no_official_answer_is_marked():
    assert {name: found for name in COURSE if (found := used(name, stubs.answer(COURSE[name]).whole))} == {}


def test_of_the_banks_right_answers_those_are_marked_that_name_the_librarys_layer():
    """The banks were written before the list: what they call the library's is found by it."""
    marked = set()
    for name in DECLARED:
        reference = answers.reference(COURSE[name])
        for right in answers.bank(COURSE[name]).rights:
            if used(name, right.text(reference)):
                marked.add(right.name)
    assert {
        "PyTorch's own step",
        "PyTorch's LSTM on a packed batch",
        "the library's kernel",
        "the library's functional form",
    } <= marked
    assert len(marked) < 12


@pytest.mark.parametrize(
    "text",
    [
        "from torch import nn\nclass LSTM(nn.LSTM): pass\n",
        "import torch\nLSTM = torch.nn.LSTM\n",
        "from torch.nn import LSTM\n",
        "from torch.nn import LSTM as L\nclass LSTM(L): pass\n",
        "import torch.nn as layers\nLSTM = layers.LSTM\n",
        "LSTM = getattr(nn, 'LSTM')\n",
        "LSTM = vars(nn)['LSTM']\n",
        "from torch.nn import *\nBase = LSTM\nclass LSTM(Base): pass\n",
        "Base = nn.LSTM\nclass Other(Base): pass\nclass LSTM(Other): pass\n",
        "class LSTM(nn.Module): pass\nLSTM.forward = nn.LSTM.forward\n",
        "import timm.models as t\nLSTM = t.LSTM\n",
        "k = nn\nLSTM = k.LSTM\n",
        "import importlib\nclass LSTM(importlib.import_module('torch.nn').LSTM): pass\n",
        "k = __import__('torch').nn\nclass LSTM(k.LSTM): pass\n",
        "import sys\nLSTM = sys.modules['torch.nn'].LSTM\n",
        "def made(k):\n    return k.LSTM\nLSTM = made(nn)\n",
        "class LSTM(nn.Module):\n    k = nn\n    def __init__(self): self.inner = self.k.LSTM(3, 4)\n",
        "class LSTM(nn.Module):\n    def __init__(self):\n        self.k = nn\n        self.m = self.k.modules\n        self.m.LSTM(3)\n",
        "class LSTM(torch." + "nn.modules.rnn." * 400 + "LSTM): pass\n",
        "g = getattr\nLSTM = g(nn, 'LSTM')\n",
        "from operator import attrgetter\nLSTM = attrgetter('nn.LSTM')(torch)\n",
        "LSTM = vars(nn).get('LSTM')\n",
        "import importlib\nLSTM = importlib.import_module('timm.models').rnn\n",
        "def install():\n    global LSTM\n    LSTM = nn.LSTM\ninstall()\n",
        "globals()['LSTM'] = nn.LSTM\n",
        "globals().update({'LSTM': nn.LSTM})\n",
        "import sys\nvars(sys.modules['__main__'])['LSTM'] = nn.LSTM\n",
        "import sys\nsetattr(sys.modules['__main__'], 'LSTM', nn.LSTM)\n",
        "vars()['LSTM'] = nn.LSTM\n",
        "class LSTM(nn.RNNBase):\n    def __init__(self): super().__init__(mode='LS' 'TM')\n",
        "class LSTM(nn.Module):\n    def __init__(self): self.k = nn.Module.__subclasses__()[9]\n",
        "class LSTM(nn.Module):\n    def forward(self, x): return torch._thnn_fused_lstm_cell(x)\n",
        "def reverse_padded(x, n, k=nn.LSTM): return x\nclass LSTM(nn.Module):\n    def __init__(self): self.k = reverse_padded.__defaults__[0]\n",
        "def reverse_padded(x): return x\nreverse_padded.k = nn.LSTM\nclass LSTM(nn.Module):\n    def __init__(self): self.k = reverse_padded.k(3)\n",
        "LSTM = " + "a." * 50_000 + "b",  # nobody can tell, and a deeper stack may run it
    ],
)
def test_disguises_of_a_name_are_seen(text):
    assert used("LSTM", text)


@pytest.mark.parametrize(
    "text",
    [
        "class LSTM(nn.Module):\n    def __init__(self): self.cell = LSTMCell()\n",
        "class LSTM(nn.Module): pass\ntheirs = nn.LSTM(3, 4)\n",
        "class LSTM(nn.Module): pass\ndef compare(x):\n    return nn.LSTM(3, 4)(x)\n",
        "class LSTM(nn.Module): 'as nn.LSTM'\n",
        "x, out = nn.LSTM(3, 4)(torch.ones(2, 3))\nclass LSTM(nn.Module):\n    def forward(self, x):\n        out = x\n        return [x for x in out]\n",
        "k = nn.LSTM(3, 4)\nclass LSTM(nn.Module):\n    k = 3\n    def forward(self, k=None): return k._lstm + self._lstm\n",
        "class LSTM(:",
        "class LSTM(nn.Module):\n    def forward(self, x): return self.LSTM(x) + self.cells[0].lstm(x) + super().lstm(x)\n",
        "class LSTM(nn.Module): pass\ndef other(x):\n    setattr(x, 'a', 1)\nk = nn\n",
        "class LSTM(nn.Module): pass\nclass Tagger(nn.Module):\n    def __init__(self): setattr(self, 'rnn', nn.LSTM(3, 4))\n",
        "class LSTM(nn.Module): pass\ndef compare():\n    return vars(nn)['LSTM'](3, 4), vars(nn.LSTM).get('forward')\n",
    ],
)
def test_what_an_answer_does_not_rest_on_is_no_mark(text):
    assert not used("LSTM", text)


def test_what_is_marked_is_a_short_name_that_every_report_can_hold():
    """A text is its owner's: half of a pair of surrogates in it stopped all reports of a class."""
    text = "class LSTM(nn.Module):\n    def f(self): return getattr(nn, '\\ud800" + "x" * 9_000 + ".LSTM')\n"
    (found,) = used("LSTM", text)
    assert (
        len(found) <= 80
        and found.endswith(".LSTM")
        and used("LSTM", text.replace("x" * 9_000, ""))[0].encode()
    )


def test_what_an_answer_builds_on_in_another_cell_is_seen_and_an_earlier_exercise_is_its_own_affair():
    helper = "def attend(q, k, v):\n    return F.multi_head_attention_forward(q, k, v)\n"
    answer = "class MultiHeadAttention(nn.Module):\n    def forward(self, q, k, v): return attend(q, k, v)\n"
    assert used("MultiHeadAttention", "not Python at all :", helper, answer)
    layer = "class EncoderLayer(nn.Module):\n    def __init__(self): self.self_attn = MultiHeadAttention()\n"
    assert not used("EncoderLayer", helper, answer, layer)
    assert not used("pool", "pool = nn.LSTM\n")


def test_what_does_the_same_in_an_earlier_notebook_is_no_work_of_ones_own():
    """The grader lends the library's version for it."""
    assert used("SelfAttention", 'class SelfAttention(reuse("MultiHeadAttention")): pass\n') == [
        'reuse("MultiHeadAttention")'
    ]
    lent = "from utils.stand_ins.attention import MultiHeadAttention as M\nclass SelfAttention(M): pass\n"
    assert used("SelfAttention", lent)
    assert not used(
        "PixelTransformer", 'Layer = reuse("EncoderLayer")\nclass PixelTransformer(Layer): pass\n'
    )
    assert not used("SelfAttention", 'class SelfAttention(reuse("sinusoidal_positions")): pass\n')
    block = "class ViTBlock(nn.Module):\n    def __init__(self): self.attention = SelfAttention(8, 2)\n"
    assert not used("ViTBlock", 'class SelfAttention(reuse("MultiHeadAttention")): pass\n', block), (
        "that is SelfAttention's affair"
    )
    assert used("ViTBlock", 'class SelfAttention(nn.Module):\n    layer = reuse("EncoderLayer")\n', block)


def test_check_accepts_it_with_a_sentence():
    def scaled_dot_product_attention(query, key, value, mask=None):
        from torch.nn import functional as F

        if mask is None:
            out = F.scaled_dot_product_attention(query, key, value)
        else:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return out

    assert "by hand" in by_hand.note(find("scaled_dot_product_attention"), scaled_dot_product_attention)
    assert by_hand.note(find("scaled_dot_product_attention"), lambda a: a) == ""


@pytest.mark.parametrize(
    ("name", "attempt", "called"),
    [
        ("LSTMCell", nn.LSTMCell, "nn.LSTMCell"),
        ("LSTM", nn.LSTM, "nn.LSTM"),
        ("MultiHeadAttention", nn.MultiheadAttention, "nn.MultiheadAttention"),
        (
            "scaled_dot_product_attention",
            nn.functional.scaled_dot_product_attention,
            "F.scaled_dot_product_attention",
        ),
    ],
)
def test_the_layer_itself_is_named_as_one_writes_it(name, attempt, called):
    """Seen once: "_VF.lstm_cell", which stands in the text of nn.LSTMCell."""
    said = str(by_hand.note(find(name), attempt))
    assert "build it by hand" in said and f"this uses {called};" in said


def test_check_says_so_where_the_layer_passes(capsys):
    check(nn.LSTMCell, "LSTMCell")
    said = capsys.readouterr().out
    assert "cases are right" in said and "this uses nn.LSTMCell; your instructor sees that" in said
