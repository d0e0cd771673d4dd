"""The loop under the deepspeed launcher, on two processes: ZeRO-2 for all of it, ZeRO-3 for one stage of each role.

The first use on a machine compiles a part of DeepSpeed, which takes minutes; nothing here has a time limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_loop import ROOT, TOOL, Loop, arguments, rows, scores
from test_launched import cut_back, launch, same, still_running
from together import free_port
from transformers import AutoModelForImageTextToText, AutoProcessor

LAUNCHER = Path(sys.executable).with_name("deepspeed")


def launcher() -> list[str]:
    return [sys.executable, str(LAUNCHER), "--num_gpus", "2", "--master_port", str(free_port())]


def by_deepspeed(out: Path, stage: int, *overrides: str) -> None:
    configuration = f"grpo.deepspeed=recipes/deepspeed/zero{stage}.json"
    done = launch(launcher(), arguments(out, configuration, *overrides))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("zero2") / "run"
    by_deepspeed(out, 2)
    return out


@pytest.fixture(scope="module")
def third(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both roles trained once, after what one process had made of the base."""
    made = [f"iter_01/{path.name}" for path in (loop.directory / "iter_01").iterdir()]
    out = cut_back(loop.directory, tmp_path_factory.mktemp("zero3") / "run", *made, "iter_02")
    (out / "recipe.yaml").write_text((out / "recipe.yaml").read_text().replace("iterations: 2", "iterations: 1"))
    by_deepspeed(out, 3, "iterations=1")
    return out


def trained(run: Path, iterations: tuple[int, ...]) -> list[Path]:
    return [run / f"iter_{k:02d}" / role / "checkpoint" for k in iterations for role in ("questioner", "reasoner")]


def opens(checkpoint: Path) -> bool:
    _, found = AutoModelForImageTextToText.from_pretrained(checkpoint, output_loading_info=True)
    return not any(found.values()) and AutoProcessor.from_pretrained(checkpoint).image_processor is not None


def first_step(run: Path, role: str) -> list[dict[str, Any]]:
    return [row for row in rows(run / "iter_01" / role / "samples.jsonl") if row["step"] == 1]


def moved_apart(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    ours, theirs = (load_file(checkpoint / "model.safetensors") for checkpoint in (one, other))
    assert ours.keys() == theirs.keys()
    return max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)


def test_zero_2_goes_through_the_whole_loop(second: Path) -> None:
    assert len(scores(second)) == 3
    assert all(opens(checkpoint) for checkpoint in trained(second, (1, 2)))


def test_zero_2_begins_with_the_same_pool_score_rows_and_completions_as_one_process(loop: Loop, second: Path) -> None:
    ours, theirs = (rows(run / "iter_00/pool/pool.jsonl") for run in (second, loop.directory))
    assert [row["id"] for row in ours] == [row["id"] for row in theirs]
    assert same(second, loop.directory, "iter_00/score/score.json")
    assert first_step(second, "questioner") == first_step(loop.directory, "questioner") != []


def test_zero_3_trains_both_roles_from_the_same_rows_and_completions(loop: Loop, third: Path) -> None:
    assert first_step(third, "questioner") == first_step(loop.directory, "questioner") != []
    assert all(opens(checkpoint) for checkpoint in trained(third, (1,)))


@pytest.mark.parametrize("run", ["second", "third"])
def test_a_checkpoint_is_whole_and_what_one_process_comes_to(
    run: str, loop: Loop, request: pytest.FixtureRequest
) -> None:
    ours = request.getfixturevalue(run) / "iter_01" / "questioner" / "checkpoint"
    theirs = loop.directory / "iter_01" / "questioner" / "checkpoint"
    base = ROOT / "data" / "base"
    # Adam moves a weight whose gradient is rounding by as much as any other: by 1e-4 in each of three steps.
    assert 0 < moved_apart(ours, theirs) < 7e-4
    assert moved_apart(ours, base) > 1e-4
    assert torch.isfinite(torch.tensor(moved_apart(ours, theirs)))


def test_one_process_goes_on_where_zero_2_stopped(second: Path, tmp_path: Path) -> None:
    later = ("iter_02/ask", "iter_02/label", "iter_02/reasoner", "iter_02/score", "iter_02/benchmarks")
    out = cut_back(second, tmp_path / "run", *later)
    done = launch([sys.executable], arguments(out))  # no DeepSpeed, one process
    assert done.returncode == 0, done.stderr
    assert same(out, second, "iter_02/ask/questions.jsonl", "iter_02/label/silver.jsonl")
    assert "RANK" not in os.environ


def test_none_of_the_processes_is_left_when_the_launcher_is_told_to_end(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [*launcher(), str(TOOL), *arguments(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as deepspeed:
        assert deepspeed.stderr is not None
        assert any("iteration 0, score: started" in line for line in deepspeed.stderr)
        deepspeed.terminate()
        deepspeed.stderr.read()  # until nobody has the other end
    assert still_running(out) == []
