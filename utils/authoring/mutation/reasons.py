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

# (exercise, change): reason
ONE_BY_ONE: dict[tuple[str, str], str] = {
    ("retention_parallel", "query: key in its place"): NOT_LEGAL,
    ("retention_parallel", "query: value in its place"): NOT_LEGAL,
    (
        "train_epoch",
        "1.0 becomes 1.5",
    ): "the default of a given signature is the course's choice, and the check always hands over its own",
    (
        "train_epoch",
        "1.0 becomes 0.0",
    ): "the default of a given signature is the course's choice, and the check always hands over its own",
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


def why(exercise: str, what: str) -> str:
    """Why a survivor is left; "" if nobody has said so.

    Args:
        exercise: its name.
        what: the change, as the mutant tells it.
    """
    if reason := ONE_BY_ONE.get((exercise, what)):
        return reason
    return next((reason for pattern, reason in CLASSES if re.fullmatch(pattern, what)), "")
