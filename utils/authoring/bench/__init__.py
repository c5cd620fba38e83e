"""Reference models against their peers: interleaved, paired timings, printed as ratios. `python -m utils.authoring.bench`."""
