"""The group filter: groups whose rewards tell nothing apart teach nothing, and are left out when the recipe says so.

Deviation from the paper, off by default (`reasoner.group_filter`). In TRL a group of None has no advantage; a KL term
holds for its completions all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, pstdev

from visplay.engine.grpo import Score

HIGH_MEAN, LITTLE_SPREAD = 0.9, 0.05


def without_settled(scores: Sequence[Score], group: int) -> list[Score]:
    """The same scores, with no reward (None) and `filtered` in the groups that are settled.

    Groups of `group` scores stand next to each other. Terms stay as they are, for the journal.
    """
    found: list[Score] = []
    for start in range(0, len(scores), group):
        part = list(scores[start : start + group])
        settled = is_settled([score.reward for score in part])
        found += [replace(score, reward=None, filtered=True) for score in part] if settled else part
    return found


def is_settled(rewards: Sequence[float | None]) -> bool:
    """All rewards equal, or mean above .9 and spread below .05, over those that are known; False where none is."""
    known = [reward for reward in rewards if reward is not None]
    if not known:
        return False
    return max(known) == min(known) or (fmean(known) > HIGH_MEAN and pstdev(known) < LITTLE_SPREAD)
