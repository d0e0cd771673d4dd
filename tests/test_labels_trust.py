"""What a share of votes is worth: each formula by hand."""

import pytest

from visplay.labels.trust import (
    band,
    calibrate,
    chance_corrected,
    in_band,
    kind,
    options,
    smoothed,
    trust_of,
    wanted,
    weight,
)
from visplay.labels.voting import vote
from visplay.recipe import LabelSettings
from visplay.recipe.schema import BandSettings
from visplay.records import Question

YES_NO = Question("q", "i", "multiple_choice", "Is it red?")
CHOICE = Question("q", "i", "multiple_choice", "Where? (A) a (B) b (C) c (D) d", ("a", "b", "c", "d"))
NUMBER = Question("q", "i", "numerical", "How many?")
TEXT = Question("q", "i", "short_text", "What color?")


def test_yes_and_no_are_a_kind_of_their_own_with_two_options() -> None:
    assert [kind(q) for q in (YES_NO, CHOICE, NUMBER, TEXT)] == ["yes_no", "multiple_choice", "numerical", "short_text"]
    assert [options(q) for q in (YES_NO, CHOICE, NUMBER, TEXT)] == [2, 4, None, None]


@pytest.mark.parametrize(
    ("confidence", "among", "expected"),
    [(0.5, 2, 0), (0.75, 2, 0.5), (1, 2, 1), (0.4, 2, 0), (0.25, 4, 0), (0.625, 4, 0.5), (0.3, None, 0.3)],
)
def test_a_guess_has_no_confidence_when_chance_is_taken_off(
    confidence: float, among: int | None, expected: float
) -> None:
    assert chance_corrected(confidence, among) == pytest.approx(expected)


def test_each_kind_may_have_a_band_of_its_own() -> None:
    settings = LabelSettings(bands=BandSettings(yes_no=[0.6, 1.0], numerical=[0.3, 0.5]))
    assert [band(q, settings) for q in (YES_NO, CHOICE, NUMBER)] == [(0.6, 1.0), (0.25, 0.75), (0.3, 0.5)]


def test_the_band_sees_the_corrected_confidence_only_when_asked_to() -> None:
    assert in_band(YES_NO, 0.6, LabelSettings()) == 0.6
    assert in_band(YES_NO, 0.6, LabelSettings(chance_corrected=True)) == 0.2  # no 0.19999999999999996
    assert in_band(NUMBER, 0.6, LabelSettings(chance_corrected=True)) == 0.6


@pytest.mark.parametrize(
    ("confidence", "votes", "among", "prior", "expected"),
    [
        (0.8, 10, 2, 1, 9 / 12),
        (0.8, 10, 4, 1, 9 / 14),
        (0.8, 10, None, 1, 9 / 12),  # the majority's answer, or any other
        (0.8, 20, 2, 1, 17 / 22),  # more votes, more certain
        (1, 10, 2, 0, 1),
        (0.8, 10, 2, 5, 13 / 20),
    ],
)
def test_a_share_is_drawn_to_chance_as_if_each_answer_had_more_votes(
    confidence: float, votes: int, among: int | None, prior: float, expected: float
) -> None:
    assert smoothed(confidence, votes, among, prior) == pytest.approx(expected)


def test_without_pairs_a_calibration_is_its_prior() -> None:
    assert calibrate([])(0.35) == 0.35
    assert calibrate([], lambda confidence: confidence / 2)(0.5) == 0.25


def test_a_calibration_is_drawn_to_what_was_true_and_never_falls() -> None:
    # At 0.5 the prior and three that were right: (0.5 + 3) / 4 = 0.875, above the prior at 0.6, 0.7 and 0.8.
    # Pooled with the first two it is (3.5 + 0.6 + 0.7) / 6 = 0.8.
    curve = calibrate([(0.5, True)] * 3)
    assert [curve(at) for at in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)] == pytest.approx([0.4, 0.8, 0.8, 0.8, 0.8, 0.9])
    assert curve(0.45) == pytest.approx(0.6)  # between two known ones


def test_many_pairs_outvote_the_prior() -> None:
    curve = calibrate([(1.0, i % 5 < 3) for i in range(500)])  # unanimous, and right three times out of five
    assert curve(1.0) == pytest.approx(0.6, abs=0.01)


def test_trust_without_an_audit_is_the_smoothed_share() -> None:
    ballot = vote(["yes"] * 8 + ["no"] + [None], YES_NO)
    over_parsed = LabelSettings(confidence_over="parsed")
    assert trust_of([], LabelSettings())(YES_NO, ballot) == pytest.approx(9 / 12)
    assert trust_of([], LabelSettings(trust_prior=5))(YES_NO, ballot) == pytest.approx(13 / 20)
    assert trust_of([], over_parsed)(YES_NO, vote(ballot.votes, YES_NO, "parsed")) == pytest.approx(9 / 11)
    assert trust_of([], LabelSettings())(YES_NO, vote([None], YES_NO)) is None


def test_trust_after_an_audit_is_what_its_kind_was_worth() -> None:
    def rows(name: str | None, right: int, wrong: int) -> list[dict[str, object]]:
        return [{"confidence": 1.0, "right": i < right, "type": name} for i in range(right + wrong)]

    audited = rows("yes_no", 90, 10) + rows("numerical", 30, 70) + rows("numerical", 0, 0)
    audited += [{"confidence": None, "right": False}, {"confidence": 1.0, "right": None, "type": "yes_no"}]
    by_kind = LabelSettings(trust_from="kinds")
    trust = trust_of(audited, by_kind)
    sure = {q: vote([word] * 10, q) for q, word in ((YES_NO, "no"), (NUMBER, "3"), (TEXT, "red"))}
    assert [trust(q, ballot) for q, ballot in sure.items()] == pytest.approx([0.9, 0.3, 0.6], abs=0.02)
    unnamed = trust_of(rows(None, 30, 70), by_kind)
    assert unnamed(YES_NO, sure[YES_NO]) == pytest.approx(0.3, abs=0.03)


def test_an_audit_is_asked_only_where_the_recipe_says_so() -> None:
    audited = [{"confidence": 1.0, "right": False, "type": "yes_no"}] * 9
    sure = vote(["yes"] * 10, YES_NO)
    words = LabelSettings(trust_from="words")
    assert trust_of(audited, LabelSettings())(YES_NO, sure) == trust_of([], words)(YES_NO, sure) == 11 / 12
    found = trust_of(audited, words)(YES_NO, sure)
    assert found is not None and found < 0.2  # where all are wrong no word tells more than the kind


def test_words_tell_what_is_read_badly_however_unanimous() -> None:
    def rows(question: str, right: int) -> list[dict[str, object]]:
        seen = {"question": question, "type": "numerical", "answer": "3", "confidence": 1.0}
        return [seen | {"right": i < right} for i in range(100)]

    audited = rows("How many circles are there?", 95) + rows("What is the sum of the digits?", 10)
    trust = trust_of(audited, LabelSettings(trust_from="words"))
    asked = ["How many squares are there?", "What is the sum of the red digits?"]
    found = [trust(Question("q", "i", "numerical", text), vote(["3"] * 10, NUMBER)) for text in asked]
    assert found[0] is not None and found[1] is not None and found[0] > 0.8 and found[1] < 0.3
    assert trust(NUMBER, vote([None] * 10, NUMBER)) is None


def test_trust_grows_with_confidence_where_confidence_was_worth_something() -> None:
    seen = {"question": "What color?", "type": "short_text", "answer": "red"}
    audited = [seen | {"confidence": c / 10, "right": i < c} for c in range(3, 11) for i in range(10)]
    trust = trust_of(audited, LabelSettings(trust_from="words"))
    found = [trust(TEXT, vote(["red"] * n + ["blue"] * (10 - n), TEXT)) for n in (6, 8, 10)]
    assert found == sorted(found) and len(set(found)) == 3


def test_a_row_weighs_its_trust_to_a_power() -> None:
    assert [weight(0.5, 2), weight(0.5, 0), weight(0, 0), weight(None, 2), weight(0, 2)] == [0.25, 1, 1, 1, 0]
    assert (
        wanted(LabelSettings(weight_power=1)) and wanted(LabelSettings(trust_low=0.5)) and not wanted(LabelSettings())
    )
