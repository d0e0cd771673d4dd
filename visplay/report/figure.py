"""The curves of a run as one picture: what the model can do, then what it was taught, and where there is an audit, how
far that can be trusted.

No pyplot and no display: the same rows give the same bytes under the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from visplay.report.calibration import calibration
from visplay.report.scores import Interval, ScoreRow
from visplay.report.trust import Rate

# Okabe and Ito's colours, told apart by colour-blind readers; each curve has its own marker for print in grey.
_BLUE, _ORANGE, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_SKY, _BLACK, _GREY = "#56B4E9", "#000000", "#777777"

_LOOK = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "svg.hashsalt": "visplay",
    "svg.fonttype": "none",
}


_LINE_GAP = 0.075  # of a panel's height: two labels at a line's end must not touch


class Curve(NamedTuple):
    """One line of a panel: `shares[i]` in [0, 1] belongs to row i, None where it does not apply; so do `intervals`."""

    label: str
    shares: Sequence[float | None]
    color: str
    marker: str
    is_main: bool = False
    intervals: Sequence[Interval | None] = ()


def draw(rows: Sequence[ScoreRow], path: Path) -> Path:
    """Draw the curves of `rows`, base first, into `path` (.png or .svg); returns it."""
    with rc_context(_LOOK):
        audited = any(row.audit for row in rows)
        figure = Figure(figsize=(15 if audited else 10, 4), layout="constrained", dpi=150)
        ability, labels, *trust = figure.subplots(1, 3 if audited else 2)
        ability.set_title("Held-out accuracy", loc="left", fontweight="bold")
        ability.text(1.02, -0.03, "bar: 95 % interval", transform=ability.transAxes, va="top", color=_GREY)
        _panel(ability, rows, _ability_curves(rows))
        labels.set_title("The silver labels behind it", loc="left", fontweight="bold")
        labels.set_ylim(0, 1.05)
        _panel(labels, rows, _label_curves(rows))
        if audited:
            calibration(trust[0], rows)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    return path


def _ability_curves(rows: Sequence[ScoreRow]) -> list[Curve]:
    return [
        Curve("majority vote", [row.majority for row in rows], _ORANGE, "^"),
        Curve("one sample", [row.one_sample for row in rows], _GREEN, "s"),
        Curve("greedy", [row.greedy for row in rows], _BLUE, "o", True, [row.greedy_interval for row in rows]),
    ]


def _label_curves(rows: Sequence[ScoreRow]) -> list[Curve]:
    distinct = [
        row.distinct_questions / row.candidates if row.distinct_questions is not None and row.candidates else None
        for row in rows
    ]
    valid = [row.audit.validity if row.audit else None for row in rows]
    right = [row.audit.silver_accuracy if row.audit else None for row in rows]
    return [
        Curve("distinct questions", distinct, _GREEN, "s"),
        Curve("mean confidence", [row.mean_confidence for row in rows], _ORANGE, "^"),
        Curve("kept, of all", [row.kept_share for row in rows], _PURPLE, "D"),
        _rates("valid, by audit", valid, _BLACK, "X"),
        _rates("right, by audit", right, _SKY, "v"),
        Curve("right, of kept", [row.silver_accuracy for row in rows], _BLUE, "o", is_main=True),
    ]


def _rates(label: str, rates: Sequence[Rate | None], color: str, marker: str) -> Curve:
    shares = [rate.mean if rate else None for rate in rates]
    return Curve(label, shares, color, marker, intervals=[(rate.low, rate.high) if rate else None for rate in rates])


def _intervals(axes: Axes, rows: Sequence[ScoreRow], curve: Curve) -> None:
    for row, interval in zip(rows, curve.intervals, strict=False):
        if interval is not None:
            axes.vlines(row.iteration, *interval, color=curve.color, alpha=0.3, linewidth=7)


def _panel(axes: Axes, rows: Sequence[ScoreRow], curves: Sequence[Curve]) -> None:
    """Draw the curves that have a figure, and name the axes as a reader thinks of them."""
    ends: list[tuple[float, Curve]] = []
    for curve in curves:
        _intervals(axes, rows, curve)
        points = [(row.iteration, share) for row, share in zip(rows, curve.shares, strict=True) if share is not None]
        if points:
            width, line = (2.4, "-") if curve.is_main else (1.4, "--")
            axes.plot(
                *zip(*points, strict=True), color=curve.color, marker=curve.marker, linewidth=width, linestyle=line
            )
            ends.append((points[-1][1], curve))
    axes.set_xlim(-0.25, max((row.iteration for row in rows), default=0) + 0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "base" if value == 0 else f"{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("iteration")
    if ends:
        _name_ends(axes, ends)
    else:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=_GREY)


def _name_ends(axes: Axes, ends: Sequence[tuple[float, Curve]]) -> None:
    """Write each curve's name and last value beside its end, moved up where it would cover the one below."""
    bottom, top = axes.get_ylim()
    floor = -_LINE_GAP
    for share, curve in sorted(ends):
        height = max((share - bottom) / (top - bottom), floor + _LINE_GAP)
        floor = height
        weight = "bold" if curve.is_main else "normal"
        text = f"{curve.label} {share:.1%}"
        axes.text(1.02, height, text, transform=axes.transAxes, va="center", color=curve.color, fontweight=weight)
