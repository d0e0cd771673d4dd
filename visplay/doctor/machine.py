"""The machine: torch and GPUs as the probe has found them, threads, open files, shared memory."""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visplay.doctor.findings import Finding, error, gib, ok, warning
from visplay.doctor.installation import INSTALL

_SHM = Path("/dev/shm")
_LEAST_SHM = 2**30
_LEAST_FILES = 4096
_LEAST_FREE = 0.9
_BFLOAT16 = [8, 0]  # compute capability from which on a GPU calculates in it


def examine_torch(facts: Mapping[str, Any]) -> list[Finding]:
    """`facts` is the probe's `torch`."""
    built = f"CUDA {facts['cuda']}, NCCL {facts['nccl']}" if facts["cuda"] else "no CUDA"
    found = [ok("torch", f"{facts['version']} with {built}")]
    if facts["torchvision"]:
        found.append(error("torch", f"torchvision does not fit: {facts['torchvision']}", f"install both: {INSTALL}"))
    return found


def examine_gpus(torch: Mapping[str, Any], gpus: Mapping[str, Any], visible: str | None) -> list[Finding]:
    """`visible` is CUDA_VISIBLE_DEVICES, None where it is not set."""
    if gpus["found"]:
        return [_gpu(number, one, _version(torch["driver"])) for number, one in enumerate(gpus["found"])]
    if visible in ("", "-1"):  # hidden on purpose; DeepSpeed's launcher names GPUs also where there are none
        return [ok("GPUs", f"none is seen, as CUDA_VISIBLE_DEVICES is {visible!r}")]
    if not torch["driver"]:
        return [ok("GPUs", "none: all runs on the CPU, which is for small models and for trying out")]
    if not torch["cuda"]:
        return [error("GPUs", f"driver {_version(torch['driver'])}, but a torch without CUDA", INSTALL)]
    why = gpus["said"][0] if gpus["said"] else "no reason is given"
    return [
        error(
            "GPUs",
            f"driver {_version(torch['driver'])}, but torch sees no GPU: {why}",
            f"update the driver to one for CUDA {torch['cuda']}; a container is started with --gpus all, "
            "a Slurm job with --gpus-per-node",
        )
    ]


def examine_toolkit(torch: Mapping[str, Any], offloads: bool) -> Finding:
    """The CUDA toolkit of a machine with GPUs; `offloads` says that the recipe's DeepSpeed file compiles with it."""
    if torch["nvcc"] in (None, torch["cuda"]):
        return ok("nvcc", f"{torch['nvcc'] or 'none; what DeepSpeed compiles it compiles without'}")
    judge = error if offloads else warning
    way_out = f"needed for DeepSpeed's offload: set CUDA_HOME to a toolkit of version {torch['cuda']}, or to nothing"
    return judge("nvcc", f"{torch['nvcc']}, and not the {torch['cuda']} of torch", way_out)


def examine_threads(environment: Mapping[str, str], cores: int, processes: int) -> Finding:
    """Of `processes` on this machine, which may use `cores`."""
    given = environment.get("OMP_NUM_THREADS")
    threads = int(given) if given and given.isdecimal() else 1
    found = f"OMP_NUM_THREADS {given or 'is set to 1 by the tools'}; processes here {processes}, cores {cores}"
    if threads * processes > cores:
        return warning("threads", found, "they wait for each other: set OMP_NUM_THREADS=1, or start fewer processes")
    return ok("threads", found)


def examine_limits() -> list[Finding]:
    """Of this process and machine."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = shutil.disk_usage(_SHM).total if _SHM.is_dir() else 0
    return [judge_files(files), judge_shared_memory(memory)]


def judge_files(limit: int) -> Finding:
    """`limit` is what `ulimit -n` says; -1 is none."""
    if 0 <= limit < _LEAST_FILES:
        return warning("open files", f"at most {limit}", "raise it before the start: ulimit -n 65536")
    return ok("open files", f"at most {limit}" if limit >= 0 else "no limit")


def judge_shared_memory(size: int) -> Finding:
    found = f"{_SHM} has {gib(size)}"
    if size < _LEAST_SHM:
        way_out = "NCCL needs it between the GPUs of a machine; start a container with --ipc=host or --shm-size=16g"
        return warning("memory", found, way_out)
    return ok("memory", found)


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu(number: int, facts: Mapping[str, Any], driver: str) -> Finding:
    capability = ".".join(map(str, facts["capability"]))
    named = f"{number}: {facts['name']}, {gib(facts['total'])}, compute capability {capability}, driver {driver}"
    if facts["failed"]:
        way_out = f"the installed torch has no code for it, or it is faulty; {INSTALL}, or leave it out of the run"
        return error("GPUs", f"{named}: {facts['failed']}", way_out)
    if facts["free"] < _LEAST_FREE * facts["total"]:
        way_out = "others use it; `nvidia-smi` names them. Choose other GPUs by CUDA_VISIBLE_DEVICES"
        return warning("GPUs", f"{named}: only {gib(facts['free'])} are free", way_out)
    if facts["capability"] < _BFLOAT16:
        return warning("GPUs", f"{named}: no bfloat16 of its own", "it will be slow; 8.0 (Ampere) or newer is meant")
    return ok("GPUs", named)


def _version(driver: str | None) -> str:
    """The number in the kernel's line about the driver."""
    match = re.search(r"\d+\.\d+(\.\d+)?", driver or "")
    return match.group() if match else "unknown"
