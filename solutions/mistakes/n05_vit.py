"""Wrong and alternative right answers to notebook 05, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.attention_05 import attention
from solutions.mistakes.blocks_05 import block, vit
from solutions.mistakes.embedding_05 import convolution, embedding, tokens_bank
from solutions.mistakes.patches_05 import cut, join
from solutions.mistakes.trained_05 import loading, positions_bank, rollout_bank

__all__ = [
    "attention",
    "block",
    "convolution",
    "cut",
    "embedding",
    "join",
    "loading",
    "positions_bank",
    "rollout_bank",
    "tokens_bank",
    "vit",
]
