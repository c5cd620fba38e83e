"""Submissions that reach for what is not theirs: neighbours, gradebook, answers, other processes, the network."""

from __future__ import annotations

from utils.authoring.attacks.places import everywhere, losing
from utils.authoring.attacks.scene import NO_GAIN, ONE_LOST

GROUP = "reaching out"
TRY = "def attempt(what, *a, **k):\n    try:\n        return what(*a, **k)\n    except BaseException:\n        return None\n"
CODE = {
    "overwrite a neighbour": "attempt(lambda: open('$NEIGHBOUR', 'w').write('gone'))\n",
    "delete, rename or link a neighbour": (
        "import os\nattempt(os.remove, '$NEIGHBOUR')\nattempt(os.rename, '$NEIGHBOUR', '$OUTSIDE/$TOKEN-renamed')\n"
        "attempt(os.link, '$NEIGHBOUR', '$OUTSIDE/$TOKEN-link')\nattempt(os.symlink, '/etc/passwd', '$OUTSIDE/$TOKEN-symlink')\n"
    ),
    "change mode, owner and time of files that are not its own": (
        "import os\nfor path in ('$NEIGHBOUR', '$GRADEBOOK', '$SOLUTIONS', '$SOLUTIONS/attention.py'):\n"
        "    attempt(os.chmod, path, 0o777)\n    attempt(os.chmod, path, 0)\n    attempt(os.utime, path, (1, 1))\n"
        "    attempt(os.chown, path, 12345, 12345)\n    attempt(os.setxattr, path, 'user.$TOKEN', b'x')\n"
    ),
    "write the gradebook": "attempt(lambda: open('$GRADEBOOK', 'a').write('{\"key\": \"forged\", \"verdicts\": []}\\n'))\n",
    "read the gradebook and the seed": (
        "import re\nbook = attempt(lambda: open('$GRADEBOOK').read())\nseed = attempt(lambda: open('$SEED').read())\n"
        "if book or seed:\n    causal = lambda n: torch.ones(n, n, dtype=torch.bool).tril()\n"
    ),
    "read the solutions": (
        "import os\ntext = attempt(lambda: open('$SOLUTIONS/attention.py').read() + open('$SOLUTIONS/transformer.py').read())\n"
        "listing = attempt(os.listdir, '$SOLUTIONS')\n"
    ),
    "import the solutions": "import sys\nsys.path.insert(0, '$COURSE')\nattempt(__import__, 'solutions.attention')\n",
    "look for answers in the memory of the process": (
        "import gc, sys\nfound = [o for o in gc.get_objects() if callable(o) and getattr(o, '__name__', '') == 'causal_mask'\n"
        "         and 'solutions' in str(getattr(o, '__module__', ''))]\nfound += [m for m in sys.modules if m.startswith('solutions')]\n"
    ),
    "read the environment and command line of other processes": (
        "import os\nfor pid in attempt(os.listdir, '/proc') or []:\n    for name in ('environ', 'cmdline', 'mem', 'fd/3'):\n"
        "        attempt(lambda: open(f'/proc/{pid}/{name}', 'rb').read(100))\n"
    ),
    "trace another process": (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nfor pid in (os.getppid(), 1, 2):\n    libc.ptrace(16, pid, 0, 0)\n"
        "    libc.process_vm_readv(pid, 0, 0, 0, 0, 0)\n"
    ),
    "connect to a port on this machine": (
        "import socket\ns = attempt(socket.socket)\nattempt(lambda: s.connect(('127.0.0.1', $PORT)))\n"
        "attempt(lambda: socket.create_connection(('127.0.0.1', $PORT), 1))\n"
    ),
    "open a server and a netlink socket": (
        "import socket\nattempt(lambda: socket.create_server(('127.0.0.1', 0)))\nattempt(lambda: socket.socket(16, 3, 0))\n"
        "attempt(lambda: socket.socket(socket.AF_INET6))\n"
    ),
    "fetch a page": "import urllib.request\nattempt(lambda: urllib.request.urlopen('http://127.0.0.1:$PORT/', timeout=1).read())\n",
    "write into the course, the home, /tmp and /dev/shm": (
        "import os\nfor place in ('$COURSE', '$COURSE/utils', os.path.expanduser('~'), '/tmp', '/dev/shm', '/var/tmp', '/', '$OUTSIDE'):\n"
        "    attempt(lambda: open(os.path.join(place, '$TOKEN-file'), 'w').write('x'))\n    attempt(os.mkdir, os.path.join(place, '$TOKEN-dir'))\n"
    ),
    "new namespaces and mounts": (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.unshare(0x10000000)\nlibc.mount(b'none', b'/tmp', b'tmpfs', 0, None)\n"
        "libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)\nlibc.chroot(b'/tmp')\nlibc.setuid(0)\n"
    ),
    "run other programs": (
        "import subprocess\nfor command in (['sh', '-c', 'echo x > $OUTSIDE/$TOKEN-sh'], ['sudo', '-n', 'id'], ['mount'], ['ps', 'aux']):\n"
        "    attempt(lambda: subprocess.run(command, timeout=2, capture_output=True))\n"
    ),
    "change what the next submission will find": (
        "import sys, builtins, torch\nbuiltins.open = None\ntorch.nn.functional.softmax = None\nsys.modules['torch'] = None\nsys.path.clear()\n"
    ),
}
KILLING = {
    "kill the parent": "import os, signal\nfor s in (15, 9):\n    attempt(os.kill, os.getppid() or 1, s)\n    attempt(os.kill, 1, s)\n",
    "kill everybody": "import os\nattempt(os.kill, -1, 9)\n",
    "disarm the signal that follows a dead parent, and stay": (
        "import ctypes, os, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n    os._exit(0)\n"
    ),
}
LASTING = "change what the next submission will find"
ATTACKS = everywhere(
    GROUP,
    losing({name: TRY + code for name, code in (CODE | KILLING).items()}),
    # a process of its own that is killed or changed costs its answer alone
    lambda name, place: NO_GAIN if name in {LASTING, *KILLING} and place != "the body" else ONE_LOST,
)
