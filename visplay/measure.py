"""Held-out accuracy of a Reasoner, as the loop measures it in every iteration. Nothing here is read by training."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, cast

from visplay.engine.sampling import Sampler
from visplay.evaluation.accuracy import accuracy
from visplay.labels.answers import boxed
from visplay.recipe import Recipe
from visplay.roles import reasoner
from visplay.worlds import scenes
from visplay.worlds.heldout import heldout_items


def measure(sampler: Sampler, recipe: Recipe) -> dict[str, Any]:
    """The figures of a score, and under `correct` which of the held-out questions were answered rightly."""
    settings = recipe.evaluation
    items = heldout_items(cast(scenes.Split, settings.split), settings.questions)
    asked = [(item.image, item.question) for item in items]
    complete = partial(reasoner.complete, sampler, recipe=recipe, seed=0)
    free = [texts[0] for texts in complete(asked, greedy=True, progress="held-out")]
    drawn = complete(asked[: settings.sampled_questions], n=settings.samples, progress="held-out samples")
    # Forbidding the short cut changes only the completions that took it.
    short = [i for i, text in enumerate(free) if not reasoner.reasons(text)]
    forced = complete(
        [asked[i] for i in short], greedy=True, must_reason=True, progress="held-out, short cut forbidden"
    )
    reasoned = dict(enumerate(free)) | {i: texts[0] for i, texts in zip(short, forced, strict=True)}
    measured = accuracy(items, [*map(boxed, free)], [[*map(boxed, texts)] for texts in drawn])
    return dataclasses.asdict(measured) | {
        "greedy_reasoned": accuracy(items, [*map(boxed, reasoned.values())], []).greedy,
        "short_cut_share": len(short) / len(items),
    }
