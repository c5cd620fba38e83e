"""What a user does wrong with the ViT gets one clear sentence; what they do right, at the edges, works."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solutions.patches import patchify, unpatchify
from solutions.vit import ViT
from solutions.vit_block import SelfAttention
from solutions.vit_pretrained import interpolate_positions, load_pretrained
from tests.test_parity_vit import SIZES
from utils.authoring.bench.suites.vit import timm_vit, transformers_vit
from utils.layers.stochastic_depth import StochasticDepth

SIZE = SIZES["square"]


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and 20 < len(text) < 300, text
    return text


@pytest.mark.parametrize(
    ("images", "kind", "words"),
    [
        (torch.zeros(2, 3, 24, 24, dtype=torch.uint8), TypeError, ("torch.uint8", "divide by 255")),
        (torch.zeros(2, 3, 24, 24, dtype=torch.int64), TypeError, ("torch.int64",)),
        (torch.zeros(0, 3, 24, 24), ValueError, ("B > 0", "(0, 3, 24, 24)")),
        (torch.zeros(2, 1, 24, 24), ValueError, ("(B, 3, 24, 24)", "(2, 1, 24, 24)")),
        (torch.zeros(2, 24, 24, 3), ValueError, ("(2, 24, 24, 3)",)),
        (torch.zeros(3, 24, 24), ValueError, ("(3, 24, 24)",)),
        (torch.zeros(2, 3, 32, 24), ValueError, ("(2, 3, 32, 24)",)),
    ],
)
def test_images_that_the_model_cannot_read(
    images: Tensor, kind: type[Exception], words: tuple[str, ...]
) -> None:
    with pytest.raises(kind) as error:
        ViT(**SIZE)(images)
    assert all(word in sentence(error) for word in words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ViT(30, 8, 32, 1, 4), ("8 x 8", "30 x 30")),
        (lambda: ViT((24, 30), 8, 32, 1, 4), ("24 x 30",)),
        (lambda: ViT(**SIZE | {"num_heads": 5}), ("32", "5 heads")),
        (lambda: SelfAttention(10, 3), ("10", "3 heads")),
        (lambda: ViT(**SIZE, pool="max"), ("'cls' or 'mean'", "'max'")),
        (lambda: ViT.from_config("vit_h_14"), ("vit_h_14", "vit_b_16", "vit_cifar")),
        (lambda: StochasticDepth(1.0), ("below 1",)),
        (lambda: patchify(torch.zeros(1, 3, 9, 8), 4), ("9 x 8", "4 x 4")),
        (lambda: unpatchify(torch.zeros(1, 5, 12), 2, 4, 6), ("5 patches", "4 x 6")),
        (lambda: unpatchify(torch.zeros(1, 6, 12), 2, 5, 6), ("5 x 6",)),
        (lambda: interpolate_positions(torch.zeros(1, 10, 4), (2, 4), (3, 3)), ("10 positions", "2 x 4")),
    ],
)
def test_sizes_that_do_not_fit(make, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert all(word in sentence(error) for word in words)


def refused(state: dict[str, Tensor], model: nn.Module | None = None) -> str:
    """The sentence with which a file is refused; the model must be left as it was."""
    model = model or ViT(**SIZE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_pretrained(model, state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return sentence(error)


def test_a_checkpoint_of_another_size_names_the_first_weight_that_does_not_fit() -> None:
    wider = refused(transformers_vit(SIZE | {"dim": 48}).state_dict())
    assert (
        "'cls_token' (from vit.embeddings.cls_token) has shape (1, 1, 48)" in wider and "(1, 1, 32)" in wider
    )
    larger = refused(transformers_vit(SIZE | {"image_size": 32}).state_dict())
    assert "'positions' (from vit.embeddings.position_embeddings) has shape (1, 17, 32)" in larger
    deeper = refused(transformers_vit(SIZE | {"depth": 4}).state_dict())
    assert "'vit.encoder.layer.3." in deeper and "no place in this model" in deeper
    shallower = refused(timm_vit(SIZE | {"depth": 2}).state_dict())
    assert "no weight 'vit.encoder.layer.2." in shallower
    classes = refused(timm_vit(SIZE | {"num_classes": 9}).state_dict())
    assert "'head.weight' (from classifier.weight) has shape (9, 32)" in classes


def test_files_that_are_no_vit_classifier() -> None:
    state = transformers_vit(SIZE).state_dict()
    assert "no weight 'vit.embeddings.cls_token'" in refused({"conv1.weight": torch.zeros(1)})
    assert "vit.embeddings.cls_token" in refused({})
    assert "'vit.pooler.dense.weight' has no place" in refused(
        state | {"vit.pooler.dense.weight": torch.zeros(32, 32)}
    )
    state.pop("vit.layers.1.mlp.fc1.bias")
    assert "'vit.encoder.layer.1.intermediate.dense.bias'" in refused(state)


def test_no_bias_in_the_attention_is_another_model() -> None:
    assert "query.bias" in refused(transformers_vit(SIZE, qkv_bias=False).state_dict())


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_edges_that_work(pool: str) -> None:
    model = ViT((8, 4), 4, 6, 1, 3, 1.0, 0, pool, in_channels=1)
    assert model(torch.randn(1, 1, 8, 4)).shape == (1, 6), "one image, one channel, no head"
    assert model.attention_maps(torch.randn(2, 1, 8, 4)).shape == (
        1,
        2,
        3,
        2 + (pool == "cls"),
        2 + (pool == "cls"),
    )
    assert ViT(4, 4, 6, 0, 1, num_classes=2, pool=pool)(torch.randn(3, 3, 4, 4)).shape == (3, 2), (
        "no block, one patch"
    )
    noncontiguous = torch.randn(2, 8, 4, 1).permute(0, 3, 1, 2)
    assert torch.equal(model.eval()(noncontiguous), model(noncontiguous.contiguous()))
    channels_last = noncontiguous.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(channels_last), model(noncontiguous))


def test_the_state_dict_survives_a_save(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    model = ViT(**SIZE)
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    other = ViT(**SIZE)
    other.load_state_dict(load_file(tmp_path / "vit.safetensors"))
    images = torch.randn(1, 3, 24, 24)
    assert torch.equal(model.eval()(images), other.eval()(images))
