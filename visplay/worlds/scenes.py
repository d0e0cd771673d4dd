"""The world of scenes: real handwritten digits among drawn shapes on a 3 x 3 grid, rendered to 84 x 84 pixels.

A scene is a layout (what stands where) plus nuisance (jitter, background, texture, which handwriting). Everything is
a pure function of (split, index). A split has a home, one of four, and homes share nothing: a layout belongs to the
home that its own hash names, and the 1,797 handwritten digits that scikit-learn ships (UCI Optical Recognition of
Handwritten Digits) are dealt out in turn. So what is measured on and what is trained on share neither a layout nor a
digit. Splits of one home differ by their seeds, as two draws from some 10^10 layouts.

This module draws pictures and knows what is in them. It does not know questions (grammar.py) or labels (audit.py).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

Split = Literal["train", "pool", "validation", "heldout", "audit", "anchor"]
SPLITS: tuple[Split, ...] = ("train", "pool", "validation", "heldout", "audit", "anchor")
HOMES: dict[Split, int] = {
    "train": 0,
    "pool": 1,
    "anchor": 1,  # trained on, as the pool is
    "validation": 2,
    "audit": 2,  # settings and labels may be chosen by it, so held-out pictures stay apart
    "heldout": 3,
}
THINGS: dict[Split, tuple[int, int]] = {  # the fewest and the most objects of a picture
    "train": (2, 6),  # the base is shown these, and asked about the emptier ones only: see visplay.pretrain.Schedule
    "pool": (4, 6),  # fuller than any that the base was asked about
    "validation": (4, 6),
    "heldout": (4, 6),
    "audit": (4, 6),
    "anchor": (4, 6),
}
PLACES = ("northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast")
COLORS = {
    "red": (225, 60, 55),
    "green": (60, 185, 75),
    "blue": (75, 120, 245),
    "yellow": (240, 215, 60),
    "white": (240, 240, 240),
}
SHAPES = ("circle", "square", "triangle", "cross")
DIGITS = tuple("0123456789")
SIZES = {"small": 15, "large": 23}  # pixels across
CELL = 28  # pixels; one visual token of Qwen2.5-VL
SIDE = 3 * CELL

_DIGIT_SHARE = 0.5
_OVERSAMPLING = 4


@dataclass(frozen=True)
class Thing:
    """One object: `row` and `column` in 0..2, `kind` a shape or a digit "0".."9"."""

    row: int
    column: int
    size: str
    color: str
    kind: str

    @property
    def place(self) -> str:
        """The name of its cell, one of PLACES."""
        return PLACES[3 * self.row + self.column]


@dataclass(frozen=True)
class Scene:
    """A layout in reading order with the identity that fixes its pixels."""

    split: Split
    index: int
    things: tuple[Thing, ...]


@functools.lru_cache(maxsize=2**16)  # a loop comes back to them when it measures
def scene(split: Split, index: int) -> Scene:
    """Scene number `index` of a split: as many objects as THINGS allows, in distinct cells."""
    rng = np.random.default_rng([SPLITS.index(split), index])
    while True:
        things = _layout(rng, *THINGS[split])
        if _home(things) == HOMES[split]:
            return Scene(split, index, things)


def render(scene: Scene) -> Image.Image:
    """The RGB picture of a scene, 84 x 84."""
    rng = np.random.default_rng([1_000 + SPLITS.index(scene.split), scene.index])
    canvas = _background(rng)
    for thing in scene.things:
        stamp = _stamp(thing, scene.split, rng)
        top, left = (_offset(at, stamp.shape[0], rng) for at in (thing.row, thing.column))
        area = canvas[top : top + stamp.shape[0], left : left + stamp.shape[1]]
        brightness = rng.uniform(0.8, 1.0)
        area += stamp[..., None] * (brightness * np.asarray(COLORS[thing.color], dtype=np.float64) - area)
    return Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8))


def write_image(folder: Path, split: Split, index: int) -> None:
    """Render a scene as a PNG file: pixels and a running number, no answers."""
    render(scene(split, index)).save(folder / f"{index:06d}.png")


def scene_of(path: str, split: Split) -> Scene:
    """The scene behind a file that `write_image` made. For measuring only."""
    return scene(split, int(Path(path).stem))


def _layout(rng: np.random.Generator, fewest: int, most: int) -> tuple[Thing, ...]:
    cells = sorted(rng.choice(9, size=rng.integers(fewest, most + 1), replace=False).tolist())
    return tuple(
        Thing(
            row=cell // 3,
            column=cell % 3,
            size=str(rng.choice(list(SIZES))),
            color=str(rng.choice(list(COLORS))),
            kind=str(rng.choice(DIGITS) if rng.random() < _DIGIT_SHARE else rng.choice(SHAPES)),
        )
        for cell in cells
    )


def _home(things: tuple[Thing, ...]) -> int:
    return hashlib.sha256(repr(things).encode()).digest()[0] % 4


def _background(rng: np.random.Generator) -> np.ndarray:
    base = rng.uniform(20, 60, size=3)
    texture = Image.fromarray(rng.uniform(0, 255, size=(7, 7)).astype(np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    return base + (np.asarray(texture, dtype=np.float64)[..., None] / 255 - 0.5) * 30


def _offset(cell: int, side: int, rng: np.random.Generator) -> int:
    slack = CELL - side
    return cell * CELL + int(rng.integers(slack // 4, slack - slack // 4 + 1))


def _stamp(thing: Thing, split: Split, rng: np.random.Generator) -> np.ndarray:
    """Opacity in [0, 1] of one object, a square array."""
    side = SIZES[thing.size] + int(rng.integers(-1, 2))
    if thing.kind in DIGITS:
        return _handwriting(thing.kind, side, split, rng)
    return _shape(thing.kind, side)


def _handwriting(digit: str, side: int, split: Split, rng: np.random.Generator) -> np.ndarray:
    samples = _digits(split)[int(digit)]
    sample = samples[rng.integers(len(samples))]
    picture = Image.fromarray((sample * (255 / 16)).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float64) / 255


def _shape(kind: str, side: int) -> np.ndarray:
    big = side * _OVERSAMPLING
    picture = Image.new("L", (big, big))
    draw = ImageDraw.Draw(picture)
    if kind == "circle":
        draw.ellipse((0, 0, big - 1, big - 1), fill=255)
    elif kind == "square":
        draw.rectangle((big * 0.06, big * 0.06, big * 0.94, big * 0.94), fill=255)
    elif kind == "triangle":
        draw.polygon([(big / 2, 0), (big - 1, big - 1), (0, big - 1)], fill=255)
    else:
        arm = big / 3
        draw.rectangle((arm, 0, 2 * arm, big - 1), fill=255)
        draw.rectangle((0, arm, big - 1, 2 * arm), fill=255)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX), dtype=np.float64) / 255


@functools.cache
def _digits(split: Split) -> dict[int, np.ndarray]:
    """Handwriting of a split by digit, each (n, 8, 8) with values 0..16; sample i belongs to home i modulo 4."""
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    mine = np.arange(len(targets)) % 4 == HOMES[split]
    return {digit: images[mine & (targets == digit)].reshape(-1, 8, 8) for digit in range(10)}


def scenes(split: Split, start: int, stop: int) -> Iterator[Scene]:
    """Scenes start .. stop-1 of a split."""
    return (scene(split, index) for index in range(start, stop))
