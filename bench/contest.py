"""Two ways of doing the same, in one process and in turn: how many times as long, and as many operations, one takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from visplay.plan.gpus import Gpu


@dataclass(frozen=True)
class Contest:
    """`ours` against `theirs`, each a whole piece of work."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    tokens: int = 0  # that each of them writes
    moved: int = 0  # bytes of weights and cache that must be read to write them one by one


@dataclass(frozen=True)
class Outcome:
    """`ratio` is the median of their time over ours, pair by pair, `low` and `high` the least and the largest.

    `theory` is the ratio of counted operations: of matrix products, convolutions and attention. Seconds are medians, of
    processor time on a CPU. Without such operations there is no theory.
    """

    ratio: float
    low: float
    high: float
    theory: float | None
    ours_s: float
    theirs_s: float
    ours_flops: int
    tokens: int = 0
    moved: int = 0


def hold(contest: Contest, repeats: int) -> Outcome:
    """Each way once to warm up and once to be counted, then in turn, which of them first changing."""
    for way in (contest.ours, contest.theirs):
        way()
    operations = [counted(way) for way in (contest.ours, contest.theirs)]
    pairs: list[tuple[float, float]] = []
    for number in range(repeats):
        if number % 2:
            theirs, ours = timed(contest.theirs), timed(contest.ours)
        else:
            ours, theirs = timed(contest.ours), timed(contest.theirs)
        pairs.append((ours, theirs))
    ratios = sorted(theirs / ours for ours, theirs in pairs)
    middle = [median(times) for times in zip(*pairs, strict=True)]
    theory = operations[1] / operations[0] if operations[0] else None
    return Outcome(median(ratios), ratios[0], ratios[-1], theory, *middle, operations[0], contest.tokens, contest.moved)


def counted(way: Callable[[], object]) -> int:
    """Floating-point operations of one call."""
    with FlopCounterMode(display=False) as counter:
        way()
    return counter.get_total_flops()


def timed(way: Callable[[], object]) -> float:
    """Seconds of one call: of the processor, so that what else runs here matters little; of a GPU by the clock."""
    cuda = torch.cuda.is_available()
    clock = time.perf_counter if cuda else time.process_time
    if cuda:
        torch.cuda.synchronize()
    started = clock()
    way()
    if cuda:
        torch.cuda.synchronize()
    return clock() - started


def figures(outcome: Outcome, gpu: Gpu | None = None) -> dict[str, float | None]:
    """The ratios, and beside them seconds and tokens a second. On a known GPU also what share of its peak our
    operations reach (`mfu`), and of our time the least that its data sheet allows (`floor`): operations, then bytes.
    """
    plain: dict[str, float | None] = dataclasses.asdict(outcome)
    plain["tokens_per_s"] = outcome.tokens / outcome.ours_s if outcome.tokens else None
    if gpu:
        multiplied = outcome.ours_flops / (gpu.tflops * 1e12)
        plain["mfu"] = multiplied / outcome.ours_s
        plain["floor"] = (multiplied + outcome.moved / (gpu.bandwidth_gbs * 1e9)) / outcome.ours_s
    return plain
