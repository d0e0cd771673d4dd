"""How many parameters the adapters of LoRA have, over a model of a given shape."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from visplay.plan.shapes import Shape


class Linear(NamedTuple):
    """A linear layer by the last part of its name, and how often it comes."""

    name: str
    width_in: int
    width_out: int
    layers: int
    in_vision: bool


def linear_layers(shape: Shape) -> list[Linear]:
    """All but the head."""
    text, vision = shape.text, shape.vision
    wide = vision.merged * vision.hidden
    feed_forward = ("gate_proj", "up_proj")
    return [
        *(Linear(name, text.hidden, text.hidden, text.layers, False) for name in ("q_proj", "o_proj")),
        *(Linear(name, text.hidden, text.kv_width, text.layers, False) for name in ("k_proj", "v_proj")),
        *(Linear(name, text.hidden, text.intermediate, text.layers, False) for name in feed_forward),
        Linear("down_proj", text.intermediate, text.hidden, text.layers, False),
        Linear("qkv", vision.hidden, 3 * vision.hidden, vision.layers, True),
        Linear("proj", vision.hidden, vision.hidden, vision.layers, True),
        *(Linear(name, vision.hidden, vision.intermediate, vision.layers, True) for name in feed_forward),
        Linear("down_proj", vision.intermediate, vision.hidden, vision.layers, True),
        Linear("0", wide, wide, 1, True),
        Linear("2", wide, vision.width_out, 1, True),
    ]


def adapter_parameters(shape: Shape, rank: int, targets: Collection[str] = (), with_vision: bool = True) -> int:
    """Of one adapter: beside each targeted layer a matrix into `rank` values and one out (arXiv 2106.09685).

    No `targets` are all linear layers but the head.
    """
    return sum(
        layer.layers * rank * (layer.width_in + layer.width_out)
        for layer in linear_layers(shape)
        if (with_vision or not layer.in_vision) and (not targets or layer.name in targets)
    )
