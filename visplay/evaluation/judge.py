"""The judge protocol: a model that the user names reads every response, as the benchmark's authors let one do.

    judge_with(Endpoint(...), benchmark.by_judge, verdicts.jsonl) -> Judge, for `scoring.score`

Figures depend on who judges: those by another model, or by other prompts, are not comparable, nor are published ones
unless their judge was the same. `facts` says so in the report, and `compare` refuses to mix them.

A verdict that could not be had is an error of its item: neither right nor wrong, in no figure, counted and named in the
report. Verdicts that were had are kept (`verdicts`), so the same command asks only for those that are missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any, TypeVar

from tqdm import tqdm

from visplay.endpoint import Endpoint, EndpointError
from visplay.errors import VisplayError
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.predictions import fingerprint
from visplay.evaluation.procedures import PROMPTS, Procedure
from visplay.evaluation.scoring import Judge
from visplay.evaluation.verdicts import Verdicts

T = TypeVar("T")

_READINGS = 2  # of a reply that is no verdict: servers are not quite deterministic
_HOPELESS = 8  # failures without any verdict, cached or new


class JudgeError(VisplayError, RuntimeError):
    """The judge never gave a verdict; the message has its last words."""


def judge_with(endpoint: Endpoint, procedure: Procedure, cache: Path, workers: int = 4) -> Judge:
    """A judge for `score` that asks the endpoint, `workers` responses at a time, and keeps replies in `cache`.

    It returns judgements in the order of the items, whatever came back first. It raises JudgeError when all goes wrong
    from the start, and VerdictError for a damaged cache.
    """

    def judge(items: Sequence[Item], predictions: Sequence[Prediction]) -> list[Judgement]:
        court = _Court(endpoint, Verdicts(cache))
        pool = ThreadPoolExecutor(workers)
        try:
            found = pool.map(partial(_judgement, procedure, court), items, predictions)
            return list(tqdm(found, desc="judge", total=len(items), unit="response", disable=None))
        finally:
            court.close()
            pool.shutdown(wait=False, cancel_futures=True)

    return judge


def facts(endpoint: Endpoint) -> dict[str, Any]:
    """What a report must say about the judge: `rule` for people, `judge` to tell what can be compared."""
    return {
        "rule": f"judged by {endpoint.model}; not comparable with figures by another judge",
        "judge": {"model": endpoint.model, "temperature": 0, "prompts": fingerprint(PROMPTS)},
        "judge_url": endpoint.url,
    }


def _judgement(procedure: Procedure, court: _Court, item: Item, prediction: Prediction) -> Judgement:
    try:
        return procedure(item, prediction, court.ask)
    except EndpointError as error:
        return Judgement(item.id, prediction.response, None, None, None, None, str(error))


class _Court:
    """Asks one endpoint for many threads; each prompt once, unless it failed."""

    def __init__(self, endpoint: Endpoint, verdicts: Verdicts) -> None:
        self._endpoint = endpoint
        self._verdicts = verdicts
        self._closed = Event()
        self._lock = Lock()
        self._turns: defaultdict[str, Lock] = defaultdict(Lock)
        self._failures = 0

    def ask(self, prompt: str, read: Callable[[str], T | None]) -> T:
        """The reply as `read` takes it. Raises EndpointError when it cannot be had, JudgeError when none ever was."""
        with self._lock:
            turn = self._turns[prompt]
        with turn:  # the versions of a problem often get one response: the second waits for the first's verdict
            kept = self._verdicts.get(self._endpoint.model, prompt)
            known = None if kept is None else read(kept)
            return self._fresh(prompt, read) if known is None else known

    def close(self) -> None:
        """Let no thread go on asking."""
        self._closed.set()

    def _fresh(self, prompt: str, read: Callable[[str], T | None]) -> T:
        reply = ""
        for _ in range(_READINGS):
            try:
                reply = self._endpoint.complete(prompt, self._pause)
            except EndpointError as error:
                raise self._failed(str(error)) from error
            found = read(reply)
            if found is not None:
                self._verdicts.add(self._endpoint.model, prompt, reply)
                return found
        raise self._failed(f"the judge's reply is no verdict: {reply[:200]!r}")

    def _failed(self, message: str) -> VisplayError:
        with self._lock:
            self._failures += 1
        if self._failures >= _HOPELESS and not len(self._verdicts):
            return JudgeError(f"{self._failures} times the judge was asked, and gave no verdict at all: {message}")
        return EndpointError(message)

    def _pause(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise EndpointError("stopped")
