"""How sure a score is: 95 % intervals for a share, for a mean over clusters, and for a paired difference.

Pure functions of plain numbers; where they draw at random, the seed decides all of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_RESAMPLES = 2000


class Difference(NamedTuple):
    """The mean of a - b over the same questions, and its 95 % interval."""

    mean: float
    low: float
    high: float


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of the share `correct / n`; (0, 1) when nothing was asked.

    With p = correct / n: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). It stays inside [0, 1] and is not
    empty at 0 or n right answers. Raises ValueError unless 0 <= correct <= n.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} correct of {n} questions; correct must lie between 0 and the number of questions")
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    centre = share + _Z**2 / (2 * n)
    spread = _Z * (share * (1 - share) / n + _Z**2 / (4 * n**2)) ** 0.5
    scale = 1 + _Z**2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def cluster_bootstrap(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int = 0, resamples: int = _RESAMPLES
) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, drawing whole clusters with replacement.

    Values of one cluster (an image, a figure) stand or fall together. Raises ValueError for none or unequal lengths.
    """
    if len(values) != len(clusters) or not len(values):
        raise ValueError(f"{len(values)} values and {len(clusters)} clusters; need as many of each, at least one")
    order = {name: index for index, name in enumerate(dict.fromkeys(clusters))}
    members = np.array([order[name] for name in clusters])
    sums = np.bincount(members, weights=np.asarray(values, dtype=float))
    sizes = np.bincount(members)
    # How often each cluster is drawn is all that its mean depends on.
    drawn = np.random.default_rng(seed).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
    return float(low), float(high)


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = _RESAMPLES,
) -> Difference:
    """How much better `a` scored than `b`: `a[i]` and `b[i]` are scores on the same question.

    `clusters[i]` names what question i shares with others; None: the questions are independent.
    Raises ValueError for no values or unequal lengths.
    """
    if len(a) != len(b):
        raise ValueError(
            f"{len(a)} scores against {len(b)}; a paired difference needs the same questions on both sides"
        )
    gains = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    low, high = cluster_bootstrap(gains.tolist(), range(len(gains)) if clusters is None else clusters, seed, resamples)
    return Difference(float(gains.mean()), low, high)
