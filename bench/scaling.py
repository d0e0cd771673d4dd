"""How time and memory grow with the pool: images that are found, decoded and named, by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

_ROWS = 1000  # of a file
_TIMES = 3  # that a pool is measured

Measured = dict[str, float]  # seconds of processor time, and the process's peak memory in mib

_ASKED = {"time an image": "seconds", "peak memory": "mib"}


def names(counts: Sequence[int]) -> list[str]:
    """Of the figures that `pools` makes."""
    return [_name(count, counts[0], what) for count in counts[1:] for what in _ASKED]


def pools(counts: Sequence[int], folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """For each pool but the first: time for an image, and peak memory, over those of the first; 1 is flat.

    Each pool is measured some times in turn with the others; the ratios are those of one round.
    """
    for count in counts:
        _fill(folder / str(count), count)
    rounds = [{count: _measured(folder / str(count), count) for count in counts} for _ in range(_TIMES)]
    for count in counts[1:]:
        found = {of: median(each[count][of] for each in rounds) for of in _ASKED.values()}
        for what, of in _ASKED.items():
            images = count / counts[0] if of == "seconds" else 1
            ratios = sorted(each[count][of] / each[counts[0]][of] / images for each in rounds)
            spread = {"ratio": median(ratios), "low": ratios[0], "high": ratios[-1]}
            yield _name(count, counts[0], what), {**spread, "theory": 1.0, **found}


def _name(count: int, first: int, what: str) -> str:
    return f"pool, {count:,} images against {first:,}, {what}"


def _fill(folder: Path, count: int) -> None:
    """Make a pool."""
    folder.mkdir(parents=True)
    for start in range(0, count, _ROWS):
        cells = [{"bytes": _png(number), "path": None} for number in range(start, min(count, start + _ROWS))]
        pq.write_table(pa.table({"image": cells}), folder / f"{start:06}.parquet")


def _measured(folder: Path, count: int) -> Measured:
    """By a process of its own."""
    command = [sys.executable, __file__, str(folder), str(count)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(said))


def _png(number: int) -> bytes:
    """56 x 56 pixels of noise."""
    noise = np.random.default_rng(number).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _index(folder: str, count: int) -> None:
    from visplay.images import fitted_size, index_pool
    from visplay.recipe import PoolSettings

    settings = PoolSettings(source=folder, min_tokens=1, max_tokens=16)
    fitted_size(56, 56, settings)  # imports the processor
    started = time.process_time()
    found = index_pool(settings)
    seconds = time.process_time() - started
    assert len(found.records) == count
    # Not getrusage: it counts what the parent held when this process began.
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "mib": peak / 1024}))


if __name__ == "__main__":
    _index(sys.argv[1], int(sys.argv[2]))
