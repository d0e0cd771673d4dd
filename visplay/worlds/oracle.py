"""The oracle of the audit: a candidate question and its silver answer, held against the scene. Only for measuring."""

from __future__ import annotations

from visplay.evaluation.trust import Audited, audited
from visplay.labels.answers import same
from visplay.records import UNANSWERABLE, SilverAnswer
from visplay.worlds.audit import true_answer
from visplay.worlds.scenes import Scene


def judged(row: SilverAnswer, scene: Scene) -> Audited:
    """What the world knows about a candidate, kept or dropped.

    Well-formed is a question that the world can read, answerable one that has one true answer on this scene. A silver
    answer to an ill-posed question is right where it says so; to one that the world cannot read it is neither.
    """
    truth = true_answer(row.question, scene) if row.question else None
    well_formed = truth is not None
    said = row.ballot.answer if row.ballot else None
    right = None if truth is None or said is None or row.question is None else same(said, truth, row.question)
    return audited(row, truth, well_formed, truth != UNANSWERABLE if well_formed else None, right)
