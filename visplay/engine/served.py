"""Draw completions from vLLM servers: `Sampler` over HTTP, for asking, voting and evaluation by frozen roles.

The n samples of a request are one call, its picture before its question, so that a server reads each prompt once.
Requests go to whichever server is free; a completion belongs to its request by number, never by the order of arrival.

What is missing is missing: a call that fails is tried again, at the next server, a bounded number of times; then its
samples, and those that a short answer lacks, are counted in `unanswered`. They are neither votes nor empty answers.
More of them than `sampling.max_unanswered` of what was asked for end the run.

Before anything is asked, a server is verified (`refuse_stranger`). It must serve the model under a name that holds the
hash of its files, so a server left over from an earlier checkpoint refuses every call; and it must read our smallest
and our largest picture, with text, as the very tokens that the processor makes here. That does not prove that the
weights in its memory are those of the files, which only another copy of the model could tell: it trusts whoever gave
the server its name. A run that starts its servers itself does so with the checkpoint's own folder.

Deviation from the engine transformers: the same seed need not give the same completions, as a server's arithmetic
depends on what else it reads at the time.
"""

from __future__ import annotations

import logging
import random
import shlex
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm
from transformers import ProcessorMixin

from visplay.endpoint import Chat, Endpoint, EndpointError, Message, Pause, ask
from visplay.engine import lora, models
from visplay.engine.arrivals import as_they_come
from visplay.engine.prompts import Request, chat_content, encode
from visplay.engine.sampling import Completion, Drawn
from visplay.images import TOKEN_SIDE, fitted_size
from visplay.recipe import PoolSettings, SamplingSettings

_NEVER = -100  # the lowest bias of the protocol: e^-100 is no chance
_PROBE = "Which of these 2 is it:\n(A) caf\u00e9, (B) a < b?"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Servers:
    """Where one model is served. `pause` waits before another try, and may replace an endpoint that is gone."""

    endpoints: Sequence[Endpoint]
    pause: Pause


def served_name(model: str | Path) -> str:
    """What the servers of a model must call it: its identity, so that no other model goes by the name."""
    return f"visplay-{models.identity(model)[:16]}"


def how_to_serve(model: str | Path) -> str:
    """The command for it; an adapter is merged first."""
    path = shlex.quote(str(model))
    merge = f"python tools/export.py {path} --out MERGED && " if lora.is_adapter(model) else ""
    return f"{merge}vllm serve {'MERGED' if merge else path} --served-model-name {served_name(model)}"


class ServedSampler:
    """A model behind servers that are up. Raises EndpointError for a server that is not fit to be asked."""

    def __init__(self, model: str | Path, pool: PoolSettings, settings: SamplingSettings, servers: Servers) -> None:
        """`model` is the folder or hub id whose weights are served; only its processor is loaded here."""
        self.processor = models.load_processor(model, pool.min_tokens, pool.max_tokens)
        self.settings = settings
        self.unanswered = 0
        self._servers = servers
        self._banned, self._ends = models.stored_tokens(model, self.processor)
        for endpoint in servers.endpoints:
            refuse_stranger(endpoint, self.processor, pool, servers.pause)

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
        """As in `Sampler`. With `not_next`, n must be 1: the first token is then drawn by a call of its own.

        Raises EndpointError when more than `sampling.max_unanswered` of the samples stay unanswered.
        """
        if n != 1 and (greedy or not_next):
            raise ValueError(f"n = {n} with greedy={greedy}, not_next={not_next!r}; use n=1")
        shape: dict[str, Any] = {
            "n": n,
            "temperature": 0.0 if greedy else self.settings.temperature if temperature is None else temperature,
            "top_p": self.settings.top_p if top_p is None else top_p,
            # Said aloud, else a server takes what came with the model.
            **{"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "stop_token_ids": self._ends},
        }
        begun = [(request, begin) for request in requests]
        if not not_next:
            return self._drawn(begun, shape, max_new_tokens, str(seed), progress, tell=drawn)
        first_token = self.processor.tokenizer(not_next).input_ids[0]
        found = self._drawn(begun, shape, 1, f"{seed}/first", None, never=first_token)
        going = [i for i, one in enumerate(found) if max_new_tokens > 1 and one and one[0].truncated]
        begun = [(requests[i], found[i][0].text) for i in going]
        rest = self._drawn(begun, shape, max_new_tokens - 1, str(seed), progress)
        for i, one in zip(going, rest, strict=True):
            found[i] = one
        return found

    def _drawn(
        self,
        begun: Sequence[tuple[Request, str]],
        shape: dict[str, Any],
        max_tokens: int,
        seed: str,
        progress: str | None,
        never: int | None = None,
        tell: Drawn | None = None,
    ) -> list[list[Completion]]:
        """The completions of each request with its beginning, in order, however they come back."""
        banned = [*self._banned, *([] if never is None else [never])]
        shape = shape | {"max_tokens": max_tokens, "logit_bias": {str(token): _NEVER for token in banned}}

        def draw(i: int, worker: int) -> Chat | EndpointError:
            own_seed = {"seed": random.Random(f"{seed}/{i}").getrandbits(32)}
            return self._asked(*begun[i], shape | own_seed, worker)

        n, holes = shape["n"], _Holes(len(begun) * shape["n"], self.settings.max_unanswered)
        workers = max(1, self.settings.batch // n) * len(self._servers.endpoints)
        answers: list[list[Completion]] = [[] for _ in begun]
        with (
            tqdm(total=len(begun), desc=progress, unit="prompt", disable=None if progress else True) as bar,
            closing(as_they_come(draw, len(begun), workers)) as arriving,
        ):
            for i, found in arriving:
                replies = () if isinstance(found, EndpointError) else found.replies
                answers[i] = [Completion(begun[i][1] + reply.text, reply.truncated) for reply in replies]
                if tell:
                    tell(i, answers[i])
                if len(replies) < n:
                    self.unanswered += n - len(replies)
                    holes.add(n - len(replies), found)
                bar.update()
        holes.tell()
        return answers

    def _asked(self, request: Request, begin: str, shape: dict[str, Any], first: int) -> Chat | EndpointError:
        """What came back, or why nothing did."""
        servers = self._servers
        try:
            found = ask(servers.endpoints, _messages(request, begin), shape | _continued(begin), servers.pause, first)
        except EndpointError as error:
            return error
        if found.kept_apart:
            raise EndpointError(
                "the servers keep thoughts apart from the answer; start them without --reasoning-parser"
            )
        if len(found.replies) > shape["n"]:
            return EndpointError(f"{len(found.replies)} choices came back instead of {shape['n']}")
        return found


def refuse_stranger(endpoint: Endpoint, processor: ProcessorMixin, pool: PoolSettings, pause: Pause) -> None:
    """Raise EndpointError unless the server has the model under its name, and reads our prompts as we do."""
    if endpoint.model not in (found := endpoint.models()):
        raise EndpointError(f"{endpoint.url} serves {', '.join(found) or 'nothing'} and not {endpoint.model}")
    for request, begin in probes(pool):
        shape = {"temperature": 0, "max_tokens": 1, "return_token_ids": True, **_continued(begin)}
        heard = ask([endpoint], _messages(request, begin), shape, pause)
        expected = tuple(encode(processor, [request], begin)["input_ids"][0].tolist())
        if heard.model not in (None, endpoint.model):
            raise EndpointError(f"{endpoint.url} was asked for {endpoint.model}, and {heard.model} answered")
        if heard.prompt_ids is None:
            raise EndpointError(f"{endpoint.url} does not tell prompt_token_ids; use a vLLM that has return_token_ids")
        if heard.prompt_ids != expected:
            raise EndpointError(
                f"{endpoint.url} reads a prompt with a picture of {request[0].size} as {len(heard.prompt_ids)} tokens, "
                f"and not as the {len(expected)} that the processor of {endpoint.model} makes; start it on the same "
                f"files, without a chat template, --mm-processor-kwargs or limits of its own"
            )


def probes(pool: PoolSettings) -> list[tuple[tuple[Image.Image, str], str]]:
    """What a server is verified by: requests with the smallest and the largest picture, and how their answers begin."""
    sizes = (fitted_size(side, side, pool) for side in (TOKEN_SIDE, pool.max_tokens * TOKEN_SIDE))
    return [((Image.new("RGB", size), _PROBE), begin) for size, begin in zip(sizes, ("", "<think>"), strict=True)]


class _Holes:
    """The samples of one call that stayed unanswered, which may be so many and no more."""

    def __init__(self, total: int, limit: float) -> None:
        self._total, self._limit, self._missing, self._why = total, limit, 0, ""

    def add(self, missing: int, found: Chat | EndpointError) -> None:
        self._missing += missing
        self._why = str(found) if isinstance(found, EndpointError) else f"only {len(found.replies)} choices came back"
        if self._missing > self._limit * self._total:
            raise EndpointError(
                f"{self._missing} of {self._total} samples stayed unanswered, more than a share of {self._limit:g} "
                f"(sampling.max_unanswered); see to the servers and run the same command again. The last: {self._why}"
            )

    def tell(self) -> None:
        if self._missing:
            log.warning("%d of %d samples stayed unanswered; the last: %s", self._missing, self._total, self._why)


def _messages(request: Request, begin: str) -> list[Message]:
    asked = {"role": "user", "content": chat_content(request)}
    return [asked, {"role": "assistant", "content": begin}] if begin else [asked]


def _continued(begin: str) -> dict[str, bool]:
    return {"add_generation_prompt": False, "continue_final_message": True} if begin else {}
