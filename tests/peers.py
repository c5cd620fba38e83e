"""Imports of the libraries that the course is compared with; written once, in `utils/authoring/bench/peers.py`."""

from utils.authoring.bench.peers import define_torchvision_operators, import_timm, import_transformers

__all__ = ["define_torchvision_operators", "import_timm", "import_transformers"]
