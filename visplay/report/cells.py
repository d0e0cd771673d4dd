"""Cells of a printed table: how figures look, and how columns are laid out."""

from __future__ import annotations

from collections.abc import Sequence

from visplay.report.scores import Interval

ABSENT = "-"


def grid(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell: the first flush left, figures flush right."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = (header, ["-" * width for width in widths], *body)
    return "\n".join(_line(cells, widths) for cells in lines)


def percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.1f}"


def points(change: float | None) -> str:
    return ABSENT if change is None else f"{100 * change:+.1f}"


def decimal(figure: float | None) -> str:
    return ABSENT if figure is None else f"{figure:.2f}"


def span(interval: Interval | None, signed: bool = False) -> str:
    show = points if signed else percent
    return ABSENT if interval is None else f"{show(interval[0])} to {show(interval[1])}"


def number(count: int | None) -> str:
    return ABSENT if count is None else str(count)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]).rstrip()
