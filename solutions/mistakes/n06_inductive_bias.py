"""Wrong and alternative right answers to notebook 06, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.carried_06 import distance, tuning
from solutions.mistakes.permuted_06 import permuted
from solutions.mistakes.residual_06 import block, resnet
from solutions.mistakes.shifts_06 import consistency, equivariance

__all__ = ["block", "consistency", "distance", "equivariance", "permuted", "resnet", "tuning"]
