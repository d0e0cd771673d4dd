"""What a recipe will cost, before anything is loaded: prompts, samples, tokens and optimizer steps of each stage.

By arithmetic: every sample as long as allowed, every question parsed, every vote cast. Left out is what only the run
can tell: the score's second greedy pass, over the answers given without reasoning, at most `evaluation.questions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
    return [*found, _ask(recipe), _label(recipe), _reasoner(recipe, world_size)]


def describe(recipe: Recipe, world_size: int = 1, pool_size: int | None = None, items: int | None = None) -> str:
    """The plan as a table with totals, at most 100 columns wide, and what it asks of the pool."""
    planned = plan(recipe, pool_size, world_size, items)
    rows = [["stage", "times", "prompts", "samples", "votes", "tokens", "steps", "batch"]]
    rows += [_row(stage) for stage in planned]
    totals = [
        sum(stage.times * getattr(stage, name) for stage in planned) for name in ("samples", "votes", "tokens", "steps")
    ]
    rows.append(["in all", "", "", *map(_figure, totals), ""])
    return "\n".join([*_aligned(rows), "", *_notes(recipe, planned, world_size)])


def _questioner(recipe: Recipe, world_size: int) -> PlannedStage:
    role, group = recipe.questioner, recipe.grpo["num_generations"]
    prompts = questioner_images(recipe)
    samples = prompts * group
    votes = samples * recipe.labels.votes
    tokens = samples * role.max_new_tokens + votes * recipe.reasoner.max_new_tokens
    cut = batching(recipe, role.images_per_step, world_size)
    return PlannedStage("questioner", recipe.iterations, prompts, samples, votes, tokens, role.steps, cut)


def _ask(recipe: Recipe) -> PlannedStage:
    samples = recipe.ask.images * recipe.ask.questions_per_image
    tokens = samples * recipe.questioner.max_new_tokens
    return PlannedStage("ask", recipe.iterations, recipe.ask.images, samples, tokens=tokens)


def _label(recipe: Recipe) -> PlannedStage:
    prompts = recipe.ask.images * recipe.ask.questions_per_image
    votes = prompts * recipe.labels.votes
    return PlannedStage("label", recipe.iterations, prompts, votes=votes, tokens=votes * recipe.reasoner.max_new_tokens)


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


def _notes(recipe: Recipe, planned: list[PlannedStage], world_size: int) -> Iterable[str]:
    pool_size = next(stage.prompts for stage in planned if stage.name == "pool")
    images = sum(stage.times * stage.prompts for stage in planned if stage.name in ("questioner", "ask"))
    size = f" from a pool of {pool_size:,}" if pool_size else ""
    yield f"Images: {images:,} drawn{size}; none is drawn twice before every image was drawn once."
    yield f"Batch: completions per process x parts per step, on {world_size} process{'es' if world_size > 1 else ''}."
    if not recipe.evaluation.world:
        yield "No held-out score: evaluation.world is not set."
        if not recipe.evaluation.benchmarks:
            yield "Nothing is measured: name a benchmark in evaluation.benchmarks."
    if any(stage.name == "benchmarks" and not stage.prompts for stage in planned):
        yield "Benchmarks: not all of their data can be read here, so their items are not counted."


def _row(stage: PlannedStage) -> list[str]:
    counts = [stage.prompts, stage.samples, stage.votes, stage.tokens, stage.steps]
    cut = f"{stage.batching.per_device} x {stage.batching.accumulation:,}" if stage.batching else ""
    return [stage.name, str(stage.times), *map(_figure, counts), cut]


def _figure(count: int) -> str:
    return f"{count:,}" if count else "-"


def _aligned(rows: list[list[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield f"{name:<{widths[0]}}  {line}".rstrip()
