"""The gain, and what of it the labels are worth: the loop against two controls, over several seeds.

    silver     the loop as it is
    shuffled   the kept rows with their silver answers dealt out anew among questions of the same type
    true       the kept rows with the world's true answers; questions that have none are dropped, or answered
               "unanswerable" where the recipe keeps such rows: the ceiling of what better labels could bring

Controls stand outside the loop: they hand `evolve` a function that replaces answers before the Reasoner is trained. A
run that is there already is not run again.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from visplay.evolve import evolve
from visplay.recipe import Recipe, RecipeError
from visplay.records import UNANSWERABLE, SilverAnswer
from visplay.report.scores import read_scores
from visplay.staging import Control, SceneOf
from visplay.worlds.audit import true_answer

# Why a control drops a row.
OUTSIDE = "outside grammar"  # the world cannot read its question
ILL_POSED = "ill-posed"  # its question has no answer, and the silver answer does not say so


def shuffled(rows: Sequence[SilverAnswer], _: SceneOf) -> list[SilverAnswer]:
    """Kept rows with the silver answers of their type permuted at random, yes/no apart from lettered options."""
    groups: dict[tuple[str, int], list[int]] = {}
    for i, row in enumerate(rows):
        if row.dropped is None and row.question is not None:
            groups.setdefault((row.question.type, len(row.question.choices)), []).append(i)
    answers: dict[int, int] = {}
    for group in groups.values():
        answers |= dict(zip(group, random.Random(0).sample(group, len(group)), strict=True))
    return [_with_answer(row, _answer(rows[answers[i]])) if i in answers else row for i, row in enumerate(rows)]


def true(rows: Sequence[SilverAnswer], scene_of: SceneOf) -> list[SilverAnswer]:
    """Kept rows with true answers: perfect labels, and a perfect eye for questions that have none.

    An ill-posed question stays where its silver answer says so. All of them answered "unanswerable" would teach less:
    they are a fifth of some loops' rows and three quarters of a family's, so that training learns to say nothing else.
    """
    return [_with_truth(row, scene_of) if row.dropped is None else row for row in rows]


def control(arm: str) -> Control | None:
    """What an arm does to the silver rows; None for the loop as it is. Raises KeyError for an unknown arm."""
    return {"silver": None, "shuffled": Control("shuffled", shuffled), "true": Control("true", true)}[arm]


def check(recipe: Recipe) -> None:
    """Raise RecipeError for a recipe whose images or questions have no known answers: there is nothing to compare."""
    problems = []
    if not recipe.pool.source.startswith("world:"):
        problems.append(f"pool.source: {recipe.pool.source} has no known answers; a study needs world:scenes")
    if recipe.evaluation.world is None:
        problems.append("evaluation.world: null measures nothing; a study needs scenes")
    if problems:
        raise RecipeError(problems)


def run_arm(recipe: Recipe, arm: str, seed: int, folder: Path) -> None:
    """One run of one arm in folder/ARM_SEED.

    What its files say of kept rows and silver accuracy is about the silver answers, before a control replaced them.
    """
    evolve(dataclasses.replace(recipe, seed=seed), _run(folder, arm, seed), control(arm))


def table(folder: Path, arms: Sequence[str], seeds: Sequence[int], iterations: int) -> str:
    """A Markdown table: greedy accuracy in %, mean and spread over the seeds; names the runs that are not finished."""
    lines = [
        "| labels | seeds | base | each iteration | gain | gain, short cut forbidden | one sample | majority of n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm in arms:
        runs = [rows for seed in seeds if len(rows := read_scores(_run(folder, arm, seed))) == iterations + 1]
        if runs:
            lines.append(f"| {arm} | {len(runs)} | " + " | ".join(_columns(runs)) + " |")
        if len(runs) < len(seeds):
            lines.append(f"\n{arm}: {len(seeds) - len(runs)} of {len(seeds)} runs are not finished")
    return "\n".join(lines)


def _run(folder: Path, arm: str, seed: int) -> Path:
    return folder / f"{arm}_{seed}"


def _columns(runs: list[list[dict[str, Any]]]) -> list[str]:
    def change(name: str) -> str:
        return _spread([run[-1][name] - run[0][name] for run in runs], signed=True)

    iterations = range(1, len(runs[0]))
    return [
        _spread([run[0]["greedy"] for run in runs]),
        ", ".join(_spread([run[k]["greedy"] for run in runs]) for k in iterations),
        change("greedy"),
        change("greedy_reasoned"),
        change("one_sample"),
        change("majority"),
    ]


def _spread(shares: Sequence[float], signed: bool = False) -> str:
    mean = f"{100 * fmean(shares):{'+' if signed else ''}.1f}"
    return mean if len(shares) < 2 else f"{mean} ± {100 * stdev(shares):.1f}"


def _with_truth(row: SilverAnswer, scene_of: SceneOf) -> SilverAnswer:
    assert row.question is not None
    answer = true_answer(row.question, scene_of(row.image_id))
    if answer is None or (answer == UNANSWERABLE and _answer(row) != UNANSWERABLE):
        return dataclasses.replace(row, dropped=OUTSIDE if answer is None else ILL_POSED)
    return _with_answer(row, answer)


def _with_answer(row: SilverAnswer, answer: str) -> SilverAnswer:
    assert row.ballot is not None
    return dataclasses.replace(row, ballot=dataclasses.replace(row.ballot, answer=answer))


def _answer(row: SilverAnswer) -> str:
    assert row.ballot is not None and row.ballot.answer is not None
    return row.ballot.answer
