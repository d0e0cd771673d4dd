"""Which questions have no answer, and which silver answers are true? What can be known without truth, held against it.

    python bench/answerable.py runs/a runs/b      # labels of iteration 1, on the world's pictures

First how well each signal tells ill-posed questions from others (AUROC), among all that were voted on, and among those
whose majority is not "unanswerable". Then what filters keep of all candidates; ill-posed questions count as wrong.
Means over the runs. `two views agree` is about runs whose recipe has a second pass.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from statistics import fmean

from trust import labelled

from visplay.evaluation.trust import auroc
from visplay.labels.answers import same
from visplay.records import UNANSWERABLE, Ballot, SilverAnswer, read_jsonl
from visplay.report.table import grid
from visplay.worlds.audit import true_answer
from visplay.worlds.scenes import scene_of


@dataclass(frozen=True)
class Row:
    """A question that was voted on; `refused` is the share of votes that say it has no answer."""

    ballot: Ballot
    confidence: float
    refused: float
    own_agrees: bool
    views_agree: bool
    ill_posed: bool
    right: bool


Signal = Callable[[Row], float]
SIGNALS: Mapping[str, Signal] = {
    "votes that say so": lambda row: row.refused,
    "doubt, 1 - confidence": lambda row: 1 - row.confidence,
    "entropy of votes": lambda row: _entropy(row.ballot),
    "own answer differs": lambda row: float(not row.own_agrees),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    runs = [voted(run) for run in parser.parse_args().runs]
    named = [[row for row in rows if row.ballot.answer != UNANSWERABLE and not row.ballot.tied] for rows, _ in runs]
    told = [[name, _mean(_told(rows, f) for rows, _ in runs), _mean(_told(rows, f) for rows in named)]
            for name, f in SIGNALS.items()]  # fmt: skip
    print(grid(["AUROC for ill-posed", "all voted on", "with an answer"], told), end="\n\n")
    header = ["filter", "kept, %", "right, %", "right if well-posed, %", "ill-posed, %"]
    body = []
    for name, keeps in filters().items():
        kept = [[row for row in rows if keeps(row)] for rows in named]
        columns = zip(*(_figures(rows, count) for rows, (_, count) in zip(kept, runs, strict=True)), strict=True)
        body.append([name, *map(_mean, columns)])
    print(grid(header, body))


def voted(run: Path) -> tuple[list[Row], int]:
    """The rows that were voted on and that the world can read; and of how many candidates they are."""
    source = {line["id"]: line["source"] for line in read_jsonl(run / "iter_00" / "pool" / "pool.jsonl")}
    labels = labelled(run, 1)
    found = [_row(row, source[row.image_id]) for row in labels if row.question and row.ballot and row.ballot.parsed]
    return [row for row in found if row], len(labels)


def filters() -> dict[str, Callable[[Row], bool]]:
    """What may be asked of a row whose votes name an answer."""
    found: dict[str, Callable[[Row], bool]] = {"an answer by the votes": lambda row: True}
    for low, high in ((0.4, 0.95), (0.4, 1.0), (0.5, 1.0), (0.6, 0.95), (0.6, 1.0), (0.7, 1.0), (0.9, 1.0)):
        found[f"band {low:g} to {high:g}"] = lambda row, a=low, b=high: a <= row.confidence <= b
        found[f"the same, own answer agrees, {low:g} to {high:g}"] = lambda row, a=low, b=high: (
            a <= row.confidence <= b and row.own_agrees
        )
    found["band 0.4 to 0.95, two views agree"] = lambda row: 0.4 <= row.confidence <= 0.95 and row.views_agree
    for most in (0.3, 0.2, 0.1):
        name = f"band 0.4 to 0.95, less than {most:.0%} say unanswerable"
        found[name] = lambda row, most=most: 0.4 <= row.confidence <= 0.95 and row.refused < most
    return found


def _row(row: SilverAnswer, source: str) -> Row | None:
    assert row.question is not None and row.ballot is not None and row.ballot.confidence is not None
    ballot, own, truth = row.ballot, row.question.own_answer, true_answer(row.question, scene_of(source, "pool"))
    if truth is None:
        return None
    said = ballot.answer
    return Row(
        ballot,
        row.ballot.confidence,
        ballot.votes.count(UNANSWERABLE) / len(ballot.votes),
        own is not None and said is not None and same(own, said, row.question),
        row.dropped != "second pass differs",
        truth == UNANSWERABLE,
        said is not None and truth != UNANSWERABLE and same(said, truth, row.question),
    )


def _told(rows: list[Row], signal: Signal) -> float | None:
    return auroc([signal(row) for row in rows if row.ill_posed], [signal(row) for row in rows if not row.ill_posed])


def _figures(kept: list[Row], candidates: int) -> list[float]:
    posed = [row for row in kept if not row.ill_posed]
    shares = [len(kept) / candidates, fmean(r.right for r in kept), fmean(r.right for r in posed)]
    return [100 * share for share in (*shares, 1 - len(posed) / len(kept))]


def _entropy(ballot: Ballot) -> float:
    """Of the parsed votes, in nats."""
    counts = Counter(vote for vote in ballot.votes if vote is not None)
    return -sum(n / ballot.parsed * log(n / ballot.parsed) for n in counts.values())


def _mean(values: object) -> str:
    found = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return f"{fmean(found):.3g}" if found else "-"


if __name__ == "__main__":
    main()
