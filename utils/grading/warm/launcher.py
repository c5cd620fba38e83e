"""What Jupyter starts in place of a kernel: asks the warm server for one and stands for it as long as both live.

`launcher.py SOCKET CONNECTION_FILE`. It imports nothing but a little of the standard library, so it starts at once.
When it is killed, or its parent is, its socket closes, and that is what ends the kernel.
"""

import array
import json
import os
import select
import signal
import socket
import struct
import sys

LOOK = 0.5  # seconds between two looks at whether the parent is still there


def main() -> int:
    """Returns the kernel's exit status."""
    path, connection_file = sys.argv[1:3]
    parent = os.getppid()
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(path)
    except OSError:
        return _cold(connection_file)
    told, tell = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.write(tell, bytes([number])))
    text = {"file": connection_file, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109 - pathlib takes time to import
    payload = json.dumps(text).encode()
    streams = array.array("i", [0, 1, 2])
    server.sendmsg(
        [struct.pack("<I", len(payload))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams.tobytes())]
    )
    server.sendall(payload)
    for stream in (0, 1, 2):  # the kernel has them now; whoever reads them must see the end when it ends
        os.close(stream)
    watched: list[socket.socket | int] = [server, told]
    while True:
        ready, _, _ = select.select(watched, [], [], LOOK)
        if server in ready:
            try:
                status = server.recv(1)
            except OSError:
                status = b""
            return status[0] if status else 1
        if told in ready:
            asked = os.read(told, 1)[0]
            if asked == signal.SIGTERM:
                return 0
            server.sendall(bytes([asked]))
        if os.getppid() != parent:
            return 1


def _cold(connection_file: str) -> int:
    """No server answers: become an ordinary kernel, so that the notebook runs all the same."""
    os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", connection_file])
    return 1


if __name__ == "__main__":
    os._exit(main())
