"""The declared experiments, one module each; every module has an `EXPERIMENT`."""
