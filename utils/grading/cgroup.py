"""Memory and number of processes of one submission, held by the kernel: a control group, where this user may make one.

Resource limits hold for one process each, and a watchdog sees only what is there when it looks; a control group counts all processes of a
submission together, exactly and always. Version 2 and version 1 are served, each controller where it is mounted. Nothing is set up for it: the
first ancestor of this process's own group in which a new group can be made and entered is taken. A root user has one; an ordinary user has one under
systemd's user manager (`systemd-run --user --scope make grade ...`). Where there is none, the watchdog stays (`zygote.usage`).

References:
1. the kernel's Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.events, pids.max, delegation)
2. the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and pids.rst
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

PREFIX = "course-grading-"  # and the process id of whoever made it
WANTED = ("memory", "pids")


@dataclass(frozen=True)
class Place:
    """Where groups of one controller can be made.

    Args:
        controller: "memory" or "pids".
        version: 1 or 2.
        folders: this process's own group, then its ancestors.
    """

    controller: str
    version: int
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Group:
    """A control group per controller, for one submission at a time.

    Args:
        folders: controller -> (version, its folder). Both controllers share one folder in version 2.
    """

    folders: dict[str, tuple[int, Path]]

    def holds(self, controller: str) -> bool:
        """Whether the kernel holds this one ("memory" or "pids")."""
        return controller in self.folders

    def enter(self) -> None:
        """Puts the calling process into the group; what it forks from then on is born there.

        Raises:
            OSError: the kernel refuses.
        """
        for folder in dict.fromkeys(folder for _, folder in self.folders.values()):
            (folder / "cgroup.procs").write_text("0")

    def kills(self) -> int:
        """How many processes of the group the kernel has ended so far because memory was used up."""
        if "memory" not in self.folders:
            return 0
        version, folder = self.folders["memory"]
        with contextlib.suppress(OSError):
            said = (folder / ("memory.events" if version == 2 else "memory.oom_control")).read_text()
            found = re.search(r"^oom_kill (\d+)", said, re.MULTILINE)
            return int(found[1]) if found else 0
        return 0

    def remove(self) -> None:
        """Takes the folders away. One that still holds a process stays, and is left to :func:`sweep`."""
        for _, folder in self.folders.values():
            with contextlib.suppress(OSError):
                folder.rmdir()


def places(membership: str, mounts: str) -> list[Place]:
    """Where this process's groups are.

    Args:
        membership: the text of `/proc/self/cgroup`.
        mounts: the text of `/proc/self/mountinfo`.
    """
    mounted = _mounted(mounts)
    found = []
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        version = 1 if names else 2
        for controller in names.split(",") if names else WANTED:
            if controller in WANTED and (where := mounted.get(controller if names else "")):
                root, point = where
                inside = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path()
                own = point / inside
                above = [parent for parent in own.parents if parent.is_relative_to(point)]
                found.append(Place(controller, version, (own, *above)))
    return found


def _mounted(mounts: str) -> dict[str, tuple[str, Path]]:
    """Controller ("" for version 2) -> the group at the root of its mount, and the mount's folder (man 5 proc_pid_mountinfo)."""
    found: dict[str, tuple[str, Path]] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        root, point = before.split(" ")[3:5]
        for name in [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []:
            found.setdefault(name, (root, Path(point)))
    return found


def make(memory: int, processes: int, where: list[Place] | None = None) -> Group | None:
    """A group with these limits, or None where this user can make none.

    Args:
        memory: bytes that all its processes may use together, swap included.
        processes: the most at a time.
        where: where to try; default this process's own places.
    """
    where = _here() if where is None else where
    limits = {"memory": memory, "pids": processes}
    folders: dict[str, tuple[int, Path]] = {}
    for place in where:
        if place.controller in folders:
            continue
        for parent in place.folders:
            folder = parent / f"{PREFIX}{os.getpid()}"
            if _set_up(place, folder, limits[place.controller]):
                folders[place.controller] = place.version, folder
                break
    return Group(folders) if folders else None


def _set_up(place: Place, folder: Path, limit: int) -> bool:
    """Makes the folder, sets the limit and tries whether a process can go in; takes it away again if not."""
    try:
        if (
            place.version == 2
            and place.controller not in (folder.parent / "cgroup.subtree_control").read_text().split()
        ):
            return False  # a new group there would not be counted
        folder.mkdir(exist_ok=True)
        _limit(place, folder, limit)
        if _enterable(folder):
            return True
    except OSError:
        pass
    with contextlib.suppress(OSError):
        folder.rmdir()
    return False


def _limit(place: Place, folder: Path, limit: int) -> None:
    if place.controller == "pids":
        (folder / "pids.max").write_text(str(limit))
    elif place.version == 2:
        (folder / "memory.max").write_text(str(limit))
        with contextlib.suppress(OSError):  # there is none on a kernel without swap
            (folder / "memory.swap.max").write_text("0")
    else:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        with contextlib.suppress(OSError):  # memory and swap together, where swap is counted
            (folder / "memory.memsw.limit_in_bytes").write_text(str(limit))


def _enterable(folder: Path) -> bool:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            (folder / "cgroup.procs").write_text("0")
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def sweep(where: list[Place] | None = None, seconds: float = 0.0) -> None:
    """Removes the groups of makers that are gone: one that was killed cannot do it itself.

    Args:
        where: where to look; default this process's own places.
        seconds: how long to wait for what is still being taken down in a group.
    """
    import psutil  # late: the walls themselves stand on the standard library alone

    until = time.monotonic() + seconds
    for parent in {folder for place in (_here() if where is None else where) for folder in place.folders}:
        for old in parent.glob(f"{PREFIX}*"):
            number = old.name.removeprefix(PREFIX)
            if number.isdigit() and not psutil.pid_exists(int(number)):
                _remove(old, until)


def _remove(folder: Path, until: float) -> None:
    """Takes a group away, with those below it (of a maker whose limits changed), and waits for what still ends in it."""
    for below in folder.glob(f"{PREFIX}*"):
        _remove(below, until)
    while True:
        try:
            return folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() >= until:
                return None
            time.sleep(0.002)


def _here() -> list[Place]:
    try:
        return places(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    except (OSError, ValueError):
        return []
