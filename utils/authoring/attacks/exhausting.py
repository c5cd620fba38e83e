"""Submissions that use up what others need: time, memory, disk, processes; and those that die or will not."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

from utils.authoring.attacks.places import everywhere, losing
from utils.authoring.attacks.scene import (
    NO_GAIN,
    NOTHING,
    ONE_LOST,
    Attack,
    Entry,
    Scene,
    answers,
    instead_of_an_answer,
    solved,
)
from utils.grading import worker

GROUP = "using up"
BESIDE = {
    "ten processes left behind": (
        "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n        os._exit(0)\n"
    ),
    "forty children with setsid, forked twice": (
        "import os, signal, time\nfor _ in range(20):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            os.setsid()\n            for s in (1, 2, 15):\n                signal.signal(s, signal.SIG_IGN)\n        time.sleep(60)\n        os._exit(0)\n"
        "    time.sleep(0.005)\n"
    ),
    "fifty processes, more than the limit": (
        "import os, time\nfor _ in range(50):\n    try:\n        if os.fork() == 0:\n            os.setsid()\n            time.sleep(60)\n            os._exit(0)\n"
        "    except OSError:\n        break\ntime.sleep(1)\n"
    ),
    "another program left running": (
        "import subprocess\nsubprocess.Popen(['sleep', '60.$TOKEN'.replace('.mark-', '')], start_new_session=True)\n"
    ),
    "threads left running": (
        "import threading, time\nfor _ in range(10):\n    threading.Thread(target=time.sleep, args=(60,), daemon=False).start()\n"
    ),
    "sleep": "import time\ntime.sleep(3600)\n",
    "never end, with every signal ignored": (
        "import signal\nfor s in range(1, 64):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n"
    ),
    "stop itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nos.kill(1, signal.SIGSTOP)\n",
    "allocate 3 GiB": "hoard = bytearray(3 * 2**30)\n",
    "children that together take 2 GiB, each within its limit": (
        "import os, time\nreading, writing = os.pipe()\nfor _ in range(5):\n    if os.fork() == 0:\n        hoard = b'x' * (400 * 2**20)\n        os.write(writing, b'.')\n"
        "        time.sleep(60)\n        os._exit(0)\nfor _ in range(5):\n    os.read(reading, 1)\ntime.sleep(1)\n"
    ),
    "memory behind descriptors (memfd, System V)": (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfds = []\nfor n in range(20):\n    try:\n"
        "        fd = os.memfd_create(f'm{n}')\n        os.write(fd, bytes(50 * 2**20))\n        fds.append(fd)\n    except OSError:\n        break\n"
        "shared = libc.shmget(0, 2**28, 0o1600)\nassert not fds and shared == -1, 'unseen memory'\n"
    ),
    "fill the disk with 300 MB": (
        "import os\nfor place in ('.', '/tmp', '/dev/shm', '/var/tmp'):\n    try:\n        for n in range(5):\n            with open(os.path.join(place, f'$TOKEN-{n}'), 'wb') as file:\n"
        "                for _ in range(60):\n                    file.write(bytes(2**20))\n    except OSError:\n        pass\n"
    ),
    "fill the disk with 10,000 empty files": (
        "for n in range(10000):\n    try:\n        open(f'$TOKEN-{n}', 'w').close()\n    except OSError:\n        break\n"
    ),
    "close every descriptor": "import os\nos.closerange(0, 1024)\n",
    "exit at once": "import os\nos._exit(0)\n",
    "crash the interpreter": "import ctypes\nctypes.string_at(0)\n",
    "recurse through the stack": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef deeper(n):\n    return deeper(n + 1) + sum(deeper(k) for k in ())\ndeeper(0)\n"
    ),
}
INSTEAD = {
    "sleep inside the function": "import time\ndef causal_mask(length):\n    time.sleep(3600)\n",
    "never end inside the function, and swallow the time limit": (
        "def causal_mask(length):\n    while True:\n        try:\n            while True:\n                pass\n        except BaseException:\n            pass\n"
    ),
    "exit inside the function": "import os\ndef causal_mask(length):\n    os._exit(0)\n",
    "crash inside the function": "import ctypes\ndef causal_mask(length):\n    ctypes.string_at(0)\n",
    "allocate inside the function": "def causal_mask(length):\n    return bytearray(3 * 2**30)\n",
    "print 200 MB inside the function": (
        "def causal_mask(length):\n    for _ in range(40):\n        print('x' * 2**20)\n    return torch.zeros(length, length, dtype=torch.bool)\n"
    ),
}
ALIVE = {
    "ten processes left behind",
    "another program left running",
    "threads left running",
    "sleep",
    "allocate 3 GiB",
}
ALIVE |= {
    "memory behind descriptors (memfd, System V)",
    "fill the disk with 300 MB",
    "fill the disk with 10,000 empty files",
}
SLOW_BYTES = (
    "import gc, os, signal, time\nfrom utils.grading import inside, wire\nfor clock in (signal.ITIMER_PROF, signal.ITIMER_REAL):\n    signal.setitimer(clock, 0)\n"
    "home = next(o for o in gc.get_objects() if isinstance(o, inside.Home))\nos.write(home.out, wire.HEADER.pack(wire.MAGIC, home.nonce, 0, 2**20))\n"
    "while True:\n    time.sleep(0.3)\n    os.write(home.out, b'x')\n"
)


FIRST = "scaled_dot_product_attention"


def _slow_bytes(scene: Scene) -> None:
    """In the first answer's cell. The submission has 2 s of the clock in all, and it is noted how each of its sandboxes has ended."""
    once = worker.Sandbox._once

    def watched(box, request, judge, left):  # noqa: ANN001, ANN202
        mine = any("home.out" in part.source for part in request.submission.parts)
        if mine and not scene.seen:
            left.clock = 2.0
        run = once(box, request, judge, left)
        scene.seen += [run.ending] * mine
        return run

    scene.doors.enter_context(mock.patch.object(worker.Sandbox, "_once", watched))
    scene.write(solved(**{FIRST: SLOW_BYTES}))


def _held_twice(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    if scene.seen != [worker.TOO_LONG]:
        yield f"it held a worker with {len(scene.seen)} sandboxes, which ended: {', '.join(scene.seen)}"


LOOP = "def NAME(*given, **named):\n    while True:\n        pass\n"


def _looping(scene: Scene) -> None:
    """Every answer loops. It is noted what its sandboxes use of the processor, in all."""
    once = worker.Sandbox._once

    def watched(box, request, judge, left):  # noqa: ANN001, ANN202
        run = once(box, request, judge, left)
        scene.seen += [run.cpu] * any("while True" in part.source for part in request.submission.parts)
        return run

    scene.doors.enter_context(mock.patch.object(worker.Sandbox, "_once", watched))
    scene.write(solved(**{name: LOOP.replace("NAME", name) for name in answers()}))


def _used_more(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    from utils.authoring.attacks.trial import LIMITS

    # what it uses while it is being stopped comes on top
    if not 0 < sum(scene.seen) < 2 * LIMITS.cpu:
        yield f"it used {sum(scene.seen):.0f} s of the processor"


ATTACKS = (
    *everywhere(GROUP, losing(BESIDE), lambda name, place: ONE_LOST if name in ALIVE else NO_GAIN),
    *(Attack(name, GROUP, ONE_LOST, instead_of_an_answer(code)) for name, code in INSTEAD.items()),
    Attack(
        "sleep, and send a byte now and then",
        GROUP,
        NO_GAIN,
        _slow_bytes,
        FIRST,
        also=_held_twice,
    ),
    Attack("ten functions that never end", GROUP, NOTHING, _looping, also=_used_more),
)
