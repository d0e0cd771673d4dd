"""A score as people read it: figures with intervals, constant answers beside them, and what became of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from visplay.evaluation.figures import Figures, Share
from visplay.evaluation.scoring import Score
from visplay.report.cells import grid

_ABSENT = "-"


def render(result: Score) -> str:
    """The whole account as text; shares in percent."""
    rule = result.facts.get("rule")
    title = f"{result.benchmark}, {result.protocol} protocol{f' ({rule})' if rule else ''}: {_extent(result)}"
    header = ["", "n", "score, %", "95 % interval"]
    table = grid(header, list(_rows(result.figures)))
    return "\n\n".join(part for part in (title, table, _baselines(result.baselines), _answers(result)) if part)


def _extent(result: Score) -> str:
    n = len(result.items)
    if result.facts.get("official_size") is False:
        usual = result.facts["official_n"]
        return f"{n} items, NOT the {usual} that figures are published for; compare it with figures on the same items"
    return f"{n} items"


def _rows(figures: Figures, depth: int = 0) -> Iterator[list[str]]:
    for name, value in figures.items():
        label = "  " * depth + name.replace("_", " ")
        if isinstance(value, Mapping):
            yield [label, "", "", ""]
            yield from _rows(value, depth + 1)
        elif isinstance(value, Share):
            yield [label, str(value.n), _percent(value.mean), _range(value.interval)]
        else:
            yield [label, "", _percent(value), ""]


def _baselines(baselines: Mapping[str, Figures]) -> str:
    """One line per constant answer, with the figures that stand alone: those by group are in scores.json."""
    if not baselines:
        return ""
    first = next(iter(baselines.values()))
    names = [name for name, value in first.items() if not isinstance(value, Mapping)]
    body = [[answer, *(_figure(figures[name]) for name in names)] for answer, figures in baselines.items()]
    return grid(["baselines, %", *(name.replace("_", " ") for name in names)], body)


def _answers(result: Score) -> str:
    counts = dict(result.counts)
    worth = sum(one.expected or 0.0 for one in result.judgements if one.status == "fallback")
    lines = [
        f"answers: {counts['parsed']} parsed, {counts['unparsed']} unparsed, {counts['truncated']} truncated, "
        f"{counts['fallback']} fallback" + (f" (worth {worth:.2f} right answers)" if worth else ""),
        f"completions cut off: {counts['cut off']}; missing predictions, counted wrong: {counts['missing']}",
    ]
    if counts["errors"]:
        lines.append(f"NOT JUDGED: {counts['errors']} items; they are in no figure, see `error` in samples.jsonl")
    return "\n".join(lines)


def _figure(value: object) -> str:
    return _percent(value.mean if isinstance(value, Share) else value if isinstance(value, int | float) else None)


def _percent(share: float | None) -> str:
    return _ABSENT if share is None else f"{100 * share:.1f}"


def _range(interval: tuple[float, float] | None) -> str:
    return _ABSENT if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
