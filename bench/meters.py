"""What the benches measure with: peak memory of this process, the peaks of its GPU, and pictures of a wanted size."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
from pathlib import Path

import torch
from PIL import Image

from visplay.images import TOKEN_SIDE
from visplay.plan.gpus import GPUS, Gpu

# Tensors are mapped, and given back at once, so that resident memory follows what is alive.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "OMP_NUM_THREADS": "1"}

# Driver's name -> data sheet. Others of nearly the same name are slower: a 4090 of a laptop, an H100 for a PCIe slot.
_GPUS = {
    "NVIDIA A100-SXM4-80GB": "A100-80",
    "NVIDIA H100 80GB HBM3": "H100-80",
    "NVIDIA H200": "H200",
    "NVIDIA L40S": "L40S",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
}


def gpu_named(name: str) -> Gpu | None:
    """The data sheet of the GPU that a driver calls so, where it is known."""
    return GPUS.get(_GPUS.get(name, ""))


def with_exact_memory() -> None:
    """Start this program again with an allocator that keeps nothing; call it first."""
    if any(os.environ.get(name) != value for name, value in _ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | _ALLOCATOR)


class Peak:
    """Peak memory in bytes above what was in use when it was made; on a GPU of tensors, else of the process."""

    def __init__(self) -> None:
        self._cuda = torch.cuda.is_available()
        gc.collect()
        self._base = torch.cuda.memory_allocated() if self._cuda else _resident("VmRSS")
        self.reset()

    def reset(self) -> None:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> int:
        found = torch.cuda.max_memory_allocated() if self._cuda else _resident("VmHWM")
        return found - self._base


def picture(tokens: int, seed: int = 0) -> Image.Image:
    """Noise of `tokens` visual tokens, as near to a square as these allow."""
    high = max(side for side in range(1, int(tokens**0.5) + 1) if tokens % side == 0)
    size = (tokens // high * TOKEN_SIDE, high * TOKEN_SIDE)
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(3 * size[0] * size[1]))


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
