"""Ways that once led through the grader, each tried from three places: a helper cell, the answer's cell, and the body of the function.

A way is a function body that sets `won`; the answer is right if it won, so points for it say that it did.
"""

from __future__ import annotations

from utils.authoring.attacks.places import FRAMES, everywhere, met_the_header
from utils.authoring.attacks.scene import NO_GAIN, ONE_LOST

GROUP = "kinds, from three places"
KEPT = "kept-by-nobody-7319"  # in the neighbours' notebooks
SENT = {
    "a frame whose shape overflows, with the request's nonce": (
        "send(raw(json.dumps({'x': {'dtype': 'F32', 'shape': [0, 4611686018427387904, 4], 'data_offsets': [0, 0]},\n"
        "                     '__metadata__': {'message': '{}'}}).encode()))"
    ),
    "a frame of brackets": "send(raw(b'{\"x\": [' + b'[],' * 1000000 + b'[]]}'), range(1))",
    "a frame nested deep": "send(raw(b'[' * 50000))",
    "frames for checks that do not exist": "send(wire.pack({}, {}), indices=(99, 2**32 - 1))",
    # 100,000 quotation marks, each behind a backslash, and none that ends the text
    "a frame with a text without an end": "send(raw(b'{\"a\": \"' + b'\\\\\"' * 100000), ($INDEX,))",
    "an answer twice": "send(empty($INDEX), ($INDEX,), times=2)",
    "an answer that a child sends, before, with and after its parent's": (
        "import time\nif os.fork() == 0:\n    for _ in range(300):\n        time.sleep(0.01)\n        send(empty($INDEX), ($INDEX,))\n    os._exit(0)\n"
    ),
    "a frame that stops in the middle": "send(b'', range(1)); [os.write(fd, wire.HEADER.pack(wire.MAGIC, nonce, 1, 10**6)) for fd in range(3, 9) if os.path.exists(f'/proc/self/fd/{fd}') and 'pipe' in os.readlink(f'/proc/self/fd/{fd}') and os.access(f'/proc/self/fd/{fd}', os.W_OK)]",
}
#: what is refused by the header, as it must be
HEADERS = {"a frame with another nonce": "send(wire.pack({}, {}), nonce=bytes(16))"}
OTHER = {
    "sockets by path and by name": """\
import socket
won = False
for name in ('$DOOR', '\\0$TOKEN'):
    for kind in (1, 2, 5):
        for make in (lambda: socket.socket(socket.AF_UNIX, kind), lambda: socket.socketpair(socket.AF_UNIX, kind)[0]):
            try:
                make().connect(name)
                won = True
            except OSError:
                pass
            try:
                one = make()
                if kind == 2:
                    one.sendto(b'hidden inputs', name)
                    won = True
            except OSError:
                pass
""",
    "a search of the memory for a neighbour's answers": """\
import re
won = False
with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
        place = re.match('([0-9a-f]+)-([0-9a-f]+) rw', line)
        if place and '[v' not in line:
            first, last = int(place[1], 16), int(place[2], 16)
            while first < last:
                memory.seek(first)
                try:
                    data = memory.read(min(2**24, last - first))
                except OSError:
                    break
                if not data:
                    break
                for hit in re.finditer(b'by-nobody-', data):
                    won |= data[max(hit.start() - 5, 0):hit.start()] == b'kept-' and data[hit.end():hit.end() + 4] == b'7319'
                first += len(data)
""",
    "a stand-in by importlib": """\
import importlib
try:
    won = bool(getattr(importlib.import_module('$MODULE'), '$ATTRIBUTE')(3).any())
except ImportError:
    won = False
""",
    "a stand-in by a string": """\
space = {}
try:
    exec('from $MODULE import $ATTRIBUTE as borrowed', space)
    won = bool(space['borrowed'](3).any())
except ImportError:
    won = False
""",
    "a stand-in by its file": """\
space = {}
try:
    exec(open('$FILE').read(), space)
    won = bool(space['$ATTRIBUTE'](3).any())
except OSError:
    won = False
""",
    "a stand-in by the course's engine": """\
won = False
try:
    from utils.checks import engine, registry
    won = bool(engine.stand_in(registry.find('$TARGET'))(3).any())
except Exception:
    pass
""",
    "a stand-in by what a module has imported": """\
import sys
found = [m.__dict__['$ATTRIBUTE'] for n, m in [*sys.modules.items()] if n.startswith('utils.') and '$ATTRIBUTE' in m.__dict__]
won = bool(found and found[0](3).any())
""",
    "a stand-in by the memory of the process": """\
import gc, types
found = [o for o in gc.get_objects() if isinstance(o, types.FunctionType) and o.__name__ == '$ATTRIBUTE' and 'stand_ins' in str(o.__module__)]
won = bool(found and found[0](3).any())
""",
    "reuse of itself": """\
from utils.checks import reuse
try:
    won = bool(reuse('$TARGET')(3).any())
except ImportError:
    won = False
""",
    "a stand-in by a comment": """\
# reuse("TransformerEncoder") reuse("ViT"): the grader lends what code takes of earlier notebooks, and nothing for a comment
try:
    from utils.stand_ins.transformer import Layer
    won = True
except ImportError:
    won = False
""",
    "a stand-in of a later notebook": """\
from utils.checks import reuse
won = False
try:
    later = reuse("TransformerEncoder")
    won = True
except ImportError:
    pass
try:
    from utils.stand_ins.transformer import Layer
    won = True
except ImportError:
    pass
""",
    "files of the host and of the course": """\
import os
won = any(os.path.lexists(p) for p in ('$OUTSIDE', '$SOLUTIONS', '$GRADEBOOK', '$NEIGHBOUR', '$COURSE/data', '/etc/passwd', '/run', '/var'))
""",
    "other processes": """\
import os
won = len([p for p in os.listdir('/proc') if p.isdigit()]) > 3
""",
    "limits, processors and priority of other processes": """\
import os, resource, signal
def works(change, *given):
    try:
        change(*given)
        return True
    except OSError:
        return False
other = os.fork()
while other == 0:
    signal.pause()
won = works(resource.prlimit, other, resource.RLIMIT_CORE, (0, 0))
won |= works(os.sched_setaffinity, other, os.sched_getaffinity(0))
won |= works(os.setpriority, os.PRIO_PROCESS, other, 19)
won |= works(os.setpriority, os.PRIO_PGRP, 0, 19)
won |= works(os.setpriority, os.PRIO_USER, 0, 19)
os.kill(other, 9)
os.waitpid(other, 0)
""",
    "a session of its own, which is a share of the processor of its own": """\
import os
before, other = os.getsid(0), os.fork()
if other == 0:
    os.setsid()
    os._exit(os.getsid(0) != before)
won = os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) != 0
""",
    "files of the kernel": """\
import os
won = not {name for name in os.listdir('/proc') if not name.isdigit()} <= {'self', 'thread-self'}
""",
    "children that come back and go on": """\
import os
won = False
for _ in range(2):
    os.fork()
""",
    "children that stay and compute": """\
import os
won = False
for _ in range(5):
    if os.fork() == 0:
        while True:
            pass
""",
}
# Five more at each of the answer's calls: they use up the processor time of the submission, and what comes after it is its own loss.
SPENT = ("children that stay and compute", "the body")
ATTACKS = (
    *everywhere(
        GROUP,
        {name: FRAMES + code for name, code in SENT.items()},
        lambda name, place: ONE_LOST if place == "the body" else NO_GAIN,
        also=met_the_header,
    ),
    *everywhere(
        GROUP,
        {name: FRAMES + code for name, code in HEADERS.items()},
        lambda name, place: ONE_LOST if place == "the body" else NO_GAIN,
    ),
    *everywhere(GROUP, OTHER, lambda name, place: NO_GAIN if (name, place) == SPENT else ONE_LOST),
)
