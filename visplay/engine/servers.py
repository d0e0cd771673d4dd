"""The recipe's sampling engine on a checkpoint; for vllm, with servers that the recipe names or the run starts itself.

Own servers listen on free ports of the loopback, see the GPUs that `sampling.gpus` gives them, and write to vllm-N.log
in the run directory. Each is a process group of its own, which is killed when it is no longer needed, and by a guard
when the run itself is killed (visplay/engine/guard.py). One that dies is started again, once.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from visplay.endpoint import Endpoint, EndpointError, free_port
from visplay.engine import guard
from visplay.engine.export import whole
from visplay.engine.relayed import RelayedSampler
from visplay.engine.sampling import LocalSampler, Sampler, SharedSampler
from visplay.engine.served import ServedSampler, Servers, how_to_serve, served_name
from visplay.errors import VisplayError
from visplay.recipe import PoolSettings, SamplingSettings
from visplay.runs.processes import ALONE, Processes, lead

_LOOKS_EVERY_S = 0.2
_LISTENS_S = 5.0
_GRACE_S = 10.0
_SHOWN_LINES = 15
# What the launchers of training, and our own environment, must not tell another one.
_NOT_INHERITED = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE"),
    *("GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OMP_NUM_THREADS"),
)


log = logging.getLogger(__name__)


class ServerError(VisplayError, RuntimeError):
    """A server that could not be started, or that died too often; the message has its last words."""


@contextmanager
def open_sampler(
    model: str | Path,
    pool: PoolSettings,
    settings: SamplingSettings,
    folder: Path,
    processes: Processes = ALONE,
    shared: bool = False,
) -> Iterator[Sampler]:
    """A sampler of the recipe's engine on a checkpoint, and its servers for as long; their logs go to `folder`.

    With `shared` it has no model of its own in this process, but needs to be lent one.

    Of several processes, each has a model of its own, or process 0 alone starts and asks the servers, for all. Raises
    ServerError, and EndpointError for servers that are not fit to be asked.
    """
    if settings.engine == "transformers":
        yield (SharedSampler if shared else LocalSampler)(model, pool, settings, processes)
        return
    with ExitStack() as opened:

        def open_here() -> None:
            found.append(opened.enter_context(_served(model, pool, settings, folder)))

        found: list[Sampler] = []
        lead(processes, open_here)
        yield found[0] if processes.count == 1 else RelayedSampler(found[0] if found else None, processes)


@contextmanager
def _served(model: str | Path, pool: PoolSettings, settings: SamplingSettings, folder: Path) -> Iterator[Sampler]:
    if settings.servers:
        yield ServedSampler(model, pool, settings, Servers(_named(model, settings), time.sleep))
        return
    with whole(model, folder) as merged:
        own = _OwnServers(merged, settings, folder)
        try:
            own.start()
            yield ServedSampler(merged, pool, settings, Servers(own.endpoints, own.pause))
        finally:
            own.end()


def _named(model: str | Path, settings: SamplingSettings) -> list[Endpoint]:
    """Those of the recipe's servers that serve the model; raises EndpointError when none does."""
    name = served_name(model)
    serving, others = [], []
    for url in settings.servers:
        endpoint = Endpoint(url, name, timeout_s=settings.timeout_s)
        try:
            found = endpoint.models()
        except EndpointError as error:
            others.append(str(error))
        else:
            serving += [endpoint] if name in found else []
            others += [] if name in found else [f"{url} serves {', '.join(found) or 'nothing'}"]
    if not serving:
        raise EndpointError(
            f"no server of sampling.servers has this stage's model ({'; '.join(others)}); start one there and run the "
            f"same command again:\n  {how_to_serve(model)}"
        )
    return serving


class _OwnServers:
    """Servers of one model, from `start` to `end`; `endpoints` changes in place when one is started again."""

    def __init__(self, model: str | Path, settings: SamplingSettings, folder: Path) -> None:
        self._name = served_name(model)
        self._settings = settings
        self._over = threading.Event()
        self._turn = threading.Lock()
        command = [*shlex.split(settings.command or ""), str(model)]
        if shutil.which(command[0]) is None:
            raise ServerError(f"sampling.command: {command[0]} is no program here; give the path of your vllm")
        self._servers = [
            _Server([*command, "--served-model-name", self._name], gpus, folder / f"vllm-{number}.log")
            for number, gpus in enumerate(settings.gpus or [None])
        ]
        self.endpoints: list[Endpoint] = []

    def start(self) -> None:
        """Returns when all are up."""
        for server in self._servers:
            server.start()
        self.endpoints[:] = [self._endpoint(server) for server in self._servers]
        with self._turn:
            for number in range(len(self._servers)):
                self._bring_up(number)

    def pause(self, seconds: float) -> None:
        """Wait, then see that all are up. Raises ServerError when one has died again, or at the end."""
        self._over.wait(seconds)
        with self._turn:
            for number, server in enumerate(self._servers):
                if server.died():
                    self._bring_up(number)

    def end(self) -> None:
        """Kill what runs; nothing is started after this."""
        self._over.set()
        with self._turn:
            for server in self._servers:
                server.signal(signal.SIGTERM)
            for server in self._servers:
                server.end()

    def _bring_up(self, number: int) -> None:
        server, deadline = self._servers[number], time.monotonic() + self._settings.start_timeout_s
        while not self._answers(self.endpoints[number]):
            if self._over.is_set():
                raise ServerError("the servers are no longer needed")
            if server.died():
                server.start_again()
                self.endpoints[number] = self._endpoint(server)
                deadline = time.monotonic() + self._settings.start_timeout_s
            if time.monotonic() > deadline:
                limit = f"sampling.start_timeout_s = {self._settings.start_timeout_s:g}"
                raise ServerError(f"a server did not come up within {limit} seconds; {server.last_words()}")
            self._over.wait(_LOOKS_EVERY_S)

    def _answers(self, endpoint: Endpoint) -> bool:
        with suppress(EndpointError):
            return self._name in replace(endpoint, timeout_s=_LISTENS_S).models()
        return False

    def _endpoint(self, server: _Server) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{server.port}/v1", self._name, timeout_s=self._settings.timeout_s)


class _Server:
    """One process group that serves, started at most twice."""

    def __init__(self, command: Sequence[str], gpus: str | None, log: Path) -> None:
        self._command, self._gpus, self._log = command, gpus, log
        self._started: list[subprocess.Popen[bytes]] = []
        self.port = 0

    def start(self) -> None:
        self.port = free_port()
        command = [*self._command, "--host", "127.0.0.1", "--port", str(self.port)]
        with open(self._log, "ab") as said:
            said.write(f"$ {shlex.join(command)}\n".encode())
            said.flush()
            guarded = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *command]
            nothing, own = subprocess.DEVNULL, self._environment()
            self._started.append(
                subprocess.Popen(guarded, stdin=nothing, stdout=said, stderr=said, env=own, start_new_session=True)
            )

    def died(self) -> bool:
        return self._started[-1].poll() is not None

    def start_again(self) -> None:
        """Raises ServerError when it was started again before."""
        if len(self._started) > 1:
            raise ServerError(f"a server died twice; {self.last_words()}")
        log.warning("a server died and is started again; see %s", self._log)
        self.signal(signal.SIGKILL)  # what its guard, if that was killed, has left
        self.start()

    def signal(self, signum: int) -> None:
        if self._started:
            with suppress(ProcessLookupError):
                os.killpg(self._started[-1].pid, signum)

    def end(self) -> None:
        """Returns when nothing of the group is left; what does not go at SIGTERM is killed."""
        if not self._started:
            return
        deadline = time.monotonic() + _GRACE_S
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                self._started[-1].poll()  # else its remains would count as alive
                os.killpg(self._started[-1].pid, 0)
                time.sleep(_LOOKS_EVERY_S)
        self.signal(signal.SIGKILL)
        self._started[-1].wait()

    def last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n  ".join([f"the end of {self._log}:", *lines])

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _NOT_INHERITED and not name.startswith("TORCHELASTIC_")
        }
        return kept if self._gpus is None else kept | {"CUDA_VISIBLE_DEVICES": self._gpus}
