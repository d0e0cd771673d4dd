"""A process for each training: the loop comes to the same end, piece by piece, and nobody is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_loop import MEASURE, ROOT, TOOL, Loop, arguments, differing, scores
from test_deepspeed import launcher
from test_launched import cut_back, launch, same, still_running

from visplay.engine.launch import NEXT
from visplay.runs import ledger

LAST = [f"iter_02/{stage}" for stage in ("reasoner", *MEASURE)]
HERE = (sys.executable,)


@pytest.fixture
def begun(loop: Loop, tmp_path: Path) -> Path:
    """A run that lacks its last three stages."""
    return cut_back(loop.directory, tmp_path / "run", *LAST)


def made(out: Path) -> list[str]:
    return [entry["stage"] for entry in ledger.read(out) if entry["seconds"] is not None]


def test_a_process_with_a_turn_makes_a_training_or_the_stages_up_to_it(loop: Loop, tmp_path: Path) -> None:
    begun = cut_back(loop.directory, tmp_path / "run", "iter_02/ask", "iter_02/label", *LAST)
    expected = [["ask", "label"], ["reasoner"], ["score", "benchmarks"]]
    for turn, status in enumerate([NEXT, NEXT, 0], start=1):
        done = launch(HERE, [*arguments(begun), "--turn", str(turn)])
        assert (done.returncode, made(begun)) == (status, sum(expected[:turn], [])), done.stderr
        assert ("iteration 1, label: already done" in done.stderr) == (turn == 1)


def test_stages_apart_leave_what_one_process_does(loop: Loop, begun: Path) -> None:
    done = launch(HERE, [*arguments(begun), "--apart"])
    assert done.returncode == 0, done.stderr
    assert made(begun) == ["reasoner", "score", "benchmarks"]
    assert differing(begun, loop.directory) == [] and same(begun, loop.directory, "iter_02/score/score.json")
    assert done.stdout.count("held-out accuracy") == 1


def test_stages_apart_of_two_processes_go_through_all(loop: Loop, tmp_path: Path) -> None:
    begun = cut_back(loop.directory, tmp_path / "run", "iter_02/label", *LAST)
    done = launch(launcher(), [*arguments(begun), "--apart"])
    assert done.returncode == 0, done.stderr
    assert len(scores(begun)) == 3 and made(begun) == ["label", "reasoner", "score", "benchmarks"]
    assert still_running(begun) == []


def start(out: Path) -> subprocess.Popen[str]:
    """The loop, stages apart, and in the middle of one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*HERE, str(TOOL), *arguments(out), "--apart"]
    loop = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert loop.stderr is not None
    assert any("iteration 2, reasoner: started" in line for line in loop.stderr)
    return loop


def test_a_second_command_is_refused_and_a_killed_one_leaves_nobody_behind(begun: Path) -> None:
    with start(begun) as first:
        second = launch(HERE, [*arguments(begun), "--apart"])
        assert (second.returncode, "is in use by process" in second.stderr) == (2, True)
        first.kill()
        assert first.stderr is not None
        first.stderr.read()  # until the stage's process, which has it too, is gone
    assert still_running(begun) == []


def test_a_stop_reaches_the_stage_and_says_how_to_go_on(begun: Path) -> None:
    with start(begun) as loop:
        loop.send_signal(signal.SIGTERM)
        assert loop.stderr is not None
        said = loop.stderr.read()
    assert loop.returncode == 143
    # Python drops an exception that comes while an object is let go: then the stage is finished first.
    assert re.search(r"stopped( in iteration 2, reasoner)?; run the same command to go on", said)
    assert still_running(begun) == []


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = launch(HERE, [*arguments(tmp_path), "--apart"])
    assert (done.returncode, done.stderr.count("is not empty and holds no run")) == (2, 1)
