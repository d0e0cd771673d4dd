"""How well each kind of trust tells true silver answers from wrong ones, on finished runs over the world's pictures.

    python bench/trust.py runs/a runs/b           # learned, where it is, in iteration 1; judged in iteration 2
    python bench/trust.py runs/* --audited 1000   # from so many rows

Rows count where the votes name an answer: parsed often enough, no tie, not "unanswerable". A silver answer to a
question without a true answer is wrong. `best` are the most trusted rows, as many as `--keep` of all candidates.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

from sklearn.metrics import roc_auc_score

from visplay.labels import trust
from visplay.labels.answers import same
from visplay.recipe import LabelSettings
from visplay.records import UNANSWERABLE, Ballot, Question, SilverAnswer, read_jsonl, silver_answer
from visplay.report.table import grid
from visplay.worlds.audit import true_answer
from visplay.worlds.scenes import scene_of

SETTINGS = LabelSettings()
HEADER = ["trust", "AUROC", "well-posed", "best right, %", "well-posed, %", "ill-posed, %"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One voted row and what is known of it."""

    question: Question
    ballot: Ballot
    truth: str | None

    @property
    def well_posed(self) -> bool:
        return self.truth not in (None, UNANSWERABLE)

    @property
    def right(self) -> bool:
        said = self.ballot.answer
        return said is not None and self.truth is not None and same(said, self.truth, self.question)

    @property
    def audited(self) -> dict[str, object]:
        """As a line of an audit."""
        known = {"question": self.question.text, "type": trust.kind(self.question), "answer": self.ballot.answer}
        return known | {"confidence": self.ballot.confidence, "right": self.right}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--audited", type=int, default=300, help="rows of iteration 1 to learn from")
    parser.add_argument("--keep", type=float, default=0.4)
    chosen = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    for run in chosen.runs:
        candidates = len(labelled(run, 2))
        learned, judged = (list(rows(run, k)) for k in (1, 2))
        audited = random.Random(0).sample(learned, min(chosen.audited, len(learned)))
        voted = [
            row
            for row in judged
            if row.ballot.parsed >= 5 and not row.ballot.tied and row.ballot.answer != UNANSWERABLE
        ]
        for name, score in scores([row.audited for row in audited]).items():
            found.setdefault(name, []).append(figures(voted, score, round(chosen.keep * candidates)))
    body = [[name, *(f"{fmean(column):.3f}" for column in zip(*lines, strict=True))] for name, lines in found.items()]
    print(grid(HEADER, body))


def labelled(run: Path, k: int) -> list[SilverAnswer]:
    return [silver_answer(line) for line in read_jsonl(run / f"iter_{k:02d}" / "label" / "silver.jsonl")]


def rows(run: Path, k: int) -> Iterator[Row]:
    source = {line["id"]: line["source"] for line in read_jsonl(run / "iter_00" / "pool" / "pool.jsonl")}
    for row in labelled(run, k):
        if row.question and row.ballot and row.ballot.confidence is not None:
            yield Row(row.question, row.ballot, true_answer(row.question, scene_of(source[row.image_id], "pool")))


def scores(audited: list[dict[str, object]]) -> dict[str, Callable[[Row], float]]:
    def by(name: str) -> Callable[[Row], float]:
        score = trust.trust_of(audited, dataclasses.replace(SETTINGS, trust_from=name))
        return lambda row: score(row.question, row.ballot) or 0.0

    def share(row: Row) -> float:
        return row.ballot.confidence or 0.0

    corrected = {"beyond chance": lambda row: trust.chance_corrected(share(row), trust.options(row.question))}
    return {"share": share} | corrected | {name: by(name) for name in ("votes", "kinds", "words")}


def figures(voted: list[Row], score: Callable[[Row], float], keep: int) -> list[float]:
    posed = [row for row in voted if row.well_posed]
    best = sorted(voted, key=score, reverse=True)[:keep]
    best_posed = [row for row in best if row.well_posed]
    aurocs = [roc_auc_score([row.right for row in part], [score(row) for row in part]) for part in (voted, posed)]
    rights = [100 * fmean(row.right for row in part) for part in (best, best_posed)]
    return [*aurocs, *rights, 100 - 100 * len(best_posed) / len(best)]


if __name__ == "__main__":
    main()
