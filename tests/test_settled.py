"""The group filter: what counts as settled, and that nothing but the reward is taken away."""

from __future__ import annotations

import pytest

from visplay.engine.grpo import Score
from visplay.roles.settled import is_settled, without_settled


@pytest.mark.parametrize(
    ("rewards", "settled"),
    [
        ([0.0, 0.0, 0.0], True),
        ([1.0, 1.0, 1.0], True),
        ([1.0, 0.0, 1.0], False),
        ([0.94, 0.9, 0.92], True),  # mean .92, spread .016
        ([0.9, 0.88, 0.92], False),  # mean .9 is not above it
        ([1.0, 0.9, 1.0], True),  # mean .967, spread .047
        ([1.0, 0.85, 1.0], False),  # mean .95, spread .071
        ([0.5, None, 0.5], True),
        ([0.5, None, 0.6], False),
        ([None, None, None], False),  # could not be computed: that is another thing
    ],
)
def test_a_group_is_settled_when_its_rewards_are_alike_or_nearly_all_full(
    rewards: list[float | None], settled: bool
) -> None:
    assert is_settled(rewards) is settled


def test_a_settled_group_loses_its_rewards_as_a_whole_and_keeps_its_terms() -> None:
    live = [Score(1.0), Score(0.0)]
    settled = [Score(1.0, {"agrees": 1.0}, said="4"), Score(1.0, {"agrees": 1.0}, said="4")]
    unknown = [Score(None), Score(None)]
    assert without_settled([*live, *settled, *unknown], 2) == [
        *live,
        *[Score(None, {"agrees": 1.0}, said="4", filtered=True)] * 2,
        *unknown,
    ]
