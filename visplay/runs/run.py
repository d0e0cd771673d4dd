"""The run directory: stages whose results are kept whole, or not at all, and a ledger of what was done when.

    recipe.yaml        the resolved recipe       iter_01/questioner/   a finished stage with its manifest.json
    fingerprints.json  what data it runs on      partial/              what is being made; never read as a result
    ledger.jsonl       one line per stage        lock                  held by the live process

A stage works in `partial/`; its files are brought to the disk, the manifest is written last, the directory is renamed
into place, then the ledger gets its line. Wherever a process is killed, the same command goes on from there. One
process does all the work of a run.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from visplay.recipe import Recipe, RecipeError, difference, load_recipe, to_yaml
from visplay.runs import ledger, results
from visplay.runs.results import Inputs, RunError, make_folder
from visplay.runs.stopping import Stopped

logger = logging.getLogger(__name__)

STEPS = "steps"  # where a resumable stage keeps its step checkpoints; no part of the result

_held_locks: set[int] = set()


def _let_go_of_locks() -> None:
    while _held_locks:
        os.close(_held_locks.pop())


# A forked child shares the lock: it would keep the run locked after its parent was killed.
os.register_at_fork(after_in_child=_let_go_of_locks)


class Run:
    """One run directory, held by this process until it is closed."""

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self._lock = lock
        self._verified: set[Path] = set()

    @classmethod
    def open(cls, directory: str | Path, recipe: Recipe) -> Run:
        """Start a run or go on with it.

        Raises RunError when the directory holds something else, is in use by a live process, or holds results made with
        another recipe; more `iterations` than before is allowed and stored.
        """
        directory = Path(directory)
        make_folder(directory)
        stranger = not (directory / "recipe.yaml").exists()
        if stranger and {path.name for path in directory.iterdir()} - {"lock", "partial"}:
            raise RunError(f"{directory} is not empty and holds no run (no recipe.yaml); choose another directory")
        (directory / "partial").mkdir(exist_ok=True)
        run = cls(directory, _lock(directory / "lock"))
        try:
            run._keep_recipe(recipe)
            ledger.mend(directory)
        except BaseException:
            run.close()
            raise
        return run

    def close(self) -> None:
        """Let go of the directory."""
        if self._lock in _held_locks:
            _held_locks.remove(self._lock)
            os.close(self._lock)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def fingerprint(self, name: str, value: str) -> None:
        """Store what the run depends on beside its recipe, such as the data's hash; RunError if it has changed."""
        path = self.directory / "fingerprints.json"
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if known.get(name, value) != value:
            raise RunError(
                f"{self.directory} began with {name} {known[name]}, now it is {value}; "
                f"bring back what it began with, or choose another directory"
            )
        if name not in known:
            self._write(path, json.dumps({**known, name: value}, indent=1, sort_keys=True) + "\n")

    def stage(
        self, iteration: int, name: str, work: Callable[[Path], object], inputs: Inputs, resumable: bool = False
    ) -> Path:
        """The directory with the result of a stage: as it was committed earlier, else made now by `work(directory)`.

        `inputs` says what the result is made from (see `results.digest`); no absolute paths, so that runs compare.
        A `resumable` work finds what a killed attempt with the same inputs left; `steps/` in it never becomes part of
        the result. Numbers that the work leaves in `summary.json` go to the log and the ledger.

        Raises RunError when the committed result is damaged or was made from other inputs.
        """
        result = self.directory / f"iter_{iteration:02d}" / name
        label = f"iteration {iteration}, {name}"
        if result.exists():
            results.check_inputs(result, inputs)
            if result not in self._verified:
                results.check_files(result)
                self._verified.add(result)
            logger.info("%s: already done", label)
            return result
        started = time.time()
        logger.info("%s: started", label)
        try:
            self._make(result, work, inputs, resumable)
        except Stopped as stop:
            stop.stage = label
            raise
        self._verified.add(result)
        entry = ledger.note(self.directory, result, started, time.time())
        logger.info("%s: %.1f s%s", label, entry["seconds"], _shown(entry["summary"]))
        return result

    def _make(self, result: Path, work: Callable[[Path], object], inputs: Inputs, resumable: bool) -> None:
        partial = self.directory / "partial" / f"{result.parent.name}_{result.name}"
        made_from = partial.with_name(f"{partial.name}.json")
        wanted = json.dumps(dict(inputs), sort_keys=True)
        same = made_from.exists() and made_from.read_text(encoding="utf-8") == wanted
        sealed = same and results.read_manifest(partial) is not None  # killed between the manifest and the rename
        if not sealed:
            if partial.exists() and not (same and resumable):
                shutil.rmtree(partial)
            partial.mkdir(exist_ok=True)
            self._write(made_from, wanted)
            work(partial)
            results.seal(partial, inputs, partial.with_name(f"{partial.name}.tmp"), without=STEPS)
        self._commit(partial, result)
        made_from.unlink()

    def _commit(self, partial: Path, result: Path) -> None:
        if (partial / STEPS).exists():
            shutil.rmtree(partial / STEPS)
        results.sync(partial)
        result.parent.mkdir(exist_ok=True)
        partial.rename(result)
        for folder in (result.parent, partial.parent, self.directory):
            results.sync(folder)

    def _keep_recipe(self, recipe: Recipe) -> None:
        path = self.directory / "recipe.yaml"
        text = to_yaml(recipe)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        if not self._has_results():
            self._forget_attempts()  # so that a mistyped setting is put right in place
        elif path.exists():
            try:
                stored = load_recipe(path)
            except RecipeError as error:
                raise RunError(f"{path} does not fit this version of visplay:\n{error}") from error
            longer = dataclasses.replace(stored, iterations=max(stored.iterations, recipe.iterations))
            changes = difference(longer, recipe)
            if changes:
                lines = "\n".join(f"  {line}" for line in changes)
                raise RunError(f"{self.directory} was made with another recipe:\n{lines}\nchoose another directory")
        self._write(path, text)

    def _has_results(self) -> bool:
        return bool(ledger.read(self.directory)) or any(self.directory.glob("iter_*/*"))

    def _forget_attempts(self) -> None:
        """What a first stage left when it broke off was made by the recipe that is replaced."""
        (self.directory / "fingerprints.json").unlink(missing_ok=True)
        shutil.rmtree(self.directory / "partial")
        (self.directory / "partial").mkdir()

    def _write(self, path: Path, text: str) -> None:
        results.write_whole(path, text, self.directory / "partial" / f"{path.name}.tmp")


def _lock(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 1000).decode() or "another process"
        os.close(lock)
        raise RunError(f"{path.parent} is in use by {holder}; stop that one or choose another directory") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
    _held_locks.add(lock)
    return lock


def _shown(summary: Mapping[str, Any]) -> str:
    """The summary as the end of a log line: `, kept 3, dropped (tie 2, too hard 1)`."""
    return "".join(f", {name} {_figure(value)}" for name, value in summary.items())


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_shown(value).removeprefix(', ')})" if value else "0"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
