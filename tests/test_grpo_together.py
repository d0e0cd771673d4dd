"""GRPO on several processes: it learns from the same rows, completions and rewards as on one, and survives a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_loop import ROOT
from test_grpo import ROWS, recipe, train, weights, written
from together import together

from visplay.engine.grpo import Check, Row, Score
from visplay.engine.processes import connected
from visplay.records import write_jsonl

# Adam's first step is the gradient's sign, which is noise where the gradient is 0; this one is in proportion.
PLAIN = {"optim": "sgd", "learning_rate": 0.5}


def zero(stage: int) -> str:
    return str(ROOT / "recipes" / "deepspeed" / f"zero{stage}.json")


def of_the_batch(rows: Sequence[Row], texts: Sequence[str]) -> list[Score]:
    """A reward that a process could not know from its own completions: how they compare with the whole step's."""
    mean = sum(map(len, texts)) / len(texts)
    return [Score(len(text) / mean, {"letters": float(len(text))}) for text in texts]


def train_here(
    start: Path, folder: Path, settings: dict[str, Any], steps: int, dies_at: int = 0, shares: Sequence[float] = ()
) -> None:
    """In every process; the second ends itself when it is to give its rewards for the given time.

    `shares` are what a check finds right, the first time and later.
    """
    made = recipe(**settings)
    made.sampling.batch = 2  # a chunk for each prompt
    calls = 0

    with connected(made) as processes:

        def reward(rows: Sequence[Row], texts: Sequence[str]) -> list[Score]:
            nonlocal calls
            calls += 1
            if (processes.rank, calls) == (1, dies_at):
                os._exit(9)
            seen = [{"source": row.source, "text": text} for row, text in zip(rows, texts, strict=True)]
            write_jsonl(folder.with_name(f"{folder.name}_{processes.rank}_{calls}.jsonl"), seen)
            return of_the_batch(rows, texts)

        found = iter(shares)
        check = Check(ROWS[:3], lambda rows, texts: next(found)) if shares else None
        train(start, folder, reward, steps, recipe=made, check=check)


def seen(folder: Path, rank: int, call: int) -> str:
    return folder.with_name(f"{folder.name}_{rank}_{call}.jsonl").read_text()


# How many processes, and with which settings; the first is the one that the others are held against.
WAYS: dict[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {}),
    "two": (2, {}),
    "three": (3, {}),
    "two by ZeRO-2": (2, {"deepspeed": zero(2)}),
    "two by ZeRO-3": (2, {"deepspeed": zero(3), "per_device_train_batch_size": 3}),
}
SEVERAL = list(WAYS)[1:]
ALL_SHARED = ("three", "two by ZeRO-3")  # the others have parts of one completion, which has nothing to share


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two steps of three prompts with two completions each; two processes split the second group between them."""
    folder = tmp_path_factory.mktemp("together")
    for way, (count, settings) in WAYS.items():
        answers = together(train_here, base, folder / way, PLAIN | settings, 2, count=count)
        assert answers == [None] * count
    return {way: folder / way for way in WAYS}


@pytest.mark.parametrize("way", SEVERAL)
def test_every_process_rewards_the_same_rows_and_completions_of_the_whole_step(way: str, runs: dict[str, Path]) -> None:
    for call in (1, 2):
        assert {seen(runs[way], rank, call) for rank in range(WAYS[way][0])} == {seen(runs["one"], 0, call)}
    assert [json.loads(line)["source"] for line in seen(runs[way], 1, 2).splitlines()] == [3, 3, 0, 0, 1, 1]


@pytest.mark.parametrize("way", SEVERAL)
def test_the_step_is_the_same_but_for_rounding(way: str, runs: dict[str, Path], base: Path) -> None:
    start, alone, found = weights(base), *(weights(runs[each] / "checkpoint") for each in ("one", way))
    moved = max((alone[name] - start[name]).abs().max() for name in start)
    assert found.keys() == alone.keys()
    assert max((found[name] - alone[name]).abs().max() for name in alone) < moved * 1e-3


@pytest.mark.parametrize("way", SEVERAL)
def test_figures_and_samples_are_written_once_and_are_the_same(way: str, runs: dict[str, Path]) -> None:
    assert written(runs[way], "samples.jsonl") == written(runs["one"], "samples.jsonl")
    for ours, theirs in zip(written(runs[way]), written(runs["one"]), strict=True):
        assert (ours["completions"], ours["terms"]) == (theirs["completions"], theirs["terms"])
        assert theirs["prompts_shared"] == 1 and (ours["prompts_shared"] == 1 or way not in ALL_SHARED)
        for name in ("loss", "reward", "grad_norm", "completion_tokens"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("adam", [{}, {"deepspeed": zero(3)}], ids=["plain", "zero3"])
def test_a_killed_training_goes_on_to_the_same_bytes(adam: dict[str, Any], base: Path, tmp_path: Path) -> None:
    assert together(train_here, base, tmp_path / "whole", adam, 3) == [None, None]
    first, second = together(train_here, base, tmp_path / "killed", adam, 3, 3)
    assert isinstance(first, Exception) and second is None
    assert [path.name for path in (tmp_path / "killed" / "steps").glob("checkpoint-*")] == ["checkpoint-2"]
    assert together(train_here, base, tmp_path / "killed", adam, 3) == [None, None]
    for name in ("checkpoint/model.safetensors", "steps.jsonl", "samples.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_on_another_number_of_processes_a_killed_training_begins_again(
    base: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    saved_often = PLAIN | {"save_steps": 1}
    first, _ = together(train_here, base, tmp_path / "killed", saved_often, 2, 2)
    assert isinstance(first, Exception)
    assert (tmp_path / "killed" / "steps" / "checkpoint-1").is_dir()
    assert together(train_here, base, tmp_path / "killed", saved_often, 2, count=1) == [None]
    ours, theirs = weights(tmp_path / "killed" / "checkpoint"), weights(runs["one"] / "checkpoint")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert written(tmp_path / "killed") == written(runs["one"])


def test_processes_that_share_the_weights_keep_the_start_where_it_was_best(
    base: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    settings = PLAIN | WAYS["two by ZeRO-3"][1]
    assert together(train_here, base, tmp_path / "run", settings, 2, 0, (0.9, 0.1), count=2) == [None, None]
    assert [row["right"] for row in written(tmp_path / "run", "checks.jsonl")] == [0.9, 0.1]
    kept, start = weights(tmp_path / "run" / "checkpoint"), weights(base)
    assert all(torch.equal(kept[name].float(), start[name].float()) for name in start)
    assert written(tmp_path / "run") == written(runs["two by ZeRO-3"])
