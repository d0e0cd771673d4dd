"""Accuracy on questions whose answers are known: greedy, one sample, majority of n. No model here, only answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from visplay.evaluation.statistics import wilson
from visplay.labels.answers import canonical, same
from visplay.labels.voting import vote
from visplay.records import Question


@dataclass(frozen=True)
class Known:
    """A question, the group it is reported under, and its true answer."""

    question: Question
    family: str
    answer: str


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1]. An answer that cannot be parsed is wrong, and counted in `unparsed` (greedy): none was given,
    or one of another kind than its question, as in a vote.

    `correct` is the greedy verdict per item, in order. `one_sample` and `majority` are over the sampled items only.
    """

    greedy: float
    greedy_interval: tuple[float, float]
    by_family: dict[str, float]
    unparsed: int
    correct: tuple[bool, ...]
    one_sample: float | None
    majority: float | None


def accuracy(items: Sequence[Known], greedy: Sequence[str | None], samples: Sequence[Sequence[str | None]]) -> Accuracy:
    """Score the greedy answers to all items, and n sampled answers to the first len(samples) of them."""
    correct = tuple(_right(item, answer) for item, answer in zip(items, greedy, strict=True))
    sampled = list(zip(items, samples, strict=False))
    return Accuracy(
        greedy=fmean(correct),
        greedy_interval=wilson(sum(correct), len(correct)),
        by_family=_by_family(items, correct),
        unparsed=sum(not _parsed(item, answer) for item, answer in zip(items, greedy, strict=True)),
        correct=correct,
        one_sample=fmean(_right(item, answer) for item, answers in sampled for answer in answers) if sampled else None,
        majority=fmean(_right(item, vote(answers, item.question).answer) for item, answers in sampled)
        if sampled
        else None,
    )


def _parsed(item: Known, answer: str | None) -> bool:
    return answer is not None and canonical(answer, item.question) is not None


def _right(item: Known, answer: str | None) -> bool:
    return answer is not None and same(answer, item.answer, item.question)


def _by_family(items: Sequence[Known], correct: Sequence[bool]) -> dict[str, float]:
    families = dict.fromkeys(item.family for item in items)
    return {
        family: fmean(right for item, right in zip(items, correct, strict=True) if item.family == family)
        for family in families
    }
