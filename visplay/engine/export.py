"""Merge an adapter into its base: a whole model in Hugging Face format, for what knows nothing of adapters."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoProcessor

from visplay.engine import lora, models
from visplay.engine.models import ModelError
from visplay.runs.results import move_whole


def export(checkpoint: str | Path, folder: Path, dtype: str = "float32") -> None:
    """Write the base with the adapter added to its weights as `folder`, whole or not at all.

    Added in float32, in the host's memory. Stored in `dtype`: float32, in which it answers as the adapter does over a
    base in float32, or bfloat16, half as large and rounded once. Raises ModelError for what is no adapter, and where
    `folder` is there already.
    """
    if not lora.is_adapter(checkpoint):
        raise ModelError(f"{checkpoint} is no folder with an adapter; a whole model needs no export")
    if folder.exists():
        raise ModelError(f"{folder} is there already; name a new folder")
    base = lora.base_of(checkpoint)
    model = lora.merge(models.load_model(base, "cpu", torch.float32), checkpoint).to(getattr(torch, dtype))
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    models.save(model, AutoProcessor.from_pretrained(checkpoint), unfinished, like=base)
    move_whole(unfinished, folder)


@contextmanager
def whole(checkpoint: str | Path, folder: Path) -> Iterator[str | Path]:
    """The checkpoint, where it is an adapter merged into folder/merged for as long, in the precision of sampling."""
    if not lora.is_adapter(checkpoint):
        yield checkpoint
        return
    merged = folder / "merged"
    shutil.rmtree(merged, ignore_errors=True)  # of a run that was killed
    export(checkpoint, merged, "float32" if models.device().type == "cpu" else "bfloat16")
    try:
        yield merged
    finally:
        shutil.rmtree(merged)
