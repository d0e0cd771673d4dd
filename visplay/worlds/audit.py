"""The audit: silver answers held against the truth of the world that drew the images. Only for measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from visplay.evaluation.trust import auroc
from visplay.labels.answers import same
from visplay.records import UNANSWERABLE, Question, SilverAnswer
from visplay.worlds import grammar
from visplay.worlds.scenes import Scene


@dataclass(frozen=True)
class Audit:
    """Shares in [0, 1] over the kept rows; None where no row could be judged.

    `silver_accuracy` counts an ill-posed question as right only where the silver answer says so, and one that nobody
    can judge as wrong; `well_posed_accuracy` leaves both out. `ill_posed_share` is of all ill-posed questions.
    `trust_auroc` is over all rows with a silver answer, kept or dropped: the chance that a right one has more trust
    (confidence, where the recipe asks for no trust) than one that is not.
    """

    silver_accuracy: float | None
    well_posed_accuracy: float | None
    ill_posed_share: float | None
    outside_grammar_share: float | None
    trust_auroc: float | None


def true_answer(question: Question, scene: Scene) -> str | None:
    """The one right answer, UNANSWERABLE for an ill-posed question, None when the world does not speak its language."""
    query = grammar.parse(question.text)
    return None if query is None else grammar.truth(scene, query)


def audit(rows: Sequence[SilverAnswer], scene_of: Callable[[str], Scene]) -> Audit:
    """Judge the kept rows; `scene_of` gives the scene behind an image id."""
    kept = [row for row in rows if row.dropped is None]
    verdicts = [_verdict(row, scene_of(row.image_id)) for row in kept]
    trusts: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        if row.question and row.ballot and row.ballot.answer is not None:
            right = _verdict(row, scene_of(row.image_id)) in ("right", "ill-posed and told so")
            trusts[right].append((row.ballot.confidence or 0.0) if row.trust is None else row.trust)
    well_posed = [verdict for verdict in verdicts if verdict in ("right", "wrong")]
    return Audit(
        silver_accuracy=_share(verdicts, "right", "ill-posed and told so"),
        well_posed_accuracy=_share(well_posed, "right"),
        ill_posed_share=_share(verdicts, "ill-posed", "ill-posed and told so"),
        outside_grammar_share=_share(verdicts, "outside grammar"),
        trust_auroc=auroc(trusts[True], trusts[False]),
    )


def _verdict(row: SilverAnswer, scene: Scene) -> str:
    assert row.question is not None and row.ballot is not None and row.ballot.answer is not None
    truth = true_answer(row.question, scene)
    if truth is None:
        return "outside grammar"
    if truth == UNANSWERABLE:
        return "ill-posed and told so" if row.ballot.answer == UNANSWERABLE else "ill-posed"
    return "right" if same(row.ballot.answer, truth, row.question) else "wrong"


def _share(verdicts: Sequence[str], *wanted: str) -> float | None:
    return sum(verdict in wanted for verdict in verdicts) / len(verdicts) if verdicts else None
