"""Draw completions: (image, prompt) x n -> texts. The only way in which the project lets a model of its own write.

The prompt, with its image, is read once for its n samples. Votes, questions and evaluation go through a `Sampler`, be
it a model in this process or one behind servers (visplay/engine/served.py); GRPO's rollouts go through the same
`Writer`, so that a role meets the same tokens wherever it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from transformers import PreTrainedModel

from visplay.engine import models
from visplay.engine.drawing import Drawing
from visplay.engine.loaded import load_frozen
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Request
from visplay.engine.writing import Writer
from visplay.recipe import PoolSettings, SamplingSettings
from visplay.runs.processes import ALONE, Processes


@dataclass(frozen=True)
class Completion:
    """What the model wrote, without special tokens; `truncated` when it had not ended after `max_new_tokens`."""

    text: str
    truncated: bool


Drawn: TypeAlias = Callable[[int, list[Completion]], None]


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
        drawn: Drawn | None = None,
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
        self.model = load_frozen(model) if isinstance(model, str | Path) else model
        source = model if isinstance(model, str | Path) else model.config.name_or_path
        self.processor = models.load_processor(source, pool.min_tokens, pool.max_tokens)
        self.settings = settings
        self._writer = Writer(self.processor, settings, processes, Pixels(self.processor.image_processor))

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
        drawn: Drawn | None = None,
    ) -> list[list[Completion]]:
        """As in `Sampler`. A sample depends on the seed, its request and that one's place, not on its neighbours."""
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
        seeds = [[f"{seed}/{i}/{copy}" for copy in range(n)] for i in range(len(requests))]

        told: dict[int, list[Completion]] = {}

        def tell(place: int, written: list[list[int]]) -> None:
            if drawn and len(written) == n:
                told[place] = self._completions(written, drawing, begin)
                drawn(place, told[place])

        written = self._writer.write(self.model, requests, seeds, drawing, begin, progress, tell)
        return [
            told[i] if i in told else self._completions(one.completions, drawing, begin)
            for i, one in enumerate(written)
        ]

    def _completions(self, written: Sequence[list[int]], drawing: Drawing, begin: str) -> list[Completion]:
        texts = self.processor.batch_decode(written, skip_special_tokens=True)
        return [Completion(begin + text, ids[-1] not in drawing.ends) for text, ids in zip(texts, written, strict=True)]


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
        self._writer = Writer(self.processor, settings, processes, Pixels(self.processor.image_processor))
        self._lent: Callable[[], AbstractContextManager[PreTrainedModel]] | None = None

    def borrow(self, lent: Callable[[], AbstractContextManager[PreTrainedModel]]) -> None:
        """Write from now on with the model that `lent()` holds out, whole and playing this role, for a call."""
        self._lent = lent

    def give_back(self) -> None:
        """Hold on to nothing of the training."""
        self._lent = self.model = None
        self._writer.pixels.forget()

    def sample(self, *asked: Any, **how: Any) -> list[list[Completion]]:
        """As `LocalSampler`, with the same completions."""
        if self._lent is None:
            raise RuntimeError(f"{self.checkpoint} can write only while a training lends it its model")
        with self._lent() as self.model:
            return super().sample(*asked, **how)
