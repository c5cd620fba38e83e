"""What an exercise asks to be built by hand: the library's own layers that do all of its work (`Exercise.by_hand`).

An answer that is one of them is right by its values. `check` accepts it with a sentence, and the grader marks it for the instructor,
whose policy can refuse it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import symtable
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from utils.words import later

if TYPE_CHECKING:  # a spec needs torch, and who only reads names does not wait for it
    from utils.checks.spec import Exercise

#: attention of several heads as a whole
MULTIHEAD = ("nn.MultiheadAttention", "F.multi_head_attention_forward")
ATTENTION = ("F.scaled_dot_product_attention", *MULTIHEAD)
#: layers and models of the Transformer
TRANSFORMER = (
    "nn.TransformerEncoderLayer",
    "nn.TransformerDecoderLayer",
    "nn.TransformerEncoder",
    "nn.TransformerDecoder",
    "nn.Transformer",
)
#: the same, the one first that does the work of the exercise: it is the one that the notebook names
DECODER_LAYER = ("nn.TransformerDecoderLayer", *(n for n in TRANSFORMER if n != "nn.TransformerDecoderLayer"))
ENCODER = ("nn.TransformerEncoder", *(n for n in TRANSFORMER if n != "nn.TransformerEncoder"))
#: the recurrent layers, and what they call
LSTM = ("nn.LSTM", "nn.LSTMCell", "nn.RNNBase", "torch.lstm", "torch.lstm_cell")
_SELF = {"self", "cls", "super"}
_FETCH = {"getattr", "attrgetter", "__getattribute__"}
_IMPORT = {"import_module", "__import__"}
_WILD = {"exec", "eval", "globals", "locals", "vars", "setattr"}  # with these a statement may make any name
_READ = {"get", "items", "keys", "values", "copy"}  # of a table
_LINKS = 50  # of `a.b.c`, that are followed
#: packages whose models are those of the course
PACKAGES = {"timm", "torchvision", "transformers", "x_transformers", "vit_pytorch"}
#: rooms of the course in which an exercise may be done already, and what notebooks give of them
COURSE = ("utils.checks.", "utils.grading", "utils.authoring", "utils.experiments", "utils.training.measures", "utils.training.loop", "utils.training.evaluate")  # fmt: skip
GIVEN = {"utils.checks.check", "utils.checks.ready", "utils.checks.reuse"}


def used(exercise: Exercise, *texts: str) -> list[str]:
    """What of a library an answer is, as `nn.LSTM`, where the exercise asks for one's own; [] if nothing.

    Only what the answer rests on is looked at: its definition, and what that names, however far; not the earlier exercises that it calls.

    Args:
        exercise: which.
        texts: of the answer's cell, and of cells that it may build on.
    """
    wanted = {name.rpartition(".")[2] for name in exercise.by_hand}
    makers, deep = _read(texts)
    statements = _rests_on(exercise, makers)
    if not wanted and exercise.kind != "module":
        return list(dict.fromkeys(_of_the_course(statements)))
    found = [*_found(exercise, statements, wanted), *_of_the_course(statements)]
    for used in _below(exercise, wanted):  # what they may be themselves, they are marked for themselves
        found += _found(
            used, _rests_on(used, makers), wanted - {name.rpartition(".")[2] for name in used.by_hand}
        )
    if deep and exercise.by_hand:  # a deeper stack than this process has may run it
        found.append(f"{exercise.by_hand[0]} (a cell is nested too deep to tell)")
    return list(dict.fromkeys(name.encode("utf-8", "replace").decode()[-80:] for name in found))


def _below(exercise: Exercise, wanted: set[str]) -> list[Exercise]:
    """The earlier exercises that an answer may use: a layer that one of them has no use for is there for this one."""
    from utils.checks.registry import all_exercises  # which imports the exercises, and these this

    return [all_exercises()[name] for name in exercise.uses] if wanted else []


@functools.lru_cache(maxsize=4)  # a submission's cells are read once, not for each of its exercises
def _read(texts: tuple[str, ...]) -> tuple[dict[str, list[ast.stmt]], bool]:
    """Name -> the statements that make it, and whether a text is nested too deep to be read."""
    makers: dict[str, list[ast.stmt]] = {}
    deep = False
    for text in texts:
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError):  # no Python, so nothing that runs
            continue
        except (RecursionError, MemoryError):
            deep = True
            continue
        for statement in body:
            for made in set(_makes(statement)):
                makers.setdefault(made, []).append(statement)
    return makers, deep


def _found(exercise: Exercise, statements: list[ast.stmt], wanted: set[str]) -> list[str]:
    """What of a library stands in some statements."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    torch, star = _of_torch(nodes)
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += _imported(node, wanted)
        elif isinstance(node, ast.Attribute) and node.attr in wanted:
            names = _chain(node)
            # only of `self` is it known that it is no library
            if names[0] not in _SELF or torch & {*names}:
                found.append(".".join(name for name in names[-4:] if name))
        elif isinstance(node, ast.Attribute) and wanted and _is_hidden(node.attr, wanted):
            if node.attr == "__subclasses__" or torch & {*_chain(node)}:
                found.append(".".join(name for name in _chain(node)[-4:] if name))
        elif isinstance(node, ast.Name) and star and node.id in wanted:
            found.append(node.id)
        elif isinstance(node, ast.Call):
            found += _called(exercise, node, wanted, torch)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):  # vars(nn)["LSTM"]
            found += [node.slice.value] if node.slice.value in wanted else []
    return found


def _is_hidden(name: str, wanted: set[str]) -> bool:
    """Whether it is a private name of PyTorch's for a layer (`_scaled_dot_product_attention_math`), or finds a class without its name."""
    plain = name.replace("_", "").lower()
    stems = {one.replace("_", "").lower().removesuffix("attention") for one in wanted}
    return name == "__subclasses__" or (name.startswith("_") and any(stem in plain for stem in stems))


def _imported(node: ast.Import | ast.ImportFrom, wanted: set[str]) -> Iterator[str]:
    for alias in node.names:
        whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        if whole.split(".")[0] in PACKAGES or alias.name in wanted or whole.startswith("utils.stand_ins"):
            yield whole


def _of_the_course(statements: list[ast.stmt]) -> Iterator[str]:
    """What of the course's own checks, grader and experiments stands in some statements: they do, in places, what an exercise asks."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole.startswith(COURSE) and whole not in GIVEN:
                    yield whole
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(COURSE))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(COURSE):
            yield node.value  # `import_module("utils.checks...")`, `sys.modules["utils.checks..."]`


def _called(exercise: Exercise, call: ast.Call, wanted: set[str], torch: set[str]) -> Iterator[str]:
    """What a call fetches by a text: `getattr(nn, "LSTM")`, `import_module("timm")`, `reuse("MultiHeadAttention")`."""
    given = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    name = _chain(call.func)[-1] if given else ""
    for text in given:
        if text.rpartition(".")[2] in wanted:
            if name in _FETCH or any(torch & {*_chain(part)} for part in (call.func, *call.args)):
                yield text
        elif name in _IMPORT and text.split(".")[0] in PACKAGES:
            yield text
        elif name == "reuse" and _does_the_same(text, exercise, wanted):
            yield f'reuse("{text}")'


def _does_the_same(name: str, exercise: Exercise, wanted: set[str]) -> bool:
    """Whether an exercise that is reused asks for one of the layers that are wanted, and this one is not meant to build on it."""
    from utils.checks.registry import all_exercises  # which imports the exercises, and these this

    other = all_exercises().get(name)
    if other is None or name in exercise.uses:
        return False
    return any(layer.rpartition(".")[2] in wanted for layer in other.by_hand)


def _of_torch(nodes: list[ast.AST]) -> tuple[set[str], bool]:
    """Names and attributes (`self.k`) under which torch or something of it goes, and whether all of a module was imported."""
    torch, star = {"torch", "nn", "F"}, False
    leads: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if (module or alias.name).split(".")[0] == "torch":
                    torch.add(alias.asname or alias.name.split(".")[0])
                    star |= alias.name == "*"
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, ast.Name | ast.Attribute):
                for name in _chain(node.value):
                    leads.setdefault(name, set()).update(_chain(target)[-1] for target in targets)
    todo = [*torch]
    while todo:
        new = leads.pop(todo.pop(), set()) - torch
        torch |= new
        todo += new
    return torch - _SELF, star


def _chain(node: ast.AST) -> list[str]:
    """The names in `nn.modules.rnn.LSTM`, from the left, and those that are given to calls in it; "" for what is no name, or too far."""
    names: list[str] = []
    for _ in range(_LINKS):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call):
            names += [a.id for a in node.args if isinstance(a, ast.Name)]
            node = node.func
        else:
            break
    names.append(node.id if isinstance(node, ast.Name) else "")
    return names[::-1]


def _rests_on(exercise: Exercise, makers: dict[str, list[ast.stmt]]) -> list[ast.stmt]:
    """The statements that make an answer, and those that make what they name, however far."""
    found: dict[int, ast.stmt] = {}
    todo, seen = [exercise.name, "*"], set(exercise.uses)
    while todo:
        if (wanted := todo.pop()) in seen:
            continue
        seen.add(wanted)
        for statement in makers.get(wanted, ()):
            if id(statement) not in found:
                found[id(statement)] = statement
                todo += _looks_up(statement)
    return list(found.values())


def _looks_up(statement: ast.stmt) -> frozenset[str]:
    """Names that a statement finds in the notebook: not a function's own, which a test cell may use for something else (`x = nn.LSTM(3, 4)(x)`)."""
    found = getattr(statement, "looks_up", None)  # kept with the statement, and no longer
    if found is None:
        found = statement.looks_up = frozenset(_global_names(statement))  # type: ignore[attr-defined]
    return found


def _global_names(statement: ast.stmt) -> set[str]:
    try:
        tables = [symtable.symtable(ast.unparse(statement), "<cell>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # then all of them
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    found = {one.get_name() for one in tables[0].get_symbols() if one.is_referenced()}
    while tables:
        inner = tables.pop().get_children()
        tables += inner
        found |= {one.get_name() for table in inner for one in table.get_symbols() if one.is_global()}
    return found


def _makes(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, or changes (`LSTM.forward = ...`); "*" where it may be any."""
    definition = False
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        definition = True
        yield statement.name
    tame = {id(node) for node in _tame(statement)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.Name) and node.id in _WILD:
            if id(node) not in tame:
                yield "*"
        elif definition:
            continue
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield _chain(node)[0]


def _tame(statement: ast.stmt) -> Iterator[ast.expr]:
    """The names in `setattr(self, ...)` and `vars(x)["name"]`: an object's own attributes, and a table that is only read, are no names of the notebook's."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and node.args and _chain(node.func) == ["setattr"]:
            if _chain(node.args[0])[0] in _SELF:
                yield node.func
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Load):
            table = node.value
            reads = isinstance(node, ast.Subscript) or node.attr in _READ
            if reads and isinstance(table, ast.Call) and table.args and _chain(table.func) == ["vars"]:
                yield table.func


def note(exercise: Exercise, attempt: Any) -> str:
    """What `check` says of an answer that passes and is the library's; "" if it is not."""
    if exercise.by_hand and str(getattr(attempt, "__module__", "")).startswith("torch."):
        # the layer itself, under the name that it goes by: its own text calls others (`_VF.lstm_cell`)
        name = getattr(attempt, "__name__", "a layer")
        layers = [next((one for one in exercise.by_hand if one.rpartition(".")[2] == name), name)]
    else:
        layers = used(exercise, _text(attempt))
    if not layers:
        return ""
    return later(
        "The values are right. The exercise asks you to build it by hand, and this uses {layers}; your instructor sees that.",
        layers=" + ".join(layers),
    )


def _text(attempt: Any) -> str:
    """The cell, or the file's part, in which an attempt was written; "" if that cannot be known."""
    functions = [attempt, *vars(attempt).values()] if inspect.isclass(attempt) else [attempt]
    for function in functions:
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        if (
            code is not None
            and code.co_filename.startswith("<")
            or code is not None
            and "ipykernel" in code.co_filename
        ):
            return "".join(linecache.getlines(code.co_filename))
    try:
        return textwrap.dedent(inspect.getsource(attempt))
    except (OSError, TypeError):
        return ""
