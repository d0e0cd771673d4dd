"""Write completions token by token, each prompt read once for all of its copies; shared by sampling and rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import torch
from transformers import PreTrainedModel, ProcessorMixin

from visplay.engine.drawing import Drawing, luck
from visplay.engine.pixels import Pixels
from visplay.engine.prefixes import Reading, read
from visplay.engine.prompts import Prompt

_ENDED = 1 / 8  # of the rows at least, until they are left out: it takes a copy of the cache


def generate(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    asked: Sequence[Prompt],
    seeds: Sequence[Sequence[str]],
    drawing: Drawing,
    pixels: Pixels,
    over: Event | None = None,
) -> list[list[list[int]]]:
    """Completions of each prompt, one for each of its seeds, as ids with their end token.

    Each prompt is read once, of those about the same picture the picture once, and rows that have ended are left out;
    transformers' own `generate` reads every copy and decodes all to the longest. A completion depends on its prompt and
    seed, but for rounding; torch's global generator is left alone. The model must be in evaluation mode.
    When another thread says that all is `over`, completions stay as they are.
    """
    copies = [i for i, each in enumerate(seeds) for _ in each]
    numbers = luck([seed for each in seeds for seed in each], drawing.max_new_tokens).to(model.device)
    with torch.inference_mode():
        reading = read(model, processor, asked, pixels)
        reading.select(torch.tensor(copies, device=model.device))
        completions = iter(_written(model, reading, numbers, drawing, over))
    return [[next(completions) for _ in each] for each in seeds]


def _written(
    model: PreTrainedModel, reading: Reading, numbers: torch.Tensor, drawing: Drawing, over: Event | None
) -> list[list[int]]:
    """The completion of each row, drawn by its row of `numbers` (rows, tokens)."""
    ends = torch.tensor(drawing.ends, device=model.device)
    written: list[list[int]] = [[] for _ in numbers]
    rows = torch.arange(len(numbers), device=model.device)
    going = torch.ones_like(rows, dtype=torch.bool)
    for place in range(drawing.max_new_tokens):
        tokens = drawing.draw(reading.logits, numbers[rows, place], first=place == 0)
        for row, token, goes_on in zip(rows.tolist(), tokens.tolist(), going.tolist(), strict=True):
            if goes_on:
                written[row].append(token)
        going &= ~torch.isin(tokens, ends)
        left = int(going.sum())
        if not left or place == drawing.max_new_tokens - 1 or (over and over.is_set()):
            break
        if len(rows) - left >= _ENDED * len(rows):
            kept = going.nonzero()[:, 0]
            reading.select(kept)
            rows, tokens, going = rows[kept], tokens[kept], going[kept]
        reading.go_on(model, tokens[:, None], torch.ones_like(tokens)[:, None])
    return written
