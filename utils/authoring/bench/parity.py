"""Are the reference answers the functions that the libraries compute? `python -m utils.authoring.bench parity` prints the table.

Small configurations, random weights, float64. The peer's weights go into our model through the mapping that the answer
itself provides; outputs, and the gradients of a random combination of them for the input and for every parameter, are
compared. The tests compare more (shapes, masks, padding, modes); this is the summary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from utils.authoring.bench.models import answer
from utils.authoring.bench.suites import mixer, poolformer, swin, vit
from utils.stand_ins.transformer import from_torch

#: largest difference, relative to the largest value, that float64 explains
TOLERANCE = 1e-9

Call = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """One comparison. Differences are relative to the largest value compared.

    Args:
        model, peer: what is compared with what; `peer` says so where it is only a part.
        output: largest difference of the outputs.
        gradient: largest difference of the gradients, input and parameters together.
        parameters: how many parameter tensors' gradients were compared.
    """

    model: str
    peer: str
    output: float
    gradient: float
    parameters: int


def redraw(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 and eval mode, every parameter redrawn: norm weights not 1, biases and layer scales not small."""
    model.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(0.5 + 0.3 * noise if parameter.ndim == 1 else 0.2 * noise)
    return model


def observe(model: nn.Module, x: Tensor, call: Call) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Output, gradient for the input, gradients for the parameters that the output depends on, by name."""
    x = x.clone().requires_grad_()
    output = call(model, x)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(9), dtype=output.dtype)
    model.zero_grad()
    (output * weights).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert x.grad is not None
    return output.detach(), x.grad, gradients


def apart(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """Largest difference over all tensors, relative to the largest value among them.

    Raises:
        ValueError: if the two do not hold the same names and shapes, or nothing but zeros.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"only one side has {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    scale = max(value.abs().max().item() for value in theirs.values())
    if scale == 0:
        raise ValueError("nothing to compare: all values are zero")
    worst = 0.0
    for name, value in theirs.items():
        if ours[name].shape != value.shape:
            raise ValueError(f"{name} is {tuple(ours[name].shape)} here and {tuple(value.shape)} there")
        worst = max(worst, (ours[name] - value).abs().max().item())
    return worst / scale


def compare(
    names: tuple[str, str],
    ours: nn.Module,
    theirs: nn.Module,
    rename: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    x: Tensor,
    calls: tuple[Call, Call] = (lambda model, x: model(x), lambda model, x: model(x)),
) -> Row:
    """Draws the peer's weights, maps them into ours, and compares.

    Args:
        names: of the model and of the peer.
        ours, theirs: modules; both are changed.
        rename: turns the peer's state dict into ours. Gradients are mapped by the same function.
        x: input, float64.
        calls: how ours and theirs are called.
    """
    redraw(theirs)
    ours.double().eval().load_state_dict(rename(theirs.state_dict()))
    output, input_gradient, gradients = observe(ours, x, calls[0])
    expected, expected_input, their_gradients = observe(theirs, x, calls[1])
    # what the compared part does not reach has no gradient; zeros stand in, so that the mapping finds every name
    everything = {name: torch.zeros_like(p) for name, p in theirs.named_parameters()} | their_gradients
    mapped = rename(everything)
    zeros = {name: torch.zeros_like(p) for name, p in ours.named_parameters()}
    return Row(
        *names,
        apart({"output": output}, {"output": expected}),
        apart(zeros | gradients | {"input": input_gradient}, {**mapped, "input": expected_input}),
        len(gradients),
    )


def rows() -> Iterator[Row]:
    """Every comparison of the table."""
    yield from _text()
    for name, suite, shape in (
        ("ViT", vit, (3, 3, 24, 24)),
        ("SwinTransformer", swin, (2, 3, 32, 32)),
        ("MLPMixer", mixer, (2, 3, 24, 24)),
        ("PoolFormer", poolformer, (2, 3, 40, 56)),
    ):
        ours, *peers = suite.sides()
        x = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        for side in peers:
            if side.rename is None:  # another function: timed, but not compared
                continue
            peer = side.name if side.part is None else f"{side.name} (last map)"
            if side.part is None:
                yield compare((name, peer), ours.model, side.model, side.rename, x)
            else:
                yield compare((name, peer), ours.model, side.model, side.rename, x, side.part)


def _text() -> Iterator[Row]:
    """Attention, Transformer layers and the LSTM against `torch.nn`."""
    x = torch.randn(3, 7, 24, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    yield compare(
        ("MultiHeadAttention", "nn.MultiheadAttention"),
        answer("solutions.attention:MultiHeadAttention")(24, 4),
        nn.MultiheadAttention(24, 4, batch_first=True),
        dict,
        x,
        (lambda model, x: model(x)[0], lambda model, x: model(x, x, x)[0]),
    )
    for norm_first, what in ((False, "post-LN"), (True, "pre-LN")):
        yield compare(
            (f"EncoderLayer, {what}", "nn.TransformerEncoderLayer"),
            answer("solutions.transformer:EncoderLayer")(24, 4, 40, norm_first),
            nn.TransformerEncoderLayer(24, 4, 40, 0.0, batch_first=True, norm_first=norm_first),
            from_torch,
            x,
        )
    yield compare(
        ("ViTBlock", "nn.TransformerEncoderLayer"),
        answer("solutions.vit_block:ViTBlock")(24, 3, 40),
        nn.TransformerEncoderLayer(24, 3, 40, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True),
        dict,
        x,
    )
    for bidirectional, what in ((False, ""), (True, ", both directions")):
        yield compare(
            (f"LSTM{what}", "nn.LSTM"),
            answer("solutions.lstm:LSTM")(24, 10, bidirectional),
            nn.LSTM(24, 10, batch_first=True, bidirectional=bidirectional),
            dict,
            x,
            (lambda model, x: model(x)[0], lambda model, x: model(x)[0]),
        )


def table(found: list[Row]) -> str:
    """The rows as text."""
    lines = [f"{'model':26s}{'peer':30s}{'outputs':>10s}{'gradients':>11s}  parameter tensors"]
    lines += [
        f"{row.model:26s}{row.peer:30s}{row.output:10.1e}{row.gradient:11.1e}  {row.parameters}"
        for row in found
    ]
    bad = [row for row in found if max(row.output, row.gradient) > TOLERANCE]
    lines.append(
        f"largest difference over largest value, float64; at most {TOLERANCE:g} expected: "
        + (f"NOT met by {len(bad)} of {len(found)}" if bad else f"met by all {len(found)}")
    )
    return "\n".join(lines)
