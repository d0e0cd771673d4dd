"""What the time of a stage goes into: seconds by part of the work, each second in one part only.

`with part("sample"):` around the work; within another part it takes its time out of that. A GPU works on after it was
called: its time falls into the part that waits for it, which in a training is most often the one that asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOAD, SAMPLE, REWARD, LOG_PROB, UPDATE, SAVE = "load", "sample", "reward", "log-prob", "update", "save"
OTHER = "other"

_spent: dict[str, float] = {}
_within: list[str] = []  # the parts that are open, the innermost last
_since = time.perf_counter()


@contextmanager
def part(name: str) -> Iterator[None]:
    """The time within, but for that of parts inside of it, belongs to this part. Also a decorator.

    Other threads than the first work for a part that this one is in.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _turn()
    _within.append(name)
    try:
        yield
    finally:
        _turn()
        _within.pop()


def begin() -> None:
    """Forget what was spent so far; a part that is open goes on."""
    _turn()
    _spent.clear()


def spent() -> dict[str, float]:
    """Seconds by part since `begin`, the largest first; what no part claims is "other"."""
    _turn()
    return dict(sorted(_spent.items(), key=lambda one: -one[1]))


def _turn() -> None:
    global _since
    now = time.perf_counter()
    name = _within[-1] if _within else OTHER
    _spent[name] = _spent.get(name, 0.0) + now - _since
    _since = now
