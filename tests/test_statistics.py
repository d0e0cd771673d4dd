"""Intervals and tests against values worked by hand or printed in the literature."""

import os
import subprocess
import sys
from math import comb
from pathlib import Path

import pytest

from visplay.evaluation.statistics import (
    average_gain,
    average_interval,
    clustered_interval,
    error_interval,
    exact_test,
    paired_difference,
    sign_flip_test,
    wilson,
)

# 0.1 + 0.2 + 0.3 is 0.6 in one order and 0.6000000000000001 in the other.
FIGURES = {"f1": [1.0, 0.0, 1.0], "f2": [0.0], "f3": [1.0, 1.0], "f4": [0.1, 0.2, 0.3], "f5": [0.6, 0.0, 0.0]}
VALUES = [value for values in FIGURES.values() for value in values]
NAMES = [name for name, values in FIGURES.items() for _ in values]


def test_wilson_matches_newcombes_printed_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81 of 263, and 15 of 148.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_wilson_of_none_and_all_right_reaches_the_edge_but_is_not_empty() -> None:
    # With no success the upper end is z^2 / (n + z^2) = 3.8415 / 13.8415.
    assert wilson(0, 10) == pytest.approx((0.0, 0.27754), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.72246, 1.0), abs=1e-5)


def test_errors_of_one_sided_gaps_have_the_binomial_quantiles() -> None:
    # Of 100 gaps of 0 or 1 in one bin, k ~ Binomial(100, 1/2) are drawn 1: k is at most 60, |k - 50| at most 10.
    assert error_interval([0.0, 1.0] * 50, [0] * 100, range(100)) == pytest.approx((0.40, 0.60), abs=0.011)


def test_what_chance_alone_does_to_many_bins_is_no_error() -> None:
    # In each of 10 bins four of ten gaps are 1/2 and six -1/2, or the other way: an error of 10 * 1 / 100.
    gaps = [0.5 if i < 4 + 2 * (number % 2) else -0.5 for number in range(10) for i in range(10)]
    bins = [number for number in range(10) for _ in range(10)]
    low, high = error_interval(gaps, bins, range(100))
    assert low == 0 and high > 0.1
    assert error_interval([0.5] * 90 + [0.4] * 10, [0] * 100, range(100)).low > 0.4


def test_errors_of_clusters_that_are_alike_do_not_claim_certainty() -> None:
    unseen = wilson(0, 10).high
    assert error_interval([0.0] * 10, [0] * 10, range(10)) == (0.0, unseen)
    assert error_interval([0.5] * 10, [0] * 10, range(10)) == pytest.approx((0.5 - 1.5 * unseen, 0.5 + 0.5 * unseen))
    with pytest.raises(ValueError, match="0 values and 0 clusters"):
        error_interval([], [], [])


def test_errors_do_not_depend_on_the_order_of_the_values() -> None:
    gaps, bins = [0.3, -0.1, 0.7, -0.2, 0.5], [2, 0, 2, 1, 0]
    assert error_interval(gaps, bins, "aabbc") == error_interval(gaps[::-1], bins[::-1], "cbbaa")


def test_wilson_of_no_questions_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "n"), [(-1, 5), (6, 5)])
def test_wilson_refuses_an_impossible_count(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{correct} correct of {n}"):
        wilson(correct, n)


def test_bootstrap_of_coin_flips_gives_the_binomial_quantiles() -> None:
    # Drawing 100 of 50 zeros and 50 ones is Binomial(100, 1/2): its 2.5 % and 97.5 % points are 40 and 60.
    assert clustered_interval([0.0, 1.0] * 50, range(100)) == pytest.approx((0.40, 0.60), abs=0.011)


def test_values_that_stand_or_fall_together_widen_the_interval() -> None:
    # The same 100 values as 10 clusters of 10 equal ones: Binomial(10, 1/2), whose points are 2 and 8.
    values = [float(cluster % 2) for cluster in range(10) for _ in range(10)]
    clusters = [cluster for cluster in range(10) for _ in range(10)]
    assert clustered_interval(values, clusters) == (0.2, 0.8)


def test_a_large_cluster_weighs_by_its_values() -> None:
    # Two clusters, three right values and a wrong one: the draws are 0, 3/4 and 1, each end with probability 1/4.
    assert clustered_interval([1.0, 1.0, 1.0, 0.0], ["big", "big", "big", "small"]) == (0.0, 1.0)
    assert paired_difference([1.0, 1.0, 1.0, 0.0], [0.0] * 4, ["big", "big", "big", "small"]).mean == 0.75


def test_an_average_of_means_draws_their_clusters_together() -> None:
    # Of two clusters one is right in both parts: the average is 0, 1/2 or 1. Drawn apart, 1/4 and 3/4 would be common.
    part = [1.0, 0.0] * 8, range(16)
    assert average_interval([part, part]) == clustered_interval(*part) == (0.25, 0.75)
    # Right in one part where wrong in the other: every draw averages to 1/2.
    mirrored = [0.0, 1.0] * 8, range(16)
    assert average_interval([part, mirrored]) == wilson(8, 16)


def test_means_count_alike_in_an_average_however_many_values_they_have() -> None:
    # One cluster of 4 right values and 1 wrong figure, one of 4 wrong values and 1 right figure: each averages 1/2.
    values = [1.0] * 4 + [0.0] * 4, ["a"] * 4 + ["b"] * 4
    figures = [0.0, 1.0], ["a", "b"]
    assert average_interval([values, figures]) == wilson(1, 2)


def test_a_mean_without_values_in_a_draw_is_left_out_of_it() -> None:
    # Draws of a, a (1/4): 1. Of b, b (1/4): only the first mean, 0. The quantiles are the ends.
    assert average_interval([([1.0, 0.0], ["a", "b"]), ([1.0], ["a"])]) == (0.0, 1.0)


def test_clusters_without_spread_are_not_certain() -> None:
    assert clustered_interval([1.0] * 20, [f"figure {i // 2}" for i in range(20)]) == wilson(10, 10)
    assert clustered_interval([0.0, 1.0, 1.0, 1.0], ["image"] * 4) == wilson(0.75, 1)


def test_neither_order_nor_names_of_clusters_matter() -> None:
    backwards = clustered_interval(VALUES[::-1], NAMES[::-1])
    renamed = clustered_interval(VALUES, [-ord(name[1]) for name in NAMES])
    assert clustered_interval(VALUES, NAMES) == backwards == renamed
    assert sign_flip_test(VALUES, NAMES) == sign_flip_test(VALUES[::-1], NAMES[::-1])


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_hash_seed_does_not_matter(hash_seed: str) -> None:
    program = (
        "from visplay.evaluation.statistics import *;"
        f"names = set({NAMES!r}); values = {FIGURES!r};"
        "rows = [(value, name) for name in names for value in values[name]];"
        "print(tuple(clustered_interval(*zip(*rows))), sign_flip_test(*zip(*rows)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])}
    printed = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True).stdout
    assert printed == f"{tuple(clustered_interval(VALUES, NAMES))} {sign_flip_test(VALUES, NAMES)}\n"


def test_bootstrap_is_a_function_of_its_seed() -> None:
    values = [index**2 / 100 for index in range(10)]
    assert clustered_interval(values, range(10), seed=1) == clustered_interval(values, range(10), seed=1)
    assert clustered_interval(values, range(10), seed=1) != clustered_interval(values, range(10), seed=2)


def test_bootstrap_refuses_unequal_lengths_and_nothing() -> None:
    with pytest.raises(ValueError, match="2 values and 1 clusters"):
        clustered_interval([1.0, 0.0], ["a"])
    with pytest.raises(ValueError, match="0 values"):
        clustered_interval([], [])


def test_a_constant_gain_is_not_certain() -> None:
    # Of 3 questions alike, Wilson leaves 1.96^2 / (3 + 1.96^2) = 0.5615 to others; these could gain -1 or +1.
    difference = paired_difference([0.75, 0.5, 0.25], [0.5, 0.25, 0.0])
    assert difference == pytest.approx((0.25, 0.4385 * 0.25 - 0.5615, 0.4385 * 0.25 + 0.5615), abs=5e-5)


def test_no_change_and_nothing_but_gains_stay_inside_what_can_be() -> None:
    unseen = wilson(0, 30).high
    assert paired_difference([1.0] * 30, [1.0] * 30) == (0.0, -unseen, unseen)
    assert paired_difference([1.0] * 30, [0.0] * 30) == pytest.approx((1.0, 1 - 2 * unseen, 1.0))


def test_paired_difference_by_hand() -> None:
    # Gains +1, 0, 0, -1 over 40 questions: mean 0, variance 0.5, 0 +- 1.96 * sqrt(0.5 / 40) = +-0.219.
    difference = paired_difference([1.0, 1.0, 0.0, 0.0] * 10, [0.0, 1.0, 0.0, 1.0] * 10)
    assert difference.mean == 0.0
    assert (difference.low, difference.high) == pytest.approx((-0.219, 0.219), abs=0.03)


def test_paired_difference_swaps_sign_with_its_sides() -> None:
    ahead = paired_difference([1.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    behind = paired_difference([0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    assert ahead.mean == -behind.mean == pytest.approx(1 / 3)


def test_paired_difference_resamples_clusters_whole() -> None:
    # Gains 1 and 0 on one image, none on the other: drawn twice, the one gives 1/2.
    assert paired_difference([1.0, 0.0, 0.0, 0.0], [0.0] * 4, clusters=["a", "a", "b", "b"]) == (0.25, 0.0, 0.5)


def test_paired_difference_refuses_unpaired_scores() -> None:
    with pytest.raises(ValueError, match="2 scores against 1"):
        paired_difference([1.0, 0.0], [1.0])


def test_an_average_gain_draws_clusters_together() -> None:
    # What cluster a gains in one mean, b gains in the other: every draw averages to 1/2.
    swapped = [([1.0, 0.0], ["a", "b"]), ([0.0, 1.0], ["a", "b"])]
    assert average_gain(swapped) == average_gain([([0.5, 0.5], ["a", "b"])])
    gains, clusters = [1.0, 0.0, -1.0, 1.0], ["a", "b", "c", "c"]
    assert average_gain([(gains, clusters)]) == paired_difference(gains, [0.0] * 4, clusters)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [
        (1, 5, 2 * (1 + 6) / 64),  # at most one head of six coins, on either side
        (5, 1, 2 * (1 + 6) / 64),
        (0, 10, 2 / 1024),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (40, 60, 2 * sum(comb(100, k) for k in range(41)) / 2**100),
    ],
)
def test_exact_test_counts_coins(gained: int, lost: int, p: float) -> None:
    assert exact_test(gained, lost) == pytest.approx(p)


def test_sign_flips_of_independent_questions_are_the_exact_test() -> None:
    # 12 gained, 4 lost, 84 unchanged: exactly 0.0768; 9,999 draws leave a standard error of 0.0027.
    gains = [1.0] * 12 + [-1.0] * 4 + [0.0] * 84
    assert sign_flip_test(gains, range(100)) == pytest.approx(exact_test(12, 4), abs=0.01)


def test_sign_flips_turn_clusters_whole() -> None:
    # Two clusters whose sums are 3 and 2: of the sums 5, 1, -1, -5 two are as far out, so p is 1/2 (five coins: 1/16).
    assert sign_flip_test([1.0] * 5, ["a", "a", "a", "b", "b"]) == pytest.approx(0.5, abs=0.02)


def test_sign_flips_by_hand_where_clusters_differ_in_size() -> None:
    # Sums 4, 2, -1; |4 + 2 - 1| = 5 or more is reached by ++-, +++ and their mirror images: 4 of 8.
    gains, clusters = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0], ["a"] * 4 + ["b"] * 2 + ["c"]
    assert sign_flip_test(gains, clusters) == pytest.approx(0.5, abs=0.02)


def test_no_draw_makes_p_zero_and_no_change_makes_it_one() -> None:
    assert sign_flip_test([1.0] * 60, range(60)) == 1 / 10_000
    assert sign_flip_test([1.0, -1.0], ["a", "a"]) == 1.0
    assert sign_flip_test([0.1, 0.2, -0.3], ["a", "b", "c"]) == 1.0  # a rounding error is not a gain


def test_sign_flips_refuse_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="1 values and 2 clusters"):
        sign_flip_test([1.0], ["a", "b"])
