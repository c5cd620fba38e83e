"""The course's ViT against Hugging Face transformers, timm and torch.nn: outputs, gradients, published key layouts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from einops.layers.torch import Rearrange
from safetensors.torch import load_file
from torch import nn

from solutions.attention_maps import attention_rollout
from solutions.patch_embedding import PatchEmbedding, embed_by_convolution
from solutions.patches import patchify, unpatchify
from solutions.vit import ViT
from solutions.vit_block import SelfAttention, ViTBlock
from solutions.vit_pretrained import interpolate_positions, load_pretrained
from tests.peers import import_timm, import_transformers
from utils.authoring.bench.suites.vit import timm_vit, transformers_vit
from utils.stand_ins.vit import ViT as LibraryViT

SIZES = {
    "square": {
        "image_size": 24,
        "patch_size": 8,
        "dim": 32,
        "depth": 3,
        "num_heads": 4,
        "mlp_ratio": 2.0,
        "num_classes": 7,
    },
    "wide": {
        "image_size": (12, 20),
        "patch_size": 4,
        "dim": 24,
        "depth": 2,
        "num_heads": 3,
        "mlp_ratio": 3.0,
        "num_classes": 5,
    },
}


def scramble(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter away from its default: norm weights around 1.5 and -0.5, no bias and no position zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(0.5 + noise)
            else:
                parameter.copy_(noise * (0.3 if parameter.ndim == 1 or parameter.shape[0] == 1 else 0.15))
    return model


def images_for(size: dict, batch: int = 3) -> torch.Tensor:
    shape = size["image_size"]
    height, width = (shape, shape) if isinstance(shape, int) else shape
    return torch.randn(
        batch, size.get("in_channels", 3), height, width, generator=torch.Generator().manual_seed(5)
    )


def logits_of(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    output = model(images)
    return getattr(output, "logits", output)


def gradients(
    model: nn.Module, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and gradients of a random combination of them: for the images, and for the parameters by name."""
    images = images.clone().requires_grad_()
    logits = logits_of(model, images)
    cotangent = torch.randn(logits.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    model.zero_grad()
    (logits * cotangent.to(logits.dtype)).sum().backward()
    return logits.detach(), images.grad, {name: p.grad for name, p in model.named_parameters()}


def close(left: torch.Tensor, right: torch.Tensor, tolerance: float = 1e-9) -> None:
    assert left.shape == right.shape
    assert left.std() > 1e-3, "this comparison would pass for anything"
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance * right.abs().max().item())


# ------------------------------------------------------------------------------------------ whole models


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("peer", ["huggingface", "timm", "timm without CLS"])
def test_logits_and_gradients_equal_the_library(size: dict, peer: str) -> None:
    if peer == "huggingface":
        library, eps, pool = transformers_vit(size, layer_norm_eps=1e-6), 1e-6, "cls"
    elif peer == "timm":
        library, eps, pool = timm_vit(size), 1e-6, "cls"
    else:
        library, eps, pool = timm_vit(size, class_token=False, global_pool="avg", fc_norm=False), 1e-6, "mean"
    library = scramble(library.double()).eval()
    ours = ViT(**size, pool=pool, norm_eps=eps).double()
    if pool == "cls":
        load_pretrained(ours, library.state_dict())
    else:  # load_pretrained is for models with a CLS token; the rest of the mapping is the same
        state = dict(library.state_dict(), cls_token=torch.zeros(1, 1, size["dim"]).double())
        with_cls = ViT(**size).double()
        positions = state["pos_embed"]
        state["pos_embed"] = torch.cat([positions[:, :1], positions], dim=1)
        load_pretrained(with_cls, state)
        state = with_cls.state_dict()
        state.pop("cls_token")
        ours.load_state_dict(dict(state, positions=positions))

    images = images_for(size).double()
    logits, image_gradient, parameter_gradients = gradients(ours, images)
    their_logits, their_image_gradient, theirs = gradients(library, images)
    close(logits, their_logits)
    close(image_gradient, their_image_gradient)
    # Gradients are mapped as weights are: by the same function, so every parameter is compared.
    if pool == "cls":
        mapped = ViT(**size).double()
        load_pretrained(mapped, theirs)
        for name, gradient in mapped.state_dict().items():
            close(parameter_gradients[name], gradient)
    else:
        close(parameter_gradients["positions"], theirs["pos_embed"])
        close(parameter_gradients["head.weight"], theirs["head.weight"])


def test_eager_and_sdpa_attention_of_transformers_agree_with_ours() -> None:
    size = SIZES["square"]
    library = scramble(
        transformers_vit(size, attn_implementation="eager", layer_norm_eps=1e-12).double()
    ).eval()
    ours = load_pretrained(ViT(**size, norm_eps=1e-12).double(), library.state_dict())
    images = images_for(size).double()
    close(ours(images), logits_of(library, images), 1e-5)  # transformers takes this softmax in float32
    theirs = library(images, output_attentions=True).attentions
    close(ours.attention_maps(images), torch.stack(theirs), 1e-5)


@pytest.mark.slow
@pytest.mark.thorough
def test_from_config_b16_loads_the_published_layout(tmp_path) -> None:
    """The very configuration of google/vit-base-patch16-224, randomly initialised, through the file that the Hub would hold."""
    transformers = import_transformers()
    library = transformers.ViTForImageClassification(transformers.ViTConfig(num_labels=1000)).eval()
    library.save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    assert "vit.encoder.layer.11.attention.attention.query.weight" in file, "the file has the Hub's names"
    assert "vit.layers.11.attention.q_proj.weight" in library.state_dict(), (
        "memory has transformers 5's names"
    )
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        theirs = library(images).logits
        for state in (file, library.state_dict()):
            ours = load_pretrained(ViT.from_config("vit_b_16", norm_eps=1e-12), state).eval()
            torch.testing.assert_close(ours(images), theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())
    assert sum(p.numel() for p in ours.parameters()) == 86_567_656


@pytest.mark.parametrize(
    "name", ["vit_ti_16", "vit_s_16", "vit_s_32", "vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"]
)
def test_from_config_has_timms_sizes(name: str) -> None:
    timm = import_timm()
    size, patch = name.split("_")[1:]
    their_name = {"ti": "tiny", "s": "small", "b": "base", "l": "large"}[size]
    with torch.device("meta"):
        ours = ViT.from_config(name)
        theirs = timm.create_model(f"vit_{their_name}_patch{patch}_224", num_classes=1000)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert ours.blocks[0].self_attn.num_heads == theirs.blocks[0].attn.num_heads


# ------------------------------------------------------------------------------------------ parts


def test_block_is_torchs_pre_norm_encoder_layer() -> None:
    theirs = nn.TransformerEncoderLayer(
        24, 3, 40, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
    ).double()
    ours = ViTBlock(24, 3, 40).double()
    ours.load_state_dict(scramble(theirs).state_dict())
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    left, right = gradients(ours, x), gradients(theirs, x)
    close(left[0], right[0])
    close(left[1], right[1])
    for name in right[2]:
        close(left[2][name], right[2][name])


def test_attention_is_torchs_multihead_attention() -> None:
    theirs = scramble(nn.MultiheadAttention(24, 4, batch_first=True).double())
    ours = SelfAttention(24, 4).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    output, weights = theirs(x, x, x, average_attn_weights=False)
    close(ours(x), output)
    close(ours.weights(x), weights)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (1, 1, 4, 4), (3, 2, 20, 8)])
def test_patchify_is_unfold_and_comes_back(shape: tuple[int, ...]) -> None:
    images = torch.randn(shape)
    patches = patchify(images, 4)
    torch.testing.assert_close(patches, F.unfold(images, 4, stride=4).transpose(1, 2), rtol=0, atol=0)
    assert torch.equal(unpatchify(patches, 4, *shape[2:]), images)


def test_patch_embedding_is_a_strided_convolution() -> None:
    images = torch.randn(2, 3, 12, 20, dtype=torch.float64)
    ours = PatchEmbedding(4, 10).double()
    convolution = nn.Conv2d(3, 10, 4, stride=4).double()
    with torch.no_grad():
        ours.projection.weight.copy_(convolution.weight.flatten(1))
        ours.projection.bias.copy_(convolution.bias)
    close(ours(images), convolution(images).flatten(2).transpose(1, 2))
    weight, bias = ours.projection.weight, ours.projection.bias
    close(embed_by_convolution(images, weight, bias, 4), ours(images))


def test_interpolation_is_transformers_and_not_timms() -> None:
    size = SIZES["square"] | {"depth": 1}
    library = scramble(transformers_vit(size)).double().eval()
    positions = library.vit.embeddings.position_embeddings.detach()
    for new in ((6, 6), (5, 4), (2, 2), (3, 4)):
        tokens = torch.zeros(1, new[0] * new[1] + 1, size["dim"])
        theirs = library.vit.embeddings.interpolate_pos_encoding(tokens, new[0] * 8, new[1] * 8)
        close(interpolate_positions(positions, (3, 3), new), theirs)
        torch.testing.assert_close(
            interpolate_positions(positions[:, 1:], (3, 3), new), theirs[:, 1:], rtol=1e-9, atol=1e-9
        )
    import_timm()
    from timm.layers import resample_abs_pos_embed

    theirs = resample_abs_pos_embed(positions.float(), [6, 6], [3, 3], num_prefix_tokens=1)
    ours = interpolate_positions(positions.float(), (3, 3), (6, 6))
    assert 1e-3 < (ours - theirs).abs().max() < 0.2, (
        "close to timm's, and another cubic: the docstring says so"
    )
    antialiased = F.interpolate(
        positions[:, 1:].mT.unflatten(-1, (3, 3)), (6, 6), mode="bicubic", antialias=True
    )
    close(antialiased.flatten(2).mT.float(), theirs[:, 1:], 1e-5)


def test_interpolated_b16_reads_384_pixels_as_transformers_does() -> None:
    size = SIZES["square"]
    library = scramble(transformers_vit(size, layer_norm_eps=1e-6).double()).eval()
    small = load_pretrained(ViT(**size).double(), library.state_dict())
    large = ViT(**size | {"image_size": 40}).double()
    state = small.state_dict()
    large.load_state_dict(
        dict(state, positions=interpolate_positions(state["positions"], small.grid, large.grid))
    )
    images = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    close(large(images), library(images, interpolate_pos_encoding=True).logits)


def test_rollout_by_hand() -> None:
    attention = torch.rand(3, 2, 4, 5, 5, dtype=torch.float64)
    attention = attention / attention.sum(-1, keepdim=True)
    rollout = attention_rollout(attention)
    for b in range(2):
        expected = torch.eye(5, dtype=torch.float64)
        for layer in range(3):
            expected = (
                0.5 * attention[layer, b].mean(0) + 0.5 * torch.eye(5, dtype=torch.float64)
            ) @ expected
        close(rollout[b], expected)
    close(rollout.sum(-1) + torch.arange(5), torch.ones(2, 5).double() + torch.arange(5))


def test_rollout_equals_the_gradient_of_a_network_without_anything_else() -> None:
    """A linear network x -> (A x + x) / 2 per layer: its Jacobian is the rollout."""
    attention = torch.rand(3, 1, 2, 4, 4, dtype=torch.float64).softmax(-1)

    def network(x: torch.Tensor) -> torch.Tensor:
        for layer in attention:
            x = (layer[0].mean(0) @ x + x) / 2
        return x

    jacobian = torch.autograd.functional.jacobian(network, torch.randn(4, 1, dtype=torch.float64))
    close(attention_rollout(attention)[0], jacobian[:, 0, :, 0])


# ------------------------------------------------------------------------------------------ the stand-in


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_stand_in_has_the_same_parameters_and_values(size: dict, pool: str) -> None:
    ours, library = scramble(ViT(**size, pool=pool).double()), LibraryViT(**size, pool=pool).double()
    assert list(ours.state_dict()) == list(library.state_dict())
    library.load_state_dict(ours.state_dict())
    images = images_for(size).double()
    left, right = gradients(ours, images), gradients(library, images)
    close(left[0], right[0])
    close(left[1], right[1])
    close(ours.eval().attention_maps(images), library.eval().attention_maps(images))


# ------------------------------------------------------------------------------------------ training behaviour


def test_dropout_and_stochastic_depth_are_where_a_user_expects_them() -> None:
    size = SIZES["square"]
    images = images_for(size)
    for option in ("dropout", "attention_dropout", "drop_path"):
        model = scramble(ViT(**size, **{option: 0.5}))
        model.train()
        assert not torch.equal(model(images), model(images)), option
        model.eval()
        assert torch.equal(model(images), model(images)), option
    model = ViT(**size, drop_path=0.4)
    assert [block.drop_path.rate for block in model.blocks] == [0.0, 0.2, 0.4]


def test_stochastic_depth_is_timms() -> None:
    import_timm()
    from timm.layers import DropPath

    from utils.layers.stochastic_depth import StochasticDepth

    x = torch.randn(64, 3, 5)
    torch.manual_seed(3)
    ours = StochasticDepth(0.3).train()(x)
    torch.manual_seed(3)
    theirs = DropPath(0.3).train()(x)
    close(ours, theirs, 1e-6)
    dropped = (ours == 0).flatten(1)
    assert (dropped.all(1) | ~dropped.any(1)).all(), "whole samples"
    assert 0 < dropped.all(1).sum() < 64


def test_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model = ViT(16, 4, 32, 2, 4, 2.0, 4, in_channels=1)
    images, labels = torch.randn(16, 1, 16, 16), torch.arange(16) % 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    assert (model(images).argmax(-1) == labels).all()


def test_autocast_and_half_weights_run() -> None:
    model, images = ViT(**SIZES["square"]), images_for(SIZES["square"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(images).dtype == torch.bfloat16
    assert model.bfloat16()(images.bfloat16()).shape == (3, 7)


def test_patch_embedding_module_is_drawable_by_einops() -> None:
    """Rearrange as a layer (vit-pytorch's way, with pixels as (p p c)) is the same map with permuted weights."""
    images = torch.randn(2, 3, 8, 12)
    theirs = Rearrange("b c (i p) (j q) -> b (i j) (p q c)", p=4, q=4)(images)
    back = theirs.unflatten(-1, (4, 4, 3)).permute(0, 1, 4, 2, 3).flatten(2)
    assert torch.equal(back, patchify(images, 4))
    assert not torch.equal(theirs, patchify(images, 4))
