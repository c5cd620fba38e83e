"""Checkpoints from which training goes on exactly: weights, optimizer, random states, history."""

import os
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch


def save(path, settings, model, optimizer, history, scaler) -> None:
    """Writes beside the file, then renames: a kill at any moment leaves a whole checkpoint, old or new."""
    kind, key, *rest = np.random.get_state()
    python = random.getstate()
    state = {
        "settings": settings,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),  # empty but in float16
        "history": asdict(history),
        "rng": {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [kind, torch.from_numpy(np.asarray(key).astype(np.int64)), *rest],
            "python": [python[0], list(python[1]), python[2]],
        },
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(state, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def restore(path, settings, model, optimizer, history, scaler) -> None:
    """Puts weights, optimizer, history and random states back as they were after the last whole epoch.

    The file is read without running any code that might be in it (`weights_only`).

    Raises:
        ValueError: it comes from a run with other settings.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True)
    for name, value in settings.items():
        if saved["settings"].get(name) != value:
            raise ValueError(
                f"The checkpoint {path} comes from a run with {name}={saved['settings'].get(name)}, "
                f"and this run has {name}={value}. Delete the file to start anew, or give another path."
            )
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scaler.load_state_dict(saved["scaler"])
    for name, value in saved["history"].items():
        setattr(history, name, value)
    rng = saved["rng"]
    torch.set_rng_state(rng["torch"])
    if rng["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(rng["cuda"])
    np.random.set_state((rng["numpy"][0], rng["numpy"][1].numpy().astype(np.uint32), *rng["numpy"][2:]))
    random.setstate((rng["python"][0], tuple(rng["python"][1]), rng["python"][2]))
