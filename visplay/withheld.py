"""The rows by which a step of a Reasoner training is chosen: it is asked about them, and not trained on them.

    silver   a fifth of the kept rows at most, with their silver answers: label-free, and no truer than the labels
    audit    questions of this iteration's audit with their true answers, whose truth then chooses what is kept; about
             the half of its pictures that its own figures leave out

Off by default: the last step is kept.
"""

from __future__ import annotations

import dataclasses
import logging
import random
from dataclasses import dataclass, field

from visplay.images import PoolImage
from visplay.labelling import teaches
from visplay.pool import LoadedPool, load_own
from visplay.recipe import Recipe
from visplay.records import UNANSWERABLE, SilverAnswer, read_jsonl
from visplay.runs import Inputs, Run, digest
from visplay.staging import read_silver, seed

logger = logging.getLogger(__name__)

_FEWEST = 10  # rows, unless the recipe asks for less
_SHARE = 5  # of the kept rows one in so many is withheld at most


@dataclass(frozen=True)
class Withheld:
    """The silver rows that are left to train on, and those to choose by, with their images."""

    left: list[SilverAnswer]
    rows: list[tuple[PoolImage, SilverAnswer]] = field(default_factory=list)
    inputs: Inputs = field(default_factory=dict)


def withhold(run: Run, recipe: Recipe, k: int, kept: list[SilverAnswer], pool: LoadedPool) -> Withheld:
    """What iteration k chooses its step by; nothing is withheld where the last step is kept."""
    by, count = recipe.reasoner.keep_step, recipe.reasoner.check_rows
    if by == "last":
        return Withheld(kept)
    chance = random.Random(seed(recipe, k, "withheld"))
    if by == "silver":
        known = [(pool.by_id[row.image_id], row) for row in kept]
        drawn = sorted(chance.sample(range(len(kept)), min(count, len(kept) // _SHARE)))
    else:
        known = _audited(run, recipe, k)
        drawn = chance.sample(range(len(known)), min(count, len(known)))
    if len(drawn) < min(count, _FEWEST):
        logger.warning(
            "iteration %d: %d rows are too few to choose a step by (%s); the last is kept", k, len(drawn), by
        )
        return Withheld(kept)
    rows = [known[i] for i in drawn]
    inputs: Inputs = {"keep_step": by, "check_rows": len(drawn)}
    if by == "silver":
        return Withheld([row for i, row in enumerate(kept) if i not in set(drawn)], rows, inputs)
    return Withheld(kept, rows, {**inputs, "audit": digest(run.directory / f"iter_{k:02d}" / "audit")})


def _audited(run: Run, recipe: Recipe, k: int) -> list[tuple[PoolImage, SilverAnswer]]:
    """The questions of the audit that have one true answer, kept or dropped, with that answer for the silver one."""
    folder = run.directory / f"iter_{k:02d}"
    pictures = load_own(run.directory / "iter_00" / "audit_set", recipe.pool, "audit").by_id
    rows, audited = [], read_jsonl(folder / "audit" / "audit.jsonl")
    for row, found in zip(read_silver(folder / "audit_label"), audited, strict=True):
        if row.ballot and found["truth"] not in (None, UNANSWERABLE) and teaches(row.image_id):
            ballot = dataclasses.replace(row.ballot, answer=found["truth"])
            rows.append((pictures[row.image_id], dataclasses.replace(row, ballot=ballot)))
    return rows
