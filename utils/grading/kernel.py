"""Thin wrappers around the Linux calls that the sandbox stands on: namespaces, mounts, seccomp, Landlock. No policy here.

References:
1. man 7 namespaces, man 7 user_namespaces, man 7 pid_namespaces
2. man 2 seccomp; the kernel's Documentation/userspace-api/seccomp_filter.rst
3. man 7 landlock; the kernel's Documentation/userspace-api/landlock.rst
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
SECCOMP_MODE_FILTER = 2

# Landlock: syscall numbers are the same on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
ACCESS_EXECUTE, ACCESS_WRITE, ACCESS_READ_FILE, ACCESS_READ_DIR = 1, 2, 4, 8
ACCESS_FS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
SCOPE_ABSTRACT_UNIX_AND_SIGNALS = 3  # from ABI 6 on

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _call(name: str, *args: object) -> int:
    if _libc is None:
        raise OSError(f"{name} exists on Linux only")
    result = getattr(_libc, name)(*args)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return int(result)


def unshare(flags: int) -> None:
    """Gives this process new namespaces (children too, for a new pid namespace)."""
    _call("unshare", ctypes.c_int(flags))


def map_user(uid: int, gid: int) -> None:
    """In a new user namespace: this process's own ids stay what they are outside, and no other id exists."""
    with contextlib.suppress(OSError):  # older kernels have no such file
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """man 2 mount."""
    data = options.encode() if options else None
    _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data)


def pivot_root(new: str, old: str) -> None:
    """man 2 pivot_root: `new` becomes the root, and what was the root is found at `old`, a folder below it."""
    _call("syscall", ctypes.c_long(SYSCALLS["pivot_root"]), new.encode(), old.encode())


def detach(target: str) -> None:
    """Takes the mount at `target`, and all below it, out of this mount namespace."""
    _call("umount2", target.encode(), ctypes.c_int(MNT_DETACH))


def make_readonly(target: str) -> None:
    """Makes the mount at `target` and all below it read-only, and deaf to set-uid bits, in this mount namespace (Linux 5.12 or later)."""
    attributes = struct.pack("<QQQQ", 1 | 2, 0, 0, 0)  # MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID
    here, recursive = -100, 0x8000
    number = ctypes.c_long(SYSCALLS["mount_setattr"])
    _call("syscall", number, here, target.encode(), recursive, attributes, ctypes.c_size_t(len(attributes)))


def release() -> tuple[int, int]:
    """The kernel's version, such as (6, 1); (0, 0) if it cannot be read."""
    parts = platform.release().split(".")
    with contextlib.suppress(ValueError, IndexError):
        return int(parts[0]), int(parts[1].split("-")[0])
    return 0, 0


def prctl(option: int, value: int = 0) -> None:
    """man 2 prctl, for options with one argument."""
    zero = ctypes.c_ulong(0)
    _call("prctl", ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)


def drop_capabilities() -> None:
    """Gives up every capability of this process, for good."""
    with contextlib.suppress(OSError):  # up to the last one that this kernel has
        for capability in range(64):
            prctl(PR_CAPBSET_DROP, capability)
    header = struct.pack("<II", 0x20080522, 0)  # version 3, this thread
    _call("syscall", ctypes.c_long(SYSCALLS["capset"]), header, struct.pack("<IIIIII", 0, 0, 0, 0, 0, 0))


# --- seccomp -----------------------------------------------------------------------------------------------

_NUMBERS = {  # name: (x86_64, aarch64)
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "acct": (163, 89), "syslog": (103, 116),
    "quotactl": (179, 60), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "personality": (135, 92), "lookup_dcookie": (212, 18), "vhangup": (153, 58), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "memfd_secret": (447, 447),
    # other processes' memory and priority, as `OF_ONESELF` below
    "migrate_pages": (256, 238), "move_pages": (279, 239), "process_mrelease": (448, 448), "ioprio_set": (251, 30),
    # memory that no limit sees: neither mapped nor in the sized folder
    "memfd_create": (319, 279), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # Landlock leaves these calls on any path or descriptor to whoever owns the file
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
    # of sockets only a connected pair is left (see `seccomp_program`): whatever else these calls do reaches somebody
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    # what the kernel counts for a user of the whole machine: descriptors under way, so that nobody else could send one, and watched files
    "sendmsg": (46, 211), "sendmmsg": (307, 269), "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
}  # fmt: skip
_MACHINE = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
_OTHERS = {
    "capset": (126, 91),
    "socketpair": (53, 199),
    "clone": (56, 220),
    "clone3": (435, 435),
    "prctl": (157, 167),
    "setsid": (112, 157),
    "setpriority": (141, 140),
    "fcntl": (72, 25),
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
# their first argument is a process, 0 for oneself; with another number they change what the grader's or your own may use
OF_ONESELF = ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr")
SYSCALLS: dict[str, int] = {
    name: number
    for name, pair in (_NUMBERS | _OTHERS).items()
    if _MACHINE is not None and (number := pair[_MACHINE]) is not None
}
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
FORBIDDEN = tuple(name for name in SYSCALLS if name in _NUMBERS)
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_ANY, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _KILL, _REFUSE, _NO_SUCH_CALL = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # EPERM, ENOSYS
_DO_NOTHING = 0x00050000  # the call is not made, and says that it went well
_NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW... flags that clone takes
_SET_LEASE, _NOTIFY = 1024, 1026  # of fcntl


def _statement(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


@cache
def seccomp_program() -> bytes:
    """A BPF filter: calls that reach beyond the process are refused with EPERM, of sockets all but pairs of connected Unix streams (asyncio and
    multiprocessing need them; a pair of datagram sockets could still send to a path), of clones those with new namespaces; files' modes, owners, times and
    attributes stay as they are, and so do limits, processors and priority of all processes but the caller. No lease lets others wait for a file.

    A new session is not made, and nobody is told: the kernel shares a processor out by sessions (man 7 sched, autogroup), so a submission with
    forty of them would get forty times what the one beside it gets.

    A call by another architecture's numbers, which would go round the list, kills the process.
    """
    if _MACHINE is None:
        raise OSError(f"no system call table for {platform.machine()}")
    program = [
        _statement(_LOAD, 4),
        _statement(_JUMP_EQUAL, _AUDIT_ARCH[_MACHINE], 1, 0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, 0),
    ]
    if _MACHINE == 0:  # x32 calls have bit 30 set
        program += [_statement(_JUMP_ABOVE, 0x40000000, 0, 1), _statement(_RETURN, _REFUSE)]
    for name in FORBIDDEN:
        program += [_statement(_JUMP_EQUAL, SYSCALLS[name], 0, 1), _statement(_RETURN, _REFUSE)]
    argument = 16  # low half of a call's first argument
    for name in OF_ONESELF:
        program += [
            _statement(_JUMP_EQUAL, SYSCALLS[name], 0, 4),
            _statement(_LOAD, argument),
            _statement(_JUMP_EQUAL, 0, 1, 0),
            _statement(_RETURN, _REFUSE),
            _statement(_RETURN, _ALLOW),
        ]
    program += [
        # C libraries try clone3 first, whose flags a filter cannot see, and fall back to clone
        _statement(_JUMP_EQUAL, SYSCALLS["clone3"], 0, 1),
        _statement(_RETURN, _NO_SUCH_CALL),
        _statement(_JUMP_EQUAL, SYSCALLS["clone"], 0, 4),
        _statement(_LOAD, argument),
        _statement(_JUMP_ANY, _NEW_NAMESPACES, 0, 1),
        _statement(_RETURN, _REFUSE),
        _statement(_RETURN, _ALLOW),
        # the signal that ends a sandbox with the process that started it must stay armed
        _statement(_JUMP_EQUAL, SYSCALLS["prctl"], 0, 4),
        _statement(_LOAD, argument),
        _statement(_JUMP_EQUAL, PR_SET_PDEATHSIG, 0, 1),
        _statement(_RETURN, _REFUSE),
        _statement(_RETURN, _ALLOW),
        _statement(_JUMP_EQUAL, SYSCALLS["setsid"], 0, 1),
        _statement(_RETURN, _DO_NOTHING),
        _statement(_JUMP_EQUAL, SYSCALLS["setpriority"], 0, 6),
        _statement(_LOAD, argument),
        _statement(_JUMP_EQUAL, 0, 0, 2),  # PRIO_PROCESS: neither a group's nor a user's
        _statement(_LOAD, argument + 8),
        _statement(_JUMP_EQUAL, 0, 1, 0),
        _statement(_RETURN, _REFUSE),
        _statement(_RETURN, _ALLOW),
        # a lease on a file lets whoever opens it wait, for 45 s each time: a neighbour that imports a module, the grader itself
        _statement(_JUMP_EQUAL, SYSCALLS["fcntl"], 0, 5),
        _statement(_LOAD, argument + 8),
        _statement(_JUMP_EQUAL, _SET_LEASE, 1, 0),
        _statement(_JUMP_EQUAL, _NOTIFY, 0, 1),
        _statement(_RETURN, _REFUSE),
        _statement(_RETURN, _ALLOW),
        _statement(_JUMP_EQUAL, SYSCALLS["socketpair"], 0, 6),
        _statement(_LOAD, argument),
        _statement(_JUMP_EQUAL, 1, 0, 3),  # AF_UNIX
        _statement(_LOAD, argument + 8),
        _statement(_AND, 0xF),  # without SOCK_NONBLOCK and SOCK_CLOEXEC
        _statement(_JUMP_EQUAL, 1, 1, 0),  # SOCK_STREAM
        _statement(_RETURN, _REFUSE),
        _statement(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def load_seccomp() -> None:
    """Puts this process and all its descendants under :func:`seccomp_program`, for good."""
    program = ctypes.create_string_buffer(seccomp_program())

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    holder = Program((len(program) - 1) // 8, ctypes.addressof(program))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    zero = ctypes.c_ulong(0)
    _call(
        "prctl",
        ctypes.c_int(PR_SET_SECCOMP),
        ctypes.c_ulong(SECCOMP_MODE_FILTER),
        ctypes.byref(holder),
        zero,
        zero,
    )


# --- Landlock ----------------------------------------------------------------------------------------------


def landlock_abi() -> int:
    """Version of Landlock that the kernel offers; 0 if none."""
    if _libc is None:
        return 0
    version = _libc.syscall(
        ctypes.c_long(LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(1)
    )
    return max(int(version), 0)


def load_landlock(readable: Iterable[str], writable: Iterable[str]) -> None:
    """From here on this process and its descendants can read what lies under `readable`, write under `writable`, and nothing else.

    Paths that do not exist are left out.
    """
    abi = landlock_abi()
    if abi == 0:
        raise OSError("the kernel has no Landlock")
    everything = ACCESS_FS[min(abi, 5)]
    attributes = struct.pack(
        "<QQQ", everything, 3 if abi >= 4 else 0, SCOPE_ABSTRACT_UNIX_AND_SIGNALS if abi >= 6 else 0
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    buffer = ctypes.create_string_buffer(attributes[:size], size)
    ruleset = _call(
        "syscall", ctypes.c_long(LANDLOCK_CREATE_RULESET), buffer, ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    try:
        read = ACCESS_EXECUTE | ACCESS_READ_FILE | ACCESS_READ_DIR
        for paths, access in ((readable, read), (writable, everything)):
            for path in paths:
                _allow(ruleset, path, access)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        _call("syscall", ctypes.c_long(LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= ~ACCESS_READ_DIR & ((1 << 2) | ACCESS_EXECUTE | ACCESS_WRITE | (1 << 14) | (1 << 15))
        rule = ctypes.create_string_buffer(struct.pack("<Qi", access, parent), 12)
        _call(
            "syscall",
            ctypes.c_long(LANDLOCK_ADD_RULE),
            ctypes.c_int(ruleset),
            ctypes.c_int(1),
            rule,
            ctypes.c_uint32(0),
        )
    finally:
        os.close(parent)
