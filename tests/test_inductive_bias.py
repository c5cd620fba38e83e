"""Notebook 06's instruments: symmetries that hold exactly, without training, in float64; values computed by hand; bad inputs."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch import Tensor, nn

from solutions.attention_maps import mean_attention_distance
from solutions.equivariance import shift_consistency, translation_equivariance_error
from solutions.fine_tuning import fine_tune
from solutions.permutation import permute_pixels
from solutions.resnet import ResNet
from solutions.vit import ViT
from tests.peers import import_timm


def both(stem: str) -> pytest.MarkDecorator:
    """The answers and the stand-ins of one idea, one after the other."""
    modules = [importlib.import_module(f"{room}.{stem}") for room in ("solutions", "utils.stand_ins")]
    return pytest.mark.parametrize("source", modules, ids=["answer", "stand-in"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def drawn(module: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, with every vector away from its default."""
    module = module.double().eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point() and (value.ndim == 1 or name in ("positions", "cls_token")):
                value.copy_(torch.rand_like(value) + (0.5 if "weight" in name or "var" in name else -0.5))
    return module


def make_circular(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and any(part.padding):
            part.padding_mode = "circular"
    return module


# ------------------------------------------------------------------------------------------ shifts


def test_a_convolution_without_a_border_commutes_with_every_shift() -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular").double()
    for shift in ((0, 1), (1, -2), (-3, 4), (5, 0)):
        assert translation_equivariance_error(layer, images(2, 3, 6, 9), shift) < 1e-14


def test_zeros_at_the_border_break_it_there_and_nowhere_else() -> None:
    layer, x = nn.Conv2d(2, 4, 3, padding=1).double(), images(2, 2, 8, 10)
    assert translation_equivariance_error(layer, x, (0, 1)) > 0.05
    moved, still = layer(x.roll(1, 3)), layer(x).roll(1, 3)
    inside = (moved - still)[:, :, :, 2:-1]
    assert inside.abs().max() < 1e-14 < (moved - still).abs().max()


def test_error_is_the_ratio_of_the_norms() -> None:
    x = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    position = torch.tensor([1.0, 0.0, 0.0])
    # layer(roll x) = [4*1, 0, 0]; roll(layer x) = [0, 1, 0]; |layer x| = 1
    found = translation_equivariance_error(lambda v: v * position, x, (0, 1))
    assert found.item() == pytest.approx(math.sqrt(17))


def test_patch_embedding_commutes_with_shifts_by_whole_patches_only() -> None:
    layer, x = nn.Conv2d(3, 7, 4, stride=4).double(), images(2, 3, 8, 12)
    assert translation_equivariance_error(layer, x, (4, -8)) < 1e-14
    with pytest.raises(ValueError, match="a shift of 1 pixels down has no counterpart.*8 positions become 2"):
        translation_equivariance_error(layer, x, (1, 0))
    upsampled = nn.Sequential(layer, nn.Upsample(scale_factor=4))
    assert translation_equivariance_error(upsampled, x, (0, 4)) < 1e-14
    assert translation_equivariance_error(upsampled, x, (0, 1)) > 0.3


def test_a_strided_network_is_equivariant_to_shifts_by_its_stride_only() -> None:
    network, x = make_circular(drawn(ResNet(4, 5, (1, 1, 1), 3))), images(2, 3, 16, 24)
    assert translation_equivariance_error(network.features, x, (4, -8)) < 1e-12
    upsampled = nn.Upsample(scale_factor=4)
    assert translation_equivariance_error(lambda v: upsampled(network.features(v)), x, (1, 0)) > 0.01
    with torch.no_grad():  # the mean over the map turns equivariance into invariance
        logits = network(x)
        torch.testing.assert_close(network(x.roll((4, -8), (2, 3))), logits, rtol=1e-11, atol=1e-11)
        assert (network(x.roll(1, 2)) - logits).abs().max() > 1e-3


# ------------------------------------------------------------------------------------------ consistency


class Brightest(nn.Module):
    """Class = the column with the largest sum: moves with the image, so every shift across changes the answer."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((1, 2))


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@both("equivariance")
def test_consistency_by_hand(source) -> None:
    x = images(6, 1, 5, 4)
    # up and down keep the column sums, left and right move them, by 2 of 4 columns at s = 2 just as well
    assert source.shift_consistency(Brightest(), x, 3).tolist() == [1.0, 0.5, 0.5, 0.5]
    assert source.shift_consistency(Mean(), images(6, 3, 5, 4), 2).tolist() == [1.0, 1.0, 1.0]


@both("equivariance")
def test_a_model_with_dropout_is_asked_in_evaluation_mode(source) -> None:
    model = nn.Sequential(nn.Dropout(0.9), Mean()).train()
    assert source.shift_consistency(model, images(20, 3, 5, 6), 2).tolist() == [1.0, 1.0, 1.0]
    assert model.training and model[0].training


def test_max_shift_must_fit_into_the_image() -> None:
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=f"between 0 and 3 for images of 5 x 4 pixels, got {wrong}"):
            shift_consistency(Mean(), images(2, 3, 5, 4), wrong)


def test_consistency_of_a_circular_network_is_one_at_its_stride() -> None:
    network = make_circular(drawn(ResNet(4, 5, (1, 1), 3)))
    shares = shift_consistency(network, images(40, 3, 8, 8), 4)
    assert shares[0] == shares[2] == shares[4] == 1.0
    assert shares.dtype == torch.float32 and shares.shape == (5,)


# ------------------------------------------------------------------------------------------ permutations


def pixel_order(order: Tensor, rows: int, columns: int, p: int) -> Tensor:
    """The permutation of pixels that puts whole p x p patches into `order`."""
    n = (
        torch.arange(rows * columns * p * p)
        .view(rows, p, columns, p)
        .permute(0, 2, 1, 3)
        .flatten(2)
        .flatten(0, 1)
    )
    moved = n[order].view(rows, columns, p, p).permute(0, 2, 1, 3)
    return moved.flatten()


def small_vit(pool: str) -> ViT:
    return drawn(ViT((8, 12), 4, 16, 2, 4, 2.0, 5, pool=pool))


@both("permutation")
def test_permutation_by_hand_and_back(source) -> None:
    x = torch.arange(6.0).view(1, 1, 2, 3)
    order = torch.tensor([5, 0, 3, 1, 2, 4])
    assert source.permute_pixels(x, order).flatten().tolist() == [5, 0, 3, 1, 2, 4]
    x, order = images(2, 3, 4, 5), torch.randperm(20)
    assert torch.equal(source.permute_pixels(source.permute_pixels(x, order), order.argsort()), x)


def test_what_is_no_permutation_is_refused() -> None:
    for wrong in (torch.arange(5), torch.zeros(6, dtype=torch.long), torch.arange(6) - 1):
        with pytest.raises(ValueError, match="2 x 3 pixels needs each of 0 .. 5 once"):
            permute_pixels(images(1, 1, 2, 3), wrong)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_a_vit_without_positions_does_not_know_the_order_of_its_patches(pool: str) -> None:
    model, x, order = small_vit(pool), images(2, 3, 8, 12), torch.tensor([4, 2, 0, 5, 1, 3])
    mixed = permute_pixels(x, pixel_order(order, 2, 3, 4))
    with torch.no_grad():
        assert (model(mixed) - model(x)).abs().max() > 1e-3, "with positions it knows"
        patches = model.positions[:, -6:]
        patches.copy_(patches[:, :1].expand_as(patches))  # all patches get one and the same position
        torch.testing.assert_close(model(mixed), model(x), rtol=1e-11, atol=1e-12)
        tokens, moved = model.encode(x)[:, -6:], model.encode(mixed)[:, -6:]
        torch.testing.assert_close(moved, tokens[:, order], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_permuting_patches_and_positions_alike_changes_nothing(pool: str) -> None:
    """Why a fixed permutation of the patches costs a ViT with learned positions nothing: the same model is there, renamed."""
    model, x, order = small_vit(pool), images(2, 3, 8, 12), torch.tensor([1, 4, 5, 0, 3, 2])
    mixed = permute_pixels(x, pixel_order(order, 2, 3, 4))
    with torch.no_grad():
        expected = model(x)
        model.positions[:, -6:] = model.positions[:, -6:][:, order]
        torch.testing.assert_close(model(mixed), expected, rtol=1e-11, atol=1e-12)


def test_permuting_pixels_inside_all_patches_alike_is_a_permutation_of_the_embeddings_weights() -> None:
    model, x, inside = small_vit("mean"), images(2, 3, 8, 12), torch.randperm(16)
    order = pixel_order(torch.arange(6), 2, 3, 4)
    places = torch.arange(96).view(2, 4, 3, 4).permute(0, 2, 1, 3).reshape(6, 16)
    order = torch.empty(96, dtype=torch.long)
    order[places] = places[:, inside]
    with torch.no_grad():
        expected = model(x)
        weight = model.patch_embedding.projection.weight
        weight.copy_(weight.view(16, 3, 16)[:, :, inside].flatten(1))
        torch.testing.assert_close(model(permute_pixels(x, order)), expected, rtol=1e-11, atol=1e-12)


def test_a_cnn_notices_permuted_patches() -> None:
    model, x = drawn(ResNet(4, 5, (1, 1), 3)), images(2, 3, 8, 12)
    mixed = permute_pixels(x, pixel_order(torch.tensor([4, 2, 0, 5, 1, 3]), 2, 3, 4))
    assert (model(mixed) - model(x)).abs().max() > 1e-3


# ------------------------------------------------------------------------------------------ attention distance


@both("attention_maps")
@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ((1, 1), 0.0),
        ((1, 3), 8 / 9),  # (0+1+2 + 1+0+1 + 2+1+0) / 9
        ((2, 2), (2 + math.sqrt(2)) / 4),  # from every corner: 0, 1, 1, sqrt 2
        # corners: 0+1+2 + 1+sqrt2+sqrt5; the two in the middle: 1+0+1 + sqrt2+1+sqrt2
        ((2, 3), (4 * (4 + math.sqrt(2) + math.sqrt(5)) + 2 * (3 + 2 * math.sqrt(2))) / 36),
    ],
)
def test_uniform_attention_by_hand(source, grid: tuple[int, int], expected: float) -> None:
    n = grid[0] * grid[1]
    uniform = torch.full((2, 3, n, n), 1 / n, dtype=torch.float64)
    assert source.mean_attention_distance(uniform, grid) == pytest.approx(
        torch.full((2, 3), expected).numpy()
    )
    with_cls = torch.full((n + 1, n + 1), 1 / (n + 1), dtype=torch.float64)
    assert source.mean_attention_distance(with_cls, grid).item() == pytest.approx(expected)


@both("attention_maps")
def test_attention_to_one_place(source) -> None:
    identity = torch.eye(12, dtype=torch.float64)
    assert source.mean_attention_distance(identity, (3, 4)).item() == 0
    corner = torch.zeros(12, 12, dtype=torch.float64)
    corner[:, 0] = 1  # everybody looks at the upper left patch
    hand = sum(math.hypot(i, j) for i in range(3) for j in range(4)) / 12
    assert source.mean_attention_distance(corner, (3, 4)).item() == pytest.approx(hand)
    assert source.mean_attention_distance(corner, (4, 3)).item() == pytest.approx(hand), "symmetric here"
    assert source.mean_attention_distance(corner, (2, 6)).item() != pytest.approx(hand)


@both("attention_maps")
def test_what_goes_to_cls_does_not_count_as_near(source) -> None:
    patches = torch.rand(4, 6, 6, dtype=torch.float64).softmax(-1)
    with_cls = torch.zeros(4, 7, 7, dtype=torch.float64)
    with_cls[:, 0, 0] = 1
    with_cls[:, 1:, 0], with_cls[:, 1:, 1:] = 0.75, patches / 4
    expected = source.mean_attention_distance(patches, (2, 3))
    torch.testing.assert_close(source.mean_attention_distance(with_cls, (2, 3)), expected)


def test_weights_must_fit_the_grid() -> None:
    for shape in ((2, 5, 5), (2, 8, 8), (6, 7)):
        with pytest.raises(ValueError, match="do not fit a grid of 2 x 3 patches"):
            mean_attention_distance(torch.rand(*shape), (2, 3))


# ------------------------------------------------------------------------------------------ fine-tuning

LAYERS = [("patch_embedding", "cls_token", "positions"), ("blocks.0",), ("blocks.1", "norm")]


def rates(model: nn.Module, groups: list[dict]) -> dict[str, float]:
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    return {name: rate[id(p)] for name, p in model.named_parameters()}


@both("fine_tuning")
def test_rates_by_hand(source) -> None:
    model = small_vit("cls")
    found = rates(model, source.fine_tune(model, LAYERS, 7, 0.8, 0.5))
    assert found["head.weight"] == found["head.bias"] == 0.8
    assert found["norm.weight"] == found["blocks.1.linear1.bias"] == 0.4
    assert found["blocks.0.norm1.weight"] == 0.2
    assert found["cls_token"] == found["positions"] == found["patch_embedding.projection.weight"] == 0.1
    assert model.head.weight.shape == (7, 16) and model.head.weight.dtype == torch.float64
    assert not model(images(2, 3, 8, 12)).any(), "a head of zeros says nothing yet"


@both("fine_tuning")
def test_only_what_has_a_rate_learns(source) -> None:
    model, x = small_vit("mean"), images(6, 3, 8, 12)
    layers = [tuple(name for name in part if name != "cls_token") for part in LAYERS]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(source.fine_tune(model, layers, 5, 0.5, 0.0))
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(6) % 5).backward()
        optimizer.step()
    assert model.blocks[0].linear1.weight.grad.abs().max() > 0, "it has a gradient, and a rate of 0"
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]) != name.startswith("head."), name


def test_rates_are_timms_layer_decay() -> None:
    """timm puts the last norm into the head's layer; all else has the same rate."""
    timm = import_timm()
    from timm.optim import param_groups_layer_decay

    theirs = timm.models.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=12, depth=11, num_heads=2, num_classes=3
    )
    expected = {
        id(p): group["lr_scale"]
        for group in param_groups_layer_decay(theirs, layer_decay=0.7)
        for p in group["params"]
    }
    wanted = {name: expected[id(p)] for name, p in theirs.named_parameters()}
    layers = [
        ("patch_embed", "cls_token", "pos_embed"),
        *((f"blocks.{i}",) for i in range(10)),
        ("blocks.10", "norm"),
    ]
    found = rates(theirs, fine_tune(theirs, layers, 3, 1.0, 0.7))
    assert len(set(found.values())) == 13
    for name, value in wanted.items():
        assert name.startswith("norm.") or found[name] == pytest.approx(value), name


@both("fine_tuning")
def test_layers_must_cover_the_model_exactly(source) -> None:
    with pytest.raises(ValueError, match="positions is in 0 .* must be in exactly one"):
        source.fine_tune(small_vit("cls"), [("patch_embedding", "cls_token"), *LAYERS[1:]], 3, 0.1, 0.5)
    with pytest.raises(ValueError, match="norm.weight is in 2 .* must be in exactly one"):
        source.fine_tune(small_vit("cls"), [("norm", *LAYERS[0]), *LAYERS[1:]], 3, 0.1, 0.5)
