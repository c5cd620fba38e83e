"""Why a mutant that survives is left: what no check can see, or must not ask for. By class of change, or one by one."""

from __future__ import annotations

import re

ZIP = "the lists of a zip are always of one length, so nothing is raised"
SYMMETRIC = "the order does not matter here"
SAME_AXIS = "both numbers name the same axis, or the same element"
DISTRIBUTION = (
    "both masks multiply, so the result has the same distribution; only the generator's draws are used up in "
    "another order"
)
BASE = "one part in 10,000 of the base is less than the tolerance for float32 at a length that a class computes by hand"
GIVEN = "the default of a given signature is the course's choice, and the check always hands over its own"
NOT_LEGAL = "the input that shows it is no legal one: the stub promises nothing for it"

# (pattern of the change, reason), for all exercises
CLASSES = (
    (r".*: without strict", ZIP),
    (r".*: without device", "on a CPU both are the same, and a check cannot ask for a GPU"),
    (r".*: the two calls in the other order", DISTRIBUTION),
    (r".*transpose\(-?\d, -?\d\): arguments 1 and 2 exchanged", SYMMETRIC),
    (r".*(min|max)\(.*\): arguments \d and \d exchanged", SYMMETRIC),
    (r"\(+-?\d, -?\d\)+: parts 1 and 2 exchanged", SYMMETRIC),
    (r"10000 becomes (9999|10001)", BASE),
    (r"-\d: without its operator|(\d) becomes -\1", SAME_AXIS),
)

EMPTY = "every place of an empty sentence is 0 in the end"
SIZE = "its last axis has the other's size"
NOT_NEEDED = "the weights that are not asked for are thrown away"
# (exercises or "", pattern of the change, reason), for survivors that no input told from the answer
ALIKE = (
    ("", r".*: behind .*", "neither statement needs what the other makes"),
    ("", r"\(\(0\.0, .*", "0 and 0.0 begin the same sums"),
    ("", r"\(\('weight', 'bias'\)\): parts 1 and 2 exchanged", SYMMETRIC),
    ("", r".*without need_weights", NOT_NEEDED),
    ("DecoderLayer", r"False becomes True", NOT_NEEDED),
    ("", r".*: without dtype", "whole numbers are of that type anyway"),
    ("", r"int\(lengths\.max\(\)\): its first argument alone", "a tensor of one number does where a size is asked for"),
    ("LSTM pool", r"\(lengths - 1\)\.clamp\(.*|lengths\.clamp\(.*|0 becomes -1|1 becomes 0", EMPTY),
    ("decay_matrix", r"distance\.clamp\(.*|0 becomes -1", "the future is cut off behind it as well"),
    ("scaled_dot_product_attention SelfAttention SelfAttention2d", r"query: key in its place", SIZE),
    ("WindowAttention", r"q: [kv] in its place", SIZE),
    ("SwinBlock PatchMerging", r"if .* % .*: always True|(height|width) % \w+: .*", "a padding of 0 changes nothing"),
    ("SwinTransformer", r"\(\(2 \* dim, .*: parts 2 and 3 exchanged", "only the smaller of both is used"),
    ("MoELayer", r"answer\.to\(.*", "the output has the experts' own type"),
    ("MoELayer", r"\(\(token, choice, None\)\).*", "both ways give one column of the chosen weights"),
    ("retention_chunkwise", r"q: [kv] in its place", "only its device is used"),
    ("SwinBlock", r"if shift: always True", "a shift of 0 moves and masks nothing"),
    ("MultiHeadAttention", r"key: (query|value) in its place", "it differs only where two of the three are one object and the third another"),
    ("MultiHeadAttention", r"query: (key|value) in its place", "in this branch they are one object"),
    ("MultiHeadAttention translation_equivariance_error collate SwinTransformer PoolFormer retention_chunkwise", r"True becomes False", ZIP),
    ("greedy_decode", r"\(\(:, 0\)\): parts 1 and 2 exchanged|0 becomes -1", "only its shape is used, and a single number is broadcast"),
    ("attention_rollout mean_attention_distance", r"1 becomes 2", "the matrix is square"),
    ("neighborhoods", r"0 becomes -1", "there is one image of ones"),
    ("neighborhoods", r"1 becomes 2", "further images of ones are not looked at"),
    ("translation_equivariance_error mean_attention_distance", r".* - .*: operands exchanged", "a norm knows no sign"),
    ("warmup_cosine", r".*min\(.*: arguments 1 and 2 exchanged", SYMMETRIC),
    ("unpatchify", r"rearrange\(.*: without [ij]", "einops works the second size out"),
    ("interpolate_positions", r".*: without align_corners", "it is the default"),
    ("shifted_window_mask", r"2 \* .*|wrapped_(row|col)\.long\(\).*", "kinds are compared for equality only, and these four differ as well"),
    ("top_k_router", r".*: without dim", "the last axis is the default"),
    ("keep_within_capacity", r".*: without argument 2", "no choice names an expert behind the last one that is asked"),
    ("TransformerClassifier", r"sinusoidal_positions\(.*\.to\(.*", "on a CPU in float32 both are the same, and a check cannot ask for a GPU"),
    ("scaled_dot_product_attention", r"torch\.finfo\(.*", "the lowest float32 does as well"),
)  # fmt: skip

# (exercise, change): reason
ONE_BY_ONE: dict[tuple[str, str], str] = {
    ("retention_parallel", "query: key in its place"): NOT_LEGAL,
    ("retention_parallel", "query: value in its place"): NOT_LEGAL,
    ("retention_chunkwise", "q: k in its place"): NOT_LEGAL,
    ("retention_chunkwise", "q: v in its place"): NOT_LEGAL,
    ("Vocabulary", "1 becomes 0"): "a word that is counted occurs at least once",
    (
        "fine_tune",
        "old_head.weight: bias in its place",
    ): "only its device and dtype are taken over, which are those of the bias",
    (
        "MultiHeadAttention",
        "if query is key is value: always False",
    ): "the short way and the long way give the same values",
    ("shift_consistency", "((s, -s)): parts 1 and 2 exchanged"): SYMMETRIC,
    (
        "shifted_window_mask",
        "2 becomes 3",
    ): "kinds are compared for equality only, so any numbers that differ will do",
}


def why(exercise: str, what: str, *, alike: bool = False) -> str:
    """Why a survivor is left; "" if nobody has said so.

    Args:
        exercise: its name.
        what: the change, as the mutant tells it.
        alike: no input told it from the answer.
    """
    own = [(p, r) for names, p, r in ALIKE if alike and (not names or exercise in names.split())]
    one = [(re.escape(what), ONE_BY_ONE.get((exercise, what), ""))]
    found = (reason for pattern, reason in [*own, *one, *CLASSES] if reason and re.fullmatch(pattern, what))
    return next(found, "")
