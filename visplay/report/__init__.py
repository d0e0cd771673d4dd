"""What people look at after an iteration: a table on screen; scores.json, metrics.jsonl and a picture in the run."""

from __future__ import annotations

from collections.abc import Sequence

from visplay.report.scores import BenchmarkScore, ScoreRow, read_scores, write_metrics, write_scores
from visplay.report.table import render
from visplay.runs import Run, ledger

__all__ = ["BenchmarkScore", "ScoreRow", "publish", "show"]


def publish(run: Run, rows: Sequence[ScoreRow]) -> None:
    """Bring `scores.json`, `metrics.jsonl` and `scores.png` in the run directory up to date.

    A finished run that is gone through again keeps its report: one with more rows is not replaced by one with fewer.
    """
    if len(read_scores(run.directory)) > len(rows):
        return
    from visplay.report.figure import draw  # matplotlib takes longer than scoring a benchmark

    figures = ("iteration", "stage", "seconds", "parts", "summary")
    stages = [{name: entry.get(name) for name in figures} for entry in ledger.read(run.directory)]
    write_scores(run.directory, rows)
    write_metrics(run.directory, rows, stages)
    draw(rows, run.directory / "scores.png")


def show(rows: Sequence[ScoreRow]) -> None:
    """Print the result table."""
    print(f"\n{render(rows)}", flush=True)
