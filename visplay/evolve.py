"""The loop, on one screen: from unlabelled images to a better model.

    for k in 1 .. iterations:
        questioner  trained by GRPO against the frozen Reasoner, paid for hard and diverse questions
        ask         candidate questions on fresh images, and on those of the audit
        label       the Reasoner's votes -> silver answers -> kept, or dropped with a reason
        audit       its questions labelled like these, held against what is known; training never sees its images
        reasoner    trained by GRPO on the kept rows
        drift       how far both have moved, if the recipe asks
        score       held-out accuracy against the base, silver answers against the truth where it is known
        benchmarks  those that the recipe names, against the base
        guard       its rules, if the recipe has a guard: go on, go back to the best iteration, or end

Each line is a stage: committed once, found again after a crash. What the stages do is in roles/ and labels/.

Deviations from the paper (arXiv 2511.15661):
1. No image is used twice before every image was used once.
2. A question that the Reasoner's majority calls unanswerable earns nothing and is dropped.
3. Silver answers are held against the truth in every iteration: on images of an audit set, and on those of the pool
   where they come from a world that knows it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from visplay import auditing, drift, pool, stages, watch
from visplay.checks import check
from visplay.engine import models
from visplay.engine.processes import connected
from visplay.evaluation import suite
from visplay.recipe import Recipe
from visplay.report import publish, show
from visplay.runs import Run
from visplay.staging import Control


def evolve(recipe: Recipe, directory: Path, control: Control | None = None, turn: int | None = None) -> None:
    """Run the whole loop in `directory`, or go on with it. `control` replaces silver answers, in experiments only.

    With a `turn`, counted from 1, the next training alone is made, or the stages up to it, and StageMade raised (see
    `visplay.engine.launch`).
    """
    with connected(recipe, turn) as processes, Run.open(directory, recipe, processes, turn) as run:
        if run.begins:
            _look_before(run, recipe)
        images = pool.load(run, recipe)
        questioner = reasoner = recipe.model
        after = [(questioner, reasoner)]
        scored = stages.score(run, recipe, 0, reasoner, None, images)
        scores = [stages.benchmarks(run, recipe, 0, reasoner, scored)]
        for k in range(1, recipe.iterations + 1):
            start = questioner, reasoner
            questioner = stages.train_questioner(run, recipe, k, questioner, reasoner, images)
            asked = stages.ask(run, recipe, k, questioner, images)
            audited_on = auditing.ask(run, recipe, k, questioner)
            silver = stages.label(run, recipe, k, asked, questioner, reasoner, images)
            audited = auditing.audit(run, recipe, k, audited_on, questioner, reasoner)
            reasoner = stages.train_reasoner(run, recipe, k, reasoner, silver, images, control)
            drift.measure(run, recipe, k, start, (questioner, reasoner), images)
            scored = replace(stages.score(run, recipe, k, reasoner, silver, images), audit=audited)
            scored = stages.benchmarks(run, recipe, k, reasoner, scored)
            verdict = watch.judge(run, recipe, k)
            scores.append(watch.noted(run, scored, verdict))
            if processes.rank == 0:
                publish(run, scores)
            if verdict.goes_on_from is None:
                break
            after.append((questioner, reasoner))
            questioner, reasoner = after[verdict.goes_on_from]
        if processes.rank == 0:
            show(scores)


def _look_before(run: Run, recipe: Recipe) -> None:
    """Refuse what would fail later, and data that is not what the run began with."""
    check(recipe, run.directory)
    run.fingerprint("model", models.identity(recipe.model))
    for name, digest in (suite.fingerprints(recipe.evaluation) | auditing.fingerprints(recipe)).items():
        run.fingerprint(name, digest)
