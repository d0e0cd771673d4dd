"""The pool: which images can be used, which cannot and why, and how one of them is opened.

Indexing decodes every image once, a few at a time, because only a full decode finds a truncated file; what stays in
memory is one small record each. Pixels are read again, lazily, when an image is opened. Everything is judged by
content; names and extensions decide nothing.

This module does not look for images (`visplay.sources` does), does not render worlds, and resizes by the rule of
Qwen2.5-VL's own processor.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from visplay.recipe import PoolSettings
from visplay.records import ImageRecord
from visplay.sources import Encoded, PoolError, Quarantined, Shard, UnusableError, forget, open_encoded, shards

TOKEN_SIDE = 28  # pixels: one visual token is 28 x 28, two by two patches of 14
MAX_RATIO = 200  # long side over short side; Qwen's processor raises beyond it
MAX_PIXELS = 64 * 2**20  # 192 MiB as RGB, beyond most cameras: what claims more is an attack or a gigapixel scan
# What photographs and figures come in. Pillow knows more, but hands EPS to an external Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")

_WORKERS = min(4, os.cpu_count() or 1)  # each may hold an image of MAX_PIXELS twice
_CHUNK = 64


@dataclass(frozen=True)
class Pool:
    """What indexing found, both in the order of the source (folders: sorted paths)."""

    records: tuple[ImageRecord, ...]
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True)
class PoolImage:
    """An image of the pool that is opened only when its pixels are needed."""

    record: ImageRecord
    settings: PoolSettings

    @property
    def id(self) -> str:
        """The id of the record."""
        return self.record.id

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as the model will see it."""
        return fitted_size(self.record.width, self.record.height, self.settings)

    def open(self) -> Image.Image:
        """The resized pixels; see `open_image`."""
        return open_image(self.record, self.settings)


def index_pool(settings: PoolSettings, progress: Callable[[int, int], None] | None = None) -> Pool:
    """Find, decode and name every image of `settings.source`; `progress` is called with (done, total).

    Raises PoolError when the source does not exist or is malformed as a whole, when no image is usable, or when more
    than `max_bad_share` of the entries are bad. Duplicates are quarantined but are not bad.
    """
    forget()  # the files may have changed since this process last looked
    _size_rule()  # imported here once, and not by several threads at the same time
    found_shards, bad = shards(settings)
    records: dict[str, ImageRecord] = {}
    duplicates: list[Quarantined] = []
    for found in _inspect_all(found_shards, settings, progress):
        if isinstance(found, Quarantined):
            bad.append(found)
        elif found.id in records:
            duplicates.append(Quarantined(found.source, found.row, f"duplicate: of {_name(records[found.id])}"))
        else:
            records[found.id] = found
    _refuse_bad_pool(settings, len(records), bad, duplicates)
    return Pool(tuple(records.values()), (*bad, *duplicates))


def count_reasons(quarantined: Iterable[Quarantined]) -> dict[str, int]:
    """How many entries each kind of reason took out, most frequent first."""
    return dict(Counter(entry.reason.partition(":")[0] for entry in quarantined).most_common())


def open_image(record: ImageRecord, settings: PoolSettings) -> Image.Image:
    """Read one image as upright RGB, resized once to `fitted_size`, so that the model's processor leaves it as it is.

    Raises PoolError when what lies at the record's place is no longer the image that was indexed.
    """
    with open_encoded(record.source, record.row, settings) as file:
        if _digest(file) != record.id:
            raise PoolError(f"{_name(record)} has changed since the pool was indexed; start a new run on the new pool")
        image = decode(file)
    return image.resize(fitted_size(*image.size, settings), Image.Resampling.BICUBIC)


def fitted_size(width: int, height: int, settings: PoolSettings) -> tuple[int, int]:
    """Width and height as multiples of 28 with min_tokens to max_tokens tokens, by the processor's rule.

    One pass of that rule is not always stable (thin strips end above the limit, or beyond the ratio), so it is
    repeated until it is. Raises ValueError where it never is: near a ratio of 200, or when max_tokens < 4 x min_tokens.
    """
    low, high = settings.min_tokens * TOKEN_SIDE**2, settings.max_tokens * TOKEN_SIDE**2
    size = (height, width)
    for _ in range(16):
        if max(size) > MAX_RATIO * min(size):
            break
        before, size = size, _size_rule()(*size, factor=TOKEN_SIDE, min_pixels=low, max_pixels=high)
        if size == before:
            return size[1], size[0]
    limits = f"{settings.min_tokens} to {settings.max_tokens} tokens"
    raise UnusableError(f"unfit: the processor's rule finds no size of {limits} for {width} x {height}")


def draw(records: Sequence[ImageRecord], seed: int, start: int, count: int) -> list[ImageRecord]:
    """The images at positions start .. start + count - 1 of an endless sequence; `count` may exceed the pool.

    Position p belongs to epoch p // N; each epoch is a permutation of all N records by (seed, epoch). So nothing is
    drawn twice before everything was drawn once, as long as each call starts where the last one ended.
    """
    if not records:
        raise PoolError("cannot draw images from an empty pool")
    size, stop, drawn = len(records), start + count, []
    for epoch in range(start // size, -(-stop // size)):
        order = list(range(size))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        first = epoch * size
        drawn += [records[i] for i in order[max(start - first, 0) : stop - first]]
    return drawn


def fingerprint(records: Iterable[ImageRecord]) -> str:
    """A hash of the set of ids (hex): the same images in another order or place have the same fingerprint."""
    return hashlib.sha256("\n".join(sorted(record.id for record in records)).encode()).hexdigest()


@cache
def _size_rule() -> Callable[..., tuple[int, int]]:
    """(height, width, factor, min_pixels, max_pixels) -> (height, width). Imports torch, so not at the top."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    return smart_resize


def _inspect_all(
    found_shards: list[Shard], settings: PoolSettings, progress: Callable[[int, int], None] | None
) -> Iterator[ImageRecord | Quarantined]:
    """Every entry, in order; the chunks bound how many decoded or fetched entries wait for their turn."""
    places = ((s.source, row) for s in found_shards for row in (range(s.rows) if s.rows is not None else (None,)))
    total = sum(1 if shard.rows is None else shard.rows for shard in found_shards)
    done = 0
    with ThreadPoolExecutor(_WORKERS) as threads:
        while chunk := list(islice(places, _CHUNK)):
            yield from threads.map(lambda place: _inspect(place[0], place[1], settings), chunk)
            done += len(chunk)
            if progress:
                progress(done, total)


def _inspect(source: str, row: int | None, settings: PoolSettings) -> ImageRecord | Quarantined:
    try:
        with open_encoded(source, row, settings) as file:
            width, height = decode(file).size
            fitted_size(width, height, settings)
            return ImageRecord(_digest(file), source, row, width, height)
    except Exception as error:  # decoders raise nearly anything on hostile bytes; each one is listed with its reason
        return Quarantined(source, row, _reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, UnusableError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):  # its text holds a memory address, which differs between runs
        return f"not an image: none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: {error}"
    return f"broken: {type(error).__name__}: {error}"


def decode(file: Encoded) -> Image.Image:
    """The first frame as upright RGB. Size and shape are judged by the header, before any pixel is decoded."""
    file.seek(0)
    if not file.read(1):
        raise UnusableError("empty: 0 bytes")
    file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise UnusableError(f"too large: {width} x {height} is more than {MAX_PIXELS} pixels")
        if max(width, height) > MAX_RATIO * min(width, height):
            raise UnusableError(f"too thin: {width} x {height} is beyond a ratio of {MAX_RATIO}")
        ImageOps.exif_transpose(image, in_place=True)
        return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    """RGB from any mode: transparency over white, 16 bits scaled to 8 (Pillow's own conversion clips them)."""
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() >= 2**16:
        raise UnusableError(f"unsupported pixels: {values.dtype} values beyond 16 bits have no agreed white")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _digest(file: Encoded) -> str:
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()


def _name(record: ImageRecord) -> str:
    return record.source if record.row is None else f"{record.source} row {record.row}"


def _refuse_bad_pool(
    settings: PoolSettings, usable: int, bad: list[Quarantined], duplicates: list[Quarantined]
) -> None:
    total = usable + len(bad) + len(duplicates)
    kinds = ", ".join(f"{kind} {count}" for kind, count in count_reasons(bad).items())
    offenders = "".join(f"\n  {e.source}{'' if e.row is None else f' row {e.row}'}: {e.reason}" for e in bad[:5])
    if len(bad) > settings.max_bad_share * total:
        raise PoolError(
            f"{len(bad)} of the {total} entries in {settings.source!r} cannot be used ({kinds}), more than "
            f"pool.max_bad_share = {settings.max_bad_share}; remove them or raise the share. The first are:{offenders}"
        )
    if not usable:
        raise PoolError(f"{settings.source!r} holds no usable image ({total} entries); point pool.source at images")
