"""A loop that tests can afford: the smoke recipe, shortened, and the tool that runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visplay.recipe import Recipe, load_recipe
from visplay.runs.results import MANIFEST

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "evolve.py"
SMOKE = ROOT / "recipes" / "smoke.yaml"
SHORTER = (
    "pool.world_images=30",  # as many as two iterations need: 2 x (3 + 12)
    "questioner.steps=3",
    "questioner.images_per_step=1",  # then samples.jsonl names every image that was trained on
    "ask.images=12",
    "labels.votes=6",
    "labels.min_parsed=2",
    "labels.band_high=0.9",
    "reasoner.steps=3",
    "reasoner.questions_per_step=2",
    "sampling.batch=8",  # several batches and rollouts, so that there is something to share
    "evaluation.questions=18",
    "evaluation.sampled_questions=4",
    "evaluation.samples=3",
    "evaluation.benchmarks=[local]",
    "evaluation.data=tests/benchmarks",  # six questions about two pictures of the world
    "evaluation.max_new_tokens=24",
    "evaluation.batch=2",
)
STAGES = ("questioner", "ask", "label", "reasoner", "score", "benchmarks")
MEASURE = ("score", "benchmarks")  # stages after which nothing of an iteration is left to learn


@dataclass(frozen=True)
class Loop:
    """A loop that has come to its end, and what it showed on the way."""

    directory: Path
    stdout: str
    stderr: str


def small(*overrides: str) -> Recipe:
    return load_recipe(SMOKE, [*SHORTER, *overrides])


def arguments(out: Path, *overrides: str) -> list[str]:
    """What comes after `tools/evolve.py`."""
    return [str(SMOKE), *SHORTER, *overrides, "--out", str(out)]


def evolve_by_tool(out: Path) -> Loop:
    """Run the tool in a process of its own, from the repository's root, as the README says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(TOOL), *arguments(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Loop(out, done.stdout, done.stderr)


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scores(directory: Path) -> list[dict[str, Any]]:
    """The rows of scores.json, base first."""
    found: list[dict[str, Any]] = json.loads((directory / "scores.json").read_text(encoding="utf-8"))["rows"]
    return found


def differing(one: Path, other: Path, iterations: Sequence[int] = (1, 2)) -> list[str]:
    """Files of the training stages that differ between two runs, or that only one of them has."""
    before, after = _trained(one, iterations), _trained(other, iterations)
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _trained(directory: Path, iterations: Sequence[int]) -> dict[str, bytes]:
    stages = [directory / f"iter_{k:02d}" / stage for k in iterations for stage in STAGES if stage not in MEASURE]
    files = [path for stage in stages for path in stage.rglob("*") if path.is_file() and path.name != MANIFEST]
    assert all((stage / MANIFEST).is_file() for stage in stages), f"{directory} has stages that are not finished"
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
