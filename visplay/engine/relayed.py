"""A sampler that process 0 alone has, such as one behind servers: what it draws, all processes get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visplay.engine.prompts import Request
from visplay.engine.sampling import Completion, Sampler
from visplay.runs.processes import Processes, lead


class RelayedSampler:
    """All processes make the same calls; `sampler` is None in all but process 0, whose errors end all of them."""

    def __init__(self, sampler: Sampler | None, processes: Processes) -> None:
        self.unanswered = 0
        self._sampler, self._processes = sampler, processes

    def sample(
        self, requests: Sequence[Request], n: int, max_new_tokens: int, seed: int, **how: Any
    ) -> list[list[Completion]]:
        """As in `Sampler`."""

        def draw() -> tuple[list[list[Completion]], int]:
            assert self._sampler is not None
            return self._sampler.sample(requests, n, max_new_tokens, seed, **how), self._sampler.unanswered

        drawn, self.unanswered = lead(self._processes, draw)
        return drawn
