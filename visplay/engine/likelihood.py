"""How likely a model finds completions: the log-probability of each of their tokens after a prompt with its image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin

from visplay.engine import models
from visplay.engine.loaded import load_frozen
from visplay.engine.prompts import Request, encode
from visplay.engine.sampling import Completion
from visplay.recipe import PoolSettings


def log_probs(
    checkpoint: str | Path, pool: PoolSettings, completed: Sequence[tuple[Request, Completion]], batch: int = 8
) -> list[torch.Tensor]:
    """For each request with its completion a float32 vector: a natural logarithm for each token, and for its end
    unless it was cut off. The text is tokenized anew, which seldom gives other tokens than those that were drawn.

    The model's own distribution, at temperature 1; `batch` completions are read together.
    """
    model = load_frozen(checkpoint)
    processor = models.load_processor(checkpoint, pool.min_tokens, pool.max_tokens)
    end = _end(model, processor)
    found: list[torch.Tensor] = []
    for first in range(0, len(completed), batch):
        asked, completions = zip(*completed[first : first + batch], strict=True)
        texts = processor.tokenizer([one.text for one in completions], add_special_tokens=False).input_ids
        ends = [[] if one.truncated else [end] for one in completions]
        written = [ids + after for ids, after in zip(texts, ends, strict=True)]
        width = max(1, *map(len, written))
        continued = _continued(processor, asked, written, width)
        inputs = {name: value.to(model.device) for name, value in continued.items()}
        with torch.inference_mode():
            logits = model(**inputs, logits_to_keep=width + 1).logits[:, :-1].float()
        chosen = logits.gather(-1, inputs["input_ids"][:, -width:, None])[..., 0]
        read = (chosen - logits.logsumexp(-1)).cpu()
        found += [row[: len(ids)] for row, ids in zip(read, written, strict=True)]
    return found


def divergence(here: Sequence[torch.Tensor], there: Sequence[torch.Tensor]) -> torch.Tensor:
    """An estimate of KL(here || there) in nats for each token, from its log-probability in both.

    r - 1 - log r with r = p_there / p_here, for tokens drawn from p_here: unbiased and never negative (Schulman,
    Approximating KL Divergence, 2020, estimator k3). GRPO is charged by the same.
    """
    ratio = torch.cat(list(there)) - torch.cat(list(here))
    return torch.expm1(ratio) - ratio


def _end(model: PreTrainedModel, processor: ProcessorMixin) -> int:
    """The token that ends a turn: of those that may, the tokenizer's own."""
    ends, usual = models.end_tokens(model, processor), processor.tokenizer.eos_token_id
    return usual if usual in ends else ends[0]


def _continued(
    processor: ProcessorMixin, asked: Sequence[Request], written: Sequence[Sequence[int]], width: int
) -> dict[str, torch.Tensor]:
    """The inputs of prompts, padded on the left, with what was written after them, padded on the right to `width`."""
    inputs, empty = encode(processor, asked), processor.tokenizer.pad_token_id
    after = torch.tensor([[*ids, *[empty] * (width - len(ids))] for ids in written])
    seen = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in written])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], after], dim=1)
    inputs["attention_mask"] = torch.cat([inputs["attention_mask"], seen], dim=1)
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(after)], dim=1)
    return inputs
