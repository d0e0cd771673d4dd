"""What the roles are paid: each equation by hand, and every way a question earns nothing or is left out."""

from collections.abc import Sequence
from typing import Any

import pytest

from visplay.recipe import QuestionerSettings
from visplay.records import Ballot, Question
from visplay.roles.rewards import difficulty, questioner_reward, questioner_rewards, reasoner_reward

QUESTION = Question("q", "image", "numerical", "how many?")
RELEASED = QuestionerSettings(difficulty="released", relu=False, invalid_reward=-1.0)


def ballot(answer: str | None, confidence: float | None, parsed: int = 10) -> Ballot:
    """Ten votes; what the votes were is not looked at."""
    return Ballot(votes=(None,) * 10, answer=answer, confidence=confidence, tied=False, parsed=parsed)


def pay(
    question: Question | None,
    votes: Ballot | None,
    size: int = 1,
    settings: QuestionerSettings | None = None,
    groups: Sequence[str] = ("image",),
) -> float | None:
    """The reward of one completion, beside `len(groups) - 1` unparsable ones."""
    others = len(groups) - 1
    questions, ballots = [question] + [None] * others, [votes] + [None] * others
    settings = settings or QuestionerSettings()
    return questioner_rewards(questions, ballots, [size] + [0] * others, groups, settings, min_parsed=5)[0]


@pytest.mark.parametrize("confidence, expected", [(0, 0), (0.25, 0.5), (0.5, 1), (0.7, 0.6), (1, 0)])
def test_paper_difficulty_peaks_at_one_half(confidence: float, expected: float) -> None:
    assert difficulty(confidence) == pytest.approx(expected)


@pytest.mark.parametrize("confidence, expected", [(0, 0), (0.25, 0.25), (0.5, 0.5), (0.7, 0.3), (1, 0)])
def test_released_difficulty_is_half_as_steep(confidence: float, expected: float) -> None:
    assert difficulty(confidence, "released") == pytest.approx(expected)


@pytest.mark.parametrize(
    "confidence, options, expected", [(0.5, 2, 0), (0.75, 2, 1), (1, 2, 0), (0.625, 4, 1), (0.5, None, 1), (0.4, 2, 0)]
)
def test_corrected_difficulty_peaks_half_way_from_chance(
    confidence: float, options: int | None, expected: float
) -> None:
    assert difficulty(confidence, "corrected", options) == pytest.approx(expected)


def test_a_torn_yes_or_no_is_paid_nothing_by_corrected_difficulty() -> None:
    yes_no = Question("q", "image", "multiple_choice", "is it?")
    settings = QuestionerSettings(difficulty="corrected", diversity_weight=0)
    assert pay(yes_no, ballot("yes", 0.5), settings=settings) == 0
    assert pay(QUESTION, ballot("3", 0.5), settings=settings) == 1


def test_difficulty_refuses_what_is_no_share_and_no_variant() -> None:
    with pytest.raises(ValueError, match=r"1\.5 is not in \[0, 1\]"):
        difficulty(1.5)
    with pytest.raises(ValueError, match="nan"):
        difficulty(float("nan"))
    with pytest.raises(ValueError, match="'harder' is unknown; use paper, released or corrected"):
        difficulty(0.5, "harder")


def test_a_question_is_paid_its_difficulty_less_its_share_of_the_group() -> None:
    assert questioner_reward(0.5, 1, 8, weight=1.0, variant="paper") == 0.875
    assert questioner_reward(0.5, 2, 8, weight=0.5, variant="released") == 0.375


def test_the_reward_stops_at_zero_unless_relu_is_off() -> None:
    assert questioner_reward(0.9, 8, 8, weight=1.0, variant="paper") == 0
    assert questioner_reward(0.9, 8, 8, weight=1.0, variant="paper", relu=False) == pytest.approx(-0.8)


def test_a_batch_uses_each_questions_own_group_and_counts_its_invalid_neighbours() -> None:
    rewards = questioner_rewards(
        [QUESTION, QUESTION, None, QUESTION],
        [ballot("3", 0.5), ballot("4", 0.6), None, ballot("5", 0.5)],
        [2, 2, 0, 1],
        ["p", "p", "p", "q"],
        QuestionerSettings(),
        min_parsed=5,
    )
    assert rewards == pytest.approx([1 - 2 / 3, 0.8 - 2 / 3, 0, 0])


def test_an_invalid_question_gets_the_recipes_reward() -> None:
    assert pay(None, None) == 0
    assert pay(None, None, settings=RELEASED) == -1


def test_the_released_codes_reward_is_available_by_name() -> None:
    assert pay(QUESTION, ballot("3", 0.7), settings=RELEASED, groups=["batch"] * 4) == pytest.approx(0.3 - 1 / 4)
    assert pay(QUESTION, ballot("3", 1.0), size=2, settings=RELEASED, groups=["batch"] * 4) == -0.5


def test_the_diversity_weight_of_the_recipe_scales_the_penalty() -> None:
    assert pay(QUESTION, ballot("3", 0.5), settings=QuestionerSettings(diversity_weight=0.25)) == 0.75


def test_a_question_is_charged_as_far_as_it_is_answered_alike_without_its_image() -> None:
    def paid(blind: float | None, **settings: Any) -> float | None:
        wanted = QuestionerSettings(diversity_weight=0, **settings)
        return questioner_rewards([QUESTION], [ballot("3", 0.5)], [1], ["image"], wanted, 5, [blind])[0]

    assert paid(0.5, blind_weight=0.5) == 0.75
    assert paid(1.0, blind_weight=2) == 0
    assert paid(1.0, blind_weight=2, relu=False) == -1
    assert paid(None, blind_weight=0.5) is None
    assert paid(None) == paid(1.0) == 1


def test_votes_that_could_not_be_had_leave_the_question_out() -> None:
    assert pay(QUESTION, None) is None
    assert pay(QUESTION, ballot(None, None, parsed=0)) is None
    assert pay(QUESTION, ballot("3", 0.4, parsed=4)) is None
    assert pay(QUESTION, ballot("3", 0.5, parsed=5), groups=["image"] * 2) == 0.5


def test_a_question_that_the_majority_calls_unanswerable_has_no_difficulty() -> None:
    unanswerable, easy = ballot("unanswerable", 0.5), ballot("3", 1.0)
    assert pay(QUESTION, unanswerable, groups=["image"] * 4) == 0
    # without the max(0, .): 0 - 1 / 4, as for a question that everybody answers alike
    assert [pay(QUESTION, each, settings=RELEASED, groups=["batch"] * 4) for each in (unanswerable, easy)] == [
        -0.25
    ] * 2


def test_sequences_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        questioner_rewards([QUESTION], [], [1], ["p"], QuestionerSettings(), min_parsed=5)


@pytest.mark.parametrize("correct, parsed, expected", [(True, True, 1), (False, True, 0.1), (False, False, 0)])
def test_the_reasoner_is_paid_for_the_answer_and_a_little_for_its_form(
    correct: bool, parsed: bool, expected: float
) -> None:
    assert reasoner_reward(correct, parsed, format_weight=0.1) == pytest.approx(expected)


def test_without_format_weight_the_reasoners_reward_is_binary() -> None:
    assert reasoner_reward(True, True, format_weight=0) == 1
    assert reasoner_reward(False, True, format_weight=0) == 0


@pytest.mark.parametrize("parsed", [True, False])
def test_correctness_that_could_not_be_found_out_leaves_the_completion_out(parsed: bool) -> None:
    assert reasoner_reward(None, parsed, format_weight=0.1) is None
