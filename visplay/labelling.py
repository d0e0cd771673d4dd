"""The label stage with a model at hand: votes, a second pass over what they would keep, and trust.

What is kept and why stands in `visplay.labels.silver`; here the votes are drawn that it judges by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from visplay.engine.sampling import Sampler
from visplay.images import PoolImage
from visplay.labels import silver, trust
from visplay.lineage import same_voter
from visplay.recipe import LabelSettings, Recipe
from visplay.records import Ballot, SilverAnswer, read_jsonl
from visplay.roles import reasoner
from visplay.runs import read_manifest
from visplay.views import SecondView

AUDIT = "audit.jsonl"  # in the result of the stage `audit`: rows as `trust.trust_of` takes them


def teaches(image_id: str) -> bool:
    """Whether an image of the audit is of the half that may steer training; the other half then measures."""
    return hashlib.sha256(image_id.encode()).digest()[0] % 2 == 0


def learns(settings: LabelSettings) -> bool:
    """Whether trust is learned from audits."""
    return settings.trust_from != "votes" and trust.wanted(settings)


def heeds_audit(recipe: Recipe) -> bool:
    """Whether what an audit finds decides where the guard goes on from."""
    return recipe.guard.action in ("stop", "rollback") and recipe.guard.max_audit_fall is not None


def steered(recipe: Recipe) -> bool:
    """Whether an audit, if there is one, has a say in the training: in trust, in the step kept, in the guard."""
    return learns(recipe.labels) or recipe.reasoner.keep_step == "audit" or heeds_audit(recipe)


def earlier_audit(directory: Path, recipe: Recipe, k: int) -> Path | None:
    """The audit to learn trust from in iteration k: of the same voter, else of the iteration before.

    None where there is none, or nothing asks for it.
    """
    folder = directory / f"iter_{same_voter(directory, k) or k - 1:02d}" / "audit"
    return folder if learns(recipe.labels) and read_manifest(folder) is not None and (folder / AUDIT).exists() else None


def silver_rows(
    sampler: Sampler,
    candidates: Sequence[silver.Candidate],
    pictures: Mapping[str, PoolImage],
    recipe: Recipe,
    seed: int,
    names: tuple[str, str],
    audited: Path | None,
) -> tuple[list[SilverAnswer], dict[str, int]]:
    """The verdict on each candidate, and how many votes were drawn for it, as figures for the summary.

    `names` are those of the checkpoints that asked and vote; `audited` is what `earlier_audit` found.
    """
    settings = recipe.labels
    ballots = _votes(sampler, candidates, silver.needs_votes(candidates), pictures, recipe, seed)
    second, cost = None, {"votes": settings.votes * sum(b is not None for b in ballots), "second_votes": 0}
    if settings.second_pass:
        again = silver.needs_second(candidates, ballots, settings)
        second = _votes(sampler, candidates, again, pictures, recipe, seed + 1, is_second=True)
        cost["second_votes"] = settings.votes * sum(again)
    trusted = None
    if trust.wanted(settings):
        known = read_jsonl(audited / AUDIT) if audited else []
        trusted = trust.trust_of([row for row in known if teaches(row["image_id"])], settings)
    return silver.judge(candidates, ballots, settings, *names, second, trusted), cost


def _votes(
    sampler: Sampler,
    candidates: Sequence[silver.Candidate],
    needed: Sequence[bool],
    pictures: Mapping[str, PoolImage],
    recipe: Recipe,
    seed: int,
    is_second: bool = False,
) -> list[Ballot | None]:
    """A ballot for each candidate that needs one."""
    view = recipe.labels.second_view if is_second else None
    short = is_second and recipe.labels.second_prompt == "short"
    asked = [(pictures[i], q) for (i, _, q), need in zip(candidates, needed, strict=True) if need and q]
    if view:
        seen = {p.id: SecondView(p.record, p.settings, view) for p, _ in asked}  # one for all questions about it
        asked = [(seen[picture.id], q) for picture, q in asked]
    progress = "second votes" if is_second else "votes"
    ballots = iter(reasoner.vote(sampler, asked, recipe, seed, progress, short))
    return [next(ballots) if need else None for need in needed]
