"""One training, one process group: what it took of a GPU is back with the system when its processes have ended.

The process that a user or a launcher starts makes no stage itself. It holds the run directory and starts the same
command again, for a training (or drift), or for the stages up to the next one, which often want the same model and find
it loaded; when that has ended, once more, until the loop has come to its end. Of several that a launcher started, each
starts one process of every group; all groups meet at the launcher's address.

Only for GPUs: without any, the loop runs in the process that was started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import torch
from torch.distributed import TCPStore

from visplay.engine.processes import end_with_parent
from visplay.errors import VisplayError
from visplay.runs import Stopped, lock
from visplay.runs.results import make_folder

NEXT = 75  # exit status of a process that has made its stages, when there may be more to do


def is_needed() -> bool:
    """Whether there are GPUs; they are counted without taking memory of one."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    return torch.cuda.is_available()


def stage_by_stage(directory: Path, command: Sequence[str]) -> int:
    """Exit status of the loop in `directory`; `command` and `--turn N` make its next stages and end with NEXT.

    Raises RunError where another process holds the directory, and VisplayError where a stage's process was killed.
    """
    rank = int(os.environ.get("RANK", "0"))
    if "RANK" in os.environ:
        end_with_parent()
    make_folder(directory)
    held = lock.hold(directory / "lock") if rank == 0 else None
    place = _meeting_place() if rank == 0 else None  # it is there as long as this name is
    try:
        turns = ([*command, "--turn", str(turn)] for turn in count(1))
        return next(status for turn in turns if (status := _ended(turn, directory)) != NEXT)
    finally:
        del place
        lock.let_go(held)


def _ended(command: Sequence[str], directory: Path) -> int:
    """Exit status of a process that is started and waited for; it is told of a signal that this one gets."""
    child = subprocess.Popen(command, process_group=0)  # else Ctrl-C in a terminal would reach it twice
    try:
        status = child.wait()
    except Stopped as stop:
        child.send_signal(stop.exit_code - 128)
        stop.stage = "the stage that is named above" if child.wait() == stop.exit_code else None
        raise
    if status < 0:
        raise VisplayError(_last_words(directory, signal.Signals(-status).name))
    return status


def _last_words(directory: Path, name: str) -> str:
    """Of a process that could say nothing itself: which one, where, and in which stage."""
    at = ", ".join(path.name for path in sorted(directory.glob("partial/iter_*")) if path.is_dir()) or "between stages"
    place = f"process {os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')} on {socket.gethostname()}"
    why = "; often the machine's memory was short" if name == "SIGKILL" else ""
    return f"{place} was ended by {name} ({at}){why}; run the same command to go on"


def _meeting_place() -> TCPStore | None:
    """Where the processes of all groups find each other; torchrun has one already, and one process needs none."""
    if "RANK" not in os.environ or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return None
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=True, wait_for_workers=False)
