"""Which step a training leaves: the one that does best on rows it is not trained on, whatever kills it in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from small_loop import Loop, scores, small
from test_grpo import ROWS, Killed, by_length, killed_at, train, weights, written

from visplay.engine.grpo import Check, Row
from visplay.evolve import evolve
from visplay.pool import load
from visplay.records import SilverAnswer
from visplay.runs import Run
from visplay.staging import read_silver
from visplay.withheld import withhold

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning", "ignore:.*rollout_func")

ASIDE = ROWS[2:]


def check(*shares: float) -> Check:
    """Rows set aside, and what share of the answers is called right each time."""
    left = iter(shares)

    def right(rows: Sequence[Row], completions: Sequence[str]) -> float:
        assert list(rows) == ASIDE and len(completions) == len(ASIDE)
        return next(left)

    return Check(ASIDE, right)


def kept(folder: Path, *shares: float) -> tuple[int, dict[str, torch.Tensor]]:
    """The step that is kept of five with a check at 0, 2, 4 and 5, and its weights."""
    (summary,) = written(folder, "summary.json")
    assert [(row["step"], row["right"]) for row in written(folder, "checks.jsonl")] == list(
        zip((0, 2, 4, 5), shares, strict=True)
    )
    assert (summary["kept_right"], summary["start_right"]) == (max(shares), shares[0])
    assert not (folder / "steps").exists()
    return summary["kept_step"], weights(folder / "checkpoint")


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[name].float(), theirs[name].float()) for name in theirs)


def test_the_step_is_kept_that_does_best_and_checking_changes_no_training(base: Path, tmp_path: Path) -> None:
    train(base, tmp_path / "plain", steps=4)
    train(base, tmp_path / "checked", check=check(0.1, 0.2, 0.8, 0.3))
    step, left = kept(tmp_path / "checked", 0.1, 0.2, 0.8, 0.3)
    assert step == 4 and same(left, weights(tmp_path / "plain" / "checkpoint"))


@pytest.mark.parametrize(("shares", "best"), [((0.9, 0.2, 0.3, 0.4), 0), ((0.5, 0.5, 0.4, 0.5), 5)])
def test_the_start_may_be_best_and_of_equals_the_latest_is(
    base: Path, tmp_path: Path, shares: tuple[float, ...], best: int
) -> None:
    train(base, tmp_path / "run", check=check(*shares))
    step, left = kept(tmp_path / "run", *shares)
    assert step == best and same(left, weights(base)) == (best == 0)


def test_a_killed_training_keeps_the_same_step(base: Path, tmp_path: Path) -> None:
    shares = (0.1, 0.7, 0.2, 0.3)
    train(base, tmp_path / "whole", check=check(*shares))
    with pytest.raises(Killed):  # in the rollouts of step 4, after the checks at 0 and 2
        train(base, tmp_path / "killed", check=check(*shares), reward=killed_at(4))
    with pytest.raises(StopIteration):  # in the check at 5, which is the end of the second attempt
        train(base, tmp_path / "killed", check=check(0.2))
    train(base, tmp_path / "killed", check=check(0.3))
    assert kept(tmp_path / "killed", *shares)[0] == 2
    for name in ("checkpoint/model.safetensors", "checks.jsonl", "steps.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_kill_before_the_first_step_checkpoint_begins_again(base: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(base, tmp_path, check=check(0.1), reward=killed_at(1))
    train(base, tmp_path, check=check(0.4, 0.2, 0.3, 0.1), reward=by_length)
    assert kept(tmp_path, 0.4, 0.2, 0.3, 0.1)[0] == 0


def rows_of(loop: Loop) -> list[SilverAnswer]:
    return [row for row in read_silver(loop.directory / "iter_01" / "label") if row.dropped is None]


def test_a_fifth_of_the_kept_rows_is_set_aside_at_most(loop: Loop) -> None:
    recipe = small("reasoner.keep_step=silver", "reasoner.check_rows=100")
    kept_rows = rows_of(loop)
    with Run.open(loop.directory, small()) as run:
        pool = load(run, small())
        assert withhold(run, small(), 1, kept_rows, pool).left == kept_rows
        found = withhold(run, recipe, 1, kept_rows, pool)
        again = withhold(run, dataclasses.replace(recipe, seed=recipe.seed + 1), 1, kept_rows, pool)
    aside = [row for _, row in found.rows]
    assert len(aside) == len(kept_rows) // 5 > 0
    assert sorted(map(repr, aside + found.left)) == sorted(map(repr, kept_rows))
    assert all(picture.id == row.image_id for picture, row in found.rows)
    assert again.rows != found.rows or len(kept_rows) < 10


def test_the_loop_chooses_by_its_audit_and_says_that_truth_had_a_say(loop: Loop, tmp_path: Path) -> None:
    run = tmp_path / "run"
    evolve(small("iterations=1", "audit.images=40", "reasoner.keep_step=audit", "reasoner.check_rows=9"), run)
    checks = written(run / "iter_01" / "reasoner", "checks.jsonl")
    assert [row["step"] for row in checks] == [0, 1, 2, 3]
    assert all((9 * row["right"]).is_integer() for row in checks)
    assert scores(run)[1]["audit_steers"]
    trained = run / "iter_01" / "reasoner"
    assert written(trained)[0]["step"] == 1 and (trained / "checkpoint" / "model.safetensors").exists()
    assert written(trained) == written(loop.directory / "iter_01" / "reasoner")
