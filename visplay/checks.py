"""What a run looks at before its first stage, so that no setting turns out wrong hours later."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from visplay.engine import embedding, grpo
from visplay.recipe import Recipe, RecipeError


def check(recipe: Recipe, directory: Path) -> None:
    """Raise RecipeError for settings that TRL does not take, EmbedderError for an embedder that is not here.

    A plan can be made without DeepSpeed; a run that names a file of its cannot.
    """
    if recipe.grpo.get("deepspeed") and importlib.util.find_spec("deepspeed") is None:
        install = "pip install -c constraints.txt -e .[deepspeed], or set it to null"
        raise RecipeError([f"grpo.deepspeed: DeepSpeed is not installed; {install}"])
    # DeepSpeed's part is left out: TRL's settings would at once partition every model that is loaded later.
    recipe = dataclasses.replace(recipe, grpo={key: recipe.grpo[key] for key in recipe.grpo if key != "deepspeed"})
    asks, answers = recipe.questioner, recipe.reasoner
    if asks.train and asks.diversity == "embedding":
        embedding.load(asks.embedder)
    for role, prompts in ((asks, asks.images_per_step), (answers, answers.questions_per_step)):
        grpo.settings(recipe, role.steps, prompts, role.max_new_tokens, recipe.seed, directory)
