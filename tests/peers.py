"""Imports of the libraries that the course is compared with; written once, in `utils/bench/peers.py`."""

from utils.bench.peers import define_torchvision_operators, import_timm, import_transformers

__all__ = ["define_torchvision_operators", "import_timm", "import_transformers"]
