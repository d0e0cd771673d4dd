"""Where encoded images lie: files in folders, lists of paths, rows of parquet files and of `datasets` datasets.

Two verbs: `shards` says what a source holds without opening an image, `open_encoded` hands out one image's bytes.
Only the image column is ever read; labels beside it stay on the disk. Whether bytes make a usable image is for
`visplay.images`.

Files and folders whose name starts with a dot (.DS_Store, .git, caches) are not part of a source. Every other file of a
folder is an entry, whatever its extension, except that a `.parquet` file stands for its rows.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache
from io import BufferedReader, BytesIO
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow.parquet as pq

from visplay.errors import VisplayError
from visplay.recipe import PoolSettings

MAX_GROUP_BYTES = 2**30  # a parquet row group is read whole, and two of them are kept


class PoolError(VisplayError, ValueError):
    """The pool cannot be used as the recipe describes it; the message names the way out."""


class UnusableError(PoolError):
    """One image cannot be used; the message is `kind: detail`."""


Encoded = BufferedReader | BytesIO


@dataclass(frozen=True)
class Quarantined:
    """One entry of the source that is not in the pool.

    `row` is None for a file that is the image itself, else the row of the dataset or the line of the list, from 0.
    `reason` reads `kind: detail`; the kinds are empty, not an image, too large, too thin, unfit, unsupported pixels,
    broken, missing, bad line and duplicate.
    """

    source: str
    row: int | None
    reason: str


@dataclass(frozen=True)
class Shard:
    """A file or dataset with its number of rows, or None when the file is the image itself."""

    source: str
    rows: int | None = None


def shards(settings: PoolSettings) -> tuple[list[Shard], list[Quarantined]]:
    """The source's files in sorted order, and the entries that are bad before anything is opened."""
    if settings.source.startswith("world:"):
        raise PoolError(f"{settings.source!r} must be rendered to a folder before it is indexed")
    if settings.source.startswith("hf:"):
        return [Shard(settings.source, len(_dataset(settings.source, settings.split, settings.column)))], []
    path = Path(os.path.abspath(Path(settings.source).expanduser()))
    if not path.exists():
        raise PoolError(f"pool.source {settings.source!r} does not exist (looked at {path})")
    if path.is_dir():
        return [_file_shard(name, settings.column) for name in _visible_files(path)], []
    if path.suffix == ".jsonl":
        return _listed(path, settings.column)
    if path.suffix == ".parquet":
        return [_file_shard(str(path), settings.column)], []
    raise PoolError(f"pool.source {settings.source!r} is neither a folder nor a .parquet or .jsonl file")


def open_encoded(source: str, row: int | None, settings: PoolSettings) -> Encoded:
    """The encoded bytes at one place, positioned at the start."""
    if row is None:
        return _open_file(Path(source))
    if source.startswith("hf:"):
        return _open_value(_dataset(source, settings.split, settings.column)[row][settings.column], Path())
    starts = _group_starts(source, settings.column)
    group = bisect_right(starts, row) - 1
    with _row_group_lock:
        values = _row_group(source, settings.column, group)
    return _open_value(values[row - starts[group]].as_py(), Path(source).parent)


def forget() -> None:
    """Drop what is cached of parquet files and datasets, so that they are looked at afresh."""
    for cached in (_row_group, _group_starts, _dataset):
        cached.cache_clear()


def _visible_files(root: Path) -> list[str]:
    """All paths below `root` without hidden ones, sorted; linked folders are followed, each real folder once."""
    paths, seen = [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in seen else sorted(name for name in subfolders if not name.startswith("."))
        if real not in seen:
            paths += [os.path.join(folder, name) for name in names if not name.startswith(".")]
        seen.add(real)
    return sorted(paths)


def _file_shard(path: str, column: str) -> Shard:
    return Shard(path, _group_starts(path, column)[-1] if path.endswith(".parquet") else None)


def _listed(path: Path, column: str) -> tuple[list[Shard], list[Quarantined]]:
    """The files that a list names: each line a JSON string, or an object with the path under `column`."""
    found, bad = [], []
    with open(path, "rb") as file:
        for row, line in enumerate(file):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError as error:
                bad.append(Quarantined(str(path), row, f"bad line: {error}"))
                continue
            name = entry.get(column) if isinstance(entry, dict) else entry
            if isinstance(name, str) and name:
                found.append(Shard(os.path.abspath(path.parent / name)))
            else:
                bad.append(Quarantined(str(path), row, f"bad line: no path, and none under {column!r}"))
    return found, bad


def _open_value(value: Any, folder: Path) -> Encoded:
    """A cell of an image column: bytes, a path relative to `folder`, or the `datasets` library's struct of the two."""
    if isinstance(value, dict):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if isinstance(value, str):
        return _open_file(folder / value)
    if isinstance(value, bytes):
        return BytesIO(value)
    raise UnusableError("missing: the row holds no image")


def _open_file(path: Path) -> Encoded:
    if not path.is_file():  # also a pipe, whose opening would wait forever
        raise UnusableError(f"missing: no file at {path}")
    return open(path, "rb")


_row_group_lock = Lock()  # one reader at a time, so that threads share the cached group instead of loading it each


@lru_cache(maxsize=2)
def _row_group(path: str, column: str, group: int) -> Any:
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column], use_threads=False).column(0)


@cache
def _group_starts(path: str, column: str) -> tuple[int, ...]:
    """The first row of each row group and, last, the number of rows. Only the footer is read."""
    try:
        with pq.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
    except (OSError, ValueError) as error:
        raise PoolError(f"{path} is not a readable parquet file ({error}); fetch it again or remove it") from error
    if column not in schema.names:
        raise PoolError(f"{path} has no column {column!r}, only {', '.join(schema.names)}; set pool.column")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    for group in groups:
        parts = (group.column(i) for i in range(group.num_columns))
        size = sum(p.total_uncompressed_size for p in parts if p.path_in_schema.split(".")[0] == column)
        if size > MAX_GROUP_BYTES:
            raise PoolError(f"{path} has a row group of {size} bytes; write it again with row_group_size=100")
    return (0, *accumulate(group.num_rows for group in groups))


@lru_cache(maxsize=1)
def _dataset(source: str, split: str, column: str) -> Any:
    """The image column of a `datasets` dataset, undecoded: an id, or a folder written by save_to_disk."""
    import datasets

    name = source.removeprefix("hf:")
    try:
        if any((Path(name) / mark).is_file() for mark in ("state.json", "dataset_dict.json")):
            loaded = datasets.load_from_disk(name)
            loaded = loaded[split] if isinstance(loaded, datasets.DatasetDict) else loaded
        else:
            loaded = datasets.load_dataset(name, split=split)
    except (OSError, ValueError, KeyError) as error:
        raise PoolError(
            f"pool.source {source!r} with split {split!r} cannot be loaded: {error}; name a dataset or folder that is "
            f"on this machine, or set HF_HUB_OFFLINE=0 to let this command fetch it"
        ) from error
    if column not in loaded.column_names:
        raise PoolError(f"{source!r} has no column {column!r}, only {', '.join(loaded.column_names)}; set pool.column")
    return loaded.select_columns([column]).cast_column(column, datasets.Image(decode=False))
