"""Notebook 01's stand-ins against the answers: outputs and gradients, float64 to 1e-10."""

from __future__ import annotations

import pytest
import torch

from solutions.attention import MultiHeadAttention, split_heads
from solutions.decoder import DecoderLayer
from solutions.positions import sinusoidal_positions
from solutions.scaled_dot_product import causal_mask, scaled_dot_product_attention
from solutions.transformer import EncoderLayer
from tests.test_parity_transformer import (
    MASKS,
    NORMS,
    assert_equal,
    draw,
    draw_mask,
    draw_parameters,
    observe,
)
from utils.stand_ins import attention, decoder, positions, scaled_dot_product, transformer


@pytest.mark.parametrize("mask", MASKS)
def test_stand_in_attention_is_the_reference(mask):
    b, h, n, m = 2, 3, 4, 5
    inputs = {
        name: draw(b, h, k, 6, dtype=torch.float64, seed=k) for name, k in zip("qkv", (n, m, m), strict=True)
    }
    mask = MASKS[mask](b, h, n, m)
    outputs = [
        dict(zip(("output", "weights"), attention(*inputs.values(), mask), strict=True))
        for attention in (scaled_dot_product_attention, scaled_dot_product.scaled_dot_product_attention)
    ]
    assert_equal(observe(outputs[0], inputs), observe(outputs[1], inputs), torch.float64)


@NORMS
@pytest.mark.parametrize("name", ["EncoderLayer", "DecoderLayer"])
@pytest.mark.parametrize("train", [True, False])
def test_stand_in_layers_are_the_reference(name, norm_first, train):
    reference = draw_parameters(
        {"EncoderLayer": EncoderLayer, "DecoderLayer": DecoderLayer}[name](8, 2, 12, norm_first),
        torch.float64,
    )
    stand_in = getattr({"EncoderLayer": transformer, "DecoderLayer": decoder}[name], name)(
        8, 2, 12, norm_first
    ).double()
    stand_in.load_state_dict(reference.state_dict())
    reference.train(train), stand_in.train(train)
    inputs = {"x": draw(3, 4, 8, dtype=torch.float64, seed=25)}
    masks = {"mask": causal_mask(4) if name == "DecoderLayer" else draw_mask(3, 1, 4, seed=26)}
    if name == "DecoderLayer":
        inputs["memory"] = draw(3, 5, 8, dtype=torch.float64, seed=27)
        masks["memory_mask"] = draw_mask(3, 1, 5, seed=28)
    assert_equal(
        observe({"output": reference(**inputs, **masks)}, inputs, reference),
        observe({"output": stand_in(**inputs, **masks)}, inputs, stand_in),
        torch.float64,
    )


def test_stand_in_multi_head_attention_with_a_query_that_sees_nothing():
    reference = draw_parameters(MultiHeadAttention(8, 2), torch.float64)
    stand_in = attention.MultiHeadAttention(8, 2).double()
    stand_in.load_state_dict(reference.state_dict())
    inputs = {
        "query": draw(2, 3, 8, dtype=torch.float64, seed=29),
        "key": draw(2, 5, 8, dtype=torch.float64, seed=30),
    }
    mask = draw_mask(3, 5, seed=31)
    mask[1] = False
    seen = [
        observe(dict(zip(("output", "weights"), module(**inputs, mask=mask), strict=True)), inputs, module)
        for module in (reference, stand_in)
    ]
    assert_equal(*seen, torch.float64)


def test_stand_in_tables_are_the_reference():
    torch.testing.assert_close(
        positions.sinusoidal_positions(40, 10), sinusoidal_positions(40, 10), rtol=0, atol=1e-5
    )
    assert torch.equal(scaled_dot_product.causal_mask(6), causal_mask(6))
    x = draw(2, 3, 8, dtype=torch.float64, seed=32, grad=False)
    assert torch.equal(attention.split_heads(x, 4), split_heads(x, 4))
    assert torch.equal(attention.merge_heads(split_heads(x, 4)), x)
