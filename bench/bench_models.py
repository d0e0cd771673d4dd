"""Models to bench with: random ones of a middling size, or of the shape of a real one, with the shipped tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from visplay.engine import shapes
from visplay.plan.shapes import KNOWN

# Name -> text (width, hidden width, layers, heads, key heads) and vision (width, hidden width, layers, heads).
SIZES = {
    "small": ((256, 768, 6, 4, 2), (192, 512, 4, 4)),  # 7 million parameters
    "mid": ((512, 1536, 10, 8, 4), (384, 1024, 8, 8)),  # 46 million
}


def make(name: str, folder: Path) -> Path:
    """A folder with the model, made if it is not there. Raises ValueError for an unknown name."""
    if name not in SIZES and name not in KNOWN:
        raise ValueError(f"{name} is no known size; use {', '.join([*SIZES, *KNOWN])}")
    made = folder / name
    if made.exists():
        return made
    if name in KNOWN:
        shapes.make(name, made)
        return made
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(_config(name)).save_pretrained(made)
    AutoProcessor.from_pretrained(shapes.BASE).save_pretrained(made)
    shutil.copy(shapes.BASE / "generation_config.json", made)
    return made


def _config(name: str) -> AutoConfig:
    text, vision = SIZES[name]
    config = AutoConfig.from_pretrained(shapes.BASE)
    words, sight = config.text_config, config.vision_config
    words.hidden_size, words.intermediate_size, words.num_hidden_layers = text[:3]
    words.num_attention_heads, words.num_key_value_heads = text[3:]
    words.layer_types = ["full_attention"] * text[2]
    half = text[0] // text[3] // 2
    words.rope_parameters = {**words.rope_parameters, "mrope_section": [half // 4, half * 3 // 8, half * 3 // 8]}
    sight.hidden_size, sight.intermediate_size, sight.depth, sight.num_heads = vision
    sight.out_hidden_size, sight.fullatt_block_indexes = text[0], [vision[2] - 1]
    return config
