"""Notebook 01 against PyTorch: outputs and gradients, float64 to 1e-10 and float32 to 1e-5.

Both sides get the same drawn parameters: norm weights away from 1, biases away from 0. A check of the checks at the end
breaks one thing at a time and expects the comparison to notice.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.attention import MultiHeadAttention, merge_heads, split_heads
from solutions.decoder import DecoderLayer, greedy_decode
from solutions.positions import sinusoidal_positions
from solutions.scaled_dot_product import causal_mask, scaled_dot_product_attention
from solutions.transformer import EncoderLayer, FeedForward
from utils.stand_ins.transformer import from_torch

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])
# batch, queries, keys, width, heads: no two alike by accident
SHAPES = pytest.mark.parametrize(
    "shape", [(2, 3, 5, 8, 2), (3, 7, 4, 12, 3), (1, 6, 9, 10, 1), (4, 1, 3, 16, 8)]
)


def draw(*shape: int, dtype: torch.dtype, seed: int, grad: bool = True) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(dtype).requires_grad_(grad)


def draw_mask(*shape: int, seed: int) -> Tensor:
    """True with probability 0.6, at least once per row."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(*shape, generator=generator) < 0.6
    return mask | F.one_hot(torch.randint(0, shape[-1], shape[:-1], generator=generator), shape[-1]).bool()


def draw_parameters(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Every parameter redrawn; norm weights around 1 but well away from it, biases well away from 0."""
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(module.named_parameters())):
            values = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(100 + i))
            is_norm_weight = "norm" in name and name.endswith("weight")
            parameter.copy_(
                1 + 0.5 * values if is_norm_weight else values * (0.5 if parameter.dim() == 1 else 0.4)
            )
    return module.to(dtype)


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Same names, same shapes, values within the tolerance relative to the tensor's scale, and something to compare."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        assert ours[name].data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        assert expected.dtype == ours[name].dtype == dtype, name
        scale = max(1.0, expected.abs().max().item())
        worst = (ours[name] - expected).abs().max().item()
        assert worst <= TOLERANCE[dtype] * scale, f"{name}: {worst:.2e} apart at scale {scale:.1f}"


def observe(
    outputs: dict[str, Tensor], inputs: dict[str, Tensor], module: nn.Module | None = None
) -> dict[str, Tensor]:
    """Outputs, and gradients of inputs and parameters for one drawn cotangent per output."""
    total = sum(
        (output * draw(*output.shape, dtype=output.dtype, seed=900 + i, grad=False)).sum()
        for i, output in enumerate(outputs.values())
    )
    named = dict(inputs)
    if module is not None:
        named |= dict(module.named_parameters())
    gradients = torch.autograd.grad(total, list(named.values()))
    seen = {name: output.detach() for name, output in outputs.items()}
    seen |= {f"grad of {name}": gradient for name, gradient in zip(named, gradients, strict=True)}
    assert all(gradient.abs().sum() > 0 for name, gradient in seen.items()), "a zero tensor proves nothing"
    return seen


MASKS = {
    "none": lambda b, h, n, m: None,
    "per pair": lambda b, h, n, m: draw_mask(n, m, seed=1),
    "per sequence": lambda b, h, n, m: draw_mask(b, 1, n, m, seed=2),
    "padding": lambda b, h, n, m: draw_mask(b, 1, 1, m, seed=3),
    "per head": lambda b, h, n, m: draw_mask(b, h, n, m, seed=4),
}


@DTYPES
@SHAPES
@pytest.mark.parametrize("mask", MASKS)
def test_scaled_dot_product_attention(shape, mask, dtype):
    b, n, m, width, h = shape
    d, e = width // h, width // h + 1
    inputs = {
        "query": draw(b, h, n, d, dtype=dtype, seed=5),
        "key": draw(b, h, m, d, dtype=dtype, seed=6),
        "value": draw(b, h, m, e, dtype=dtype, seed=7),
    }
    mask = MASKS[mask](b, h, n, m)
    output, weights = scaled_dot_product_attention(**inputs, mask=mask)
    theirs = F.scaled_dot_product_attention(*inputs.values(), attn_mask=mask)
    assert_equal(observe({"output": output}, inputs), observe({"output": theirs}, inputs), dtype)
    torch.testing.assert_close(weights @ inputs["value"], output)
    torch.testing.assert_close(weights.sum(-1), torch.ones(b, h, n, dtype=dtype))
    if mask is not None:
        assert (weights[~mask.expand_as(weights)] == 0).all()


@DTYPES
def test_a_query_that_sees_nothing(dtype):
    """PyTorch's kernel answers zeros; so do we, with finite gradients, and with no NaN on the way."""
    inputs = {name: draw(2, 3, 4, 5, dtype=dtype, seed=i) for i, name in enumerate(("query", "key", "value"))}
    mask = draw_mask(4, 4, seed=8)
    mask[1] = False
    with torch.autograd.set_detect_anomaly(True):
        output, weights = scaled_dot_product_attention(**inputs, mask=mask)
        ours = observe({"output": output}, inputs)
    assert_equal(
        ours,
        observe({"output": F.scaled_dot_product_attention(*inputs.values(), attn_mask=mask)}, inputs),
        dtype,
    )
    assert (output[:, :, 1] == 0).all() and (weights[:, :, 1] == 0).all()
    assert all(values.isfinite().all() for values in ours.values())


def test_no_batch_axes():
    query, key, value = (draw(n, d, dtype=torch.float64, seed=n) for n, d in ((3, 4), (5, 4), (5, 2)))
    output, weights = scaled_dot_product_attention(query, key, value)
    assert output.shape == (3, 2) and weights.shape == (3, 5)
    torch.testing.assert_close(output, F.scaled_dot_product_attention(query, key, value))


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_heads_round_trip(heads):
    x = draw(2, 5, 12, dtype=torch.float64, seed=0, grad=False)
    split = split_heads(x, heads)
    assert split.shape == (2, heads, 5, 12 // heads)
    for h in range(heads):
        torch.testing.assert_close(split[:, h], x[:, :, h * 12 // heads : (h + 1) * 12 // heads])
    assert torch.equal(merge_heads(split), x)
    with pytest.raises(ValueError, match="5 heads do not divide a width of 12"):
        split_heads(x, 5)


MHA_MASKS = {
    "none": lambda b, n, m: None,
    "per pair": lambda b, n, m: draw_mask(n, m, seed=11),
    "per sequence": lambda b, n, m: draw_mask(b, n, m, seed=12),
    "padding": lambda b, n, m: draw_mask(b, 1, m, seed=13),
}


@DTYPES
@SHAPES
@pytest.mark.parametrize("mask", MHA_MASKS)
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("how", ["self", "cross", "three"])
def test_multi_head_attention(shape, mask, need_weights, how, dtype):
    b, n, m, width, h = shape
    m = n if how == "self" else m
    theirs = draw_parameters(nn.MultiheadAttention(width, h, batch_first=True), dtype)
    ours = MultiHeadAttention(width, h).to(dtype)
    ours.load_state_dict(theirs.state_dict())  # strict: same names, same shapes

    inputs = {"query": draw(b, n, width, dtype=dtype, seed=14)}
    if how != "self":
        inputs["key"] = draw(b, m, width, dtype=dtype, seed=15)
    if how == "three":
        inputs["value"] = draw(b, m, width, dtype=dtype, seed=16)
    mask = MHA_MASKS[mask](b, n, m)
    blocked = None
    if mask is not None:  # theirs: True = may NOT attend, one mask per sequence and head
        blocked = ~mask.expand(b, n, m).repeat_interleave(h, dim=0)
    query = inputs["query"]
    key = inputs.get("key", query)
    expected, expected_weights = theirs(
        query,
        key,
        inputs.get("value", key),
        attn_mask=blocked,
        need_weights=need_weights,
        average_attn_weights=False,
    )
    output, weights = ours(**inputs, mask=mask, need_weights=need_weights)
    left, right = {"output": output}, {"output": expected}
    if need_weights:
        left["weights"], right["weights"] = weights, expected_weights
    else:
        assert weights is None
    assert_equal(observe(left, inputs, ours), observe(right, inputs, theirs), dtype)


def layers(ours_class, theirs_class, width, heads, norm_first, activation, dtype):
    theirs = draw_parameters(
        theirs_class(width, heads, 3 * width, 0.0, activation, batch_first=True, norm_first=norm_first), dtype
    )
    ours = ours_class(width, heads, 3 * width, norm_first, activation=activation).to(dtype)
    ours.load_state_dict(from_torch(theirs.state_dict()))
    return ours, theirs


def under_our_names(seen: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"grad of {k}" if k != "output" else k: v
        for k, v in from_torch({name.removeprefix("grad of "): value for name, value in seen.items()}).items()
    }


NORMS = pytest.mark.parametrize("norm_first", [False, True], ids=["post-LN", "pre-LN"])


@DTYPES
@SHAPES
@NORMS
@pytest.mark.parametrize("mask", MHA_MASKS)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(shape, norm_first, mask, activation, dtype):
    b, _, n, width, h = shape
    ours, theirs = layers(EncoderLayer, nn.TransformerEncoderLayer, width, h, norm_first, activation, dtype)
    inputs = {"x": draw(b, n, width, dtype=dtype, seed=17)}
    mask = MHA_MASKS[mask](b, n, n)
    blocked = None if mask is None else ~mask.expand(b, n, n).repeat_interleave(h, dim=0)
    expected = observe({"output": theirs(inputs["x"], src_mask=blocked)}, inputs, theirs)
    assert_equal(observe({"output": ours(inputs["x"], mask)}, inputs, ours), under_our_names(expected), dtype)
    ours.eval(), theirs.eval()
    with torch.no_grad():  # the library's other code path
        torch.testing.assert_close(
            ours(inputs["x"], mask), theirs(inputs["x"], src_mask=blocked), rtol=1e-4, atol=1e-5
        )


@DTYPES
@SHAPES
@NORMS
@pytest.mark.parametrize("masked", [False, True])
def test_decoder_layer(shape, norm_first, masked, dtype):
    b, n, m, width, h = shape
    ours, theirs = layers(DecoderLayer, nn.TransformerDecoderLayer, width, h, norm_first, "relu", dtype)
    inputs = {
        "x": draw(b, n, width, dtype=dtype, seed=18),
        "memory": draw(b, m, width, dtype=dtype, seed=19),
    }
    mask = causal_mask(n) if masked else None
    memory_mask = draw_mask(b, 1, m, seed=20) if masked else None
    expected = theirs(
        inputs["x"],
        inputs["memory"],
        tgt_mask=None if mask is None else ~mask,
        memory_key_padding_mask=None if memory_mask is None else ~memory_mask[:, 0],
    )
    output = ours(inputs["x"], inputs["memory"], mask, memory_mask)
    if (
        n == 1
    ):  # one position attends to itself alone: query and key get no gradient, so only values are compared
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=TOLERANCE[dtype])
        return
    assert_equal(
        observe({"output": output}, inputs, ours),
        under_our_names(observe({"output": expected}, inputs, theirs)),
        dtype,
    )


@NORMS
def test_stack_of_layers_loads_the_librarys_encoder(norm_first):
    layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=norm_first)
    theirs = draw_parameters(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), torch.float64)
    ours = nn.ModuleDict(
        {"layers": nn.ModuleList(EncoderLayer(12, 3, 20, norm_first) for _ in range(3))}
    ).double()
    ours.load_state_dict(from_torch(theirs.state_dict()))
    x = draw(2, 5, 12, dtype=torch.float64, seed=21, grad=False)
    y = x
    for layer in ours["layers"]:
        y = layer(y)
    torch.testing.assert_close(y, theirs(x), rtol=0, atol=1e-10)


@NORMS
@pytest.mark.parametrize("layer_class", [EncoderLayer, DecoderLayer])
def test_dropout_acts_on_what_a_move_adds_and_in_train_mode_only(layer_class, norm_first):
    """With everything dropped, only the residual path and the norms are left."""
    layer = draw_parameters(layer_class(8, 2, 16, norm_first, dropout=1.0), torch.float64)
    x = draw(2, 3, 8, dtype=torch.float64, seed=22, grad=False)
    extra = () if layer_class is EncoderLayer else (draw(2, 5, 8, dtype=torch.float64, seed=23, grad=False),)
    expected = x
    if not norm_first:
        for norm in [layer.norm1, layer.norm2] + ([layer.norm3] if extra else []):
            expected = norm(expected)
    torch.testing.assert_close(layer.train()(x, *extra), expected)
    assert (layer.eval()(x, *extra) - expected).abs().max() > 0.1


def test_feed_forward_and_activation_names():
    x = draw(2, 3, 6, dtype=torch.float64, seed=24, grad=False)
    for activation, function in (("relu", nn.ReLU()), ("gelu", nn.GELU())):
        ours = draw_parameters(FeedForward(6, 10, activation), torch.float64)
        torch.testing.assert_close(ours(x), nn.Sequential(ours.linear1, function, ours.linear2)(x))


@pytest.mark.parametrize(("length", "dim"), [(1, 2), (5, 8), (50, 6), (200, 64)])
def test_sinusoidal_positions_is_the_papers_formula(length, dim):
    table = sinusoidal_positions(length, dim)
    assert table.shape == (length, dim) and table.dtype == torch.float32
    for p in range(0, length, 7):
        for i in range(dim // 2):
            angle = p / 10000 ** (2 * i / dim)
            assert table[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=3e-5)
            assert table[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=3e-5)
    with pytest.raises(ValueError, match="even, got 7"):
        sinusoidal_positions(4, 7)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_causal_mask(length):
    blocked = nn.Transformer.generate_square_subsequent_mask(length).isinf()
    assert torch.equal(causal_mask(length), ~blocked)


class Teacher:
    """A model that knows the answers: scores target[b, t] highest after position t, and counts its calls."""

    def __init__(self, target: Tensor, vocabulary: int) -> None:
        self.scores = F.one_hot(target, vocabulary).double()  # (B, T, V)
        self.calls = 0

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        assert not torch.is_grad_enabled()
        return self.scores[:, : target.shape[1]]


def test_greedy_decode_ends_each_row_by_itself_and_stops_when_all_have_ended():
    end = 1
    answers = torch.tensor([[4, 3, 1, 6, 6, 6], [2, 1, 7, 7, 7, 7], [5, 5, 5, 1, 2, 2]])
    model = Teacher(answers, 8)
    written = greedy_decode(model, torch.zeros(3, 9, dtype=torch.int64), start=0, end=end, max_length=6)
    assert written.tolist() == [[4, 3, 1, 1], [2, 1, 1, 1], [5, 5, 5, 1]]
    assert model.calls == 4
    cut = greedy_decode(
        Teacher(answers, 8), torch.zeros(3, 9, dtype=torch.int64), start=0, end=end, max_length=2
    )
    assert cut.tolist() == [[4, 3], [2, 1], [5, 5]]


# The comparison itself must be able to fail


@pytest.mark.parametrize(
    "broken", ["norm1.weight", "norm2.bias", "self_attn.in_proj_bias", "feed_forward.linear1.weight"]
)
def test_the_comparison_notices_a_changed_parameter(broken):
    ours, theirs = layers(EncoderLayer, nn.TransformerEncoderLayer, 8, 2, True, "relu", torch.float32)
    with torch.no_grad():
        ours.get_parameter(broken).mul_(1.01)
    inputs = {"x": draw(2, 5, 8, dtype=torch.float32, seed=33)}
    with pytest.raises(AssertionError, match="apart at scale"):
        assert_equal(
            observe({"output": ours(inputs["x"])}, inputs, ours),
            under_our_names(observe({"output": theirs(inputs["x"])}, inputs, theirs)),
            torch.float32,
        )


def test_the_comparison_notices_the_other_norm_order():
    ours, theirs = layers(EncoderLayer, nn.TransformerEncoderLayer, 8, 2, True, "relu", torch.float64)
    ours.norm_first = False
    inputs = {"x": draw(2, 5, 8, dtype=torch.float64, seed=34)}
    with pytest.raises(AssertionError, match="apart at scale"):
        assert_equal(
            observe({"output": ours(inputs["x"])}, inputs, ours),
            under_our_names(observe({"output": theirs(inputs["x"])}, inputs, theirs)),
            torch.float64,
        )
