"""How well can anybody who knows only votes, words and answers tell true silver answers from false ones?

    python bench/trust_ceiling.py runs/a runs/b      # labels of iteration 1, on the world's pictures

A logistic regression learns from rows whose truth is given and is judged on all others of the same pool: AUROC, and how
many of the most trusted rows, two fifths of all candidates, are right. Means over the runs and five draws of the rows
to learn from. Rows are those whose votes name an answer; ill-posed questions count as wrong. Runs that looked twice at
every question (see bench/answerable.py) have the second view's votes.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from answerable import Row, voted
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from trust import labelled

from visplay.evaluation.trust import auroc
from visplay.labels.learned import STRENGTH, signs
from visplay.labels.trust import kind
from visplay.records import UNANSWERABLE
from visplay.report.table import grid

KEPT = 0.4  # of all candidates
SIGNALS = ("confidence", "words", "own answer", "second view", "other votes")
SETS: Sequence[Sequence[str]] = (
    SIGNALS[:1],
    SIGNALS[:2],
    SIGNALS[:3],
    (*SIGNALS[:2], "second view"),
    SIGNALS[:4],
    SIGNALS,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--known", type=int, nargs="+", default=[250, 1000], help="rows to learn from")
    chosen = parser.parse_args()
    pools = [_named(run) for run in chosen.runs]
    body = []
    for count in chosen.known:
        for used in SETS:
            told = [_judged(*pool, used, count, seed) for pool in pools for seed in range(5)]
            body.append(
                [f"{count}, {', '.join(used)}", *(f"{100 * fmean(one):.1f}" for one in zip(*told, strict=True))]
            )
    print(grid(["learned from", "AUROC, %", "best right, %", "if well-posed, %"], body))


def _named(run: Path) -> tuple[list[Row], int]:
    """The rows whose votes name an answer, and the number of all candidates."""
    return [row for row in voted(run) if row.ballot.answer not in (None, UNANSWERABLE)], len(labelled(run, 1))


def _judged(rows: list[Row], candidates: int, used: Sequence[str], count: int, seed: int) -> tuple[float, float, float]:
    shuffled = random.Random(seed).sample(rows, len(rows))
    known, others = shuffled[:count], shuffled[count:]
    names = DictVectorizer()
    learned = LogisticRegression(C=STRENGTH, max_iter=3000)
    learned.fit(names.fit_transform([_seen(row, used) for row in known]), [row.right for row in known])
    trust = learned.predict_proba(names.transform([_seen(row, used) for row in others]))[:, 1]
    told = auroc(*([t for t, row in zip(trust, others, strict=True) if row.right is right] for right in (True, False)))
    assert told is not None  # hundreds of rows hold both
    ordered = [row for _, row in sorted(zip(trust, others, strict=True), key=lambda pair: -pair[0])]
    best = ordered[: round(KEPT * candidates * len(others) / len(rows))]
    return told, fmean(row.right for row in best), fmean(row.right for row in best if not row.ill_posed)


def _seen(row: Row, used: Sequence[str]) -> dict[str, float]:
    return {name: value for each in used for name, value in _SIGNS[each](row).items()}


def _by_kind(row: Row, name: str, value: float) -> dict[str, float]:
    """In all, and of the kind; so much larger than a word as confidence is."""
    return {f"{name}:": 3 * value, f"{name}: {kind(row.question)}": 3 * value}


def _words(row: Row) -> dict[str, float]:
    found = signs(row.question.text, kind(row.question), row.ballot.answer or "", 0.0)
    return {name: value for name, value in found.items() if not name.startswith("confidence:")}


def _second(row: Row) -> dict[str, float]:
    if row.second is None:
        return {}
    alike = [row.says(vote) for vote in row.second.votes]
    agrees = not row.second.tied and row.says(row.second.answer)
    return {"second view agrees": float(agrees), **_by_kind(row, "second view", fmean(alike))}


def _others(row: Row) -> dict[str, float]:
    votes = row.ballot.votes
    counts = Counter(vote for vote in votes if vote is not None).most_common()
    runner_up = counts[1][1] if len(counts) > 1 else 0
    shares = {"runner-up": runner_up, "unparsed": votes.count(None), "unanswerable": votes.count(UNANSWERABLE)}
    return {name: 3 * share / len(votes) for name, share in shares.items()} | {"answers": len(counts) / 5}


_SIGNS: Mapping[str, Callable[[Row], dict[str, float]]] = {
    "confidence": lambda row: _by_kind(row, "confidence", row.ballot.confidence or 0.0),
    "words": _words,
    "own answer": lambda row: _by_kind(row, "own answer", float(row.says(row.question.own_answer))),
    "second view": _second,
    "other votes": _others,
}

if __name__ == "__main__":
    main()
