"""What a model sees of pictures: each is opened, and cut into patches, once for as long as there is room."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TypeAlias

import psutil
import torch
from PIL import Image
from transformers import BaseImageProcessor

from visplay.images import PoolImage
from visplay.runs.parts import LOAD, part

# An image, or one of the pool that is opened when its turn comes and then let go.
Picture: TypeAlias = Image.Image | PoolImage

_GIB = 2**30  # of patches: some 50 pictures of 1,024 visual tokens, thousands of small ones

Seen: TypeAlias = tuple[torch.Tensor, torch.Tensor]  # patches (P, D); grid (1, 3): time, height and width in patches


def opened(picture: Picture) -> Image.Image:
    """The pixels."""
    return picture.open() if isinstance(picture, PoolImage) else picture


def room_of(memory: int, processes: int) -> int:
    """Bytes of patches that each of the `processes` of a machine may keep: together an eighth of its memory.

    No more than 16 GiB, as a step of 512 pictures of 1,024 visual tokens takes 9.2, and each at least 1 GiB. A step
    meets its pictures in turn, again and again: of those that do not all fit none would be there when it is met.
    """
    return max(_GIB, min(memory // 8, 16 * _GIB) // processes)


class Pixels:
    """Patches of pictures by `processor`; those met last are kept, in `room` bytes or what this machine has for them.
    A picture is known by identity, not by content.
    """

    def __init__(self, processor: BaseImageProcessor, room: int | None = None) -> None:
        self._processor = processor
        self._room = self._left = _own_room() if room is None else room
        self._lock = Lock()  # threads share it
        self._kept: OrderedDict[int, tuple[Picture, Seen]] = OrderedDict()

    def of(self, pictures: Sequence[Picture]) -> dict[str, torch.Tensor]:
        """Model inputs: pixel_values (patches of all pictures, D) and image_grid_thw (pictures, 3); empty without."""
        if not pictures:
            return {}
        patches, grids = zip(*map(self._seen, pictures), strict=True)
        return {"pixel_values": torch.cat(patches), "image_grid_thw": torch.cat(grids)}

    def tokens(self, pictures: Sequence[Picture]) -> list[int]:
        """How many visual tokens each of them is; none is opened."""
        sizes = (picture.size for picture in pictures)
        patches = [self._processor.get_number_of_image_patches(height, width) for width, height in sizes]
        return [count // self._processor.merge_size**2 for count in patches]

    def _seen(self, picture: Picture) -> Seen:
        key = id(picture)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        with part(LOAD):
            made = self._processor(images=[opened(picture)], return_tensors="pt")
        seen = made["pixel_values"], made["image_grid_thw"]
        with self._lock:
            self._left -= 0 if key in self._kept else seen[0].nbytes
            self._kept[key] = picture, seen  # the picture too: its identity must not pass on to another
            while self._left < 0:
                self._left += self._kept.popitem(last=False)[1][1][0].nbytes
        return seen

    def forget(self) -> None:
        """Keep nothing of what was met so far."""
        with self._lock:
            self._kept.clear()
            self._left = self._room


def _own_room() -> int:
    processes = os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("LOCAL_SIZE", "1"))  # torchrun's, DeepSpeed's
    return room_of(psutil.virtual_memory().total, int(processes))
