import signal
import subprocess
import sys

import pytest

from visplay.runs import Stopped, stop_signals


@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_becomes_an_exception_that_says_how_to_go_on(signum, exit_code):
    with pytest.raises(Stopped, match="^stopped; run the same command to go on$") as caught, stop_signals():
        signal.raise_signal(signum)
    assert caught.value.exit_code == exit_code


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


CLINGS_TO_LIFE = """
import signal
from visplay.runs import Stopped, stop_signals
with stop_signals():
    try:
        signal.raise_signal(signal.SIGINT)
    except Stopped:
        signal.raise_signal({second})
print("survived")
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills_at_once(second):
    run = subprocess.run([sys.executable, "-c", CLINGS_TO_LIFE.format(second=int(second))], capture_output=True)
    assert (run.returncode, run.stdout) == (-second, b"")


FORKS = """
import os, signal
from visplay.runs import stop_signals
with stop_signals():
    child = os.fork()
    if child == 0:
        signal.raise_signal(signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_dies_of_the_signal_as_usual():
    run = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{-signal.SIGTERM}\n", "")
