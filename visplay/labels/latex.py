"""Are two LaTeX answers the same mathematics? Graded by math-verify in a process that can be killed.

Completions are hostile text: algebra on a few characters can take for ever or eat the memory, and math-verify's own
timers cannot stop it everywhere. So one worker process per training process does the algebra. The kernel ends it when
a comparison passes its limit of processor time, whatever it is doing and even if this process is gone; the next
comparison starts another. Processor time, not time on the wall: a busy machine must not change a label.

Run as a script, this file is the worker. It does not import the project: nothing heavy is loaded with it, and nothing
is forked from a process that may hold a GPU.
"""

from __future__ import annotations

import atexit
import functools
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from typing import Any

LIMIT_S = 2.0  # processor seconds for one comparison
_MEMORY_BYTES = 4 << 30
_WALL_FACTOR = 20  # a worker that waits instead of computing is ended as well, after this many limits
_SETTLED = ("true", "false")

_log = logging.getLogger(__name__)


def equivalent(a: str, b: str, timeout_s: float = LIMIT_S) -> bool | None:
    """Whether two formulas are equal, in either order; None when it could not be found out within `timeout_s`.

    What does not parse as one formula is equal to nothing. `timeout_s` is processor time of the comparison itself.
    Raises RuntimeError when the worker cannot be started at all.
    """
    return _graded(min(a, b), max(a, b), timeout_s)


@functools.lru_cache(maxsize=1 << 16)
def _graded(a: str, b: str, timeout_s: float) -> bool | None:
    return _grader.equivalent(a, b, timeout_s)


class Grader:
    """One worker process: started at the first comparison, replaced after one that it did not survive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is no worker."""
        return self._worker.pid if self._worker else None

    def equivalent(self, a: str, b: str, timeout_s: float) -> bool | None:
        """See the function of the same name."""
        with self._lock:
            if self._worker is None or self._worker.poll() is not None:
                self._worker = _started()
            reply = ""
            try:
                reply = _asked(self._worker, json.dumps([a, b, timeout_s]))
            finally:  # also when interrupted: a reply that nobody read would answer the next comparison
                if not reply:
                    self._end()
        if not reply:
            _log.warning("no verdict within %g s on %.80r and %.80r", timeout_s, a, b)
        return reply == "true" if reply in _SETTLED else None

    def close(self) -> None:
        """End the worker, if there is one; a later comparison would start another."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """Drop the worker without ending it: in a forked child it belongs to the parent."""
        self._lock, self._worker = threading.Lock(), None

    def _end(self) -> None:
        if self._worker:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None


def _started() -> subprocess.Popen[str]:
    """A worker that has imported what it needs, so that no comparison pays for it."""
    command = [sys.executable, "-P", __file__]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if _asked(worker, "") != "ready":
        worker.kill()
        raise RuntimeError(
            f"the LaTeX grader {command} did not start; its own error is above. Is math-verify installed?"
        )
    return worker


def _asked(worker: subprocess.Popen[str], line: str) -> str:
    """The worker's next line; "" when it died before it could write one."""
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return ""
    return worker.stdout.readline().strip()


def _serve() -> None:
    """The worker: one request a line, one reply a line (true, false or null), until the requests end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the end of stdin ends the worker
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to stdout, which would garble the replies
    logging.disable(logging.CRITICAL)
    _equal(r"\sqrt{8}", r"2\sqrt{2}")  # import and build the tables before the clock runs
    for line in sys.stdin:
        reply: str = "ready"
        if line.strip():
            a, b, limit_s = json.loads(line)
            _arm(limit_s)
            reply = json.dumps(_equal(a, b))
            _arm(0)
        print(reply, file=replies, flush=True)


def _arm(limit_s: float) -> None:
    """Have the kernel end this process after so much processor time, or far more time on the wall; 0 disarms."""
    for timer, end, factor in (
        (signal.ITIMER_PROF, signal.SIGPROF, 1),
        (signal.ITIMER_REAL, signal.SIGALRM, _WALL_FACTOR),
    ):
        signal.signal(end, signal.SIG_DFL)
        signal.setitimer(timer, limit_s * factor)


def _equal(a: str, b: str) -> bool | None:
    # Not math_verify.parse: it searches the text for formulas, so that "\sqrt{4} is not 7" would be 2, and drops units.
    from latex2sympy2_extended import NormalizationConfig, latex2sympy
    from math_verify import verify

    config = NormalizationConfig(malformed_operators=True, boxed="none")
    try:
        first, second = (latex2sympy(text, is_real=True, normalization_config=config) for text in (a, b))
    except (MemoryError, RecursionError):
        return None
    except Exception:  # the parser's own error is a bare Exception
        return False
    try:
        return _same_equation(first, second) or all(  # verify takes 3 + 4 = 7 for 7 in one order only
            verify(gold, answer, timeout_seconds=None, raise_on_error=True)
            for gold, answer in ((first, second), (second, first))
        )
    except Exception:  # SymPy raises all kinds; none of them is a verdict
        return None


def _same_equation(one: Any, other: Any) -> bool:
    """Whether two equations are one times a number the other: y = 2x - 5 and 2x - y - 5 = 0."""
    from sympy import Eq, cancel

    if not (isinstance(one, Eq) and isinstance(other, Eq) and one.free_symbols == other.free_symbols):
        return False
    ratio = cancel((one.lhs - one.rhs) / (other.lhs - other.rhs))
    return bool(ratio.is_number and ratio.is_finite and ratio != 0)


_grader = Grader()
atexit.register(_grader.close)
os.register_at_fork(after_in_child=_grader.forget)

if __name__ == "__main__":
    _serve()
