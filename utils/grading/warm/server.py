"""The process from which warm kernels are forked. It runs no torch operation and has one thread, and checks both.

A kernel ends when its client does: the client's launcher holds a socket, which the operating system closes however the launcher
ends. Then the kernel is killed with its process group, and what it left behind (children that changed their session) is found
and killed too, because this process is their reaper. If this process is killed, so are the kernels.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.grading import forking, kernel
from utils.grading.warm import child

LINUX = sys.platform == "linux"


@dataclass
class Client:
    """A launcher, and the kernel that was forked for it (0: none yet)."""

    link: socket.socket
    pid: int = 0


class Server:
    """Forks a kernel per client and ends it with its client.

    Args:
        listener: where launchers connect.
        owner: descriptor that is at its end when whoever started this server is gone.
    """

    def __init__(self, listener: socket.socket, owner: int) -> None:
        self.listener, self.owner = listener, owner
        self.clients: dict[int, Client] = {}  # by descriptor
        self.chooser = selectors.DefaultSelector()
        self.died, self.tell = os.pipe()
        for descriptor in (self.died, self.tell):
            os.set_blocking(descriptor, False)

    def serve(self) -> None:
        """Runs until the owner is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.tell, warn_on_full_buffer=False)
        for thing in (self.listener, self.died, self.owner):
            self.chooser.register(thing, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self.chooser.select():
                    if key.fileobj is self.listener:
                        self._meet()
                    elif key.fileobj == self.died:
                        os.read(self.died, 4096)
                        self._bury()
                    elif key.fileobj == self.owner:
                        if not os.read(self.owner, 1):
                            return
                    elif key.fd in self.clients:
                        self._hear(self.clients[key.fd])
        finally:
            for client in list(self.clients.values()):
                self._end(client)

    def _meet(self) -> None:
        link, _ = self.listener.accept()
        self.clients[link.fileno()] = Client(link)
        self.chooser.register(link, selectors.EVENT_READ)

    def _hear(self, client: Client) -> None:
        """A request for a kernel, a signal to pass on, or the client's end."""
        try:
            if client.pid == 0:
                asked = _receive(client.link)
                if asked is not None:
                    return self._fork(client, *asked)
            elif data := client.link.recv(16):
                for number in data:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(client.pid, number)
                return None
        except (OSError, ValueError):
            pass
        return self._end(client)

    def _fork(self, client: Client, request: dict[str, Any], streams: list[int]) -> None:
        forking.assert_safe()
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self.chooser.close()
                for other in self.clients.values():
                    other.link.close()
                self.listener.close()
                for descriptor in (self.died, self.tell):
                    os.close(descriptor)
                child.become_kernel(request, streams, server)
            finally:
                os._exit(1)
        client.pid = pid
        for stream in streams:
            os.close(stream)

    def _bury(self) -> None:
        """Reaps every process that has ended, and tells the clients of those that were kernels."""
        by_pid = {client.pid: client for client in self.clients.values() if client.pid}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if client := by_pid.get(pid):
                client.pid = -1
                with contextlib.suppress(OSError):
                    client.link.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
                self._end(client)
                self._sweep(pid)

    def _end(self, client: Client) -> None:
        """Forgets a client and kills its kernel."""
        self.clients.pop(client.link.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self.chooser.unregister(client.link)
        client.link.close()
        if client.pid > 0:
            for kill in (os.killpg, os.kill):  # the group; and the kernel, should it have left it
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(client.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(client.pid, 0)
            self._sweep(client.pid)

    def _sweep(self, session: int) -> None:
        """Kills what a kernel left behind: those of its session, and, where no kernel lives any more, every child of this process."""
        if not LINUX:
            return
        kernels = {client.pid for client in self.clients.values()}
        for _ in range(50):
            left = [pid for pid, its in _children() if pid not in kernels and (its == session or not kernels)]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            time.sleep(0.001)


def _children() -> list[tuple[int, int]]:
    """(pid, session) of this process's children."""
    me, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == me:
                    found.append((int(entry.name), int(fields[3])))
    return found


def _receive(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A launcher's request and its three standard streams; None if it is gone."""
    link.settimeout(5.0)
    head, ancillary, _, _ = link.recvmsg(4, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            streams.frombytes(data[: len(data) - len(data) % streams.itemsize])
    if len(head) < 4:
        return None
    left, parts = struct.unpack("<I", head)[0], []
    while left and (part := link.recv(left)):
        parts.append(part)
        left -= len(part)
    link.settimeout(None)
    return None if left else (json.loads(b"".join(parts)), list(streams))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m utils.grading.warm.server")
    parser.add_argument("folder", type=Path, help="with the socket; removed at the end")
    parser.add_argument("listener", type=int, help="descriptor of the listening socket")
    options = parser.parse_args()
    listener = socket.socket(fileno=options.listener)
    listener.set_inheritable(False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        if LINUX:
            kernel.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans of a kernel become ours
        child.import_what_notebooks_import()
        forking.prepare()
        Server(listener, 0).serve()
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
