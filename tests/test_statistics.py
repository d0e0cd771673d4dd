"""Intervals against values worked by hand or printed in the literature."""

import pytest

from visplay.evaluation.statistics import cluster_bootstrap, paired_difference, wilson


def test_wilson_matches_newcombes_printed_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81 of 263, and 15 of 148.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_wilson_of_none_and_all_right_reaches_the_edge_but_is_not_empty() -> None:
    # With no success the upper end is z^2 / (n + z^2) = 3.8415 / 13.8415.
    assert wilson(0, 10) == pytest.approx((0.0, 0.27754), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.72246, 1.0), abs=1e-5)


def test_wilson_of_no_questions_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "n"), [(-1, 5), (6, 5)])
def test_wilson_refuses_an_impossible_count(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{correct} correct of {n}"):
        wilson(correct, n)


def test_bootstrap_of_independent_values_agrees_with_the_normal_interval() -> None:
    # 100 coin flips: 0.5 +- 1.96 * sqrt(0.25 / 100) = 0.402 .. 0.598.
    low, high = cluster_bootstrap([0.0, 1.0] * 50, range(100), seed=0)
    assert low == pytest.approx(0.402, abs=0.02)
    assert high == pytest.approx(0.598, abs=0.02)


def test_values_that_stand_or_fall_together_widen_the_interval() -> None:
    # The same 100 values in 10 clusters of 10 equal ones: the standard error grows by sqrt(10), 0.5 +- 0.31.
    values = [float(cluster % 2) for cluster in range(10) for _ in range(10)]
    clusters = [cluster for cluster in range(10) for _ in range(10)]
    low, high = cluster_bootstrap(values, clusters, seed=0)
    assert high - low == pytest.approx(0.62, abs=0.1)


def test_one_cluster_has_no_spread() -> None:
    assert cluster_bootstrap([0.0, 1.0, 1.0, 1.0], ["image"] * 4, seed=3) == (0.75, 0.75)


def test_bootstrap_is_a_function_of_its_seed() -> None:
    values = [0.1, 0.9, 0.4, 0.7, 0.2]
    assert cluster_bootstrap(values, range(5), seed=1) == cluster_bootstrap(values, range(5), seed=1)
    assert cluster_bootstrap(values, range(5), seed=1) != cluster_bootstrap(values, range(5), seed=2)


def test_bootstrap_refuses_unequal_lengths_and_nothing() -> None:
    with pytest.raises(ValueError, match="2 values and 1 clusters"):
        cluster_bootstrap([1.0, 0.0], ["a"])
    with pytest.raises(ValueError, match="0 values"):
        cluster_bootstrap([], [])


def test_a_constant_gain_is_certain_however_noisy_the_scores() -> None:
    assert paired_difference([0.75, 0.5, 0.25], [0.5, 0.25, 0.0]) == (0.25, 0.25, 0.25)


def test_paired_difference_by_hand() -> None:
    # Gains +1, 0, 0, -1 over 40 questions: mean 0, variance 0.5, 0 +- 1.96 * sqrt(0.5 / 40) = +-0.219.
    difference = paired_difference([1.0, 1.0, 0.0, 0.0] * 10, [0.0, 1.0, 0.0, 1.0] * 10)
    assert difference.mean == 0.0
    assert (difference.low, difference.high) == pytest.approx((-0.219, 0.219), abs=0.04)


def test_paired_difference_swaps_sign_with_its_sides() -> None:
    ahead = paired_difference([1.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    behind = paired_difference([0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    assert ahead.mean == -behind.mean == pytest.approx(1 / 3)


def test_paired_difference_resamples_clusters_whole() -> None:
    assert paired_difference([1.0, 0.0], [0.0, 0.0], clusters=["image", "image"]) == (0.5, 0.5, 0.5)


def test_paired_difference_refuses_unpaired_scores() -> None:
    with pytest.raises(ValueError, match="2 scores against 1"):
        paired_difference([1.0, 0.0], [1.0])
