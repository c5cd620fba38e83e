"""Checkpoints from which training goes on exactly: weights, optimizer, random states, history."""

import pickle
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from utils.storage import replacing


def save(path, settings, model, optimizers, history, others) -> None:
    """Writes beside the file, then renames: a kill at any moment leaves a whole checkpoint, old or new.

    Args:
        others: further things with a state (gradient scaler, scheduler, watch), or None.
    """
    kind, key, *rest = np.random.get_state()
    python = random.getstate()
    state = {
        "settings": settings,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "others": [None if other is None else other.state_dict() for other in others],
        "history": asdict(history),
        "rng": {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [kind, torch.from_numpy(np.asarray(key).astype(np.int64)), *rest],
            "python": [python[0], list(python[1]), python[2]],
        },
    }
    with replacing(Path(path)) as beside:
        torch.save(state, beside)


def restore(path, settings, model, optimizers, history, others) -> None:
    """Puts weights, optimizers, history and random states back as they were after the last whole epoch.

    The file is read without running any code that might be in it (`weights_only`).

    Raises:
        ValueError: it is no checkpoint of `fit`, or comes from a run with other settings or of another model.
    """
    instead = "Delete the file to start anew, or give another path."
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        known = {"settings", "model", "optimizers", "others", "history", "rng"} <= set(saved)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, ValueError, KeyError):
        known = False
    if not known:
        raise ValueError(f"The file {path} is no checkpoint of `fit`, or it is damaged. {instead}") from None
    for name, value in settings.items():
        if saved["settings"].get(name) != value:
            raise ValueError(
                f"The checkpoint {path} comes from a run with {name}={saved['settings'].get(name)}, "
                f"and this run has {name}={value}. {instead}"
            )
    try:
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise ValueError(
            f"The checkpoint {path} comes from another model or optimizer ({first[:200]}). {instead}"
        ) from None
    for other, state in zip(others, saved["others"], strict=True):
        if other is not None:
            other.load_state_dict(state)
    for name, value in saved["history"].items():
        setattr(history, name, value)
    rng = saved["rng"]
    torch.set_rng_state(rng["torch"])
    if rng["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(rng["cuda"])
    np.random.set_state((rng["numpy"][0], rng["numpy"][1].numpy().astype(np.uint32), *rng["numpy"][2:]))
    random.setstate((rng["python"][0], tuple(rng["python"][1]), rng["python"][2]))
