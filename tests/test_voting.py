import pytest

from visplay.labels.voting import vote
from visplay.records import Ballot, Question

NUMERICAL = Question(id="q", image_id="i", type="numerical", text="How long?")
SHORT = Question(id="q", image_id="i", type="short_text", text="What?")
CHOICE = Question(id="q", image_id="i", type="multiple_choice", text="Which?", choices=("red", "blue"))


def test_votes_are_normal_forms_in_the_order_of_the_samples() -> None:
    ballot = vote(["blue", "(A)", None, "b", "purple"], CHOICE)
    assert ballot == Ballot(votes=("B", "A", None, "B", None), answer="B", confidence=0.4, tied=False, parsed=3)


def test_confidence_over_all_counts_unparsed_samples_in_the_denominator() -> None:
    assert vote(["cat", "cat", "dog", None], SHORT, confidence_over="all").confidence == 2 / 4


def test_confidence_over_parsed_leaves_them_out() -> None:
    assert vote(["cat", "cat", "dog", None], SHORT, confidence_over="parsed").confidence == 2 / 3


def test_another_denominator_is_refused() -> None:
    with pytest.raises(ValueError, match="'everything'; use 'all' or 'parsed'"):
        vote(["cat"], SHORT, confidence_over="everything")


def test_ties_break_by_first_seen_and_are_said() -> None:
    ballot = vote(["dog", "cat", "cat", "dog", "bird"], SHORT)
    assert (ballot.answer, ballot.confidence, ballot.tied) == ("dog", 0.4, True)


def test_unparsed_samples_never_win() -> None:
    ballot = vote([None, None, None, "cat"], SHORT)
    assert (ballot.answer, ballot.confidence, ballot.tied, ballot.parsed) == ("cat", 0.25, False, 1)


@pytest.mark.parametrize("samples", [[], [None, None], ["...", ""]])
def test_without_a_vote_there_is_no_answer_and_no_confidence(samples: list[str | None]) -> None:
    expected = Ballot(votes=(None,) * len(samples), answer=None, confidence=None, tied=False, parsed=0)
    assert vote(samples, SHORT) == expected
    assert vote(samples, SHORT, confidence_over="parsed") == expected


def test_unanswerable_is_a_vote_like_any_other() -> None:
    ballot = vote(["unanswerable", "cannot be answered", "cat"], SHORT)
    assert (ballot.answer, ballot.confidence) == ("unanswerable", 2 / 3)


def test_the_text_none_is_not_an_unparsed_sample() -> None:
    assert vote(["None", "none", "cat"], SHORT).answer == "none"


def test_two_units_never_share_a_group_through_a_number_without_one() -> None:
    ballot = vote(["12", "12 cm", "12 m", "12 cm"], NUMERICAL)
    assert (ballot.answer, ballot.confidence, ballot.tied) == ("12 cm", 0.75, False)


def test_the_answer_is_the_most_frequent_spelling_then_the_first_seen() -> None:
    assert vote(["12", "12 cm", "12 cm"], NUMERICAL).answer == "12 cm"
    assert vote(["12", "12 cm"], NUMERICAL).answer == "12"


def test_formulas_that_are_equal_vote_together() -> None:
    ballot = vote([r"\sqrt{8}", "3", r"2\sqrt{2}", "4"], NUMERICAL)
    assert (ballot.answer, ballot.confidence, ballot.tied) == (r"\sqrt{8}", 0.5, False)


def test_a_vote_that_cannot_be_graded_differs_from_the_others() -> None:
    ballot = vote(["9^{9^{9^{9}}}", r"\sqrt{2}", r"\sqrt{2}"], NUMERICAL)
    assert (ballot.answer, ballot.confidence) == (r"\sqrt{2}", 2 / 3)
