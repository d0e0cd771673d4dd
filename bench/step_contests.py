"""A GRPO step by our trainer against TRL's with its own generation: the whole step, and its loss and backward pass."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from contest import Contest
from datasets import Dataset
from least import token_by_token
from meters import picture
from PIL import Image
from trl import GRPOConfig, GRPOTrainer

from visplay.engine import grpo, models
from visplay.engine.journal import Journal
from visplay.engine.trainer import Trainer
from visplay.images import TOKEN_SIDE, PoolImage
from visplay.recipe import PoolSettings, Recipe
from visplay.records import ImageRecord

PROMPT = "How many red things are on the left of the small blue square in the picture, and which of them is large?"


@dataclass(frozen=True)
class GrpoStep:
    """`prompts` groups of `group` completions of `new` tokens, each group about a picture of `image_tokens`."""

    image_tokens: int
    new: int
    group: int = 8
    prompts: int = 1


class Noise(PoolImage):
    """A picture of its own for each row."""

    def open(self) -> Image.Image:
        return picture(self.record.width * self.record.height // TOKEN_SIDE**2, int(self.id))


def contests(model: Path, steps: Sequence[GrpoStep]) -> Iterator[Contest]:
    """For each step the whole of it, and the part that comes after the completions; held before the next is made."""
    for step in steps:
        yield from _contests(model, step)
        gc.collect()
        torch.cuda.empty_cache()


def _contests(model: Path, step: GrpoStep) -> Iterator[Contest]:
    """Whoever still has a contest when it is over does not keep the two models alive."""
    many = f", {step.prompts} prompts" if step.prompts > 1 else ""
    what = f"{step.image_tokens} image tokens, G {step.group}, {step.new} new{many}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = [Ours(model, step, folder, stack), Stock(model, step, folder)]
        stack.callback(sides.clear)
        writing = token_by_token(sides[0].trainer.model, _rows(step), step.image_tokens, step.new)
        yield Contest(f"log-probs and backward, {what}", lambda: sides[0].learn(), lambda: sides[1].learn())
        yield Contest(f"GRPO step, {what}", lambda: sides[0].step(), lambda: sides[1].step(), writing)


class Side:
    """One trainer, and the completions that its loss is read from again and again."""

    trainer: Any
    examples: Any

    def prepare(self) -> None:
        """On a GPU in bfloat16 throughout, as under DeepSpeed, and without an optimizer's state: two must fit."""
        cuda = torch.cuda.is_available()
        self.trainer.model.to(torch.bfloat16 if cuda else torch.float32).train()
        self.trainer.current_gradient_accumulation_steps = 1
        trained = [each for each in self.trainer.model.parameters() if each.requires_grad]
        self.optimizer = (torch.optim.SGD if cuda else torch.optim.AdamW)(trained, lr=1e-6)
        self.inputs = self.write()

    def write(self) -> Any:
        return self.trainer._generate_and_score_completions(self.examples())

    def learn(self, inputs: Any = None) -> None:
        """Loss and gradients."""
        self.trainer._compute_loss(self.trainer.model, self.inputs if inputs is None else inputs).backward()
        self.trainer.model.zero_grad()

    def step(self) -> None:
        """Completions, rewards, loss, gradients, and the optimizer."""
        self.trainer._compute_loss(self.trainer.model, self.write()).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Ours(Side):
    """The project's trainer; images are opened and cut anew in each step."""

    def __init__(self, model: Path, step: GrpoStep, folder: Path, stack: ExitStack) -> None:
        recipe = Recipe(model=str(model), pool=PoolSettings(min_tokens=4, max_tokens=4096))
        recipe.grpo |= {"num_generations": step.group, "beta": 0.0, "per_device_train_batch_size": _rows(step)}
        recipe.grpo |= {"gradient_checkpointing": False, "learning_rate": 1e-6}
        config = grpo.settings(recipe, 1, step.prompts, step.new, 0, folder / "ours")
        journal = stack.enter_context(closing(Journal(folder, "reasoner", 1, step.group)))
        record = ImageRecord("0", "", None, *picture(step.image_tokens).size)
        rows = [grpo.Row(PROMPT, Noise(replace(record, id=str(i)), recipe.pool)) for i in range(step.prompts)]
        self.trainer = Trainer(model, rows, _ours_reward, recipe, config, journal)
        banned = [*self.trainer._drawing.banned, *self.trainer._drawing.ends]
        self.trainer._drawing = replace(self.trainer._drawing, banned=banned)
        positions = [i for i in range(step.prompts) for _ in range(step.group)]
        self.examples = lambda: self.trainer.examples(positions)
        self.prepare()

    def write(self) -> Any:
        self.trainer._patches.forget()
        return super().write()


class Stock(Side):
    """TRL as it comes, with transformers' generation."""

    def __init__(self, model: Path, step: GrpoStep, folder: Path) -> None:
        cuda = torch.cuda.is_available()
        config = GRPOConfig(
            output_dir=str(folder / "stock"),
            num_generations=step.group,
            per_device_train_batch_size=_rows(step),
            max_completion_length=step.new,
            beta=0.0,
            learning_rate=1e-6,
            gradient_checkpointing=False,
            bf16=cuda,
            use_cpu=not cuda,
            report_to="none",
            disable_tqdm=True,
            generation_kwargs={"min_new_tokens": step.new},
        )
        loaded = models.load_model(model, "cpu", torch.float32)
        chat = [{"role": "user", "content": PROMPT}]
        shown = [{"prompt": chat, "image": picture(step.image_tokens, i)} for i in range(step.prompts)]
        self.trainer = GRPOTrainer(
            model=loaded,
            reward_funcs=lambda completions, **_: [float(i % 2) for i in range(len(completions))],
            args=config,
            train_dataset=Dataset.from_list([{"prompt": chat}] * step.prompts),
            processing_class=models.load_processor(model, 4, 4096),
        )
        self.examples = lambda: [dict(one) for one in shown for _ in range(step.group)]
        self.prepare()


def _ours_reward(rows: Sequence[grpo.Row], completions: Sequence[str]) -> list[grpo.Score]:
    return [grpo.Score(float(i % 2)) for i in range(len(completions))]


def _rows(step: GrpoStep) -> int:
    return step.prompts * step.group
