"""What a user does wrong with Mixer, PoolFormer and the token mixers gets one clear sentence; what is right, at the edges, works."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solutions.metaformer import MetaFormerBlock, PoolFormer
from solutions.mixer import MixerBlock, MLPMixer
from solutions.pooling import Pooling
from solutions.token_mixers import MapAttention, make_mixer, mixer_metaformer

MIXER = {"image_size": 8, "patch_size": 4, "dim": 6, "depth": 1, "token_hidden": 5, "channel_hidden": 7}
POOL = {"depths": (1, 1), "dims": (4, 6), "num_classes": 3, "stem": (3, 2, 1)}


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and 20 < len(text) < 300, text
    return text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MLPMixer(**MIXER | {"image_size": 30}), ("4 x 4", "30 x 30")),
        (lambda: MLPMixer(**MIXER | {"image_size": (8, 10)}), ("8 x 10",)),
        (lambda: MLPMixer.from_config("mixer_xl_16"), ("mixer_xl_16", "mixer_s_16", "mixer_cifar")),
        (lambda: MixerBlock(4, 6, 5, 7)(torch.zeros(2, 5, 6)), ("4 tokens", "width 6", "5 x 6")),
        (lambda: MixerBlock(4, 6, 5, 7)(torch.zeros(2, 4, 7)), ("4 x 7",)),
        (lambda: Pooling(4), ("odd", "4")),
        (lambda: Pooling(0), ("odd", "0")),
        (lambda: Pooling(-3), ("-3",)),
        (lambda: PoolFormer((1, 2, 1), (4, 6)), ("3 stages", "2")),
        (
            lambda: PoolFormer.from_config("poolformer_xs"),
            ("poolformer_xs", "poolformer_s12", "poolformer_cifar"),
        ),
        (lambda: mixer_metaformer("convolution"), ("'convolution'", "window attention", "identity")),
        (lambda: mixer_metaformer("pooling", image_size=36), ("36", "3 times")),
        (lambda: MapAttention(8, 6, 4), ("4 x 4", "6 x 6")),
        (lambda: mixer_metaformer("attention", dims=(48, 65, 160)), ("65", "heads")),
    ],
)
def test_sizes_that_do_not_fit(make, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("images", "kind", "words"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), TypeError, ("torch.uint8", "divide by 255")),
        (torch.zeros(0, 3, 8, 8), ValueError, ("B > 0", "(0, 3, 8, 8)")),
        (torch.zeros(2, 1, 8, 8), ValueError, ("3", "(2, 1, 8, 8)")),
        (torch.zeros(2, 8, 8, 3), ValueError, ("(2, 8, 8, 3)",)),
        (torch.zeros(3, 8, 8), ValueError, ("(3, 8, 8)",)),
    ],
)
@pytest.mark.parametrize("model", [MLPMixer(**MIXER), PoolFormer(**POOL)], ids=["mixer", "poolformer"])
def test_images_that_a_model_cannot_read(model, images: Tensor, kind: type[Exception], words) -> None:
    with pytest.raises(kind) as error:
        model(images)
    assert all(word in sentence(error) for word in words)


def test_another_size_is_refused_by_mixer_and_read_by_poolformer() -> None:
    """The token MLP has a weight per pair of positions; pooling has none."""
    with pytest.raises(ValueError) as error:
        MLPMixer(**MIXER)(torch.zeros(2, 3, 16, 8))
    assert "(B, 3, 8, 8)" in sentence(error) and "(2, 3, 16, 8)" in sentence(error)
    for size in ((16, 8), (9, 7), (1, 1)):
        assert PoolFormer(**POOL)(torch.zeros(2, 3, *size)).shape == (2, 3)


def test_a_neighbourhood_larger_than_the_map_is_the_mean_of_the_map() -> None:
    x = torch.randn(2, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Pooling(7)(x), x.mean((2, 3), keepdim=True) - x)
    assert torch.equal(Pooling(1)(x), torch.zeros_like(x))


def test_block_does_not_change_its_input() -> None:
    x = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    MetaFormerBlock(4, nn.Identity(), layer_scale=1.0)(x)
    MixerBlock(4, 6, 5, 7)(tokens := torch.ones(2, 4, 6))
    assert torch.equal(x, before) and torch.equal(tokens, torch.ones(2, 4, 6))


def test_small_maps_and_odd_windows() -> None:
    """A map smaller than the window is one window, unshifted."""
    mixer = make_mixer("window attention", 8, side=2, block=1)
    assert (mixer.window_size, mixer.shift_size) == (2, 0)
    assert mixer(torch.zeros(1, 8, 2, 2)).shape == (1, 8, 2, 2)
    assert mixer_metaformer("window attention", 24, window_size=3)(torch.zeros(1, 3, 24, 24)).shape == (1, 10)
