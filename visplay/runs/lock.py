"""A lock file that says who holds it: one live process per run directory."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from visplay.runs.results import RunError

_held: set[int] = set()


def hold(path: Path) -> int | None:
    """Take the lock, to be given back with `let_go`, or by the end of the process; RunError while another holds it.

    None where the parent of this process holds it, for this one.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 1000).decode() or "another process"
        os.close(lock)
        if holder == _name(os.getppid()):
            return None
        raise RunError(f"{path.parent} is in use by {holder}; stop that one or choose another directory") from None
    except OSError as error:
        os.close(lock)
        raise RunError(
            f"{path} cannot be locked ({error.strerror}); use a file system with locks (for Lustre, mount option flock)"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, _name(os.getpid()).encode())
    _held.add(lock)
    return lock


def let_go(lock: int | None) -> None:
    """Give a lock back; a second time does nothing, and so does None."""
    if lock is not None and lock in _held:
        _held.remove(lock)
        os.close(lock)


def _name(process: int) -> str:
    return f"process {process} on {socket.gethostname()}"


def _let_go_of_all() -> None:
    while _held:
        os.close(_held.pop())


# A forked child shares the lock: it would keep the run locked after its parent was killed.
os.register_at_fork(after_in_child=_let_go_of_all)
