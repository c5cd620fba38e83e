"""Wrong and alternative right answers to notebook 03, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.classifier_03 import classifier_bank
from solutions.mistakes.encoder_03 import encoder_bank, mask_bank
from solutions.mistakes.training_03 import compare_bank, schedule_bank

__all__ = ["classifier_bank", "compare_bank", "encoder_bank", "mask_bank", "schedule_bank"]
