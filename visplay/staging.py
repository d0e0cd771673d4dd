"""What all stages share: a seed for each, what a checkpoint is called, where it lies, and who writes with it.

Also what stands between a label stage and a training: the silver rows, and an experiment's control over them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from visplay.engine.grpo import CHECKPOINT
from visplay.engine.sampling import Sampler
from visplay.engine.servers import open_sampler
from visplay.recipe import Recipe
from visplay.records import SilverAnswer, read_jsonl, silver_answer
from visplay.runs import Run, digest, read_manifest, summarise
from visplay.runs.processes import Processes
from visplay.worlds.scenes import Scene

SceneOf = Callable[[str], Scene]  # the scene behind an image id


@dataclass(frozen=True)
class Control:
    """An experiment's way to replace the silver rows before the Reasoner is trained on them."""

    name: str
    replace: Callable[[list[SilverAnswer], SceneOf], list[SilverAnswer]]


def read_silver(labelled: Path) -> list[SilverAnswer]:
    """The rows of a label stage, kept and dropped."""
    return [silver_answer(row) for row in read_jsonl(labelled / "silver.jsonl")]


def kept_rows(labelled: Path, control: Control | None, scene_of: SceneOf) -> list[SilverAnswer]:
    """The rows of a label stage that are trained on, as a control leaves them."""
    rows = read_silver(labelled)
    return [row for row in (control.replace(rows, scene_of) if control else rows) if row.dropped is None]


def seed(recipe: Recipe, k: int, stage: str) -> int:
    """A seed in 0 .. 2^31 - 1 of its own for every stage of every iteration."""
    return int.from_bytes(hashlib.sha256(f"{recipe.seed}/{k}/{stage}".encode()).digest()[:4]) >> 1


def checkpoint(k: int, stage: str) -> str:
    """A checkpoint's name: its folder relative to the run directory. The base's name is the recipe's `model`."""
    return f"iter_{k:02d}/{stage}/{CHECKPOINT}"


def found(run: Run, checkpoint: str) -> Path | str:
    """Its folder, or the name itself, of a model that lies elsewhere."""
    return inside if (inside := run.directory / checkpoint).is_dir() else checkpoint


def identity(run: Run, checkpoint: str) -> str:
    """What a checkpoint is: the digest of the stage that made it, or the base's name."""
    made = (run.directory / checkpoint).parent
    return checkpoint if read_manifest(made) is None else digest(made)


@contextmanager
def sampler(
    run: Run,
    recipe: Recipe,
    checkpoint: str,
    folder: Path,
    whole: bool = False,
    processes: Processes | None = None,
    shared: bool = False,
) -> Iterator[Sampler]:
    """The recipe's engine on a checkpoint; what stays unanswered is counted, and with `whole`, for scores, an error.

    With `shared` it writes with the model that is trained meanwhile.
    """
    settings = dataclasses.replace(recipe.sampling, max_unanswered=0.0) if whole else recipe.sampling
    together = processes or run.processes
    with open_sampler(found(run, checkpoint), recipe.pool, settings, run.directory, together, shared) as opened:
        yield opened
    if opened.unanswered and together.rank == 0:
        summarise(folder, {"unanswered": opened.unanswered})
