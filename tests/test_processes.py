"""Several processes of one run: what one knows all know, and an error of one is the end of all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from together import free_port, together

from visplay.engine.processes import LostError, connected
from visplay.recipe import PoolSettings, Recipe
from visplay.runs import Run, RunError
from visplay.runs.processes import EndedElsewhere, lead


def recipe(**settings: Any) -> Recipe:
    made = Recipe(model="base", pool=PoolSettings(source="images"))
    made.grpo |= settings
    return made


def meet() -> tuple[Any, Any]:
    with connected(recipe()) as processes:
        return processes.broadcast(f"from {processes.rank}"), processes.gather({"rank": processes.rank})


def test_all_hear_of_the_first_process_and_of_each_other_in_order() -> None:
    assert together(meet) == [("from 0", [{"rank": 0}, {"rank": 1}])] * 2


def lead_into_an_error() -> None:
    with connected(recipe()) as processes:
        assert lead(processes, lambda: 3) == 3
        lead(processes, lambda: 1 // 0)


def test_an_error_of_the_first_process_ends_all_and_is_told_once() -> None:
    first, second = together(lead_into_an_error)
    assert (type(first), type(second)) == (ZeroDivisionError, EndedElsewhere)


def meet_without_the_second(deadline_s: int, ends: bool) -> None:
    with connected(recipe(ddp_timeout=deadline_s)) as processes:
        numbers = processes.gather(os.getpid())
        if processes.rank and ends:
            os._exit(9)
        if processes.rank:
            signal.alarm(600)
            signal.pause()
        try:
            processes.gather(None)
        finally:
            if not ends:
                os.kill(numbers[1], signal.SIGKILL)


def test_who_waits_for_a_process_that_has_ended_is_told() -> None:
    first, second = together(meet_without_the_second, 600, True)
    assert isinstance(first, LostError) and "process 0 of 2" in str(first)
    assert second is None


def test_who_waits_for_a_process_that_does_not_come_is_told_at_the_deadline() -> None:
    first, second = together(meet_without_the_second, 10, False)
    assert isinstance(first, LostError) and "did not come within grpo.ddp_timeout = 10 seconds" in str(first)
    assert second is None


def commit(out: Path, started_as: str) -> tuple[str, list[str], str]:
    with connected(recipe()) as processes, Run.open(out, recipe(), processes) as run:

        def work(folder: Path) -> None:
            (folder / "made.txt").write_text(f"by process {processes.rank} of {started_as}")

        made = run.stage(1, "ask", work, {}, resumable=False)
        alone = run.stage(1, "pool", work, {}, alone=True)
        return (made / "made.txt").read_text(), sorted(os.listdir(out / "iter_01")), (alone / "made.txt").read_text()


def test_all_make_a_stage_and_the_first_ones_work_is_kept(tmp_path: Path) -> None:
    for started_as in ("one", "two"):  # the second time it is there already
        found = together(commit, tmp_path / "run", started_as)
        assert found == [("by process 0 of one", ["ask", "pool"], "by process 0 of one")] * 2
    assert len((tmp_path / "run" / "ledger.jsonl").read_text().splitlines()) == 2


def disagree(out: Path) -> None:
    with connected(recipe()) as processes, Run.open(out, recipe(), processes) as run:
        run.fingerprint("model", "abc"[processes.rank])


def test_a_process_that_sees_other_data_is_named(tmp_path: Path) -> None:
    found = together(disagree, tmp_path / "run")
    assert [type(error) for error in found] == [RunError] * 2
    assert "model is b in process 1, but a in process 0" in str(found[0])


def fail_in_a_stage(out: Path) -> None:
    with connected(recipe()) as processes, Run.open(out, recipe(), processes) as run:

        def work(folder: Path) -> None:
            if processes.rank == 1:
                raise OSError("disk full")

        try:
            run.stage(1, "ask", work, {})
        except OSError as error:
            raise OSError(error, *error.__notes__) from error


def test_an_error_in_a_stage_says_process_and_stage_and_commits_nothing(tmp_path: Path) -> None:
    first, second = together(fail_in_a_stage, tmp_path / "run")
    assert isinstance(first, LostError) and "in process 1 of 2, iteration 1, ask" in str(second)
    assert not (tmp_path / "run" / "iter_01").exists()


# A launcher that starts one process, which says when it has met itself, and waits.
LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import select, sys
from visplay.engine.processes import connected
from visplay.recipe import PoolSettings, Recipe
with connected(Recipe(model="base", pool=PoolSettings(source="images"))):
    print("met", flush=True)
    select.select([sys.stdin], [], [], 30)
    print("left behind", flush=True)
"""


def test_no_process_is_left_behind_by_a_launcher_that_is_killed() -> None:
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    environment = {**os.environ, **place, "MASTER_PORT": str(free_port()), "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", LAUNCHER, CHILD]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stdout is not None
        assert [launcher.stdout.readline().strip().isdigit(), launcher.stdout.readline()] == [True, "met\n"]
        launcher.kill()
        # The child holds the other end: this comes back when it is gone.
        assert launcher.stdout.read() == ""
