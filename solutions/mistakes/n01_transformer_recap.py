"""Wrong and alternative right answers to notebook 01, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.attention_01 import sdpa
from solutions.mistakes.decoder_01 import decoder, greedy
from solutions.mistakes.encoder_01 import encoder, feed_forward
from solutions.mistakes.heads_01 import merge, mha, split
from solutions.mistakes.order_01 import causal, positions

__all__ = [
    "causal",
    "decoder",
    "encoder",
    "feed_forward",
    "greedy",
    "merge",
    "mha",
    "positions",
    "sdpa",
    "split",
]
