"""Completions that the model in training writes: shared by all processes, and the same however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import PreTrainedModel, ProcessorMixin
from trl import GRPOConfig

from visplay.engine.decoding import Drawing, chunks, generate
from visplay.engine.prompts import Request, encode

T = TypeVar("T")


@dataclass(frozen=True)
class Rollouts:
    """`batch` completions are written together; `writing` holds out the model to write with."""

    accelerator: Accelerator
    processor: ProcessorMixin
    batch: int
    writing: Callable[[], AbstractContextManager[PreTrainedModel]]

    def write(
        self,
        asked: Sequence[T],
        request: Callable[[T], Request],
        drawing: Drawing,
        randomness: Callable[[int], AbstractContextManager[object]] = nullcontext,
    ) -> list[tuple[list[int], list[int]]]:
        """A completion of each that is asked, as ids of prompt and completion; a prompt is read once for its copies.

        Cut into the same chunks by any number of processes; `randomness(N)` is that of chunk N.
        """
        place, count = self.accelerator.process_index, self.accelerator.num_processes
        written = []
        with self.writing() as model:
            for number, (chunk, copies) in enumerate(chunks(asked, self.batch)):
                if number % count == place:
                    with randomness(number):
                        written.append((number, self._complete(model, list(map(request, chunk)), copies, drawing)))
        return [pair for _, pairs in sorted(gather_object(written)) for pair in pairs]

    def _complete(
        self, model: PreTrainedModel, requests: Sequence[Request], copies: Sequence[int], drawing: Drawing
    ) -> list[tuple[list[int], list[int]]]:
        inputs = encode(self.processor, requests)
        completions = iter(generate(model, inputs, copies, drawing))
        read = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        prompts = [ids[mask.bool()].tolist() for ids, mask in read]
        return [(ids, next(completions)) for ids, count in zip(prompts, copies, strict=True) for _ in range(count)]


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


def after_shuffling(completions: int) -> torch.Tensor:
    """The state in which TRL leaves torch's generator in one process; of several, each shuffles its own share only."""
    with torch.random.fork_rng(devices=[]):
        torch.randperm(completions)
        return torch.get_rng_state()
