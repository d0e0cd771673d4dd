"""Which step of a training to keep: the one whose greedy answers, on rows it is not trained on, are called right most.

    checks.jsonl    the share of right answers at the start (step 0) and at every step checkpoint
    steps/best-N    the model after step N, the best so far

Both are functions of the inputs alone: a resumed training cuts the file where it goes on, and finds the same best.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from visplay.engine.journal import UNFINISHED, Row, keep_until
from visplay.runs import STEPS, summarise
from visplay.runs.results import move_whole

_BEST = "best-"


@dataclass(frozen=True)
class Check:
    """Rows that are only asked, never trained on; `right` is the share, in [0, 1], of completions that are right."""

    rows: Sequence[Row]
    right: Callable[[Sequence[Row], Sequence[str]], float]


class Choice(TrainerCallback):
    """The record of the checks of one training stage in `folder`. Only the main process writes."""

    def __init__(self, folder: Path, check: Check, resumed: Path | None) -> None:
        self.check = check
        self.weigh: Callable[[], None] = lambda: None  # set by the trainer
        self._folder, self._steps = folder, folder / STEPS
        self._log = folder / "checks.jsonl"
        self._process = PartialState()
        if self._process.is_main_process:
            keep_until(self._log, int(resumed.name.rpartition("-")[2]) if resumed else -1)
        (self._found,) = broadcast_object_list([self._read() if self._process.is_main_process else None])

    def on_train_begin(self, args: object, state: object, control: object, **_: object) -> None:
        """The model as it starts is the first to choose from."""
        if not self._found:
            self.weigh()

    def note(self, step: int, completions: Sequence[str], store: Callable[[Path], None]) -> None:
        """Take note of what is answered after `step`; the model is stored if none was better so far."""
        (right,) = broadcast_object_list([self.check.right(self.check.rows, completions)])  # a grader has a clock
        needed = {self._best()} if self._found else set()  # till a step checkpoint holds the new one
        self._found.append((step, right))
        if self._best() == step:
            store(self._steps / UNFINISHED / f"{_BEST}{step}")
        if not self._process.is_main_process:
            return
        for path in self._steps.glob(f"{_BEST}*"):
            if int(path.name.removeprefix(_BEST)) not in needed:
                shutil.rmtree(path)
        if self._best() == step:
            move_whole(self._steps / UNFINISHED / f"{_BEST}{step}", self._steps / f"{_BEST}{step}")
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "right": right}) + "\n")

    def settle(self) -> Path:
        """Where the best model lies; noted in the summary. The main process alone calls this."""
        best, found = self._best(), dict(self._found)
        summarise(self._folder, {"kept_step": best, "kept_right": found[best], "start_right": found[0]})
        return self._steps / f"{_BEST}{best}"

    def _best(self) -> int:
        """The latest of the steps with most right answers."""
        return max(self._found, key=lambda found: (found[1], found[0]))[0]

    def _read(self) -> list[tuple[int, float]]:
        if not self._log.exists():
            return []
        rows = map(json.loads, self._log.read_text(encoding="utf-8").splitlines())
        return [(row["step"], row["right"]) for row in rows]
