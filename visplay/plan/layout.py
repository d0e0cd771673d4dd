"""How the training of a role lies on the machine: processes, ZeRO, what is held in which precision, what is trained.

With adapters the base is held once, in bfloat16 on a GPU: frozen role and reference are it, with other adapters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from visplay.plan.adapters import adapter_parameters
from visplay.plan.shapes import Shape
from visplay.recipe import Recipe

Precision: TypeAlias = Literal["float32", "autocast", "bfloat16"]

# Elements; DeepSpeed's own defaults (deepspeed/runtime/zero/config.py).
BUCKET = 500_000_000
LIVE = 1_000_000_000
SUB_GROUP = 1_000_000_000


@dataclass(frozen=True)
class Layout:
    """`zero` is DeepSpeed's stage, None without DeepSpeed.

    `precision` is of weights and of products: `autocast` holds float32 weights and casts them to bfloat16 at every
    use, as training on a GPU without DeepSpeed does. `recompute` is gradient checkpointing. `trained` counts the
    parameters that get gradients, `adapters` those of them that are not the model's own.
    """

    processes: int = 1
    precision: Precision = "bfloat16"
    zero: int | None = None
    offload_optimizer: bool = False
    offload_weights: bool = False
    bucket: int = BUCKET
    recompute: bool = True
    reference: bool = True
    frozen_here: bool = True
    trained: int = 0
    trained_vision: bool = True
    adapters: int = 0
    shared_base: bool = False

    @property
    def weight_bytes(self) -> int:
        """Of one weight of the trained model as it is held."""
        return 2 if self.precision == "bfloat16" else 4

    @property
    def value_bytes(self) -> int:
        """Of one value that a matrix is multiplied with."""
        return 4 if self.precision == "float32" else 2

    @property
    def sum_bytes(self) -> int:
        """Of one value that layers add to: under autocast, as in float32, these are not cast."""
        return self.weight_bytes


def layout_of(recipe: Recipe, shape: Shape, processes: int = 1, cpu: bool = False) -> Layout:
    """The layout that a recipe asks for on `processes` GPUs, or CPUs."""
    grpo, zero = recipe.grpo, deepspeed_settings(recipe.grpo.get("deepspeed"))
    adapters = _adapters(recipe, shape)
    whole = shape.parameters - (shape.vision.parameters if recipe.freeze_vision else 0)
    half = bool(grpo.get("bf16", not cpu))
    return Layout(
        processes=processes,
        zero=zero.get("stage", 0) if zero is not None else None,
        offload_optimizer=_offloaded(zero, "offload_optimizer"),
        offload_weights=_offloaded(zero, "offload_param"),
        bucket=_bucket(zero),
        precision=_precision(half, cast_once=zero is not None or adapters > 0),
        recompute=bool(grpo.get("gradient_checkpointing", not cpu)),
        reference=bool(grpo.get("beta", 0)),
        frozen_here=recipe.sampling.engine == "transformers",
        trained=adapters or whole,
        trained_vision=not recipe.freeze_vision,
        adapters=adapters,
        shared_base=adapters > 0,
    )


def deepspeed_settings(named: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """`zero_optimization` of a DeepSpeed file or mapping, {} where it has none; None without DeepSpeed."""
    if named is None:
        return None
    whole = json.loads(Path(named).read_text(encoding="utf-8")) if isinstance(named, str) else named
    return whole.get("zero_optimization") or {}


def _adapters(recipe: Recipe, shape: Shape) -> int:
    if recipe.lora.rank is None:
        return 0
    return adapter_parameters(shape, recipe.lora.rank, recipe.lora.targets, with_vision=not recipe.freeze_vision)


def _precision(half: bool, cast_once: bool) -> Precision:
    if not half:
        return "float32"
    return "bfloat16" if cast_once else "autocast"


def _offloaded(zero: Mapping[str, Any] | None, key: str) -> bool:
    return ((zero or {}).get(key) or {}).get("device", "none") != "none"


def _bucket(zero: Mapping[str, Any] | None) -> int:
    size = (zero or {}).get("reduce_bucket_size", BUCKET)
    return int(size) if isinstance(size, (int, float)) else 0  # "auto" is a square of the hidden size
