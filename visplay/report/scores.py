"""The figures of every checkpoint, base first, as a person or a program reads them after a run.

`scores.json` and `metrics.jsonl` are rewritten whole from the committed stages, so a resumed run leaves no row twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visplay.report.trust import TrustFigures
from visplay.runs.results import write_whole

Interval = tuple[float, float]


@dataclass(frozen=True)
class BenchmarkScore:
    """A checkpoint on one benchmark: the figure that its authors quote, in [0, 1]; None where the data has none.

    `unparsed` of the `n` responses state no answer, those that were cut off included. `gain` is over the base on the
    same items, `p` two-sided; None for the base itself.
    """

    protocol: str
    n: int
    overall: float | None
    interval: Interval | None
    unparsed: int
    gain: float | None = None
    gain_interval: Interval | None = None
    p: float | None = None


@dataclass(frozen=True)
class ScoreRow:
    """One Reasoner checkpoint. Accuracies, shares and confidences lie in [0, 1]; None where a figure does not apply.

    `iteration` 0 is the base. `greedy`, `one_sample`, `majority` (of 10, or the recipe's number) and `by_family`
    (greedy) are on held-out questions; `gain` is greedy minus the base's over the same questions, `gain_parts` the
    three that add up to it (`visplay.evaluation.accuracy.gain_parts`). `unparsed` counts greedy answers that cannot be
    parsed; of all greedy answers `abstained` is the share that says "unanswerable", `short_cut_share` the share that
    was given without any reasoning, and `greedy_reasoned` is the accuracy when that is forbidden.
    The rest is about the questions that this checkpoint was trained on: `silver_accuracy` is the share of the *kept*
    silver answers that are true; `well_posed_accuracy` leaves out questions that have no true answer
    (`ill_posed_share`) or that the world cannot read (`outside_grammar_share`). `trust_auroc` is the chance that, of
    all silver answers, a true one has more trust, or confidence where there is none, than one that is not.
    `mean_confidence` and `distinct_questions` are over all candidates; `dropped` counts by reason. `distinct_kept` is
    the number of different questions among the kept rows, as a share of them. `blind_share` is how often the silver
    answer is given without having seen the image, before rows that need none are dropped, `blind_share_kept` the same
    of the kept rows. `votes` were drawn on all candidates, `second_votes` on those that they would keep, `blind_votes`
    on what these leave, `audit_votes` in all passes over the audit's questions.
    `health` has the figures of `visplay.report.health` for the set, the questioner and the reasoner; `guard`, where the
    recipe has one, its `alarms`, its `decision` and the `best` iteration so far.
    `audit` is about images that training never sees. `anchor_share` and `replay_share` are of the rows that the
    checkpoint was trained on; None where it was not trained, or on the answers of a control.
    Raises ValueError when a candidate is unaccounted for.
    """

    iteration: int
    checkpoint: str
    greedy: float | None = None
    greedy_interval: Interval | None = None
    gain: float | None = None
    gain_interval: Interval | None = None
    gain_parts: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)  # mean and 95 % interval of each
    abstained: float | None = None
    one_sample: float | None = None
    majority: float | None = None
    by_family: Mapping[str, float] = field(default_factory=dict)
    silver_accuracy: float | None = None
    candidates: int | None = None
    kept: int | None = None
    dropped: Mapping[str, int] | None = None
    mean_confidence: float | None = None
    distinct_questions: int | None = None
    unparsed: int | None = None
    greedy_reasoned: float | None = None
    short_cut_share: float | None = None
    well_posed_accuracy: float | None = None
    ill_posed_share: float | None = None
    outside_grammar_share: float | None = None
    trust_auroc: float | None = None
    distinct_kept: float | None = None
    blind_share: float | None = None
    blind_share_kept: float | None = None
    votes: int | None = None
    second_votes: int | None = None
    blind_votes: int | None = None
    audit_votes: int | None = None
    benchmarks: Mapping[str, BenchmarkScore] = field(default_factory=dict)  # by name; those that the recipe asks for
    health: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    guard: Mapping[str, Any] = field(default_factory=dict)
    audit: TrustFigures | None = None
    anchor_share: float | None = None
    audit_steers: bool = False  # an audit had a say in its rows, in the step that was kept, or in where it began
    replay_share: float | None = None

    def __post_init__(self) -> None:
        if self.candidates is None:
            return
        kept, dropped = self.kept or 0, sum((self.dropped or {}).values())
        if self.candidates != kept + dropped:
            raise ValueError(
                f"iteration {self.iteration}: {self.candidates} candidates, but {kept} kept and {dropped} dropped; "
                "every candidate must be kept or dropped for one reason"
            )

    @property
    def kept_share(self) -> float | None:
        """Kept rows as a share of the candidates; None without candidates."""
        return (self.kept or 0) / self.candidates if self.candidates else None

    @property
    def name(self) -> str:
        """What people call this checkpoint."""
        return "base" if self.iteration == 0 else f"iteration {self.iteration}"


def write_scores(directory: Path, rows: Sequence[ScoreRow]) -> Path:
    """Write `scores.json`, an object whose `rows` hold one object per checkpoint; returns its path.

    A checkpoint that is a folder here is written as an absolute path, any other (a hub id) as it stands: both load.
    """
    path = directory / "scores.json"
    _write(path, json.dumps({"rows": [_plain(row) for row in rows]}, indent=2, ensure_ascii=False) + "\n")
    return path


def read_scores(directory: Path) -> list[dict[str, Any]]:
    """The rows of `scores.json` as plain objects, base first; none where there is no such file yet."""
    path = directory / "scores.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["rows"]) if path.exists() else []


def write_metrics(directory: Path, rows: Sequence[ScoreRow], stages: Iterable[Mapping[str, Any]] = ()) -> Path:
    """Write `metrics.jsonl` and return its path.

    First one line per committed stage (`kind` "stage", its own figures), then one per checkpoint (`kind` "scores", the
    object of scores.json).
    """
    lines = [{"kind": "stage", **stage} for stage in stages] + [{"kind": "scores", **_plain(row)} for row in rows]
    path = directory / "metrics.jsonl"
    _write(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def _plain(row: ScoreRow) -> dict[str, Any]:
    folder = Path(row.checkpoint)
    return {**dataclasses.asdict(row), "checkpoint": str(folder.resolve()) if folder.is_dir() else row.checkpoint}


def _write(path: Path, text: str) -> None:
    write_whole(path, text, path.with_name(path.name + ".tmp"))
