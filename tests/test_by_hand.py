"""An answer that is the library's own layer: accepted, with a sentence, and marked; an honest one is not."""

from __future__ import annotations

import torch
from torch import nn

from utils.authoring import stubs
from utils.checks import by_hand, check
from utils.checks.registry import all_exercises
from utils.grading import answers

COURSE = all_exercises()


def test_every_exercise_of_the_list_exists_and_torch_has_every_layer():
    assert set(by_hand.LAYERS) <= set(COURSE)
    homes = (nn, torch, nn.functional, torch._VF)
    for names in by_hand.LAYERS.values():
        assert all(any(hasattr(home, name) for home in homes) for name in names), names


def test_no_official_answer_is_marked():
    assert {
        name: found
        for name in by_hand.LAYERS
        if (found := by_hand.used(name, stubs.answer(COURSE[name]).whole))
    } == {}


def test_of_the_banks_right_answers_those_are_marked_that_name_the_librarys_layer():
    """The banks were written before the list: what they call the library's is found by it."""
    marked = set()
    for name in by_hand.LAYERS:
        reference = answers.reference(COURSE[name])
        for right in answers.bank(COURSE[name]).rights:
            if by_hand.used(name, right.text(reference)):
                marked.add(right.name)
    assert {
        "PyTorch's own step",
        "PyTorch's LSTM on a packed batch",
        "the library's kernel",
        "the library's functional form",
    } <= marked
    assert len(marked) < 12


def test_disguises_of_a_name_are_seen():
    for text in (
        "from torch import nn\nclass LSTM(nn.LSTM): pass\n",
        "import torch\nLSTM = torch.nn.LSTM\n",
        "from torch.nn import LSTM\n",
        "import torch.nn as layers\nLSTM = layers.LSTM\n",
        "LSTM = getattr(nn, 'LSTM')\n",
    ):
        assert by_hand.used("LSTM", text), text
    assert not by_hand.used(
        "LSTM", "class LSTM(nn.Module):\n    def __init__(self): self.cell = LSTMCell()\n"
    )
    assert not by_hand.used("pool", "x = nn.LSTM\n")


def test_check_accepts_it_with_a_sentence(capsys):
    def scaled_dot_product_attention(query, key, value, mask=None):
        from torch.nn import functional as F

        if mask is None:
            out = F.scaled_dot_product_attention(query, key, value)
        else:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return out

    assert "by hand" in by_hand.note("scaled_dot_product_attention", scaled_dot_product_attention)
    assert by_hand.note("scaled_dot_product_attention", lambda a: a) == ""
    assert by_hand.note("LSTM", nn.LSTM)
    assert callable(check)
