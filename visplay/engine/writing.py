"""Have a model write completions of many requests: cut into batches that fit, and shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from visplay.engine.batches import Piece, Size, batches
from visplay.engine.decoding import generate
from visplay.engine.drawing import Drawing
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Request, pictures, prompts
from visplay.images import TOKEN_SIDE
from visplay.recipe import SamplingSettings
from visplay.runs.processes import Processes


class Written(NamedTuple):
    """The ids of a prompt and of its completions, each with its end token unless it was cut off."""

    prompt: list[int]
    completions: list[list[int]]


@dataclass(frozen=True)
class Writer:
    """`limits` say what is decoded together; `processes` share the work of each call, which all of them make."""

    processor: ProcessorMixin
    limits: SamplingSettings
    processes: Processes
    pixels: Pixels

    def write(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        seeds: Sequence[Sequence[str]],
        drawing: Drawing,
        begin: str = "",
        progress: str | None = None,
        tell: Callable[[int, list[list[int]]], None] = lambda place, written: None,
    ) -> list[Written]:
        """A completion for each seed of each request, in their order, each answer begun with `begin`.

        The same for any number of processes, which deal out the batches among themselves. After each batch of this
        process `tell` hears the places of its requests, and what was written.
        """
        rank, count = self.processes.rank, self.processes.count
        every = list(batches(self._sizes(requests), list(map(len, seeds)), drawing.max_new_tokens, self.limits))
        mine, hidden = every[rank::count], rank > 0 or not progress
        found: list[tuple[Piece, Written]] = []
        with tqdm(total=sum(map(len, mine)), desc=progress, unit="prompt", disable=hidden or None) as bar:
            for batch in mine:
                asked = prompts(self.processor, [requests[piece.prompt] for piece in batch], self.pixels, begin)
                lots = [seeds[piece.prompt][piece.first : piece.last] for piece in batch]
                written = generate(model, self.processor, asked, lots, drawing, self.pixels)
                found += zip(batch, map(Written, (prompt.ids for prompt in asked), written), strict=True)
                for piece, completions in zip(batch, written, strict=True):
                    tell(piece.prompt, completions)
                bar.update(len(batch))
        whole: dict[int, Written] = {}
        for piece, part in sorted(one for each in self.processes.gather(found) for one in each):
            before = whole[piece.prompt].completions if piece.first else []
            whole[piece.prompt] = Written(part.prompt, before + part.completions)
        return list(whole.values())

    def _sizes(self, requests: Sequence[Request]) -> list[Size]:
        if not requests:
            return []
        texts = self.processor.tokenizer([text for _, text in requests]).input_ids
        shown = [pictures(request) for request in requests]
        return [
            Size(sum(w * h // TOKEN_SIDE**2 for w, h in (one.size for one in each)), len(ids), tuple(map(id, each)))
            for ids, each in zip(texts, shown, strict=True)
        ]
