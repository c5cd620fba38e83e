"""Installs the course into `.venv` and opens JupyterLab. `make lab` calls it; without make:

    python3 start.py                    Windows: py start.py
    python3 start.py --torch cpu        torch without CUDA: 0.4 GB to fetch, 1.4 GB on disk
    python3 start.py --torch cuda       torch with CUDA: about 3 GB to fetch, 5.5 GB on disk

Without --torch: CUDA where there is `nvidia-smi`, else the small one; but where pip has settings of its own (a company's index, say),
whatever they give. Written so that every Python from 3.6 on can read it: an old one gets a sentence, not an error.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

LOWEST, HIGHEST = (3, 11), (3, 13)  # as pyproject.toml says
HERE = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
INDEX = "https://download.pytorch.org/whl/"
CUDA = "cu126"  # of pip's index; uv chooses by the driver
SIZES = {
    "cpu": "torch without CUDA: about 0.4 GB to fetch, 1.4 GB on disk (with CUDA: --torch cuda, or make lab TORCH=cuda)",
    "cuda": "torch with CUDA: about 3 GB to fetch, 5.5 GB on disk (without: --torch cpu, or make lab TORCH=cpu)",
    "": "the torch of pip's own settings, up to 5.5 GB on disk (smaller: --torch cpu, or make lab TORCH=cpu)",
}


def main(arguments=None):
    """The command. Returns an exit status; what went wrong has been said by then."""
    parser = argparse.ArgumentParser(description="Installs the course into .venv and opens JupyterLab.")
    parser.add_argument("--torch", choices=["auto", "cpu", "cuda"], default="auto", help="which build")
    parser.add_argument("--only-install", action="store_true", help="do not open JupyterLab")
    parser.add_argument("--no-uv", action="store_true", help="install with pip even where uv is there")
    options = parser.parse_args(arguments)
    wrong = wrong_version(sys.version_info[:2], interpreters())
    if wrong:
        print(wrong, file=sys.stderr)
        return 1
    try:
        install(HERE / ".venv", options.torch.replace("auto", ""), not options.no_uv)
        tell_kernels(HERE / ".venv")
        return 0 if options.only_install else open_lab(HERE / ".venv")
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class Failed(Exception):
    """A step did not work; the text says what to do."""


def interpreters():
    """Commands on this machine that start a Python the course works with, the newest first."""
    names = [f"python{LOWEST[0]}.{minor}" for minor in range(HIGHEST[1], LOWEST[1] - 1, -1)]
    return [name for name in names if shutil.which(name) and starts(name)]


def starts(name):
    """Whether a command is a Python that starts: a version manager's place holder does not."""
    return (
        subprocess.run([name, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    )


def wrong_version(version, others):
    """What to do if the course does not work with this version, else "".

    Args:
        version: (major, minor).
        others: commands that start one that works.
    """
    if LOWEST <= tuple(version) <= HIGHEST:
        return ""
    said = (
        f"This is Python {version[0]}.{version[1]}, and the course needs Python {LOWEST[0]}.{LOWEST[1]} to {HIGHEST[0]}.{HIGHEST[1]}. "
        "Nothing was installed.\n"
    )
    if others:
        return (
            said
            + f"This machine has {others[0]}: run  make PYTHON={others[0]} lab  (without make: {others[0]} start.py)"
        )
    wanted = f"{HIGHEST[0]}.{HIGHEST[1] - 1}"
    ways = {
        "Windows": f"winget install Python.Python.{wanted}  and then  py -{wanted} start.py",
        "Darwin": f"brew install python@{wanted}  and then  make PYTHON=python{wanted} lab",
    }
    linux = (
        f"sudo apt-get install python{wanted} python{wanted}-venv  (on Ubuntu 22.04 first: sudo add-apt-repository ppa:deadsnakes/ppa), "
        f"or without root  uv python install {wanted} ; then  make PYTHON=python{wanted} lab"
    )
    return said + f"Install one: {ways.get(platform.system(), linux)}"


def python_of(venv):
    """The environment's interpreter."""
    return venv / ("Scripts/python.exe" if WINDOWS else "bin/python")


def usable(venv):
    """Whether an environment is whole and of this Python's version, with pip."""
    code = "import sys, pip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python_of(venv)), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split() == [
        str(part).encode() for part in sys.version_info[:2]
    ]


def create(venv):
    """Makes the environment, in place of one that is half made or of another Python.

    Raises:
        Failed: something else stands there, or Python lacks `venv`.
    """
    if usable(venv):
        return
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        ours = (
            (venv / "pyvenv.cfg").exists()
            or (venv / ".installed").exists()
            or python_of(venv).parent.is_dir()
        )
        if not ours and any(venv.iterdir()):
            raise Failed(f"{venv} is there and is no Python environment: move it away, then run this again.")
        print(f"Replacing {venv.name}, which is half made or of another Python.")
        shutil.rmtree(str(venv))
    if subprocess.run([sys.executable, "-m", "venv", str(venv)]).returncode:
        shutil.rmtree(str(venv), ignore_errors=True)
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Failed(
            f"This Python cannot make an environment. On Debian and Ubuntu: sudo apt-get install {package}"
        )


def choose(torch, settings):
    """Which torch to install: what was asked for, else by the machine.

    Args:
        torch: "cpu", "cuda" or "".
        settings: whether pip has settings of its own.

    Returns:
        "cpu", "cuda", or "" to leave it to pip.
    """
    if torch or settings or platform.system() == "Darwin":  # macOS has one build, with the GPU's in it
        return torch
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def command(venv, torch, uv):
    """The one call that installs everything: torch is pinned in it, so nothing else replaces it.

    Args:
        venv: the environment.
        torch: "cpu", "cuda" or "".
        uv: path of uv, or "" for pip.
    """
    lock = str(HERE / "requirements.lock")
    if uv:
        backend = {"cpu": ["--torch-backend", "cpu"], "cuda": ["--torch-backend", "auto"]}.get(torch, [])
        return [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python_of(venv)),
            *backend,
            "--requirement",
            lock,
        ]
    pip = [
        str(python_of(venv)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    if torch == "cpu" and platform.system() != "Darwin":
        pip += ["--extra-index-url", INDEX + "cpu"]
    if torch == "cuda" and WINDOWS:  # on Linux it is pip's default
        pip += ["--extra-index-url", INDEX + CUDA]
    return [*pip, "--requirement", lock]


def install(venv, torch, with_uv):
    """Installs what requirements.lock lists, once for each lock and choice of torch.

    Raises:
        Failed: the environment cannot be made, or the installer gave up.
    """
    stamp = venv / ".installed"
    lock = hashlib.sha256((HERE / "requirements.lock").read_bytes()).hexdigest()[:16]
    wanted = f"{lock} {torch}".strip()
    fits = stamp.exists() and stamp.read_text(encoding="utf-8").strip().startswith(wanted)
    if fits and usable(venv):
        os.utime(str(stamp))  # for make, which compares times
        return
    if stamp.exists() and torch and not stamp.read_text(encoding="utf-8").strip().endswith(f" {torch}"):
        stamp.unlink()
        shutil.rmtree(
            str(venv)
        )  # an installer leaves a torch of the same number as it is, whatever its build
    create(venv)
    python = str(python_of(venv))
    asked = subprocess.run(
        [python, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    settings = bool(asked.stdout.strip())
    torch = choose(torch, settings)
    uv = shutil.which("uv") if with_uv and not settings else ""  # uv does not read pip's settings
    print(f"Installing into {venv.name} with {'uv' if uv else 'pip'}: {SIZES[torch]}.", flush=True)
    if subprocess.run(command(venv, torch, uv)).returncode:
        raise Failed(
            "The installation did not finish; what stands above says why. Run this again: it goes on where it stopped."
        )
    stamp.write_text(f"{lock} {torch}\n", encoding="utf-8")


def tell_kernels(venv):
    """Has the environment's kernels, in JupyterLab as in VS Code, answer a cell that is run before the set-up cell: see utils/early.py."""
    folder = venv / "etc" / "ipython"
    folder.mkdir(parents=True, exist_ok=True)
    text = "c = get_config()\nc.IPKernelApp.exec_files = [{!r}]\n".format(str(HERE / "utils" / "early.py"))
    (folder / "ipython_kernel_config.py").write_text(text, encoding="utf-8")


def lab_options(environment, root, system):
    """JupyterLab's options for this machine, and what to tell the reader.

    Args:
        environment: variables.
        root: whether this is the superuser.
        system: "Linux", "Darwin" or "Windows".
    """
    options, said = [], []
    if root:
        options.append("--allow-root")
        said.append(
            "You are root: JupyterLab runs with all rights of this machine. In a container that is usual."
        )
    screen = (
        system != "Linux"
        or environment.get("DISPLAY")
        or environment.get("WAYLAND_DISPLAY")
        or environment.get("WSL_DISTRO_NAME")
    )
    if not screen:
        options.append("--no-browser")
        said.append(
            "There is no display here: open the address below that begins with http://127.0.0.1 in a browser."
        )
        if environment.get("SSH_CONNECTION"):
            said.append(
                "From your own computer, first:  ssh -L 8888:127.0.0.1:8888 <this machine>  (the port of the address)"
            )
    return options, said


def open_lab(venv):
    """Opens JupyterLab on the notebooks; on the next free port where 8888 is taken."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    options, said = lab_options(os.environ, root, platform.system())
    for line in said:
        print(line, flush=True)
    # As a module: the scripts in the environment do not start from a path that is long or has a space in it.
    return subprocess.run(
        [str(python_of(venv)), "-m", "jupyterlab", *options, str(HERE / "notebooks")]
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
