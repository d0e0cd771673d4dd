"""Two ways of doing the same, in one process and in turn: how many times as long, and as many operations, one takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

from visplay.plan.gpus import Gpu


@dataclass(frozen=True)
class Writing:
    """`tokens` that are written, and what writing them one after the other takes: floating-point operations, and bytes
    of weights and cache that are `moved`, which go on at the same time.
    """

    tokens: int = 0
    flops: int = 0
    moved: int = 0


@dataclass(frozen=True)
class Contest:
    """`ours` against `theirs`, each a whole piece of work."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    writing: Writing = Writing()  # of either


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
    writing: Writing = Writing()


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
    return Outcome(median(ratios), ratios[0], ratios[-1], theory, *middle, operations[0], contest.writing)


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
    operations reach (`mfu`), and what share of our time is the least that its data sheet allows (`floor`).
    """
    plain: dict[str, float | None] = {**vars(outcome)}
    del plain["writing"]
    plain["tokens_per_s"] = outcome.writing.tokens / outcome.ours_s if outcome.writing.tokens else None
    if gpu:
        plain["mfu"] = outcome.ours_flops / (gpu.tflops * 1e12) / outcome.ours_s
        plain["floor"] = least_s(outcome.ours_flops, outcome.writing, gpu) / outcome.ours_s
    return plain


def least_s(flops: int, writing: Writing, gpu: Gpu) -> float:
    """Seconds that `flops` take at the peak, and of those of writing the bytes, where these take longer."""
    written = writing.flops / (gpu.tflops * 1e12)
    return flops / (gpu.tflops * 1e12) - written + max(written, writing.moved / (gpu.bandwidth_gbs * 1e9))
