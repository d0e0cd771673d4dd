"""Held-out accuracy of a Reasoner, as the loop measures it in every iteration. Nothing here is read by training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from visplay.engine.sampling import Sampler
from visplay.evaluation.accuracy import accuracy, gain_parts
from visplay.evaluation.statistics import paired_difference
from visplay.labels.answers import boxed
from visplay.recipe import Recipe
from visplay.roles import reasoner
from visplay.worlds import scenes
from visplay.worlds.heldout import heldout_items

PER_QUESTION = ("correct", "given")  # greedy, of each held-out question in order


def measure(sampler: Sampler, recipe: Recipe) -> dict[str, Any]:
    """The figures of a score, and which of the held-out questions were answered rightly, answered at all."""
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


def gained(now: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The greedy gain of a measured checkpoint over the measured base, and what it is made of, with intervals."""
    gain = paired_difference(now["correct"], base["correct"])
    found: dict[str, Any] = {"gain": gain.mean, "gain_interval": (gain.low, gain.high)}
    if "given" in base:  # not in what older versions measured
        parts = gain_parts(now["correct"], now["given"], base["correct"], base["given"])
        found["gain_parts"] = {name: tuple(part) for name, part in parts.items()}
    return found
