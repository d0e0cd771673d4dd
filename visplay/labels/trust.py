"""How far a silver answer is trusted: from the share of its votes to the probability that it is true.

Pure arithmetic on shares, counts and past verdicts. It never sees an image or a truth: what past answers turned out to
be comes in as pairs, from an audit of rows that nothing is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from visplay.labels.learned import Learned, learn
from visplay.recipe import LabelSettings
from visplay.records import Ballot, Question

Kind = Literal["yes_no", "multiple_choice", "numerical", "short_text"]
Curve = Callable[[float], float]  # confidence -> probability that the answer is true, both in [0, 1]
TrustOf = Callable[[Question, Ballot], float | None]

_GRID = np.linspace(0, 1, 11)  # where the prior of a calibration counts as one observation each


def kind(question: Question) -> Kind:
    """The question's type, with questions of yes and no apart from those with options."""
    return "yes_no" if question.type == "multiple_choice" and not question.choices else question.type


def options(question: Question) -> int | None:
    """How many answers there are to choose from; None where that is open."""
    return {"yes_no": 2, "multiple_choice": len(question.choices)}.get(kind(question))


def chance_corrected(confidence: float, options: int | None) -> float:
    """(c - 1/k) / (1 - 1/k) for k options, at least 0: what the votes agree beyond a guess. c itself for None."""
    if options is None:
        return confidence
    return max(0.0, (confidence - 1 / options) / (1 - 1 / options))


def band(question: Question, settings: LabelSettings) -> tuple[float, float]:
    """The confidences that are kept of a question's kind, both ends inside."""
    low, high = getattr(settings.bands, kind(question)) or (settings.band_low, settings.band_high)
    return low, high


def in_band(question: Question, confidence: float, settings: LabelSettings) -> float:
    """The confidence as the band sees it: chance-corrected where the recipe says so."""
    if not settings.chance_corrected:
        return confidence
    return round(chance_corrected(confidence, options(question)), 9)  # 0.6 of two is 0.2, and inside [0.2, 1]


def smoothed(confidence: float, votes: int, options: int | None, prior: float) -> float:
    """(v + a) / (n + a k): mean of the Dirichlet posterior of the majority's share, `prior` a votes for each option.

    v = confidence x votes. Where the options are open k is 2: the majority's answer, and any other.
    """
    return (confidence * votes + prior) / (votes + prior * (options or 2))


def calibrate(pairs: Sequence[tuple[float, bool]], prior: Curve = lambda confidence: confidence) -> Curve:
    """Isotonic regression of `right` on `confidence`, drawn to `prior` where pairs are few; `prior` without any.

    Never falls: a higher confidence is never trusted less.
    """
    if not pairs:
        return prior
    from sklearn.isotonic import IsotonicRegression  # late: a second that most runs do without

    confidences = np.concatenate([[confidence for confidence, _ in pairs], _GRID])
    shares = np.concatenate([[float(right) for _, right in pairs], [prior(float(at)) for at in _GRID]])
    fitted = IsotonicRegression(y_min=0, y_max=1).fit(confidences, shares)
    return lambda confidence: float(np.interp(confidence, fitted.X_thresholds_, fitted.y_thresholds_))


def trust_of(audited: Iterable[Mapping[str, Any]], settings: LabelSettings) -> TrustOf:
    """The probability that a ballot's answer is true, as `labels.trust_from` says; None where there is no answer.

    `audited` are rows of an earlier audit, with `confidence`, `right`, the question's kind as `type`, and for "words"
    also `question` and `answer`. Rows in which one of the first two is None say nothing. Without any it is "votes".
    """
    known = [row for row in audited if row["confidence"] is not None and row["right"] is not None]
    match settings.trust_from:
        case "words" if found := learn(known):
            return lambda question, ballot: _learned(found, question, ballot)
        case "words" | "kinds" if known:
            return _by_kind(known)
    return lambda question, ballot: _by_votes(question, ballot, settings)


def wanted(settings: LabelSettings) -> bool:
    """Whether anything asks for the trust."""
    return settings.trust_low > 0 or settings.weight_power > 0


def weight(trust: float | None, power: float) -> float:
    """What a row counts in training: trust^power; 1 where trust is not known or power is 0."""
    return 1.0 if trust is None else trust**power


def _by_votes(question: Question, ballot: Ballot, settings: LabelSettings) -> float | None:
    if ballot.confidence is None:
        return None
    votes = len(ballot.votes) if settings.confidence_over == "all" else ballot.parsed
    return smoothed(ballot.confidence, votes, options(question), settings.trust_prior)


def _by_kind(known: Sequence[Mapping[str, Any]]) -> TrustOf:
    """What a confidence was worth in questions of the same kind, drawn to what it was worth in all."""
    overall = calibrate([_pair(row) for row in known])
    kinds = {row["type"] for row in known if row.get("type")}
    curves = {name: calibrate([_pair(row) for row in known if row.get("type") == name], overall) for name in kinds}
    return lambda question, ballot: (
        None if ballot.confidence is None else curves.get(kind(question), overall)(ballot.confidence)
    )


def _learned(found: Learned, question: Question, ballot: Ballot) -> float | None:
    if ballot.confidence is None or ballot.answer is None:
        return None
    return found(question.text, kind(question), ballot.answer, ballot.confidence)


def _pair(row: Mapping[str, Any]) -> tuple[float, bool]:
    return row["confidence"], row["right"]
