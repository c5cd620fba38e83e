"""The training loop.

AdamW [1] without weight decay on biases, norms and embeddings; linear warm-up, then a cosine [2]; clipped
gradients; the device's own precision (see `precision`). Seeded, and resumable: a run that was killed after epoch k
and started again ends with the very bits of a run that was never killed.

[1] I. Loshchilov, F. Hutter, 2019, "Decoupled Weight Decay Regularization", ICLR.
[2] I. Loshchilov, F. Hutter, 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from utils.training.batches import count_batches, per_epoch
from utils.training.checkpoints import restore, save
from utils.training.history import History
from utils.training.measures import (
    cross_entropy,
    evaluate,
    predict,
    right_answers,
    seed_everything,
    to_device,
)
from utils.training.precision import Precision, announce, default_device, precision_for
from utils.training.progress import Progress
from utils.training.stopping import interrupted, stop_button
from utils.training.watch import Watch
from utils.words import say


@stop_button(announce=False)  # the bar says it, with the epoch
def fit(
    model: nn.Module,
    train_batches,
    *,
    epochs: int,
    lr: float,
    weight_decay: float = 0.05,
    warmup: float = 0.1,
    clip: float | None = 1.0,
    validation=None,
    loss_fn: Callable | None = None,
    label_smoothing: float = 0.0,
    schedule: str | Callable[[int, int], float] | LRScheduler = "cosine",
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    forward: Callable | None = None,
    watch: Watch | None = None,
    device: str | torch.device | None = None,
    precision: str | Precision | None = None,
    seed: int | None = 0,
    progress: bool | str = True,
    live: bool = False,
    checkpoint: str | Path | None = None,
    max_seconds: float | None = None,
) -> History:
    """Trains a model in place and leaves it in eval mode.

    Args:
        model: called as `model(inputs)`, `model(*inputs)` for a tuple or `model(**inputs)` for a dict; gives
            logits (..., classes), a tuple that starts with them, or an object with `.logits`.
        train_batches: an iterable of `(inputs, targets)`, or a callable `epoch -> iterable` (epochs count
            from 0). A resumed run is exact if the batches depend on nothing but the epoch and the global
            random states.
        epochs: passes over the training data.
        lr: the highest learning rate, reached at the end of the warm-up.
        weight_decay: for the weights of linear, convolutional and recurrent layers only.
        warmup: fraction of all steps in which the learning rate grows linearly; 1 or more: a number of steps.
        clip: the gradient's largest norm over all parameters; None leaves gradients as they are.
        validation: batches (like `train_batches`) on which loss and accuracy are measured after each epoch.
        loss_fn: `(logits, targets) -> scalar`, a mean; default `cross_entropy`.
        label_smoothing: for the default loss, in training only.
        schedule: "cosine" (to zero), "linear" (to zero), "constant", or your own `(step, total_steps) ->
            factor` of lr; your own replaces the warm-up too. Or a scheduler of torch's, which then steps after each step.
        optimizer: one of your own, e.g. with a learning rate per layer; `lr` and `weight_decay` are then not
            used, and the schedule multiplies each group's own learning rate.
        forward: what gives the logits in training in the model's place, such as `torch.compile(model)`.
        watch: looks on after every step and epoch, see `Watch`.
        device: default `default_device()`.
        precision: "float32", "bfloat16" or "float16" in the forward pass (float16 with a scaled loss), or a `Precision`;
            default: what `precision_for` says of the device.
        seed: for dropout, shuffling and augmentation; None leaves the random states as they are.
        progress: a progress bar, or a line per epoch where there is no screen to draw on, and once in a process which
            precision it is; "bar": the bar or nothing, for many runs in a row.
        live: in Jupyter, one plot that is redrawn after each epoch.
        checkpoint: a file written after each epoch. If it is there, training goes on from it; if it is
            complete, the trained weights are loaded and nothing runs.
        max_seconds: stop when this call has taken this long, in the middle of an epoch if need be (that last
            part of an epoch is in the history, but not in the checkpoint).

    Returns:
        The history, an entry per epoch.

    Raises:
        ValueError: an argument makes no sense, or the checkpoint comes from a run with other settings.
        FloatingPointError: the loss became NaN or infinite.
    """
    check_arguments(
        epochs=epochs,
        lr=lr,
        weight_decay=weight_decay,
        warmup=warmup,
        clip=clip,
        label_smoothing=label_smoothing,
    )
    if loss_fn is not None and label_smoothing:
        raise ValueError(
            "label_smoothing belongs to the default loss; build it into your own loss_fn instead."
        )
    started = time.perf_counter()
    if seed is not None:
        seed_everything(seed)
    device = torch.device(device or default_device())
    model.to(device)
    if not isinstance(precision, Precision):
        precision = precision_for(device, precision)
    scaler = precision.scaler()
    train_loss_fn = loss_fn or partial(cross_entropy, label_smoothing=label_smoothing)
    optimizer = optimizer or make_optimizer(model, lr, weight_decay)
    optimizers = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
    parameters = in_order(model, [p for group in groups_of(optimizers) for p in group["params"]])
    top_lrs = [group["lr"] for group in groups_of(optimizers)]
    scheduler = schedule if isinstance(schedule, LRScheduler) else None
    factor: Callable[[int, int], float] | None = None
    if isinstance(schedule, str):
        factor = partial(learning_rate_factor, name=schedule, warmup=warmup)
    elif not isinstance(schedule, LRScheduler):
        factor = schedule
    watch = watch or Watch()
    batches_of = per_epoch(train_batches, epochs)
    steps_per_epoch = count_batches(train_batches, batches_of)
    total_steps = epochs * steps_per_epoch

    history = History(epochs=epochs, precision=precision.name)
    settings = {"epochs": epochs, "lr": top_lrs, "weight_decay": weight_decay, "warmup": warmup, "clip": clip}
    settings |= {"seed": seed, "label_smoothing": label_smoothing, "steps_per_epoch": steps_per_epoch}
    settings |= {"schedule": schedule if isinstance(schedule, str) else "custom"}
    settings |= {"precision": precision.name}
    if checkpoint is not None and Path(checkpoint).exists():
        restore(checkpoint, settings, model, optimizers, history, (scaler, scheduler, watch))
    if progress is True and len(history) < epochs:
        announce(precision)  # before the bar, which a line would tear in two
    watcher = Progress(history, total_steps, show=progress, live=live, max_seconds=max_seconds)

    watch.before(model)
    for epoch in range(len(history), epochs):
        model.train()
        epoch_started = time.perf_counter()
        sums = torch.zeros(3, device=device)  # of loss times targets, right answers, targets
        for inputs, targets in batches_of(epoch):
            inputs, targets = to_device(inputs, device), to_device(targets, device)
            if factor is not None:
                for group, top_lr in zip(groups_of(optimizers), top_lrs, strict=True):
                    group["lr"] = top_lr * factor(min(history.steps, total_steps - 1), total_steps)

            with precision.forward():
                logits = predict(
                    model if forward is None else forward, inputs
                )  # a compiled module has no truth value
            loss = train_loss_fn(logits.float(), targets)
            for one in optimizers:
                one.zero_grad()
            scaler.scale(loss).backward()
            if clip is not None:
                for one in optimizers:
                    scaler.unscale_(one)
                nn.utils.clip_grad_norm_(parameters, clip)
            for one in optimizers:
                scaler.step(one)  # left out where float16 gradients overflowed; the scale then halves
            scaler.update()
            if scheduler is not None:
                scheduler.step()

            history.steps += 1
            right, counted = right_answers(logits, targets)
            sums += torch.stack([loss.detach() * counted, right, counted])
            watcher.after_step(epoch, sums)
            watch.after_step(history.steps, model, loss.detach())
            if max_seconds is not None and time.perf_counter() - started > max_seconds:
                history.stopped = f"stopped in epoch {epoch + 1} of {epochs} by max_seconds={max_seconds:g}"
                break
            if interrupted():  # the stop button of a notebook: what has been learned so far is kept
                history.stopped = f"interrupted in epoch {epoch + 1} of {epochs}"
                break

        loss_sum, right, counted = sums.tolist()  # waits for the GPU, so the seconds below are all of them
        if not counted:
            raise ValueError(
                say(
                    "train_batches gave nothing in epoch {epoch}: no batch, or padding only.", epoch=epoch + 1
                )
            )
        if not math.isfinite(loss_sum):
            raise FloatingPointError(
                say(
                    "The loss became {loss} in epoch {epoch}. Try a smaller lr (it is {lr:g}) "
                    "or more warm-up, or look in the model for a division by zero or a fully masked row.",
                    loss=loss_sum / counted,
                    epoch=epoch + 1,
                    lr=lr,
                )
            )
        history.train_loss.append(loss_sum / counted)
        history.train_accuracy.append(right / counted)
        history.seconds.append(time.perf_counter() - epoch_started)
        if validation is not None:
            scores = evaluate(model, validation, loss_fn=loss_fn, device=device, precision=precision)
            history.validation_loss.append(scores[0])
            history.validation_accuracy.append(scores[1])
        history.total_seconds += time.perf_counter() - epoch_started
        watcher.after_epoch()
        watch.after_epoch(model, history)
        if history.stopped:
            break
        if checkpoint is not None:
            save(checkpoint, settings, model, optimizers, history, (scaler, scheduler, watch))

    watcher.close()
    model.eval()
    return history


def check_arguments(**given: float | None) -> None:
    """Refuses numbers that no training means.

    Raises:
        ValueError: one is out of its range; the text names it, its value and the range.
    """
    ranges: dict[str, tuple[Callable[[float], bool], str]] = {
        "epochs": (lambda v: v >= 1, "at least one is needed"),
        "lr": (lambda v: 0 < v < math.inf, "a number above 0 is needed"),
        "weight_decay": (lambda v: 0 <= v < math.inf, "0 or more is needed"),
        "warmup": (lambda v: 0 <= v < math.inf, "a fraction from 0 to 1, or a number of steps, is needed"),
        "clip": (lambda v: v > 0, "a norm above 0 is needed, or None for no clipping"),
        "label_smoothing": (lambda v: 0 <= v < 1, "a number from 0 to below 1 is needed"),
    }
    for name, value in given.items():
        fits, wanted = ranges[name]
        if value is not None and not fits(value):
            raise ValueError(f"{name} is {value}; {wanted}.")


def groups_of(optimizers: Sequence[torch.optim.Optimizer]) -> list[dict]:
    """Their parameter groups as they are now: loading a state makes new ones."""
    return [group for optimizer in optimizers for group in optimizer.param_groups]


def in_order(model: nn.Module, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Parameters in the model's own order, those of no model behind: the gradient's norm is then the same to the last bit however
    an optimizer groups them."""
    place = {id(p): n for n, p in enumerate(model.parameters())}
    return sorted(parameters, key=lambda p: place.get(id(p), len(place)))


def make_optimizer(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays the weights of linear, convolutional and recurrent layers, and nothing else.

    Not decayed: biases, the weights of norms (one-dimensional), `nn.Embedding`, and parameters that a module
    holds directly under a name without "weight", such as a class token, a position table, a relative position
    bias.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))}
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_weight = parameter.ndim >= 2 and "weight" in name.rsplit(".", 1)[-1]
        if parameter.requires_grad:
            (decayed if is_weight and id(parameter) not in embeddings else kept).append(parameter)
    if not decayed and not kept:
        raise ValueError(say("The model has no parameter that requires a gradient."))
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    fused = all(p.device.type in ("cpu", "cuda") for p in decayed + kept)  # one kernel for all parameters
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=fused)


def learning_rate_factor(step: int, total: int, *, name: str, warmup: float) -> float:
    """Factor of the learning rate at a step (from 0): linear warm-up, then the named decay."""
    warm = min(total - 1, round(warmup * total) if warmup < 1 else int(warmup))
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / (total - warm)
    if name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if name == "linear":
        return 1 - done
    if name == "constant":
        return 1.0
    raise ValueError(f"schedule is 'cosine', 'linear', 'constant' or a function; got {name!r}.")
