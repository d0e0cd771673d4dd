"""What a run was begun with, held against what it is gone on with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from visplay.recipe import Recipe, RecipeError, difference, load_recipe
from visplay.runs.results import RunError

_MACHINE = ("deepspeed", "per_device_train_batch_size", "ddp_timeout")  # of `grpo`


def refuse_another(stored: Path, recipe: Recipe) -> None:
    """Raises RunError, naming what differs, unless a run of the recipe in the file `stored` can go on by `recipe`.

    More iterations than before, and another machine as far as `grpo` sets it, are allowed.
    """
    try:
        before = load_recipe(stored, ["grpo.deepspeed=null"])  # what it names need not be here any more
    except RecipeError as error:
        raise RunError(f"{stored} does not fit this version of visplay:\n{error}") from error
    if changes := difference(_with_what_may_change(before, recipe), recipe):
        lines = "\n".join(f"  {line}" for line in changes)
        raise RunError(f"{stored.parent} was made with another recipe:\n{lines}\nchoose another directory")


def _with_what_may_change(stored: Recipe, recipe: Recipe) -> Recipe:
    """The stored recipe with what the new one may set otherwise."""
    laid_out = {name: recipe.grpo[name] for name in _MACHINE if name in recipe.grpo}
    method = {name: value for name, value in stored.grpo.items() if name not in _MACHINE}
    iterations = max(stored.iterations, recipe.iterations)
    return dataclasses.replace(stored, iterations=iterations, grpo=method | laid_out)
