"""Have a model write completions of many requests: cut into batches that fit, and shared among processes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import NamedTuple, TypeVar

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from visplay.engine.batches import Piece, Size, batches
from visplay.engine.decoding import generate
from visplay.engine.drawing import Drawing
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Request, pictures, prompts
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
        alone = model.device.type != "cpu" or torch.is_autocast_enabled("cpu")  # which other threads know nothing of
        threads = 1 if alone else self.limits.threads
        every = list(self._batches(requests, seeds, drawing.max_new_tokens, begin, threads))
        mine, hidden, over = every[rank::count], rank > 0 or not progress, Event()

        def written(batch: list[Piece]) -> list[tuple[Piece, Written]]:
            asked = prompts(self.processor, [requests[piece.prompt] for piece in batch], self.pixels, begin)
            lots = [seeds[piece.prompt][piece.first : piece.last] for piece in batch]
            completions = generate(model, self.processor, asked, lots, drawing, self.pixels, over)
            return list(zip(batch, map(Written, (prompt.ids for prompt in asked), completions), strict=True))

        found: list[tuple[Piece, Written]] = []
        with (
            part(SAMPLE),
            _evaluating(model),
            tqdm(total=sum(map(len, mine)), desc=progress, unit="prompt", disable=hidden or None) as bar,
            closing(_done(written, mine, threads, over)) as arriving,
        ):
            for batch in arriving:
                found += batch
                for piece, one in batch:
                    tell(piece.prompt, one.completions)
                bar.update(len(batch))
        return _joined(one for each in self.processes.gather(found) for one in each)

    def _batches(
        self, requests: Sequence[Request], seeds: Sequence[Sequence[str]], new_tokens: int, begin: str, threads: int
    ) -> Iterator[list[Piece]]:
        """The threads have the room together."""
        batch, tokens = self.limits.batch // threads, self.limits.batch_tokens // threads
        limits = replace(self.limits, batch=max(1, batch), batch_tokens=tokens)
        return batches(self._sizes(requests, begin), list(map(len, seeds)), new_tokens, limits)

    def _sizes(self, requests: Sequence[Request], begin: str) -> list[Size]:
        if not requests:
            return []
        around = len(prompts(self.processor, [(None, "")], self.pixels, begin)[0].ids)
        texts = self.processor.tokenizer([text for _, text in requests]).input_ids
        shown = [pictures(request) for request in requests]
        return [
            Size(sum(self.pixels.tokens(each)), around + len(ids), tuple(map(id, each)))
            for ids, each in zip(texts, shown, strict=True)
        ]


def _done(
    written: Callable[[list[Piece]], T], every: Sequence[list[Piece]], threads: int, over: Event
) -> Generator[T, None, None]:
    """What comes of each batch; in the order in which they are done, where threads share them.

    However this ends, no thread is left at work: `over` tells them to break off.
    """
    if threads == 1:
        yield from map(written, every)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in as_completed([pool.submit(written, batch) for batch in every]):
                yield done.result()
        finally:
            over.set()
            pool.shutdown(cancel_futures=True)


def _joined(parts: Iterable[tuple[Piece, Written]]) -> list[Written]:
    """The pieces of each prompt, put together in order."""
    whole: dict[int, Written] = {}
    for piece, one in sorted(parts):
        before = whole[piece.prompt].completions if piece.first else []
        whole[piece.prompt] = Written(one.prompt, before + one.completions)
    return list(whole.values())


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout, in all threads; afterwards the model is as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
