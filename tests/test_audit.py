"""Silver answers against the truth, counted by hand on one small scene."""

from dataclasses import replace

import pytest

from visplay.records import UNANSWERABLE, Ballot, Question, QuestionType, SilverAnswer
from visplay.worlds.audit import Audit, audit, true_answer
from visplay.worlds.scenes import Scene, Thing

SCENES = {
    "red circle": Scene("pool", 0, (Thing(0, 0, "small", "red", "circle"), Thing(2, 2, "large", "blue", "3"))),
    "blue circle": Scene("pool", 1, (Thing(0, 2, "small", "blue", "circle"), Thing(1, 1, "large", "blue", "4"))),
}


def row(
    text: str,
    silver: str,
    kind: QuestionType = "short_text",
    image: str = "red circle",
    choices: tuple[str, ...] = (),
    dropped: str | None = None,
) -> SilverAnswer:
    question = Question("id", image, kind, text, choices)
    ballot = Ballot((silver,) * 2, silver, 1.0, False, 2)
    return SilverAnswer(image, question, ballot, dropped, "questioner", "reasoner")


RIGHT = row("What color is the circle?", "red")
ELSEWHERE = row("What color is the circle?", "red", image="blue circle")
WRONG = row("How many objects are there?", "3", "numerical")
ILL_POSED = row("What color is the cross?", "red")
OUTSIDE = row("What is the mood of the picture?", "calm")


def test_shares_by_hand() -> None:
    assert audit([RIGHT, RIGHT, RIGHT, ELSEWHERE, WRONG, ILL_POSED, ILL_POSED, OUTSIDE], SCENES.__getitem__) == Audit(
        silver_accuracy=3 / 8,
        well_posed_accuracy=3 / 5,
        ill_posed_share=2 / 8,
        outside_grammar_share=1 / 8,
        trust_auroc=0.5,  # all votes agree on each
    )


def test_an_ill_posed_question_is_right_only_when_called_unanswerable() -> None:
    told = row("What color is the cross?", UNANSWERABLE)
    needless = row("What color is the circle?", UNANSWERABLE)
    assert audit([RIGHT, told, needless, ILL_POSED], SCENES.__getitem__) == Audit(2 / 4, 1 / 2, 2 / 4, 0.0, 0.5)


def test_of_dropped_rows_only_the_trust_is_judged() -> None:
    unparsed = SilverAnswer("no such image", None, None, "unparsed question", "questioner", "reasoner", "hm")
    hard = replace(row("How many objects are there?", "3", "numerical", dropped="too hard"), trust=0.2)
    assert audit([unparsed, RIGHT, hard], SCENES.__getitem__) == Audit(1.0, 1.0, 0.0, 0.0, 1.0)


def test_trust_counts_before_confidence_and_ties_by_half() -> None:
    rows = [replace(RIGHT, trust=0.7), replace(WRONG, trust=0.7), replace(WRONG, trust=0.1), RIGHT]
    # pairs of right and wrong: .7 over .7 and .1, 1 (its confidence) over both
    assert audit(rows, SCENES.__getitem__).trust_auroc == (0.5 + 1 + 1 + 1) / 4


def test_shares_of_nothing_are_none() -> None:
    assert audit([], SCENES.__getitem__) == Audit(None, None, None, None, None)
    assert audit([ILL_POSED, OUTSIDE], SCENES.__getitem__) == Audit(0.0, None, 0.5, 0.5, None)


@pytest.mark.parametrize("kind, silver", [("numerical", "2"), ("short_text", "two"), ("numerical", "2.0")])
def test_a_silver_answer_is_compared_as_its_question_says(kind: QuestionType, silver: str) -> None:
    assert audit([row("How many objects are there?", silver, kind)], SCENES.__getitem__).silver_accuracy == 1


def test_options_are_compared_by_letter() -> None:
    text, options = "Where is the 3? (A) northwest (B) southeast", ("northwest", "southeast")
    rows = [row(text, letter, "multiple_choice", choices=options) for letter in "AB"]
    assert [audit([one], SCENES.__getitem__).silver_accuracy for one in rows] == [0, 1]


@pytest.mark.parametrize("asked, expected", [(RIGHT, "red"), (WRONG, "2"), (ILL_POSED, UNANSWERABLE), (OUTSIDE, None)])
def test_the_true_answer(asked: SilverAnswer, expected: str | None) -> None:
    assert asked.question is not None
    assert true_answer(asked.question, SCENES["red circle"]) == expected
