"""Where few rows were kept, fewer steps are made, rather than the same rows again and again."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_loop import small
from test_grpo import written

from visplay.evolve import evolve
from visplay.recipe import RecipeError
from visplay.roles.reasoner import steps_over


@pytest.mark.parametrize(
    ("rows", "overrides", "steps"),
    [
        (6, (), 3),  # 3 steps of 2 rows are wanted
        (5, (), 2),
        (4, (), 2),
        (1, (), 1),  # one row, though seen twice
        (600, (), 3),
        (2, ("reasoner.max_passes=2",), 2),
        (3, ("reasoner.max_passes=1.5",), 2),  # 4.5 rows in all
        (1, ("reasoner.max_passes=null",), 3),
        (5, ("reasoner.steps=8", "grpo.num_iterations=2"), 4),  # two batches of rollouts, two steps on each
        (9, ("reasoner.steps=3", "grpo.num_iterations=2"), 3),
    ],
)
def test_no_row_is_seen_more_often_than_max_passes(rows: int, overrides: tuple[str, ...], steps: int) -> None:
    assert steps_over(rows, small("reasoner.max_passes=1", *overrides)) == steps


def test_the_loop_makes_so_many_steps(tmp_path: Path) -> None:
    unmeasured = ("evaluation.world=null", "evaluation.benchmarks=[]", "iterations=1", "questioner.train=false")
    evolve(small(*unmeasured, "reasoner.max_passes=0.01"), tmp_path / "run")
    assert [row["step"] for row in written(tmp_path / "run" / "iter_01" / "reasoner", "steps.jsonl")] == [1]


def test_no_pass_at_all_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"reasoner\.max_passes: 0\.0 is out of range; use at least 0\.01"):
        small("reasoner.max_passes=0")
