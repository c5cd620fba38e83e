"""A cell that is run before the set-up cell: one sentence in place of a bare NameError.

Kernels of `.venv` run this file when they start, in the student's own namespace, where it leaves nothing (`start.py` tells IPython so,
see `tell_kernels`); in Colab and other environments nobody does. The error stays one, for Run All and for graders; only its text changes.
"""


def _watch(file: str) -> None:
    import sys
    from pathlib import Path

    # What the cells at a notebook's top define, and the first exercises and checks use.
    names = {
        "check",
        "ready",
        "reuse",
        "restore",
        "progress",
        "hint",
        "plotting",
        "torch",
        "nn",
        "F",
        "Tensor",
    }

    def explain(shell, kind, error, traceback, tb_offset=None):
        if error.name in names and "utils.checks" not in sys.modules:
            course, here = str(Path(file).resolve().parents[1]), Path.cwd().name
            sys.path.append(course)
            from utils.words import languages, say, speaking

            sys.path.remove(course)
            with speaking(here if here in languages() else ""):  # in notebooks/ko no cell has said so yet
                said = say(
                    "`{name}` is not there yet: first run the set-up cell at the top, and the cell with the imports below it.",
                    name=error.name,
                )
            error._render_traceback_ = lambda: [f"{kind.__name__}: {said}"]
        shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)

    sys.modules["IPython"].get_ipython().set_custom_exc((NameError,), explain)


if __name__ == "__main__":  # in a kernel
    _watch(__file__)
    del _watch
