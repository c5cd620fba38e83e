"""`python -m utils.progress`: the table of `progress()` as text."""

from utils.progress import progress

progress()
