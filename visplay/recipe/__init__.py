"""What a run is made of: the typed recipe, its defaults (the paper's values), and how a YAML file becomes one.

A recipe file holds only what differs from the defaults. This package is pure: it imports no torch and touches no model.
The keys and their defaults stand in `schema`, the allowed values in `limits` and `rules`, TRL's in `grpo_keys`.
"""

from visplay.recipe.batches import Batching, batching, questioner_images, rollouts
from visplay.recipe.layers import RecipeError
from visplay.recipe.loading import difference, load_recipe, to_yaml
from visplay.recipe.schema import (
    AskSettings,
    AuditSettings,
    EvaluationSettings,
    GuardSettings,
    LabelSettings,
    LoraSettings,
    PoolSettings,
    QuestionerSettings,
    QuotaSettings,
    ReasonerSettings,
    Recipe,
    SamplingSettings,
)

__all__ = [
    "AskSettings",
    "AuditSettings",
    "Batching",
    "EvaluationSettings",
    "GuardSettings",
    "LabelSettings",
    "LoraSettings",
    "PoolSettings",
    "QuestionerSettings",
    "QuotaSettings",
    "ReasonerSettings",
    "Recipe",
    "RecipeError",
    "SamplingSettings",
    "batching",
    "difference",
    "load_recipe",
    "questioner_images",
    "rollouts",
    "to_yaml",
]
