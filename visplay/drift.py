"""How far each role has moved in an iteration: KL to the checkpoint its training began with, and to the base.

Each role completes some of the iteration's own prompts once, at temperature 1, and three models say how likely they
find its tokens. Only for measuring.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from visplay.engine.likelihood import divergence, log_probs
from visplay.engine.loaded import let_go
from visplay.engine.prompts import Request
from visplay.pool import LoadedPool
from visplay.recipe import Recipe
from visplay.records import SilverAnswer
from visplay.roles import questioner, reasoner
from visplay.runs import Run, digest, summarise
from visplay.runs.processes import ALONE
from visplay.staging import found, identity, read_silver, sampler, seed

STAGE = "drift"
ROLES = ("questioner", "reasoner")


def measure(run: Run, recipe: Recipe, k: int, starts: tuple[str, str], now: tuple[str, str], pool: LoadedPool) -> None:
    """Measure the roles that iteration k trained: Questioner and Reasoner, where they began and where they are."""
    count, labelled = recipe.evaluation.kl_samples, run.directory / f"iter_{k:02d}" / "label"
    trained = {role: (a, b) for role, a, b in zip(ROLES, starts, now, strict=True) if a != b}
    if not count or not trained:
        return

    def work(folder: Path) -> None:
        for role, (start, end) in trained.items():
            prompts = _prompts(role, read_silver(labelled), recipe, pool)
            chosen = random.Random(seed(recipe, k, f"{STAGE}/{role}")).sample(prompts, min(count, len(prompts)))
            summarise(folder, {role: _moved(run, recipe, k, role, start, end, chosen, folder)})

    inputs = {role: f"{identity(run, start)} to {identity(run, end)}" for role, (start, end) in trained.items()}
    run.stage(k, STAGE, work, inputs | {"samples": count, "labelled": digest(labelled)}, alone=True, apart=True)


def _moved(
    run: Run, recipe: Recipe, k: int, role: str, start: str, now: str, asked: Sequence[Request], folder: Path
) -> dict[str, float]:
    """`kl_start` and `kl_base` of a role, in nats a token."""
    longest = (recipe.questioner if role == "questioner" else recipe.reasoner).max_new_tokens
    with sampler(run, recipe, now, folder, processes=ALONE) as writing:
        drawn = writing.sample(asked, 1, longest, seed(recipe, k, STAGE), temperature=1.0, top_p=1.0)
    del writing  # another model is loaded next
    pairs = [(request, one) for request, written in zip(asked, drawn, strict=True) for one in written]
    read = {name: log_probs(found(run, name), recipe.pool, pairs) for name in dict.fromkeys((now, start, recipe.model))}
    let_go()  # a server may need the room
    ends = {"kl_start": start, "kl_base": recipe.model}
    return {name: divergence(read[now], read[other]).mean().item() for name, other in ends.items()}


def _prompts(role: str, rows: Sequence[SilverAnswer], recipe: Recipe, pool: LoadedPool) -> list[Request]:
    """What the role was asked in this iteration."""
    if role == "questioner":
        shown = dict.fromkeys(row.image_id for row in rows)
        return [(pool.by_id[name], recipe.questioner.prompt or questioner.PROMPT) for name in shown]
    asked = [row.question for row in rows if row.question]
    return [(pool.by_id[each.image_id], reasoner.render(each, recipe.reasoner.prompt)) for each in asked]
