"""Perceiver IO against the Perceiver of `transformers`: the same random weights, float64, outputs and gradients to 1e-10.

The library's encoder (cross-attention, self-attention layers) and a decoding layer of it without the query's residual make up the
whole model. Every parameter is drawn; lengths and widths all differ.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solutions.perceiver import CrossAttention, PerceiverIO
from tests.parity import assert_same
from tests.peers import import_transformers

INPUTS, LATENTS, QUERIES = (9, 5), (4, 8), (3, 12)  # length, width
DEPTH, HEADS, WIDENING = 2, 2, 3


@pytest.fixture(scope="module")
def library():
    """transformers' module of the Perceiver."""
    import_transformers()
    from transformers.models.perceiver import modeling_perceiver

    return modeling_perceiver


def draw(*shape: int, seed: int, grad: bool = True) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_(grad)


def drawn(module: nn.Module, seed: int = 100) -> nn.Module:
    """Every parameter redrawn, in float64; vectors called weight around 1, other vectors around 0."""
    module = module.double()
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(module.named_parameters())):
            shift = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
            parameter.copy_(draw(*parameter.shape, seed=seed + i, grad=False) * 0.4 + shift)
    return module.eval()


def config(library, **changes):
    values = {
        "num_latents": LATENTS[0],
        "d_latents": LATENTS[1],
        "d_model": INPUTS[1],
        "num_blocks": 1,
        "num_self_attends_per_block": DEPTH,
        "num_self_attention_heads": HEADS,
        "num_cross_attention_heads": HEADS,
        "self_attention_widening_factor": WIDENING,
        "cross_attention_widening_factor": WIDENING,
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "cross_attention_shape_for_attention": "q",
    }
    return library.PerceiverConfig(**values | changes)


def gradients(output: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    cotangent = draw(*output.shape, seed=999, grad=False)
    return dict(
        zip(leaves, torch.autograd.grad((output * cotangent).sum(), list(leaves.values())), strict=True)
    )


KEY_BIAS = ("key.bias",)  # adds one number to all scores of a query, which the softmax ignores: a true zero


CROSS = {
    "norm_query": "self.layernorm1",
    "norm_input": "self.layernorm2",
    "query": "self.query",
    "key": "self.key",
    "value": "self.value",
    "output": "output.dense",
}
MLP = {"0": "layernorm", "1": "mlp.dense1", "3": "mlp.dense2"}


def cross_names(ours: str, theirs: str) -> dict[str, str]:
    """Our parameter -> the library's, for one cross-attention."""
    return {
        f"{ours}{a}.{kind}": f"{theirs}{b}.{kind}" for a, b in CROSS.items() for kind in ("weight", "bias")
    }


def mlp_names(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.{a}.{kind}": f"{theirs}.{b}.{kind}" for a, b in MLP.items() for kind in ("weight", "bias")
    }


def additive(mask: Tensor | None) -> Tensor | None:
    """The library's mask: added to the scores, (B, 1, 1, N)."""
    return (
        None
        if mask is None
        else torch.zeros_like(mask, dtype=torch.float64).masked_fill(~mask, -1e300)[:, None, None]
    )


MASK = torch.tensor([[True] * 9, [True, False, True, True, False, False, True, True, False]])


@pytest.mark.parametrize("mask", [None, MASK], ids=["all real", "some hidden"])
@pytest.mark.parametrize(("query_dim", "heads"), [(8, 2), (6, 3), (5, 1)])
def test_cross_attention(library, mask, query_dim, heads):
    theirs = drawn(
        library.PerceiverAttention(
            config(library),
            is_cross_attention=True,
            num_heads=heads,
            q_dim=query_dim,
            kv_dim=INPUTS[1],
            use_query_residual=False,
        )
    )
    names = cross_names("", "")
    ours = CrossAttention(query_dim, INPUTS[1], heads).double()
    state = theirs.state_dict()
    ours.load_state_dict({mine: state[other] for mine, other in names.items()})
    queries, inputs = draw(2, 4, query_dim, seed=1), draw(2, *INPUTS, seed=2)
    expected = theirs(queries, inputs=inputs, inputs_mask=additive(mask))[0]
    output = ours(queries, inputs, mask)
    assert_same({"output": output}, {"output": expected})
    leaves = {"queries": queries, "inputs": inputs}
    found = gradients(output, leaves | dict(ours.named_parameters()))
    wanted = gradients(expected, leaves | dict(theirs.named_parameters()))
    assert_same(found, {n: wanted[names.get(n, n)] for n in found}, zero=KEY_BIAS)


def library_model(library) -> nn.ModuleDict:
    """The library's parts in Perceiver IO's order: encoder with its latents, then a decoding layer."""
    latents = library.PerceiverEmbeddings(config(library))
    encoder = library.PerceiverEncoder(config(library), kv_dim=INPUTS[1])
    decoder = library.PerceiverLayer(
        config(library),
        is_cross_attention=True,
        num_heads=HEADS,
        q_dim=QUERIES[1],
        kv_dim=LATENTS[1],
        widening_factor=WIDENING,
        use_query_residual=False,
    )
    return drawn(nn.ModuleDict({"latents": latents, "encoder": encoder, "decoder": decoder}))


def run_library(model: nn.ModuleDict, inputs: Tensor, queries: Tensor, mask: Tensor | None) -> Tensor:
    latents = model["encoder"](
        model["latents"](len(inputs)), inputs=inputs, inputs_mask=additive(mask)
    ).last_hidden_state
    return model["decoder"](queries, inputs=latents)[0]


def library_tensors(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The library's weights (or their gradients) under our names and in our layout."""
    names = {"latents": "latents.latents"}
    names |= cross_names("read.", "encoder.cross_attention.attention.")
    names |= mlp_names("read_mlp", "encoder.cross_attention")
    names |= cross_names("write.", "decoder.attention.") | mlp_names("write_mlp", "decoder")
    found = {mine: values[other] for mine, other in names.items()}
    for i in range(DEPTH):
        layer, attention = f"layers.{i}", f"encoder.self_attends.{i}.attention"
        for kind in ("weight", "bias"):
            parts = [values[f"{attention}.self.{part}.{kind}"] for part in ("query", "key", "value")]
            found[f"{layer}.self_attn.in_proj_{kind}"] = torch.cat(parts)
            found[f"{layer}.self_attn.out_proj.{kind}"] = values[f"{attention}.output.dense.{kind}"]
            found[f"{layer}.norm1.{kind}"] = values[f"{attention}.self.layernorm1.{kind}"]
            found[f"{layer}.norm2.{kind}"] = values[f"encoder.self_attends.{i}.layernorm.{kind}"]
            for number in (1, 2):
                name = f"encoder.self_attends.{i}.mlp.dense{number}.{kind}"
                found[f"{layer}.feed_forward.linear{number}.{kind}"] = values[name]
    return found


@pytest.mark.parametrize("mask", [None, MASK], ids=["all real", "some hidden"])
def test_whole_model(library, mask):
    theirs = library_model(library)
    ours = PerceiverIO(INPUTS[1], LATENTS[0], LATENTS[1], DEPTH, QUERIES[1], HEADS, WIDENING).double().eval()
    ours.load_state_dict(library_tensors(theirs.state_dict()))
    inputs, queries = draw(2, *INPUTS, seed=3), draw(2, *QUERIES, seed=4)
    expected, output = run_library(theirs, inputs, queries, mask), ours(inputs, queries, mask)
    assert_same({"output": output}, {"output": expected})
    leaves = {"inputs": inputs, "queries": queries}
    found = gradients(output, leaves | dict(ours.named_parameters()))
    wanted = gradients(expected, leaves | dict(theirs.named_parameters()))
    assert_same(found, library_tensors(wanted) | {name: wanted[name] for name in leaves}, zero=KEY_BIAS)


def test_queries_for_all_images_are_queries_for_each():
    model = drawn(PerceiverIO(5, 4, 8, 1, 6, 2))
    inputs, queries = draw(3, 7, 5, seed=5), draw(2, 6, seed=6)
    output, expected = model(inputs, queries), model(inputs, queries.repeat(3, 1, 1))
    assert_same({"output": output}, {"output": expected})
    leaves = {"inputs": inputs, "queries": queries} | dict(model.named_parameters())
    assert_same(gradients(output, leaves), gradients(expected, leaves), zero=KEY_BIAS)


def test_two_sets_of_queries_on_one_latent_array():
    """Asked together or apart, the answers are the same."""
    model = drawn(PerceiverIO(5, 4, 8, 2, 6, 2))
    latents = model.encode(draw(2, 7, 5, seed=7))
    label, pixels = draw(1, 6, seed=8), draw(9, 6, seed=9)
    together = model.decode(latents, torch.cat([label, pixels]))
    apart = torch.cat([model.decode(latents, label), model.decode(latents, pixels)], dim=1)
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)
    assert not torch.allclose(apart[:, :1], apart[:, 1:2])
