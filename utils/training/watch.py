"""Looking on while a model trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from utils.training.history import History


class Watch:
    """What `fit` calls on the way; override what is of interest. Put the model back into the mode in which it came.

    State that a resumed run needs goes through `state_dict` and `load_state_dict` (tensors, numbers, lists, dictionaries).
    """

    def before(self, model: nn.Module) -> None:
        """Before the first step of this call, and after a checkpoint was loaded."""

    def after_step(self, step: int, model: nn.Module, loss: torch.Tensor) -> None:
        """After the step of this number, counted from 1; the loss is on the device: reading it waits for a GPU."""

    def after_epoch(self, model: nn.Module, history: History) -> None:
        """After an epoch, when the history has its numbers, and before a checkpoint is written."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
