"""What stands between a student's code and everything else: the strongest that this host allows, and its name.

Level 3, "namespaces": own user, pid, mount, network, IPC namespaces; an empty root, into which Python, its libraries and the course's room A are
bound read-only, with a private tmpfs of a fixed size; Landlock (the same list of paths); a seccomp filter; resource limits. When the namespace's first process dies, the kernel kills every other one in it, whatever
it called (`setsid`, double forks, ignored signals).
Level 2, "landlock": no namespaces; Landlock, seccomp and limits. There is no scratch folder. The zygote adopts orphans and kills
them one by one.
Level 1, "limits": resource limits only (macOS, old kernels). It keeps accidents from hurting, and no attacker from anything.
"""

from __future__ import annotations

import contextlib
import os
import site
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from utils.grading import cgroup, kernel
from utils.paths import ROOT

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MIB = 2**20
SCRATCH = "/dev/shm"  # a private tmpfs there; multiprocessing looks for this folder by name
STAGE = (
    "/tmp"  # a folder of the host that a new root is put on while it is built, out of everybody else's sight
)
CLOSED = ("grading", "authoring", "stand_ins", "__pycache__")  # of `utils`, what no submission reads
NAMES = {3: "namespaces + Landlock + seccomp + limits", 2: "Landlock + seccomp + limits", 1: "limits only"}


@dataclass(frozen=True)
class Limits:
    """Bounds for one submission.

    Args:
        memory: address space of one process beyond what it starts with, bytes.
        disk: size of the private temporary folder, bytes.
        file_size: largest file, bytes.
        processes: largest number of processes at a time (held by the kernel where it can, and by a watchdog).
        seconds: longest silence. A submission that sends no answer for so long is stopped.
        check: for one exercise's check; an exercise's own limit holds if it is shorter.
        cell: for one cell.
        cpu: processor seconds of a submission as a whole: of all its processes, and of all sandboxes that it is given.
    """

    memory: int = 2048 * MIB
    disk: int = 64 * MIB
    file_size: int = 64 * MIB
    processes: int = 48
    seconds: float = 120.0
    check: float = 20.0
    cell: float = 10.0
    cpu: float = 60.0


@dataclass(frozen=True)
class Level:
    """How well student code is locked up here.

    Args:
        number: 3, 2 or 1.
        missing: what the host lacks, in words.
        counted: what the kernel counts over all processes of a submission ("memory", "pids"); a watchdog looks after the rest.
    """

    number: int
    missing: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return NAMES[self.number]

    @property
    def safe(self) -> bool:
        """Whether grades of submissions that may be hostile can be trusted at this level."""
        return self.number == 3

    def sentence(self) -> str:
        """One line for every report."""
        memory = "by control group" if "memory" in self.counted else "by watchdog"
        if self.safe:
            return f"Isolation: {self.name}; memory {memory}."
        return f"Isolation: {self.name}; memory {memory}. NOT SAFE against hostile code (missing: {', '.join(self.missing)}). Use it for classes you trust."


@cache
def probe() -> Level:
    """Tries each mechanism in a child process and says what works on this host."""
    missing = []
    if sys.platform != "linux":
        return Level(1, (f"{sys.platform} has no namespaces, seccomp or Landlock",))
    checks = {"user namespaces": _try_namespaces, "Landlock": _try_landlock, "seccomp": kernel.load_seccomp}
    for name, attempt in checks.items():
        if not _works(attempt):
            missing.append(name)
    group = cgroup.make(Limits.memory, Limits.processes)
    counted: tuple[str, ...] = ()
    if group is not None:
        counted = tuple(group.folders)
        group.remove()
    number = 3 if not missing else 1 if {"Landlock", "seccomp"} & set(missing) else 2
    return Level(number, tuple(missing), counted)


def _works(attempt) -> bool:  # noqa: ANN001
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            attempt()
            status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _try_namespaces() -> None:
    enter_namespaces()
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            new_root(root_plan(), MIB)
            kernel.drop_capabilities()
            status = 0
        os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError("mounts are refused")


def _try_landlock() -> None:
    kernel.load_landlock(["/usr"], [])


def enter_namespaces() -> None:
    """New namespaces for this process's children; its own ids stay."""
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(
        kernel.CLONE_NEWUSER
        | kernel.CLONE_NEWPID
        | kernel.CLONE_NEWNS
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWUTS
    )
    kernel.map_user(uid, gid)


@dataclass(frozen=True)
class Plan:
    """How an empty root is filled: folders and files that are bound to where they are, and links to them.

    Args:
        bound: real paths, none of which lies below another.
        links: path -> what it points to.
        folders: what is made in the empty root first, each behind the one that it lies in.
        files: of `bound`, what is no folder.
    """

    bound: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]


def plan(paths: list[str]) -> Plan:
    """The plan for an empty root in which each of `paths` that exists here is found under its own name."""
    real: dict[str, str] = {path: os.path.realpath(path) for path in paths if os.path.exists(path)}  # noqa: PTH110
    bound: list[str] = []
    for path in sorted(set(real.values()), key=len):
        if not _below(path, bound):
            bound.append(path)
    links: dict[str, str] = {}
    for path in sorted(real, key=len):
        if path != real[path] and not _below(path, [*bound, *links]):
            links[path] = real[path]
    files = [path for path in bound if not Path(path).is_dir()]
    made = [*(path for path in bound if path not in files), "/proc", SCRATCH]
    inside = [*made, *(str(Path(path).parent) for path in [*files, *links])]
    folders = {str(one): None for path in inside for one in [*reversed(Path(path).parents), Path(path)][1:]}
    return Plan(tuple(bound), tuple(links.items()), tuple(folders), tuple(files))


def _below(path: str, others: list[str]) -> bool:
    return any(path == other or path.startswith(other.rstrip("/") + "/") for other in others)


def new_root(wanted: Plan, size: int) -> None:
    """In new namespaces: leaves the host's files for an empty root with what is wanted, read-only, a scratch folder in memory that
    nobody else sees, and a `/proc` of its own."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", STAGE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    old = f"{STAGE}/old"
    Path(old).mkdir()
    kernel.pivot_root(STAGE, old)
    os.chdir("/")
    # plain calls, here and in `kernel._allow`: each submission waits for them, and `Path` would take a millisecond more
    for folder in wanted.folders:
        os.mkdir(folder)  # noqa: PTH102
    for path in wanted.files:
        os.close(os.open(path, os.O_CREAT, 0o644))
    for path in wanted.bound:
        kernel.mount(f"/old{path}", path, "", kernel.MS_BIND | kernel.MS_REC)
    for path, target in wanted.links:
        os.symlink(target, path)  # noqa: PTH211
    # refused once the host's own is out of sight; processes only (Linux 5.8), for some of the rest tells root of the whole machine
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID, "subset=pid")
    kernel.detach("/old")
    Path("/old").rmdir()
    kernel.make_readonly("/")
    kernel.mount(
        "tmpfs", SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={size},mode=1777,nr_inodes=4096"
    )


@cache
def readable_paths() -> list[str]:
    """What a check needs to read: the system's libraries, this Python and its packages, the course's room A without stand-ins."""
    system = [
        "/usr",
        "/lib",
        "/lib64",
        "/bin",
        "/etc/ld.so.cache",
        "/etc/ssl",
        "/etc/fonts",
        "/etc/localtime",
    ]
    devices = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
    python = {sys.prefix, sys.base_prefix, sysconfig.get_paths()["purelib"], *site.getsitepackages()}
    rooms = sorted(
        str(path) for path in (ROOT / "utils").iterdir() if path.is_dir() and path.name not in CLOSED
    )
    modules = sorted(str(path) for path in (ROOT / "utils").glob("*.py"))
    return [*system, *devices, *sorted(python), *rooms, *modules]


@cache
def root_plan() -> Plan:
    """`plan` of `readable_paths`, made once, before anything is forked."""
    return plan(readable_paths())


def exposed(paths: list[Path]) -> list[Path]:
    """Those of `paths` that a submission could read because they lie under a folder that it needs (`/usr`, Python's own)."""
    open_to_all = [Path(path).resolve() for path in readable_paths() if Path(path).exists()]
    return [path for path in paths if any(path.resolve().is_relative_to(other) for other in open_to_all)]


def set_limits(limits: Limits) -> None:
    """Resource limits of this process and its descendants (each for itself)."""
    if resource is None:
        return
    used = _address_space()
    wanted = {
        resource.RLIMIT_AS: used + limits.memory,
        resource.RLIMIT_FSIZE: limits.file_size,
        resource.RLIMIT_CPU: int(limits.cpu) + 1,  # of one process; the watchdog counts them together
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
    }
    for kind, value in wanted.items():
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 4096 * MIB


def shut_away(level: Level, disk: int) -> None:
    """Called in the process that is going to run a student's code, after :func:`enter_namespaces` at level 3: which files there are,
    whatever the submission; `disk` bytes of them are its own.

    Nothing here, and nothing in :func:`restrict`, can be undone by the process.
    """
    # of the empty root, without what lies below another
    readable = [*root_plan().bound] if level.number == 3 else readable_paths()
    if level.number == 3:
        new_root(root_plan(), disk)
        kernel.drop_capabilities()
    if level.number >= 2:
        kernel.load_landlock(
            [*readable, "/proc"], [SCRATCH, "/dev/null"] if level.number == 3 else ["/dev/null"]
        )


def restrict(level: Level, limits: Limits) -> None:
    """Called next, once the submission's limits are known: what may be used, and which calls the kernel answers."""
    set_limits(limits)
    if level.number == 3 and resource is not None and kernel.release() >= (5, 14):
        # counted within the user namespace since 5.14 (before, it would count all of the user's processes); root is exempt
        resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))
    if level.number >= 2:
        kernel.load_seccomp()
    if level.number == 3:
        os.chdir(SCRATCH)
        homes = ("HOME", "TMPDIR", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
        os.environ.update(dict.fromkeys(homes, SCRATCH))
        tempfile.tempdir = SCRATCH  # which imports have asked for before, and it is kept
