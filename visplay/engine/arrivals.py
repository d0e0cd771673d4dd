"""Do many things that mostly wait, on threads, and take each result as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def as_they_come(work: Callable[[int, int], T], count: int, workers: int) -> Generator[tuple[int, T], None, None]:
    """(i, work(i, number of the worker)) for i below `count`, as they are done; raises what `work` raises.

    The threads are daemons: a server that never answers must not hold up the end of the process.
    """
    todo: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, Future[T]]] = SimpleQueue()
    over = threading.Event()
    for i in range(count):
        todo.put(i)

    def run(worker: int) -> None:
        while not over.is_set():
            try:
                i = todo.get_nowait()
            except Empty:
                return
            result: Future[T] = Future()
            try:
                result.set_result(work(i, worker))
            except BaseException as error:  # goes on in the thread that waits
                result.set_exception(error)
            done.put((i, result))

    for worker in range(min(workers, count)):
        threading.Thread(target=run, args=(worker,), daemon=True).start()
    try:
        for _ in range(count):
            i, result = done.get()
            yield i, result.result()
    finally:
        over.set()
