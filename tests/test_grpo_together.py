"""GRPO on several processes: it learns from the same rows, completions and rewards as on one, and survives a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_grpo import recipe, train, weights, written
from together import together

from visplay.engine.grpo import Row, Score
from visplay.engine.processes import connected
from visplay.records import write_jsonl

# Adam's first step is the gradient's sign, which is noise where the gradient is 0; this one is in proportion.
PLAIN = {"optim": "sgd", "learning_rate": 0.5}


def of_the_batch(rows: Sequence[Row], texts: Sequence[str]) -> list[Score]:
    """A reward that a process could not know from its own completions: how they compare with the whole step's."""
    mean = sum(map(len, texts)) / len(texts)
    return [Score(len(text) / mean, {"letters": float(len(text))}) for text in texts]


def train_here(start: Path, folder: Path, settings: dict[str, Any], steps: int, dies_at: int = 0) -> None:
    """In every process; the second ends itself when it is to give its rewards for the given time."""
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

        train(start, folder, reward, steps, recipe=made)


def seen(folder: Path, rank: int, call: int) -> str:
    return folder.with_name(f"{folder.name}_{rank}_{call}.jsonl").read_text()


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two steps of three prompts with two completions each, on one, two and three processes."""
    folder = tmp_path_factory.mktemp("together")
    for count in (1, 2, 3):
        answers = together(train_here, base, folder / str(count), PLAIN, 2, count=count)
        assert answers == [None] * count
    return {count: folder / str(count) for count in (1, 2, 3)}


def test_every_process_rewards_the_same_rows_and_completions_of_the_whole_step(runs: dict[int, Path]) -> None:
    for count in (2, 3):  # with two processes, the second group is split between them
        for call in (1, 2):
            assert {seen(runs[count], rank, call) for rank in range(count)} == {seen(runs[1], 0, call)}
    assert [json.loads(line)["source"] for line in seen(runs[2], 1, 2).splitlines()] == [3, 3, 0, 0, 1, 1]


def test_the_step_is_the_same_but_for_rounding(runs: dict[int, Path], base: Path) -> None:
    start, alone = weights(base), weights(runs[1] / "checkpoint")
    moved = max((alone[name] - start[name]).abs().max() for name in start)
    for count in (2, 3):
        found = weights(runs[count] / "checkpoint")
        assert found.keys() == alone.keys()
        assert max((found[name] - alone[name]).abs().max() for name in alone) < moved * 1e-3


def test_figures_and_samples_are_written_once_and_are_the_same(runs: dict[int, Path]) -> None:
    alone = written(runs[1])
    for count in (2, 3):
        assert written(runs[count], "samples.jsonl") == written(runs[1], "samples.jsonl")
        for ours, theirs in zip(written(runs[count]), alone, strict=True):
            assert (ours["completions"], ours["terms"]) == (theirs["completions"], theirs["terms"])
            for name in ("loss", "reward", "grad_norm", "completion_tokens"):
                assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-5)


def test_a_killed_training_goes_on_to_the_same_bytes(base: Path, tmp_path: Path) -> None:
    adam: dict[str, Any] = {}
    assert together(train_here, base, tmp_path / "whole", adam, 3) == [None, None]
    first, second = together(train_here, base, tmp_path / "killed", adam, 3, 3)
    assert isinstance(first, Exception) and second is None
    assert [path.name for path in (tmp_path / "killed" / "steps").glob("checkpoint-*")] == ["checkpoint-2"]
    assert together(train_here, base, tmp_path / "killed", adam, 3) == [None, None]
    for name in ("checkpoint/model.safetensors", "steps.jsonl", "samples.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_on_another_number_of_processes_a_killed_training_begins_again(
    base: Path, runs: dict[int, Path], tmp_path: Path
) -> None:
    saved_often = PLAIN | {"save_steps": 1}
    first, _ = together(train_here, base, tmp_path / "killed", saved_often, 2, 2)
    assert isinstance(first, Exception)
    assert (tmp_path / "killed" / "steps" / "checkpoint-1").is_dir()
    assert together(train_here, base, tmp_path / "killed", saved_often, 2, count=1) == [None]
    ours, theirs = weights(tmp_path / "killed" / "checkpoint"), weights(runs[1] / "checkpoint")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert written(tmp_path / "killed") == written(runs[1])
