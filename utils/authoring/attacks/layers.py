"""A library's own layer under another name, where the class's policy refuses such answers. By its values each is right."""

from __future__ import annotations

from collections.abc import Iterator

from utils.authoring.attacks.places import PLACES
from utils.authoring.attacks.scene import ONE_LOST, TARGET, Attack, Entry, Scene, one_class, solved
from utils.grading.policy import Policy

GROUP = "a library's layer, refused by policy"
RESULT = "    return {won}.generate_square_subsequent_mask(length) == 0\n"
WAYS = {
    "under another name of its module": "k = nn\nwon = k.Transformer",
    "by a text that names its module": "import importlib\nwon = importlib.import_module('torch.nn').Transformer",
    "behind a chain of 400 links": f"won = {'torch.nn.modules.rnn.' * 100}torch.nn.Transformer",
}
FETCHED = {
    "by getattr under another name": "fetch = getattr\nwon = fetch(nn.Transformer, 'generate_square_subsequent_mask')",
    "by a table of names": "won = vars(nn.Transformer)['generate_square_subsequent_mask'].__func__",
}


# In notebook 05, where the answer to be built by hand was one of notebook 01.
LENT = """from utils.checks import reuse
class SelfAttention(reuse("MultiHeadAttention")):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__(dim, num_heads)
        self.dropout = dropout
    def split(self, x):
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return tuple(part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
    def weights(self, x):
        return super().forward(x)[1]
    def forward(self, x):
        return super().forward(x, need_weights=False)[0]
"""
LATER = "05_vit"


def _unmarked(target: str):  # noqa: ANN202
    def also(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
        verdict = next(v for v in entry["verdicts"] if v["exercise"] == target)
        if not verdict.get("layers"):
            yield f"it is not marked: {verdict['sentence']}"

    return also


REFUSED = Policy(layers="refuse")
ATTACKS = one_class(
    GROUP,
    (
        *(
            Attack(
                f"{name}, from {place}",
                GROUP,
                ONE_LOST,
                make(code, result),
                also=_unmarked(TARGET),
                policy=REFUSED,
            )
            for ways, result in ((WAYS, RESULT), (FETCHED, "    return {won}(length) == 0\n"))
            for name, code in ways.items()
            for place, make in PLACES.items()
        ),
        Attack(
            "by reuse of an earlier exercise that does the same",
            GROUP,
            ONE_LOST,
            lambda scene: scene.write(solved(LATER, SelfAttention=LENT), f"{LATER}.ipynb"),
            "SelfAttention",
            also=_unmarked("SelfAttention"),
            notebook=LATER,
            policy=REFUSED,
        ),
    ),
)
