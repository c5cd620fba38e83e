"""Public check fixtures: inputs, weights, expected observations, and fingerprints of the known mistakes.

Two files per exercise in `data/expected/<stem>/`: numbers in safetensors, with the structure as JSON in its metadata, and the
sentences of mistakes and properties as text, one a line. Nothing in them is code, and no answer can be read off them beyond the
values of the public cases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from utils.checks.compare import NOTES, PREFIXES
from utils.checks.observe import observe
from utils.checks.problems import Problem
from utils.checks.rounding import MOST, strays
from utils.checks.spec import Case, Draw, Exercise, Seen
from utils.paths import DATA

PUBLIC_SEED = 20170612
FOLDER = DATA / "expected"
TOLERANCE = 3e-4  # of a fingerprint, as a share of its values' norm
Fingerprint = dict[str, Any]


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer as the student's machine knows it: its sentence, and what it looks like in each case."""

    name: str
    sentence: str
    looks: list[Fingerprint]


@dataclass(frozen=True)
class Fixture:
    """The prepared cases of one exercise with what the reference gives, and the known mistakes."""

    exercise: Exercise
    cases: list[Case]
    expected: list[Seen]
    mistakes: Sequence[Mistake] = ()


REDRAWS = 30  # after so many there is no other input of this kind (a mask for one position)
STEP = 104_729  # from a seed to the next that is tried in its place


def drawn(exercise: Exercise, seed: int) -> list[Case]:
    """The cases of a seed. Those of any other seed than the public one share no input with the public cases, wherever there are others to draw."""
    cases = exercise.draw(seed)
    if seed == PUBLIC_SEED:
        return cases
    public = {same_input(case) for case in exercise.draw(PUBLIC_SEED)}
    for attempt in range(1, REDRAWS + 1):
        shared = [index for index, case in enumerate(cases) if same_input(case) in public]
        if not shared:
            break
        others = exercise.draw(seed + STEP * attempt)
        for index in shared:
            cases[index] = others[index]
    return cases


def same_input(case: Case) -> str:
    """Equal for cases of the same input: arguments, weights, mode and method. What an answer could look a result up by."""
    tensors: dict[str, Tensor] = {}
    plain = encode_case(replace(case, name="", cotangents={}), "", tensors)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def prepare(exercise: Exercise, reference: Any, seed: int) -> Fixture:
    """Draws inputs, weights and cotangents, and observes the reference on them. For authors and graders.

    Raises:
        RuntimeError: if the reference itself cannot be observed.
    """
    cases, expected = [], []
    for index, one in enumerate(drawn(exercise, seed)):
        found: list[tuple[float, Case, Seen]] = []
        for attempt in range(REDRAWS):  # a case in which rounding alone carries far is not asked
            other = seed + STEP * attempt
            asked = one if attempt == 0 else drawn(exercise, other)[index]
            case, seen = _asked(exercise, reference, asked, Draw(other + 7919 * (index + 1)))
            found.append((strays(reference, case, seen), case, seen))
            if found[-1][0] <= MOST:
                break
        _, case, seen = min(found, key=lambda one: one[0])
        cases.append(case)
        expected.append(seen)
    return Fixture(exercise, cases, expected)


def _asked(exercise: Exercise, reference: Any, one: Case, draw: Draw) -> tuple[Case, Seen]:
    """A case with its weights and cotangents, and what the reference gives."""
    case = replace(one, exercise=exercise)
    if exercise.kind == "module" and case.weights is None and case.mode != "refused":
        case = replace(case, weights=draw_weights(exercise, reference, case, draw))
    seen = _must_see(exercise, reference, case)
    if exercise.gradients:
        floats = [name for name in exercise.outputs if name in seen and seen[name].is_floating_point()]
        drawn_for = {n: draw.normal(*seen[n].shape, dtype=seen[n].dtype) for n in floats}
        case = replace(case, cotangents=drawn_for)
        seen = _must_see(exercise, reference, case)
    return case, seen


def _must_see(exercise: Exercise, reference: Any, case: Case) -> Seen:
    seen = observe(reference, case)
    if isinstance(seen, Problem):
        raise RuntimeError(
            f"{exercise.name}: the reference fails on {case.name!r}: {seen.sentence} {seen.trace}"
        )
    return seen


def draw_weights(exercise: Exercise, reference: Any, case: Case, draw: Draw) -> dict[str, Tensor]:
    """Weights for the reference's parameters and float buffers, away from every default.

    Vectors called `weight` (norms) lie around 1, other vectors around 0, matrices keep the scale of their input.
    """
    module = reference(**case.init)
    floats = [v for v in case.args.values() if isinstance(v, Tensor) and v.is_floating_point()]
    dtype = floats[0].dtype if floats else torch.float32
    trained = {name for name, _ in module.named_parameters()}
    weights = {}
    for name, value in module.state_dict().items():
        if name not in trained and not value.is_floating_point():
            continue
        if exercise.weights is not None:
            weights[name] = exercise.weights(name, value, draw).to(dtype)
        elif name.endswith("running_var"):
            weights[name] = draw.uniform(*value.shape, low=0.5, high=1.5, dtype=dtype)
        elif value.ndim <= 1:
            shift = 1.0 if name.endswith("weight") else 0.0
            weights[name] = draw.normal(*value.shape, scale=0.3, shift=shift, dtype=dtype)
        else:
            fan_in = max(value[0].numel(), 1)
            weights[name] = draw.normal(*value.shape, scale=fan_in**-0.5, dtype=dtype)
    return weights


KINDS = {torch.float32: "f", torch.int64: "i", torch.bool: "b"}


def fingerprint(outcome: Seen | Problem) -> Fingerprint:
    """A few numbers that tell one observation from another: per group a shape and three projections.

    Outputs stand alone; inputs afterwards, buffers and gradients are each taken together.
    """
    if isinstance(outcome, Problem):
        return {"problem": outcome.signature}
    groups: dict[str, list[tuple[str, Tensor]]] = {}
    for key, value in outcome.items():
        if key.startswith(NOTES):  # a finding of its own, whatever the values are
            continue
        group = key.split(":")[0] if key.startswith(PREFIXES) else key
        groups.setdefault(group, []).append((key, value))
    return {group: _project(sorted(members, key=lambda m: m[0])) for group, members in groups.items()}


def _project(members: list[tuple[str, Tensor]]) -> dict[str, Any]:
    flat = torch.cat([value.detach().double().flatten() for _, value in members])
    special = int(flat.isnan().sum()) + 1_000_003 * int(flat.isinf().sum())
    flat = flat.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    steps = torch.arange(1, flat.numel() + 1, dtype=torch.float64)
    waves = [torch.cos(steps * speed + 0.3) for speed in (0.7548776662, 1.3247179572, 2.2360679775)]
    # only ever compared: written out, names and shapes would be two thirds of a file
    shapes = hashlib.blake2b(
        repr([(key, *value.shape) for key, value in members]).encode(), digest_size=6
    ).hexdigest()
    kinds = "".join(KINDS.get(value.dtype, f"({value.dtype})") for _, value in members)
    numbers = [float(f"{float(flat @ wave):.7g}") for wave in waves]
    return {
        "shapes": shapes,
        "kinds": kinds,
        "special": special,
        "norm": float(f"{float(flat.norm()):.7g}"),
        "on": numbers,
    }


def looks_like(left: Fingerprint, right: Fingerprint, tolerance: float = TOLERANCE) -> bool:
    """Whether two fingerprints are of the same observation, up to rounding."""
    if left.keys() != right.keys():
        return False
    if "problem" in left:
        return left["problem"] == right["problem"]
    for group, a in left.items():
        b = right[group]
        if a["shapes"] != b["shapes"] or a["kinds"] != b["kinds"] or a["special"] != b["special"]:
            return False
        slack = tolerance * max(a["norm"], b["norm"]) + 1e-6
        if any(abs(x - y) > slack for x, y in zip(a["on"], b["on"], strict=True)):
            return False
    return True


def path_of(exercise: Exercise) -> Path:
    """Where the numbers of an exercise's public fixture lie; its sentences lie beside them, as `.json`."""
    return FOLDER / exercise.stem / f"{exercise.name}.safetensors"


def stem_of(name: str) -> str:
    """ "attention" for an exercise that has a fixture in that folder, else ""."""
    found = next(FOLDER.glob(f"*/{name}.safetensors"), None)
    return found.parent.name if found else ""


def order_path() -> Path:
    """Where the build notes which notebook has which exercises, in which order."""
    return FOLDER / "order.json"


def sentences(exercise: Exercise, mistakes: Sequence[Mistake]) -> str:
    """The text file of an exercise: what its properties and its known mistakes say, by name, a sentence per line."""
    said = {
        "properties": {prop.name: prop.sentence for prop in exercise.properties},
        "mistakes": {mistake.name: mistake.sentence for mistake in mistakes},
    }
    return json.dumps(said, ensure_ascii=False, indent=1) + "\n"


def save(fixture: Fixture, path: Path) -> None:
    """Writes the numbers of a fixture to `path`, its sentences beside it."""
    tensors: dict[str, Tensor] = {}
    cases = []
    for index, (case, seen) in enumerate(zip(fixture.cases, fixture.expected, strict=True)):
        cases.append(
            encode_case(case, f"{index}", tensors)
            | {"expected": encode(dict(seen), f"{index}/expected", tensors)}
        )
    mistakes = [{"name": m.name, "looks": m.looks} for m in fixture.mistakes]
    text = json.dumps({"cases": cases, "mistakes": mistakes}, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"exercise": text})
    path.with_suffix(".json").write_text(sentences(fixture.exercise, fixture.mistakes), encoding="utf-8")


@cache
def load(exercise: Exercise) -> Fixture:
    """Reads an exercise's public fixture.

    Raises:
        FileNotFoundError: with what to do about it.
    """
    path = path_of(exercise)
    words = path.with_suffix(".json")
    for file in (path, words):
        if not file.exists():
            raise FileNotFoundError(
                f"the check data of {exercise.name} is missing ({file.relative_to(FOLDER.parents[1])}). Authors: run `make notebooks`."
            )
    said = json.loads(words.read_text(encoding="utf-8"))["mistakes"]
    with safe_open(path, framework="pt") as file:
        spec = json.loads(file.metadata()["exercise"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    cases, expected = [], []
    for raw in spec["cases"]:
        fields = {
            key: decode(raw[key], tensors) for key in ("args", "kwargs", "init", "weights", "cotangents")
        }
        cases.append(Case(raw["name"], mode=raw["mode"], method=raw["method"], exercise=exercise, **fields))
        expected.append(decode(raw["expected"], tensors))
    mistakes = [Mistake(m["name"], said.get(m["name"], ""), m["looks"]) for m in spec["mistakes"]]
    return Fixture(exercise, cases, expected, mistakes)


CASE_TREES = ("args", "kwargs", "init", "weights", "cotangents")


def encode_case(case: Case, key: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """JSON for a case; its tensors go into `tensors`, under names that begin with `key`."""
    trees = {part: getattr(case, part) for part in CASE_TREES}
    plain = {part: tree if tree is None else dict(tree) for part, tree in trees.items()}
    encoded = {part: encode(tree, f"{key}/{part}", tensors) for part, tree in plain.items()}
    return {"name": case.name, "mode": case.mode, "method": case.method, **encoded}


def decode_case(raw: Mapping[str, Any], exercise: Exercise, tensors: dict[str, Tensor]) -> Case:
    """The case that :func:`encode_case` wrote."""
    trees = {part: decode(raw[part], tensors) for part in CASE_TREES}
    return Case(raw["name"], mode=raw["mode"], method=raw["method"], exercise=exercise, **trees)


def encode(value: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a tree of plain values; tensors go into `tensors` and leave their key."""
    if isinstance(value, Tensor):
        tensors[key] = value.detach().clone().contiguous()
        return {"$tensor": key}
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            return {
                "$items": [
                    [encode(k, f"{key}.k{i}", tensors), encode(v, f"{key}.v{i}", tensors)]
                    for i, (k, v) in enumerate(value.items())
                ]
            }
        return {name: encode(item, f"{key}.{name}", tensors) for name, item in value.items()}
    if isinstance(value, list | tuple):
        items = [encode(item, f"{key}.{i}", tensors) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{key}: a case may hold tensors, numbers, strings, None, lists, tuples and dicts, not {type(value).__name__}"
    )


def decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree that :func:`encode` wrote."""
    if isinstance(value, dict):
        if "$tensor" in value:
            return tensors[value["$tensor"]]
        if "$tuple" in value:
            return tuple(decode(item, tensors) for item in value["$tuple"])
        if "$items" in value:
            return {decode(k, tensors): decode(v, tensors) for k, v in value["$items"]}
        return {name: decode(item, tensors) for name, item in value.items()}
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    return value
