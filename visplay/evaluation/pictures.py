"""Items with their pictures, checked before a model is asked: what there is to predict. No model here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from visplay.evaluation.benchmark import Benchmark
from visplay.evaluation.data import DataError, encoded, picture, read_rows
from visplay.evaluation.items import Item
from visplay.evaluation.predictions import fingerprint, join
from visplay.images import FORMATS, fitted_size
from visplay.recipe import PoolSettings


@dataclass(frozen=True)
class Illustrated:
    """An item and its pictures as they lie in the data, opened when their turn comes.

    `sizes` are widths and heights as a model will see them, before EXIF rotation; `digests` are SHA-256 (hex) of the
    encoded pictures.
    """

    item: Item
    cells: tuple[Any, ...]
    sizes: tuple[tuple[int, int], ...]
    digests: tuple[str, ...]
    limits: PoolSettings

    @property
    def pixels(self) -> int:
        """Of all pictures together."""
        return sum(width * height for width, height in self.sizes)

    def pictures(self) -> list[Image.Image]:
        """The pixels, resized once so that the model's processor leaves them as they are."""
        return [self._opened(number, cell) for number, cell in enumerate(self.cells, 1)]

    def _opened(self, number: int, cell: Any) -> Image.Image:
        try:
            image = picture(cell)
            return image.resize(fitted_size(*image.size, self.limits), Image.Resampling.BICUBIC)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise _unusable(self.item, number, error) from error


def read_illustrated(benchmark: Benchmark, limits: PoolSettings, data: str = "", split: str = "") -> list[Illustrated]:
    """Every item of the benchmark, in the order of the data; `limits` are those of the visual tokens per picture.

    Raises DataError, naming the item, for a picture that is missing or cannot be decoded, and PredictionError for ids
    that stand twice.
    """
    rows = read_rows(benchmark, data, split, images=True)
    items = benchmark.items(rows)
    join(items, (), allow_missing=True)
    return [_illustrated(item, benchmark.images(row), limits) for item, row in zip(items, rows, strict=True)]


def questions_fingerprint(asked: Sequence[Illustrated]) -> str:
    """A hash of all prompts and pictures, whatever their order."""
    return fingerprint((one.item.id, one.item.prompt, one.digests) for one in asked)


def _illustrated(item: Item, cells: Sequence[Any], limits: PoolSettings) -> Illustrated:
    seen = [_seen(item, number, cell, limits) for number, cell in enumerate(cells, 1)]
    sizes, digests = tuple(size for size, _ in seen), tuple(digest for _, digest in seen)
    return Illustrated(item, tuple(cells), sizes, digests, limits)


def _seen(item: Item, number: int, cell: Any, limits: PoolSettings) -> tuple[tuple[int, int], str]:
    try:
        with encoded(cell) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            with Image.open(file, formats=FORMATS) as image:
                image.load()  # a sound header may stand before damaged pixels
                return fitted_size(*image.size, limits), digest
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unusable(item, number, error) from error


def _unusable(item: Item, number: int, error: Exception) -> DataError:
    return DataError(f"item {item.id}, picture {number} cannot be used: {error}")
