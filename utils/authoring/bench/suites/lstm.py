"""The LSTM of notebook 02, a loop over time in Python, against `nn.LSTM`, compiled code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from utils.authoring.bench.models import answer, forward, training
from utils.authoring.bench.race import Contest

BATCH, STEPS, DIM = 128, 32, 128


def contests() -> list[Contest]:
    """Training and inference, full and padded batches, both directions."""
    torch.manual_seed(0)
    ours = answer("solutions.lstm:LSTM")(DIM, DIM, bidirectional=True)
    fast = answer("solutions.lstm_fast:FastLSTM")(DIM, DIM, bidirectional=True)
    theirs = nn.LSTM(DIM, DIM, bidirectional=True, batch_first=True)
    x = torch.randn(BATCH, STEPS, DIM)
    lengths = torch.randint(STEPS // 2, STEPS + 1, (BATCH,))
    lengths[0] = STEPS
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    setting = f"B={BATCH}, {STEPS} steps, I=H={DIM}, both directions, float32"

    def first(out: tuple) -> torch.Tensor:
        return out[0] if isinstance(out[0], torch.Tensor) else out[0].data

    remedy = "a loop in Python; FastLSTM, the same function as a torch.autograd.Function, makes it smaller"
    return [
        Contest(
            "LSTM, forward and backward",
            setting,
            training(ours, x, pick=first),
            {"nn.LSTM": training(theirs, x, pick=first)},
            target=1.3,
            note=remedy,
        ),
        Contest(
            "FastLSTM, forward and backward",
            setting,
            training(fast, x, pick=first),
            {"nn.LSTM": training(theirs, x, pick=first)},
            target=1.3,
        ),
        Contest(
            "LSTM on a padded batch, forward and backward",
            setting,
            training(ours, x, lengths, pick=first),
            {"nn.LSTM, packed": training(theirs, packed, pick=first)},
            target=1.3,
        ),
        Contest("LSTM, forward", setting, forward(ours, x), {"nn.LSTM": forward(theirs, x)}, target=None),
    ]
