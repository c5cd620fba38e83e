"""A trained model on a new task: a fresh head, and a learning rate per layer.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929 (zero head: section 3.2)
2. Jeremy Howard, Sebastian Ruder. "Universal Language Model Fine-tuning for Text Classification". ACL 2018.
   https://arxiv.org/abs/1801.06146 (a learning rate per layer, "discriminative fine-tuning")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def fine_tune(
    model: nn.Module,
    layers: Sequence[Sequence[str]],
    num_classes: int,
    learning_rate: float,
    decay: float,
    head: str = "head",
) -> list[dict[str, Any]]:
    """Prepares a pretrained model for a new task: a new head, and a learning rate per layer.

    The head is replaced by a fresh `nn.Linear` to `num_classes`, with weight and bias zero
    (Dosovitskiy et al. 2021, 3.2), so that the first steps send no noise into the pretrained
    layers; it has the dtype and the device of the old one. It learns with `learning_rate`, the
    last entry of `layers` with `learning_rate * decay`, the one before with `learning_rate *
    decay**2`, and so on.

    Args:
        model: pretrained; its head is an `nn.Linear`. Changed in place; all else keeps its
            weights.
        layers: from the input to the head, the names of the modules and parameters that make up
            each layer, such as `[("patch_embedding", "positions"), ("blocks.0",),
            ("blocks.1",), ("norm",)]`. A name stands for the parameter of that name, or for all
            parameters of the module of that name.
        num_classes: classes of the new task.
        learning_rate: of the head.
        decay: factor from a layer to the one below it; 1 gives all the same rate, 0 trains the
            head only.
        head: name of the head.

    Returns:
        parameter groups for an optimiser, `[{"params": [...], "lr": ...}, ...]`; every
        parameter of the model is in exactly one.

    Raises:
        ValueError: if a parameter outside the head is in no layer, or in more than one.
    """
    ### BEGIN SOLUTION
    old_head = getattr(model, head)
    new_head = nn.Linear(old_head.in_features, num_classes).to(old_head.weight)  # dtype and device
    nn.init.zeros_(new_head.weight)
    nn.init.zeros_(new_head.bias)
    setattr(model, head, new_head)
    groups = [{"params": list(new_head.parameters()), "lr": learning_rate}]
    for steps, names in enumerate(reversed([*layers]), start=1):
        parameters = [
            parameter
            for key, parameter in model.named_parameters()
            if any(key == name or key.startswith(name + ".") for name in names)
        ]
        groups.append({"params": parameters, "lr": learning_rate * decay**steps})
    ### END SOLUTION
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(
                f"{name} is in {listed.count(id(parameter))} parameter groups, must be "
                "in exactly one"
            )
    return groups
