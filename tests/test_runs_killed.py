"""The run directory under real signals: a process of its own stands in the middle of a stage and is ended there."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from visplay.recipe import PoolSettings, Recipe
from visplay.runs import Run, RunError, ledger

RECIPE = Recipe(model="base", pool=PoolSettings(source="images"))


class Process:
    """A process that opens the run and stands still in the middle of a stage until it is ended."""

    SCRIPT = """
        import os, sys
        from visplay.recipe import PoolSettings, Recipe
        from visplay.runs import Run, Stopped, stop_signals

        def work(directory):
            (directory / "steps").mkdir()
            (directory / "steps" / "10").write_text("half way")
            if os.fork() == 0:
                os.close(1)
                sys.stdin.read()  # outlives its parent
                os._exit(0)
            print("in the middle", flush=True)
            sys.stdin.read()

        with stop_signals():
            try:
                with Run.open(sys.argv[1], Recipe(model="base", pool=PoolSettings(source="images"))) as run:
                    run.stage(1, "ask", lambda directory: (directory / "a").write_text("a"), {})
                    run.stage(1, "questioner", work, {}, resumable=True)
            except Stopped as stop:
                print(stop)
                sys.exit(stop.exit_code)
    """

    def __init__(self, out: Path) -> None:
        command = [sys.executable, "-c", textwrap.dedent(self.SCRIPT), str(out)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "in the middle\n"

    def end(self, signum: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(signum)
        self.process.wait()
        assert self.process.stdout is not None
        return self.process.returncode, self.process.stdout.read()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


def test_a_live_run_is_refused_by_process_and_host(out):
    with Process(out) as live:
        with pytest.raises(RunError, match=f"in use by process {live.process.pid} on .+; stop that one"):
            Run.open(out, RECIPE)
        live.end(signal.SIGKILL)
        Run.open(out, RECIPE).close()


def test_a_killed_run_goes_on_where_it_was_and_loses_nothing_committed(out):
    def must_not_run(directory: Path) -> None:
        raise AssertionError("this stage was committed")

    def goes_on(directory: Path) -> None:
        (directory / "final").write_text((directory / "steps" / "10").read_text())

    with Process(out) as killed:
        assert killed.end(signal.SIGKILL) == (-signal.SIGKILL, "")
        with Run.open(out, RECIPE) as run:
            run.stage(1, "ask", must_not_run, {})
            result = run.stage(1, "questioner", goes_on, {}, resumable=True)
    assert {path.name for path in result.iterdir()} == {"final", "manifest.json"}
    assert [entry["stage"] for entry in ledger.read(out)] == ["ask", "questioner"]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_where_and_how_to_go_on(out, signum, code):
    with Process(out) as stopped:
        assert stopped.end(signum) == (code, "stopped in iteration 1, questioner; run the same command to go on\n")
    assert (out / "partial" / "iter_01_questioner" / "steps" / "10").exists()
