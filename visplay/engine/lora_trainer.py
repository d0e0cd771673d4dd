"""The trainer for LoRA: the base is loaded once, for the adapter in training, the one it began as, and a frozen role's.

The KL term means what it means without LoRA: distance to the checkpoint that the training started from. TRL takes the
adapter's first values for that, as a copy that it switches on; so the model is handed over with its adapter on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from trl import GRPOConfig
from trl.trainer.utils import use_adapter

from visplay.engine import lora, models
from visplay.engine.choosing import Choice
from visplay.engine.drawing import own_randomness
from visplay.engine.journal import Journal, Row
from visplay.engine.sampling import Sampler, SharedSampler
from visplay.engine.trainer import Reward, Trainer
from visplay.recipe import Recipe


class LoraTrainer(Trainer):
    """Trains an adapter, and lends its model to the sampler of a frozen role over the same base."""

    _stores_frozen = False

    def __init__(
        self,
        start: str | Path,
        rows: Sequence[Row],
        reward: Reward,
        recipe: Recipe,
        config: GRPOConfig,
        journal: Journal,
        choice: Choice | None = None,
        frozen: Sampler | None = None,
    ) -> None:
        self._frozen = frozen if isinstance(frozen, SharedSampler) else None
        super().__init__(start, rows, reward, recipe, config, journal, choice)
        if self._partitioned:
            lora.cast(self.model)  # DeepSpeed gathers tensors of one type only

    def _model(self, config: GRPOConfig) -> lora.PeftModel:
        base = lora.base_of(self._start)
        whole = models.load_model(base, "cpu", torch.bfloat16 if config.bf16 else torch.float32)
        without = models.vision_tower(whole) if self._recipe.freeze_vision else None
        with own_randomness(f"{config.seed}/lora", whole.device):
            model = lora.begin(whole, self._start, self._recipe.lora, without)
        if self._frozen:
            other = self._frozen.checkpoint
            lora.refuse_other_base(other, base)
            if lora.is_adapter(other):
                lora.attach(model, other, lora.FROZEN)
            self._frozen.borrow(self._playing_frozen)
        return model

    @contextmanager
    def _playing_frozen(self) -> Iterator[PreTrainedModel]:
        """The frozen role to write with; afterwards the adapter in training is on again, come what may."""
        adapter = lora.FROZEN if lora.FROZEN in self.accelerator.unwrap_model(self.model).peft_config else None
        with super()._writing() as model, use_adapter(model, adapter):
            yield model.get_base_model()

    @contextmanager
    def _writing(self) -> Iterator[PreTrainedModel]:
        # The precision of training belongs to a call of the whole, and this is the base inside of it.
        with super()._writing() as model, self.accelerator.autocast():
            yield model.get_base_model()

    def _write_model(self, folder: Path, weights: dict[str, torch.Tensor] | None) -> None:
        models.save_adapter(self.accelerator.unwrap_model(self.model), self._processor(), folder, weights)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        """A step checkpoint: the stock method would write all adapters, of which two do not change."""
        if self.args.should_save:
            lora.save(self.accelerator.unwrap_model(self.model), Path(output_dir or self.args.output_dir), state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        lora.restore(self.model, resume_from_checkpoint)
