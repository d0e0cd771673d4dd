"""Ask a model every item of a benchmark and leave predictions.jsonl: id, response, truncated. The answers are not read.

Asked greedily, through the project's own sampler. The items are cut into batches in one way, largest first, whatever
was answered before and however many processes share them (RANK and WORLD_SIZE); each batch is on the disk before the
next begins. So the same command goes on after any kill, and its file is that of a run without one.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from visplay.endpoint import Endpoint
from visplay.engine import models
from visplay.engine.loaded import load_frozen
from visplay.engine.prompts import Request, chat_content, interleaved
from visplay.engine.sampling import Completion, LocalSampler, Sampler
from visplay.errors import VisplayError
from visplay.evaluation.benchmark import Benchmark
from visplay.evaluation.data import DataError
from visplay.evaluation.pictures import Illustrated, questions_fingerprint, read_illustrated
from visplay.evaluation.predictions import PredictionError
from visplay.evaluation.progress import PREDICTIONS, add, agree, answered, complete, own_part
from visplay.recipe import PoolSettings, SamplingSettings

QUESTION = "{question}"  # where a prompt has its item's text; alone, the benchmark's own prompt

_LEAST_TOKENS = 4  # visual tokens per picture, as in the pool
_LEAST = {"max_new_tokens": 1, "batch": 1, "image_tokens": 4 * _LEAST_TOKENS}
_TOLD_EVERY_S = 60.0  # how far it is, where there is no terminal for a bar
_PACE = "{n_fmt} of {total_fmt}, {rate_fmt}, {remaining} left"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asking:
    """How a model is asked, greedily.

    A picture is resized to at most `image_tokens` visual tokens of 28 x 28 pixels. `batch` items of `batch_tokens` at
    most are answered together; a folder may be gone on with by others. `prompt` is what a model is sent, with the
    benchmark's own text for {question}. Raises VisplayError for numbers that are too small.
    """

    max_new_tokens: int = 2048
    batch: int = 8
    image_tokens: int = 1024
    prompt: str = QUESTION
    batch_tokens: int = SamplingSettings.batch_tokens

    def __post_init__(self) -> None:
        for option, least in _LEAST.items():
            if (value := getattr(self, option)) < least:
                raise VisplayError(f"--{option.replace('_', '-')} {value} is too small; use {least} or more")

    @property
    def limits(self) -> PoolSettings:
        """The sizes of pictures."""
        return PoolSettings(min_tokens=_LEAST_TOKENS, max_tokens=self.image_tokens)

    @property
    def settings(self) -> dict[str, Any]:
        """What answers depend on."""
        return {
            "decoding": "greedy",
            "prompt": self.prompt,
            "max_new_tokens": self.max_new_tokens,
            "image_tokens": [_LEAST_TOKENS, self.image_tokens],
        }


class Model(Protocol):
    """What can be asked."""

    @property
    def asking(self) -> Asking: ...

    @property
    def settings(self) -> dict[str, Any]:
        """All that answers depend on beside the questions; raises VisplayError when there is no such model."""
        ...

    def answers(self, requests: Sequence[Request]) -> list[Completion]:
        """The likeliest answer to each request."""
        ...


@dataclass(frozen=True)
class LocalModel:
    """A model in a folder or under a hub id; loaded when it is first asked, and then kept.

    `name` is what the settings call it; None: by its hub id, or by its folder's whole path. With a `sampler`, of the
    engine vllm, nothing is loaded: that asks the model.
    """

    source: str
    asking: Asking = Asking()
    name: str | None = None
    sampler: Sampler | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        here = {
            "device": models.device().type,  # which decides the precision
            "versions": {package: version(package) for package in ("torch", "transformers")},
        }
        return {
            "model": self._called if self.name is None else self.name,
            "weights": models.identity(self.source),
            **({"engine": "vllm"} if self.sampler else {"engine": "transformers", **here}),
            **self.asking.settings,
        }

    def answers(self, requests: Sequence[Request]) -> list[Completion]:
        sampler = self.sampler or self._loaded
        drawn = sampler.sample(requests, n=1, max_new_tokens=self.asking.max_new_tokens, seed=0, greedy=True)
        return [completion for (completion,) in drawn]

    @property
    def _called(self) -> str:
        folder = Path(self.source)
        return str(folder.resolve()) if folder.is_dir() else self.source

    @cached_property
    def _loaded(self) -> LocalSampler:
        loaded, how = load_frozen(self.source, models.own_device()), self.asking
        return LocalSampler(loaded, how.limits, SamplingSettings(batch=how.batch, batch_tokens=how.batch_tokens))


@dataclass(frozen=True)
class ServedModel:
    """A model behind an OpenAI-compatible server, which gets the pictures as a local model would."""

    endpoint: Endpoint
    asking: Asking = Asking()

    @property
    def settings(self) -> dict[str, Any]:
        return {"model": self.endpoint.model, "engine": self.endpoint.url, **self.asking.settings}

    def answers(self, requests: Sequence[Request]) -> list[Completion]:
        with ThreadPoolExecutor(self.asking.batch) as threads:
            return list(threads.map(self._answer, requests))

    def _answer(self, request: Request) -> Completion:
        reply = self.endpoint.reply(chat_content(request), self.asking.max_new_tokens)
        return Completion(reply.text, reply.truncated)


def predict(
    benchmark: Benchmark,
    model: Model,
    folder: Path,
    *,
    data: str = "",
    split: str = "",
    asked: Sequence[Illustrated] | None = None,
    place: tuple[int, int] | None = None,
) -> Path | None:
    """The file with a prediction for each item; what `folder` has of them already is kept, and not asked again.

    `asked` are the items where `items_to_ask` has read them before, `place` the number of this process and how many
    there are; None: read here, and as the launcher tells. None in all but the last of several processes. Raises
    VisplayError before the model is loaded: data or pictures are missing, or the folder has answers to other settings.
    """
    rank, processes = place or _place()
    asked = items_to_ask(benchmark, model.asking, data, split) if asked is None else asked
    agree(folder, {"benchmark": benchmark.NAME, "questions": questions_fingerprint(asked), **model.settings})
    if (folder / PREDICTIONS).exists():
        return folder / PREDICTIONS if rank == 0 else None
    with own_part(folder, rank) as part:
        mine = batches(asked, model.asking.batch)[rank::processes]
        for rows in _answers(benchmark.NAME, mine, answered(folder), model):
            add(part, rows)
    return complete(folder, [one.item.id for one in asked])


def items_to_ask(benchmark: Benchmark, asking: Asking, data: str, split: str) -> list[Illustrated]:
    """All items with their pictures, checked. Raises VisplayError, naming the item, for what could not be asked."""
    asked = [_prompted(one, asking.prompt) for one in read_illustrated(benchmark, asking.limits, data, split)]
    for one in asked:
        try:
            interleaved(one.cells, one.item.prompt)
        except ValueError as error:
            raise DataError(f"item {one.item.id}: {error}") from error
    return asked


def batches(asked: Sequence[Illustrated], size: int) -> list[list[Illustrated]]:
    """All items, `size` together that are of similar length; the largest first, so that memory is short at once."""
    ordered = sorted(asked, key=lambda one: (-one.pixels, -len(one.item.prompt), one.item.id))
    return [ordered[at : at + size] for at in range(0, len(ordered), size)]


def _place() -> tuple[int, int]:
    """This process's number and how many there are, as torchrun and deepspeed tell."""
    rank, processes = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if not 0 <= rank < processes:
        raise PredictionError(f"RANK is {rank} and WORLD_SIZE {processes}; RANK counts the processes from 0")
    return rank, processes


def _prompted(one: Illustrated, prompt: str) -> Illustrated:
    return dataclasses.replace(
        one, item=dataclasses.replace(one.item, prompt=prompt.replace(QUESTION, one.item.prompt))
    )


def _answers(
    name: str, mine: Sequence[Sequence[Illustrated]], done: Container[str], model: Model
) -> Iterator[list[dict[str, Any]]]:
    """The lines that are not there yet, batch by batch."""
    left = [[one.item.id for one in batch if one.item.id not in done] for batch in mine]
    total, todo, started = sum(map(len, mine)), sum(map(len, left)), time.monotonic()
    log.info("%s: %d items, %d of them answered before", name, total, total - todo)
    told, now = started, total - todo
    with tqdm(desc=name, total=total, initial=now, unit="item", disable=_place()[0] > 0 or None) as bar:
        for batch, missing in zip(mine, left, strict=True):
            if missing:
                yield [row for row in _rows(batch, model) if row["id"] in missing]
                bar.update(len(missing))
                now += len(missing)
                if bar.disable and time.monotonic() - told >= _TOLD_EVERY_S:
                    told = time.monotonic()
                    log.info("%s: %s", name, _pace(now, total, total - todo, told - started))
    log.info("%s: answered %d items in %.0f s", name, todo, time.monotonic() - started)


def _pace(now: int, total: int, before: int, elapsed_s: float) -> str:
    pace: str = tqdm.format_meter(now, total, elapsed_s, initial=before, unit="item", bar_format=_PACE)
    return pace


def _rows(batch: Sequence[Illustrated], model: Model) -> list[dict[str, Any]]:
    """Always of the whole batch: beside others, a model's numbers differ in their last digits."""
    written = model.answers([(one.pictures(), one.item.prompt) for one in batch])
    return [
        {"id": one.item.id, "response": answer.text, "truncated": answer.truncated}
        for one, answer in zip(batch, written, strict=True)
    ]
