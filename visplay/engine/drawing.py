"""How the next token is drawn, and from which random numbers: each completion has its own."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from visplay.engine.models import ModelError


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

    def draw(self, logits: torch.Tensor, luck: torch.Tensor, first: bool) -> torch.Tensor:
        """One id for each row of logits (rows, vocabulary); `first` at the beginning of a completion.

        `luck` (rows) in [0, 1) says which: the id at which the probabilities of it and those before it exceed `luck`.
        Raises ModelError for logits that are no numbers.
        """
        never = torch.tensor([*self.banned, *(self.not_first if first else ())], dtype=torch.long, device=logits.device)
        scores = self._shapers(never, logits.float().index_fill(-1, never, -torch.inf))
        if self.temperature is None:
            return scores.argmax(-1)
        below = scores.softmax(-1).cumsum(-1)
        if not below[:, -1].isfinite().all():
            raise ModelError(
                "the model scores the next token by NaN or infinity; use another checkpoint or a wider precision"
            )
        most = torch.nextafter(below[:, -1:], below.new_zeros(()))  # rounding must not lead past the last
        wanted = torch.minimum(luck.to(below)[:, None] * below[:, -1:], most)
        return torch.searchsorted(below, wanted, right=True)[:, 0]

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


def luck(seeds: Sequence[str], count: int) -> torch.Tensor:
    """`count` numbers in [0, 1) for each seed, which alone decides them."""
    made = torch.empty(len(seeds), count)
    generator = torch.Generator()
    for row, seed in zip(made, seeds, strict=True):
        generator.manual_seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) >> 1)
        row.uniform_(generator=generator)
    return made


@contextmanager
def own_randomness(seed: str, where: torch.device) -> Iterator[None]:
    """Torch's global generator, which other libraries draw from, seeded from a text and put back afterwards."""
    devices: list[Any] = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random.Random(seed).getrandbits(63))
        yield
