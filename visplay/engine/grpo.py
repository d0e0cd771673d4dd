"""GRPO: rows, a reward and a checkpoint become the next checkpoint. A thin layer over trl.GRPOTrainer.

The only importer of TRL. The loss is TRL's; what this adds: rollouts by our own sampler, images opened when they are
needed, a resume that really loads the weights, step checkpoints that are whole or absent, and a stop on NaN.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from PIL import Image
from transformers import PrinterCallback, ProcessorMixin, TrainerState
from trl import GRPOConfig, GRPOTrainer
from trl.models import unwrap_model_for_generation

from visplay.engine import models
from visplay.engine.journal import UNFINISHED, Journal, NonFiniteError, Row, Score
from visplay.engine.sampling import Drawing, chunks, encode, generate
from visplay.recipe import Recipe, RecipeError, batching
from visplay.records import ImageRecord
from visplay.runs import STEPS
from visplay.runs.results import move_whole

__all__ = ["NonFiniteError", "Row", "Score", "Trainer", "train"]

Reward: TypeAlias = Callable[[Sequence[Row], Sequence[str]], Sequence[Score]]
OpenImage: TypeAlias = Callable[[ImageRecord], Image.Image]

CHECKPOINT = "checkpoint"

# TRL prints the whole sample; a reward of None is an answer here, counted as `unscored_share`.
logging.getLogger("trl.trainer.grpo_trainer").addFilter(
    lambda record: "All reward functions returned None" not in record.getMessage()
)


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
    NonFiniteError on a NaN step, ModelError for a model and RecipeError for a setting that cannot be used, ValueError
    for no rows.
    """
    if not rows:
        raise ValueError(f"no rows to train the {role} on")
    if (folder / CHECKPOINT).exists():  # killed after its last act
        return
    with _known_warnings_hidden():
        config = settings(recipe, steps, prompts_per_step, max_new_tokens, seed, folder)
        with closing(Journal(folder, role, steps, config.num_generations)) as journal:
            trainer = Trainer(start, rows, reward, recipe, config, journal, open_image)
            resumed = journal.newest()
            trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
            journal.summarise()
    trainer.save(folder / CHECKPOINT)


class Trainer(GRPOTrainer):
    """TRL's trainer on rows, which are opened when their turn comes; made once for one training."""

    def __init__(
        self,
        start: str | Path,
        rows: Sequence[Row],
        reward: Reward,
        recipe: Recipe,
        config: GRPOConfig,
        journal: Journal,
        open_image: OpenImage,
    ) -> None:
        model = models.load_model(start, "cpu", torch.float32)
        self._start, self._rows, self._reward, self._journal = start, rows, reward, journal
        self._open_image, self._recipe = open_image, recipe
        if recipe.freeze_vision:
            models.freeze_vision(model)
        self._opened: dict[int, dict[str, Any]] = {}
        self._as_loaded = copy.deepcopy((model.config, model.generation_config))
        prompts = config.max_steps * config.generation_batch_size // config.num_generations
        super().__init__(
            model=model,
            reward_funcs=self._score,
            args=config,
            train_dataset=Dataset.from_dict({"position": range(prompts)}),
            processing_class=self._processor(),
            callbacks=[journal],
            rollout_func=self._roll_out,
        )
        self.remove_callback(PrinterCallback)
        self._drawing = Drawing(
            max_new_tokens=config.max_completion_length,
            temperature=config.temperature,
            ends=self.eos_token_ids,
            banned=models.banned_tokens(model),
            top_p=config.top_p,
            top_k=config.top_k,
            min_p=config.min_p,
        )

    def training_step(
        self, model: torch.nn.Module, inputs: list[dict[str, int]], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One part of a step; `inputs` holds the positions of all completions that are generated together."""
        examples = self.examples([item["position"] for item in inputs])
        return super().training_step(model, examples, num_items_in_batch)

    def examples(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """Rows in the shape that TRL reads. An image is opened once, and let go when other rows have their turn."""
        indices = [position % len(self._rows) for position in positions]
        if set(indices) != self._opened.keys():
            self._opened = {index: self._example(index) for index in dict.fromkeys(indices)}
        return [dict(self._opened[index]) for index in indices]

    def save(self, folder: Path) -> None:
        """Write the trained model as `folder`, whole or not at all, and remove the step checkpoints."""
        model = self.accelerator.unwrap_model(self.model)
        model.config, model.generation_config = self._as_loaded  # TRL has put in what it needs itself
        if self.accelerator.is_main_process:
            unfinished = Path(self.args.output_dir)
            models.save(model, self._processor(), unfinished / folder.name, like=self._start)
            move_whole(unfinished / folder.name, folder)
            shutil.rmtree(unfinished.parent)
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: the run directory says where a checkpoint comes from."""

    def _send_telemetry(self) -> None:
        """None: nothing goes over the network."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        # The stock method matches no name of Qwen2.5-VL and silently keeps the initial weights (transformers#43701).
        stored = models.load_model(resume_from_checkpoint, self.model.device, self.model.dtype)
        self.model.load_state_dict(stored.state_dict(), strict=True)

    def _processor(self) -> ProcessorMixin:
        """A new one: a tokenizer keeps, and would save, how it was last used."""
        return models.load_processor(self._start, self._recipe.pool.min_tokens, self._recipe.pool.max_tokens)

    def _example(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        prompt = [{"role": "user", "content": row.prompt}]
        return {"row": index, "prompt": prompt, "image": self._open_image(row.image)}

    def _score(
        self, completions: list[list[dict[str, str]]], row: list[int], trainer_state: TrainerState, **_: Any
    ) -> list[float | None]:
        """TRL's reward function. A process sees its own completions, and a group may span two: gather, then score."""
        texts = gather_object([completion[0]["content"] for completion in completions])
        rows = [self._rows[index] for index in gather_object(row)]
        scores = self._reward(rows, texts)
        if len(scores) != len(texts):
            raise ValueError(f"the reward gave {len(scores)} scores to {len(texts)} completions")
        if bad := [score for score in scores if score.reward is not None and not math.isfinite(score.reward)]:
            raise ValueError(f"a reward is {bad[0].reward}; one that could not be computed is None")
        self._journal.scored(trainer_state.global_step + 1, rows, texts, scores)
        mine = self.accelerator.process_index * len(row)
        return [score.reward for score in scores[mine : mine + len(row)]]

    def _roll_out(self, prompts: list[list[dict[str, Any]]], _: GRPOTrainer) -> dict[str, Any]:
        """TRL's rollout function: each prompt is read once for all of its completions."""
        prompt_ids: list[list[int]] = []
        completion_ids: list[list[int]] = []
        parts = (message["content"] for (message,) in prompts)
        requests = [(image["image"], text["text"]) for image, text in parts]
        gather = self.args.ds3_gather_for_generation
        with unwrap_model_for_generation(
            self.model_wrapped, self.accelerator, gather_deepspeed3_params=gather
        ) as model:
            for distinct, copies in chunks(requests, self._recipe.sampling.batch):
                inputs = encode(self.processing_class, distinct)
                completion_ids += generate(model, inputs, copies, self._drawing)
                for ids, mask, count in zip(inputs["input_ids"], inputs["attention_mask"], copies, strict=True):
                    prompt_ids += [ids[mask.bool()].tolist()] * count
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def settings(
    recipe: Recipe, steps: int, prompts_per_step: int, max_new_tokens: int, seed: int, folder: Path
) -> GRPOConfig:
    """The recipe's `grpo` over our defaults, under what the project decides itself."""
    cuda = torch.cuda.is_available()
    per_device, accumulation = batching(recipe, prompts_per_step, int(os.environ.get("WORLD_SIZE", "1")))
    wanted = {
        "lr_scheduler_type": "constant",
        "disable_dropout": True,
        "bf16": cuda,
        "gradient_checkpointing": cuda,  # costs time to save memory that a CPU has
        "save_steps": 5,
        "report_to": "none",
        **recipe.grpo,
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
    # Completions that are still to be trained on are in no checkpoint: save where none are left.
    passes = wanted.get("num_iterations", 1)
    wanted["save_steps"] = math.ceil(wanted["save_steps"] / passes) * passes
    try:
        with _known_warnings_hidden():
            return GRPOConfig(**wanted)
    except (ValueError, TypeError) as error:
        raise RecipeError([f"grpo: TRL does not take these settings; change what it names ({error})"]) from error


@contextmanager
def _known_warnings_hidden() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)  # hence TRL's upper bound
        warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)  # TRL's use
        yield
