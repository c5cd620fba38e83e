"""Checks: what attention costs, in memory and in multiplications."""

from __future__ import annotations

from utils.checks.spec import Case, Draw, Exercise


def _memory_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, layers: int, heads: int, size: int) -> Case:
        numbers = {
            "num_tokens": tokens,
            "num_layers": layers,
            "num_heads": heads,
            "bytes_per_element": size,
        }
        return Case(name, args=numbers)

    return [
        case("one layer, one head", draw.integer(50, 300), 1, 1, 4),
        case("several layers", draw.integer(50, 300), draw.integer(5, 30), 1, 4),
        case("several heads, half precision", draw.integer(50, 300), 2, draw.integer(3, 20), 2),
        case("a large model in double precision", draw.integer(2000, 6000), 48, 16, 8),
        Case(
            "in the usual precision",
            args={"num_tokens": draw.integer(20, 90), "num_layers": 3, "num_heads": 2},
        ),
        case("a byte each, exact to the byte", 2 * draw.integer(60_000_000, 90_000_000) + 1, 3, 5, 1),
    ]


ATTENTION_MEMORY_BYTES = Exercise(
    name="attention_memory_bytes",
    notebook="04_attention_in_vision",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.attention_cost:attention_memory_bytes",
    cases=_memory_cases,
    gradients=False,
)


def _cost_cases(draw: Draw) -> list[Case]:
    side = 2 * draw.integer(2_000, 4_000) + 1
    return [
        Case(
            "a tall map",
            args={"h": draw.integer(6, 12), "w": draw.integer(2, 6), "channels": draw.integer(3, 9)},
        ),
        Case("one token", args={"h": 1, "w": 1, "channels": draw.integer(2, 30)}),
        Case(
            "a wide map",
            args={"h": draw.integer(2, 6), "w": draw.integer(7, 12), "channels": draw.integer(4, 20)},
        ),
        Case(
            "a very large map, exact to the last digit",
            args={"h": side, "w": side + 2, "channels": 2 * draw.integer(100, 300) + 1},
        ),
    ]


MSA_FLOPS = Exercise(
    name="msa_flops",
    notebook="07_swin",
    points=1,
    stars=1,
    minutes=8,
    reference="solutions.attention_cost:msa_flops",
    stand_in="utils.stand_ins.attention_cost:msa_flops",
    cases=_cost_cases,
    gradients=False,
)


def _window_cost_cases(draw: Draw) -> list[Case]:
    def case(name: str, rows: int, columns: int, channels: int, window: int) -> Case:
        numbers = {"h": rows * window, "w": columns * window, "channels": channels, "window_size": window}
        return Case(name, args=numbers)

    side, window = 2 * draw.integer(1, 4) + 1, draw.integer(3, 9)
    return [
        case("a tall map", 4, 2, draw.integer(3, 9), draw.integer(2, 5)),
        case("one window", 1, 1, draw.integer(4, 9), draw.integer(2, 5)),
        case("a wide map", 2, 5, draw.integer(4, 20), draw.integer(2, 5)),
        case(
            "very many channels, exact to the last digit",
            side,
            side,
            2 * draw.integer(5_000_000, 9_000_000) + 1,
            7,
        ),
        Case(
            "sides that the window does not divide",
            args={
                "h": 2 * window - 1,
                "w": 3 * window + 1,
                "channels": draw.integer(3, 9),
                "window_size": window,
            },
        ),
        Case(
            "a window larger than the map",
            args={
                "h": window - 1,
                "w": window + 2,
                "channels": draw.integer(3, 9),
                "window_size": window + 3,
            },
        ),
    ]


WINDOW_MSA_FLOPS = Exercise(
    name="window_msa_flops",
    notebook="07_swin",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.attention_cost:window_msa_flops",
    stand_in="utils.stand_ins.attention_cost:window_msa_flops",
    cases=_window_cost_cases,
    gradients=False,
)
