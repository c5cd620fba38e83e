"""Answers changed by machine, a small change at a time: the bank of wrong answers that nobody has to think of."""
