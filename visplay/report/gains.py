"""What a run was for: what the checkpoint to take gained over the base, by family, by benchmark and as a whole.

The checkpoint to take is the last one, or the one that the guard names; the base itself has no gain.
"""

from __future__ import annotations

from collections.abc import Sequence

from visplay.report.cells import grid, number, percent, points, span
from visplay.report.scores import ScoreRow


def taken(rows: Sequence[ScoreRow]) -> ScoreRow:
    """The checkpoint to take of a run whose rows these are, base first and at least that one."""
    return rows[rows[-1].guard["best"] if rows[-1].guard else -1]


def families(rows: Sequence[ScoreRow]) -> str:
    """Families as lines, checkpoints as columns, and what changed from the base to the one to take."""
    measured = [row for row in rows if row.by_family]
    if not measured:
        return ""
    names = list(dict.fromkeys(family for row in measured for family in row.by_family))
    header = ["greedy by family, %", *(row.name for row in measured), _of(rows, "change")]
    body = []
    for family in names:
        scores = [percent(row.by_family.get(family)) for row in measured]
        body.append([family.replace("_", " "), *scores, points(_change(measured[0], taken(rows), family))])
    return grid(header, body)


def benchmarks(rows: Sequence[ScoreRow]) -> str:
    """Benchmarks as lines, checkpoints as columns, and what the one to take gained over the base."""
    measured = [row for row in rows if row.benchmarks]
    if not measured:
        return ""
    header = ["benchmarks, %", "n", *(row.name for row in measured), _of(rows, "gain"), "95 % interval", "unparsed"]
    return grid(header, [_benchmark(name, measured, taken(rows)) for name in measured[0].benchmarks])


def gain(rows: Sequence[ScoreRow]) -> str:
    """What was gained in one sentence, with what the interval allows to be said; empty where it was not measured."""
    if not rows:
        return ""
    chosen = taken(rows)
    if chosen.iteration == 0:
        return "the base is to be taken: nothing was gained" if len(rows) > 1 else ""
    if chosen.gain is None or chosen.gain_interval is None:
        return ""
    low, high = chosen.gain_interval
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "not told apart from"
    by = f"{points(chosen.gain)} points ({span(chosen.gain_interval, signed=True)})"
    return f"{chosen.name} is {verdict} the base: {by}"


def _of(rows: Sequence[ScoreRow], figure: str) -> str:
    """The figure's name, with the checkpoint that it belongs to where that is not the last one."""
    return figure if taken(rows) is rows[-1] else f"{figure}, {taken(rows).name}"


def _change(base: ScoreRow, chosen: ScoreRow, family: str) -> float | None:
    before, after = base.by_family.get(family), chosen.by_family.get(family)
    return None if before is None or after is None or chosen.iteration == 0 else after - before


def _benchmark(name: str, rows: Sequence[ScoreRow], chosen: ScoreRow) -> list[str]:
    base, score = rows[0].benchmarks[name], chosen.benchmarks[name]
    return [
        f"{name}, {base.protocol}",
        number(base.n),
        *(percent(row.benchmarks[name].overall) for row in rows),
        points(score.gain),
        span(score.gain_interval, signed=True),
        number(base.unparsed) if chosen.iteration == 0 else f"{base.unparsed} -> {score.unparsed}",
    ]
