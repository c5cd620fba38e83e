"""Where an attack takes place: a class of two, a gradebook, answers that must stay secret, and a door that nobody may knock at."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from utils.authoring import stubs
from utils.checks.registry import exercises_of, find
from utils.grading.reading import RELEASE
from utils.paths import ROOT

NOTEBOOK = "01_transformer_recap"
TARGET = "causal_mask"  # the exercise that hostile submissions answer wrongly, in every case
WRONG = f"def {TARGET}(length):\n    return torch.zeros(length, length, dtype=torch.bool)\n"
FULL, ZERO, NO_GAIN, ONE_LOST = (
    "full points",
    "0, with the reason",
    "0 for the exercise",
    "only the exercise lost",
)


@dataclass(frozen=True)
class Attack:
    """One submission.

    Args:
        name: what it does.
        group: heading in the table.
        expect: FULL; ZERO (nothing can be graded, and the report says why); NO_GAIN (`TARGET` is wrong and stays wrong; what
            stood before it keeps its points); ONE_LOST (as NO_GAIN, and all other exercises keep theirs).
        make: writes the submission into `scene.student`.
    """

    name: str
    group: str
    expect: str
    make: Callable[[Scene], object]


@dataclass
class Scene:
    """The folders of one attack.

    Args:
        base: everything lies below it; it is read by nobody else.
        out: the grader's folder, with the gradebook of earlier submissions.
        who: the attacker's folder name.
        token: a word that is in the name of whatever the attack leaves behind.
    """

    base: Path
    out: Path
    who: str
    token: str
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    doors: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        """Opens the doors that nobody may knock at: a port, a socket at a path, and datagrams by name."""
        self.doors.enter_context(self.listener)
        # a socket's path has at most 107 bytes
        folder = self.doors.enter_context(tempfile.TemporaryDirectory(prefix="door-"))
        self.listener_at = Path(folder) / "s"
        for kind, name in (
            (socket.SOCK_STREAM, str(self.listener_at)),
            (socket.SOCK_DGRAM, f"\0{self.token}"),
        ):
            door = self.doors.enter_context(socket.socket(socket.AF_UNIX, kind))
            door.bind(name)
            if kind == socket.SOCK_STREAM:
                door.listen()

    @property
    def folder(self) -> Path:
        return self.base / "submissions"

    @property
    def student(self) -> Path:
        folder = self.folder / self.who
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def neighbours(self) -> tuple[Path, Path]:
        """Two honest notebooks. Submissions are graded by name, and these stand before and after most attackers."""
        folders = (f"a neighbour {self.base.name}", f"z neighbour {self.base.name}")
        return self.folder / folders[0] / f"{NOTEBOOK}.ipynb", self.folder / folders[1] / f"{NOTEBOOK}.ipynb"

    @property
    def neighbour(self) -> Path:
        return self.neighbours[0]

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def places(self) -> dict[str, str]:
        """Names that the code of attacks may use."""
        module, attribute = find(TARGET).stand_in.split(":")
        return {
            "NEIGHBOUR": str(self.neighbour),
            "GRADEBOOK": str(self.out / "records.jsonl"),
            "SEED": str(self.out / "seed.json"),
            "SOLUTIONS": str(ROOT / "solutions"),
            "COURSE": str(ROOT),
            "OUTSIDE": str(self.base),
            "TOKEN": self.token,
            "PORT": str(self.port),
            "DOOR": str(self.listener_at),
            "MODULE": module,
            "ATTRIBUTE": attribute,
            "FILE": str(ROOT.joinpath(*module.split(".")).with_suffix(".py")),
            "TARGET": TARGET,
        }

    def write(self, notebook: dict[str, Any] | bytes, name: str = f"{NOTEBOOK}.ipynb") -> Path:
        """Puts a notebook into the student's folder."""
        path = self.student / name
        content = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
        path.write_bytes(content)
        return path


@cache
def _released() -> dict[str, Any]:
    return json.loads((RELEASE / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))


@cache
def answers() -> dict[str, str]:
    """Right answers by exercise."""
    return {exercise.name: stubs.answer(exercise).whole for exercise in exercises_of(NOTEBOOK)}


def solved(**edits: str) -> dict[str, Any]:
    """The notebook with every answer right, except those given."""
    notebook = deepcopy(_released())
    texts = answers() | edits
    for cell in notebook["cells"]:
        if cell["id"] in texts:
            cell["source"] = texts[cell["id"]]
    return notebook


def cell_of(notebook: dict[str, Any], identity: str) -> dict[str, Any]:
    """The cell with this id."""
    return next(cell for cell in notebook["cells"] if cell["id"] == identity)


def code_cell(source: str, identity: str = "own") -> dict[str, Any]:
    """A cell that a student has added."""
    return {
        "cell_type": "code",
        "id": identity,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def beside_a_wrong_answer(code: str, *, before: bool = True) -> Callable[[Scene], object]:
    """A submission whose `TARGET` is wrong, with `code` in the same cell. `$NAME` in the code stands for a place in the scene."""

    def make(scene: Scene) -> None:
        text = code
        for name, value in scene.places.items():
            text = text.replace(f"${name}", value)
        source = f"{text}\n{WRONG}" if before else f"{WRONG}\n{text}"
        scene.write(solved(**{TARGET: source}))

    return make


def instead_of_an_answer(code: str) -> Callable[[Scene], object]:
    """A submission whose `TARGET` is this code."""

    def make(scene: Scene) -> None:
        text = code
        for name, value in scene.places.items():
            text = text.replace(f"${name}", value)
        scene.write(solved(**{TARGET: text}))

    return make
