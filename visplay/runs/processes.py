"""The processes that share a run: process 0 alone touches its directory, and all agree on what comes next.

One process needs nothing of this; `visplay.engine.processes` connects several.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from visplay.errors import VisplayError
from visplay.runs.results import RunError

T = TypeVar("T")

_SIGHT_S = 60.0  # a network file system may show a new file that much later on other nodes


class Processes(Protocol):
    """`count` processes, of which this is number `rank`, from 0. All of them must make the same calls, in order."""

    @property
    def rank(self) -> int: ...

    @property
    def count(self) -> int: ...

    def broadcast(self, value: T) -> T:
        """The value of process 0, for all."""
        ...

    def gather(self, value: T) -> list[T]:
        """The values of all processes by rank, for all; nobody goes on before everybody has come here."""
        ...


class Alone:
    """The one process of a run."""

    rank, count = 0, 1

    def broadcast(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T]:
        return [value]


ALONE = Alone()


class EndedElsewhere(VisplayError):
    """Process 0 has come to an error, and says itself which."""


def lead(processes: Processes, act: Callable[[], T]) -> T:
    """What `act` gives in process 0, for all. Where it raises, no process goes on: the others raise EndedElsewhere."""
    if processes.count == 1:
        return act()
    done: tuple[bool, T | None] = (False, None)
    try:
        if processes.rank == 0:
            done = (True, act())
    except Exception:
        processes.broadcast(done)
        raise
    succeeded, value = processes.broadcast(done)
    if not succeeded:
        raise EndedElsewhere("process 0 has stopped, and says why")
    return value  # type: ignore[return-value]


def agree(processes: Processes, what: str, value: str) -> None:
    """Raise RunError, naming the processes, unless all of them have the same value."""
    values = processes.gather(value)
    others = [rank for rank, other in enumerate(values) if other != values[0]]
    if others:
        raise RunError(
            f"{what} is {values[others[0]]} in process {others[0]}, but {values[0]} in process 0 "
            f"({len(others)} of {len(values)} processes differ); give all nodes the same files and command"
        )


def await_sight(path: Path) -> None:
    """Wait until a file that process 0 has written can be seen here; RunError where it does not come."""
    deadline = time.monotonic() + _SIGHT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise RunError(
                f"{path}, which process 0 has written, is not to be seen on {socket.gethostname()}; "
                f"put --out on a file system that all nodes share"
            )
        time.sleep(0.1)
