"""Write completions token by token, each prompt read once for all of its copies; shared by sampling and rollouts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Drawing:
    """How a completion is drawn, token by token. Settings that came with the model play no part in it.

    `temperature` None takes the likeliest token. `ends` are the ids that end a completion, `banned` never occur, and
    `not_first` do not come first.
    """

    max_new_tokens: int
    temperature: float | None
    ends: Sequence[int]
    banned: Sequence[int]
    not_first: Sequence[int] = ()
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None

    def draw(self, logits: torch.Tensor, first: bool) -> torch.Tensor:
        """One id for each row of logits (rows, vocabulary); `first` at the beginning of a completion."""
        never = torch.tensor([*self.banned, *(self.not_first if first else ())], dtype=torch.long, device=logits.device)
        scores = self._shapers(never, logits.float().index_fill(-1, never, -torch.inf))
        if self.temperature is None:
            return scores.argmax(-1)
        return torch.multinomial(scores.softmax(-1), num_samples=1)[:, 0]

    @cached_property
    def _shapers(self) -> LogitsProcessorList:
        shapers = LogitsProcessorList()
        if self.temperature not in (None, 1.0):
            shapers.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            shapers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            shapers.append(TopPLogitsWarper(self.top_p))
        if self.min_p:
            shapers.append(MinPLogitsWarper(self.min_p))
        return shapers


def generate(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], copies: Sequence[int], drawing: Drawing
) -> list[list[int]]:
    """`copies[i]` completions of prompt i, as ids with their end token; grouped by prompt, in order.

    Each prompt is read once, and a completion that has ended is decoded no further; transformers' own `generate` reads
    every copy and decodes all to the longest. Draws from torch's global generator.
    """
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    prompts = torch.tensor([i for i, count in enumerate(copies) for _ in range(count)], device=model.device)
    ends = torch.tensor(drawing.ends, device=model.device)
    written: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode(), _evaluating(model):
        # Not model(...): ZeRO-3 leaves a hook there that waits for as many calls in the other processes.
        read = model.forward(**inputs, **_text_positions(inputs), use_cache=True, logits_to_keep=1)
        cache, logits, mask = read.past_key_values, read.logits[prompts, -1], inputs["attention_mask"][prompts]
        cache.batch_select_indices(prompts)
        # An image takes fewer positions than tokens; what text alone leaves here is of an earlier prompt.
        shift = getattr(model.base_model, "rope_deltas", None) if "pixel_values" in inputs else None
        positions = mask.sum(-1, keepdim=True) + (0 if shift is None else shift[prompts])
        rows = torch.arange(len(prompts), device=model.device)
        while True:
            tokens = drawing.draw(logits, first=not written[0])
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                written[row].append(token)
            going = ~torch.isin(tokens, ends)
            if len(written[rows[0]]) == drawing.max_new_tokens or not going.any():
                return written
            if not going.all():
                cache.batch_select_indices(going.nonzero()[:, 0])
                rows, tokens, mask, positions = rows[going], tokens[going], mask[going], positions[going]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
            state = {"attention_mask": mask, "position_ids": positions, "past_key_values": cache}
            logits = model.forward(input_ids=tokens[:, None], use_cache=True, **state).logits[:, -1]
            positions = positions + 1


def chunks(asked: Sequence[T], batch: int) -> Iterator[tuple[list[T], list[int]]]:
    """What is asked, and how often it stands there in a row; at most `batch` at a time, or one."""
    chunk: list[T] = []
    copies: list[int] = []
    for one, group in groupby(asked):
        count = len(list(group))
        if chunk and sum(copies) + count > batch:
            yield chunk, copies
            chunk, copies = [], []
        chunk.append(one)
        copies.append(count)
    yield chunk, copies


@contextmanager
def own_randomness(seed: str, where: torch.device) -> Iterator[None]:
    """Torch's global generator, which transformers draws from, seeded from a text and put back afterwards."""
    devices: list[Any] = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random.Random(seed).getrandbits(63))
        yield


def _text_positions(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The positions of prompts without any image; left to themselves, Qwen's models count the padding."""
    if "pixel_values" in inputs:
        return {}
    return {"position_ids": (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)}


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
