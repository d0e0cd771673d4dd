"""What a recipe will cost, before anything is loaded: prompts, samples, tokens and optimizer steps of each stage.

By arithmetic: every sample as long as allowed, every question parsed, every vote cast, all of them again in a second
pass. Left out are the few greedy answers by which `reasoner.keep_step` chooses, the completions of
`evaluation.kl_samples`, and what only the run can tell: the score's second greedy pass, over the answers given without
reasoning, at most `evaluation.questions`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from visplay.recipe import Batching, Recipe, batching, questioner_images, rollouts


@dataclass(frozen=True)
class PlannedStage:
    """One stage of the loop and how often it comes. The counts are for one time.

    `prompts` are images or questions, `samples` completions of the role itself, `votes` completions of the frozen
    Reasoner, `tokens` the most that all of these can generate. `batching` is None where nothing is trained.
    """

    name: str
    times: int
    prompts: int = 0
    samples: int = 0
    votes: int = 0
    tokens: int = 0
    steps: int = 0
    batching: Batching | None = None


def plan(
    recipe: Recipe, pool_size: int | None = None, world_size: int = 1, items: int | None = None
) -> list[PlannedStage]:
    """The stages in the order in which the loop comes to them first.

    `items` is the number of items of all benchmarks; it and `pool_size` are None where they are not known yet.
    """
    if pool_size is None and _of_world(recipe):
        pool_size = recipe.pool.world_images
    found = [PlannedStage("images", 1, prompts=recipe.pool.world_images)] if _of_world(recipe) else []
    found += [PlannedStage("pool", 1, prompts=pool_size or 0)]
    found += [_score(recipe)] if recipe.evaluation.world else []
    found += [_benchmarks(recipe, items or 0)] if recipe.evaluation.benchmarks else []
    found += [_questioner(recipe, world_size)] if recipe.questioner.train else []
    voted_on = [_ask(recipe), _label(recipe), *_audit(recipe)]
    found += sorted(voted_on, key=lambda stage: "label" in stage.name)  # all is asked first
    return [*found, _reasoner(recipe, world_size)]


def _questioner(recipe: Recipe, world_size: int) -> PlannedStage:
    role, group = recipe.questioner, recipe.grpo["num_generations"]
    prompts = questioner_images(recipe)
    samples = prompts * group
    votes = samples * (recipe.labels.votes + (role.blind_votes if role.blind_weight else 0))
    tokens = samples * role.max_new_tokens + votes * recipe.reasoner.max_new_tokens
    cut = batching(recipe, role.images_per_step, world_size)
    return PlannedStage("questioner", recipe.iterations, prompts, samples, votes, tokens, role.steps, cut)


def _ask(recipe: Recipe) -> PlannedStage:
    samples = recipe.ask.images * recipe.ask.questions_per_image
    tokens = samples * recipe.questioner.max_new_tokens
    return PlannedStage("ask", recipe.iterations, recipe.ask.images, samples, tokens=tokens)


def _label(recipe: Recipe) -> PlannedStage:
    prompts = recipe.ask.images * recipe.ask.questions_per_image
    passes = 2 if recipe.labels.second_pass else 1
    votes = prompts * (passes * recipe.labels.votes + len(recipe.labels.blind) * recipe.labels.blind_votes)
    return PlannedStage("label", recipe.iterations, prompts, votes=votes, tokens=votes * recipe.reasoner.max_new_tokens)


def _audit(recipe: Recipe) -> list[PlannedStage]:
    """Asked and voted on as in the loop; how many questions a user's own file has is not known here."""
    if not recipe.audit.images:
        return []
    alike = replace(recipe, ask=replace(recipe.ask, images=recipe.audit.images))
    return [replace(_ask(alike), name="audit_ask"), replace(_label(alike), name="audit_label")]


def _reasoner(recipe: Recipe, world_size: int) -> PlannedStage:
    role = recipe.reasoner
    prompts = rollouts(recipe, role.steps) * role.questions_per_step
    samples = prompts * recipe.grpo["num_generations"]
    cut = batching(recipe, role.questions_per_step, world_size)
    tokens = samples * role.max_new_tokens
    return PlannedStage("reasoner", recipe.iterations, prompts, samples, 0, tokens, role.steps, cut)


def _score(recipe: Recipe) -> PlannedStage:
    held_out = recipe.evaluation
    samples = held_out.questions + held_out.sampled_questions * held_out.samples
    tokens = samples * recipe.reasoner.max_new_tokens
    return PlannedStage("score", recipe.iterations + 1, held_out.questions, samples, tokens=tokens)


def _benchmarks(recipe: Recipe, items: int) -> PlannedStage:
    tokens = items * recipe.evaluation.max_new_tokens
    return PlannedStage("benchmarks", recipe.iterations + 1, items, items, tokens=tokens)


def _of_world(recipe: Recipe) -> bool:
    return recipe.pool.source.startswith("world:")
