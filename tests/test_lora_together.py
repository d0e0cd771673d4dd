"""LoRA on several processes: the same votes of the frozen role, and the same step, as on one; a kill costs nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from test_grpo import train
from test_grpo_together import PLAIN, of_the_batch, zero
from test_lora import POOL, small, texts
from together import together

from visplay.engine.grpo import Row, Score
from visplay.engine.processes import connected
from visplay.engine.sampling import SharedSampler
from visplay.recipe import SamplingSettings
from visplay.records import write_jsonl

WAYS: dict[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {}),
    "two": (2, {}),
    "two by ZeRO-2": (2, {"deepspeed": zero(2)}),
    "two by ZeRO-3": (2, {"deepspeed": zero(3)}),
}
SEVERAL = list(WAYS)[1:]


def train_here(start: Path, folder: Path, settings: dict[str, Any], steps: int, dies_at: int = 0) -> None:
    """In every process, against the start itself; the second ends itself when it is asked for the given time."""
    made = small(**settings)
    calls = 0
    with connected(made) as processes:
        sampler = SharedSampler(start, POOL, SamplingSettings(batch=2), processes)

        def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
            nonlocal calls
            calls += 1
            if (processes.rank, calls) == (1, dies_at):
                os._exit(9)
            heard = [{"votes": votes} for votes in texts(sampler)]
            write_jsonl(folder.with_name(f"{folder.name}_{processes.rank}_{calls}.jsonl"), heard)
            return of_the_batch(rows, completions)

        train(start, folder, reward, steps, recipe=made, frozen=sampler)


def heard(folder: Path, rank: int, call: int) -> str:
    return folder.with_name(f"{folder.name}_{rank}_{call}.jsonl").read_text()


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two steps from an adapter, each with the votes of the same adapter as a frozen role."""
    folder = tmp_path_factory.mktemp("together")
    train(base, folder / "start", steps=1, recipe=small())
    for way, (count, settings) in WAYS.items():
        start = folder / "start" / "checkpoint"
        assert together(train_here, start, folder / way, PLAIN | settings, 2, count=count) == [None] * count
    return {way: folder / way for way in ("start", *WAYS)}


@pytest.mark.parametrize("way", SEVERAL)
def test_every_process_hears_the_votes_that_one_alone_would(way: str, runs: dict[str, Path]) -> None:
    assert {heard(runs[way], rank, call) for rank in (0, 1) for call in (1, 2)} == {heard(runs["one"], 0, 1)}


@pytest.mark.parametrize("way", SEVERAL)
def test_the_step_is_the_same_but_for_rounding(way: str, runs: dict[str, Path]) -> None:
    start, alone, found = (
        load_file(runs[each] / "checkpoint" / "adapter_model.safetensors") for each in ("start", "one", way)
    )
    moved = max((alone[name] - start[name]).abs().max() for name in start)
    assert found.keys() == alone.keys() and moved > 0
    assert max((found[name] - alone[name]).abs().max() for name in alone) < moved * 1e-3


def test_a_killed_training_goes_on_to_the_same_bytes(runs: dict[str, Path], tmp_path: Path) -> None:
    start, settings = runs["start"] / "checkpoint", {"deepspeed": zero(3)}  # the others: tests/test_grpo_together.py
    assert together(train_here, start, tmp_path / "whole", settings, 3) == [None, None]
    first, second = together(train_here, start, tmp_path / "killed", settings, 3, 3)
    assert isinstance(first, Exception) and second is None
    assert [path.name for path in (tmp_path / "killed" / "steps").glob("checkpoint-*")] == ["checkpoint-2"]
    assert together(train_here, start, tmp_path / "killed", settings, 3) == [None, None]
    for name in ("checkpoint/adapter_model.safetensors", "steps.jsonl", "samples.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
