"""The command line: what it accepts, and how it says no."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "evolve.py"
RECIPE = "model: somewhere/a-model\npool:\n  source: world:scenes\n"


def evolve(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "small.yaml").write_text(RECIPE)
    command = [sys.executable, str(TOOL), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["--help"], ["small.yaml", "--dry-run"]])
def test_what_should_answer_at_once_loads_no_heavy_library(tmp_path: Path, arguments: list[str]) -> None:
    done = evolve(tmp_path, *arguments, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "argparse" in imported
    assert imported.isdisjoint({"torch", "transformers", "trl", "datasets", "sklearn"})


def test_dry_run_prints_the_resolved_recipe_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = evolve(tmp_path, "small.yaml", "iterations=7", "--dry-run", "labels.votes=5")
    assert done.returncode == 0
    assert "iterations: 7" in done.stdout
    assert "votes: 5" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_dry_run_counts_the_items_of_benchmarks_without_a_heavy_library(tmp_path: Path) -> None:
    named = ["evaluation.benchmarks=[local]", f"evaluation.data={ROOT / 'tests' / 'benchmarks'}"]
    done = evolve(tmp_path, "small.yaml", "--dry-run", *named, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert next(line.split()[:4] for line in done.stdout.splitlines() if line.startswith("benchmarks ")) == [
        *("benchmarks", "4", "6", "6"),
    ]
    assert imported.isdisjoint({"torch", "transformers", "trl"})


def test_data_that_cannot_be_read_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    base = f"model={ROOT / 'data' / 'base'}"
    refused = evolve(tmp_path, "small.yaml", base, "evaluation.benchmarks=[local]", "--out", "run")
    assert refused.returncode == 2
    assert (
        refused.stderr.startswith("evaluation.data: local has no official data; ") and refused.stderr.count("\n") == 1
    )
    assert not list((tmp_path / "run").glob("iter_*"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("grpo.optim=foo", "grpo: TRL does not take these settings"),
        ("grpo.lr_scheduler_type=foo", "grpo: TRL does not take these settings"),
        ("questioner.embedder=no/such-model", "embedder 'no/such-model' is not on this machine"),
    ],
)
def test_what_only_a_later_stage_would_need_is_refused_before_anything_is_made(
    tmp_path: Path, wrong: str, says: str
) -> None:
    refused = evolve(tmp_path, "small.yaml", f"model={ROOT / 'data' / 'base'}", wrong, "--out", "run")
    assert refused.returncode == 2
    assert says in refused.stderr and "Traceback" not in refused.stderr
    assert not list((tmp_path / "run").glob("iter_*"))


def test_the_launchers_local_rank_may_come_first(tmp_path: Path) -> None:
    assert evolve(tmp_path, "--local_rank=1", "small.yaml", "--dry-run").returncode == 0


def test_several_processes_can_be_planned_but_not_started_without_a_launcher(tmp_path: Path) -> None:
    refused = evolve(tmp_path, "small.yaml", WORLD_SIZE="2")
    assert refused.returncode == 2
    assert refused.stderr.startswith("WORLD_SIZE is 2 but RANK is not set; ") and refused.stderr.count("\n") == 1
    assert evolve(tmp_path, "small.yaml", "--dry-run", WORLD_SIZE="2").returncode == 0


def test_every_error_of_a_recipe_is_printed_at_once_without_a_traceback(tmp_path: Path) -> None:
    done = evolve(tmp_path, "small.yaml", "iteration=2", "labels.votes=many")
    assert done.returncode == 2
    assert "did you mean iterations?" in done.stderr
    assert "labels.votes: 'many'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_the_place_of_the_folder_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    refused = evolve(tmp_path, "small.yaml", "--out", "run")
    assert refused.returncode == 2
    assert "run cannot be a folder" in refused.stderr and refused.stderr.count("\n") == 1
    assert (tmp_path / "run").read_text() == "mine"


def test_a_folder_that_holds_something_else_is_refused_without_a_traceback(tmp_path: Path) -> None:
    done = evolve(tmp_path, "small.yaml", "--out", ".")
    assert done.returncode == 2
    assert "holds no run" in done.stderr
    assert "Traceback" not in done.stderr
