"""A GRPO trainer that runs each prompt, and its image, once for all of its completions.

TRL runs vision tower and prompt for each of a group's copies, in the log-probabilities of policy, old policy and
reference, and in the backward pass. Here the copies share one row (`visplay.engine.packing`); loss and gradients are
those of the stock trainer but for rounding, where a loss does not depend on which completions share a part (TRL's bnpo
and its entropy bonus do, and groups come together here). A part is read in the stock way where that costs fewer
operations. The first one that is not is read in both ways, and where they differ, or the model cannot be read so, the
stock way is taken for good, and the log says so.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import PreTrainedModel
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from visplay.engine.packing import Packed, groups, pack
from visplay.plan import work
from visplay.plan.shapes import read_text
from visplay.runs.parts import LOG_PROB, part

logger = logging.getLogger(__name__)

Read = tuple[torch.Tensor, torch.Tensor | None]  # log-probabilities and entropies (N, C)

_KNOWN = ("qwen2_5_vl",)  # model types whose positions and masks were tried

# Mean difference of log-probabilities, in nats, that rounding explains; a wrong mask or position makes some tenths: of
# the shipped model in bfloat16 the right layout 0.022, wrong ones from 0.32; other models have room in between.
_TOLERATED = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 1e-1, torch.float16: 1e-2}


@dataclass(frozen=True)
class _Part:
    """Completions that are read at a time, of `longest` tokens at most, after prompts padded on the left."""

    model: torch.nn.Module
    input_ids: torch.Tensor  # (N, P + longest)
    attention_mask: torch.Tensor
    longest: int
    rows: Sequence[int]
    entropy: bool


class SharingTrainer(GRPOTrainer, ABC):
    """To be told, by what inherits from it, which row each completion belongs to, and the pixels of rows."""

    _buffered_inputs: Any  # TRL's: the parts of a step
    _read: list[int]  # the rows of the completions whose log-probabilities are wanted now

    def share_prompts(self, wanted: bool) -> None:
        """Begin to share them, if it is `wanted` and the model can be read so; says why not."""
        why_not = _why_not(self._whole(self.model)) if wanted else None
        if why_not:
            logger.warning("each completion is read with a prompt of its own, which takes longer: %s", why_not)
        self._sharing, self._checked = wanted and not why_not, False
        self._text = read_text(self._whole(self.model).config.get_text_config().to_dict(), tied=True)

    @abstractmethod
    def _pixels(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """Patches and grids of the pictures of these rows, one after the other."""

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL shuffles completions; those of a group come together again, in the order of the rows."""
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if not self._sharing or self._buffered_inputs is before:
            return inputs
        self._buffered_inputs = _regrouped(self._buffered_inputs)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        self._read = inputs["row"].tolist()
        return super()._compute_loss(model, inputs)

    @part(LOG_PROB)
    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """As TRL's, though a part of the completions has its own pixels: TRL would hold those of all, thrice."""
        size, found = batch_size or len(input_ids), []
        for start in range(0, len(input_ids), size):
            at = slice(start, start + size)
            now = _Part(model, input_ids[at], attention_mask[at], logits_to_keep, self._read[at], compute_entropy)
            packed = self._packed(now) if self._sharing else None
            # All or none, so that a resumed training, which checks again, goes on as it would have.
            if self._sharing and not all(gather_object([packed is not None])):
                packed = None
            if packed and not self._checked:
                self._check(now, packed)
            shared = packed if self._sharing else None
            found.append(self._together(now, shared) if shared else self._apart(now))
            self._metrics["train"]["prompts_shared"].append(float(shared is not None))
        log_probs, entropies = zip(*found, strict=True)
        return torch.cat(log_probs), torch.cat(entropies) if compute_entropy else None, None

    def _packed(self, part: _Part) -> Packed | None:
        """One row for each prompt; None where the stock way costs fewer operations."""
        members = groups(part.rows)
        first = [group[0] for group in members]
        prompts, seen = part.input_ids[first, : -part.longest], part.attention_mask[first, : -part.longest]
        whole = self._whole(part.model)
        pixels = self._pixels([part.rows[i] for i in first])
        positions, _ = whole.base_model.get_rope_index(
            prompts,
            (prompts == whole.config.image_token_id).int(),
            image_grid_thw=pixels["image_grid_thw"],
            attention_mask=seen,
        )
        packed = pack(part.input_ids, part.attention_mask, part.longest, members, positions)
        (rows, width), (packed_rows, packed_width) = part.input_ids.shape, packed.inputs["input_ids"].shape
        # Each completion is held against all the others, though it sees none: of long ones that costs more.
        pays = packed_rows * work.packed(self._text, packed_width) < rows * work.understanding(self._text, width)
        return replace(packed, inputs=packed.inputs | pixels) if pays else None

    def _together(self, part: _Part, packed: Packed) -> Read:
        """With one prompt for all completions of a row."""
        with self.accelerator.autocast():
            outputs = part.model(**packed.inputs, fused_lm_head=True)
        return packed.spread(outputs.log_probs), packed.spread(outputs.entropy) if part.entropy else None

    def _apart(self, part: _Part) -> Read:
        """The stock way: each completion with a prompt and a picture of its own."""
        types = (part.input_ids == self._whole(part.model).config.image_token_id).int()
        seen = {**self._pixels(part.rows), "num_images": [1] * len(part.rows), "mm_token_type_ids": types}
        given = (part.model, part.input_ids, part.attention_mask, part.longest)
        return super()._get_per_token_logps_and_entropies(*given, compute_entropy=part.entropy, **seen)[:2]

    def _check(self, part: _Part, packed: Packed) -> None:
        """Read a part, which has something to compare, in both ways; a difference on any process ends it on all."""
        with torch.no_grad():
            shared, stock = self._together(part, packed)[0], self._apart(part)[0]
        changed, counts = (
            gather_object([(shared - stock).abs().sum().item()]),
            gather_object([int(packed.scored.sum())]),
        )
        difference = sum(changed) / max(1, sum(counts))
        cast = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.accelerator.mixed_precision)
        tolerated = _TOLERATED[cast or self._whole(part.model).dtype]
        self._checked, self._sharing = sum(counts) > 0, difference <= tolerated  # nothing is when it is not a number
        if not self._sharing:
            logger.warning(
                "each completion is read with a prompt of its own, which takes longer: sharing them changed "
                "log-probabilities by %.2g on average, and %.2g is tolerated",
                difference,
                tolerated,
            )

    def _whole(self, model: torch.nn.Module) -> PreTrainedModel:
        """The model itself, out of its wrappers and adapters."""
        inner = self.accelerator.unwrap_model(model)
        return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


def _why_not(model: PreTrainedModel) -> str | None:
    """What of the model keeps its prompts from being shared."""
    if model.config.model_type not in _KNOWN:
        return f"prompts of {', '.join(_KNOWN)} can be shared, and the model is of {model.config.model_type}"
    if model.config._attn_implementation != "sdpa":
        return f"attention by {model.config._attn_implementation} takes no mask of its own; load the model with sdpa"
    return None


def _regrouped(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a step, as many and as large, with each row's completions next to each other."""
    whole = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    order = torch.argsort(whole["row"], stable=True)
    return split_tensor_dict({name: _taken(value, order) for name, value in whole.items()}, len(parts))


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], torch.Tensor):
        return torch.cat(list(values)) if values[0].ndim else values[0]
    return values[0] if values[0] is None else [one for value in values for one in value]


def _taken(value: Any, order: torch.Tensor) -> Any:
    if isinstance(value, torch.Tensor):
        return value[order.to(value.device)] if value.ndim else value
    return value if value is None else [value[i] for i in order.tolist()]
