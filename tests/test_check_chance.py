"""Dropout and stochastic depth without chance: the same through every door, scaled, and gone afterwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from utils.checks.chance import kept, without_chance
from utils.layers.stochastic_depth import StochasticDepth

RATE = 0.4
DOORS = [
    nn.Dropout(RATE),
    lambda x: F.dropout(x, RATE),
    lambda x: dropout(x, p=RATE, training=True),
    lambda x: torch.dropout(x, RATE, True),
    lambda x: torch.dropout(x, p=RATE, train=True),
    lambda x: F.dropout(x.clone(), RATE, inplace=True),
    lambda x: torch.dropout_(x.clone(), RATE, True),
]


def test_every_door_leads_to_the_same_dropout():
    x = torch.randn(2, 5, 6)
    with without_chance():
        seen = [door(x) for door in DOORS]
    mask = kept(6, RATE, 5)
    assert mask.any() and not mask.all()
    assert all(torch.allclose(value, x * mask / (1 - RATE)) for value in seen)
    assert not torch.equal(mask[0], mask[1]), "a mask that is the same for all tokens commutes with pooling"


def test_nothing_is_dropped_where_dropout_is_off_and_chance_is_back_afterwards():
    x = torch.ones(4, 50)
    with without_chance():
        assert torch.equal(nn.Dropout(RATE).eval()(x), x)
        assert torch.equal(F.dropout(x, 1.0), torch.zeros_like(x))
    assert not torch.equal(F.dropout(x, 0.5), F.dropout(x, 0.5))


@pytest.mark.parametrize("attend", [F.scaled_dot_product_attention, scaled_dot_product_attention])
def test_dropout_of_the_librarys_attention_acts_on_its_weights(attend):
    query, key, value = torch.randn(2, 3, 4, 6), torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 2)
    hidden = torch.rand(2, 1, 4, 5) > 0.3
    hidden[..., 0] = True
    with without_chance():
        seen = attend(query, key, value, attn_mask=hidden, dropout_p=RATE)
        plain = attend(query, key, value, attn_mask=hidden)
    scores = (query @ key.mT / 6**0.5).masked_fill(~hidden, -torch.inf)
    weights = scores.softmax(-1) * kept(5, RATE, 4) / (1 - RATE)
    assert torch.allclose(seen, weights @ value, atol=1e-6)
    assert torch.allclose(plain, scores.softmax(-1) @ value, atol=1e-6)


def test_the_librarys_multi_head_attention_is_caught_inside():
    x, layer = torch.randn(2, 4, 6), nn.MultiheadAttention(6, 2, dropout=RATE, batch_first=True)
    with without_chance():
        first, second = layer(x, x, x, need_weights=False)[0], layer(x, x, x)[0]
    assert torch.allclose(first, second, atol=1e-6)


def test_stochastic_depth_leaves_the_same_images_out():
    branch = torch.randn(5, 3, 2)
    with without_chance():
        seen = StochasticDepth(0.5)(branch)
    mask = kept(5, 0.5)[0]
    assert mask.any() and not mask.all()
    assert torch.allclose(seen, branch * mask[:, None, None] * 2)
