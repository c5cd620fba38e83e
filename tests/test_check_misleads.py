"""Answers whose check once blamed the wrong part: what is said of them is true of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.checks import fixtures, messages
from utils.checks.engine import examine
from utils.checks.registry import find
from utils.grading import answers


def said(name: str, attempt) -> str:
    exercise = find(name)
    return messages.text(examine(exercise, attempt, fixtures.load(exercise)))


def test_c_before_h_is_told_from_a_wrong_h():
    right = answers.reference(find("LSTMCell"))

    class LSTMCell(right):
        def forward(self, x, state=None):
            h, c = super().forward(0.9 * x, state)  # a second fault, so that no known mistake fits
            return c, h

    assert "You return (c, h)" in said("LSTMCell", LSTMCell)

    class Large(right):
        def forward(self, x, state=None):
            h, c = super().forward(x, state)
            return 3 * h, c

    text = said("LSTMCell", Large)
    assert "You return (c, h)" not in text and "outside -1 .. 1" in text


def test_a_channel_mlp_that_replaces_is_not_called_a_wrong_token_mlp():
    class MixerBlock(answers.reference(find("MixerBlock"))):
        def forward(self, x):
            x = 0.9 * x + self.mlp_tokens(self.norm1(x).mT).mT
            return self.mlp_channels(self.norm2(x))

    text = said("MixerBlock", MixerBlock)
    assert "your channel MLP replaces x" in text and "token MLP" not in text


@pytest.mark.parametrize("index", [1, 0])
def test_looking_up_that_writes_into_the_table_is_told(index):
    class Vocabulary(answers.reference(find("Vocabulary"))):
        def encode(self, words):
            return [self.index.setdefault(word, index) for word in words]

    assert "Your `encode` puts words into the table" in said("Vocabulary", Vocabulary)


def test_a_weight_that_was_read_past_the_checkpoint_has_a_place():
    from utils.data.pretrained import Checkpoint

    model, state = nn.Linear(2, 2), {"a": torch.ones(2, 2), "b": torch.ones(2)}
    checkpoint = Checkpoint(state)
    own = checkpoint.converted()
    own["weight"], own["bias"] = state["a"], checkpoint["b"]
    with pytest.raises(ValueError, match="'a' was read from `state` itself"):
        checkpoint.copy_into(model, own)
    own["weight"] = torch.zeros(2, 2)
    with pytest.raises(ValueError, match="'a' has no place"):
        checkpoint.copy_into(model, own)
