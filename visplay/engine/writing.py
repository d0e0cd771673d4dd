"""Have a model write completions of many requests: cut into batches that fit, and shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from visplay.engine.arrivals import as_they_come
from visplay.engine.batches import Piece, Size, batches
from visplay.engine.decoding import evaluating, generate
from visplay.engine.drawing import Drawing
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Request, pictures, prompts
from visplay.images import TOKEN_SIDE
from visplay.recipe import SamplingSettings
from visplay.runs.parts import SAMPLE, part
from visplay.runs.processes import Processes

T = TypeVar("T")


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
        threads = self.limits.threads if model.device.type == "cpu" else 1
        every = list(self._batches(requests, seeds, drawing.max_new_tokens, threads))
        mine, hidden = every[rank::count], rank > 0 or not progress

        def written(batch: list[Piece]) -> list[tuple[Piece, Written]]:
            asked = prompts(self.processor, [requests[piece.prompt] for piece in batch], self.pixels, begin)
            lots = [seeds[piece.prompt][piece.first : piece.last] for piece in batch]
            completions = generate(model, self.processor, asked, lots, drawing, self.pixels)
            return list(zip(batch, map(Written, (prompt.ids for prompt in asked), completions), strict=True))

        found: list[tuple[Piece, Written]] = []
        with (
            part(SAMPLE),
            evaluating(model),
            tqdm(total=sum(map(len, mine)), desc=progress, unit="prompt", disable=hidden or None) as bar,
            closing(_done(written, mine, threads)) as arriving,
        ):
            for batch in arriving:
                found += batch
                for piece, one in batch:
                    tell(piece.prompt, one.completions)
                bar.update(len(batch))
        return _joined(one for each in self.processes.gather(found) for one in each)

    def _batches(
        self, requests: Sequence[Request], seeds: Sequence[Sequence[str]], new_tokens: int, threads: int
    ) -> Iterator[list[Piece]]:
        """The threads have the room together."""
        batch, tokens = self.limits.batch // threads, self.limits.batch_tokens // threads
        limits = replace(self.limits, batch=max(1, batch), batch_tokens=tokens)
        return batches(self._sizes(requests), list(map(len, seeds)), new_tokens, limits)

    def _sizes(self, requests: Sequence[Request]) -> list[Size]:
        if not requests:
            return []
        texts = self.processor.tokenizer([text for _, text in requests]).input_ids
        shown = [pictures(request) for request in requests]
        return [
            Size(sum(w * h // TOKEN_SIDE**2 for w, h in (one.size for one in each)), len(ids), tuple(map(id, each)))
            for ids, each in zip(texts, shown, strict=True)
        ]


def _done(written: Callable[[list[Piece]], T], every: Sequence[list[Piece]], threads: int) -> Generator[T, None, None]:
    """What comes of each batch; in the order in which they are done, where threads share them."""
    if threads == 1:
        yield from map(written, every)
        return
    with closing(as_they_come(lambda i, _: written(every[i]), len(every), threads)) as arriving:
        yield from (result for _, result in arriving)


def _joined(parts: Iterable[tuple[Piece, Written]]) -> list[Written]:
    """The pieces of each prompt, put together in order."""
    whole: dict[int, Written] = {}
    for piece, one in sorted(parts):
        before = whole[piece.prompt].completions if piece.first else []
        whole[piece.prompt] = Written(one.prompt, before + one.completions)
    return list(whole.values())
