"""TRL's trainer on rows whose images are opened when their turn comes, and with rollouts by our own sampler.

Under several processes, what is rolled out and how it is rewarded depends on the rows of the whole step: each process
does a share of it, and takes what belongs to its own rows.
"""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset
from transformers import PreTrainedModel, PrinterCallback, ProcessorMixin, TrainerState
from trl import GRPOConfig, GRPOTrainer
from trl.models import unwrap_model_for_generation

from visplay.engine import models
from visplay.engine.choosing import Choice
from visplay.engine.exact import exact_weights, whole_models
from visplay.engine.journal import Journal, Row, Score
from visplay.engine.pixels import Pixels
from visplay.engine.rollouts import Rollouts, Training, drawing
from visplay.engine.sharing import SharingTrainer
from visplay.engine.writing import Writer
from visplay.recipe import Recipe
from visplay.runs.parts import REWARD, SAVE, part
from visplay.runs.results import move_whole

Reward: TypeAlias = Callable[[Sequence[Row], Sequence[str]], Sequence[Score]]


class Trainer(SharingTrainer):
    """TRL's trainer on rows, which are opened when their turn comes; made once for one training."""

    _stores_frozen = True  # a checkpoint is the whole model

    def __init__(
        self,
        start: str | Path,
        rows: Sequence[Row],
        reward: Reward,
        recipe: Recipe,
        config: GRPOConfig,
        journal: Journal,
        choice: Choice | None = None,
    ) -> None:
        self._start, self._rows, self._reward, self._journal = start, rows, reward, journal
        self._recipe, self._choice = recipe, choice
        model = self._model(config)
        models.spare_graph(model)
        self._turn: list[int] = []  # the row of each completion that is this process's own
        self._read = []
        self._as_loaded = copy.deepcopy((model.config, model.generation_config))
        prompts = config.max_steps * config.generation_batch_size // config.num_generations
        super().__init__(
            model=model,
            reward_funcs=self._score,
            args=config,
            train_dataset=Dataset.from_dict({"position": range(prompts)}),
            processing_class=self._processor(),
            callbacks=[journal, *([choice] if choice else [])],
            rollout_func=self._roll_out,
        )
        if choice:
            choice.weigh = self._weigh
        self.remove_callback(PrinterCallback)
        self.share_prompts(recipe.share_prompts)
        self._patches = Pixels(self.processing_class.image_processor)
        writer = Writer(self.processing_class, recipe.sampling, Training(self.accelerator), self._patches)
        self._rollouts = Rollouts(writer, self._writing)
        self._drawing = drawing(config, self.eos_token_ids, models.banned_tokens(model))

    def training_step(
        self, model: torch.nn.Module, inputs: list[dict[str, int]], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One part of a step; `inputs` holds the positions of all completions that are generated together."""
        return super().training_step(model, self.examples([item["position"] for item in inputs]), num_items_in_batch)

    def examples(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """Rows in the shape that TRL reads. It never sees an image: `_roll_out` and `_pixels` do."""
        self._turn = [position % len(self._rows) for position in positions]
        return [{"row": row, "prompt": [{"role": "user", "content": self._rows[row].prompt}]} for row in self._turn]

    @part(SAVE)
    def save(self, folder: Path) -> None:
        """Write the trained model as `folder`, whole or not at all, and remove the step checkpoints."""
        unfinished = Path(self.args.output_dir)
        if self._choice is None:
            self._store(unfinished / folder.name)
        if self.accelerator.is_main_process:
            move_whole(self._choice.settle() if self._choice else unfinished / folder.name, folder)
            shutil.rmtree(unfinished.parent)
        self.accelerator.wait_for_everyone()

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: a run directory says where its checkpoints come from."""

    def _send_telemetry(self) -> None:
        """None: nothing goes over the network."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        # The stock method matches no name of Qwen2.5-VL and silently keeps the initial weights (transformers#43701).
        stored = models.load_model(resume_from_checkpoint, self.model.device, self.model.dtype)
        self.model.load_state_dict(stored.state_dict(), strict=True)

    def _model(self, config: GRPOConfig) -> PreTrainedModel:
        """The model to train, as it starts."""
        model = models.load_model(self._start, "cpu", torch.float32)
        if self._recipe.freeze_vision:
            models.freeze_vision(model)
        return model

    def _store(self, folder: Path) -> None:
        """Write the model as it stands, by the main process; all make the call."""
        whole, by_deepspeed = self.accelerator.unwrap_model(self.model), self.args.deepspeed_plugin is not None
        weights = exact_weights(whole, self._partitioned, self._stores_frozen) if by_deepspeed else None
        if self.accelerator.is_main_process:
            with whole_models(self.args):  # what is saved is opened again
                self._write_model(folder, weights)

    def _write_model(self, folder: Path, weights: dict[str, torch.Tensor] | None) -> None:
        """Write the checkpoint; `weights` under DeepSpeed."""
        # A partitioned model does not know by which names its tensors are stored.
        model = models.outline(self._start) if weights else self.accelerator.unwrap_model(self.model)
        in_training = model.config, model.generation_config  # TRL has put in what it needs itself
        model.config, model.generation_config = self._as_loaded
        models.save(model, self._processor(), folder, like=self._start, weights=weights)
        model.config, model.generation_config = in_training

    def _writing(self) -> AbstractContextManager[PreTrainedModel]:
        """The model to write with; ZeRO-3's weights are gathered whole, as each process reads its own tokens."""
        kept = self.args.gradient_checkpointing_kwargs  # TRL switches checkpointing off for it, and on again
        return unwrap_model_for_generation(self.model_wrapped, self.accelerator, gradient_checkpointing_kwargs=kept)

    def _processor(self) -> ProcessorMixin:
        """A new one: a tokenizer keeps, and would save, how it was last used."""
        return models.load_processor(self._start, self._recipe.pool.min_tokens, self._recipe.pool.max_tokens)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._read = self._turn  # TRL shuffles what it gets in return: each completion keeps its row
        scored = super()._generate_and_score_completions(inputs) | {"row": torch.tensor(self._turn)}
        weights = scored["advantages"].new_tensor([self._rows[row].weight for row in self._turn])
        return scored | {"advantages": scored["advantages"] * weights}

    def _score(
        self, completions: list[list[dict[str, str]]], row: list[int], trainer_state: TrainerState, **given: Any
    ) -> list[float | None]:
        """TRL's reward function. A process sees its own completions, and a group may span two: gather, then score."""
        texts = gather_object([completion[0]["content"] for completion in completions])
        lengths = gather_object([len(ids) for ids in given["completion_ids"]])
        rows = [self._rows[index] for index in gather_object(row)]
        # A grader may run out of time in one process only.
        with part(REWARD):
            (scores,) = broadcast_object_list([self._reward(rows, texts)])
        if len(scores) != len(texts):
            raise ValueError(f"the reward gave {len(scores)} scores to {len(texts)} completions")
        if bad := [score for score in scores if score.reward is not None and not math.isfinite(score.reward)]:
            raise ValueError(f"a reward is {bad[0].reward}; one that could not be computed is None")
        self._journal.scored(trainer_state.global_step + 1, rows, texts, lengths, scores)
        mine = self.accelerator.process_index * len(row)
        return [score.reward for score in scores[mine : mine + len(row)]]

    @part(SAVE)
    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        if self._choice:
            self._weigh()
        super()._save_checkpoint(model, trial)

    def _weigh(self) -> None:
        """Have the model answer the rows that it is not trained on, greedily, to choose among steps."""
        assert self._choice is not None
        rows, greedy = self._choice.check.rows, replace(self._drawing, temperature=None)
        written = self._rollouts.write(rows, greedy, seed="greedy")
        texts = self.processing_class.batch_decode([ids for _, ids in written], skip_special_tokens=True)
        self._choice.note(self.state.global_step, texts, self._store)

    def _roll_out(self, prompts: list[Any], _: GRPOTrainer) -> dict[str, Any]:
        """TRL's rollout function: the completions of all processes."""
        first = self.accelerator.process_index * len(prompts)
        seed = f"{self.args.seed}/{self.state.global_step}"
        rows = [self._rows[row] for row in gather_object(self._turn)]
        mine = self._rollouts.write(rows, self._drawing, seed)[first : first + len(prompts)]
        return {"prompt_ids": [ids for ids, _ in mine], "completion_ids": [ids for _, ids in mine], "logprobs": None}

    def _pixels(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        seen = self._patches.of([self._rows[row].image for row in rows])
        return {name: value.to(self.accelerator.device) for name, value in seen.items()}

    @property
    def _partitioned(self) -> bool:
        plugin = self.args.deepspeed_plugin
        return plugin is not None and plugin.zero_stage == 3
