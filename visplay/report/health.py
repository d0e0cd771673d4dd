"""The health of a run, iteration by iteration, at three levels: the set of labels, the samples, the model's state.

Read from committed results alone, by whoever asks: the report, and the guard. Apart from `greedy` and
`audit_accuracy`, no figure knows a true answer.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from visplay.labels.answers import folded
from visplay.records import UNANSWERABLE, SilverAnswer, read_jsonl, silver_answer
from visplay.runs import read_manifest

_ENOUGH = 30  # of fewer, nearly all are alike by chance often enough

Steps = Sequence[Mapping[str, Any]]  # of steps.jsonl


@dataclass(frozen=True)
class SetHealth:
    """The candidates of an iteration and the votes on them; shares in [0, 1], None where there is nothing to share.

    `valid`: candidates that hold a question. `distinct`: different question texts, of all candidates; `one_question`:
    the most frequent text, of all questions. Of the majority answers, `one_answer` is the share of the most frequent
    one, `unanswerable` of those that say so, and `one_sided` of the more frequent one among "yes" and "no", None where
    there are fewer than 30 of these. `confidence` and `vote_entropy` are means over what was voted on; the latter is 0
    where all votes agree and 1 where none do. `kept_confidence` is over the kept rows. `imbalance` of the roles, in
    [-1, 1]: of what was voted on, the share that was dropped as too easy less that dropped as too hard; above 0 the
    Reasoner is ahead of the Questioner.
    """

    candidates: int
    kept: float
    valid: float
    distinct: float
    one_question: float | None
    one_answer: float | None
    one_sided: float | None
    unanswerable: float | None
    unparsed_votes: float | None
    confidence: float | None
    kept_confidence: float | None
    vote_entropy: float | None
    imbalance: float | None


@dataclass(frozen=True)
class TrainingHealth:
    """One training. `..._first` and `_last` are means over the first and the last quarter of its steps.

    Samples: `reward`, its `group_spread`, groups with `zero_variance` or `filtered`, completions `unscored`,
    `parsed_last`, `truncated_last`, `distinct` in what they say, and in `one_answer_last` the share of the commonest;
    `terms` are the means of what a reward is made of, `agrees_first` is the Reasoner's agreement with silver answers.
    State: `kl_last` to the checkpoint that the training began with, while it went on (None without `grpo.beta`);
    `kl_start` to the same and `kl_base` to the base, of the result (None without `evaluation.kl_samples`); entropy,
    tokens of a completion in the mean and at the 95th percentile, learning rate of the last step, largest gradient
    norm.
    """

    steps: int
    completions: int
    reward: float | None
    group_spread: float | None
    zero_variance: float | None
    filtered: float | None
    unscored: float | None
    parsed_last: float | None
    truncated_last: float | None
    distinct: float | None
    one_answer_last: float | None
    agrees_first: float | None
    terms: Mapping[str, float | None]
    kl_last: float | None
    kl_start: float | None
    kl_base: float | None
    entropy_first: float | None
    entropy_last: float | None
    tokens_first: float | None
    tokens_last: float | None
    tokens_p95_first: float | None
    tokens_p95_last: float | None
    learning_rate: float | None
    grad_norm_max: float | None


@dataclass(frozen=True)
class Health:
    """One iteration, 0 for the base; None where a stage was not made.

    `greedy` is the held-out accuracy of its Reasoner, `audit_accuracy` the share of silver answers that an audit found
    true, on the half that may steer where one does. `blind_share` is how often blind votes gave the silver answer.
    """

    iteration: int
    labels: SetHealth | None = None
    questioner: TrainingHealth | None = None
    reasoner: TrainingHealth | None = None
    greedy: float | None = None
    audit_accuracy: float | None = None
    blind_share: float | None = None


def examine(directory: Path, k: int) -> Health:
    """The health of iteration k of the run in `directory`, from what is committed of it."""
    folder = directory / f"iter_{k:02d}"
    labelled = _file(folder / "label", "silver.jsonl")
    trained = {role: _file(folder / role, "steps.jsonl") for role in ("questioner", "reasoner")}
    moved, audited = _summary(folder / "drift"), _summary(folder / "audit")
    return Health(
        iteration=k,
        labels=set_health([silver_answer(row) for row in read_jsonl(labelled)]) if labelled else None,
        **{role: training_health(read_jsonl(at), moved.get(role)) if at else None for role, at in trained.items()},
        greedy=_summary(folder / "score").get("greedy"),
        audit_accuracy=audited.get("heard_accuracy", audited.get("silver_accuracy")),
        blind_share=_summary(folder / "score", "score.json").get("blind_share"),
    )


def set_health(rows: Sequence[SilverAnswer]) -> SetHealth | None:
    """The figures of labelled candidates; None without any."""
    if not rows:
        return None
    texts = Counter(folded(row.question.text) for row in rows if row.question)
    ballots = [row.ballot for row in rows if row.ballot]
    votes = [vote for ballot in ballots for vote in ballot.votes]
    answers = Counter(ballot.answer for ballot in ballots if ballot.answer is not None)
    sides = Counter({side: answers[side] for side in ("yes", "no")})
    kept = [row.ballot.confidence for row in rows if row.dropped is None and row.ballot]
    reasons = Counter(row.dropped for row in rows)
    return SetHealth(
        candidates=len(rows),
        kept=len(kept) / len(rows),
        valid=texts.total() / len(rows),
        distinct=len(texts) / len(rows),
        one_question=_commonest(texts),
        one_answer=_commonest(answers),
        one_sided=_commonest(sides) if sides.total() >= _ENOUGH else None,
        unanswerable=answers[UNANSWERABLE] / answers.total() if answers else None,
        unparsed_votes=votes.count(None) / len(votes) if votes else None,
        confidence=_mean([ballot.confidence for ballot in ballots]),
        kept_confidence=_mean(kept),
        vote_entropy=_mean([_entropy(ballot.votes) for ballot in ballots]),
        imbalance=(reasons["too easy"] - reasons["too hard"]) / len(ballots) if ballots else None,
    )


def training_health(steps: Steps, moved: Mapping[str, float] | None = None) -> TrainingHealth | None:
    """The figures of a training from its steps.jsonl, whose rows may lack what an older version did not write.

    `moved` is what the stage `drift` says of the role, if it was made.
    """
    if not steps:
        return None
    quarter = max(1, len(steps) // 4)
    first, last = steps[:quarter], steps[-quarter:]
    terms = sorted({name for step in steps for name in step.get("terms", {})})
    parsed = [_term(last, name) for name in ("valid", "boxed")]  # the Questioner has the one, the Reasoner the other
    return TrainingHealth(
        steps=len(steps),
        completions=sum(step.get("completions") or 0 for step in steps),
        reward=_over(steps, "reward"),
        group_spread=_over(steps, "group_spread"),
        zero_variance=_over(steps, "zero_std_share"),
        filtered=_over(steps, "filtered_share"),
        unscored=_over(steps, "unscored_share"),
        parsed_last=next((share for share in parsed if share is not None), None),
        truncated_last=_over(last, "truncated_share"),
        distinct=_over(steps, "distinct_share"),
        one_answer_last=_over(last, "commonest_share"),
        agrees_first=_term(first, "agrees"),
        terms={name: _term(steps, name) for name in terms},
        kl_last=_over(last, "kl"),
        kl_start=(moved or {}).get("kl_start"),
        kl_base=(moved or {}).get("kl_base"),
        entropy_first=_over(first, "entropy"),
        entropy_last=_over(last, "entropy"),
        tokens_first=_over(first, "completion_tokens"),
        tokens_last=_over(last, "completion_tokens"),
        tokens_p95_first=_over(first, "completion_tokens_p95"),
        tokens_p95_last=_over(last, "completion_tokens_p95"),
        learning_rate=steps[-1].get("learning_rate"),
        grad_norm_max=max((step["grad_norm"] for step in steps if step.get("grad_norm") is not None), default=None),
    )


def _file(stage: Path, name: str) -> Path | None:
    """A file of a stage, None where the stage was not made."""
    return None if read_manifest(stage) is None else stage / name


def _summary(stage: Path, name: str = "summary.json") -> dict[str, Any]:
    path = _file(stage, name)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.exists() else {}


def _over(steps: Steps, name: str) -> float | None:
    return _mean([step.get(name) for step in steps])


def _term(steps: Steps, name: str) -> float | None:
    found = [step.get("terms", {}).get(name) for step in steps]
    return _mean([term["mean"] if term else None for term in found])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _commonest(counts: Counter[str]) -> float | None:
    return max(counts.values()) / counts.total() if counts.total() else None


def _entropy(votes: Sequence[str | None]) -> float | None:
    """Shannon's, of the parsed votes as they are spelled, over that of as many different ones; None below two."""
    counts = Counter(vote for vote in votes if vote is not None)
    if counts.total() < 2:
        return None
    shares = [count / counts.total() for count in counts.values()]
    return sum(-share * math.log(share) for share in shares) / math.log(counts.total())
