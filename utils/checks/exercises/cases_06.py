"""Cases and observations of notebook 06's exercises, in the notebook's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.checks.observe import ObservationError, Problem, name_outputs
from utils.checks.spec import Case, Draw, Seen

DOUBLE = torch.float64


# ------------------------------------------------------------------------------------------ equivariance of a layer


def equivariance_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], shift: tuple[int, int], **layer: Any) -> Case:
        dtype = layer.pop("dtype", torch.float32)
        init = {
            "weight": draw.normal(4, shape[1], 3, 3, scale=0.4, dtype=dtype),
            "bias": draw.normal(4, dtype=dtype),
            "stride": [1, 1],
            "circular": False,
            **layer,
        }
        return Case(name, init=init, args={"x": draw.normal(*shape, dtype=dtype), "shift": shift})

    return [
        case("a convolution with zeros at the border", (2, 3, 5, 7), (1, -2)),
        case("a convolution without a border", (2, 2, 6, 4), (2, 1), circular=True),
        case("stride 2 along both axes", (1, 3, 8, 12), (-4, 2), stride=[2, 2]),
        case("stride 2 across only", (3, 1, 4, 8), (1, 6), stride=[1, 2]),
        case("a shift along one axis", (2, 2, 6, 9), (0, 4)),
        case("double precision", (2, 3, 9, 6), (6, -2), stride=[3, 1], dtype=DOUBLE),
    ]


def observe_equivariance(attempt: Any, case: Case) -> Seen:
    """The layer is rebuilt from the case: a 3 x 3 convolution, with zeros or with the opposite side beyond the border."""
    layer = case.init

    def convolution(x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="circular" if layer["circular"] else "constant")
        return F.conv2d(padded, layer["weight"], layer["bias"], layer["stride"])

    x = case.args["x"].clone()
    result = attempt(convolution, x, case.args["shift"])
    return {**name_outputs(result, case.exercise), "after:x": x}


def no_border_no_error(case: Case, seen: Seen) -> bool:
    return not case.init["circular"] or bool(seen["output"].abs() < 1e-4)


# ------------------------------------------------------------------------------------------ consistency of a classifier


class Watched(nn.Module):
    """A linear classifier of pixels, which notes in what mode it is called."""

    def __init__(self, weight: Tensor, training: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.called_in_training = False
        self.train(training)

    def forward(self, images: Tensor) -> Tensor:
        self.called_in_training |= self.training
        return images.flatten(1) @ self.weight  # (B, C H W) @ (C H W, K) -> (B, K)


def consistency_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], classes: int, max_shift: int, **more: Any) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {
            "weight": draw.normal(shape[1] * shape[2] * shape[3], classes, dtype=dtype),
            "training": False,
            **more,
        }
        images = draw.normal(*shape, shift=0.3, dtype=dtype)
        return Case(name, init=init, args={"images": images, "max_shift": max_shift})

    return [
        case("wide colour images", (9, 3, 4, 6), 3, 3),
        case("tall grey images", (11, 1, 7, 5), 4, 4),
        case("a model in training mode", (8, 2, 5, 6), 3, 4, training=True),
        case("two classes", (13, 2, 6, 5), 2, 2),
        case("no shift at all", (5, 1, 3, 4), 3, 0),
        case("double precision", (7, 2, 6, 7), 5, 3, dtype=DOUBLE),
    ]


def observe_consistency(attempt: Any, case: Case) -> Seen:
    """The shares, and in which mode the model was called and is left."""
    model = Watched(**case.init)
    images = case.args["images"].clone()
    result = attempt(model, images, case.args["max_shift"])
    return {
        **name_outputs(result, case.exercise),
        "called_in_training": torch.tensor(model.called_in_training),
        "left_in_training": torch.tensor(model.training),
        "after:images": images,
    }


def mode_is_restored(case: Case, seen: Seen) -> bool:
    return bool(seen["left_in_training"]) == case.init["training"]


def starts_at_one(case: Case, seen: Seen) -> bool:
    return bool((seen["output"][0] - 1).abs() < 1e-6)


# ------------------------------------------------------------------------------------------ permuted pixels


def permutation_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Case:
        order = draw.permutation(shape[2] * shape[3])
        while torch.equal(order[order], torch.arange(len(order))):  # its own inverse: would hide a mistake
            order = draw.permutation(len(order))
        return Case(name, args={"images": draw.normal(*shape, dtype=dtype), "permutation": order})

    return [
        case("wide colour images", 2, 3, 3, 5),
        case("tall grey images", 3, 1, 6, 2),
        case("one image with many channels", 1, 7, 4, 3),
        case("a single row of pixels", 2, 2, 1, 6),
        case("double precision", 2, 3, 2, 4, dtype=DOUBLE),
    ]


def pixels_stay_whole(case: Case, seen: Seen) -> bool:
    """Each image still holds the same pixels, with all their channels, in some order."""

    def sorted_pixels(images: Tensor) -> list[list[tuple[float, ...]]]:
        return [sorted(map(tuple, image.flatten(1).T.tolist())) for image in images]

    return sorted_pixels(seen["output"]) == sorted_pixels(case.args["images"])


# ------------------------------------------------------------------------------------------ residual networks


def block_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], channels: int, stride: int = 1, **more: Any) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {"in_channels": shape[1], "channels": channels, "stride": stride}
        return Case(name, init=init, args={"x": draw.normal(*shape, dtype=dtype)}, **more)

    return [
        case("the shortcut is the input itself", (2, 4, 5, 3), 4),
        case("more channels", (2, 3, 4, 6), 5),
        case("stride 2, same channels", (3, 4, 6, 5), 4, 2),
        case("stride 2, more channels, training", (4, 2, 5, 7), 4, 2, mode="train"),
        case("training", (3, 3, 4, 5), 3, mode="train"),
        case("double precision", (1, 2, 6, 4), 3, 2, dtype=DOUBLE),
    ]


def resnet_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], width: int, blocks: tuple[int, ...], **more: Any) -> Case:
        dtype, classes = more.pop("dtype", torch.float32), more.pop("num_classes", 3)
        init = {"width": width, "num_classes": classes, "blocks": blocks, "in_channels": shape[1]}
        return Case(name, init=init, args={"images": draw.normal(*shape, dtype=dtype)}, **more)

    return [
        case("two stages, a wide image", (2, 3, 6, 8), 3, (1, 2)),
        case("the last map, three stages", (2, 1, 9, 7), 2, (2, 1, 1), method="features"),
        case("one stage, training", (3, 2, 5, 4), 4, (2,), mode="train"),
        case("no head", (2, 3, 8, 5), 2, (1, 2), num_classes=0),
        case("double precision, three stages", (2, 2, 8, 12), 2, (1, 1, 2), dtype=DOUBLE, num_classes=5),
    ]


# ------------------------------------------------------------------------------------------ attention distance


def distance_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, batch: tuple[int, ...], grid: tuple[int, int], cls: bool = False, **more: Any
    ) -> Case:
        tokens = grid[0] * grid[1] + cls
        weights = draw.normal(*batch, tokens, tokens, scale=1.5, **more).softmax(-1)
        return Case(name, args={"weights": weights, "grid": grid})

    return [
        case("a wide grid", (2, 3), (2, 5)),
        case("a tall grid with a CLS token", (2, 2), (4, 3), cls=True),
        case("layers, images and heads", (2, 1, 3), (3, 2)),
        case("a single row of patches", (1, 2), (1, 6)),
        case("one matrix with a CLS token, double precision", (), (3, 4), cls=True, dtype=DOUBLE),
    ]


def a_number_per_matrix(case: Case, seen: Seen) -> bool:
    """No distance can be longer than the grid's diagonal."""
    rows, columns = case.args["grid"]
    longest = ((rows - 1) ** 2 + (columns - 1) ** 2) ** 0.5
    return bool((seen["output"] <= longest + 1e-4).all() and (seen["output"] >= -1e-4).all())


# ------------------------------------------------------------------------------------------ fine-tuning


class Pretrained(nn.Module):
    """Stands for a pretrained model: a parameter, twelve residual layers, a norm and a head of any name."""

    def __init__(self, weights: dict[str, Tensor], depth: int, head: str) -> None:
        super().__init__()
        dim = weights["stem.weight"].shape[0]
        self.stem = nn.Linear(weights["stem.weight"].shape[1], dim)
        self.positions = nn.Parameter(torch.zeros(dim))
        self.blocks = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head_name = head
        self.add_module(head, nn.Linear(dim, weights[f"{head}.weight"].shape[0]))
        self.to(weights["stem.weight"].dtype)
        self.load_state_dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) + self.positions
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return getattr(self, self.head_name)(self.norm(x))


def fine_tune_cases(draw: Draw) -> list[Case]:
    def case(name: str, classes: int, decay: float, depth: int, per_layer: int, **more: Any) -> Case:
        head, dtype = more.pop("head", "head"), more.pop("dtype", torch.float32)
        inputs, dim, old = draw.integer(3, 6), draw.integer(6, 9), draw.integer(8, 12)
        shapes = {"stem": (dim, inputs), "norm": (dim,), head: (old, dim)}
        shapes |= {f"blocks.{i}": (dim, dim) for i in range(depth)}
        weights = {"positions": draw.normal(dim, dtype=dtype)}
        for layer, shape in shapes.items():
            weights[f"{layer}.weight"] = draw.normal(*shape, scale=0.5, dtype=dtype)
            weights[f"{layer}.bias"] = draw.normal(shape[0], dtype=dtype)
        blocks = [f"blocks.{i}" for i in range(depth)]
        layers = [["stem", "positions"]]
        layers += [blocks[i : i + per_layer] for i in range(0, depth, per_layer)] + [["norm"]]
        kwargs = {"head": head} if head != "head" else {}
        rate = round(float(draw.uniform(1, low=0.001, high=0.05)), 5)
        arguments = {"layers": layers, "num_classes": classes, "learning_rate": rate, "decay": decay}
        init = {"weights": weights, "depth": depth, "head": head}
        return Case(name, init=init, args=arguments, kwargs=kwargs)

    return [
        case("three blocks", 5, 0.7, 3, 1),
        case("a head of another name", 3, 0.5, 2, 1, head="fc"),
        case("more than ten blocks", 4, 0.8, 12, 1),
        case("two blocks to a layer", 2, 0.6, 4, 2),
        case("double precision", 6, 0.75, 2, 1, dtype=DOUBLE),
        case("the head alone learns", 7, 0.0, 2, 1),
    ]


def observe_fine_tune(attempt: Any, case: Case) -> Seen:
    """The learning rate of every parameter as an optimiser sees it, the new head, and what became of the rest."""
    model = Pretrained(case.init["weights"], case.init["depth"], case.init["head"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    arguments = {k: [list(names) for names in v] if k == "layers" else v for k, v in case.args.items()}
    groups = attempt(model, *arguments.values(), **case.kwargs)
    _must_be_groups(groups)
    optimizer = torch.optim.SGD(groups, lr=1e3)  # what has no rate of its own gets this one
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    head = getattr(model, case.init["head"])
    body = [name for name in before if not name.startswith(case.init["head"] + ".")]
    after = dict(model.named_parameters())
    x = torch.linspace(-1, 1, 2 * before["stem.weight"].shape[1], dtype=before["positions"].dtype)
    return {
        "head_is_linear": torch.tensor(isinstance(head, nn.Linear) and head.bias is not None),
        "head_weight": head.weight,
        "head_bias": torch.zeros(0) if head.bias is None else head.bias,
        "rates": torch.tensor([rate.get(id(p), -1.0) for p in after.values()], dtype=DOUBLE),
        "trainable": torch.tensor([p.requires_grad for p in after.values()]),
        "body_unchanged": torch.tensor(all(torch.equal(after[n], before[n]) for n in body if n in after)),
        "logits": model(x.view(2, -1)),
        "same:layers": torch.tensor(arguments["layers"] == case.args["layers"]),
    }


def _must_be_groups(groups: Any) -> None:
    if not isinstance(groups, Sequence) or not all(isinstance(g, dict) and "params" in g for g in groups):
        raise ObservationError(
            Problem(
                "type",
                'fine_tune must return a list of parameter groups, `[{"params": [...], "lr": ...}, ...]`.',
            )
        )


def rates_never_rise_towards_the_input(case: Case, seen: Seen) -> bool:
    rates = seen[
        "rates"
    ]  # in the order stem's parameters, positions, blocks, norm, head; `positions` comes first
    return bool(rates[-1] >= rates[:-1].max())
