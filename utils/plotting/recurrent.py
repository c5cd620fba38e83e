"""Drawn architecture of notebook 02: one step of an LSTM."""

from __future__ import annotations

from matplotlib.figure import Figure

from utils.plotting.theme import COLORS, INK
from utils.plotting.transformer import Canvas

GATES = (("f", "sigmoid", 1.75), ("i", "sigmoid", 2.85), ("g", "tanh", 3.95), ("o", "sigmoid", 5.05))


def lstm_cell() -> Figure:
    """The two states of an LSTM (c above, h below), its four gates, and what feeds what (Gers et al. 2000)."""
    c = Canvas(7.2, 3.6)
    cell, level, bus, hidden = (
        3.05,
        1.35,
        0.95,
        0.55,
    )  # heights: the c line, the gates, what they read, the h line
    meet, out = (GATES[1][2] + GATES[2][2]) / 2, 6.0  # where i and g meet; where h is made

    c.path((0.95, cell), (6.45, cell), color=COLORS["orange"])
    c.note(0.88, cell, "cell $c_{t-1}$", ha="right")
    c.note(6.5, cell, "$c_t$", ha="left")
    c.ax.plot([0.95, 1.25, 1.25], [hidden, hidden, bus], color=COLORS["blue"], linewidth=1.1, zorder=2)
    c.note(0.88, hidden, "state $h_{t-1}$", ha="right")
    c.path((1.25, 0.24), (1.25, hidden), color=INK)
    c.note(1.25, 0.12, "word $x_t$")
    c.shape(1.62, hidden, "W x + U h + b: (B, 4H), cut into i, f, g, o: (B, H) each")

    c.ax.plot([1.25, GATES[-1][2]], [bus, bus], color=INK, linewidth=1.1, zorder=1)
    for name, kind, x in GATES:
        c.path((x, bus), (x, level))
        c.box(x, level, f"{name}: {kind}", "norm" if kind == "tanh" else "plain", width=0.98)
    top = level + 0.34

    c.path((GATES[0][2], top), (GATES[0][2], cell - 0.17))
    c.note(GATES[0][2] + 0.08, 2.3, "keep", ha="left", fontsize=8)
    for name, side in (("i", -1), ("g", 1)):
        x = next(gate[2] for gate in GATES if gate[0] == name)
        c.path((x, top), (x, 2.3), (meet + side * 0.17, 2.3))
    c.node(meet, 2.3, "×")
    c.path((meet, 2.47), (meet, cell - 0.17))
    c.note(meet + 0.08, 2.68, "write", ha="left", fontsize=8)
    c.node(GATES[0][2], cell, "×")
    c.node(meet, cell, "+")

    c.path((out, cell), (out, 2.64))
    c.box(out, 2.3, "tanh", "norm", width=0.7)
    c.path((out, 2.3), (out, level + 0.34))
    c.path((GATES[-1][2] + 0.49, level + 0.17), (out - 0.17, level + 0.17))
    c.note((GATES[-1][2] + 0.49 + out - 0.17) / 2, level + 0.5, "show", fontsize=8)
    c.node(out, level + 0.17, "×")
    c.path((out, level), (out, hidden), (6.45, hidden), color=COLORS["blue"])
    c.note(6.5, hidden, "$h_t$", ha="left")
    c.shape(6.5, cell - 0.2, "(B, H)")
    c.shape(6.5, hidden - 0.2, "(B, H)")
    return c.fig
