"""What a training stage writes down as it goes: a row per step, samples, step checkpoints; and the stop on NaN.

    steps.jsonl     one row per optimizer step          samples.jsonl   the first group of every step
    summary.json    counts and means of all steps, for the ledger
    steps/          the newest checkpoint to resume from, and what is being written in steps/unfinished

The files are a function of the inputs alone: they hold no time, and a resumed run continues them without a gap or a
repetition.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from accelerate import PartialState
from tqdm import tqdm
from transformers import TrainerCallback, TrainerState

from visplay.errors import VisplayError
from visplay.images import PoolImage
from visplay.runs import STEPS
from visplay.runs.results import move_whole

# Our name -> TRL's. None where a step has no such figure, as when every reward of it was None.
_FIGURES = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "reward": "reward",
    "reward_std": "reward_std",
    "zero_std_share": "frac_reward_zero_std",
    "completion_tokens": "completions/mean_length",
    "truncated_share": "completions/clipped_ratio",
    "kl": "kl",
    "entropy": "entropy",
    "clipped_share": "clip_ratio/region_mean",
    "prompts_shared": "prompts_shared",  # of the parts of a step
}
UNFINISHED = "unfinished"


class NonFiniteError(VisplayError, ArithmeticError):
    """A step whose loss or gradient is NaN or infinite; nothing of it was saved."""


@dataclass(frozen=True)
class Row:
    """One prompt to train on, shown with its image. `source` is whatever the reward needs to know about it.

    `weight` multiplies the advantages of its completions: 0 teaches nothing, 1 as much as it is worth.
    """

    prompt: str
    image: PoolImage
    source: Any = None
    weight: float = 1.0


@dataclass(frozen=True)
class Score:
    """The reward of one completion, None when it could not be computed, or is left out on purpose (`filtered`).

    Only logged: `terms`, and what the completion `said`: its question or its answer, None where it has none.
    """

    reward: float | None
    terms: Mapping[str, float | None] = field(default_factory=dict)
    said: str | None = None
    filtered: bool = False


class Journal(TrainerCallback):
    """The record of one training stage in `folder`, and its progress bar. Only the main process writes.

    Opening it forgets what an interrupted attempt wrote after the step checkpoint that it resumes from.
    """

    def __init__(self, folder: Path, role: str, steps: int, group: int) -> None:
        self._role = role
        self._group = group
        self._process = PartialState()
        self._checkpoints = folder / STEPS
        self._rows = folder / "steps.jsonl"
        self._samples = folder / "samples.jsonl"
        self._summary = folder / "summary.json"
        self._scores: list[Score] = []
        self._lengths: list[int] = []
        done = _step(self.newest())
        if self._process.is_main_process:
            shutil.rmtree(self._checkpoints / UNFINISHED, ignore_errors=True)
            for path in (self._rows, self._samples):
                keep_until(path, done)
        self._bar = tqdm(
            desc=f"train the {role}",
            total=steps,
            initial=done,
            unit="step",
            disable=None if self._process.is_main_process else True,
        )

    def newest(self) -> Path | None:
        """The step checkpoint to resume from, None at the start."""
        return max(self._checkpoints.glob("checkpoint-*"), key=_step, default=None)

    def close(self) -> None:
        """End the progress bar; the files are whole after every step."""
        self._bar.close()

    def summarise(self) -> None:
        """Write the counts and means of all steps; a mean that no step has a figure for is left out."""
        if not self._process.is_main_process:
            return
        with open(self._rows, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        figures: dict[str, float] = {"steps": len(rows), "completions": sum(row["completions"] for row in rows)}
        for name in ("reward", "unscored_share"):
            if known := [row[name] for row in rows if row[name] is not None]:
                figures[name] = fmean(known)
        if filtered := fmean(row.get("filtered_share") or 0.0 for row in rows):
            figures["filtered_share"] = filtered
        self._summary.write_text(json.dumps(figures) + "\n", encoding="utf-8")

    def scored(
        self,
        step: int,
        rows: Sequence[Row],
        completions: Sequence[str],
        lengths: Sequence[int],
        scores: Sequence[Score],
    ) -> None:
        """Take note of what was written, in so many tokens, and earned for `step`, by all processes."""
        if not self._process.is_main_process:
            return
        self._scores += scores
        self._lengths += lengths
        group = list(zip(rows, completions, scores, strict=True))[: self._group]
        _append(
            self._samples,
            [
                {
                    "step": step,
                    "image": row.image.id,
                    "prompt": row.prompt,
                    "completion": completion,
                    "reward": score.reward,
                    "terms": dict(score.terms),
                }
                for row, completion, score in group
            ],
        )

    def on_log(self, args: Any, state: TrainerState, control: Any, logs: dict[str, Any], **_: Any) -> None:
        """After every optimizer step, and before a checkpoint of it could be written."""
        if "loss" not in logs:  # the trainer's closing line
            return
        self._refuse_non_finite(state.global_step, logs["loss"], logs["grad_norm"])
        row = {"step": state.global_step, **{ours: logs.get(theirs) for ours, theirs in _FIGURES.items()}}
        if self._process.is_main_process:
            _append(self._rows, [row | _summary(self._scores, self._lengths, self._group)])
        self._scores, self._lengths = [], []
        self._bar.set_postfix(reward=row["reward"], refresh=False)
        self._bar.update()

    def on_save(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        """A checkpoint is whole: let it appear under its name, then let go of the older ones."""
        self._process.wait_for_everyone()
        if not self._process.is_main_process:
            return
        name = f"checkpoint-{state.global_step}"
        move_whole(self._checkpoints / UNFINISHED / name, self._checkpoints / name)
        for path in self._checkpoints.glob("checkpoint-*"):
            if path.name != name:
                shutil.rmtree(path)

    def _refuse_non_finite(self, step: int, loss: float, grad_norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(grad_norm):
            return
        raise NonFiniteError(
            f"training the {self._role}: step {step} has loss {loss} and gradient norm {grad_norm}; it was not saved. "
            f"Lower grpo.learning_rate or grpo.max_grad_norm, or set grpo.bf16: false, and train again"
        )


def _step(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def _summary(scores: Sequence[Score], lengths: Sequence[int], group: int) -> dict[str, Any]:
    """New completions, shares of them, mean and spread of each term over those that have it; None where none is new.

    `group_spread` is the mean, over groups with two rewards or more, of their standard deviation. `distinct_share` and
    `commonest_share` are about what the completions said, over those that said anything.
    """
    names = sorted({name for score in scores for name in score.terms})
    values = {name: [v for score in scores if (v := score.terms.get(name)) is not None] for name in names}
    said = Counter(score.said for score in scores if score.said is not None)
    return {
        "completions": len(scores),
        "completion_tokens_p95": float(np.percentile(lengths, 95)) if lengths else None,
        "unscored_share": fmean(s.reward is None and not s.filtered for s in scores) if scores else None,
        "filtered_share": fmean(score.filtered for score in scores) if scores else None,
        "group_spread": _group_spread([score.reward for score in scores], group),
        "distinct_share": len(said) / said.total() if said else None,
        "commonest_share": max(said.values()) / said.total() if said else None,
        "terms": {name: {"mean": fmean(each), "std": pstdev(each)} if each else None for name, each in values.items()},
    }


def _group_spread(rewards: Sequence[float | None], group: int) -> float | None:
    groups = [[r for r in rewards[i : i + group] if r is not None] for i in range(0, len(rewards), group)]
    spreads = [pstdev(each) for each in groups if len(each) > 1]
    return fmean(spreads) if spreads else None


def _append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n" for row in rows)


def keep_until(path: Path, step: int) -> None:
    """Cut a file after the last row of `step`; a row that a kill tore in two is later than any checkpoint."""
    if not path.exists():
        return
    *lines, _torn = path.read_bytes().split(b"\n")  # bytes: a completion may hold U+2028, a kill may split a character
    kept = [line + b"\n" for line in lines if json.loads(line)["step"] <= step]
    scratch = path.with_name(f"{path.name}.tmp")
    scratch.write_bytes(b"".join(kept))
    os.replace(scratch, path)
