"""Wrong and alternative right answers to notebook 09, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.moe_layer_09 import layer
from solutions.mistakes.perceiver_09 import cross, perceiver
from solutions.mistakes.retention_parallel_09 import decays, parallel
from solutions.mistakes.retention_state_09 import chunks, recurrent
from solutions.mistakes.routing_09 import balance, places, router

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
