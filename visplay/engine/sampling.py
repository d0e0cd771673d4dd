"""Draw completions: (image, prompt) x n -> texts. The only way in which the project lets a model of its own write.

The prompt, with its image, is read once for its n samples. Votes, questions and evaluation go through a `Sampler`, be
it a model in this process or one behind servers (visplay/engine/served.py); GRPO's rollouts go through the same
`encode` and `generate`, so that a role meets the same tokens wherever it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm
from transformers import PreTrainedModel

from visplay.engine import models
from visplay.engine.decoding import Drawing, generate, own_randomness
from visplay.engine.prompts import Request, encode, length
from visplay.recipe import PoolSettings, SamplingSettings
from visplay.runs.processes import ALONE, Processes


@dataclass(frozen=True)
class Completion:
    """What the model wrote, without special tokens; `truncated` when it had not ended after `max_new_tokens`."""

    text: str
    truncated: bool


class Sampler(Protocol):
    """A model that answers requests; it never trains.

    Images must come already resized by `visplay.images` with the limits of the pool; they are not resized again.
    """

    @property
    def unanswered(self) -> int:
        """How many samples are missing from all that was drawn so far."""
        ...

    def sample(
        self,
        requests: Sequence[Request],
        n: int,
        max_new_tokens: int,
        seed: int,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        begin: str = "",
        not_next: str = "",
        progress: str | None = None,
    ) -> list[list[Completion]]:
        """n completions of each request, in the order of the requests; fewer where some stayed `unanswered`.

        `temperature` and `top_p` None are the recipe's. `begin` is written for the model, which goes on from it, though
        not with the first token of `not_next`. `progress` names a progress bar on a terminal.
        """
        ...


class LocalSampler:
    """A model in this process. Nothing stays unanswered."""

    unanswered = 0

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
        pool: PoolSettings,
        settings: SamplingSettings,
        processes: Processes = ALONE,
    ) -> None:
        """`model` is a folder, a hub id, or a loaded model, whose processor is then read from where it came from.

        `processes` share the work of each call, which all of them must make.
        """
        self.model = models.load_model(model) if isinstance(model, str | Path) else model
        source = model if isinstance(model, str | Path) else model.config.name_or_path
        self.processor = models.load_processor(source, pool.min_tokens, pool.max_tokens)
        self.settings = settings
        self.processes = processes

    def sample(
        self,
        requests: Sequence[Request],
        n: int,
        max_new_tokens: int,
        seed: int,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        begin: str = "",
        not_next: str = "",
        progress: str | None = None,
    ) -> list[list[Completion]]:
        """As in `Sampler`; the same from the same, whatever the global random state, which is left as it was."""
        if greedy and n != 1:
            raise ValueError(f"n = {n} greedy completions would all be equal; use n=1")
        drawing = Drawing(
            max_new_tokens,
            None if greedy else self.settings.temperature if temperature is None else temperature,
            ends=models.end_tokens(self.model, self.processor),
            banned=models.banned_tokens(self.model),
            not_first=self.processor.tokenizer(not_next).input_ids[:1],
            top_p=self.settings.top_p if top_p is None else top_p,
        )
        answers: dict[int, list[Completion]] = {}
        rank, count = self.processes.rank, self.processes.count
        mine = list(enumerate(self._batches(requests, n)))[rank::count]  # cut and seeded however many processes share
        total, hidden = sum(len(batch) for _, batch in mine), rank > 0 or not progress
        with tqdm(total=total, desc=progress, unit="prompt", disable=hidden or None) as bar:
            for number, batch in mine:
                chosen = [requests[i] for i in batch]
                with own_randomness(f"{seed}/{number}", self.model.device):
                    written = self._complete(chosen, n, drawing, begin)
                for position, index in enumerate(batch):
                    answers[index] = written[position * n : (position + 1) * n]
                bar.update(len(batch))
        found = {index: drawn for part in self.processes.gather(answers) for index, drawn in part.items()}
        return [found[index] for index in range(len(requests))]

    def _complete(self, requests: Sequence[Request], n: int, drawing: Drawing, begin: str) -> list[Completion]:
        inputs = encode(self.processor, requests, begin)
        written = generate(self.model, inputs, [n] * len(requests), drawing)
        texts = self.processor.batch_decode(written, skip_special_tokens=True)
        return [Completion(begin + text, ids[-1] not in drawing.ends) for text, ids in zip(texts, written, strict=True)]

    def _batches(self, requests: Sequence[Request], n: int) -> Iterator[list[int]]:
        """Positions of requests that are decoded together: of similar length, so that little is padded."""
        order = iter(sorted(range(len(requests)), key=lambda i: (*length(requests[i]), i)))
        size = max(1, self.settings.batch // n)
        while batch := list(islice(order, size)):
            yield batch


class SharedSampler(LocalSampler):
    """A frozen role, LoRA, on the model that another role is trained on: one base in memory for both.

    It can be asked once a training has lent its model, as `grpo.train` does, and for as long as that goes on.
    """

    def __init__(
        self, checkpoint: str | Path, pool: PoolSettings, settings: SamplingSettings, processes: Processes = ALONE
    ) -> None:
        """`checkpoint` is an adapter, or its base itself."""
        self.checkpoint = checkpoint
        self.processor = models.load_processor(checkpoint, pool.min_tokens, pool.max_tokens)
        self.settings = settings
        self.processes = processes
        self._lent: Callable[[], AbstractContextManager[PreTrainedModel]] | None = None

    def borrow(self, lent: Callable[[], AbstractContextManager[PreTrainedModel]]) -> None:
        """Write from now on with the model that `lent()` holds out, whole and playing this role, for a call."""
        self._lent = lent

    def give_back(self) -> None:
        """Hold on to nothing of the training."""
        self._lent = self.model = None

    def sample(self, *asked: Any, **how: Any) -> list[list[Completion]]:
        """As `LocalSampler`, with the same completions."""
        if self._lent is None:
            raise RuntimeError(f"{self.checkpoint} can write only while a training lends it its model")
        with self._lent() as self.model:
            return super().sample(*asked, **how)
