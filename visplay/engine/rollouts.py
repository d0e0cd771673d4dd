"""Completions that the model in training writes: shared by all processes, and the same however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import PreTrainedModel
from trl import GRPOConfig

from visplay.engine.drawing import Drawing
from visplay.engine.journal import Row
from visplay.engine.writing import Writer

T = TypeVar("T")


@dataclass(frozen=True)
class Training:
    """The processes of a training, as `visplay.runs.processes.Processes`."""

    accelerator: Accelerator

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def count(self) -> int:
        return int(self.accelerator.num_processes)

    def broadcast(self, value: T) -> T:
        return self.gather(value)[0]

    def gather(self, value: T) -> list[T]:
        return list(gather_object([value]))


@dataclass(frozen=True)
class Rollouts:
    """`writing` holds out the model to write with."""

    writer: Writer
    writing: Callable[[], AbstractContextManager[PreTrainedModel]]

    def write(self, rows: Sequence[Row], drawing: Drawing, seed: str) -> list[tuple[list[int], list[int]]]:
        """A completion of each row, as ids of prompt and completion; the n-th is drawn by `seed` and n.

        A row that stands there several times in succession is one prompt, read once.
        """
        runs = [list(group) for _, group in groupby(range(len(rows)), key=lambda n: id(rows[n]))]
        requests = [(rows[run[0]].image, rows[run[0]].prompt) for run in runs]
        with self.writing() as model:
            written = self.writer.write(model, requests, [[f"{seed}/{n}" for n in run] for run in runs], drawing)
        return [(one.prompt, completion) for one in written for completion in one.completions]


def drawing(config: GRPOConfig, ends: Sequence[int], banned: Sequence[int]) -> Drawing:
    """How rollouts are drawn, by TRL's own settings."""
    return Drawing(
        max_new_tokens=config.max_completion_length,
        temperature=config.temperature,
        ends=ends,
        banned=banned,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=config.min_p,
    )
