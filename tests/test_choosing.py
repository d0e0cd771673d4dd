"""Which step a training leaves: the one that does best on rows it is not trained on, whatever kills it in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from small_loop import scores, small
from test_grpo import ROWS, Killed, by_length, killed_at, train, weights, written

from visplay.engine.grpo import Check, Row
from visplay.evolve import evolve
from visplay.labelling import teaches
from visplay.pool import load
from visplay.recipe import Recipe, load_recipe
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


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop of one iteration that chooses its step by an audit."""
    run = tmp_path_factory.mktemp("chosen") / "run"
    unmeasured = ("evaluation.world=null", "evaluation.benchmarks=[]", "iterations=1")
    evolve(small(*unmeasured, "audit.images=40", "reasoner.keep_step=audit", "reasoner.check_rows=7"), run)
    return run


def test_the_loop_chooses_by_its_audit_and_says_that_truth_had_a_say(chosen: Path) -> None:
    checks = written(chosen / "iter_01" / "reasoner", "checks.jsonl")
    assert [row["step"] for row in checks] == [0, 1, 2, 3]
    assert all((7 * row["right"]) == pytest.approx(round(7 * row["right"])) for row in checks)
    assert scores(chosen)[1]["audit_steers"]
    assert (chosen / "iter_01" / "reasoner" / "checkpoint" / "model.safetensors").exists()


def test_what_is_asked_is_the_audits_well_posed_questions_or_a_fifth_of_the_kept_rows(
    chosen: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Run.open(chosen, load_recipe(chosen / "recipe.yaml")) as run:
        pool = load(run, run_recipe := load_recipe(chosen / "recipe.yaml"))
        rows = [row for row in read_silver(chosen / "iter_01" / "label") if row.question]
        many = rows * 3
        aside = {by: withhold(run, asking(run_recipe, by), 1, many, pool) for by in ("last", "silver", "audit")}
        few = withhold(run, asking(run_recipe, "silver"), 1, rows, pool)
    assert aside["last"].left == aside["audit"].left == many and aside["last"].rows == []
    ours = [row for _, row in aside["silver"].rows]
    assert len(ours) == 7 <= len(many) // 5
    assert sorted(map(repr, ours + aside["silver"].left)) == sorted(map(repr, many))
    assert (few.left, few.rows, few.inputs) == (rows, [], {})
    assert f"{len(rows) // 5} rows are too few to choose a step by (silver); the last is kept" in caplog.text
    lines = written(chosen / "iter_01" / "audit", "audit.jsonl")
    known = {(line["image_id"], line["question"]): line["truth"] for line in lines}
    assert len(aside["audit"].rows) == 7
    for picture, row in aside["audit"].rows:
        assert picture.id == row.image_id and row.question and row.ballot and teaches(row.image_id)
        assert row.ballot.answer == known[row.image_id, row.question.text] not in (None, "unanswerable")


def asking(recipe: Recipe, by: str) -> Recipe:
    return dataclasses.replace(recipe, reasoner=dataclasses.replace(recipe.reasoner, keep_step=by))
