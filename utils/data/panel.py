"""A calm, visible notice: a panel in a notebook, a few printed lines elsewhere."""

import html
import textwrap

from utils.words import say


class Notice:
    """A title and paragraphs that render in Jupyter (HTML) and in a terminal (plain text).

    The panel has a border and a word ("Note"), so that it doesn't speak by colour alone, and takes its text colour
    from the page, so that it can be read on a dark theme.
    """

    def __init__(self, title: str, paragraphs: list[str]):
        self.title = title
        self.paragraphs = paragraphs

    def __repr__(self) -> str:
        lines = [say("Note: {title}", title=self.title)]
        for paragraph in self.paragraphs:
            lines += textwrap.wrap(paragraph, 98, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        body = "".join(f'<div style="margin-top:0.3em">{html.escape(text)}</div>' for text in self.paragraphs)
        title = say("Note: {title}", title=self.title)
        return (
            '<div role="note" style="border:1px solid #8a8a8a; border-left:5px solid #0072B2; border-radius:4px; '
            'padding:0.6em 0.9em; max-width:46em; line-height:1.4">'
            f"<strong>{html.escape(title)}</strong>{body}</div>"
        )


def in_notebook() -> bool:
    """Whether output goes to a notebook's front end that can show HTML."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def show_notice(title: str, paragraphs: list[str]) -> None:
    """Display a notice: a panel in Jupyter, printed lines elsewhere."""
    notice = Notice(title, paragraphs)
    if in_notebook():
        from IPython.display import display

        display(notice)
    else:
        print(notice, flush=True)
