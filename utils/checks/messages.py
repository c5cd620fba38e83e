"""What a student reads after a check: a small accessible panel in Jupyter, plain text elsewhere."""

from __future__ import annotations

import html
import sys

from utils.checks.result import Result
from utils.checks.words import some
from utils.words import later, say

MOST = 400  # characters of a message
SHORTEST = 60  # characters to which a line that is needed is cut, if nothing else helps

# A symbol and a word carry the meaning; the colour of the edge only repeats it.
STYLES = {
    "passed": ("\u2713", later("Passed"), "#1a7f37"),
    "older": ("\u25cb", later("Passed by an older version, not by the text in its cell"), "#57606a"),
    "failed": ("\u2717", later("Not yet"), "#b35900"),
    "waiting": ("\u25cb", later("Not started"), "#57606a"),
}


def state(result: Result) -> str:
    """One of "passed", "older" (what passed is not what stands in the cell), "failed", "waiting"."""
    if result.passed:
        return "older" if result.older else "passed"
    return "failed" if result.started else "waiting"


def headline(result: Result) -> str:
    """One line: what was checked and how far it is."""
    name, total = result.exercise.name, len(result.findings)
    if result.passed:
        return say(
            "{name}: all {total} cases are right ({seconds:.2f} s).",
            name=name,
            total=total,
            seconds=result.seconds,
        )
    if not result.started:
        return say("{name} is not started yet.", name=name)
    return say(
        "{name} is not right yet: {right} of {total} cases are right.",
        name=name,
        right=result.right,
        total=total,
    )


def lines(result: Result) -> list[str]:
    """The message below the headline, a line per thought."""
    if result.passed:
        notes = filter(None, (result.older, *result.notes))
        return [*map(say, notes), *([_substitutes(result)] if result.substitutes else [])]
    if not result.started:
        return [
            say(
                "Replace the line `raise NotImplementedError(...)` in the cell above by your code, run it, and run this check again."
            )
        ]
    return _fitted(headline(result), _ranked(result))


def _ranked(result: Result) -> list[tuple[int, str]]:
    """The lines of a failed check in their order, each with its rank: 0 and 1 are never left out, and the highest goes first."""
    index = result.first
    finding = result.findings[index]
    assert finding is not None
    said = [(1, say(result.older))] if result.older else []
    if result.diagnosis:
        said.append((0, say(result.diagnosis)))
        if result.rest >= 0:
            said.append(
                (
                    2,
                    say(
                        "In the case `{case}` your result is not that of this mistake alone: look at it again after mending.",
                        case=say(result.names[result.rest]),
                    ),
                )
            )
    said.append(
        (3 if result.diagnosis else 1, say("First wrong case: {case}.", case=say(result.names[index])))
    )
    if finding.sentence != result.diagnosis:
        said.append((4 if result.diagnosis else 0, say(finding.sentence)))
    own_line = finding.kind == "raised" and not result.diagnosis
    for place, detail in enumerate(finding.details):
        said.append((1 if own_line and place == 0 else 5, f"  {say(detail)}"))
    if result.reads:
        names = some([f"`{name}`" for name in result.reads])
        said.append(
            (
                6
                if result.diagnosis and result.rest < 0
                else 1,  # a mistake that fits in part may be the leftover
                say("Your answer reads {names} from the notebook: is that meant?", names=names),
            )
        )
    if result.substitutes:
        said.append((7, _substitutes(result)))
    return said


def _fitted(head: str, said: list[tuple[int, str]]) -> list[str]:
    """The lines that fit into a message of `MOST` characters, by rank; what cannot be left out is cut between words, the longest first."""
    texts = [line for _, line in said]
    needed = [index for index, (rank, _) in enumerate(said) if rank <= 1]
    room = MOST - len(head) - 1
    while (over := sum(len(texts[index]) + 1 for index in needed) - room) > 0:
        longest = max(needed, key=lambda index: len(texts[index]))
        if len(texts[longest]) <= SHORTEST:
            break
        texts[longest] = _cut(texts[longest], max(len(texts[longest]) - over, SHORTEST))
    kept = list(needed)
    left = room - sum(len(texts[index]) + 1 for index in needed)
    for index in sorted(set(range(len(said))) - set(needed), key=lambda index: said[index][0]):
        if len(texts[index]) < left:
            kept.append(index)
            left -= len(texts[index]) + 1
    return [texts[index] for index in sorted(kept)]


def _cut(line: str, most: int) -> str:
    """A line of at most so many characters, cut between words; its indentation stays."""
    if len(line) <= most:
        return line
    return (
        line[: max(line.rfind(" ", len(line) - len(line.lstrip()), most - 3), most // 2)].rstrip(" ,;:")
        + " ..."
    )


def _substitutes(result: Result) -> str:
    names = some(list(result.substitutes))
    return say("(Checked with the library's {names} in place of yours, not passed yet.)", names=names)


def text(result: Result) -> str:
    """The whole message as plain text."""
    return "\n".join([headline(result), *lines(result)])


def short(result: Result) -> str:
    """Headline and the most helpful sentence in one line, for test reports."""
    found = next((finding for finding in result.findings if finding is not None), None)
    best = result.diagnosis or (found.sentence if found and result.started else "")
    return f"{headline(result)} {say(best)}".strip()


def panel(result: Result) -> str:
    """The whole message as an HTML panel that takes the notebook's own text colour, so it reads in light and dark themes."""
    symbol, word, colour = STYLES[state(result)]
    rows = []
    for line in lines(result):
        indent = (
            "margin-left:1.2em;font-family:monospace;white-space:pre-wrap;" if line.startswith("  ") else ""
        )
        rows.append(f'<div style="margin-top:0.25em;{indent}">{_marked(line.strip())}</div>')
    role = "status" if state(result) == "passed" else "alert"
    return (
        f'<div role="{role}" style="border:1px solid {colour};border-left:6px solid {colour};border-radius:4px;'
        f'padding:0.5em 0.8em;margin:0.3em 0;max-width:60em;">'
        f'<div><strong><span aria-hidden="true">{symbol} </span>{say(word)}.</strong> {_marked(headline(result))}</div>{"".join(rows)}</div>'
    )


def _marked(line: str) -> str:
    """HTML-escaped, with `code` in code type."""
    parts = html.escape(line).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def show(result: Result) -> None:
    """Displays the panel in Jupyter; elsewhere prints the text if the check passed (a failure travels in the exception)."""
    if in_jupyter():
        from IPython.display import display

        display({"text/html": panel(result), "text/plain": text(result)}, raw=True)
    elif result.passed:
        print(f"{STYLES[state(result)][0]} {text(result)}")


def in_jupyter() -> bool:
    """Whether this is a kernel that can show HTML (JupyterLab, Colab, VS Code), not a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
