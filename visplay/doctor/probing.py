"""Start the probe in processes of their own, hear what they find, and end them at the deadline. No torch here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import visplay
from visplay.endpoint import free_port

ROOT = Path(visplay.__file__).parents[1]
_FRAMES = ("frame #", "Exception raised from", "<omitting")


@dataclass(frozen=True)
class Heard:
    """The facts of one probe by name; `failed` says why there are no more, None where it came to its end."""

    facts: dict[str, Any]
    failed: str | None = None


def look(folder: Path, name: str, deadline_s: float) -> Heard:
    return _heard([["look", str(folder), name]], [os.environ], None, deadline_s)[0]


def meet_launched(folder: Path, name: str, told: Any, deadline_s: float) -> Heard:
    """This process's place among those of its launcher; `told` is for all of them."""
    return _heard([["meet", str(folder), name, str(deadline_s)]], [os.environ], told, deadline_s)[0]


def meet_here(folder: Path, name: str, count: int, deadline_s: float) -> Heard:
    """What the first of `count` processes on this machine finds, or why another failed."""
    port = free_port()
    places = [_place(rank, count, port) for rank in range(count)]
    commands = [["meet", str(folder), f"{name}-{rank}", str(deadline_s)] for rank in range(count)]
    heard = _heard(commands, places, None, deadline_s)
    failed = next((f"process {rank}: {one.failed}" for rank, one in enumerate(heard) if one.failed), None)
    return Heard(heard[0].facts, failed)


def _heard(
    commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]], told: Any, deadline_s: float
) -> list[Heard]:
    until = time.monotonic() + deadline_s
    started: list[_Probe] = []
    with TemporaryDirectory() as scratch:
        try:
            for number, (command, environment) in enumerate(zip(commands, environments, strict=True)):
                started.append(_Probe(command, environment, told, Path(scratch) / str(number)))
            return [probe.hear(until, deadline_s) for probe in started]
        finally:
            for probe in started:
                probe.end()


class _Probe:
    """One process and all that it starts."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], told: Any, scratch: Path) -> None:
        self._said, self._complained = scratch.with_suffix(".out"), scratch.with_suffix(".err")
        given = scratch.with_suffix(".in")
        given.write_text(json.dumps(told), encoding="utf-8")
        path = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
        with open(given) as heard, open(self._said, "w") as said, open(self._complained, "w") as complained:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "visplay.engine.probe", *command],
                stdin=heard,
                stdout=said,
                stderr=complained,
                env={**environment, "PYTHONPATH": path},
                start_new_session=True,
            )

    def hear(self, until: float, deadline_s: float) -> Heard:
        try:
            status: int | None = self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            status = None
        facts: dict[str, Any] = {}
        for line in _lines(self._said):
            with suppress(ValueError):  # a library may print too
                facts |= json.loads(line)
        failed = facts.pop("failed", None)
        if status is None:
            return Heard(facts, f"no answer within {deadline_s:g} seconds")
        return Heard(facts, failed or (self._last_words(status) if status else None))

    def end(self) -> None:
        """Kills; does not wait, since what hangs in a file system cannot be killed."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)

    def _last_words(self, status: int) -> str:
        lines = [line for line in _lines(self._complained) if line.strip() and not line.startswith(_FRAMES)]
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"ended with {how}: {lines[-1] if lines else 'no word'}"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _place(rank: int, count: int, port: int) -> dict[str, str]:
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    return {**os.environ, **{name: str(value) for name, value in own.items()}, "MASTER_ADDR": "127.0.0.1"}
