"""The run directory: stages whose results are kept whole, or not at all, and a ledger of what was done when.

    recipe.yaml        the resolved recipe       iter_01/questioner/   a finished stage with its manifest.json
    fingerprints.json  what data it runs on      partial/              what is being made; never read as a result
    ledger.jsonl       one line per stage        lock                  held by the live process

A stage works in `partial/`; its files are brought to the disk, the manifest is written last, the directory is renamed
into place, then the ledger gets its line. Wherever a process is killed, the same command goes on from there.

Several processes may work on a run together: all make the same calls, and process 0 alone writes.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from visplay.recipe import Recipe, to_yaml
from visplay.runs import ledger, lock, parts, results
from visplay.runs.beginning import refuse_another
from visplay.runs.processes import ALONE, Processes, agree, await_sight, lead
from visplay.runs.results import Inputs, RunError
from visplay.runs.stopping import StageMade, Stopped

logger = logging.getLogger(__name__)

STEPS = "steps"  # where a resumable stage keeps its step checkpoints; no part of the result


class Run:
    """One run directory, held until it is closed by this process, or by process 0 of those that share the run."""

    def __init__(self, directory: Path, processes: Processes = ALONE, turn: int | None = None) -> None:
        self.directory = directory
        self.processes = processes
        self.begins = turn in (None, 1)
        self._has_turn = turn is not None
        self._made = False
        self._lock: int | None = None
        self._verified: set[Path] = set()

    @classmethod
    def open(cls, directory: str | Path, recipe: Recipe, processes: Processes = ALONE, turn: int | None = None) -> Run:
        """Start a run or go on with it.

        The process of a `turn`, from 1, makes as much as `stage` says; `begins` is false after the first.

        Raises RunError when the directory holds something else, is in use by a live process, or holds results made with
        another recipe. More `iterations` than before, and another machine as far as `grpo` sets it, are allowed and
        stored.
        """
        run = cls(Path(directory), processes, turn)
        agree(processes, "the recipe", to_yaml(recipe))
        lead(processes, lambda: run._take(recipe))
        run._see("recipe.yaml")
        return run

    def close(self) -> None:
        """Let go of the directory."""
        lock.let_go(self._lock)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def fingerprint(self, name: str, value: str) -> None:
        """Store what the run depends on beside its recipe, such as the data's hash; RunError if it has changed."""
        agree(self.processes, name, value)
        lead(self.processes, lambda: self._keep_fingerprint(name, value))

    def stage(
        self,
        iteration: int,
        name: str,
        work: Callable[[Path], object],
        inputs: Inputs,
        resumable: bool = False,
        alone: bool = False,
        apart: bool = False,
    ) -> Path:
        """The directory with the result of a stage: as it was committed earlier, else made now by `work(directory)`.

        `inputs` says what the result is made from (see `results.digest`); no absolute paths, so that runs compare.
        A `resumable` work finds what a killed attempt with the same inputs left; `steps/` in it never becomes part of
        the result. Numbers that the work leaves in `summary.json` go to the log and the ledger.

        All processes work, each in its own directory, of which that of process 0 becomes the result; a resumable work
        is given this one in all of them. An `alone` work is done by process 0. The process of a turn makes one stage
        that is to be `apart`, as it leaves memory taken, or any number of others.

        Raises RunError when the committed result is damaged or was made from other inputs, and StageMade when a process
        with a turn has made what it was to make.
        """
        result = self.directory / f"iter_{iteration:02d}" / name
        label = f"iteration {iteration}, {name}"
        if lead(self.processes, lambda: self._is_committed(result, inputs)):
            logger.log(logging.INFO if self.begins else logging.DEBUG, "%s: already done", label)
            self._see(f"iter_{iteration:02d}/{name}/{results.MANIFEST}")
            return result
        if self._has_turn and apart and self._made:
            raise StageMade(label)
        with self._noted(label, result):
            self._make(result, work, inputs, resumable, alone)
        self._see(f"iter_{iteration:02d}/{name}/{results.MANIFEST}")
        self._made = True
        if self._has_turn and apart:
            raise StageMade(label)
        return result

    @contextmanager
    def _noted(self, label: str, result: Path) -> Iterator[None]:
        """What it took goes to the log, and to the ledger when the result is there."""
        started = time.time()
        parts.begin()
        with self._named(label):
            logger.info("%s: started", label)
            yield
        took = ledger.Took(started, time.time(), parts.spent())
        entry = lead(self.processes, lambda: ledger.note(self.directory, result, took))
        logger.info("%s: %s%s", label, took, ledger.described(entry["summary"]))

    def _make(self, result: Path, work: Callable[[Path], object], inputs: Inputs, resumable: bool, alone: bool) -> None:
        partial = self.directory / "partial" / f"{result.parent.name}_{result.name}"
        if not lead(self.processes, lambda: self._is_sealed(partial, inputs, resumable)):
            if alone:
                lead(self.processes, lambda: work(partial))
            elif self.processes.rank == 0 or resumable:
                work(partial)
            else:
                with TemporaryDirectory() as unused:  # what it writes is what process 0 writes
                    work(Path(unused))
            self.processes.gather(None)
            with parts.part(parts.SAVE):
                lead(self.processes, lambda: results.seal(partial, inputs, _beside(partial, ".tmp"), without=STEPS))
        with parts.part(parts.SAVE):
            lead(self.processes, lambda: self._commit(partial, result))

    def _is_committed(self, result: Path, inputs: Inputs) -> bool:
        if not result.exists():
            return False
        results.check_inputs(result, inputs)
        if result not in self._verified:
            results.check_files(result, by_hash=self.begins)  # the first process of the command has looked
            self._verified.add(result)
        return True

    def _is_sealed(self, partial: Path, inputs: Inputs, resumable: bool) -> bool:
        """Whether it was killed between the manifest and the rename; else there is room for the work."""
        made_from = _beside(partial, ".json")
        wanted = json.dumps(dict(inputs), sort_keys=True)
        same = made_from.exists() and made_from.read_text(encoding="utf-8") == wanted
        if same and results.read_manifest(partial) is not None:
            return True
        if partial.exists() and not (same and resumable):
            shutil.rmtree(partial)
        partial.mkdir(exist_ok=True)
        self._write(made_from, wanted)
        return False

    def _commit(self, partial: Path, result: Path) -> None:
        if (partial / STEPS).exists():
            shutil.rmtree(partial / STEPS)
        results.sync(partial)
        result.parent.mkdir(exist_ok=True)
        partial.rename(result)
        for folder in (result.parent, partial.parent, self.directory):
            results.sync(folder)
        _beside(partial, ".json").unlink()
        self._verified.add(result)

    @contextmanager
    def _named(self, label: str) -> Iterator[None]:
        """An error or a stop within says where it happened."""
        try:
            yield
        except Stopped as stop:
            stop.stage = label
            raise
        except Exception as error:
            if self.processes.count > 1:
                error.add_note(f"in process {self.processes.rank} of {self.processes.count}, {label}")
            raise

    def _see(self, name: str) -> None:
        if self.processes.rank:
            await_sight(self.directory / name)

    def _take(self, recipe: Recipe) -> None:
        """Hold the directory, as the only process that writes to it."""
        results.make_folder(self.directory)
        stranger = not (self.directory / "recipe.yaml").exists()
        if stranger and {path.name for path in self.directory.iterdir()} - {"lock", "partial"}:
            raise RunError(f"{self.directory} is not empty and holds no run (no recipe.yaml); choose another directory")
        (self.directory / "partial").mkdir(exist_ok=True)
        self._lock = lock.hold(self.directory / "lock")
        try:
            self._keep_recipe(recipe)
            ledger.mend(self.directory)
        except BaseException:
            self.close()
            raise

    def _keep_fingerprint(self, name: str, value: str) -> None:
        path = self.directory / "fingerprints.json"
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if known.get(name, value) != value:
            raise RunError(
                f"{self.directory} began with {name} {known[name]}, now it is {value}; "
                f"bring back what it began with, or choose another directory"
            )
        if name not in known:
            self._write(path, json.dumps({**known, name: value}, indent=1, sort_keys=True) + "\n")

    def _keep_recipe(self, recipe: Recipe) -> None:
        path = self.directory / "recipe.yaml"
        text = to_yaml(recipe)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        if not ledger.read(self.directory) and not any(self.directory.glob("iter_*/*")):
            self._forget_attempts()  # so that a mistyped setting is put right in place
        elif path.exists():
            refuse_another(path, recipe)
        self._write(path, text)

    def _forget_attempts(self) -> None:
        """What a first stage left when it broke off was made by the recipe that is replaced."""
        (self.directory / "fingerprints.json").unlink(missing_ok=True)
        shutil.rmtree(self.directory / "partial")
        (self.directory / "partial").mkdir()

    def _write(self, path: Path, text: str) -> None:
        results.write_whole(path, text, self.directory / "partial" / f"{path.name}.tmp")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
