"""Accuracy on questions whose answers are known: greedy, one sample, majority of n. No model here, only answers.

And what a gain is made of: a model may answer better, or only abstain less, or be cut off less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from visplay.evaluation.statistics import Difference, paired_difference, wilson
from visplay.labels.answers import canonical, same
from visplay.labels.voting import vote
from visplay.records import UNANSWERABLE, Question

Given = Literal["answer", "abstention", "nothing"]  # an answer is named, or called unanswerable, or cannot be parsed
PART_OF: Mapping[Given, str] = {"answer": "answers", "abstention": "abstention", "nothing": "format"}


@dataclass(frozen=True)
class Known:
    """A question, the group it is reported under, and its true answer."""

    question: Question
    family: str
    answer: str


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1]. An answer that cannot be parsed is wrong, and counted in `unparsed` (greedy): none was given,
    or one of another kind than its question, as in a vote. `abstained` is the share of "unanswerable", right or wrong.

    `correct` is the greedy verdict per item, in order, and `given` what it was given for. `one_sample` and `majority`
    are over the sampled items only.
    """

    greedy: float
    greedy_interval: tuple[float, float]
    by_family: dict[str, float]
    unparsed: int
    abstained: float
    correct: tuple[bool, ...]
    given: tuple[Given, ...]
    one_sample: float | None
    majority: float | None


def accuracy(items: Sequence[Known], greedy: Sequence[str | None], samples: Sequence[Sequence[str | None]]) -> Accuracy:
    """Score the greedy answers to all items, and n sampled answers to the first len(samples) of them."""
    correct = tuple(_right(item, answer) for item, answer in zip(items, greedy, strict=True))
    given = tuple(_given(item, answer) for item, answer in zip(items, greedy, strict=True))
    sampled = list(zip(items, samples, strict=False))
    return Accuracy(
        greedy=fmean(correct),
        greedy_interval=wilson(sum(correct), len(correct)),
        by_family=_by_family(items, correct),
        unparsed=given.count("nothing"),
        abstained=given.count("abstention") / len(given),
        correct=correct,
        given=given,
        one_sample=fmean(_right(item, answer) for item, answers in sampled for answer in answers) if sampled else None,
        majority=fmean(_right(item, vote(answers, item.question).answer) for item, answers in sampled)
        if sampled
        else None,
    )


def gain_parts(
    correct: Sequence[bool], given: Sequence[Given], base_correct: Sequence[bool], base_given: Sequence[Given]
) -> dict[str, Difference]:
    """A greedy gain over a base as a sum of three, each with its interval, in [-1, 1], over the same questions.

    `format`: of questions whose answer could not be parsed on either side; `abstention`: of the others that either side
    calls unanswerable; `answers`: of those that both name an answer to, which alone are about knowing more.
    Raises ValueError for unequal lengths.
    """
    kinds = [_part(*pair) for pair in zip(given, base_given, strict=True)]

    def of(part: str) -> Difference:
        now, before = ([kind == part and right for kind, right in zip(kinds, side, strict=True)] for side in sides)
        return paired_difference(now, before)

    sides = (correct, base_correct)
    return {part: of(part) for part in PART_OF.values()}


def _part(now: Given, before: Given) -> str:
    return PART_OF[max(now, before, key=list(PART_OF).index)]


def _given(item: Known, answer: str | None) -> Given:
    said = None if answer is None else canonical(answer, item.question)
    return "nothing" if said is None else "abstention" if said == UNANSWERABLE else "answer"


def _right(item: Known, answer: str | None) -> bool:
    return answer is not None and same(answer, item.answer, item.question)


def _by_family(items: Sequence[Known], correct: Sequence[bool]) -> dict[str, float]:
    families = dict.fromkeys(item.family for item in items)
    return {
        family: fmean(right for item, right in zip(items, correct, strict=True) if item.family == family)
        for family in families
    }
