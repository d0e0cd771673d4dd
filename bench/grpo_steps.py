"""Two steps of GRPO on pictures of noise, with time and peak memory of what the second one does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from meters import Peak, picture
from PIL import Image

from visplay.engine import grpo
from visplay.engine.models import load_processor
from visplay.engine.prompts import encode
from visplay.engine.sampling import LocalSampler, Sampler, SharedSampler
from visplay.images import PoolImage
from visplay.plan.layout import layout_of
from visplay.plan.loads import rows
from visplay.plan.memory import Memory, Moments, Writing, training
from visplay.plan.shapes import Shape, shape_of
from visplay.plan.tensors import Part
from visplay.recipe import Recipe, batching
from visplay.records import ImageRecord

PROMPT = "What is it?"
# Which of the planned moments fall into what is measured together.
GROUPS = {"rollout": ("rollout",), "votes": ("votes",), "training": ("training", "step")}


@dataclass(frozen=True)
class Step:
    """What one step of a role does: `prompts` groups of completions; `votes` by a frozen role on each, or 0."""

    role: str
    prompts: int
    image_tokens: int
    new_tokens: int
    votes: int = 0


@dataclass
class Measured:
    """Seconds and peak bytes by what was done: rollout, votes, training."""

    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)


def frozen_role(recipe: Recipe) -> Sampler:
    """The model that votes: one of its own, or with LoRA the one in training."""
    kind = LocalSampler if recipe.lora.rank is None else SharedSampler
    return kind(recipe.model, recipe.pool, recipe.sampling)


def run(recipe: Recipe, step: Step, frozen: Sampler | None, peak: Peak, folder: Path | None = None) -> Measured:
    """Two steps; what the second did. The checkpoint is left in `folder`, if there is one.

    Every question is voted on, whatever was written: a random model asks none.
    """
    measured, image = Measured(), picture(step.image_tokens)
    doing, since = "training", time.monotonic()

    def begin(what: str) -> None:
        nonlocal doing, since
        if what == doing:
            return
        _finish()
        measured.seconds[doing], measured.peaks[doing] = time.monotonic() - since, peak.read()
        peak.reset()
        doing, since = what, time.monotonic()

    class Noise(PoolImage):
        """A picture of its own for each row: that it is opened is the first thing of a step."""

        def open(self) -> Image.Image:
            begin("rollout")
            return image

    def reward(rows: Sequence[grpo.Row], completions: Sequence[str]) -> list[grpo.Score]:
        if step.votes and frozen is not None:
            begin("votes")
            frozen.sample([(image.copy(), PROMPT) for _ in rows], step.votes, step.new_tokens, 0)
        begin("training")
        return [grpo.Score(float(i % 2)) for i in range(len(rows))]

    record = ImageRecord("noise", "", None, *image.size)
    asked = [grpo.Row(PROMPT, Noise(record, recipe.pool)) for _ in range(2 * step.prompts)]
    shared = {"frozen": frozen} if recipe.lora.rank is not None else {}
    keep = nullcontext(folder) if folder else tempfile.TemporaryDirectory()
    with keep as where:
        peak.reset()
        sizes = {"steps": 2, "prompts_per_step": step.prompts, "max_new_tokens": step.new_tokens, "seed": 0}
        places = {"role": step.role, "folder": Path(where)}
        grpo.train(recipe.model, asked, reward, recipe, **sizes, **places, **shared)
        begin("saving")
    return measured


def planned(recipe: Recipe, step: Step) -> Moments:
    """The moments that the plan expects of such a step here, with lengths as they are."""
    shape = shape_of(recipe.model)
    assert isinstance(shape, Shape), shape
    on_cpu = not torch.cuda.is_available()
    new, image, prompt = step.new_tokens, step.image_tokens, prompt_tokens(recipe, step.image_tokens)
    rollout = _writing(recipe, step.prompts, recipe.grpo["num_generations"], image, prompt, new)
    completions = step.prompts * recipe.grpo["num_generations"]
    votes = _writing(recipe, completions, step.votes, image, prompt, new) if step.votes else None
    return training(shape, layout_of(recipe, shape, cpu=on_cpu), part(recipe, step), rollout, votes)


def part(recipe: Recipe, step: Step) -> Part:
    cut = batching(recipe, step.prompts)
    held = cut.per_device * cut.accumulation
    prompt = prompt_tokens(recipe, step.image_tokens)
    group = recipe.grpo["num_generations"] if recipe.share_prompts else 1
    return Part(cut.per_device, held, step.image_tokens, prompt, step.new_tokens, group)


def fullest(moments: Moments, group: str) -> tuple[str, Memory]:
    """The worst of the planned moments that fall into a measured one."""
    within = {name: memory for name, memory in moments.items() if name.startswith(GROUPS[group])}
    return max(within.items(), key=lambda moment: moment[1].total)


def prompt_tokens(recipe: Recipe, image_tokens: int) -> int:
    processor = load_processor(recipe.model, recipe.pool.min_tokens, recipe.pool.max_tokens)
    return encode(processor, [(picture(image_tokens), PROMPT)])["input_ids"].shape[1]


def _writing(recipe: Recipe, prompts: int, copies: int, image: int, prompt: int, new: int) -> Writing:
    together = min(prompts, max(1, rows(recipe, recipe.sampling.batch, prompt + new) // copies))
    return Writing(together * copies, together, image, prompt, new)


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
