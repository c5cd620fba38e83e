"""Wrong and alternative right answers to notebook 06, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.carried_06 import distance, tuning
from solutions.mistakes.measures_06 import consistency, equivariance, permuted
from solutions.mistakes.residual_06 import block, resnet

__all__ = ["block", "consistency", "distance", "equivariance", "permuted", "resnet", "tuning"]
