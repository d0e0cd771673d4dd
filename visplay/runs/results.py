"""A finished result: a directory with a manifest of its files, written last, that says what it was made from.

The manifest is JSON: `inputs`, and `files` with size and SHA-256 of each. It holds no time and no path outside the
directory, so that two runs of the same recipe leave the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from visplay.errors import VisplayError

Inputs = Mapping[str, str | int | float | bool | None]

MANIFEST = "manifest.json"
_SYNCED_TOGETHER = 8


class RunError(VisplayError, RuntimeError):
    """A run directory that cannot be used as asked; the message names what is there and the way out."""


def read_manifest(result: Path) -> dict[str, Any] | None:
    """The manifest of a result, None where there is none: the directory is missing or was never finished."""
    try:
        manifest: dict[str, Any] = json.loads((result / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(f"{result / MANIFEST} is damaged ({error}); {_remake(result)}") from error
    return manifest


def digest(result: Path) -> str:
    """SHA-256 of a finished result: of its manifest, hence of every file and of all that it was made from."""
    return _sha256(result / MANIFEST)


def seal(directory: Path, inputs: Inputs, scratch: Path, without: str) -> None:
    """Bring `directory` to the disk, then give it its manifest; the subfolder `without` is no part of it.

    `scratch` is a file path on the same file system through which the manifest appears whole or not at all.
    """
    names = [name for name in _names(directory) if not name.startswith(f"{without}/")]
    files = {name: {"size": (directory / name).stat().st_size, "sha256": _sha256(directory / name)} for name in names}
    folders = {folder for name in names for folder in Path(name).parents}
    _sync_all([directory / path for path in {Path("."), *map(Path, names), *folders}])
    text = json.dumps({"inputs": dict(inputs), "files": files}, ensure_ascii=False, indent=1, sort_keys=True)
    write_whole(directory / MANIFEST, text + "\n", scratch)


def check_inputs(result: Path, inputs: Inputs) -> None:
    """Raise RunError, naming what differs, unless the result was made from these inputs."""
    manifest = read_manifest(result)
    if manifest is None:
        raise RunError(f"{result} has no {MANIFEST}; {_remake(result)}")
    before, now = ({name: json.dumps(value) for name, value in side.items()} for side in (manifest["inputs"], inputs))
    changed = [
        f"{name} was {before.get(name, 'absent')}, now {now.get(name, 'absent')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise RunError(f"{result} was made from other inputs ({'; '.join(changed)}); {_remake(result)}")


def check_files(result: Path, by_hash: bool = True) -> None:
    """Raise RunError, naming the file, unless the result holds exactly what was written; else only by its size."""
    files = (read_manifest(result) or {"files": {}})["files"]
    present = set(_names(result))
    for name, facts in files.items():
        path = result / name
        if name not in present:
            raise RunError(f"{path} is missing; {_remake(result)}")
        if path.stat().st_size != facts["size"] or (by_hash and _sha256(path) != facts["sha256"]):
            raise RunError(f"{path} is not what was written: its size or SHA-256 differs; {_remake(result)}")
    for name in sorted(present - set(files)):
        raise RunError(f"{result / name} was not written by this run; move it out of there")


def make_folder(path: Path) -> None:
    """The folder and those above it, where they are not there yet; raises RunError where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be a folder ({error.strerror}); choose another") from error


def write_whole(path: Path, text: str, scratch: Path) -> None:
    """Write a text file through `scratch`, so that `path` holds the old text or the new one, never half."""
    scratch.write_text(text, encoding="utf-8")
    sync(scratch)
    os.replace(scratch, path)
    sync(path.parent)


def move_whole(made: Path, target: Path) -> None:
    """Bring a finished folder to the disk, then let it appear as `target`, on the same file system."""
    _sync_all([*made.rglob("*"), made])
    os.replace(made, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Bring a file or the entries of a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(paths: Sequence[Path]) -> None:
    """A disk brings many files to rest in hardly more time than one, if it is told of them together."""
    with ThreadPoolExecutor(_SYNCED_TOGETHER) as threads:
        list(threads.map(sync, paths))


def _names(directory: Path) -> list[str]:
    paths = (path for path in directory.rglob("*") if path.is_file() and path != directory / MANIFEST)
    return sorted(path.relative_to(directory).as_posix() for path in paths)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remake(result: Path) -> str:
    return f"restore it from a copy, or delete {result} and run the same command: it is made again"


def summarise(directory: Path, figures: Mapping[str, Any]) -> None:
    """Add to `summary.json`: the counts that a stage's last line on screen and its line in the ledger show."""
    path = directory / "summary.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, **figures}) + "\n", encoding="utf-8")
