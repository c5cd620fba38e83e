"""What stands between a submission and the rest, level by level, and what each wall does when it is leaned against."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from utils.authoring.attacks import exhausting, reaching, trial
from utils.authoring.attacks.scene import NOTEBOOK, TARGET, solved
from utils.grading import isolation, run, worker
from utils.grading.isolation import Level, Limits, probe
from utils.grading.normalise import normalise
from utils.grading.verdict import Examiner
from utils.grading.worker import Request, Sandbox, grade, grade_some
from utils.paths import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
full = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
QUICK = Limits(memory=1024 * 2**20, seconds=60.0, check=3.0, cell=3.0, cpu=20.0)


@pytest.fixture(scope="module")
def examiner():
    return Examiner(NOTEBOOK, 5)


@pytest.fixture(scope="module", params=[3, 2, 1])
def box(request):
    if probe().number < request.param:
        pytest.skip(probe().sentence())
    with Sandbox(QUICK, level=request.param) as sandbox:
        yield sandbox


def submission(tmp_path, code):
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(solved(**{TARGET: code})), encoding="utf-8")
    return normalise(path, NOTEBOOK)


def test_a_weak_level_says_so():
    assert "NOT SAFE" not in Level(3).sentence()
    for level in (Level(2, ("user namespaces",)), Level(1, ("darwin has none",))):
        assert not level.safe and "NOT SAFE" in level.sentence() and level.missing[0] in level.sentence()


def test_a_system_without_these_walls_gets_the_lowest_level(monkeypatch):
    isolation.probe.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        assert isolation.probe().number == 1 and "darwin" in isolation.probe().sentence()
    finally:
        isolation.probe.cache_clear()


def test_a_weak_level_is_refused_unless_it_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "probe", lambda: Level(1, ("x",)))
    with pytest.raises(RuntimeError, match="NOT SAFE.*--allow-weak-isolation"):
        run.run(tmp_path / "in", tmp_path / "out", progress=False)


def test_answers_under_a_readable_folder_are_noticed(tmp_path):
    inside = Path(sys.prefix) / "lib"
    assert isolation.exposed([inside, tmp_path, ROOT / "solutions", ROOT / "notebooks"]) == [inside]


@linux
def test_right_answers_pass_at_every_level(box, examiner, tmp_path):
    notebook = tmp_path / "x.ipynb"
    notebook.write_text(json.dumps(solved()), encoding="utf-8")
    assert {v.state for v in grade(box, examiner, normalise(notebook, NOTEBOOK))} == {"passed"}


@linux
def test_only_the_lowest_level_lets_a_submission_read_the_answers(box, examiner, tmp_path):
    code = (
        f"def causal_mask(length):\n    assert 'SOLUTION' in open({str(ROOT / 'solutions' / 'attention.py')!r}).read()\n"
        "    return torch.ones(length, length, dtype=torch.bool).tril()\n"
    )
    found = grade_some(box, examiner, submission(tmp_path, code), [TARGET])[TARGET]
    assert (found.state == "passed") == (box.level.number == 1), found
    assert box.level.safe == (box.level.number == 3)


@linux
@pytest.mark.parametrize("attack", ["forty children with setsid, forked twice", "ten processes left behind"])
def test_no_level_leaves_processes_behind(attack, box, examiner, tmp_path):
    grade_some(box, examiner, submission(tmp_path, exhausting.BESIDE[attack]), [TARGET])
    assert trial.left_behind() == 0


@linux
@pytest.mark.parametrize("level", [3, 2, 1])
def test_the_watchdog_sees_what_children_use_together(level, examiner, tmp_path):
    """Each child is within its own limit; together they are not. This is the watchdog's work: a process's limit does not see it.

    The cell waits until all children have what they want, however slow the machine is; so only memory can be what ends it.
    """
    if probe().number < level:
        pytest.skip(probe().sentence())
    name = "children that together take 2 GiB, each within its limit"
    patient = Limits(memory=1024 * 2**20, seconds=240.0, cell=200.0)
    with Sandbox(patient, level=level) as box:
        found = grade_some(box, examiner, submission(tmp_path, exhausting.BESIDE[name]), [TARGET])[TARGET]
    assert "it used more than 1024 MiB of memory" in found.sentence, found
    assert trial.left_behind() == 0


@linux
@pytest.mark.parametrize("level", [3, 2, 1])
def test_the_watchdog_counts_processes(level, examiner, tmp_path):
    """The cell waits after its last fork, however slow the machine looks: so only their number can be what ends it."""
    if probe().number < level:
        pytest.skip(probe().sentence())
    code = exhausting.BESIDE["fifty processes, more than the limit"].replace(
        "time.sleep(1)", "time.sleep(150)"
    )
    with Sandbox(Limits(seconds=240.0, cell=100.0), level=level) as box:
        found = grade_some(box, examiner, submission(tmp_path, code), [TARGET])[TARGET]
    limited_by_the_kernel = level == 3 and os.getuid() != 0
    assert limited_by_the_kernel or "it ran more than 48 processes" in found.sentence, found
    assert trial.left_behind() == 0


@linux
def test_what_a_list_of_processes_misses_is_killed_all_the_same():
    """A list that is made while the first process dies shows none of that one's children: they are looked for until the kernel has none."""
    code = (
        "import os, time, psutil\n"
        "from utils.grading import isolation, kernel, zygote\n"
        "kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)\n"
        "reading, writing = os.pipe()\n"
        "outer = os.fork()\n"
        "if outer == 0:\n"
        "    for _ in range(5):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            os.write(writing, b'x')\n"
        "            time.sleep(100)\n"
        "    os._exit(0)\n"
        "begun = sum(len(os.read(reading, 1)) for _ in range(5))\n"
        "seen, looks = psutil.Process.children, []\n"
        "def missing(self, recursive=False):\n"
        "    looks.append(len(seen(self, recursive=recursive)))\n"
        "    return [] if len(looks) == 1 else seen(self, recursive=recursive)\n"
        "psutil.Process.children = missing\n"
        "zygote._bury(outer, isolation.Level(1, ('x',)))\n"
        "print(begun, looks[0] >= 5, len(seen(psutil.Process(), recursive=True)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["5", "True", "0"], done


@full
def test_a_sandbox_ends_with_its_zygote_whatever_it_does(examiner, tmp_path):
    """`kill -9` of the zygote, while a submission runs that has tried to disarm the signal which ends it."""
    box = Sandbox(Limits(seconds=60, cell=60))
    box.start()
    disarm = "import ctypes, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\ntime.sleep(50)\n"
    request = Request(submission(tmp_path, disarm), *examiner.request({TARGET: []}), {})

    def judge(index, payload):
        return examiner.judge(TARGET, payload)

    thread = threading.Thread(target=box._once, args=(request, judge, worker.Budget(60.0, 300.0)))
    thread.start()
    until = time.monotonic() + 30
    zygote = psutil.Process(box.zygote.pid)
    while len(zygote.children(recursive=True)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(zygote.children(recursive=True)) >= 2, "it never began"
    time.sleep(0.5)
    os.kill(box.zygote.pid, signal.SIGKILL)
    thread.join(timeout=30)
    until = time.monotonic() + 10
    while trial.leftover_processes() and time.monotonic() < until:
        time.sleep(0.05)
    assert trial.left_behind() == 0


def test_a_host_that_cannot_isolate_gives_no_zeros(monkeypatch, examiner, tmp_path):
    box = Sandbox(QUICK)
    monkeypatch.setattr(box, "_once", lambda *a: worker.Run([], "no sandbox"))
    with pytest.raises(worker.NoSandbox, match="nothing was graded"):
        grade(box, examiner, submission(tmp_path, "x = 1"))


@pytest.mark.skipif(not probe().safe, reason=probe().sentence())
def test_a_zygote_that_cannot_be_asked_gives_no_zeros(monkeypatch, examiner, tmp_path):
    """Seen once: another submission had used up the user's descriptors under way, and the neighbours had nothing for it."""
    sent = worker.control.send

    def full(end, message, descriptors=()):
        if descriptors:
            raise OSError(errno.ETOOMANYREFS, "Too many references: cannot splice")
        sent(end, message, descriptors)

    with Sandbox(QUICK) as box:
        monkeypatch.setattr(worker.control, "send", full)
        with pytest.raises(worker.NoSandbox, match="nothing was graded"):
            grade(box, examiner, submission(tmp_path, "x = 1"))
        monkeypatch.undo()
        found = {one.exercise: one for one in grade(box, examiner, submission(tmp_path, "x = 1"))}
    assert found.pop(TARGET).points == 0 and all(one.state == "passed" for one in found.values())


FILTERED = """
import ctypes, errno, fcntl, os, signal, socket, struct, sys, threading
sys.path.insert(0, sys.argv[1])
from utils.grading import kernel
open(sys.argv[2], "w").close()
signal.signal(signal.SIGIO, signal.SIG_IGN)
mine, here = os.open(sys.argv[2], os.O_RDONLY), os.open(os.path.dirname(sys.argv[2]), os.O_RDONLY)
def way(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
left, right = socket.socketpair()
waits = [("lease", fcntl.fcntl, mine, 1024, 0), ("notes of a folder", fcntl.fcntl, here, 1026, 1), ("message", left.sendmsg, [b"x"]),
         ("flags", fcntl.fcntl, mine, 3), ("lock", fcntl.lockf, mine, fcntl.LOCK_SH), ("bytes", left.send, b"x"), ("copy", fcntl.fcntl, mine, 1030)]
def ways():
    return {name: way(call, *args) for name, call, *args in waits} | {"inotify": ctypes.CDLL(None).inotify_init1(0) >= 0}
print(sorted({str(one) for one in ways().values()}))
fcntl.fcntl(mine, 1024, 2)
kernel.load_seccomp()
libc = ctypes.CDLL(None, use_errno=True)
pair = (ctypes.c_int * 2)()
def refused(call, *args):
    try:
        call(*args)
    except PermissionError:
        return True
    return False
calls = {"chmod": (os.chmod, sys.argv[2], 0o777), "utime": (os.utime, sys.argv[2]), "chown": (os.chown, sys.argv[2], 1, 1),
         "setxattr": (os.setxattr, sys.argv[2], "user.x", b"x"), "memfd": (os.memfd_create, "x")}
print([name for name, (call, *args) in calls.items() if not refused(call, *args)])
print([*ways().values()])
print([flag for flag in (0x10000000, 0x20000000, 0x40000000) if libc.syscall(kernel.SYSCALLS["clone"], flag | 17, 0, 0, 0, 0) != -1])
print(libc.prctl(1, 0, 0, 0, 0), libc.shmget(0, 4096, 0o1600), libc.semget(0, 32000, 0o1600), [f for f in range(46) if libc.socket(f, 1, 0) != -1])
def said(name, *args):
    ctypes.set_errno(0)
    libc.syscall(kernel.SYSCALLS[name], *map(ctypes.c_long, args))
    return ctypes.get_errno()
limit, processors = ctypes.create_string_buffer(struct.pack("QQ", 2**40, 2**40)), ctypes.create_string_buffer(b"\\xff" * 128)
nobody = 2**22 + 1  # no process has this number, so no test can hurt one
print({said("prlimit64", nobody, 1, ctypes.addressof(limit), 0), said("sched_setaffinity", nobody, 128, ctypes.addressof(processors)),
       *(said("setpriority", which, nobody, 0) for which in (0, 1, 2)), said("ioprio_set", 1, nobody, 0)})
print(said("prlimit64", 0, 1, ctypes.addressof(limit), 0), said("sched_setaffinity", 0, 128, ctypes.addressof(processors)), said("setpriority", 0, 0, 0))
before = os.getsid(0)
if os.fork() == 0:
    os.setsid()
    os._exit(os.getsid(0) != before)
print(os.waitstatus_to_exitcode(os.wait()[1]))
print(libc.socketpair(1, 1, 0, pair), libc.socketpair(1, 1 | 0x80800, 0, pair), libc.socketpair(1, 2, 0, pair), libc.socketpair(1, 5, 0, pair), libc.socketpair(30, 1, 0, pair))
thread = threading.Thread(target=print, args=("threads work",))
thread.start(); thread.join()
child = os.fork()
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@linux
@pytest.mark.skipif(probe().number < 2, reason="no seccomp here")
def test_the_filter_refuses_what_it_should_and_lets_forks_and_threads_be(tmp_path):
    command = [sys.executable, "-c", FILTERED, str(ROOT), str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "['True', 'done']",
        "[]",
        str(["EPERM"] * 3 + ["done"] * 4 + [False]),
        "[]",
        "-1 -1 -1 []",
        "{1}",
        "0 0 0",
        "0",
        "0 0 -1 -1 -1",
        "threads work",
        "7",
    ], done.stdout + done.stderr


OTHER_NUMBERS = """
import ctypes, mmap, os, platform, resource, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from utils.grading import kernel
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None, use_errno=True)
room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
room.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid of 32 bits); int 0x80; ret
by_32_bits = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(room)))
def ends(call):
    child = os.fork()
    if child == 0:
        os._exit(0 if call() == os.getpid() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def said(number, *args):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))
    return ctypes.get_errno()
before = ends(by_32_bits) if platform.machine() == "x86_64" else None
ring = ctypes.create_string_buffer(120)
kernel.load_seccomp()
print([said(kernel.SYSCALLS["io_uring_" + name], 1, ctypes.addressof(ring)) for name in ("setup", "enter", "register")])
if before is not None:
    print([said(0x40000000 + number) for number in (39, 110, 102)])  # getpid, getppid, getuid
    print(before, ends(by_32_bits))
"""


@linux
@pytest.mark.skipif(probe().number < 2, reason="no seccomp here")
def test_no_other_numbers_and_no_ring_go_round_the_filter():
    """A list of calls is none if the same calls have other numbers: those of 32 bits (`int 0x80`), those of x32; or if a ring makes them."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_NUMBERS, str(ROOT)], capture_output=True, text=True, check=False
    )
    refused, *others = done.stdout.splitlines()
    assert refused == str([errno.EPERM] * 3), done.stdout + done.stderr
    if platform.machine() == "x86_64":
        assert others[0] == str([errno.EPERM] * 3)
        before, after = map(int, others[1].split())
        # a kernel may have no calls of 32 bits at all; where it has them, who makes one is killed
        assert after == (-signal.SIGSYS if before == 0 else before), others


ORDINARY = """
import os, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from utils.grading import isolation
print(os.getuid(), isolation.probe().number, flush=True)
if os.fork() == 0:
    isolation.enter_namespaces()
    if os.fork() == 0:
        level, limits = isolation.Level(3), isolation.Limits(processes=20)
        isolation.shut_away(level, limits.disk)
        isolation.restrict(level, limits)
        count = 0
        try:
            for count in range(40):
                if os.fork() == 0:
                    time.sleep(1)
                    os._exit(0)
        except OSError:
            print("refused at", count, flush=True)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
"""


@full
@pytest.mark.skipif(
    isolation.kernel.release() < (5, 14), reason="processes are counted per namespace since Linux 5.14"
)
def test_an_ordinary_user_gets_the_highest_level_and_a_limit_of_processes_by_the_kernel(tmp_path):
    """Run as root, the test becomes the user "nobody", for whom the system's Python must do (no torch is needed)."""
    python, prefix = sys.executable, []
    if os.getuid() == 0:
        python = "/usr/bin/python3"
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if not shutil.which("setpriv") or not Path(python).exists():
            pytest.skip("run as root, this test needs setpriv and /usr/bin/python3")
        parents = [ROOT, *ROOT.parents]
        if not all(parent.stat().st_mode & 0o005 == 0o005 for parent in parents):
            pytest.skip("the course lies where other users cannot read it")
    command = [*prefix, python, "-c", ORDINARY, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    first, second = done.stdout.splitlines()
    assert first.split()[1] == "3" and first.split()[0] != "0", done.stdout + done.stderr
    assert second.startswith("refused at") and 10 <= int(second.split()[-1]) < 20, done.stdout + done.stderr


SLOW_BYTES = """
import gc, os, signal, time
from utils.grading import inside, wire
signal.setitimer(signal.ITIMER_PROF, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
home = next(o for o in gc.get_objects() if isinstance(o, inside.Home))
os.write(home.out, wire.HEADER.pack(wire.MAGIC, home.nonce, 0, 2**20))
while True:
    time.sleep(0.3)
    os.write(home.out, b"x")
"""


@linux
def test_who_sleeps_and_sends_single_bytes_holds_a_worker_no_longer_than_one_submission_may(
    box, examiner, tmp_path, monkeypatch
):
    """Five sandboxes would each have had the whole time; and what a sandbox is stopped for tells no time that it chose."""
    times: list[float] = []
    once = worker.Sandbox._once

    def watched(*args):
        found = once(*args)
        times.append(found.clock)
        return found

    monkeypatch.setattr(worker.Sandbox, "_once", watched)
    monkeypatch.setattr(box, "limits", Limits(seconds=4.0, cpu=1.0))
    first = next(iter(examiner.exercises))
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(solved(**{first: SLOW_BYTES})), encoding="utf-8")
    verdicts = grade(box, examiner, normalise(path, NOTEBOOK))
    assert sum(times) < worker.Budget.of(box.limits).clock + 2.0, times
    assert {v.sentence for v in verdicts} == {f"No answer came back: {worker.TOO_LONG}."}


@linux
@pytest.mark.parametrize(("body", "goes_on"), [("pass", True), ("time.sleep(60)", False)])
def test_a_cell_on_a_busy_machine_is_told_from_one_that_waits(body, goes_on):
    """The clock runs fast here, as it does for a cell that gets a small share of the processor."""
    code = (
        "import time\nfrom utils.checks import limits\nfrom utils.grading import inside\n"
        "began, clock = time.monotonic(), time.monotonic\n"
        "inside.time = type('T', (), {'monotonic': staticmethod(lambda: began + 3 * (clock() - began)), 'process_time': staticmethod(time.process_time)})\n"
        "real = limits.time_limit\nlimits.time_limit = lambda seconds, clock: real(seconds, clock=clock / 3)\n"
        "cell = 'import time\\nused = time.process_time()\\nwhile time.process_time() - used < 2.5:\\n    BODY\\n'\n"
        "print(repr(inside.define('x', cell, {}, 3.0, inside.parse(cell))))\n"
    ).replace("BODY", body)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.strip() == repr(
        "" if goes_on else "Your cell was still running after 3 s and was stopped."
    ), done


def test_every_reaching_attack_stays_bounded():
    """Loopback only: no attack names another address."""
    for code in [*reaching.CODE.values(), *reaching.KILLING.values()]:
        assert "http" not in code or "127.0.0.1" in code
