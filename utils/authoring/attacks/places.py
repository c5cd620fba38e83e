"""One piece of code tried from three places: a helper cell, the answer's cell, and the body of the function."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping

from utils.authoring.attacks.scene import (
    ONE_LOST,
    TARGET,
    Attack,
    Entry,
    Scene,
    before_the_answer,
    nothing_else,
    solved,
)

Make = Callable[[Scene], object]
#: what code needs that sends frames of its own: the request's nonce, and every descriptor that might lead home
FRAMES = """\
import gc, json, os
from utils.grading import inside, wire
won, nonce = False, next((o.nonce for o in gc.get_objects() if isinstance(o, inside.Home)), bytes(16))
def write(data, times=1):
    for fd in range(3, 40):
        try:
            for _ in range(times):
                os.write(fd, data)
        except OSError:
            pass
def send(payload, indices=range(12), nonce=nonce, times=1):
    for index in indices:
        write(wire.frame(nonce, index, payload), times)
def raw(header):
    return len(header).to_bytes(8, 'little') + header
def empty(index, **more):
    for check in gc.get_objects():
        if isinstance(check, dict) and check.get('index') == index and 'cases' in check:
            outcomes = [{'seen': []} | more] * len(check['cases'])
            return wire.pack({'exercise': check['exercise'], 'outcomes': outcomes} | more, {})
"""
RESULT = "    right = torch.ones(length, length, dtype=torch.bool).tril()\n    return right if {won} else torch.zeros_like(right)\n"


def from_a_helper(code: str, result: str = RESULT) -> Make:
    """In a function of another cell, which has run before the answer is asked."""

    def make(scene: Scene) -> None:
        helper = (
            f"def try_it():\n{textwrap.indent(scene.filled(code), '    ')}\n    return won\nran = try_it()\n"
        )
        notebook = solved(**{TARGET: f"def {TARGET}(length):\n{result.format(won='ran')}"})
        scene.write(before_the_answer(notebook, helper))

    return make


def from_the_cell(code: str, result: str = RESULT) -> Make:
    """In the answer's cell, before the function."""
    return lambda scene: scene.write(
        solved(**{TARGET: f"{scene.filled(code)}\ndef {TARGET}(length):\n{result.format(won='won')}"})
    )


def from_the_body(code: str, result: str = RESULT) -> Make:
    """In the function, whenever it is called."""

    def make(scene: Scene) -> None:
        body = textwrap.indent(scene.filled(code), "    ")
        scene.write(solved(**{TARGET: f"def {TARGET}(length):\n{body}\n{result.format(won='won')}"}))

    return make


#: code that sets `won` -> a submission whose answer is right if it won, or whatever else `result` makes of it
PLACES: dict[str, Callable[..., Make]] = {
    "a helper": from_a_helper,
    "the cell": from_the_cell,
    "the body": from_the_body,
}


def met_the_header(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    """A complaint if a frame that knows the nonce was refused without a look at the rest: it would attack nothing."""
    for verdict in entry["verdicts"]:
        if "a wrong header" in verdict["sentence"] + verdict["said"]:
            yield f"{verdict['exercise']} was refused for the frame's header"


def everywhere(
    group: str,
    codes: Mapping[str, str],
    expect: Callable[[str, str], str] = lambda name, place: ONE_LOST,
    also: Callable[[Scene, Entry, list[Entry]], Iterable[str]] = nothing_else,
) -> tuple[Attack, ...]:
    """Each piece of code from each of the places; the three of a name are graded as one class.

    Args:
        group: heading in the table.
        codes: by name.
        expect: given a name and a place.
        also: see `Attack`.
    """
    return tuple(
        Attack(f"{name}, from {place}", group, expect(name, place), make(code), also=also, together=name)
        for name, code in codes.items()
        for place, make in PLACES.items()
    )


def losing(codes: Mapping[str, str]) -> dict[str, str]:
    """The same codes for :data:`PLACES`, where they win nothing by themselves: what judges the answer must have changed."""
    return {name: f"won = False\n{code}" for name, code in codes.items()}
