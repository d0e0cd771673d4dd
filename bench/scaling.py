"""How time and memory grow with the pool: images that are found, decoded and named, by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

_ROWS = 1000  # of a file


_ASKED = ("time an image", "peak memory")


def names(counts: Sequence[int]) -> list[str]:
    """Of the figures that `pools` makes."""
    return [_name(count, counts[0], what) for count in counts[1:] for what in _ASKED]


def pools(counts: Sequence[int], folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """For each pool but the first: time for an image, and peak memory, over those of the first; 1 is flat."""
    (first, before), *others = [(count, _measured(count, folder / str(count))) for count in counts]
    for count, found in others:
        each = found["seconds"] / count / (before["seconds"] / first)
        for what, ratio in zip(_ASKED, (each, found["mib"] / before["mib"]), strict=True):
            figures = {"ratio": ratio, "low": ratio, "high": ratio, "theory": 1.0, **found}
            yield _name(count, first, what), figures


def _name(count: int, first: int, what: str) -> str:
    return f"pool, {count:,} images against {first:,}, {what}"


def _measured(count: int, folder: Path) -> dict[str, float]:
    """Seconds of processor time, and the process's peak memory in MiB."""
    folder.mkdir(parents=True)
    for start in range(0, count, _ROWS):
        cells = [{"bytes": _png(number), "path": None} for number in range(start, min(count, start + _ROWS))]
        pq.write_table(pa.table({"image": cells}), folder / f"{start:06}.parquet")
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
