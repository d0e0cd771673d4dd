"""What may hang or crash, for the doctor: in a process of its own, which can be given up.

    python -P -m visplay.engine.probe look FOLDER NAME               the folder, then torch and each GPU
    python -P -m visplay.engine.probe meet FOLDER NAME DEADLINE_S    the processes of a launcher; stdin: JSON for all

Each fact is a line of JSON, printed once it is known: what was found before a hang is not lost. What goes wrong is the
fact `failed`. Nothing is judged here.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from visplay.runs import lock
from visplay.runs.processes import Processes
from visplay.runs.results import RunError, sync, write_whole

_NUMBERS = 2**22  # 16 MiB of float32
_LOOKS_EVERY_S = 0.1
_DRIVER = Path("/proc/driver/nvidia/version")


def main(arguments: list[str]) -> int:
    """Exit status 1 where the work did not come to its end."""
    try:
        match arguments:
            case ["look", folder, name]:
                look(Path(folder), name)
            case ["meet", folder, name, deadline_s]:
                meet(Path(folder), name, float(deadline_s), json.load(sys.stdin))
    except Exception as error:
        cause = error.__cause__ or error
        _tell(failed=f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}")
        return 1
    return 0


def look(folder: Path, name: str) -> None:
    """Facts `folder`, `torch`, `gpus`."""
    _tell(folder={"free": shutil.disk_usage(folder).free, "refused": _refused(folder, name)})
    _tell(torch=_torch())
    _tell(gpus=_gpus())


def meet(folder: Path, name: str, deadline_s: float, told: Any) -> None:
    """Facts `reduced`, and `seen` with what every process has `told`, by rank.

    Connects as a run does, gives up after half of the deadline where a process does not come, and waits for a third of
    it for files that other processes have written: a network file system may show them late.
    """
    from visplay.engine.processes import connected
    from visplay.recipe import Recipe

    settings = Recipe(grpo={"ddp_timeout": max(1, int(deadline_s / 2))})
    with connected(settings) as processes:
        hosts = processes.gather(socket.gethostname())
        _tell(reduced={"hosts": hosts, **_reduced(processes)})
        seen = processes.gather({"host": hosts[processes.rank], **_seen(processes, folder, name, deadline_s / 3)})
        _tell(seen=seen, told=processes.gather(told))


def _refused(folder: Path, name: str) -> str | None:
    """What the file system would not do of all that a run asks of it."""
    place, scratch, act = folder / name, folder / f"{name}.tmp", "write, sync and rename"
    try:
        write_whole(place, "doctor\n", scratch)
        act = "lock"
        lock.let_go(lock.hold(place))
    except OSError as error:
        return f"{act}: {error.strerror}"
    finally:
        for path in (place, scratch):
            if path.exists():
                path.unlink()
    return None


def _torch() -> dict[str, Any]:
    torch = import_module("torch")
    nccl = ".".join(map(str, torch.cuda.nccl.version())) if torch.distributed.is_nccl_available() else None
    facts = {"version": torch.__version__, "cuda": torch.version.cuda, "nccl": nccl, "torchvision": None}
    facts["nvcc"] = _nvcc(import_module("torch.utils.cpp_extension").CUDA_HOME)
    facts["driver"] = _DRIVER.read_text(encoding="utf-8").splitlines()[0] if _DRIVER.exists() else None
    try:
        import_module("torchvision.ops")
    except (ImportError, RuntimeError, AttributeError) as error:
        facts["torchvision"] = str(error).splitlines()[0]
    return facts


def _nvcc(home: str | None) -> str | None:
    """The version, such as 13.2, of the compiler in the CUDA toolkit; None where there is none."""
    if home is None or not (compiler := Path(home) / "bin" / "nvcc").exists():
        return None
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"release (\d+\.\d+)", said)
    return found[1] if found else None


def _gpus() -> dict[str, Any]:
    torch = import_module("torch")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "said": [str(one.message).splitlines()[0] for one in said],
        "found": [_gpu(index) for index in range(count)],
    }


def _gpu(index: int) -> dict[str, Any]:
    """A product in bfloat16 shows that torch has code for this GPU, and that it calculates."""
    torch = import_module("torch")
    made = torch.cuda.get_device_properties(index)
    facts = {"name": made.name, "total": made.total_memory, "capability": [made.major, made.minor], "failed": None}
    try:
        free, _ = torch.cuda.mem_get_info(index)
        ones = torch.ones(64, 64, device=f"cuda:{index}", dtype=torch.bfloat16)
        product = float((ones @ ones).sum())
    except RuntimeError as error:
        return facts | {"free": 0, "failed": str(error).splitlines()[0]}
    return facts | {"free": free, "failed": None if product == 64**3 else f"64 x 64 x 64 gave {product}"}


def _reduced(processes: Processes) -> dict[str, Any]:
    """A sum over all, once to connect and once for the time; `right` where it is the sum of the ranks' numbers."""
    import torch
    import torch.distributed as dist

    from visplay.engine import models

    numbers = torch.full((_NUMBERS,), float(processes.rank + 1), device=models.own_device())
    dist.all_reduce(numbers)
    right = bool((numbers == processes.count * (processes.count + 1) / 2).all())
    started = time.perf_counter()
    dist.all_reduce(numbers)
    numbers.sum().item()  # a GPU is waited for
    seconds = time.perf_counter() - started
    facts = {"right": all(processes.gather(right)), "seconds": seconds, "bytes": 4 * _NUMBERS}
    return {"backend": dist.get_backend(), "count": processes.count, **facts}


def _seen(processes: Processes, folder: Path, name: str, wait_s: float) -> dict[str, Any]:
    """Which files of the others cannot be seen here, and whether the lock of process 0 is felt."""
    place = folder / name
    try:
        place.write_text("doctor\n", encoding="utf-8")
        sync(place)
        names = processes.gather(name)
        unseen = _unseen([folder / other for other in names], wait_s)
        held = lock.hold(place) if processes.rank == 0 else None
        processes.gather(None)
        felt = processes.rank == 0 or bool(unseen) or _is_held(folder / names[0])
        processes.gather(None)
        if held is not None:
            lock.let_go(held)
        return {"unseen": len(unseen), "lock_felt": felt}
    finally:
        place.unlink(missing_ok=True)


def _unseen(paths: Iterable[Path], wait_s: float) -> list[Path]:
    missing, until = list(paths), time.monotonic() + wait_s
    while (missing := [path for path in missing if not path.exists()]) and time.monotonic() < until:
        time.sleep(_LOOKS_EVERY_S)
    return missing


def _is_held(path: Path) -> bool:
    try:
        lock.let_go(lock.hold(path))
    except RunError:
        return True
    return False


def _tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
