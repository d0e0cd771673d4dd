"""Read prompts, what several of them begin with once: of questions about one picture, the picture.

    picture and opening | the rest of question 1
                        | the rest of question 2

Prompts with the same pictures are read together up to the first token in which they differ, and each goes on from
there; positions go on where the shared part ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from transformers import Cache, PreTrainedModel, ProcessorMixin

from visplay.engine.cache import empty_cache
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Prompt, padded


@dataclass
class Reading:
    """Prompts that a model has read, a row each: `logits` (rows, vocabulary) of the token that comes next,
    `mask` (rows, length) of what it sees of the cache, and `positions` (rows, 1) of the next token.
    """

    cache: Cache
    logits: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows, as often as they are named."""
        self.cache.batch_select_indices(rows)
        self.logits, self.mask, self.positions = self.logits[rows], self.mask[rows], self.positions[rows]

    def go_on(self, model: PreTrainedModel, tokens: torch.Tensor, seen: torch.Tensor) -> None:
        """Read more tokens (rows, more), padded on the left where `seen` (rows, more) is 0."""
        self.mask = torch.cat([self.mask, seen], dim=-1)
        ahead = self.positions + (seen.cumsum(-1) - 1).clamp(min=0)
        read = model.forward(
            input_ids=tokens,
            attention_mask=self.mask,
            position_ids=ahead,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits, self.positions = read.logits[:, -1], self.positions + seen.sum(-1, keepdim=True)


@dataclass(frozen=True)
class Split:
    """Prompts in two: `starts` that are read once each, and after start `of[i]` the `rests[i]` of prompt i."""

    starts: list[Prompt]
    of: list[int]
    rests: list[list[int]]


def read(model: PreTrainedModel, processor: ProcessorMixin, asked: Sequence[Prompt], pixels: Pixels) -> Reading:
    """The prompts in their order, in a cache of their own."""
    split = divide(asked, processor.image_token_id)
    if split is None:
        return _start(model, padded(processor, asked, pixels))
    reading = _start(model, padded(processor, split.starts, pixels))
    reading.select(torch.tensor(split.of, device=model.device))
    rests = processor.tokenizer.pad({"input_ids": split.rests}, return_tensors="pt").to(model.device)
    reading.go_on(model, rests["input_ids"], rests["attention_mask"])
    return reading


def divide(asked: Sequence[Prompt], mark: int) -> Split | None:
    """The prompts in two; None where it takes no fewer tokens, padding included. `mark` stands for image features."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, prompt in enumerate(asked):
        alike.setdefault(tuple(map(id, prompt.pictures)), []).append(i)
    starts: list[Prompt] = []
    of = [0] * len(asked)
    for members in alike.values():
        shared = _common([asked[i].ids[:-1] for i in members])
        whole = asked[members[0]].ids[shared:].count(mark) == 0  # no picture is cut in two
        for group in [members] if whole else [[i] for i in members]:
            first = asked[group[0]]
            for i in group:
                of[i] = len(starts)
            starts.append(replace(first, ids=first.ids[: shared if whole else -1]))
    rests = [prompt.ids[len(starts[start].ids) :] for prompt, start in zip(asked, of, strict=True)]
    together = len(starts) * max(len(start.ids) for start in starts) + len(asked) * max(map(len, rests))
    apart = len(asked) * max(len(prompt.ids) for prompt in asked)
    return Split(starts, of, rests) if together < apart and all(start.ids for start in starts) else None


def _common(rows: Sequence[Sequence[int]]) -> int:
    """How many ids all rows begin with."""
    differs = (place for place, ids in enumerate(zip(*rows, strict=False)) if len(set(ids)) > 1)
    return next(differs, min(map(len, rows)))


def _start(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> Reading:
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    cache, mask = empty_cache(model.config), inputs["attention_mask"]
    where, after = _positions(model, inputs)
    # Not model(...): ZeRO-3 leaves a hook there that waits for as many calls in the other processes.
    read = model.forward(**inputs, position_ids=where, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Reading(cache, read.logits[:, -1], mask, after)


def _positions(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the tokens stand, and what comes next (rows, 1); an image takes fewer positions than tokens.

    Left to itself, Qwen's model keeps the difference for later calls, whoever makes them, and where there is no image
    counts the padding.
    """
    mask = inputs["attention_mask"]
    ahead = mask.sum(-1, keepdim=True)
    if "pixel_values" not in inputs:
        return (mask.cumsum(-1) - 1).clamp(min=0), ahead
    where, shift = model.base_model.get_rope_index(
        inputs["input_ids"],
        mm_token_type_ids=inputs["mm_token_type_ids"],
        image_grid_thw=inputs["image_grid_thw"],
        attention_mask=mask,
    )
    return where, ahead + shift
