"""Exercises of notebook 01: attention, positions, encoder and decoder layers, greedy decoding; in the modules imported here."""

from __future__ import annotations

from utils.checks.exercises import attention_01 as attention
from utils.checks.exercises import decoder_01 as decoder
from utils.checks.exercises import encoder_01 as encoder

EXERCISES = [*attention.EXERCISES, *encoder.EXERCISES, *decoder.EXERCISES]
