"""Wrong and alternative right answers of notebook 08, an idea per module."""

from __future__ import annotations

from solutions.mistakes.metaformer_08 import block, former, pooling
from solutions.mistakes.mixer_08 import mixer, model

__all__ = ["block", "former", "mixer", "model", "pooling"]
