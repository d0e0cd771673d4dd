"""How far silver labels can be trusted: the figures of an audit, from rows that were held against what is known.

Pure functions of plain rows; who knows the truth, a world or a user's file, is not asked here. Intervals are 95 %, by a
bootstrap that draws whole images, since questions about one image stand or fall together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.stats import mannwhitneyu

from visplay.evaluation.statistics import clustered_interval, error_interval
from visplay.records import SilverAnswer
from visplay.report.trust import Bin, Rate, TrustFigures, TypeFigures

BINS = 10  # of confidence, equally wide


@dataclass(frozen=True)
class Audited:
    """One candidate of an audit, a line of audit.jsonl.

    `type` is the question's, though "yes_no" for one without options; it and `question` are None where the completion
    did not parse. `answer` and `confidence` are the silver answer's, `dropped` is None for a row that is kept. What
    nobody knows is None: `well_formed` and `answerable` where the questions are not judged, `right` where there is no
    silver answer or no known truth.
    """

    image_id: str
    question: str | None
    type: str | None
    answer: str | None
    confidence: float | None
    dropped: str | None
    truth: str | None
    well_formed: bool | None
    answerable: bool | None
    right: bool | None


def audited(
    row: SilverAnswer, truth: str | None, well_formed: bool | None, answerable: bool | None, right: bool | None
) -> Audited:
    """A row with what is known about it."""
    asked, ballot = row.question, row.ballot
    return Audited(
        image_id=row.image_id,
        question=asked.text if asked else None,
        type=("yes_no" if asked.type == "multiple_choice" and not asked.choices else asked.type) if asked else None,
        answer=ballot.answer if ballot else None,
        confidence=ballot.confidence if ballot else None,
        dropped=row.dropped,
        truth=truth,
        well_formed=well_formed,
        answerable=answerable,
        right=right,
    )


def trust(rows: Sequence[Audited]) -> TrustFigures:
    """The figures of all candidates of an audit, in any order."""
    kept = [row for row in rows if row.dropped is None]
    dropped = [row for row in rows if row.dropped is not None and row.right is not None]
    calibration = _calibration(rows)
    return TrustFigures(
        candidates=len(rows),
        kept=len(kept),
        validity=_validity(rows),
        silver_accuracy=_rate(kept, _is_right),
        well_posed_accuracy=_rate(_well_posed(kept), _is_right),
        ill_posed_share=_rate(_judged(kept), lambda row: row.answerable is False),
        unreadable_share=_rate(_judged(kept), lambda row: row.well_formed is False),
        dropped_accuracy=_rate(dropped, _is_right),
        by_type={kind: _of_type([row for row in rows if row.type == kind]) for kind in _names(r.type for r in rows)},
        by_reason={
            reason: rate
            for reason in _names(row.dropped for row in dropped)
            if (rate := _rate([row for row in dropped if row.dropped == reason], _is_right))
        },
        calibration=calibration,
        calibration_error=_error(calibration),
        calibration_interval=_error_interval(rows),
        auroc=_auroc(rows),
        auroc_well_posed=_auroc(_well_posed(rows)),
    )


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that one of the right has a higher score than one of the wrong, half for a tie; None without both."""
    if not right or not wrong:
        return None
    return float(mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong))


def _of_type(rows: Sequence[Audited]) -> TypeFigures:
    kept = [row for row in rows if row.dropped is None]
    well_posed = _rate(_well_posed(kept), _is_right)
    return TypeFigures(len(rows), len(kept), _rate(kept, _is_right), well_posed, _validity(rows))


def _validity(rows: Sequence[Audited]) -> Rate | None:
    return _rate(_judged(rows), lambda row: row.answerable is True)


def _judged(rows: Sequence[Audited]) -> list[Audited]:
    """Rows whose question was judged."""
    return [row for row in rows if row.well_formed is not None]


def _well_posed(rows: Sequence[Audited]) -> list[Audited]:
    """Rows whose silver answer was judged, without questions that are known to have no answer."""
    return [row for row in rows if row.right is not None and row.answerable is not False]


def _calibration(rows: Sequence[Audited]) -> tuple[Bin, ...]:
    """The bins that have rows, from low confidence to high."""
    found: dict[int, list[Audited]] = {}
    for row, confidence in _confident(rows):
        found.setdefault(_bin(confidence), []).append(row)
    return tuple(
        Bin(number / BINS, (number + 1) / BINS, fmean(row.confidence or 0.0 for row in members), rate)
        for number, members in sorted(found.items())
        if (rate := _rate(members, _is_right))
    )


def _confident(rows: Sequence[Audited]) -> list[tuple[Audited, float]]:
    """Rows whose silver answer was judged, with its confidence."""
    return [(row, row.confidence) for row in rows if row.right is not None and row.confidence is not None]


def _bin(confidence: float) -> int:
    """Upper edges are inside, as shares of ten votes lie on edges; rounded, as 0.1 * 3 is above 0.3."""
    return max(1, math.ceil(round(confidence * BINS, 6))) - 1


def _error(calibration: Sequence[Bin]) -> float | None:
    total = sum(one.right.n for one in calibration)
    return sum(one.right.n * abs(one.right.mean - one.confidence) for one in calibration) / total if total else None


def _error_interval(rows: Sequence[Audited]) -> tuple[float, float] | None:
    known = _confident(rows)
    if not known:
        return None
    gaps = [_is_right(row) - confidence for row, confidence in known]
    bins = [_bin(confidence) for _, confidence in known]
    return error_interval(gaps, bins, [row.image_id for row, _ in known])


def _auroc(rows: Sequence[Audited]) -> float | None:
    """None without a right and a wrong answer."""
    right = [row.confidence for row in rows if row.right is True and row.confidence is not None]
    wrong = [row.confidence for row in rows if row.right is False and row.confidence is not None]
    return auroc(right, wrong)


def _rate(rows: Sequence[Audited], holds: Callable[[Audited], bool]) -> Rate | None:
    if not rows:
        return None
    values = [float(holds(row)) for row in rows]
    low, high = clustered_interval(values, [row.image_id for row in rows])
    return Rate(fmean(values), low, high, len(rows))


def _is_right(row: Audited) -> bool:
    return row.right is True


def _names(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})
