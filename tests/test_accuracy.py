"""Accuracy on known answers, worked by hand: greedy with its interval, by family, one sample, majority."""

import pytest

from visplay.evaluation.accuracy import Accuracy, Known, accuracy, gain_parts
from visplay.records import Question

COLOR = Known(Question("1", "image", "short_text", "What color is the circle?"), "color", "red")
COUNT = Known(Question("2", "image", "numerical", "How many circles are there?"), "count", "3")
EXISTS = Known(Question("3", "image", "multiple_choice", "Is there a circle?"), "exists", "yes")
WHERE = Known(
    Question("4", "image", "multiple_choice", "Where? (A) north (B) northeast", ("north", "northeast")),
    "choice",
    "B",
)


def test_one_half_right_by_hand() -> None:
    score = accuracy([COLOR, COUNT, EXISTS, WHERE], ["Red.", "4", None, "(B)"], [])
    assert score.greedy_interval == pytest.approx((0.150, 0.850), abs=5e-4)  # Wilson, 2 of 4
    assert score == Accuracy(
        greedy=0.5,
        greedy_interval=score.greedy_interval,
        by_family={"color": 1.0, "count": 0.0, "exists": 0.0, "choice": 1.0},
        unparsed=1,
        abstained=0.0,
        correct=(True, False, False, True),
        given=("answer", "answer", "nothing", "answer"),
        one_sample=None,
        majority=None,
    )


def test_a_family_is_the_mean_of_its_items_in_order_of_first_sight() -> None:
    score = accuracy([COUNT, COLOR, COUNT, COUNT], ["3", "red", "2", "three"], [])
    assert list(score.by_family.items()) == [("count", pytest.approx(2 / 3)), ("color", 1.0)]


def test_an_answer_of_another_kind_is_wrong_and_unparsed() -> None:
    score = accuracy([COUNT, EXISTS, WHERE, COLOR], ["many", "perhaps", "east", "blue"], [])
    assert (score.greedy, score.unparsed) == (0.0, 3)


@pytest.mark.parametrize("answer", ["B", "b", "northeast", "(B) northeast"])
def test_an_option_is_right_by_letter_and_by_text(answer: str) -> None:
    assert accuracy([WHERE], [answer], []).greedy == 1


def test_what_cannot_be_answered_must_be_called_so() -> None:
    item = Known(COLOR.question, "color", "unanswerable")
    score = accuracy([item, item, item, COUNT], ["unanswerable", "red", None, "unanswerable"], [])
    assert score.correct == (True, False, False, False)
    assert score.given == ("abstention", "answer", "nothing", "abstention")
    assert (score.abstained, score.unparsed) == (0.5, 1)


def test_a_gain_is_the_sum_of_other_answers_less_abstention_and_what_parses_now() -> None:
    base = accuracy(
        [COLOR, COUNT, EXISTS, WHERE] * 2, ["blue", "3", "unanswerable", "north"] + ["red"] + [None] * 3, []
    )
    now = accuracy([COLOR, COUNT, EXISTS, WHERE] * 2, ["red", "3", "yes", None] + ["unanswerable", "3", "no", "B"], [])
    parts = gain_parts(now.correct, now.given, base.correct, base.given)
    # other answers: color +1. Abstention: exists +1, the second color -1. Format: the second count and option +1 each.
    assert {name: part.mean for name, part in parts.items()} == {"answers": 1 / 8, "abstention": 0.0, "format": 2 / 8}
    assert sum(part.mean for part in parts.values()) == now.greedy - base.greedy
    assert all(part.low <= part.mean <= part.high for part in parts.values())


def test_a_loss_has_parts_too_and_needs_the_same_questions() -> None:
    parts = gain_parts((False, False), ("answer", "abstention"), (True, True), ("answer", "answer"))
    assert [part.mean for part in parts.values()] == [-0.5, -0.5, 0.0]
    with pytest.raises(ValueError):
        gain_parts((True,), ("answer",), (True, True), ("answer", "answer"))


def test_samples_of_the_first_items_give_one_sample_and_majority() -> None:
    samples: list[list[str | None]] = [
        ["red", "red", "blue", None],
        ["3", "2", "2", "2"],
    ]  # 2 of 4 and 1 of 4 right; majorities red and 2
    score = accuracy([COLOR, COUNT, EXISTS], ["red", "3", "yes"], samples)
    assert (score.one_sample, score.majority, score.greedy) == (3 / 8, 1 / 2, 1.0)


def test_a_majority_without_a_vote_is_wrong() -> None:
    score = accuracy([COLOR], ["red"], [[None, None]])
    assert (score.one_sample, score.majority) == (0.0, 0.0)


def test_every_item_needs_a_greedy_answer() -> None:
    with pytest.raises(ValueError):
        accuracy([COLOR, COUNT], ["red"], [])
