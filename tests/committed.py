"""Hand-made results of a run's stages, whole and committed, for what reads them afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visplay.records import Ballot, Question, SilverAnswer, write_jsonl
from visplay.runs import Run


def candidate(number: int, votes: Sequence[str | None], text: str = "", dropped: str | None = None) -> SilverAnswer:
    """A question of its own unless a text is given; the first vote is the majority's."""
    question = Question(f"q{number}", f"i{number}", "short_text", text or f"What is thing {number}?")
    parsed = sum(vote is not None for vote in votes)
    ballot = Ballot(tuple(votes), votes[0], votes.count(votes[0]) / len(votes), False, parsed)
    return SilverAnswer(f"i{number}", question, ballot, dropped, "asker", "voter")


def unparsed(number: int) -> SilverAnswer:
    """A candidate in which there is no question."""
    return SilverAnswer(f"i{number}", None, None, "unparsed question", "asker", "voter", "la la")


def step(number: int, **figures: Any) -> dict[str, Any]:
    """A row of steps.jsonl as of a training in which all is well, but for `figures`."""
    usual = {"completions": 8, "completion_tokens": 20.0, "completion_tokens_p95": 30.0, "unscored_share": 0.0}
    usual |= {"truncated_share": 0.0, "commonest_share": 0.2, "distinct_share": 0.5, "zero_std_share": 0.1}
    usual |= {"kl": 0.01, "entropy": 0.4, "learning_rate": 1e-6, "grad_norm": 1.0, "reward": 0.6, "group_spread": 0.3}
    terms = {"agrees": {"mean": 0.6, "std": 0.4}, "boxed": {"mean": 1.0, "std": 0.0}}
    return {"step": number, "terms": terms, **usual, **figures}


def commit(run: Run, k: int, stage: str, files: Mapping[str, Any]) -> Path:
    """A finished stage: lists become JSON lines, all else one JSON object."""

    def work(folder: Path) -> None:
        for name, content in files.items():
            if isinstance(content, list):
                write_jsonl(folder / name, content)
            else:
                (folder / name).write_text(json.dumps(content))

    return run.stage(k, stage, work, inputs={})
