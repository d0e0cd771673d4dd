"""The guard at work in the loop: it looks at what is committed, says what it finds, and its verdict is a stage.

Without `guard.action` nothing is judged and no stage is made; the health of each iteration is reported all the same.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

from visplay import guard
from visplay.guard import Alarm, Verdict
from visplay.lineage import VERDICT
from visplay.recipe import Recipe
from visplay.report import ScoreRow
from visplay.report.health import examine
from visplay.runs import Inputs, Run, digest, read_manifest, summarise
from visplay.runs.processes import lead

logger = logging.getLogger(__name__)

_JUDGED = ("label", "questioner", "reasoner", "drift", "score", "audit")  # what `examine` reads of an iteration


def judge(run: Run, recipe: Recipe, k: int) -> Verdict:
    """The verdict on iteration k, from the health of all iterations so far."""
    if recipe.guard.action is None:
        return Verdict(k, goes_on_from=k, best=k)

    def work(folder: Path) -> None:
        verdict = guard.decide([examine(run.directory, j) for j in range(k + 1)], recipe.guard)
        for alarm in verdict.alarms:
            logger.warning("iteration %d, guard: %s", k, alarm)
        if verdict.goes_on_from != k:
            logger.warning("iteration %d, guard: %s", k, verdict.decision)
        (folder / VERDICT).write_text(json.dumps(dataclasses.asdict(verdict), indent=1) + "\n", encoding="utf-8")
        summarise(folder, {"alarms": len(verdict.alarms), "best": verdict.best})

    made = run.stage(k, "guard", work, _inputs(run, k), alone=True)
    stored = json.loads((made / VERDICT).read_text(encoding="utf-8"))
    return Verdict(**stored | {"alarms": tuple(Alarm(**alarm) for alarm in stored["alarms"])})


def noted(run: Run, row: ScoreRow, verdict: Verdict) -> ScoreRow:
    """The row of an iteration with its health, and what the guard says of it, if there is one."""
    health = lead(run.processes, lambda: examine(run.directory, row.iteration))
    figures = {"set": health.labels, "questioner": health.questioner, "reasoner": health.reasoner}
    levels = {name: dataclasses.asdict(level) for name, level in figures.items() if level is not None}
    return dataclasses.replace(row, health=levels, guard=_said(run, verdict))


def _said(run: Run, verdict: Verdict) -> dict[str, Any]:
    if read_manifest(run.directory / f"iter_{verdict.iteration:02d}" / "guard") is None:
        return {}
    alarms = [{"rule": a.rule, "value": a.value, "limit": a.limit, "text": str(a)} for a in verdict.alarms]
    return {"alarms": alarms, "decision": verdict.decision, "best": verdict.best}


def _inputs(run: Run, k: int) -> Inputs:
    """The verdict before this one, which stands for all that was committed till then, and what came since."""
    found: dict[str, str] = {}
    for stage in _JUDGED:
        made = run.directory / f"iter_{k:02d}" / stage
        if read_manifest(made) is not None:
            found[stage] = digest(made)
    before = run.directory / ("iter_00/score" if k == 1 else f"iter_{k - 1:02d}/guard")
    return found | {"before": digest(before)}
