"""GRPO: rows, a reward and a checkpoint become the next checkpoint. A thin layer over trl.GRPOTrainer.

The only importer of TRL. The loss is TRL's; what this adds: rollouts by our own sampler, images opened when they are
needed, a resume that really loads the weights, step checkpoints that are whole or absent, and a stop on NaN.
"""

from __future__ import annotations

import copy
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from PIL import Image
from transformers import PrinterCallback, ProcessorMixin, TrainerState
from trl import GRPOConfig, GRPOTrainer
from trl.models import unwrap_model_for_generation

from visplay.engine import models
from visplay.engine.journal import UNFINISHED, Journal, NonFiniteError, Row, Score
from visplay.engine.sampling import Request, encode, generate
from visplay.recipe import Recipe, batching
from visplay.records import ImageRecord
from visplay.runs import STEPS

__all__ = ["NonFiniteError", "Row", "Score", "train"]

Reward: TypeAlias = Callable[[Sequence[Row], Sequence[str]], Sequence[Score]]
OpenImage: TypeAlias = Callable[[ImageRecord], Image.Image]

CHECKPOINT = "checkpoint"


def train(
    start: str | Path,
    rows: Sequence[Row],
    reward: Reward,
    recipe: Recipe,
    *,
    role: str,
    steps: int,
    prompts_per_step: int,
    max_new_tokens: int,
    seed: int,
    folder: Path,
    open_image: OpenImage,
) -> None:
    """Train the model `start` for `steps` optimizer steps and save it as folder/checkpoint.

    Step s sees rows (s - 1) * prompts_per_step and on, in the order given, from the first again when they run out; each
    is completed `grpo.num_generations` times. `reward` gets all completions of a step at once, a group's next to each
    other, with one row for each completion; its answers must depend on nothing else. `open_image` gives an image that
    is already resized.

    A killed call is gone on with by the same call on the same folder: the result has the same bytes. Raises
    NonFiniteError on a NaN step, ModelError for a model that cannot be used, ValueError for no rows.
    """
    if not rows:
        raise ValueError(f"no rows to train the {role} on")
    if (folder / CHECKPOINT).exists():  # killed after its last act
        return
    model = models.load_model(start, "cpu", torch.float32)
    as_loaded = copy.deepcopy((model.config, model.generation_config))
    processor = models.load_processor(start, recipe.pool.min_tokens, recipe.pool.max_tokens)
    if recipe.freeze_vision:
        models.freeze_vision(model)
    config = _config(recipe, steps, prompts_per_step, max_new_tokens, seed, folder, models.banned_tokens(model))
    with closing(Journal(folder, role, steps, config.num_generations)) as journal:
        resumed = journal.newest()
        trainer = _Trainer(
            model=model,
            reward_funcs=_reward_function(rows, reward, journal),
            args=config,
            train_dataset=Dataset.from_dict({"position": range(steps * prompts_per_step)}),
            processing_class=processor,
            callbacks=[journal],
            rollout_func=_rollouts(processor, recipe.sampling.batch),
        )
        trainer.examples = _Examples(rows, open_image)
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    model.config, model.generation_config = as_loaded  # the trainer has put in what it needs itself
    if trainer.accelerator.is_main_process:
        models.save(model, processor, Path(config.output_dir) / CHECKPOINT, like=start)
        os.replace(Path(config.output_dir) / CHECKPOINT, folder / CHECKPOINT)
        shutil.rmtree(folder / STEPS)
    trainer.accelerator.wait_for_everyone()


def _config(
    recipe: Recipe,
    steps: int,
    prompts_per_step: int,
    max_new_tokens: int,
    seed: int,
    folder: Path,
    banned: list[int],
) -> GRPOConfig:
    """The recipe's `grpo` over our defaults, under what the project decides itself."""
    cuda = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    per_device, accumulation = batching(recipe, prompts_per_step, processes)
    settings: dict[str, Any] = {
        "lr_scheduler_type": "constant",
        "disable_dropout": True,
        "bf16": cuda,
        "gradient_checkpointing": cuda,  # costs time to save memory that a CPU has
        "save_steps": 5,
        "report_to": "none",
        **recipe.grpo,
    }
    # Completions that are still to be trained on are not in a checkpoint: save where none are left.
    passes = settings.get("num_iterations", 1)
    settings["save_steps"] = math.ceil(settings["save_steps"] / passes) * passes
    settings["generation_kwargs"] = {
        "suppress_tokens": banned,
        **(settings.get("generation_kwargs") or {}),
    }
    return GRPOConfig(
        **settings
        | {
            "output_dir": str(folder / STEPS / UNFINISHED),
            "max_steps": steps,
            "per_device_train_batch_size": per_device,
            "gradient_accumulation_steps": accumulation,
            "max_completion_length": max_new_tokens,
            "seed": seed,
            "shuffle_dataset": False,
            "use_cpu": not cuda,
            "save_strategy": "steps",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "disable_tqdm": True,
        }
    )


class _Trainer(GRPOTrainer):
    """TRL's trainer on rows that are opened when their turn comes, with a resume that loads the weights."""

    examples: _Examples

    def training_step(
        self, model: torch.nn.Module, inputs: list[dict[str, int]], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        return super().training_step(model, self.examples.at([item["position"] for item in inputs]), num_items_in_batch)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        # The stock method matches no name of Qwen2.5-VL and silently keeps the initial weights (transformers#43701).
        stored = models.load_model(resume_from_checkpoint, self.model.device, self.model.dtype)
        self.model.load_state_dict(stored.state_dict(), strict=True)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: the run directory says where a checkpoint comes from."""

    def _send_telemetry(self) -> None:
        """None: nothing goes over the network."""


class _Examples:
    """Rows in the shape that TRL reads. An image is opened once for the completions of a step, and then let go."""

    def __init__(self, rows: Sequence[Row], open_image: OpenImage) -> None:
        self._rows = rows
        self._open_image = open_image
        self._opened: dict[int, dict[str, Any]] = {}

    def at(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """The example of each position; TRL asks for the same ones again in every part of a step."""
        indices = [position % len(self._rows) for position in positions]
        if set(indices) != self._opened.keys():
            self._opened = {index: self._example(index) for index in dict.fromkeys(indices)}
        return [dict(self._opened[index]) for index in indices]

    def _example(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        return {
            "row": index,
            "prompt": [{"role": "user", "content": row.prompt}],
            "image": self._open_image(row.image),
        }


def _reward_function(rows: Sequence[Row], reward: Reward, journal: Journal) -> Callable[..., list[float | None]]:
    """TRL's reward function. It sees the completions of one process, and a group may span two: gather, then score."""

    def scored(
        completions: list[list[dict[str, str]]], row: list[int], trainer_state: TrainerState, **_: Any
    ) -> list[float | None]:
        texts = gather_object([completion[0]["content"] for completion in completions])
        chosen = [rows[index] for index in gather_object(row)]
        scores = reward(chosen, texts)
        if len(scores) != len(texts):
            raise ValueError(f"the reward gave {len(scores)} scores to {len(texts)} completions")
        if bad := [score for score in scores if score.reward is not None and not math.isfinite(score.reward)]:
            raise ValueError(f"a reward is {bad[0].reward}; one that could not be computed is None")
        journal.scored(trainer_state.global_step + 1, chosen, texts, scores)
        mine = PartialState().process_index * len(row)
        return [score.reward for score in scores[mine : mine + len(row)]]

    return scored


def _rollouts(processor: ProcessorMixin, batch: int) -> Callable[..., dict[str, Any]]:
    """TRL's rollout function: `batch` completions at a time, each prompt read once for all of its completions."""

    def rollout(prompts: list[list[dict[str, Any]]], trainer: GRPOTrainer) -> dict[str, Any]:
        prompt_ids: list[list[int]] = []
        completion_ids: list[list[int]] = []
        with unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
        ) as model:
            for requests, copies in _chunks(prompts, batch):
                inputs = encode(processor, requests)
                completion_ids += generate(model, inputs, copies, trainer.generation_config)
                for ids, mask, count in zip(inputs["input_ids"], inputs["attention_mask"], copies, strict=True):
                    prompt_ids += [ids[mask.bool()].tolist()] * count
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}

    return rollout


def _chunks(prompts: list[list[dict[str, Any]]], batch: int) -> Iterator[tuple[list[Request], list[int]]]:
    """Distinct requests and how often each stands in a row, cut where the completions would be more than `batch`."""
    parts = (message["content"] for (message,) in prompts)
    requests = [(image["image"], text["text"]) for image, text in parts]
    chunk: list[Request] = []
    copies: list[int] = []
    for _, group in groupby(requests, key=lambda request: (id(request[0]), request[1])):
        same = list(group)
        if chunk and sum(copies) + len(same) > batch:
            yield chunk, copies
            chunk, copies = [], []
        chunk.append(same[0])
        copies.append(len(same))
    yield chunk, copies
