"""Exercises of notebook 07: Swin; in the modules imported here. The answers are in `solutions/swin.py` and `solutions/swin_model.py`."""

from __future__ import annotations

from utils.checks.exercises import model_07 as model
from utils.checks.exercises import shift_07 as shift
from utils.checks.exercises import windows_07 as windows

EXERCISES = [*windows.EXERCISES, *shift.EXERCISES, *model.EXERCISES]
