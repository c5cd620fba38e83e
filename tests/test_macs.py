"""Counts of parameters and multiply-adds against published figures, hand-made formulas and the libraries' models."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solutions.vit import ViT
from tests.peers import import_timm
from utils.cost.macs import count_macs, profile

# name, image side, parameters in millions, GMACs: the table of ViT and Swin papers, recounted
TIMM = [
    ("swin_base_patch4_window7_224", 224, 87.77, 15.431),
    ("swin_base_patch4_window12_384", 384, 87.90, 47.083),
    ("swin_tiny_patch4_window7_224", 224, 28.29, 4.491),
    ("mixer_s16_224", 224, 18.53, 3.777),
    ("mixer_b16_224", 224, 59.88, 12.602),
    ("mixer_l16_224", 224, 208.20, 44.548),
    ("poolformer_s12", 224, 11.92, 1.812),
    ("resnet18", 224, 11.69, 1.814),
    ("resnet50", 224, 25.56, 4.089),
]
OURS = [
    ("vit_b_16", {"image_size": 384}, 86.86, 55.484),
    ("vit_b_16", {"image_size": 384, "pool": "mean"}, 86.86, 55.378),
    ("vit_l_16", {"image_size": 384}, 304.72, 191.066),
    ("vit_l_16", {"image_size": 384, "pool": "mean"}, 304.72, 190.708),
    ("vit_l_32", {"image_size": 384}, 306.63, None),
    ("vit_s_16", {}, 22.05, 4.599),
    ("vit_b_16", {}, 86.57, 17.564),
    ("vit_cifar", {}, 2.70, 0.188),
]


@pytest.mark.parametrize(("name", "changes", "millions", "gmacs"), OURS)
def test_vit(name: str, changes: dict, millions: float, gmacs: float | None) -> None:
    with torch.device("meta"):
        model = ViT.from_config(name, **changes)
    counted = profile(model, (1, 3, *model.image_size))
    assert abs(counted.parameters / 1e6 - millions) < 0.011
    if gmacs is not None:
        assert round(counted.macs / 1e9, 3) == gmacs


@pytest.mark.parametrize(("name", "side", "millions", "gmacs"), TIMM)
def test_library_models(name: str, side: int, millions: float, gmacs: float) -> None:
    timm = import_timm()
    with torch.device("meta"):
        model = timm.create_model(name)
    counted = profile(model, (1, 3, side, side))
    assert round(counted.parameters / 1e6, 2) == millions
    assert round(counted.macs / 1e9, 3) == gmacs


def test_vit_by_formula_and_by_module() -> None:
    model = ViT((12, 20), 4, 24, 2, 3, 3.0, 5)
    counted = profile(model, (2, 3, 12, 20))
    n, d, b = 16, 24, 2
    attention = b * (4 * n * d * d + 2 * n * n * d)
    mlp = b * 2 * n * d * 3 * d
    assert counted.by_module["blocks.0.self_attn"] == counted.by_module["blocks.1.self_attn"] == attention
    assert counted.by_module["blocks.0.linear1"] == mlp // 2
    assert counted.by_module["head"] == b * d * 5
    assert counted.macs == counted.by_module[""] == b * 15 * 48 * d + 2 * (attention + mlp) + b * d * 5


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_by_formula(bidirectional: bool) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(
                nn.LSTM(10, 20, num_layers=2, bidirectional=bidirectional, batch_first=True)
            )
            self.head = nn.Linear(40 if bidirectional else 20, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.inner(x)[0])

    ways = 2 if bidirectional else 1
    lstm = 2 * 7 * ways * (4 * 20 * (10 + 20) + 4 * 20 * (20 * ways + 20))
    counted = profile(Tagger(), (2, 7, 10))
    assert counted.by_module["inner.0"] == counted.by_module["inner"] == lstm
    assert counted.macs == lstm + 2 * 7 * 20 * ways * 3


def test_fused_library_kernels_are_seen() -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    per_layer = 2 * (5 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 25 * 32)
    assert count_macs(nn.TransformerEncoder(layer, 2), (2, 5, 32)) == 2 * per_layer
    attention = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    assert count_macs(attention, (2, 5, 32), (2, 5, 32), (2, 5, 32)) == 2 * (5 * 4 * 32 * 32 + 2 * 25 * 32)
    convolution = nn.Conv2d(6, 8, (3, 5), stride=2, groups=2)
    assert count_macs(convolution, (2, 6, 13, 15)) == 2 * 8 * 6 * 6 * 3 * 3 * 5


def test_token_inputs_and_keyword_arguments() -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 8), nn.Linear(8, 2)

        def forward(self, ids: torch.Tensor, scale: torch.Tensor, how: str = "mean") -> torch.Tensor:
            assert how == "last"
            return self.head(self.table(ids)[:, -1] * scale)

    counted = profile(Classifier(), torch.randint(50, (3, 4)), scale=torch.ones(1), how="last")
    assert (counted.parameters, counted.macs) == (50 * 8 + 18, 3 * 8 * 2)


def test_the_model_is_left_as_it_was() -> None:
    model = ViT(16, 8, 16, 1, 2, num_classes=3).train()
    model.blocks[0].eval()
    before = {name: (value.data_ptr(), value.clone()) for name, value in model.state_dict().items()}
    profile(model, (1, 3, 16, 16))
    assert model.training and not model.blocks[0].training
    for name, value in model.state_dict().items():
        assert value.data_ptr() == before[name][0] and torch.equal(value, before[name][1])
    with pytest.raises(TypeError, match="by its shape or as a tensor"):
        profile(model, "224")


def test_shared_parameters_count_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    counted = profile(model, (5, 4))
    assert (counted.parameters, counted.macs) == (16 + 8, 2 * 5 * 16)
