"""Notebook 04 against PyTorch: outputs and gradients in float64 to 1e-10, and the memory formula against what autograd keeps.

Every parameter is drawn (gate, norm weights and biases away from their defaults), no image is square.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.attention import MultiHeadAttention
from solutions.attention_cost import attention_memory_bytes
from solutions.local_attention import LocalAttention2d, neighborhoods
from solutions.pixel_transformer import PixelTransformer, pixel_tokens
from solutions.self_attention_2d import SelfAttention2d
from utils.stand_ins import local_attention
from utils.stand_ins.pixel_transformer import pixel_tokens as library_tokens
from utils.stand_ins.transformer import from_torch

SHAPES = pytest.mark.parametrize("shape", [(2, 6, 3, 5), (3, 4, 7, 2), (1, 8, 1, 9), (2, 3, 6, 4)])


def draw(*shape: int, seed: int, grad: bool = True) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_(grad)


def drawn(module: nn.Module) -> nn.Module:
    """Every parameter redrawn, in float64; vectors called weight around 1, other vectors around 0, gamma around -0.7."""
    module = module.double()
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(module.named_parameters())):
            values = draw(*parameter.shape, seed=100 + i, grad=False) * 0.5
            shift = -0.7 if name == "gamma" else 1.0 if values.ndim == 1 and name.endswith("weight") else 0.0
            parameter.copy_(values * (0.1 if name == "gamma" else 1.0) + shift)
    return module


def gradients(output: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    cotangent = draw(*output.shape, seed=999, grad=False)
    found = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor], zero: tuple[str, ...] = ()) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        got = ours[name]
        assert got.shape == expected.shape and got.dtype == expected.dtype == torch.float64, name
        assert got.data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        worst = (got - expected).abs().max().item()
        assert worst <= 1e-10 * max(1.0, expected.abs().max().item()), f"{name}: {worst:.1e} apart"
        assert name in zero or expected.abs().max() > 1e-3, f"{name}: a zero tensor proves nothing"


def tokens_of(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def image_of(tokens: Tensor, like: Tensor) -> Tensor:
    return tokens.transpose(1, 2).reshape(like.shape)


def mha_from(layer: SelfAttention2d | LocalAttention2d) -> nn.MultiheadAttention:
    """nn.MultiheadAttention with one head and the layer's 1x1 convolutions as its matrices; without `output` the identity."""
    channels = layer.query.weight.shape[0]
    theirs = nn.MultiheadAttention(channels, 1, batch_first=True).double()
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight.flatten(1) for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        output = getattr(layer, "output", None)
        theirs.out_proj.weight.copy_(output.weight.flatten(1) if output else torch.eye(channels))
        theirs.out_proj.bias.copy_(output.bias if output else torch.zeros(channels))
    return theirs


def gradients_of_mha(theirs: nn.MultiheadAttention, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of the library's stacked matrix under the names of our convolutions."""
    seen = {}
    for i, part in enumerate(("query", "key", "value")):
        seen[f"{part}.weight"] = found["in_proj_weight"].chunk(3)[i][..., None, None]
        seen[f"{part}.bias"] = found["in_proj_bias"].chunk(3)[i]
    return seen


def close(length: int, width: int, kernel_size: int) -> Tensor:
    """(N, N) bool: which pixels lie in each other's k x k window, from their coordinates."""
    rows, columns = torch.meshgrid(torch.arange(length), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], -1)
    return (places[:, None] - places[None]).abs().amax(-1) <= kernel_size // 2


KEY_BIAS = (
    "key.bias",
)  # adds the same number to all scores of a query, which softmax ignores: a true zero, on both sides


@SHAPES
def test_self_attention_is_the_librarys_with_one_head_and_a_gated_residual(shape):
    layer, x = drawn(SelfAttention2d(shape[1])), draw(*shape, seed=1)
    theirs = mha_from(layer)
    gamma = layer.gamma.detach().clone().requires_grad_()
    attended, weights = theirs(*[tokens_of(x)] * 3)
    expected = x + gamma * image_of(attended, x)
    output = layer(x)
    assert_same(
        {"output": output, "weights": layer.weights(x)}, {"output": expected, "weights": weights.squeeze(1)}
    )
    ours = gradients(output, {"x": x, **dict(layer.named_parameters())})
    found = gradients(expected, {"x": x, "gamma": gamma, **dict(theirs.named_parameters())})
    named = gradients_of_mha(theirs, found) | {
        "x": found["x"],
        "gamma": found["gamma"],
        "output.weight": found["out_proj.weight"][..., None, None],
        "output.bias": found["out_proj.bias"],
    }
    assert_same(ours, {name: named[name] for name in ours}, zero=KEY_BIAS)


@SHAPES
@pytest.mark.parametrize("width", [1, 2, 5])
def test_self_attention_in_fewer_channels_is_the_librarys_kernel(shape, width):
    layer, x = drawn(SelfAttention2d(shape[1], head_channels=width)), draw(*shape, seed=2)
    leaves = {"x": x, **dict(layer.named_parameters())}
    query, key, value = (
        F.linear(tokens_of(x), part.weight.flatten(1), part.bias)
        for part in (layer.query, layer.key, layer.value)
    )
    attended = F.linear(
        F.scaled_dot_product_attention(query, key, value), layer.output.weight.flatten(1), layer.output.bias
    )
    expected = x + layer.gamma * image_of(attended, x)
    assert_same({"output": layer(x)}, {"output": expected})
    assert_same(gradients(layer(x), leaves), gradients(expected, leaves), zero=KEY_BIAS)


def test_self_attention_starts_as_the_identity_and_still_learns():
    layer, x = SelfAttention2d(6).double(), draw(2, 6, 3, 5, seed=3)
    assert torch.equal(layer(x), x)
    found = gradients(layer(x), dict(layer.named_parameters()))
    assert found["gamma"].abs() > 1e-3, "the gate gets a gradient at once"
    assert all((value == 0).all() for name, value in found.items() if name != "gamma"), (
        "the rest waits for it"
    )


@SHAPES
def test_self_attention_does_not_know_where_pixels_are(shape):
    layer, x = drawn(SelfAttention2d(shape[1])), draw(*shape, seed=4, grad=False)
    order = torch.randperm(shape[2] * shape[3], generator=torch.Generator().manual_seed(5))
    shuffled = layer(x.flatten(2)[..., order].view_as(x)).flatten(2)
    assert_same({"output": shuffled}, {"output": layer(x).flatten(2)[..., order]})


@SHAPES
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_neighborhoods_are_what_a_convolution_sees(shape, kernel_size):
    """A convolution's output is each window times its weight; windows of the stand-in come another way."""
    x = draw(*shape, seed=6)
    weight = draw(4, shape[1], kernel_size, kernel_size, seed=7, grad=False)
    windows, inside = neighborhoods(x, kernel_size)
    output = torch.einsum("bckn,ock->bon", windows, weight.flatten(2)).view(shape[0], 4, *shape[2:])
    expected = F.conv2d(x, weight, padding=kernel_size // 2)
    assert_same(
        {"output": output, **gradients(output, {"x": x})},
        {"output": expected, **gradients(expected, {"x": x})},
    )
    theirs, inside_too = local_attention.neighborhoods(x, kernel_size)
    assert torch.equal(windows, theirs) and torch.equal(inside, inside_too)
    assert inside.dtype == torch.bool
    assert inside.sum() == close(*shape[2:], kernel_size).sum()


@SHAPES
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_local_attention_is_global_attention_with_a_mask(shape, kernel_size):
    layer, x = drawn(LocalAttention2d(shape[1], kernel_size)), draw(*shape, seed=8)
    theirs = mha_from(layer)
    blocked = ~close(*shape[2:], kernel_size)
    expected = image_of(theirs(*[tokens_of(x)] * 3, attn_mask=blocked)[0], x)
    output = layer(x)
    ours = {"output": output, **gradients(output, {"x": x, **dict(layer.named_parameters())})}
    found = gradients(expected, {"x": x, **dict(theirs.named_parameters())})
    named = {"output": expected, "x": found["x"], **gradients_of_mha(theirs, found)}
    alone = (
        ("query.weight", "query.bias", "key.weight") if kernel_size == 1 else ()
    )  # one key: nothing to choose
    assert_same(ours, {name: named[name] for name in ours}, zero=KEY_BIAS + alone)


@SHAPES
def test_a_window_over_the_whole_image_is_global_attention(shape):
    layer = drawn(LocalAttention2d(shape[1], 2 * max(shape[2:]) - 1))
    x = draw(*shape, seed=9, grad=False)
    assert close(*shape[2:], layer.kernel_size).all()
    expected = image_of(mha_from(layer)(*[tokens_of(x)] * 3)[0], x)
    assert_same({"output": layer(x)}, {"output": expected})


def test_even_windows_are_refused():
    with pytest.raises(ValueError, match="must be odd, got 4"):
        neighborhoods(torch.zeros(1, 2, 5, 6), 4)


@SHAPES
def test_pixel_tokens(shape):
    x = draw(*shape, seed=10, grad=False)
    tokens = pixel_tokens(x)
    assert torch.equal(tokens, tokens_of(x)) and torch.equal(tokens, library_tokens(x))
    assert torch.equal(tokens[:, shape[3] * (shape[2] - 1)], x[:, :, -1, 0])


def pixel_transformer(use_positions: bool) -> tuple[PixelTransformer, nn.TransformerEncoder]:
    ours = drawn(PixelTransformer((3, 5), 2, 12, 2, 3, 7, use_positions=use_positions))
    layer = nn.TransformerEncoderLayer(12, 3, 48, 0.0, "gelu", batch_first=True, norm_first=True)
    theirs = drawn(nn.TransformerEncoder(layer, 2, nn.LayerNorm(12), enable_nested_tensor=False))
    state = from_torch(theirs.state_dict())
    ours.load_state_dict(
        {k: v for k, v in ours.state_dict().items() if not k.startswith(("layers", "norm"))} | state
    )
    return ours, theirs


@pytest.mark.parametrize("use_positions", [True, False])
def test_pixel_transformer_is_the_librarys_encoder_on_a_row_of_pixels(use_positions):
    ours, theirs = pixel_transformer(use_positions)
    images = draw(4, 2, 3, 5, seed=11)
    embedded = F.linear(tokens_of(images), ours.embedding.weight, ours.embedding.bias)
    if use_positions:
        embedded = embedded + ours.positions
    expected = F.linear(theirs(embedded).mean(1), ours.head.weight, ours.head.bias)
    output = ours(images)
    own = {k: v for k, v in ours.named_parameters() if not k.startswith(("layers", "norm"))} | {
        "images": images
    }
    left = gradients(output, dict(ours.named_parameters()) | own)
    right = gradients(expected, dict(theirs.named_parameters()) | own)
    right = from_torch(right)
    assert_same({"output": output, **left}, {"output": expected, **{k: right[k] for k in left}})


def test_without_positions_shuffled_pixels_give_shuffled_tokens_and_the_same_logits():
    images = draw(2, 2, 3, 5, seed=12, grad=False)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(13))
    shuffled = images.flatten(2)[..., order].view_as(images)
    blind, _ = pixel_transformer(False)
    assert_same({"tokens": blind.encode(shuffled)}, {"tokens": blind.encode(images)[:, order]})
    assert_same({"logits": blind(shuffled)}, {"logits": blind(images)})
    seeing, _ = pixel_transformer(True)
    assert (seeing(shuffled) - seeing(images)).abs().max() > 1e-2


def test_pixel_transformer_refuses_other_images():
    with pytest.raises(ValueError, match=r"\(2, 3, 5\), got \(2, 5, 3\)"):
        PixelTransformer((3, 5), 2, 12, 1, 3, 7)(torch.zeros(1, 2, 5, 3))


def test_memory_of_the_lecture():
    gib, mib = 2**30, 2**20
    assert attention_memory_bytes(128 * 128, 48, 16, 4) == 768 * gib
    assert attention_memory_bytes(14 * 14, 48, 16, 4) / mib == pytest.approx(112.55, abs=0.005)
    assert attention_memory_bytes(16 * 16, 48, 16, 4) == 192 * mib


@pytest.mark.parametrize(("tokens", "layers", "heads"), [(10, 1, 1), (24, 3, 2), (15, 2, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_formula_counts_what_autograd_keeps(tokens, layers, heads, dtype):
    """Every (N, N) tensor that is saved for the backward pass, each storage once."""
    stack = nn.ModuleList(MultiHeadAttention(8, heads) for _ in range(layers)).to(dtype)
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        if value.shape[-2:] == (tokens, tokens):
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    x = torch.randn(1, tokens, 8, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        for layer in stack:
            x = layer(x)[0]
    assert sum(kept.values()) == attention_memory_bytes(tokens, layers, heads, x.element_size())
