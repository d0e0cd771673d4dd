"""One panel of the figure: how often silver answers of some confidence are right, by the audit of each iteration."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from visplay.report.scores import ScoreRow

_BLUE, _GREY = "#0072B2", "#777777"


def calibration(axes: Axes, rows: Sequence[ScoreRow]) -> None:
    """Bins of confidence as points, the last iteration with 95 % intervals and the earlier ones paler."""
    audited = [(row, row.audit) for row in rows if row.audit]
    axes.set_title("Confidence against truth", loc="left", fontweight="bold")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":")
    for number, (row, audit) in enumerate(audited, 1):
        is_last = number == len(audited)
        confidences = [one.confidence for one in audit.calibration]
        shares = [one.right.mean for one in audit.calibration]
        strength = 1.0 if is_last else 0.2 + 0.4 * number / len(audited)
        axes.plot(confidences, shares, color=_BLUE, alpha=strength, marker="o", linewidth=1.4, label=row.name)
        if is_last:
            lows, highs = ([getattr(one.right, end) for one in audit.calibration] for end in ("low", "high"))
            axes.vlines(confidences, lows, highs, color=_BLUE, alpha=0.3, linewidth=7)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.05)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("confidence; dotted: right as often")
    axes.legend(frameon=False, loc="upper left")
