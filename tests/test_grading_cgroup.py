"""Control groups: where they are looked for (both versions, on texts of /proc), what is written, and what the kernel then holds."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from utils.authoring.attacks import exhausting
from utils.authoring.attacks.scene import NOTEBOOK, TARGET, solved
from utils.grading import cgroup
from utils.grading.cgroup import PREFIX, Place, make, places, sweep
from utils.grading.isolation import Limits, probe
from utils.grading.normalise import normalise
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade

MIB = 2**20
SMALL = Limits(memory=1024 * MIB, seconds=8.0, check=3.0, cell=3.0)
by_kernel = pytest.mark.skipif(
    "memory" not in probe().counted, reason="this user can make no control group with a memory limit here"
)
SYSTEMD = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n"
UNIFIED = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def ours() -> list[Path]:
    """Groups of any grader that exist now."""
    return [old for place in cgroup._here() for folder in place.folders for old in folder.glob(f"{PREFIX}*")]


def test_version_2_is_looked_for_from_the_own_group_upwards():
    memory, pids = places(SYSTEMD, UNIFIED)
    assert (memory.controller, pids.controller, memory.version) == ("memory", "pids", 2)
    assert [str(folder.relative_to("/sys/fs/cgroup")) for folder in memory.folders] == [
        "user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope",
        "user.slice/user-1000.slice/user@1000.service/app.slice",
        "user.slice/user-1000.slice/user@1000.service",
        "user.slice/user-1000.slice",
        "user.slice",
        ".",
    ]


def test_version_1_has_a_mount_per_controller_and_a_container_sees_only_its_own_part():
    membership = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n2:pids:/docker/abc\n"
    mounts = (
        "30 29 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "31 29 0:28 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
        "32 29 0:29 / /proc rw - proc proc rw\n"
    )
    assert places(membership, mounts) == [
        Place("memory", 1, (Path("/sys/fs/cgroup/memory"),)),
        Place("pids", 1, (Path("/sys/fs/cgroup/pids"),)),
    ]


def test_a_group_of_version_2_is_made_where_its_controllers_are_handed_down(tmp_path):
    own, above = tmp_path / "app" / "scope", tmp_path / "app"
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("")
    (above / "cgroup.subtree_control").write_text("cpu memory pids\n")
    where = [Place(controller, 2, (own, above)) for controller in ("memory", "pids")]
    group = make(300 * MIB, 9, where)
    folder = above / f"{PREFIX}{os.getpid()}"
    assert group is not None and group.folders == {"memory": (2, folder), "pids": (2, folder)}
    limits = {name: (folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")}
    assert limits == {"memory.max": str(300 * MIB), "memory.swap.max": "0", "pids.max": "9"}
    group.enter()
    assert (folder / "cgroup.procs").read_text() == "0", "a process enters by its own number"
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert group.kills() == 2


def test_no_group_where_none_can_be_made(tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    assert make(MIB, 9, [Place("memory", 2, (tmp_path,)), Place("pids", 2, (tmp_path / "gone",))]) is None
    assert make(MIB, 9, []) is None and not list(tmp_path.glob(f"{PREFIX}*"))


def test_sweeping_takes_only_groups_of_processes_that_are_gone(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    names = (f"{PREFIX}{child}", f"{PREFIX}{os.getpid()}", f"{PREFIX}of-somebody", "another")
    for name in names:
        # a maker whose limits change makes the next one inside
        (tmp_path / name / names[0]).mkdir(parents=True)
    sweep([Place("memory", 2, (tmp_path,))])
    assert {folder.name for folder in tmp_path.iterdir()} == set(names[1:])


@by_kernel
def test_the_kernel_holds_what_several_processes_use_together():
    group = make(200 * MIB, 20)
    assert group is not None
    before = group.kills()
    started = os.fork()
    if started == 0:
        group.enter()
        children = []
        for _ in range(3):  # 360 MiB together, none of them alone above the limit
            children.append(os.fork())
            if children[-1] == 0:
                hoard = b"x" * (120 * MIB)
                time.sleep(1 if hoard else 0)
                os._exit(0)
        endings = [os.waitpid(child, 0)[1] for child in children]
        os._exit(sum(os.WIFSIGNALED(ending) for ending in endings))
    ending = os.waitstatus_to_exitcode(os.waitpid(started, 0)[1])
    try:
        assert group.kills() > before
        assert ending == -signal.SIGKILL or ending > 0, "nobody was stopped"
    finally:
        group.remove()
    assert f"{PREFIX}{os.getpid()}" not in {folder.name for folder in ours()}


@by_kernel
@pytest.mark.skipif(not probe().safe, reason=probe().sentence())
def test_a_submission_that_uses_too_much_is_stopped_by_the_kernel_and_says_so(tmp_path):
    examiner = Examiner(NOTEBOOK, 5)
    code = exhausting.BESIDE["children that together take 2 GiB, each within its limit"]

    def handed(name, text):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps(solved(**{TARGET: text})), encoding="utf-8")
        return normalise(path, NOTEBOOK)

    with Sandbox(SMALL) as box:
        assert "memory" in box.level.counted and "by control group" in box.level.sentence()
        assert box.zygote is not None
        name = f"{PREFIX}{box.zygote.pid}"
        bad = {v.exercise: v for v in grade(box, examiner, handed("bad", code))}[TARGET]
        assert "it used more than 1024 MiB of memory" in bad.sentence
        assert name in {folder.name for folder in ours()}, "the sandbox has a group while it lives"
        good = grade(box, examiner, handed("good", ""))
        others = [v for v in good if v.exercise != TARGET]
        assert {v.state for v in others} == {"passed"}, "the next submission in the same group"
    assert name not in {folder.name for folder in ours()}, "the zygote was killed, and its group swept up"
