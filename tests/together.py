"""Several real processes that meet as those of a launcher do, and do the same."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["visplay.evolve"])


def together(work: Callable[..., Any], *arguments: Any, count: int = 2) -> list[Any]:
    """What `work(*arguments)` gives in each of `count` processes; an exception where it raises, None where it dies."""
    port = free_port()
    started = []
    for rank in range(count):
        ours, theirs = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_one, args=(theirs, rank, count, port, work, arguments))
        process.start()
        theirs.close()
        started.append((process, ours))
    found = [_answer(ours) for _, ours in started]
    for process, _ in started:
        process.join()
    return found


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _answer(ours: Connection) -> Any:
    try:
        return ours.recv()
    except EOFError:
        return None


def _one(
    theirs: Connection, rank: int, count: int, port: int, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        theirs.send(work(*arguments))
    except Exception as error:
        theirs.send(error)
        sys.exit(1)
