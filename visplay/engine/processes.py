"""Connect the processes that a launcher has started: `python`, `torchrun`, `deepspeed` and `srun torchrun` alike.

The launcher says who is who (RANK, WORLD_SIZE, LOCAL_RANK) and where to meet (MASTER_ADDR, MASTER_PORT). TRL and
DeepSpeed find the group that is made here. It serves some stages (`visplay.engine.launch`), or all where there are no
GPUs, and ends with its launcher.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import psutil
import torch
import torch.distributed as dist

from visplay.engine import models
from visplay.errors import VisplayError
from visplay.recipe import Recipe
from visplay.runs import StageMade
from visplay.runs.processes import ALONE, Processes

T = TypeVar("T")

_DEADLINE_S = 1800  # TRL's and torch's own default
_AS_LONG_AS_IT_TAKES = timedelta(days=30)  # to wait for process 0; that it has ended is noticed at once
_PR_SET_PDEATHSIG = 1  # prctl(2)
_DEEPSPEED = "deepspeed.launcher.launch"
_LOOKS_EVERY_S = 1.0


class LostError(VisplayError):
    """The other processes have ended, or did not come where all should meet within the deadline."""


@contextmanager
def connected(recipe: Recipe, turn: int | None = None) -> Iterator[Processes]:
    """The processes of this run, until all have come to the end; ALONE where there is no launcher.

    `turn` is the number of their group, from 1, where each training has one. `grpo.ddp_timeout` is the deadline for a
    process that does not come where all work; what process 0 does alone may take its time. Raises LostError past the
    deadline, and when one has ended.
    """
    if "RANK" in os.environ or turn:
        end_with_parent()
    # One process that sees several GPUs would be taken for torch's DataParallel, which TRL refuses.
    if "RANK" not in os.environ and not recipe.grpo.get("deepspeed") and torch.cuda.device_count() < 2:
        yield ALONE
        return
    deadline_s = int(recipe.grpo.get("ddp_timeout", _DEADLINE_S))
    _meet(deadline_s, turn)
    found, made = Connected(deadline_s), None
    try:
        yield found
    except StageMade as error:
        made = error
    found.gather(None)
    dist.destroy_process_group()  # not after an error: others may still wait in it, and learn of the end by the loss
    if made:
        raise made


class Connected:
    """Several processes, over torch.distributed."""

    def __init__(self, deadline_s: int) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self._deadline_s = deadline_s
        # What is said between stages needs no GPU.
        self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=deadline_s))
        self._patient = dist.new_group(backend="gloo", timeout=_AS_LONG_AS_IT_TAKES)

    def broadcast(self, value: T) -> T:
        box = [value]
        with self._deadline():
            dist.broadcast_object_list(box, src=0, group=self._patient)
        return box[0]

    def gather(self, value: T) -> list[T]:
        values: list[T] = [value] * self.count
        with self._deadline():
            dist.all_gather_object(values, value, group=self._group)
        return values

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise LostError(
                f"process {self.rank} of {self.count} on {socket.gethostname()} has lost the others: one of them has "
                f"ended, and says why, or did not come within grpo.ddp_timeout = {self._deadline_s} seconds "
                f"({str(error).splitlines()[0]}); run the same command to go on"
            ) from error


def _meet(deadline_s: int, turn: int | None) -> None:
    timeout = timedelta(seconds=deadline_s)
    if torch.cuda.is_available():
        torch.cuda.set_device(models.own_device())
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if "RANK" in os.environ:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        place = {"store": _place(turn), "rank": rank, "world_size": count} if turn else {}
        dist.init_process_group(backend, timeout=timeout, **place)
        return
    # One process without a launcher: it meets nobody, so it needs no port.
    os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=timeout)


def _place(turn: int) -> dist.Store:
    """Where the processes of one group meet, apart from those of the groups before."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun's store outlives one
    return dist.PrefixStore(f"visplay/{attempt}/{turn}", dist.TCPStore(address, port, is_master=False))


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent, as the launcher, has ended, however: none is left behind.

    Not by SIGTERM, which is not heard by a process that waits for others; a launcher that ends in order waits for its
    processes, so that this comes only where it was killed.
    """
    if sys.platform != "linux" or os.getppid() == 0:  # the first process of a container has no parent
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    launcher = psutil.Process(os.getppid())
    if _DEEPSPEED in launcher.cmdline():
        threading.Thread(target=_tell_of_the_end, args=(launcher, launcher.ppid()), daemon=True).start()


def _tell_of_the_end(launcher: psutil.Process, deepspeed: int) -> None:
    """The command `deepspeed` starts our launcher, and ends at SIGTERM without a word to it: stop it in order, then."""
    while launcher.ppid() == deepspeed:
        time.sleep(_LOOKS_EVERY_S)
    launcher.terminate()
