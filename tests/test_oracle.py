"""What the oracle of the audit knows about a candidate, by hand on one small scene."""

from __future__ import annotations

import pytest

from visplay.records import UNANSWERABLE, Ballot, Question, SilverAnswer
from visplay.worlds.oracle import judged
from visplay.worlds.scenes import Scene, Thing

SCENE = Scene("audit", 0, (Thing(0, 0, "small", "red", "circle"), Thing(2, 2, "large", "blue", "3")))


def row(text: str, silver: str | None, dropped: str | None = None) -> SilverAnswer:
    ballot = Ballot((silver,) * 4, silver, None if silver is None else 0.75, False, 4)
    return SilverAnswer("image", Question("q", "image", "short_text", text), ballot, dropped, "q", "r")


@pytest.mark.parametrize(
    ("text", "silver", "well_formed", "answerable", "right"),
    [
        ("What color is the circle?", "red", True, True, True),
        ("What color is the circle?", "blue", True, True, False),
        ("What color is the circle?", UNANSWERABLE, True, True, False),
        ("What color is the cross?", "red", True, False, False),
        ("What color is the cross?", UNANSWERABLE, True, False, True),
        ("What is the mood?", "calm", False, None, None),
        ("What color is the circle?", None, True, True, None),
    ],
)
def test_each_candidate_gets_one_judgement(
    text: str, silver: str | None, well_formed: bool, answerable: bool | None, right: bool | None
) -> None:
    found = judged(row(text, silver), SCENE)
    assert (found.well_formed, found.answerable, found.right) == (well_formed, answerable, right)


def test_dropped_rows_are_judged_too_and_keep_their_reason_and_confidence() -> None:
    found = judged(row("What color is the circle?", "red", "too easy"), SCENE)
    assert (found.dropped, found.right, found.confidence, found.truth) == ("too easy", True, 0.75, "red")


def test_a_completion_that_is_no_question_is_not_well_formed_and_neither_right_nor_wrong() -> None:
    found = judged(SilverAnswer("image", None, None, "unparsed question", "q", "r", "hm"), SCENE)
    assert (found.well_formed, found.answerable, found.right, found.type) == (False, None, None, None)
