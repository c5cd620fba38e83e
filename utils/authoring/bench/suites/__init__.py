"""A module per family of models; each has `contests() -> list[Contest]`."""
