"""Write a random model that has the size of a real one and the tokenizer of the shipped base.

For rehearsing memory and speed; it knows nothing. Each file of weights is drawn and written before the next, so that
memory holds one of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from visplay.engine.models import ModelError, check
from visplay.plan.shapes import KNOWN, Shape, read_shape

BASE = Path(__file__).parents[2] / "data" / "base"
_NOT_COPIED = ("config.json", "model.safetensors", "training.json")
# Of the tokenizer: they stand in the configuration, not in the weights.
_IDS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
_TEXT_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
_SPREAD = 0.02  # standard deviation, as the real configurations start from

Tensors = dict[str, torch.Tensor]


def make(
    name: str, folder: Path, layers: int | None = None, seed: int = 0, shard_gb: float = 2.0, base: Path = BASE
) -> Shape:
    """The model of a known shape in a new folder, in bfloat16, as `from_pretrained` reads it.

    `layers` keeps so many layers of text and of vision, of which the last sees whole images. The vocabulary stays as
    large as the real one; ids that the tokenizer of `base` does not know are decoded as nothing. Raises ModelError for
    an unknown shape or a folder that is not empty.
    """
    if name not in KNOWN:
        raise ModelError(f"{name} is no known shape; use {' or '.join(KNOWN)}")
    if folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder} is not empty; name a new folder")
    config = _config(KNOWN[name], json.loads((base / "config.json").read_text(encoding="utf-8")), layers)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for file in base.iterdir():
        if file.name not in _NOT_COPIED:
            shutil.copy(file, folder)
    with torch.device("meta"):
        empty = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    _write(_stored(empty), folder, int(shard_gb * 1e9), seed)
    check(folder)
    return read_shape(name, config)


def _config(real: dict[str, Any], base: dict[str, Any], layers: int | None) -> dict[str, Any]:
    text = {**real["text_config"], **{key: base["text_config"][key] for key in _TEXT_IDS}}
    vision = dict(real["vision_config"])
    if layers is not None:
        if not 1 <= layers <= min(text["num_hidden_layers"], vision["depth"]):
            raise ModelError(f"layers: {layers} is not 1 to {min(text['num_hidden_layers'], vision['depth'])}")
        text["num_hidden_layers"] = vision["depth"] = layers
        vision["fullatt_block_indexes"] = [layers - 1]
    return {
        **real,
        **{key: base[key] for key in _IDS},
        "architectures": base["architectures"],
        "dtype": "bfloat16",
        "text_config": text,
        "vision_config": vision,
    }


def _stored(empty: PreTrainedModel) -> Tensors:
    """Tensors without values, by the names that files have; a tied one once."""
    tied = set(empty.all_tied_weights_keys)
    own = {name: tensor for name, tensor in empty.state_dict().items() if name not in tied}
    return revert_weight_conversion(empty, own)


def _write(stored: Tensors, folder: Path, limit: int, seed: int) -> None:
    """Files of at most `limit` bytes, unless one tensor is larger, and the index of what is where."""
    shards = list(_cut(stored, limit))
    where: dict[str, str] = {}
    generator = torch.Generator().manual_seed(seed)
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file({name: _drawn(name, stored[name], generator) for name in names}, folder / file, {"format": "pt"})
        where |= dict.fromkeys(names, file)
    size = sum(2 * tensor.numel() for tensor in stored.values())
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _cut(stored: Tensors, limit: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, tensor in stored.items():
        if names and size + 2 * tensor.numel() > limit:
            yield names
            names, size = [], 0
        names.append(name)
        size += 2 * tensor.numel()
    yield names


def _drawn(name: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Ones for the weights of norms, zeros for biases, noise for matrices."""
    if name.endswith(".bias"):
        return torch.zeros(tensor.shape, dtype=torch.bfloat16)
    if tensor.dim() == 1:
        return torch.ones(tensor.shape, dtype=torch.bfloat16)
    return torch.empty(tensor.shape, dtype=torch.bfloat16).normal_(0, _SPREAD, generator=generator)
