"""Imports of the libraries that the course is compared with, for benchmarks and tests only."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

_library: torch.library.Library | None = None


def define_torchvision_operators() -> None:
    """Declares the two operators that torchvision's Python code registers fake versions of.

    torchvision has no build for a pinned CPU torch, so it is installed without its compiled part; timm and parts of
    transformers import it all the same. Where a complete torchvision is installed nothing is done.
    """
    global _library
    if _library is not None:
        return
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return
    except RuntimeError:  # "operator torchvision::nms does not exist"
        _library = torch.library.Library("torchvision", "FRAGMENT")
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        for name in ("nms", "qnms"):
            _library.define(name + signature)


def import_timm() -> ModuleType:
    """The timm package, importable with a torchvision that has no operators."""
    define_torchvision_operators()
    return importlib.import_module("timm")


def import_transformers() -> ModuleType:
    """The transformers package, importable with a torchvision that has no operators."""
    define_torchvision_operators()
    return importlib.import_module("transformers")
