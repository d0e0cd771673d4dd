"""Trust learned from an audit: what was asked says more about a silver answer's truth than how many votes it has.

A model that reads digits badly is as unanimous about them as about colors. So a logistic regression learns from audited
rows which words, which kind of question, which answer and what confidence went with truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from visplay.labels.answers import folded

Learned = Callable[[str, str, str, float], float]  # question, kind, answer, confidence -> probability of truth

STRENGTH = 0.1  # inverse of the regularisation: a word that was seen twice decides nothing
_CONFIDENCE = 3.0  # so much larger than a word: it is known of every row


def learn(rows: Sequence[Mapping[str, Any]]) -> Learned | None:
    """From rows with `question`, `type`, `answer`, `confidence` and `right`; None where all are right, or none is."""
    truths = [bool(row["right"]) for row in rows]
    if len(set(truths)) < 2:
        return None
    from sklearn.feature_extraction import DictVectorizer  # late: a second that most runs do without
    from sklearn.linear_model import LogisticRegression

    found = [signs(row["question"], row["type"], row["answer"], row["confidence"]) for row in rows]
    names = DictVectorizer()
    fitted = LogisticRegression(C=STRENGTH, max_iter=3000).fit(names.fit_transform(found), truths)
    weights = dict(zip(names.get_feature_names_out(), fitted.coef_[0].tolist(), strict=True))
    start = float(fitted.intercept_[0])

    def probability(question: str, kind: str, answer: str, confidence: float) -> float:
        found = signs(question, kind, answer, confidence)
        return 1 / (1 + math.exp(-start - sum(weights.get(name, 0.0) * value for name, value in found.items())))

    return probability


def signs(question: str, kind: str, answer: str, confidence: float) -> dict[str, float]:
    """Words and neighbouring words, the kind, the answer; the confidence, in all and of the kind."""
    words = folded(question).split()
    names = [*words, *map(" ".join, pairwise(["^", *words])), f"type: {kind}", f"answer: {answer}"]
    sure = _CONFIDENCE * confidence
    return dict.fromkeys(names, 1.0) | {"confidence:": sure, f"confidence: {kind}": sure}
