"""Where an attack takes place: a class of two neighbours, a gradebook, answers that must stay secret, and a door that nobody may knock at."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from utils.authoring import stubs
from utils.checks.registry import exercises_of, find
from utils.grading.policy import Policy
from utils.grading.reading import RELEASE
from utils.paths import ROOT

Entry = dict[str, Any]

NOTEBOOK = "01_transformer_recap"
TARGET = "causal_mask"  # the exercise that hostile submissions answer wrongly, in every case
WRONG = f"def {TARGET}(length):\n    return torch.zeros(length, length, dtype=torch.bool)\n"
FULL, ZERO, NO_GAIN, ONE_LOST, NOTHING, LATE = (
    "full points",
    "0, with the reason",
    "0 for the exercise",
    "only the exercise lost",
    "0 for every exercise",
    "0, for it is late",
)


def nothing_else(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterable[str]:
    """The complaints about an attack whose score says all."""
    return ()


@dataclass(frozen=True)
class Attack:
    """What a student hands in, or what several do.

    Args:
        name: what it does.
        group: heading in the table.
        expect: FULL; ZERO (nothing can be graded, and the report says why); NO_GAIN (`target` is wrong and stays wrong; what
            stood before it keeps its points); ONE_LOST (as NO_GAIN, and all other exercises keep theirs); NOTHING (all are wrong);
            LATE (right, and the class's policy takes all points for being late).
        make: writes the submission into `scene.student`.
        target: the exercise that is answered wrongly.
        also: complaints about what no score shows, given the scene, the attacker's entry and all entries, with the policy applied.
        policy: of the class.
        memory: MiB by which the grader may grow.
        notebook: which one it is.
        together: attacks with the same word here may be graded as one class (which saves the time that their neighbours take). Without one an
            attack may change how the whole class hands in.
    """

    name: str
    group: str
    expect: str
    make: Callable[[Scene], object]
    target: str = TARGET
    also: Callable[[Scene, Entry, list[Entry]], Iterable[str]] = nothing_else
    policy: Policy = field(default_factory=Policy)
    memory: int = 2000
    notebook: str = NOTEBOOK
    together: str = ""


def one_class(word: str, attacks: Iterable[Attack]) -> tuple[Attack, ...]:
    """Attacks that may be graded together: each writes into its own folder alone."""
    return tuple(replace(attack, together=word) for attack in attacks)


@dataclass
class Scene:
    """The folders of one attack.

    Args:
        base: everything lies below it; it is read by nobody else.
        out: the grader's folder, with the gradebook of earlier submissions.
        who: the attacker's folder name.
        token: a word that is in the name of whatever the attack leaves behind.
        neighbours: two honest notebooks. Submissions are graded by name, and these stand before and after most attackers.
        honest: student and platform's id of each neighbour.
        students: how many the attacker seems to be.
        seen: what an attack notes while it is graded.
    """

    base: Path
    out: Path
    who: str
    token: str
    neighbours: list[Path] = field(default_factory=list)
    honest: list[tuple[str, str]] = field(default_factory=list)
    students: int = 1
    seen: list[Any] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    doors: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        """Names the neighbours, and opens the doors that nobody may knock at: a port, a socket at a path, and datagrams by name."""
        for name in (f"a neighbour {self.base.name}", f"z neighbour {self.base.name}"):
            self.neighbours.append(self.folder / name / f"{NOTEBOOK}.ipynb")
            self.honest.append((name, ""))
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
            "INDEX": str([exercise.name for exercise in exercises_of(NOTEBOOK)].index(TARGET)),
        }

    def filled(self, code: str) -> str:
        """Code of an attack with the places put in, of which each stands in it as `$NAME`."""
        for name, value in self.places.items():
            code = code.replace(f"${name}", value)
        return code

    def write(self, notebook: dict[str, Any] | bytes, name: str = f"{NOTEBOOK}.ipynb") -> Path:
        """Puts a notebook into the student's folder."""
        path = self.student / name
        content = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
        path.write_bytes(content)
        return path


@cache
def _released(notebook: str) -> dict[str, Any]:
    return json.loads((RELEASE / f"{notebook}.ipynb").read_text(encoding="utf-8"))


@cache
def answers(notebook: str = NOTEBOOK) -> dict[str, str]:
    """Right answers by exercise."""
    return {exercise.name: stubs.answer(exercise).whole for exercise in exercises_of(notebook)}


def solved(notebook: str = NOTEBOOK, /, **edits: str) -> dict[str, Any]:
    """The notebook with every answer right, except those given."""
    found = deepcopy(_released(notebook))
    texts = answers(notebook) | edits
    for cell in found["cells"]:
        if cell["id"] in texts:
            cell["source"] = texts[cell["id"]]
    return found


def cell_of(notebook: dict[str, Any], identity: str) -> dict[str, Any]:
    """The cell with this id."""
    return next(cell for cell in notebook["cells"] if cell["id"] == identity)


def before_the_answer(notebook: dict[str, Any], source: str) -> dict[str, Any]:
    """The notebook with a cell of the student's own in front of `TARGET`'s."""
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, TARGET)), code_cell(source))
    return notebook


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


def instead_of_an_answer(code: str, target: str = TARGET) -> Callable[[Scene], object]:
    """A submission whose answer to `target` is this code."""
    return lambda scene: scene.write(solved(**{target: scene.filled(code)}))
