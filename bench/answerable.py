"""Which questions have no answer, and which silver answers are true? What can be known without truth, held against it.

    python bench/answerable.py runs/a runs/b      # labels of iteration 1, on the world's pictures

First how well each signal tells ill-posed questions from others (AUROC), among all that were voted on, and among those
whose majority is an answer. Then what filters keep of all candidates; ill-posed questions count as wrong. Means over
the runs, by the first pass of votes. Lines about two views are of runs that looked twice at every question:

    labels.second_view=shrunk labels.band_low=0 labels.band_high=1
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import log
from pathlib import Path
from statistics import fmean

from trust import labelled

from visplay.evaluation.trust import auroc
from visplay.labels.answers import same
from visplay.labels.voting import vote
from visplay.recipe import load_recipe
from visplay.records import UNANSWERABLE, Ballot, Question, read_jsonl
from visplay.report.table import grid
from visplay.worlds.audit import true_answer
from visplay.worlds.scenes import scene_of

BANDS = ((0.4, 0.95), (0.5, 0.95), (0.6, 0.95), (0.5, 1.0), (0.6, 1.0), (0.9, 1.0))


@dataclass(frozen=True)
class Row:
    """A question with its true answer, and the votes on it; `second` are those on the other view, if any."""

    question: Question
    ballot: Ballot
    second: Ballot | None
    truth: str

    @property
    def ill_posed(self) -> bool:
        return self.truth == UNANSWERABLE

    @property
    def right(self) -> bool:
        return not self.ill_posed and self.says(self.truth)

    @property
    def refused(self) -> float:
        """The share of votes that say it has no answer."""
        return self.ballot.votes.count(UNANSWERABLE) / len(self.ballot.votes)

    def says(self, answer: str | None) -> bool:
        """Whether the majority is this answer."""
        said = self.ballot.answer
        return answer is not None and said is not None and same(said, answer, self.question)


Signal = Callable[[Row], float]
SIGNALS: Mapping[str, Signal] = {
    "votes that say so": lambda row: row.refused,
    "doubt, 1 - confidence": lambda row: 1 - (row.ballot.confidence or 0),
    "entropy of votes": lambda row: _entropy(row.ballot),
    "own answer differs": lambda row: float(not row.says(row.question.own_answer)),
}
FILTERS: Mapping[str, Callable[[Row], bool]] = {
    "": lambda row: True,
    ", own answer": lambda row: row.says(row.question.own_answer),
    ", second view": lambda row: row.second is not None and not row.second.tied and row.says(row.second.answer),
    ", own answer and second view": lambda row: FILTERS[", own answer"](row) and FILTERS[", second view"](row),
    ", under 20 % unanswerable": lambda row: row.refused < 0.2,
    ", under 10 % unanswerable": lambda row: row.refused < 0.1,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    runs = {run: voted(run) for run in parser.parse_args().runs}
    named = {
        run: [r for r in rows if r.ballot.answer != UNANSWERABLE and not r.ballot.tied] for run, rows in runs.items()
    }
    told = [[name, *(_mean(told_apart(rows, signal) for rows in lot.values()) for lot in (runs, named))]
            for name, signal in SIGNALS.items()]  # fmt: skip
    print(grid(["AUROC for ill-posed", "all voted on", "with an answer"], told), end="\n\n")
    body = []
    for low, high in ((0, 1), *BANDS):
        for name, keeps in FILTERS.items():
            kept = {run: [r for r in rows if low <= (r.ballot.confidence or 0) <= high and keeps(r)]
                    for run, rows in named.items()}  # fmt: skip
            columns = zip(*(figures(rows, len(labelled(run, 1))) for run, rows in kept.items()), strict=True)
            body.append([f"{low:g} to {high:g}{name}", *map(_mean, columns)])
    print(grid(["confidence", "kept, %", "right, %", "right if well-posed, %", "ill-posed, %"], body))


def voted(run: Path) -> list[Row]:
    """The questions that were voted on and that the world can read."""
    settings = load_recipe(run / "recipe.yaml").labels
    count = partial(vote, confidence_over=settings.confidence_over)
    source = {line["id"]: line["source"] for line in read_jsonl(run / "iter_00" / "pool" / "pool.jsonl")}
    found = []
    for row in labelled(run, 1):
        truth = row.question and true_answer(row.question, scene_of(source[row.image_id], "pool"))
        if row.question and row.ballot and row.ballot.parsed and truth:
            votes, n = row.ballot.votes, settings.votes
            second = count(votes[n:], row.question) if len(votes) > n else None
            found.append(Row(row.question, count(votes[:n], row.question), second, truth))
    return found


def told_apart(rows: list[Row], signal: Signal) -> float | None:
    return auroc([signal(row) for row in rows if row.ill_posed], [signal(row) for row in rows if not row.ill_posed])


def figures(kept: list[Row], candidates: int) -> list[float | None]:
    """Of a filter, in %; None where it keeps nothing to judge."""
    posed = [row.right for row in kept if not row.ill_posed]
    shares = [len(kept) / candidates, _share([row.right for row in kept]), _share(posed)]
    shares.append(1 - len(posed) / len(kept) if kept else None)
    return [None if share is None else 100 * share for share in shares]


def _share(of: list[bool]) -> float | None:
    return fmean(of) if of else None


def _entropy(ballot: Ballot) -> float:
    """Of the parsed votes, in nats."""
    counts = Counter(answer for answer in ballot.votes if answer is not None)
    return -sum(n / ballot.parsed * log(n / ballot.parsed) for n in counts.values())


def _mean(values: Iterable[float | None]) -> str:
    found = [value for value in values if value is not None]
    return f"{fmean(found):.3g}" if found else "-"


if __name__ == "__main__":
    main()
