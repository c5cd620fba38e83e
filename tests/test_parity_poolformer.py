"""PoolFormer against `timm` and `transformers`: the same random weights, the same images, equal outputs and equal gradients.

Configurations are tiny and nothing is downloaded. Every parameter is drawn (norm weights away from 1, biases away from 0, layer
scales of both signs and near 1, where the default of 1e-5 would hide every branch), images have both signs, odd sides and are not square.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from solutions.metaformer import MetaFormerBlock, PoolFormer, from_timm, from_transformers
from solutions.pooling import Pooling
from solutions.token_mixers import TOKEN_MIXERS, mixer_metaformer
from tests.parity import generator, randomise
from tests.peers import import_timm, import_transformers
from tests.test_parity_mixer import assert_equal_gradients, gradients
from utils.cost.macs import profile
from utils.layers.channel_mlp import ChannelMLP
from utils.stand_ins.metaformer import MetaFormerBlock as StandInBlock
from utils.stand_ins.metaformer import PoolFormer as StandIn
from utils.stand_ins.pooling import Pooling as StandInPooling

DEPTHS, DIMS, CLASSES = (2, 1, 2), (8, 12, 16), 5
#: what it adds is constant over the map, and pooling minus input is zero there: no gradient, in any of the libraries
SILENT = "norm1.bias"
SIZES = [(32, 32), (40, 24), (37, 51), (33, 18)]


@pytest.fixture(scope="module")
def timm_metaformer():
    """timm's module of MetaFormers."""
    import_timm()
    from timm.models import metaformer

    return metaformer


@pytest.fixture(scope="module")
def hf_poolformer():
    """transformers' module of PoolFormer."""
    import_transformers()
    from transformers.models.poolformer import modeling_poolformer

    return modeling_poolformer


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(1))


def loud(module: nn.Module) -> nn.Module:
    """`randomise`, with layer scales of both signs that let every branch be heard."""
    randomise(module)
    source = generator(3)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "layer_scale" in name:
                signs = torch.randint(0, 2, parameter.shape, generator=source) * 2.0 - 1.0
                parameter.copy_(signs * (0.5 + torch.rand(parameter.shape, generator=source)))
    return module


def tiny(cls=PoolFormer, **changes):
    return cls(**{"depths": DEPTHS, "dims": DIMS, "num_classes": CLASSES, **changes}).eval()


def tiny_timm(timm_metaformer, depths=DEPTHS, dims=DIMS):
    from timm.layers import GroupNorm1

    model = timm_metaformer.MetaFormer(
        depths=depths,
        dims=dims,
        num_classes=CLASSES,
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=None,
        use_mlp_head=False,
    )
    return loud(model)


def tiny_hf(hf_poolformer, pool_size=3):
    stages = len(DEPTHS)
    config = hf_poolformer.PoolFormerConfig(
        depths=list(DEPTHS),
        hidden_sizes=list(DIMS),
        num_encoder_blocks=stages,
        patch_sizes=[7] + [3] * (stages - 1),
        strides=[4] + [2] * (stages - 1),
        padding=[2] + [1] * (stages - 1),
        pool_size=pool_size,
        num_labels=CLASSES,
        drop_path_rate=0.0,
    )
    return loud(hf_poolformer.PoolFormerForImageClassification(config))


# The whole model ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pool_size", [3, 5])
def test_model_equals_transformers(hf_poolformer, size, pool_size):
    theirs, ours = tiny_hf(hf_poolformer, pool_size), tiny(pool_size=pool_size)
    ours.load_state_dict(from_transformers(theirs.state_dict()))
    x = images(2, 3, *size).requires_grad_()
    seen, expected = ours(x), theirs(x).logits
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_equal_gradients(
        gradients(ours, seen, x), from_transformers(gradients(theirs, expected, x)), SILENT
    )


class TimmsHead(nn.Module):
    """Our PoolFormer with timm's order at the end: mean over the map, then the norm of the mean, with timm's epsilon."""

    def __init__(self, model: PoolFormer) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.model.features(x).mean((2, 3))
        norm = self.model.norm
        return self.model.head(F.layer_norm(pooled, pooled.shape[1:], norm.weight, norm.bias, eps=1e-6))


@pytest.mark.parametrize("size", SIZES)
def test_all_but_the_order_at_the_end_equals_timm(timm_metaformer, size):
    theirs, ours = tiny_timm(timm_metaformer), tiny()
    ours.load_state_dict(from_timm(theirs.state_dict()))
    x = images(2, 3, *size).requires_grad_()
    seen, expected = ours.features(x), theirs.forward_features(x)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    wrapped = TimmsHead(ours)
    seen, expected = wrapped(x), theirs(x)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    found = {name.removeprefix("model."): value for name, value in gradients(wrapped, seen, x).items()}
    assert_equal_gradients(found, from_timm(gradients(theirs, expected, x)), SILENT)


def test_the_libraries_differ_at_the_end(timm_metaformer, hf_poolformer):
    """Why the docstring says whom we follow: with the same weights timm's logits are others than transformers'."""
    hf, theirs, ours = tiny_hf(hf_poolformer), tiny_timm(timm_metaformer), tiny()
    ours.load_state_dict(from_timm(theirs.state_dict()))
    names = from_transformers({key: key for key in hf.state_dict()})  # ours -> theirs
    hf.load_state_dict(
        {theirs_name: ours.state_dict()[ours_name] for ours_name, theirs_name in names.items()}
    )
    x = images(2, 3, 40, 24)
    torch.testing.assert_close(hf(x).logits, ours(x), rtol=1e-4, atol=1e-5)
    assert (theirs(x) - ours(x)).abs().max() > 0.01


def test_stochastic_depth_of_the_whole_network_grows_to_the_rate():
    rates = [block.drop_path.rate for stage in tiny(drop_path=0.4).stages for block in stage]
    torch.testing.assert_close(torch.tensor(rates), torch.linspace(0, 0.4, 5))


def test_layout_and_training_mode_change_nothing():
    ours = loud(tiny())
    x = images(2, 3, 37, 51)
    expected = ours(x)
    torch.testing.assert_close(ours.train()(x), expected, rtol=0, atol=0)
    seen = ours.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(PoolFormer.CONFIGS))
@pytest.mark.slow
def test_named_sizes(timm_metaformer, name):
    """Names, shapes and cost of the published sizes are those of timm's, on tensors without data."""
    with torch.device("meta"):
        ours, peer = PoolFormer.from_config(name), getattr(timm_metaformer, name)()
    shapes = {key: tuple(value.shape) for key, value in from_timm(peer.state_dict()).items()}
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == shapes
    seen, expected = profile(ours, (1, 3, 224, 224)), profile(peer, (1, 3, 224, 224))
    assert (seen.parameters, seen.macs) == (expected.parameters, expected.macs)


def test_cost_of_s12():
    """The course's reference points."""
    with torch.device("meta"):
        cost = profile(PoolFormer.from_config("poolformer_s12"), (1, 3, 224, 224))
    assert cost.parameters / 1e6 == pytest.approx(11.92, abs=0.005)
    assert cost.macs / 1e9 == pytest.approx(1.812, abs=0.0005)


# Its parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 3, 5, 7), 3), ((1, 4, 8, 6), 5), ((2, 2, 3, 4), 7), ((2, 2, 4, 3), 1)]
)
def test_pooling_equals_both_libraries(timm_metaformer, hf_poolformer, shape, size):
    x = images(*shape).requires_grad_()
    cotangent = torch.randn(shape, generator=generator(2))
    seen = Pooling(size)(x)
    for theirs in (timm_metaformer.Pooling(size), hf_poolformer.PoolFormerPooling(size)):
        expected = theirs(x)
        torch.testing.assert_close(seen, expected)
        found, wanted = (
            torch.autograd.grad((y * cotangent).sum(), x, retain_graph=True)[0] for y in (seen, expected)
        )
        torch.testing.assert_close(found, wanted)


def test_pooling_of_a_constant_map_is_zero_up_to_the_border():
    x = images(2, 3, 1, 1).expand(2, 3, 5, 4)
    for size in (3, 5, 7):
        torch.testing.assert_close(Pooling(size)(x), torch.zeros(2, 3, 5, 4), rtol=0, atol=1e-6)


def test_channel_mlp_is_two_convolutions_in_either_layout():
    ours = randomise(ChannelMLP(6, 10))
    theirs = nn.Sequential(ours.fc1, nn.GELU(), ours.fc2)
    x = images(2, 6, 5, 4)
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=layout).requires_grad_()
        seen, expected = ours(given), theirs(x.requires_grad_())
        assert seen.is_contiguous(memory_format=layout)
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
        found, wanted = gradients(ours, seen, given), gradients(ours, expected, x)
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)


def test_block_takes_any_mixer_and_equals_the_stand_in():
    for mixer in (lambda: nn.Conv2d(6, 6, 3, padding=1), nn.Identity, lambda: nn.AvgPool2d(5, 1, 2)):
        ours, theirs = (cls(6, mixer(), mlp_ratio=2.0) for cls in (MetaFormerBlock, StandInBlock))
        loud(ours)
        theirs.load_state_dict(ours.state_dict())
        x = images(2, 6, 5, 4).requires_grad_()
        seen, expected = ours(x), theirs(x)
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
        assert_equal_gradients(gradients(ours, seen, x), gradients(theirs, expected, x))


def test_stand_ins_equal_the_answers():
    ours, theirs = loud(tiny()), tiny(StandIn)
    theirs.load_state_dict(ours.state_dict())
    x = images(2, 3, 37, 51)
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(StandInPooling(5)(x), Pooling(5)(x))
    names = StandIn.from_config("poolformer_cifar").state_dict().keys()
    assert names == PoolFormer.from_config("poolformer_cifar").state_dict().keys()


def test_start_values_of_the_layer_scales():
    """1e-5 up to 24 blocks, 1e-6 from 36 on, as timm and the authors have it."""
    for name, expected in (("poolformer_s12", 1e-5), ("poolformer_s36", 1e-6), ("poolformer_m48", 1e-6)):
        assert PoolFormer.CONFIGS[name][2] == expected
    model = tiny(layer_scale=1e-3)
    scales = [p for n, p in model.named_parameters() if "layer_scale" in n]
    assert len(scales) == 2 * sum(DEPTHS)
    assert all(torch.equal(scale, torch.full_like(scale, 1e-3)) for scale in scales)


# The six token mixers of the experiment ----------------------------------------------------------------------------


def mixed(name: str, **changes) -> PoolFormer:
    torch.manual_seed(0)
    return mixer_metaformer(
        name, image_size=16, **{"depths": (2, 1), "dims": (8, 16), "layer_scale": 1.0, **changes}
    ).eval()


def test_six_mixers_share_everything_else():
    """From one seed: the same start values of all that is not the mixer."""
    states = [
        {k: v for k, v in mixed(name).state_dict().items() if "token_mixer" not in k} for name in TOKEN_MIXERS
    ]
    assert all(state.keys() == states[0].keys() for state in states)
    assert all(torch.equal(state[key], states[0][key]) for state in states for key in state)
    assert len(states) == 6


def spread(name: str, position: tuple[int, int] = (2, 2)) -> torch.Tensor:
    """(8, 8) bool: which positions of the map change if one position does, through the first block's mixer alone."""
    mixer = mixed(name).stages[0][0].token_mixer
    randomise(mixer) if any(True for _ in mixer.parameters()) else mixer
    x = images(1, 8, 8, 8)
    other = x.clone()
    other[0, :, position[0], position[1]] *= -1
    with torch.no_grad():
        return ((mixer(x) - mixer(other)).abs() > 1e-6).any(1)[0]


def test_who_reaches_whom():
    everywhere = torch.ones(8, 8, dtype=torch.bool)
    for name in ("attention", "token MLP", "random"):
        assert torch.equal(spread(name), everywhere), name
    corner = torch.zeros(8, 8, dtype=torch.bool)
    corner[:4, :4] = True
    assert torch.equal(spread("window attention"), corner)
    around = torch.zeros(8, 8, dtype=torch.bool)
    around[1:4, 1:4] = True
    assert torch.equal(spread("pooling"), around)
    alone = torch.zeros(8, 8, dtype=torch.bool)
    alone[2, 2] = True
    assert torch.equal(spread("identity"), alone)


def test_windows_of_the_second_block_are_shifted_and_nothing_wraps():
    model = mixed("window attention")
    first, second = (block.token_mixer for block in model.stages[0])
    assert (first.shift_size, second.shift_size) == (0, 2)
    x = images(1, 8, 8, 8)
    other = x.clone()
    other[0, :, 0, 0] *= -1
    randomise(second)
    with torch.no_grad():
        reached = ((second(x) - second(other)).abs() > 1e-6).any(1)[0]
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:2, :2] = True  # the ragged corner window of the shifted cut
    assert torch.equal(reached, expected)
    assert model.stages[1][0].token_mixer.window_size == 4  # the 4 x 4 map is one window


def test_global_attention_equals_pytorchs_where_the_bias_is_zero():
    mixer = mixed("attention").stages[1][0].token_mixer
    randomise(mixer)
    theirs = nn.MultiheadAttention(16, mixer.attn.num_heads, batch_first=True)
    with torch.no_grad():
        mixer.attn.relative_position_bias_table.zero_()
        theirs.in_proj_weight.copy_(mixer.attn.qkv.weight)
        theirs.in_proj_bias.copy_(mixer.attn.qkv.bias)
        theirs.out_proj.load_state_dict(mixer.attn.proj.state_dict())
        x = images(2, 16, 4, 4)
        tokens = x.flatten(2).transpose(1, 2)
        expected = theirs(tokens, tokens, tokens)[0].transpose(1, 2).view_as(x)
        torch.testing.assert_close(mixer(x), expected, rtol=1e-4, atol=1e-5)


def test_token_mlp_equals_the_mixer_blocks(timm_metaformer):
    from solutions.mixer import MixerBlock

    mixer = randomise(mixed("token MLP").stages[0][0].token_mixer)
    block = MixerBlock(64, 8, 64, 4)
    block.mlp_tokens.load_state_dict(mixer.state_dict())
    x = images(2, 8, 8, 8)
    torch.testing.assert_close(mixer(x), block.mlp_tokens(x.flatten(2)).view_as(x))


def test_random_mixing_is_a_mean_that_is_not_trained_and_is_stored():
    mixer = mixed("random").stages[0][0].token_mixer
    assert not list(mixer.parameters()) and set(mixer.state_dict()) == {"matrix"}
    torch.testing.assert_close(mixer.matrix.sum(1), torch.ones(64))
    assert mixer.matrix.min() > 0
    x = images(2, 8, 8, 8)
    expected = torch.einsum("ij,bcj->bci", mixer.matrix, x.flatten(2)).view_as(x)
    torch.testing.assert_close(mixer(x), expected)
    torch.manual_seed(1)
    assert not torch.equal(
        mixer_metaformer("random", 16, depths=(1,), dims=(8,)).stages[0][0].token_mixer.matrix, mixer.matrix
    )


@pytest.mark.parametrize("name", TOKEN_MIXERS)
def test_gradient_reaches_every_parameter(name):
    """But what pooling makes zero of (see SILENT)."""
    model = mixed(name).train()
    model(images(2, 3, 16, 16)).square().sum().backward()
    sizes = {key: float(p.grad.abs().max()) for key, p in model.named_parameters()}
    quiet = [key for key, size in sizes.items() if size < 1e-6 * max(sizes.values())]
    assert quiet == [key for key in sizes if name == "pooling" and key.endswith(SILENT)]


def bare(source: str) -> dict[str, str]:
    """Functions and classes of a source by name, without docstrings and annotations."""
    found = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None:
                part.body = part.body[1:]
            if isinstance(part, ast.FunctionDef):
                part.returns = None
            if isinstance(part, ast.arg):
                part.annotation = None
        found[node.name] = ast.dump(node)
    return found


def test_notebook_shows_the_mixers_that_the_experiment_uses():
    """Notebook 08 must run without `solutions/`, so the code stands there a second time: the same code."""
    root = Path(__file__).resolve().parents[1] / "solutions"
    here = bare((root / "token_mixers.py").read_text(encoding="utf-8"))
    there = bare((root / "source" / "08_mixer_poolformer.py").read_text(encoding="utf-8"))
    assert set(here) == {"MapAttention", "TokenMLP", "RandomMixing", "make_mixer", "mixer_metaformer"}
    for name, code in here.items():
        assert there[name] == code, name
