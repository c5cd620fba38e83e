"""Exercises of notebook 03: padding mask, encoder, classifier, schedule, and a fair comparison of models; in the modules imported here."""

from __future__ import annotations

from utils.checks.exercises import encoder_03 as encoder
from utils.checks.exercises import training_03 as training

EXERCISES = [*encoder.EXERCISES, *training.EXERCISES]
