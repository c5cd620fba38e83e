"""Wrong and alternative right answers to notebook 09, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.moe_09 import balance, layer, places, router
from solutions.mistakes.perceiver_09 import cross, perceiver
from solutions.mistakes.retention_09 import chunks, decays, parallel, recurrent

__all__ = [
    "balance",
    "chunks",
    "cross",
    "decays",
    "layer",
    "parallel",
    "perceiver",
    "places",
    "recurrent",
    "router",
]
