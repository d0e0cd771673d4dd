"""What an audit found about the silver labels, as figures to show; `visplay.evaluation.trust` computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A share of `n` rows with its interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Bin:
    """Rows with a confidence above `low` and up to `high`: their mean confidence, and how many of them are right."""

    low: float
    high: float
    confidence: float
    right: Rate


@dataclass(frozen=True)
class TypeFigures:
    """Questions of one type; as in `TrustFigures`."""

    candidates: int
    kept: int
    silver_accuracy: Rate | None
    well_posed_accuracy: Rate | None
    validity: Rate | None


@dataclass(frozen=True)
class TrustFigures:
    """An audit. Shares are None where there is nothing to take them of, or nobody to judge.

    `validity` is the share of all candidates that are well-formed and answerable. Of the *kept* rows: `silver_accuracy`
    counts as wrong the ill-posed ones, unless the silver answer says so, and those that nobody can judge;
    `well_posed_accuracy` leaves both out; `ill_posed_share` and `unreadable_share` say how many they are.
    `dropped_accuracy` is over the dropped rows that could be judged, and by reason.

    Over all rows that could be judged, kept and dropped: `calibration` sets confidence against truth,
    `calibration_error` is the mean distance of the two, weighted by rows (expected calibration error), with its
    interval, and `auroc` the chance that a right answer has more confidence than a wrong one, half for a tie;
    `auroc_well_posed` without ill-posed questions.
    """

    candidates: int
    kept: int
    validity: Rate | None
    silver_accuracy: Rate | None
    well_posed_accuracy: Rate | None
    ill_posed_share: Rate | None
    unreadable_share: Rate | None
    dropped_accuracy: Rate | None
    by_type: Mapping[str, TypeFigures]
    by_reason: Mapping[str, Rate]
    calibration: tuple[Bin, ...]
    calibration_error: float | None
    calibration_interval: tuple[float, float] | None
    auroc: float | None
    auroc_well_posed: float | None
