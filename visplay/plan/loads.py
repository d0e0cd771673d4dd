"""What each stage puts on a model: how long texts are, how many are written together, how many in all.

Lengths are the longest that the recipe allows. Where a prompt is the roles' own, or a text of the recipe, its tokens
are reckoned from its characters, as no tokenizer is at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from visplay.plan.memory import Writing
from visplay.plan.stages import PlannedStage
from visplay.plan.tensors import Part
from visplay.recipe import Recipe

_OWN_PROMPT = 200  # tokens; of visplay/roles, with the chat's marks
_MARKS = 16  # tokens of the chat template around a prompt
_CHARACTERS = 3  # per token, few rather than many


@dataclass(frozen=True)
class Sampled:
    """All that one stage samples in one way: `prompts`, read once each, and `samples`, in batches like `writing`.

    `frozen`: by a role that is not trained in this stage.
    """

    prompts: int
    samples: int
    writing: Writing
    frozen: bool = True


@dataclass(frozen=True)
class Load:
    """What one stage does, one time: what it samples, and, where it trains, what a process trains on at a time."""

    stage: PlannedStage
    sampled: tuple[Sampled, ...]
    part: Part | None = None


def load_of(recipe: Recipe, stage: PlannedStage, processes: int = 1) -> Load | None:
    """The load of a planned stage; None where no model is at work."""
    find = {
        "questioner": lambda: _questioner(recipe, stage, processes),
        "reasoner": lambda: _reasoner(recipe, stage, processes),
        "ask": lambda: Load(stage, (_sampled(stage.prompts, _asking(recipe, recipe.ask.questions_per_image)),)),
        "label": lambda: Load(stage, tuple(_labelled(recipe, stage))),
        "score": lambda: Load(stage, _scored(recipe)),
        "benchmarks": lambda: Load(stage, (_sampled(stage.prompts, _benchmark(recipe)),)),
    }.get(stage.name.removeprefix("audit_"))
    return find() if find else None


def rows(recipe: Recipe, batch: int, length: int) -> int:
    """How many completions are decoded together at most, each of `length` tokens with its prompt."""
    return max(1, min(batch, recipe.sampling.batch_tokens // length))


def _questioner(recipe: Recipe, stage: PlannedStage, processes: int) -> Load:
    rollout = _asking(recipe, recipe.grpo["num_generations"])
    votes = _sampled(stage.samples, _answering(recipe, recipe.labels.votes))
    blind = [_sampled(stage.samples, _answering(recipe, recipe.questioner.blind_votes))]
    unseen = blind if recipe.questioner.blind_weight else []
    part = _part(recipe, stage, rollout, recipe.questioner.images_per_step, processes)
    return Load(stage, (_sampled(stage.prompts, rollout, frozen=False), votes, *unseen), part)


def _reasoner(recipe: Recipe, stage: PlannedStage, processes: int) -> Load:
    rollout = _answering(recipe, recipe.grpo["num_generations"])
    part = _part(recipe, stage, rollout, recipe.reasoner.questions_per_step, processes)
    return Load(stage, (_sampled(stage.prompts, rollout, frozen=False),), part)


def _labelled(recipe: Recipe, stage: PlannedStage) -> Iterator[Sampled]:
    """Blind votes are reckoned with an image each, and on every question; most often there are fewer."""
    for _ in range(2 if recipe.labels.second_pass else 1):
        yield _sampled(stage.prompts, _answering(recipe, recipe.labels.votes))
    for _ in recipe.labels.blind:
        yield _sampled(stage.prompts, _answering(recipe, recipe.labels.blind_votes))


def _scored(recipe: Recipe) -> tuple[Sampled, ...]:
    held_out = recipe.evaluation
    found = [_sampled(held_out.questions, _answering(recipe, 1))]
    if held_out.sampled_questions:
        found.append(_sampled(held_out.sampled_questions, _answering(recipe, held_out.samples)))
    return tuple(found)


def _part(recipe: Recipe, stage: PlannedStage, rollout: Writing, prompts: int, processes: int) -> Part:
    assert stage.batching is not None  # a stage that trains has one
    size = recipe.grpo["num_generations"]
    lengths = rollout.image_tokens, rollout.prompt_tokens, rollout.new_tokens
    group = size if recipe.share_prompts else 1
    return Part(stage.batching.per_device, prompts * size // processes, *lengths, group)


def _asking(recipe: Recipe, copies: int) -> Writing:
    prompt = _tokens(recipe.questioner.prompt)
    return _together(recipe, recipe.sampling.batch, copies, prompt, recipe.questioner.max_new_tokens)


def _answering(recipe: Recipe, copies: int) -> Writing:
    """A question is as long as the Questioner may write, and stands inside the Reasoner's prompt."""
    prompt = _tokens(recipe.reasoner.prompt) + recipe.questioner.max_new_tokens
    return _together(recipe, recipe.sampling.batch, copies, prompt, recipe.reasoner.max_new_tokens)


def _benchmark(recipe: Recipe) -> Writing:
    settings = recipe.evaluation
    return _together(recipe, settings.batch, 1, _OWN_PROMPT, settings.max_new_tokens)


def _together(recipe: Recipe, batch: int, copies: int, prompt: int, new: int) -> Writing:
    """As many prompts as have room in a batch, at least one, each with an image before it."""
    image = recipe.pool.max_tokens
    prompts = max(1, rows(recipe, batch, image + prompt + new) // copies)
    return Writing(prompts * copies, prompts, image, image + prompt, new)


def _sampled(prompts: int, writing: Writing, frozen: bool = True) -> Sampled:
    """No more are written together than there are."""
    copies = writing.rows // writing.prompts
    together = max(1, min(prompts, writing.prompts))
    fitted = replace(writing, rows=together * copies, prompts=together)
    return Sampled(prompts, prompts * copies, fitted, frozen)


def _tokens(prompt: str | None) -> int:
    return _OWN_PROMPT if prompt is None else _MARKS + len(prompt) // _CHARACTERS
