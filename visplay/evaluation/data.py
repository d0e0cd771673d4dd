"""A benchmark's rows, from wherever they lie: an HF id, a save_to_disk folder, parquet, JSON or JSONL.

Rows come in any order and with any further columns. Pictures are read only on request and stay encoded until `picture`
opens one. What a row means is for the benchmark's own module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from visplay.errors import VisplayError
from visplay.evaluation.benchmark import Benchmark
from visplay.images import decode
from visplay.sources import Encoded

_SPLITS = ("train", "dev", "val", "validation", "test", "testmini")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SAVED = ("dataset_dict.json", "dataset_info.json", "state.json")


class DataError(VisplayError, ValueError):
    """The data of a benchmark cannot be used; the message names the way out."""


def read_rows(benchmark: Benchmark, source: str = "", split: str = "", images: bool = False) -> list[dict[str, Any]]:
    """All rows of `source`, default the official data, that are of `split`, default the official one.

    Relative paths of pictures become absolute where the data lies in files. Raises DataError when there are no rows,
    when a column that the benchmark needs is missing or holds another type, or for a split that cannot be told apart.
    """
    source, chosen, split = source or benchmark.SOURCE, bool(split), split or benchmark.SPLIT
    if not source:
        raise DataError(
            f"{benchmark.NAME} has no official data; name a file or folder by --data, in a recipe by evaluation.data"
        )
    skipped = () if images else benchmark.IMAGES
    path = Path(source).expanduser()
    if path.exists():
        rows = _local(path, split, chosen, skipped)
    elif _HUB_ID.fullmatch(source):
        rows = _hub(source, split, benchmark.CONFIGS, skipped)
    else:
        raise DataError(f"--data {source!r} does not exist, and is no HF id such as {benchmark.SOURCE or 'owner/name'}")
    _check(rows, benchmark, source)
    return [_placed(row, benchmark.IMAGES, path.resolve()) for row in rows] if images and path.exists() else rows


def chosen_split(benchmark: Benchmark, source: str = "", split: str = "") -> str | None:
    """The split that `read_rows` takes from the same data; None where the data is not divided into splits."""
    path = Path(source or benchmark.SOURCE).expanduser()
    if split or not path.exists() or (path / "dataset_dict.json").is_file():
        return split or benchmark.SPLIT
    files = _files(path, benchmark.SPLIT) if path.is_dir() and not _is_saved(path) else [path]
    return benchmark.SPLIT if any(_of(file, benchmark.SPLIT.split("+")) for file in files) else None


def picture(cell: Any) -> Image.Image:
    """One cell of an image column as upright RGB; raises UnusableError (a VisplayError) for what is no usable image."""
    with encoded(cell) as file:
        return decode(file)


def encoded(cell: Any) -> Encoded:
    """The picture of a cell as a file to read: bytes, a path, or the struct of the two that `datasets` writes.

    Raises DataError for a cell without one.
    """
    content = cell.get("bytes") or cell.get("path") if isinstance(cell, Mapping) else cell
    if isinstance(content, bytes):
        return BytesIO(content)
    if not isinstance(content, str):
        raise DataError(f"a picture is {type(cell).__name__}, not bytes or a path")
    if not Path(content).is_file():
        raise DataError(f"the picture {content!r} does not exist; paths are relative to the data's folder")
    return open(content, "rb")


def _local(path: Path, split: str, chosen: bool, skipped: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the split, or all where the data is not divided into splits and none was chosen."""
    if _is_saved(path):
        return _saved(path, split, chosen, skipped)
    files = _files(path, split) if path.is_dir() else [path]
    if chosen and not any(_of(file, split.split("+")) for file in files):
        raise _undivided(path, split)
    return [row for file in files for row in _file_rows(file, skipped)]


def _is_saved(path: Path) -> bool:
    """Whether it is a folder that `save_to_disk` has left."""
    return any((path / name).is_file() for name in _SAVED)


def _undivided(path: Path, split: str) -> DataError:
    return DataError(f"{path} is not divided into splits, so split {split!r} cannot be taken from it; leave it out")


def _files(folder: Path, split: str) -> list[Path]:
    """The parquet files below a folder, without any the JSON files; of those named by splits only the wanted ones."""
    for pattern in ("*.parquet", "*.jsonl", "*.json"):
        names = sorted(path.relative_to(folder) for path in folder.rglob(pattern))
        found = [name for name in names if not any(part.startswith(".") for part in name.parts)]
        wanted = [name for name in found if _of(name, split.split("+"))]
        if not wanted and any(_of(name, _SPLITS) for name in found):
            raise DataError(f"{folder} has no split {split!r}; its files are {_some(map(str, found))}")
        if found:
            return [folder / name for name in wanted or found]
    raise DataError(f"{folder} holds no save_to_disk dataset and no .parquet, .jsonl or .json file")


def _of(file: Path, splits: Iterable[str]) -> bool:
    """Whether a file belongs to one of the splits by its name, as in validation-00000-of-00001.parquet."""
    return any(file.stem == split or file.stem.startswith(f"{split}-") or file.parent.name == split for split in splits)


def _file_rows(path: Path, skipped: Sequence[str]) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            rows: list[dict[str, Any]] = file.read(
                [name for name in file.schema_arrow.names if name not in skipped]
            ).to_pylist()
            return rows
        if path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            return [_object(json.loads(line), path, at) for at, line in enumerate(lines, 1) if line.strip()]
        if path.suffix == ".json":
            return _objects(json.loads(path.read_text(encoding="utf-8-sig")), path)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise error if isinstance(error, DataError) else DataError(f"{path} cannot be read: {error}") from error
    raise DataError(f"{path} is neither .parquet nor .json nor .jsonl")


def _objects(content: Any, path: Path) -> list[dict[str, Any]]:
    """A list of rows, or a mapping from id to row (MathVista, MM-Vet), whose key becomes `id` where there is none."""
    if isinstance(content, list):
        return [_object(row, path, at) for at, row in enumerate(content, 1)]
    if isinstance(content, dict) and all(isinstance(row, dict) for row in content.values()):
        return [{"id": name} | row for name, row in content.items()]
    raise DataError(f"{path} holds neither a list of rows nor a mapping from ids to rows")


def _object(row: Any, path: Path, at: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{path}, row {at}: {str(row)[:60]!r} is no JSON object")
    return row


def _saved(path: Path, split: str, chosen: bool, skipped: Sequence[str]) -> list[dict[str, Any]]:
    import datasets

    try:
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a save_to_disk folder: {error}") from error
    if not isinstance(saved, datasets.DatasetDict):
        if chosen and str(saved.split) != split:
            raise _undivided(path, split)
        return _dataset_rows(saved, skipped)
    missing = [name for name in split.split("+") if name not in saved]
    if missing:
        raise DataError(f"{path} has no split {missing[0]!r}; it has {_some(saved)}. Name one by --split")
    return [row for name in split.split("+") for row in _dataset_rows(saved[name], skipped)]


def _hub(source: str, split: str, configs: Sequence[str], skipped: Sequence[str]) -> list[dict[str, Any]]:
    import datasets

    rows: list[dict[str, Any]] = []
    # MathVerse keeps each split in a configuration of the same name.
    own = [config for config in configs if config in split.split("+")]
    for config in own or configs or (None,):
        part = config if config in own else split
        try:
            rows += _dataset_rows(datasets.load_dataset(source, config, split=part), skipped)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise DataError(
                f"{source} ({config or 'default'}, {part}) could not be loaded: {error}\n"
                "Nothing is downloaded unless you set HF_HUB_OFFLINE=0; or name local data by --data"
            ) from error
    return rows


def _dataset_rows(dataset: Any, skipped: Sequence[str]) -> list[dict[str, Any]]:
    dataset = dataset.remove_columns([name for name in dataset.column_names if name in skipped])
    # As Arrow, because then no picture is decoded.
    rows: list[dict[str, Any]] = dataset.with_format("arrow")[:].to_pylist()
    return rows


def _check(rows: Sequence[Mapping[str, Any]], benchmark: Benchmark, source: str) -> None:
    if not rows:
        raise DataError(f"{source} has no rows")
    present = {name for row in rows for name in row}
    missing = [name for name in benchmark.COLUMNS if name not in present]
    if missing:
        raise DataError(
            f"{source} lacks the columns {_some(missing)} that {benchmark.NAME} needs; it has {_some(sorted(present))}"
        )
    for at, row in enumerate(rows, 1):
        for name, types in benchmark.COLUMNS.items():
            value = row.get(name)
            if not isinstance(value, types) or isinstance(value, bool):  # a bool is an int to Python
                expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in types)
                raise DataError(
                    f"{source}, row {at}: column {name!r} is {value!r:.60}; {benchmark.NAME} needs {expected}"
                )


def _placed(row: dict[str, Any], images: Sequence[str], path: Path) -> dict[str, Any]:
    """The row with absolute paths in its image columns."""
    folder = path if path.is_dir() else path.parent
    return {name: _absolute(cell, folder) if name in images else cell for name, cell in row.items()}


def _absolute(cell: Any, folder: Path) -> Any:
    if isinstance(cell, str) and cell:
        return str(folder / cell)
    if isinstance(cell, list | tuple):
        return [_absolute(one, folder) for one in cell]
    if isinstance(cell, Mapping) and not cell.get("bytes") and cell.get("path"):
        return {"bytes": None, "path": str(folder / cell["path"])}
    return cell


def _some(names: Iterable[str], most: int = 8) -> str:
    """The first few of the names, and how many more there are."""
    listed = list(names)
    return ", ".join(map(repr, listed[:most])) + (f" and {len(listed) - most} more" if len(listed) > most else "")
