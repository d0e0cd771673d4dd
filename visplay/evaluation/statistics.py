"""How sure a score is: 95 % intervals for a share and for a mean over clusters; differences on the same questions.

Pure functions of plain numbers. Where they draw at random the seed decides all of it, and neither the order of the
values nor the names of the clusters matter. Values of one cluster (an image, a figure, a problem) stand or fall
together; clusters are independent of each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_RESAMPLES = 10_000
_DIGITS = 9  # of a sum; beyond them is rounding
_ALMOST = 10.0**-_DIGITS

Floats: TypeAlias = NDArray[np.float64]
Part: TypeAlias = tuple[Sequence[float], Sequence[Hashable]]  # scores, and the cluster that each belongs to


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """The mean of a - b over the same questions, and its 95 % interval."""

    mean: float
    low: float
    high: float


def wilson(correct: float, n: int) -> Interval:
    """Wilson's 95 % score interval of the share `correct / n`; (0, 1) when nothing was asked.

    With p = correct / n: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). It stays inside [0, 1] and is not
    empty at 0 or n right answers. Raises ValueError unless 0 <= correct <= n.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} correct of {n} questions; correct must lie between 0 and the number of questions")
    if n == 0:
        return Interval(0.0, 1.0)
    share = correct / n
    centre = share + _Z**2 / (2 * n)
    spread = _Z * (share * (1 - share) / n + _Z**2 / (4 * n**2)) ** 0.5
    scale = 1 + _Z**2 / n
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def clustered_interval(values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0) -> Interval:
    """The interval of the mean of scores in [0, 1]: the percentile bootstrap that draws whole clusters.

    Where all clusters have the same mean, one cluster included, drawing them again shows no spread and would claim
    certainty; Wilson's interval on the number of clusters is given instead.
    Raises ValueError for none or unequal lengths.
    """
    return average_interval([(values, clusters)], seed)


def average_interval(parts: Sequence[Part], seed: int = 0) -> Interval:
    """`clustered_interval` of the average of several means; clusters of one name are drawn together in all of them.

    A mean that has no value in a draw is left out of that draw. Raises ValueError for a part without values.
    """
    table = _by_cluster(parts)
    if np.ptp(_averages(table)) < _ALMOST:
        return wilson(min(1.0, fmean(fmean(values) for values, _ in parts)) * len(table), len(table))
    return _bootstrapped(table, seed)


def error_interval(gaps: Sequence[float], bins: Sequence[int], clusters: Sequence[Hashable], seed: int = 0) -> Interval:
    """The interval of the sum over bins of |sum of their gaps| / number of all gaps, each gap in [-1, 1].

    With gaps of confidence to truth that is the expected calibration error. Chance alone moves bins away from zero, so
    that what is seen is too large, and what is drawn from it larger. Whole clusters are drawn; the upper end is the
    97.5 % point of the drawn errors, the lower end the error less the 97.5 % point of all that bins moved in a draw,
    which is as much as chance can have added. The truth is inside at least as often as 95 % say, and so is the error.
    Where all clusters are alike, the ends are what is possible if as large a share had gaps of -1 or 1 as Wilson's
    interval leaves to those that were not seen. Raises ValueError for none or unequal lengths.
    """
    parts = [([gap * (b == one) for gap, b in zip(gaps, bins, strict=True)], clusters) for one in sorted(set(bins))]
    table = _by_cluster(parts or [(gaps, clusters)])
    seen = _shares(table.sum(axis=0, keepdims=True))
    error = float(np.abs(seen).sum())
    if np.ptp(_shares(table), axis=0).max() < _ALMOST:
        unseen = wilson(0, len(table)).high
        return Interval(max(0.0, error - unseen * (error + 1)), error + unseen * (1 - error))
    drawn = _shares(_drawn(table, seed))
    added, high = (np.quantile(np.abs(part).sum(axis=1), 0.975) for part in (drawn - seen, drawn))
    return Interval(max(0.0, error - float(added)), float(high))


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> Difference:
    """How much better `a` scored than `b`: `a[i]` and `b[i]` are scores on the same question.

    `clusters[i]` names what question i shares with others; None: the questions are independent.
    Raises ValueError for no values or unequal lengths.
    """
    if len(a) != len(b):
        raise ValueError(
            f"{len(a)} scores against {len(b)}; a paired difference needs the same questions on both sides"
        )
    gains = [first - second for first, second in zip(a, b, strict=True)]
    return average_gain([(gains, range(len(gains)) if clusters is None else clusters)], seed)


def average_gain(parts: Sequence[Part], seed: int = 0) -> Difference:
    """The average of several mean gains, each in [-1, 1], and its interval; clusters as in `average_interval`.

    Where all clusters gain alike, drawing them again shows no spread. The ends are then what the mean would be if of
    all clusters as large a share gained -1, or 1, as Wilson's interval leaves to those that were not seen.
    """
    table = _by_cluster(parts)
    mean = fmean(fmean(gains) for gains, _ in parts)
    if np.ptp(_averages(table)) < _ALMOST:
        unseen = wilson(0, len(table)).high
        return Difference(mean, mean - unseen * (mean + 1), mean + unseen * (1 - mean))
    return Difference(mean, *_bootstrapped(table, seed))


def exact_test(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p: `gained` questions are right on one side only, `lost` on the other only.

    If neither side were better, each of them would be a fair coin. Only for questions that are independent of each
    other; 1 where nothing changed.
    """
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def sign_flip_test(gains: Sequence[float], clusters: Sequence[Hashable], seed: int = 0) -> float:
    """Two-sided p of a sum of gains as far from zero as this one, if the two sides could be swapped in each cluster.

    Drawn at random; the observed signs count as one draw, so that p is never 0. Raises ValueError for none or unequal
    lengths.
    """
    sums = _by_cluster([(gains, clusters)])[:, 0]
    kinds, counts = np.unique(np.abs(sums), return_counts=True)
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(_RESAMPLES - 1, len(counts)))
    drawn = np.abs((2 * kept - counts) @ kinds)
    return float(1 + np.count_nonzero(drawn >= abs(sums.sum()) - len(sums) * _ALMOST)) / _RESAMPLES


def _by_cluster(parts: Sequence[Part]) -> Floats:
    """A row for each cluster: its sum and size in the first part, its sum and size in the second, ...

    Sums are rounded, because rounding errors depend on the order of the values.
    """
    for values, clusters in parts:
        if len(values) != len(clusters) or not len(values):
            raise ValueError(f"{len(values)} values and {len(clusters)} clusters; need as many of each, at least one")
    number = {name: index for index, name in enumerate(dict.fromkeys(name for _, names in parts for name in names))}
    table = np.zeros((len(number), 2 * len(parts)))
    for part, (values, clusters) in enumerate(parts):
        members = np.array([number[name] for name in clusters])
        weights = np.asarray(values, dtype=float)
        table[:, 2 * part] = np.bincount(members, weights, minlength=len(number)).round(_DIGITS)
        table[:, 2 * part + 1] = np.bincount(members, minlength=len(number))
    return table


def _bootstrapped(table: Floats, seed: int) -> Interval:
    low, high = np.quantile(_averages(_drawn(table, seed)), [0.025, 0.975])
    return Interval(float(low), float(high))


def _drawn(table: Floats, seed: int) -> Floats:
    """The sum of as many rows as there are, drawn again and again.

    Clusters with equal rows are one kind: how many of each kind are drawn is all that a sum is made of.
    """
    kinds, counts = np.unique(table, axis=0, return_counts=True)
    drawn: Floats = np.random.default_rng(seed).multinomial(len(table), counts / len(table), size=_RESAMPLES) @ kinds
    return drawn


def _shares(table: Floats) -> Floats:
    """Row by row, the sums of all parts by their common size."""
    shares: Floats = table[:, 0::2] / table[:, 1:2]
    return shares


def _averages(table: Floats) -> Floats:
    """Row by row, the average of sum / size over the parts that have a size."""
    sums, sizes = table[:, 0::2], table[:, 1::2]
    means = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
    averages: Floats = means.sum(axis=1) / (sizes > 0).sum(axis=1)
    return averages
