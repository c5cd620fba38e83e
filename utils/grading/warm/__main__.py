"""`python -m utils.grading.warm`: starts a warm kernel that stays, and prints how to use it. Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import sys

from utils.grading import warm


def main() -> int:
    try:
        server = warm.start()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    with server, contextlib.suppress(KeyboardInterrupt):
        print("In another terminal:\n")
        for name, value in server.environment().items():
            print(f"export {name}={value}")
        print(
            f"\npytest --nbval-lax --nbval-kernel-name {warm.KERNEL} SUBMISSIONS\n\nCtrl-C ends it.",
            flush=True,
        )
        assert server.process is not None
        server.process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
