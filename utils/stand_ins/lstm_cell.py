"""Stand-ins: one step of an LSTM."""

from __future__ import annotations

from torch import nn

LSTMCell = nn.LSTMCell
