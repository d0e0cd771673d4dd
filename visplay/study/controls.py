"""Controls, which replace silver answers before the Reasoner is trained on them: what are the labels worth?

shuffled   the kept rows with their silver answers dealt out anew among questions of the same type
true       the kept rows with the world's true answers; questions that have none are dropped, or answered
           "unanswerable" where the recipe keeps such rows: the ceiling of what better labels could bring
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from visplay.records import UNANSWERABLE, SilverAnswer
from visplay.staging import Control, SceneOf
from visplay.worlds.audit import true_answer

# Why a control drops a row.
OUTSIDE = "outside grammar"  # the world cannot read its question
ILL_POSED = "ill-posed"  # its question has no answer, and the silver answer does not say so


def shuffled(rows: Sequence[SilverAnswer], _: SceneOf) -> list[SilverAnswer]:
    """Kept rows with the silver answers of their type permuted at random, yes/no apart from lettered options."""
    groups: dict[tuple[str, int], list[int]] = {}
    for i, row in enumerate(rows):
        if row.dropped is None and row.question is not None:
            groups.setdefault((row.question.type, len(row.question.choices)), []).append(i)
    answers: dict[int, int] = {}
    for group in groups.values():
        answers |= dict(zip(group, random.Random(0).sample(group, len(group)), strict=True))
    return [_with_answer(row, _answer(rows[answers[i]])) if i in answers else row for i, row in enumerate(rows)]


def true(rows: Sequence[SilverAnswer], scene_of: SceneOf) -> list[SilverAnswer]:
    """Kept rows with true answers: perfect labels, and a perfect eye for questions that have none.

    An ill-posed question stays where its silver answer says so. All of them answered "unanswerable" would teach less:
    they are a fifth of some loops' rows and three quarters of a family's, so that training learns to say nothing else.
    """
    return [_with_truth(row, scene_of) if row.dropped is None else row for row in rows]


CONTROLS = {"shuffled": Control("shuffled", shuffled), "true": Control("true", true)}


def _with_truth(row: SilverAnswer, scene_of: SceneOf) -> SilverAnswer:
    assert row.question is not None
    answer = true_answer(row.question, scene_of(row.image_id))
    if answer is None or (answer == UNANSWERABLE and _answer(row) != UNANSWERABLE):
        return dataclasses.replace(row, dropped=OUTSIDE if answer is None else ILL_POSED)
    return _with_answer(row, answer)


def _with_answer(row: SilverAnswer, answer: str) -> SilverAnswer:
    assert row.ballot is not None
    return dataclasses.replace(row, ballot=dataclasses.replace(row.ballot, answer=answer))


def _answer(row: SilverAnswer) -> str:
    assert row.ballot is not None and row.ballot.answer is not None
    return row.ballot.answer
