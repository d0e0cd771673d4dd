"""Run a command in this process's own group for as long as the process that wanted it lives; then end the whole group.

    python guard.py PARENT_PID COMMAND...

Run by its path, over the standard library alone. Its caller starts it in a new session, so that the group holds the
command, all that it starts, and nothing else; a caller that is killed cannot end its servers itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

_LOOKS_EVERY_S = 0.2
_GRACE_S = 10.0


def guard(parent: int, command: list[str]) -> None:
    """Never returns: the group that is killed is its own."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # outlives the command; a handler, since children inherit SIG_IGN
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while started.poll() is None and os.getppid() == parent:
        time.sleep(_LOOKS_EVERY_S)
    if started.returncode is None:
        os.killpg(0, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while started.poll() is None and time.monotonic() < deadline:
            time.sleep(_LOOKS_EVERY_S)
    print(f"the command ended with status {started.poll()}", flush=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    guard(int(sys.argv[1]), sys.argv[2:])
