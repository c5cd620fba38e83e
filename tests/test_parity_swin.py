"""Swin against `timm` and `transformers`: the same random weights, the same images, equal outputs and equal gradients.

Configurations are tiny and nothing is downloaded. Every parameter is drawn (norm weights away from 1, biases and bias
tables away from 0), inputs have both signs, and maps are not square. Where the two libraries disagree with each other the
tests say so, and hold the course to the one that its docstring names.
"""

from __future__ import annotations

import nbformat
import pytest
import torch
from torch import nn

from solutions.shifted_windows import cyclic_shift, shifted_window_mask
from solutions.swin import PatchMerging, SwinBlock
from solutions.swin_model import SWIN_CONFIGS, SwinTransformer, from_timm, from_transformers, swin
from solutions.window_attention import WindowAttention, relative_position_index
from solutions.windows import window_partition, window_reverse
from tests.parity import generator, randomise
from tests.peers import import_timm, import_transformers
from utils.authoring import build

TINY = {"embed_dim": 8, "depths": (2, 3), "num_heads": (2, 4), "window_size": 4, "mlp_ratio": 2.0}
CLASSES = 5


@pytest.fixture(scope="module")
def timm_swin():
    """timm's module of Swin."""
    import_timm()
    from timm.models import swin_transformer

    return swin_transformer


@pytest.fixture(params=["the course's", "notebook 07's"])
def rename(request):
    """`from_transformers` of the answers, and the one that the notebook defines in a cell of its own."""
    if request.param == "the course's":
        return from_transformers
    cells = nbformat.read(build.STUDENT / "07_swin.ipynb", as_version=4).cells
    (code,) = [cell.source for cell in cells if "def from_transformers" in cell.source]
    space: dict = {"torch": torch}
    exec(code, space)
    return space["from_transformers"]


@pytest.fixture(scope="module")
def hf_swin():
    """transformers' module of Swin."""
    import_transformers()
    from transformers.models.swin import modeling_swin

    return modeling_swin


def images(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def gradients(module: nn.Module, output: torch.Tensor, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of a random projection of `output` for the input and every parameter, by name."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    cotangent = torch.randn(output.shape, generator=generator(2))
    found = torch.autograd.grad((output * cotangent).sum(), (x, *parameters))
    return dict(zip(("input", *names), found, strict=True))


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """Equal keys, equal values, and no gradient that is zero everywhere (that would compare nothing)."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.abs().max() > 0, name
        torch.testing.assert_close(
            value, theirs[name], rtol=1e-4, atol=1e-5 * value.abs().max().item(), msg=name
        )


def tiny(image_size: int | tuple[int, int] = 32, **changes: object) -> SwinTransformer:
    arguments = {"image_size": image_size, "patch_size": 2, "num_classes": CLASSES, **TINY, **changes}
    return SwinTransformer(**arguments).eval()


def tiny_timm(timm_swin, image_size=32, **changes):
    arguments = {**TINY, **changes}
    model = timm_swin.SwinTransformer(
        img_size=image_size,
        patch_size=2,
        num_classes=CLASSES,
        drop_path_rate=0.0,
        strict_img_size=False,
        **arguments,
    )
    return randomise(model)


def tiny_hf(hf_swin, image_size=32, **changes):
    arguments = {**TINY, **changes}
    arguments["depths"], arguments["num_heads"] = list(arguments["depths"]), list(arguments["num_heads"])
    config = hf_swin.SwinConfig(
        image_size=image_size, patch_size=2, num_labels=CLASSES, drop_path_rate=0.0, **arguments
    )
    return randomise(hf_swin.SwinForImageClassification(config))


def compare_models(ours: SwinTransformer, theirs: nn.Module, rename, size: tuple[int, int]) -> None:
    """Logits and every gradient, after loading the peer's weights into ours."""
    ours.load_state_dict(rename(theirs.state_dict()))
    x = images(2, 3, *size).requires_grad_()
    seen = ours(x)
    expected = theirs(x)
    expected = expected if isinstance(expected, torch.Tensor) else expected.logits
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_same(gradients(ours, seen, x), rename(gradients(theirs, expected, x)))


# The whole model ---------------------------------------------------------------------------------------------------

FITTING = [(32, 32), (32, 48), (64, 32)]  # every stage's map is a multiple of the window


@pytest.mark.parametrize("size", FITTING)
def test_model_equals_timm(timm_swin, size):
    compare_models(tiny(), tiny_timm(timm_swin), from_timm, size) if size[0] == size[1] else compare_models(
        tiny(size), tiny_timm(timm_swin, size), from_timm, size
    )


@pytest.mark.parametrize("size", [*FITTING, (28, 38), (27, 39), (44, 34)])
def test_model_equals_transformers(hf_swin, size, rename):
    """Also with padding to the patch, to the window, and at patch merging."""
    compare_models(tiny(), tiny_hf(hf_swin), rename, size)


def test_features_equal_transformers_last_hidden_state(hf_swin):
    theirs = tiny_hf(hf_swin)
    ours = tiny()
    ours.load_state_dict(from_transformers(theirs.state_dict()))
    x = images(2, 3, 40, 28)
    with torch.no_grad():
        expected = theirs.swin(x).last_hidden_state
        seen = ours.features(x)
    torch.testing.assert_close(seen.flatten(1, 2), expected, rtol=1e-4, atol=1e-5)


def test_padding_without_shift_equals_both(timm_swin, hf_swin):
    """Depths of one block have no shifted block: here the libraries agree on padding, and we with both."""
    unshifted = {"depths": (1, 1)}
    compare_models(
        tiny((36, 28), **unshifted), tiny_timm(timm_swin, (36, 28), **unshifted), from_timm, (36, 28)
    )
    compare_models(
        tiny((36, 28), **unshifted), tiny_hf(hf_swin, (36, 28), **unshifted), from_transformers, (36, 28)
    )


def test_window_larger_than_the_map_shrinks_as_in_timm(timm_swin):
    """24 px -> maps of 12 and 6: the second stage's window of 8 becomes 6, with the smaller bias table, unshifted."""
    ours = tiny(24, window_size=8)
    assert ours.layers[1]["blocks"][0].window_size == 6
    compare_models(ours, tiny_timm(timm_swin, 24, window_size=8), from_timm, (24, 24))


def test_window_larger_than_the_map_is_refused_by_transformers(hf_swin):
    """Why the row above has timm as its only peer."""
    with pytest.raises(RuntimeError):
        tiny_hf(hf_swin, 24, window_size=8)(images(1, 3, 24, 24))


def test_training_mode_changes_nothing(timm_swin):
    ours = randomise(tiny())
    x = images(2, 3, 32, 32)
    torch.testing.assert_close(ours.train()(x), ours.eval()(x), rtol=0, atol=0)


def test_channels_last_gives_the_same_logits():
    ours = randomise(tiny())
    x = images(2, 3, 32, 48)
    expected = ours(x)
    seen = ours.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)


def test_loads_published_names_of_older_transformers(hf_swin, rename):
    """Checkpoints on the Hub still use the names of version 4, index buffers included."""
    theirs = tiny_hf(hf_swin)
    old = {}
    for key, value in theirs.state_dict().items():
        for new_name, old_name in (
            (
                "attention.relative_position_bias.relative_position_bias_table",
                "attention.self.relative_position_bias_table",
            ),
            ("attention.q_proj", "attention.self.query"),
            ("attention.k_proj", "attention.self.key"),
            ("attention.v_proj", "attention.self.value"),
            ("attention.o_proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
        ):
            key = key.replace(new_name, old_name)
        old[key] = value
    old["swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"] = relative_position_index(4)
    ours = tiny()
    ours.load_state_dict(rename(old))
    x = images(1, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x).logits, rtol=1e-4, atol=1e-5)


# The block ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("size", [(8, 12), (9, 14), (11, 7), (4, 12)])
def test_block_equals_transformers(hf_swin, size, shift):
    """Shifted and not, padded and not, and a map that one window spans."""
    config = hf_swin.SwinConfig(embed_dim=8, window_size=4, mlp_ratio=2.0)
    config._attn_implementation = "eager"
    theirs = randomise(hf_swin.SwinLayer(config, 8, size, num_heads=2, shift_size=shift))
    ours = SwinBlock(8, 2, window_size=4, shift_size=shift, mlp_ratio=2.0)

    def rename(state):
        return from_transformers(state)

    ours.load_state_dict(rename(theirs.state_dict()))
    x = images(3, *size, 8).requires_grad_()
    seen = ours(x)
    expected = theirs(x.flatten(1, 2), size)[0].unflatten(1, size)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_same(gradients(ours, seen, x), rename(gradients(theirs, expected, x)))


def timm_block(timm_swin, size: tuple[int, int], shift: int) -> nn.Module:
    return randomise(
        timm_swin.SwinTransformerBlock(8, size, num_heads=2, window_size=4, shift_size=shift, mlp_ratio=2.0)
    )


@pytest.mark.parametrize(
    ("size", "shift"), [((8, 12), 0), ((8, 12), 2), ((12, 8), 1), ((9, 14), 0), ((11, 7), 0)]
)
def test_block_equals_timm(timm_swin, size, shift):
    theirs = timm_block(timm_swin, size, shift)
    ours = SwinBlock(8, 2, window_size=4, shift_size=shift, mlp_ratio=2.0)
    ours.load_state_dict(theirs.state_dict())
    x = images(3, *size, 8).requires_grad_()
    seen, expected = ours(x), theirs(x)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_same(gradients(ours, seen, x), gradients(theirs, expected, x))


def test_where_timm_differs(timm_swin):
    """Two places, both in the module's docstring: padding with a shift, and a map that is one window high."""
    for size in ((9, 14), (4, 12)):
        theirs = timm_block(timm_swin, size, 2)
        ours = SwinBlock(8, 2, window_size=4, shift_size=2, mlp_ratio=2.0)
        ours.load_state_dict(theirs.state_dict())
        x = images(3, *size, 8)
        assert (ours(x) - theirs(x)).abs().max() > 1e-2, size


def reached(block: nn.Module, size: tuple[int, int], row: int, col: int) -> torch.Tensor:
    """(H, W) bool: the positions whose input changes the block's output at (row, col)."""
    x = images(1, *size, 8).requires_grad_()
    (grad,) = torch.autograd.grad(block(x)[0, row, col].square().sum(), x)
    return grad[0].abs().sum(-1) > 1e-12


def test_padding_before_the_shift_keeps_the_edges_apart(timm_swin):
    """The reason for `transformers`' order: in a map of 11 rows timm's lets row 0 see row 10, across the wrapped edge."""
    size = (11, 12)
    ours = randomise(SwinBlock(8, 2, window_size=4, shift_size=2, mlp_ratio=2.0))
    assert not reached(ours, size, 0, 0)[2:].any()
    assert reached(timm_block(timm_swin, size, 2), size, 0, 0)[10].any()


@pytest.mark.parametrize("size", [(8, 12), (9, 14)])
@pytest.mark.parametrize("shift", [0, 2])
def test_a_pixel_sees_its_moved_window_and_no_more(size, shift):
    """Independent of roll and mask: a shifted window is a cut of the map along lines moved by the shift."""
    block = randomise(SwinBlock(8, 2, window_size=4, shift_size=shift, mlp_ratio=2.0))
    rows, cols = ((torch.arange(side) - shift).div(4, rounding_mode="floor") for side in size)
    for row, col in ((0, 0), (1, 3), (size[0] - 1, size[1] - 1), (size[0] - 1, 0), (5, 6)):
        expected = (rows == rows[row])[:, None] & (cols == cols[col])[None, :]
        assert torch.equal(reached(block, size, row, col), expected), (row, col)


# The parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_index_equals_timm(timm_swin, window):
    assert torch.equal(relative_position_index(window), timm_swin.get_relative_position_index(window, window))


def test_index_for_a_window_of_three():
    rows = [" ".join(str(value) for value in row) for row in relative_position_index(3).tolist()]
    assert rows[0] == "12 11 10 7 6 5 2 1 0"
    assert rows[1] == "13 12 11 8 7 6 3 2 1"
    assert rows[-1] == "24 23 22 19 18 17 14 13 12"


@pytest.mark.parametrize(("height", "width", "window"), [(4, 6, 2), (9, 3, 3), (7, 14, 7)])
def test_windows_equal_timm_and_come_back(timm_swin, height, width, window):
    x = images(2, height, width, 5)
    windows = window_partition(x, window)
    assert torch.equal(windows, timm_swin.window_partition(x, (window, window)))
    assert torch.equal(window_reverse(windows, window, height, width), x)


@pytest.mark.parametrize("with_mask", [False, True])
def test_attention_equals_timm(timm_swin, with_mask):
    theirs = randomise(timm_swin.WindowAttention(12, num_heads=3, window_size=2))
    ours = WindowAttention(12, 2, 3)
    ours.load_state_dict(theirs.state_dict())
    x = images(8, 4, 12).requires_grad_()  # two images of four windows
    mask = shifted_window_mask(4, 4, 2, 1) if with_mask else None
    additive = torch.zeros(4, 4, 4).masked_fill(~mask, -100.0) if with_mask else None
    seen, expected = ours(x, mask), theirs(x, additive)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_same(gradients(ours, seen, x), gradients(theirs, expected, x))


@pytest.mark.parametrize(("height", "width", "window", "shift"), [(8, 12, 4, 2), (14, 7, 7, 3), (6, 9, 3, 1)])
def test_mask_equals_timm(timm_swin, height, width, window, shift):
    block = timm_swin.SwinTransformerBlock(
        8, (height, width), num_heads=2, window_size=window, shift_size=shift, always_partition=True
    )
    assert torch.equal(shifted_window_mask(height, width, window, shift), block.attn_mask == 0)


def test_mask_without_a_shift_hides_nothing():
    assert shifted_window_mask(4, 6, 2, 0).all()


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (7, 3)])
def test_patch_merging_equals_both(timm_swin, hf_swin, size):
    """Odd sides included: both libraries pad them with zeros."""
    theirs, other = randomise(timm_swin.PatchMerging(6)), hf_swin.SwinPatchMerging(6)
    ours = PatchMerging(6)
    ours.load_state_dict(theirs.state_dict())
    other.load_state_dict(theirs.state_dict())
    x = images(2, *size, 6).requires_grad_()
    seen, expected = ours(x), theirs(x)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.flatten(1, 2), other(x.flatten(1, 2), size), rtol=1e-4, atol=1e-5)
    assert_same(gradients(ours, seen, x), gradients(theirs, expected, x))


def test_shift_and_back():
    x = images(2, 5, 7, 3)
    assert torch.equal(cyclic_shift(x, 2)[:, 0, 0], x[:, 2, 2])
    assert torch.equal(cyclic_shift(cyclic_shift(x, 2), -2), x)


# Sizes that do not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: window_partition(torch.zeros(1, 6, 8, 2), 4), "6 x 8 map .* windows of 4 x 4"),
        (lambda: WindowAttention(10, 4, 3), "10 channels .* 3 heads"),
        (
            lambda: SwinBlock(8, 2, 4)(torch.zeros(1, 3, 8, 8)),
            "window of 4 x 4 does not fit into a 3 x 8 map",
        ),
        (lambda: SwinBlock(8, 2, 4, 4), "below the window's 4, got 4"),
        (lambda: SwinTransformer(depths=(1, 1), num_heads=(2,)), "depths names 2 stages and num_heads 1"),
        (lambda: swin("swin_huge_224"), "swin_huge_224.*swin_tiny_224"),
    ],
)
def test_what_cannot_work_says_why(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


# Named configurations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("swin_tiny_224", "swin_tiny_patch4_window7_224"),
        ("swin_small_224", "swin_small_patch4_window7_224"),
        ("swin_base_224", "swin_base_patch4_window7_224"),
        ("swin_base_384", "swin_base_patch4_window12_384"),
    ],
)
def test_named_configurations_have_timms_parameters(name, theirs):
    timm = import_timm()
    with torch.device("meta"):
        ours, peer = swin(name), timm.create_model(theirs)
    shapes = {key: value.shape for key, value in ours.named_parameters()}
    assert shapes == {key: value.shape for key, value in from_timm(dict(peer.named_parameters())).items()}


def test_configurations_cover_three_sizes_at_two_resolutions():
    assert len(SWIN_CONFIGS) == 6
    assert {config["window_size"] for name, config in SWIN_CONFIGS.items() if name.endswith("384")} == {12}
