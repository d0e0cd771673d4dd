"""A clean stop: SIGTERM and Ctrl-C become one exception that says how to go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """SIGTERM or Ctrl-C arrived; not an Exception, so that no library takes it for an error of its own.

    `stage` names the stage that was running, None between stages. `exit_code` is what the shell expects.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum
        self.stage: str | None = None

    def __str__(self) -> str:
        return f"stopped{f' in {self.stage}' if self.stage else ''}; run the same command to go on"


class StageMade(Exception):
    """This process has made the stages that it was to make."""


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within, the first SIGTERM or SIGINT raises Stopped in the main thread; a second one kills the process at once."""
    owner = os.getpid()

    def stop(signum: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if os.getpid() != owner:  # a forked child inherits the handler, and has nothing to wind up
            os.kill(os.getpid(), signum)
        raise Stopped(signum)

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
