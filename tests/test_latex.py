import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from visplay.labels.latex import Grader, equivalent

HOSTILE = "9^{9^{9^{9}}}"


@pytest.fixture
def grader() -> Iterator[Grader]:
    grader = Grader()
    yield grader
    grader.close()


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        ("x^2+2x+1", "(x+1)^2", True),
        ("2", r"x=\sqrt{4}", True),
        ("y=2x-5", "y-1=2(x-3)", True),
        ("4x^2+9y^2=36", r"\frac{x^2}{9}+\frac{y^2}{4}=1", True),
        ("y=2x-5", "y-1=2(x-4)", False),
        ("x^2=x", "x=1", False),
        ("1", r"2x+z=\frac{2}{2}", False),
        (r"\frac{11}{64}", r"\frac{1}{64}", False),
        (r"\frac{1}{2} or \frac{1}{3}", r"\frac{1}{2}", False),
        (r"not \pi", r"\pi", False),
        (r"\pi cm", r"\pi m", False),
        (r"\sqrt{4} $ 3 $", "3", False),
        (r"\nonsense{2}", "2", False),
        ("", r"\pi", False),
        ("\n\\", "\\\n", False),
    ],
)
def test_formulas_are_compared_whole_and_in_either_order(a: str, b: str, equal: bool) -> None:
    assert equivalent(a, b) is equal
    assert equivalent(b, a) is equal


def test_no_worker_runs_before_the_first_comparison(grader: Grader) -> None:
    assert grader.pid is None
    grader.equivalent("2", r"\sqrt{4}", 5)
    assert grader.pid is not None


def test_a_worker_serves_many_comparisons(grader: Grader) -> None:
    assert grader.equivalent(r"\sqrt{8}", r"2\sqrt{2}", 5) is True
    first = grader.pid
    assert grader.equivalent(r"\sqrt{8}", r"3\sqrt{2}", 5) is False
    assert grader.pid == first


def test_hostile_latex_costs_its_worker_and_nothing_else(grader: Grader) -> None:
    grader.equivalent("2", r"\sqrt{4}", 5)
    worker = grader.pid
    assert worker is not None
    assert grader.equivalent(HOSTILE, r"\pi", 0.1) is None
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert grader.equivalent(r"\sqrt{8}", r"2\sqrt{2}", 5) is True


def test_a_worker_that_was_killed_from_outside_is_replaced(grader: Grader) -> None:
    grader.equivalent("2", r"\sqrt{4}", 5)
    assert grader.pid is not None
    os.kill(grader.pid, signal.SIGKILL)
    os.waitid(os.P_PID, grader.pid, os.WEXITED | os.WNOWAIT)
    assert grader.equivalent(r"\sqrt{8}", r"2\sqrt{2}", 5) is True


def test_a_forked_child_leaves_the_worker_to_its_parent(grader: Grader) -> None:
    grader.equivalent("2", r"\sqrt{4}", 5)
    worker = grader.pid
    grader.forget()
    assert grader.pid is None
    assert worker is not None
    os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("request_limit_s", [5, 0.5])
def test_no_worker_outlives_its_parent(request_limit_s: float) -> None:
    """The worker holds stderr open, so that `run` returns only when parent and worker are both gone."""
    formula = r"\sqrt{4}" if request_limit_s == 5 else HOSTILE
    script = (
        "import os, threading\nfrom visplay.labels.latex import equivalent\nequivalent('2', r'\\sqrt{4}')\n"
        f"asking = threading.Thread(target=equivalent, args=({formula!r}, '3', {request_limit_s}), daemon=True)\n"
        "asking.start()\nasking.join(0.2)\nos.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, timeout=60, check=False)
    assert parent.returncode == -signal.SIGKILL
