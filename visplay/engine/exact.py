"""Whole weights of a model that DeepSpeed trains, as exact as its optimizer has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from accelerate import PartialState
from transformers import TrainingArguments
from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config


def exact_weights(model: torch.nn.Module, partitioned: bool, with_frozen: bool) -> dict[str, torch.Tensor]:
    """Name -> tensor on the CPU, in float32 where it is trained: on GPUs the model itself holds it in bfloat16.

    Rounded to that, most steps of a small learning rate would be lost with each stage. All processes of the group make
    the call and give their parts; only process 0 gets tensors. `partitioned`: ZeRO-3, whose parts of frozen tensors
    are brought together too, and given as they are held.
    """
    import deepspeed  # an extra, and slow to import

    first, found = PartialState().is_main_process, {}
    for name, tensor in model.named_parameters():
        if not (tensor.requires_grad or with_frozen):
            continue
        with deepspeed.zero.GatheredParameters([tensor]) if partitioned and not tensor.requires_grad else nullcontext():
            whole = deepspeed.utils.safe_get_full_fp32_param(tensor) if tensor.requires_grad else tensor.data
            if first:
                found[name] = whole.detach().to("cpu", copy=True)
    return found


@contextmanager
def whole_models(args: TrainingArguments) -> Iterator[None]:
    """Models are loaded whole meanwhile, not partitioned as the one in training is."""
    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if args.deepspeed:
            set_hf_deepspeed_config(args.hf_deepspeed_config)
