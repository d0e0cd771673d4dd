"""The loop under torchrun: what two processes make one continues, and the reverse, to the same questions and votes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from small_loop import MEASURE, ROOT, STAGES, TOOL, Loop, arguments, rows, scores

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
AFTER_QUESTIONER = ("ask", "label", "reasoner", *MEASURE)


def launch(launcher: Sequence[str], given: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The tool by a launcher, from the repository's root."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*launcher, str(TOOL), *given], cwd=ROOT, env=environment, capture_output=True, text=True)


def cut_back(finished: Path, out: Path, *stages: str) -> Path:
    """A copy of a run in which these stages, as iter_01/ask, were not made yet."""
    shutil.copytree(finished, out)
    for stage in stages:
        shutil.rmtree(out / stage)
    for report in ("scores.json", "metrics.jsonl", "ledger.jsonl"):
        (out / report).unlink()
    return out


def still_running(out: Path) -> list[str]:
    """The commands of processes that were given this run directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
    return [command for command in found if str(out) in command]


def same(one: Path, other: Path, *files: str) -> bool:
    return all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


@pytest.fixture(scope="module")
def shared(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, gone on with by two from the first questions on."""
    later = [f"iter_01/{stage}" for stage in AFTER_QUESTIONER] + ["iter_02"]
    out = cut_back(loop.directory, tmp_path_factory.mktemp("shared") / "run", *later)
    done = launch(TORCHRUN, arguments(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out accuracy") == 1 and done.stderr.count("iteration 2, label: started") == 1
    return out


def test_two_processes_ask_vote_and_keep_as_one_does_with_the_same_weights(loop: Loop, shared: Path) -> None:
    assert same(shared, loop.directory, "iter_01/ask/questions.jsonl", "iter_01/label/silver.jsonl")


def test_two_processes_train_on_the_same_rows_and_completions(loop: Loop, shared: Path) -> None:
    ours, theirs = (rows(run / "iter_01" / "reasoner" / "samples.jsonl") for run in (shared, loop.directory))
    assert [(row["step"], row["image"], row["prompt"]) for row in ours] == [
        (row["step"], row["image"], row["prompt"]) for row in theirs
    ]
    first = [row for row in theirs if row["step"] == 1]
    assert len(first) == 8 and [row for row in ours if row["step"] == 1] == first


def test_two_processes_go_through_all_stages(shared: Path) -> None:
    assert len(scores(shared)) == 3
    made = {path.parent.name for path in shared.glob("iter_02/*/manifest.json")}
    assert made == set(STAGES)
    assert not list((shared / "partial").iterdir())


def test_one_process_goes_on_where_two_stopped(shared: Path, tmp_path: Path) -> None:
    later = [f"iter_02/{stage}" for stage in AFTER_QUESTIONER]
    out = cut_back(shared, tmp_path / "run", *later)
    done = launch([sys.executable], arguments(out))
    assert done.returncode == 0, done.stderr
    assert same(out, shared, "iter_02/ask/questions.jsonl", "iter_02/label/silver.jsonl")


def test_a_killed_process_is_the_end_of_all_and_the_same_command_goes_on(
    loop: Loop, shared: Path, tmp_path: Path
) -> None:
    later = [f"iter_01/{stage}" for stage in AFTER_QUESTIONER] + ["iter_02"]
    out = cut_back(loop.directory, tmp_path / "run", *later)
    killer = str(Path(__file__).with_name("dies.py"))
    killed = launch([*TORCHRUN, killer, "iter_01_reasoner/steps/unfinished/checkpoint-2"], arguments(out))
    assert killed.returncode != 0 and "Signal 9 (SIGKILL)" in killed.stderr
    assert "iteration 1, reasoner" in killed.stderr and still_running(out) == []
    assert (out / "partial" / "iter_01_reasoner" / "steps" / "checkpoint-1").is_dir()
    again = launch(TORCHRUN, arguments(out))
    assert again.returncode == 0, again.stderr
    assert same(out, shared, "iter_01/reasoner/checkpoint/model.safetensors", "iter_02/label/silver.jsonl")


def test_what_is_wrong_is_said_and_no_traceback_shown(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = launch(TORCHRUN, arguments(tmp_path))
    assert done.returncode != 0
    assert done.stderr.count("is not empty and holds no run") == 1
    assert "visplay/evolve.py" not in done.stderr
