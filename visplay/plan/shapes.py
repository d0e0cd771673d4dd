"""The size of a model, read from its configuration or from the table below; no weights and no torch are needed.

Covers the family of Qwen2.5-VL, text and vision. The table holds the published configurations
(https://huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct and -7B-Instruct, config.json); how many parameters a shape has
follows from transformers' modeling_qwen2_5_vl.py, and a test counts them there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VISION = {
    "model_type": "qwen2_5_vl_vision",
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "in_channels": 3,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "tokens_per_second": 2,
}
_TEXT = {
    "model_type": "qwen2_5_vl_text",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 128_000,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}
KNOWN: dict[str, dict[str, Any]] = {
    "Qwen2.5-VL-3B": {
        "model_type": "qwen2_5_vl",
        "tie_word_embeddings": True,
        "text_config": _TEXT
        | {
            "num_hidden_layers": 36,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "vocab_size": 151_936,
        },
        "vision_config": _VISION | {"out_hidden_size": 2048},
    },
    "Qwen2.5-VL-7B": {
        "model_type": "qwen2_5_vl",
        "tie_word_embeddings": False,
        "text_config": _TEXT
        | {
            "num_hidden_layers": 28,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152_064,
        },
        "vision_config": _VISION | {"out_hidden_size": 3584},
    },
}


@dataclass(frozen=True)
class Text:
    """The language model. `tied`: one matrix both embeds tokens and scores them."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool

    @property
    def kv_width(self) -> int:
        """Values of a key, or of a value, in one layer."""
        return self.hidden // self.heads * self.kv_heads

    @property
    def layer_matrices(self) -> int:
        """Parameters of one layer that are multiplied with every token: attention and gated feed-forward."""
        return 2 * self.hidden**2 + 2 * self.hidden * self.kv_width + 3 * self.hidden * self.intermediate

    @property
    def head_matrix(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them: matrices, the biases of query, key and value, two norms a layer and one at the end."""
        layer = self.layer_matrices + self.hidden + 2 * self.kv_width + 2 * self.hidden
        return self.layers * layer + self.hidden + self.head_matrix * (1 if self.tied else 2)


@dataclass(frozen=True)
class Vision:
    """The vision tower. A visual token is merged from `merged` patches; `window` patches see each other in most layers.

    `patch_values` are the numbers of a patch as the processor hands it over, `full_layers` the layers in which every
    patch of an image sees every other, `width_out` the width of the language model.
    """

    layers: int
    hidden: int
    intermediate: int
    patch_values: int
    merged: int
    window: int
    full_layers: int
    width_out: int

    @property
    def layer_matrices(self) -> int:
        return 4 * self.hidden**2 + 3 * self.hidden * self.intermediate

    @property
    def merger_matrices(self) -> int:
        wide = self.merged * self.hidden
        return wide**2 + wide * self.width_out

    @property
    def parameters(self) -> int:
        """All of them: every matrix of a layer has a bias, the patches' own has none."""
        biases = 3 * self.hidden + self.hidden + 2 * self.intermediate + self.hidden
        layer = self.layer_matrices + biases + 2 * self.hidden
        merger = self.hidden + self.merger_matrices + self.merged * self.hidden + self.width_out
        return self.patch_values * self.hidden + self.layers * layer + merger


@dataclass(frozen=True)
class Shape:
    """What the costs of a model depend on."""

    name: str
    text: Text
    vision: Vision

    @property
    def parameters(self) -> int:
        return self.text.parameters + self.vision.parameters


def shape_of(model: str) -> Shape | str:
    """The shape of a model folder or hub id, or one line on why it is not known.

    The configuration in the folder, or in the hub's local cache, comes before the table of known shapes. Nothing is
    fetched.
    """
    path = _config(model)
    if path is not None:
        try:
            return read_shape(Path(model).name, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{path} is no configuration of a Qwen2.5-VL model ({type(error).__name__}: {error})"
    for name, config in KNOWN.items():
        if name.lower() in model.lower():
            return read_shape(name, config)
    return f"no config.json of {model}, as a folder or in the hub's cache, and it is none of {', '.join(KNOWN)}"


def read_shape(name: str, config: Mapping[str, Any]) -> Shape:
    """The shape in a config.json, with its text settings under `text_config` or, as older ones have it, on top.

    Raises ValueError for another family, KeyError for a missing setting.
    """
    if config.get("model_type") != "qwen2_5_vl":
        raise ValueError(f"model_type is {config.get('model_type')}, and costs are known for qwen2_5_vl only")
    text, vision = config.get("text_config") or config, config["vision_config"]
    tied = bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)))
    return Shape(name, read_text(text, tied), _vision(vision))


def read_text(config: Mapping[str, Any], tied: bool) -> Text:
    """The language model of a configuration's text settings. Raises KeyError for a missing one."""
    return Text(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        vocabulary=config["vocab_size"],
        tied=tied,
    )


def _vision(config: Mapping[str, Any]) -> Vision:
    patch = config.get("patch_size", 14)
    channels = config.get("in_channels", config.get("in_chans", 3))
    return Vision(
        layers=config["depth"],
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        patch_values=channels * config.get("temporal_patch_size", 2) * patch**2,
        merged=config.get("spatial_merge_size", 2) ** 2,
        window=(config.get("window_size", 112) // patch) ** 2,
        full_layers=sum(1 for index in config["fullatt_block_indexes"] if index < config["depth"]),
        width_out=config["out_hidden_size"],
    )


def _config(model: str) -> Path | None:
    folder = Path(model)
    if folder.is_dir():
        return folder / "config.json"
    from huggingface_hub import try_to_load_from_cache  # late: half a second that most plans do without
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:  # not the form of a hub id
        return None
    return Path(found) if isinstance(found, str) else None
