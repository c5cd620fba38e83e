"""Models of like size, by name, and how a name becomes a model.

`utils` never imports `solutions`: a model is named as "solutions.vit:ViT" and looked up when it is needed. Where the solutions
are absent, a stand-in on the library's modules takes its place (the row says which was used), and where there is none, one
sentence says so. In a notebook, `classes={"ViT": ViT}` puts the notebook's own class in the place of a name.

Parameters and multiply-adds of one 32 x 32 image, 10 classes (`python -m utils.experiments models` prints the table):
"gpu" sizes are those of the course's references (about 2.7M), "cpu" sizes about 0.2M, "smoke" sizes only run.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

CNN = {"where": "solutions.resnet:ResNet", "stand_in": "utils.stand_ins.resnet:ResNet"}
VIT = {"where": "solutions.vit:ViT", "stand_in": "utils.stand_ins.vit:ViT"}
SWIN = {"where": "solutions.swin_model:SwinTransformer"}
MIXER = {"where": "solutions.mixer:MLPMixer", "stand_in": "utils.stand_ins.mixer:MLPMixer"}
POOLFORMER = {"where": "solutions.metaformer:PoolFormer", "stand_in": "utils.stand_ins.metaformer:PoolFormer"}
METAFORMER = {"where": "solutions.token_mixers:mixer_metaformer"}
STEM, CIRCULAR = "utils.experiments.models:conv_stem", "utils.experiments.models:circular"


def _vit(dim: int, depth: int, num_heads: int) -> dict[str, Any]:
    sizes = {"image_size": 32, "patch_size": 4, "dim": dim, "depth": depth, "num_heads": num_heads}
    return VIT | {"args": sizes | {"mlp_ratio": 2.0, "pool": "mean"}}


def _mixer(dim: int, depth: int, token_hidden: int, channel_hidden: int) -> dict[str, Any]:
    sizes = {"image_size": 32, "patch_size": 4, "dim": dim, "depth": depth}
    return MIXER | {"args": sizes | {"token_hidden": token_hidden, "channel_hidden": channel_hidden}}


def _swin(embed_dim: int, depths: tuple, num_heads: tuple) -> dict[str, Any]:
    sizes = {"image_size": 32, "patch_size": 2, "embed_dim": embed_dim, "depths": depths}
    return SWIN | {"args": sizes | {"num_heads": num_heads, "window_size": 4, "mlp_ratio": 2.0}}


def _pyramid(dims: tuple, depths: tuple, mlp_ratio: float, layer_scale: float = 0.1) -> dict[str, Any]:
    return {"args": {"dims": dims, "depths": depths, "mlp_ratio": mlp_ratio, "layer_scale": layer_scale}}


#: preset -> name -> {"where", "stand_in", "args", "wrap"}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "gpu": {
        "CNN": CNN | {"args": {"width": 32}},
        "ViT": _vit(192, 9, 6),
        "hybrid ViT": _vit(192, 8, 6) | {"wrap": STEM},
        "Swin": _swin(80, (2, 4, 2), (2, 5, 10)),
        "Mixer": _mixer(256, 9, 128, 512),
        "PoolFormer": POOLFORMER | _pyramid((80, 160, 320), (2, 3, 2), 4.0),
    },
    "cpu": {
        "CNN": CNN | {"args": {"width": 8}},
        "ViT": _vit(64, 6, 4),
        "hybrid ViT": _vit(64, 5, 4) | {"wrap": STEM},
        "Swin": _swin(24, (2, 2, 2), (2, 4, 8)),
        "Mixer": _mixer(64, 8, 32, 160),
        "PoolFormer": POOLFORMER | _pyramid((24, 48, 96), (2, 2, 2), 3.0),
    },
    "smoke": {
        "CNN": CNN | {"args": {"width": 4}},
        "ViT": _vit(16, 2, 2),
        "hybrid ViT": _vit(16, 1, 2) | {"wrap": STEM},
        "Swin": _swin(8, (1, 1), (1, 2)),
        "Mixer": _mixer(16, 2, 8, 16),
        "PoolFormer": POOLFORMER | _pyramid((8, 16), (1, 1), 2.0),
    },
}
METAFORMERS = {
    "gpu": {"dims": (64, 128, 256), "depths": (2, 2, 2), "mlp_ratio": 4.0},
    "cpu": {"dims": (24, 48, 96), "depths": (2, 2, 2), "mlp_ratio": 2.0},
    "smoke": {"dims": (8, 16), "depths": (1, 1), "mlp_ratio": 2.0},
}
#: hidden width of the channel MLPs over the channels that gives the MetaFormer of identity as many parameters as that of the token MLP
WIDER = {"gpu": 4.82, "cpu": 7.79, "smoke": 212.7}
for _preset, _models in MODELS.items():
    for _model in _models.values():  # PoolFormer's first embedding halves the image, as Swin's does
        if _model["where"] == POOLFORMER["where"]:
            _model["args"]["stem"] = (3, 2, 1)
    _models["CNN, circular"] = _models["CNN"] | {"wrap": CIRCULAR}
    for _mixer_name in ("attention", "window attention", "token MLP", "pooling", "random", "identity"):
        _models[f"MetaFormer, {_mixer_name}"] = METAFORMER | {
            "args": {"mixer": _mixer_name, **METAFORMERS[_preset]}
        }
    _models["MetaFormer, wider identity"] = METAFORMER | {
        "args": {"mixer": "identity", **METAFORMERS[_preset], "mlp_ratio": WIDER[_preset]}
    }
MODELS["t4"] = MODELS["gpu"]  # the same models, in shorter trainings
MODELS["long"] = MODELS["cpu"]  # the same models, in longer ones


class MissingModel(LookupError):
    """A model's class can't be found; the text says what was looked for and what to do."""


def resolve(where: str) -> Any:
    """The object behind "package.module:attribute".

    Raises:
        MissingModel: there is no such module or attribute.
    """
    module = where.partition(":")[0]
    try:
        return pkgutil.resolve_name(where)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise  # the module is there, and something that it imports is not
        raise MissingModel(
            f"{where} was not found: this copy of the course has no {error.name.split('.')[0]!r} folder or file. "
            "In a notebook, hand over your own class instead: run_live(..., classes={'ViT': ViT})"
        ) from error
    except (AttributeError, ValueError) as error:
        raise MissingModel(f"{where} was not found: {error}") from error


def build(
    spec: Mapping[str, Any],
    num_classes: int,
    classes: Mapping[str, Callable[..., nn.Module]] | None = None,
    name: str = "",
) -> tuple[nn.Module, str]:
    """A freshly initialised model; seed torch before.

    Args:
        spec: an entry of `MODELS`, or any {"where": "module:attribute", "args": {...}}.
        num_classes: of the data set.
        classes: own classes by the model's name ("ViT"), or by the attribute's ("MLPMixer").
        name: the model's name, for `classes`.

    Returns:
        the model, and a note of where its class comes from.

    Raises:
        MissingModel: neither the class nor a stand-in is there.
    """
    classes, attribute = classes or {}, spec["where"].partition(":")[2]
    own = classes.get(name) or classes.get(attribute)
    if own is not None:
        made, source = own, f"given ({getattr(own, '__name__', own)})"
    else:
        try:
            made, source = resolve(spec["where"]), spec["where"]
        except MissingModel:
            if not spec.get("stand_in"):
                raise
            made, source = resolve(spec["stand_in"]), spec["stand_in"]
    args = {k: tuple(v) if isinstance(v, list) else v for k, v in spec.get("args", {}).items()}
    model = made(**args, num_classes=num_classes)
    if spec.get("wrap"):
        model = resolve(spec["wrap"])(model)
    return model, source


class ConvStem(nn.Module):
    """Two 3 x 3 convolutions of stride 2 in place of cutting into 4 x 4 patches, then a 1 x 1 convolution.

    T. Xiao, M. Singh, E. Mintun, T. Darrell, P. Dollár, R. Girshick. "Early Convolutions Help Transformers See Better".
    NeurIPS 2021. https://arxiv.org/abs/2106.14881 (there, too, one block less pays for the stem)
    """

    def __init__(self, dim: int, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, dim // 2, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(dim // 2)
        self.conv2 = nn.Conv2d(dim // 2, dim, 3, 2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)
        self.projection = nn.Conv2d(dim, dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D) with N = H/4 * W/4."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.relu(self.bn2(self.conv2(x)))  # (B, D, H/4, W/4)
        return self.projection(x).flatten(2).transpose(1, 2)


def conv_stem(model: nn.Module) -> nn.Module:
    """A ViT with patch size 4 whose patch embedding is replaced by a small convolutional network."""
    if not hasattr(model, "patch_embedding"):
        raise ValueError(f"{type(model).__name__} has no patch_embedding that a conv stem could replace")
    vit: Any = model  # to the type checker any attribute of an nn.Module may be a module, even `positions`
    vit.patch_embedding = ConvStem(vit.positions.shape[-1], getattr(vit, "in_channels", 3))
    return model


def circular(model: nn.Module) -> nn.Module:
    """A CNN whose padding continues on the other side of the image, so that no border tells where it is.

    With zeros as padding a CNN can find out positions (Islam, Jia, Bruce, ICLR 2020, "How Much Position Information Do
    Convolutional Neural Networks Encode?"); without them it is equivariant to cyclic shifts by its total stride.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and any(module.padding):
            module.padding_mode = "circular"
    return model
