"""The figures of an audit, counted by hand."""

from __future__ import annotations

import pytest

from visplay.evaluation.statistics import clustered_interval, error_interval, wilson
from visplay.evaluation.trust import Audited, audited, trust
from visplay.records import Ballot, Question, SilverAnswer
from visplay.report.trust import Bin, Rate


def row(
    right: bool | None,
    confidence: float | None = 0.5,
    dropped: str | None = None,
    answerable: bool | None = True,
    well_formed: bool | None = True,
    image: str = "a",
    kind: str = "numerical",
) -> Audited:
    return Audited(image, "?", kind, "1", confidence, dropped, "1", well_formed, answerable, right)


RIGHT, WRONG = row(True), row(False)
ILL_POSED = row(False, answerable=False)
UNREADABLE = row(None, answerable=None, well_formed=False)


def mean(rate: Rate | None) -> float | None:
    return rate.mean if rate else None


def test_what_is_ill_posed_or_unreadable_is_wrong_among_the_kept_and_left_out_of_the_well_posed() -> None:
    found = trust([RIGHT, RIGHT, WRONG, ILL_POSED, UNREADABLE, row(False, dropped="tie")])
    assert (found.candidates, found.kept) == (6, 5)
    assert mean(found.silver_accuracy) == pytest.approx(2 / 5)
    assert mean(found.well_posed_accuracy) == pytest.approx(2 / 3)
    assert mean(found.ill_posed_share) == mean(found.unreadable_share) == pytest.approx(1 / 5)


def test_an_ill_posed_question_that_is_told_so_is_right_among_the_kept_only() -> None:
    found = trust([row(True, answerable=False), WRONG])
    assert mean(found.silver_accuracy) == 1 / 2 and mean(found.well_posed_accuracy) == 0


def test_validity_is_of_all_candidates_unparsed_ones_included() -> None:
    unparsed = Audited("a", None, None, None, None, "unparsed question", None, False, None, None)
    dropped = row(False, dropped="tie")
    assert mean(trust([RIGHT, dropped, dropped, ILL_POSED, unparsed]).validity) == 3 / 5
    found = trust([RIGHT, unparsed])
    assert list(found.by_type) == ["numerical"]


def test_where_no_question_is_judged_only_the_silver_answers_are() -> None:
    own = [row(right, answerable=None, well_formed=None) for right in (True, True, False)]
    found = trust(own)
    assert mean(found.silver_accuracy) == mean(found.well_posed_accuracy) == pytest.approx(2 / 3)
    assert found.validity is found.ill_posed_share is found.unreadable_share is None


def test_intervals_draw_whole_images() -> None:
    rows = [row(right, image=image) for image, right in (("a", True), ("a", True), ("b", False), ("c", True))]
    rate = trust(rows).silver_accuracy
    assert rate == Rate(0.75, *clustered_interval([1, 1, 0, 1], ["a", "a", "b", "c"]), 4)
    assert trust([RIGHT]).silver_accuracy == Rate(1.0, *wilson(1, 1), 1)


def test_dropped_rows_are_judged_by_reason() -> None:
    rows = [row(True, dropped="too easy"), row(False, dropped="too hard"), row(True, dropped="too hard")]
    found = trust([WRONG, *rows, row(None, None, dropped="duplicate question")])
    assert mean(found.dropped_accuracy) == pytest.approx(2 / 3)
    assert {reason: (rate.mean, rate.n) for reason, rate in found.by_reason.items()} == {
        "too easy": (1.0, 1),
        "too hard": (0.5, 2),
    }
    assert found.by_type["numerical"].candidates == 5 and found.by_type["numerical"].kept == 1


def test_calibration_sets_confidence_against_truth_with_upper_edges_inside() -> None:
    rows = [row(True, 0.3), row(False, 0.1 * 3), row(True, 0.25), row(True, 1.0, dropped="too easy"), row(False, 0.0)]
    found = trust(rows)
    bins = [(one.low, one.high, one.right.n, one.right.mean) for one in found.calibration]
    assert bins == [(0.0, 0.1, 1, 0.0), (0.2, 0.3, 3, pytest.approx(2 / 3)), (0.9, 1.0, 1, 1.0)]
    assert isinstance(found.calibration[1], Bin) and found.calibration[1].confidence == pytest.approx(0.85 / 3)
    assert found.calibration_error == pytest.approx((0 + 3 * (2 / 3 - 0.85 / 3) + 0) / 5)


def test_the_calibration_error_has_an_interval_over_whole_images() -> None:
    judged = [row(True, 0.3, image="a"), row(False, 0.25, image="a"), row(True, 1.0, image="b"), row(False, 0.5)]
    found = trust([*judged, row(None, 0.9), row(True, None)])
    assert found.calibration_interval == error_interval([0.7, -0.25, 0.0, -0.5], [2, 2, 9, 4], "aaba")
    low, high = found.calibration_interval
    assert low <= (found.calibration_error or 0) <= high


def test_the_confidence_that_tells_right_from_wrong_has_an_area_of_one_and_ties_count_half() -> None:
    assert trust([row(True, 0.9), row(False, 0.4)]).auroc == 1
    assert trust([row(True, 0.4), row(False, 0.9)]).auroc == 0
    assert trust([row(True, 0.5), row(True, 0.9), row(False, 0.5)]).auroc == 0.75
    assert trust([RIGHT]).auroc is None
    sure_but_ill_posed = row(False, 0.9, answerable=False)
    found = trust([row(True, 0.8), row(False, 0.4), sure_but_ill_posed])
    assert (found.auroc, found.auroc_well_posed) == (0.5, 1.0)


def test_figures_of_nothing_are_none() -> None:
    found = trust([])
    assert found.silver_accuracy is found.auroc is found.calibration_error is found.calibration_interval is None
    assert (found.candidates, found.calibration, found.by_type) == (0, (), {})


def test_a_question_without_options_is_yes_or_no() -> None:
    def typed(choices: tuple[str, ...]) -> str | None:
        asked = Question("q", "i", "multiple_choice", "?", choices)
        return audited(SilverAnswer("i", asked, Ballot((), None, None, False, 0), None, "", ""), *[None] * 4).type

    assert (typed(()), typed(("a", "b"))) == ("yes_no", "multiple_choice")
