"""How the completions of one optimizer step are cut into equal parts that fit the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from visplay.recipe.layers import RecipeError
from visplay.recipe.schema import Recipe


class Batching(NamedTuple):
    """Completions per process at a time, and how many such parts a process adds up before the optimizer steps."""

    per_device: int
    accumulation: int


def batching(recipe: Recipe, prompts_per_step: int, world_size: int = 1) -> Batching:
    """How one step of `prompts_per_step` prompts is cut for `world_size` processes; raises RecipeError if it cannot."""
    per_device = recipe.grpo.get("per_device_train_batch_size")
    try:
        return cut(prompts_per_step, recipe.grpo["num_generations"], per_device, world_size)
    except ValueError as error:
        raise RecipeError([str(error)]) from error


def problems(values: Mapping[str, Any], world_size: int) -> list[str]:
    """Whether the steps of both roles can be cut; silent where the numbers themselves are already wrong."""
    group, per_device = values.get("grpo.num_generations"), values.get("grpo.per_device_train_batch_size")
    if not isinstance(group, int):
        return [f"grpo.num_generations: {group!r} is not a number of completions; use 2 or more"]
    found = []
    for key in ("questioner.images_per_step", "reasoner.questions_per_step"):
        prompts = values.get(key, 0)
        trained = key.startswith("reasoner") or values.get("questioner.train", True)
        if not trained or not all(isinstance(size, int) and size > 0 for size in (prompts, group, per_device or 1)):
            continue
        try:
            cut(prompts, group, per_device, world_size)
        except ValueError as error:
            found.append(f"{key}: {error}")
    return found


def rollouts(recipe: Recipe, steps: int) -> int:
    """How many of the steps draw new completions: TRL trains `num_iterations` steps on each batch."""
    return -(-steps // recipe.grpo.get("num_iterations", 1))


def questioner_images(recipe: Recipe) -> int:
    """How many images the Questioner is trained on in one iteration."""
    role = recipe.questioner
    return rollouts(recipe, role.steps) * role.images_per_step if role.train else 0


def cut(prompts: int, group: int, per_device: int | None, world_size: int) -> Batching:
    """Cut `prompts` groups of `group` completions each; per_device x world_size x accumulation = prompts x group.

    `per_device` None takes the largest part that is not above the group size; a share smaller than `per_device` is one
    part, since the steps of the two roles may differ in size. A group may span parts and processes, because rewards are
    gathered before they are compared. Raises ValueError when the parts cannot be equal.
    """
    completions = prompts * group
    total = f"{prompts} prompts x grpo.num_generations {group} = {completions} completions"
    share, rest = divmod(completions, world_size)
    if rest:
        raise ValueError(
            f"{total} cannot be shared among {world_size} processes; use a multiple of {world_size} prompts"
        )
    divisors = [size for size in range(1, share + 1) if share % size == 0]
    per_device = max(size for size in divisors if size <= group) if per_device is None else min(per_device, share)
    if share % per_device:
        below = [size for size in divisors if size < per_device]
        above = [size for size in divisors if size > per_device]
        raise ValueError(
            f"grpo.per_device_train_batch_size {per_device} x {world_size} processes = {per_device * world_size} "
            f"does not divide {total}; use {' or '.join(map(str, below[-1:] + above[:1]))}"
        )
    return Batching(per_device, share // per_device)
