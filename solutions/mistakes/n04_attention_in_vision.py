"""Wrong and alternative right answers to notebook 04, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.global_04 import self2d
from solutions.mistakes.local_04 import local, windows
from solutions.mistakes.pixels_04 import memory, pixels, transformer

__all__ = ["local", "memory", "pixels", "self2d", "transformer", "windows"]
