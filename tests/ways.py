"""Ways of writing a right notebook: what students do between the release's cells, and it is green from top to bottom.

Each way answers one exercise of notebook 01 in cells of its own; ways of different exercises stand in one notebook together.
"""

from __future__ import annotations

from dataclasses import dataclass

C, M, S, P, F, A = (
    "causal_mask",
    "merge_heads",
    "split_heads",
    "sinusoidal_positions",
    "FeedForward",
    "scaled_dot_product_attention",
)
MASK = "def causal_mask(length):\n    return torch.ones(length, length, dtype=torch.bool).tril()\n"
MERGE = "def merge_heads(x):\n    return x.transpose(1, 2).flatten(2)\n"
SPLIT = """def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError("no")
    return rearrange(x, "b n (h d) -> b h n d", h=num_heads)
"""
SINES = """def sinusoidal_positions(length, dim):
    if dim % 2:
        raise ValueError("odd")
    angles = torch.arange(length)[:, None] * BASE ** (-torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
"""
SINES_PLAIN = SINES.replace("BASE", "10000")
FEED = """class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim, activation="relu"):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
        self.activation = getattr(F, activation)

    def forward(self, x):
        return self.linear2(self.activation(self.linear1(x)))
"""
BARE = FEED[: FEED.index("    def forward")]
ATTEND = """def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ value, weights
"""


@dataclass(frozen=True)
class Way:
    """One way.

    Args:
        name: what is special about it.
        exercise: that it answers.
        cells: sources of the cells that stand in the place of the answer's cell, before the check.
        after: of cells that stand behind the check.
    """

    name: str
    exercise: str
    cells: tuple[str, ...]
    after: tuple[str, ...] = ()


def _way(name: str, exercise: str, *cells: str, after: tuple[str, ...] = ()) -> Way:
    return Way(name, exercise, cells, after)


WAYS = [
    _way("a device by the course's helper", C,
         "from utils.training import default_device\ndevice = default_device()",
         "def causal_mask(length):\n    return torch.ones(length, length, dtype=torch.bool, device=device).cpu().tril()\n"),
    _way("a large table made once, by a call of an own function", C,
         "def make(size):\n    return torch.ones(size, size, dtype=torch.bool).tril()\n\nLARGE = make(512)",
         "def causal_mask(length):\n    return LARGE[:length, :length].clone()\n"),
    _way("an object of an own class that holds settings", P,
         "class Config:\n    def __init__(self):\n        self.base = 10000\n\ncfg = Config()",
         SINES.replace("BASE", "cfg.base")),
    _way("a table that a loop fills", C,
         "rows = {}\nfor n in range(400):\n    rows[n] = torch.arange(400) <= n",
         "def causal_mask(length):\n    return torch.stack([rows[n][:length] for n in range(length)]).reshape(length, length)\n"),
    _way("a class whose forward is set in the next cell", F,
         BARE, "def forward(self, x):\n    return self.linear2(self.activation(self.linear1(x)))\n\nFeedForward.forward = forward"),
    _way("setattr in the next cell", F,
         BARE, "setattr(FeedForward, 'forward', lambda self, x: self.linear2(self.activation(self.linear1(x))))"),
    _way("a class grown by inheriting from itself", F,
         BARE, "class FeedForward(FeedForward):\n    def forward(self, x):\n        return self.linear2(self.activation(self.linear1(x)))\n"),
    _way("a decorator that adds the method", F,
         "def method_of(cls):\n    def add(function):\n        setattr(cls, function.__name__, function)\n        return function\n    return add",
         BARE, "@method_of(FeedForward)\ndef forward(self, x):\n    return self.linear2(self.activation(self.linear1(x)))\n"),
    _way("a loop that patches", F,
         BARE, "for name, function in {'forward': lambda self, x: self.linear2(self.activation(self.linear1(x)))}.items():\n"
         "    setattr(FeedForward, name, function)"),
    _way("a patch by another name", F,
         BARE, "Layer = FeedForward", "Layer.forward = lambda self, x: self.linear2(self.activation(self.linear1(x)))"),
    _way("a shell line that is assigned, in the answer's cell", C, "files = !ls\n" + MASK),
    _way("%timeit -o that is assigned, in the answer's cell", C, MASK + "t = %timeit -n1 -r1 -o causal_mask(4)\n"),
    _way("%%time over the answer", M, "%%time\n" + MERGE),
    _way("%%capture with a name over the answer", M, "%%capture out\n" + MERGE),
    _way("a %time line that makes what the answer uses", P, "%time BASE = sum([10000])", SINES),
    _way("a shell line that goes over two lines", S, "!echo a \\\n  b\n" + SPLIT),
    _way("help and shell lines around the answer", S, "!ls\n%matplotlib inline\n" + SPLIT + "split_heads?\n"),
    _way("the stub's raise kept as a comment", C,
         "def causal_mask(length):\n    # raise NotImplementedError(\"not started yet\")\n    return torch.ones(length, length).tril().bool()\n"),
    _way("an older try above, the raise kept as a comment", M,
         "def merge_heads(x):\n    return x.flatten(2)\n",
         "def merge_heads(x):\n    # raise NotImplementedError(\"not started yet\")\n    return x.transpose(1, 2).flatten(2)\n"),
    _way("an older try, with the raise in a text", M,
         "def merge_heads(x):\n    return x\n",
         "def merge_heads(x):\n    'was: raise NotImplementedError(\"not started yet\")'\n    return x.transpose(1, 2).flatten(2)\n"),
    _way("display in the answer", M, "def merge_heads(x):\n    display(x.shape)\n    return x.transpose(1, 2).flatten(2)\n"),
    _way("get_ipython in the answer's cell", S, "get_ipython().run_line_magic('matplotlib', 'inline')\n" + SPLIT),
    _way("a lambda", C, "causal_mask = lambda length: torch.ones(length, length, dtype=torch.bool).tril()"),
    _way("a partial of an own function", C,
         "from functools import partial\n\ndef lower(length, kind):\n    return torch.ones(length, length, dtype=kind).tril()\n",
         "causal_mask = partial(lower, kind=torch.bool)"),
    _way("an answer that is bound to an own function", M,
         "def my_merge(x):\n    return x.transpose(1, 2).flatten(2)\n", "merge_heads = my_merge"),
    _way("a function made by a function", S,
         "def maker(pattern):\n    def inner(x, num_heads):\n        if x.shape[-1] % num_heads:\n            raise ValueError('no')\n"
         "        return rearrange(x, pattern, h=num_heads)\n    return inner\n",
         "split_heads = maker('b n (h d) -> b h n d')"),
    _way("an own decorator with a cache", C,
         "CACHE = {}\n\ndef remember(function):\n    def inner(length):\n        if length not in CACHE:\n            CACHE[length] = function(length)\n"
         "        return CACHE[length].clone()\n    return inner\n",
         "@remember\n" + MASK),
    _way("functools.cache over a helper", C,
         "import functools\n\n@functools.cache\ndef lower(n):\n    return torch.ones(n, n, dtype=torch.bool).tril()\n",
         "def causal_mask(length):\n    return lower(length).clone()\n"),
    _way("torch.no_grad as a decorator of an own helper", C,
         "@torch.no_grad()\ndef base(n):\n    return torch.ones(n, n)\n", "def causal_mask(length):\n    return base(length).tril().bool()\n"),
    _way("a definition inside an if", M, "if torch.__version__ > '1':\n    def merge_heads(x):\n        return x.transpose(1, 2).flatten(2)\n"
         "else:\n    def merge_heads(x):\n        return x\n"),
    _way("a definition inside a try", S, "try:\n    import nothing_of_this_name\nexcept ImportError:\n    " + SPLIT.replace("\n", "\n    ").rstrip()),
    _way("a global that the answer counts in", M,
         "calls = 0", "def merge_heads(x):\n    global calls\n    calls += 1\n    return x.transpose(1, 2).flatten(2)\n"),
    _way("a value that is changed in place, step by step", P,
         "numbers = []\nnumbers.append(100)\nnumbers.append(100)", "BASE = 1\nfor number in numbers:\n    BASE *= number", SINES),
    _way("a with block that makes a constant", P, "with torch.no_grad():\n    BASE = float(torch.tensor(10000.0))", SINES),
    _way("a dataclass", P, "from dataclasses import dataclass\n\n@dataclass\nclass Setting:\n    base: int = 10000\n\nsetting = Setting()\nsetting.base *= 1",
         SINES.replace("BASE", "setting.base")),
    _way("an enum", P, "import enum\n\nclass Base(enum.Enum):\n    PAPER = 10_000\n", SINES.replace("BASE", "Base.PAPER.value")),
    _way("unpacking and a walrus", P, "first, *rest = [10000, 1, 2]\nif (BASE := first) > 1:\n    pass", SINES),
    _way("an assertion and a print between", S, "x = torch.zeros(1, 2, 4)\nassert x.sum() == 0\nprint(x.shape)", SPLIT, "print(split_heads(x, 2).shape)"),
    _way("two answers' helpers in one cell, split from the answer", A,
         "def scale(query):\n    return math.sqrt(query.shape[-1])\n\n\nclass Fill:\n    value = None\n\n\nFill.value = staticmethod(lambda t: torch.finfo(t.dtype).min)",
         ATTEND.replace("math.sqrt(query.shape[-1])", "scale(query)").replace("torch.finfo(scores.dtype).min", "Fill.value(scores)")),
    _way("an import in a cell of its own, under another name", A, "import math as m, torch as t\nfrom torch import Tensor as T",
         ATTEND.replace("math.", "m.").replace("torch.", "t.")),
    _way("a star import", A, "from math import *", ATTEND.replace("math.sqrt", "sqrt")),
    _way("a cell that is a class and its instance", S,
         "class Splitter:\n    def __call__(self, x, num_heads):\n        if x.shape[-1] % num_heads:\n            raise ValueError('no')\n"
         "        return rearrange(x, 'b n (h d) -> b h n d', h=num_heads)\n\nsplitter = Splitter()",
         "def split_heads(x, num_heads):\n    return splitter(x, num_heads)\n"),
    _way("annotations that only a future import lets stand", M, "from __future__ import annotations",
         "def merge_heads(x: ThereIsNoSuchType) -> NorThis:\n    return x.transpose(1, 2).flatten(2)\n"),
    _way("type hints that are read when it is defined", S,
         "import typing\n\nclass Heads(int):\n    pass\n\ndef typed(function):\n    assert typing.get_type_hints(function)['num_heads'] is Heads\n    return function\n",
         "@typed\n" + SPLIT.replace("num_heads):", "num_heads: Heads):")),
    _way("a recursive helper and a helper of a helper", C,
         "def row(n, length):\n    return [i <= n for i in range(length)]\n\n\ndef rows_of(length, n=0):\n    return [] if n == length else [row(n, length), *rows_of(length, n + 1)]\n",
         "def causal_mask(length):\n    return torch.tensor(rows_of(length), dtype=torch.bool).reshape(length, length)\n"),
    _way("exec", C, "exec('KIND = torch.bool')", "def causal_mask(length):\n    return torch.ones(length, length, dtype=KIND).tril()\n"),
    _way("globals()", P, "globals()['BASE'] = 10000", SINES),
    _way("what a check that passed lets run", P, "if ready():\n    BASE = 10000\n", SINES),
    _way("an own seed, and numbers drawn at the top", P, "torch.manual_seed(3)\nNOISE = torch.randn(3) * 0", SINES_PLAIN.replace("flatten(1)", "flatten(1) + NOISE.sum()")),
    _way("the name used again behind the check", C, MASK, after=("causal_mask = causal_mask(7)\nlength = 3",)),
    _way("the answer broken behind the check", M, MERGE, after=("def merge_heads(x):\n    return x\n",)),
    _way("Korean names and a comment with an emoji",
        S,
        SPLIT.replace("    return", "    \uacb0\uacfc = x  # \U0001f600\n    return"),
    ),
    _way("a check inside the answer's own cell", M, MERGE + "check(merge_heads)"),
    _way("an asynchronous helper that is never awaited", S, "async def later():\n    return 1\n", SPLIT),
    _way("an answer that rests on what a cell awaits", S,
         "class Room:\n    async def __aenter__(self):\n        return self\n\n    async def __aexit__(self, *error):\n        pass\n\n"
         "    async def __aiter__(self):\n        yield 1\n",
         "import asyncio\n\nasync def later():\n    await asyncio.sleep(0)\n    return 1\n\nONE = await later()\n"
         "async with Room() as room:\n    TWO = [n async for n in room]",
         SPLIT.replace("rearrange(", "ONE * TWO[0] * rearrange(")),
    _way("a property and a class variable", F,
         FEED.replace("    def forward", "    scale = 1.0\n\n    @property\n    def one(self):\n        return self.scale\n\n    def forward").replace("return self.linear2(", "return self.one * self.linear2(")),
    _way("a function that sets a global", P, "def choose():\n    global BASE\n    BASE = 10000\n\nchoose()", SINES),
    _way("a function that fills a table, called by another one", C,
         "ROWS = {}\n\ndef fill():\n    for n in range(400):\n        ROWS[n] = torch.arange(400) <= n\n\ndef prepare():\n    fill()\n\nprepare()",
         "def causal_mask(length):\n    return torch.stack([ROWS[n][:length] for n in range(length)]).reshape(length, length)\n"),
    _way("a lambda with a name that fills a list", P, "numbers = []\nadd = lambda n: numbers.append(n)\nadd(10000)", SINES.replace("BASE", "numbers[0]")),
    _way("an object whose method fills a table of the notebook", P, "TABLE = {}\n\nclass Filler:\n    def fill(self):\n        TABLE['base'] = 10000\n\nfiller = Filler()",
         "filler.fill()", SINES.replace("BASE", "TABLE['base']")),
    _way("a comprehension that appends", P, "rows = [[], []]\n[row.append(100) for row in rows]", SINES.replace("BASE", "(rows[0][0] * rows[1][0])")),
    _way("a lambda that is called at once", P, "cfg = {}\n(lambda: cfg.update(base=10000))()", SINES.replace("BASE", "cfg['base']")),
    _way("an older try whole, and the raise left behind the answer's return", M,
         "def merge_heads(x):\n    return x.flatten(2)\n", MERGE + "    raise NotImplementedError(\"not started yet\")\n"),
    _way("a builtin that a cell behind the check takes the name of", S, SPLIT.replace("    if", "    assert max(1, 2) == 2\n    if", 1), after=("max = 5",)),
    _way("a builtin that a function behind the last answer takes the name of", F,
         FEED.replace("__init__()", "__init__()\n        assert abs(-1) == 1"), after=("def abs(x):\n    return x.abs_()\n",)),
    _way("a builtin that a star import behind the last answer takes the name of", F,
         FEED.replace("__init__()", "__init__()\n        assert pow(2, 3, 5) == 3"), after=("from math import *",)),
    _way("a star import behind the check", S, SPLIT.replace("    if", "    assert pow(2, 3, 5) == 3\n    if", 1), after=("from math import *",)),
    _way("a module list of own layers", F, "class Half(nn.Linear):\n    pass\n\nKINDS = [Half, nn.Linear]",
         FEED.replace("nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)", "KINDS[0](dim, hidden_dim), KINDS[-1](hidden_dim, dim)")),
]  # fmt: skip

# What these bind has another name (or none) of its own, so the student's check says which exercise it is.
NAMED = {
    "a lambda",
    "a partial of an own function",
    "an answer that is bound to an own function",
    "a function made by a function",
    "an own decorator with a cache",
}
