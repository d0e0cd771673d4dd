"""A second look at an image of the pool: the same content in other pixels, so that what is true of one is of both.

Left stays left and nothing is cut off. Deterministic; the size stays, so the model reads as many tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from visplay.images import PoolImage

_MARGIN = (
    1 / 28
)  # of a side: what is padded moves everything by at most an eighth of a visual token's side in 84 pixels
_SHRUNK = 3 / 4  # of a side


@dataclass(frozen=True)
class SecondView(PoolImage):
    """An image of the pool seen another way; `view` is "padded" or "shrunk"."""

    view: str

    def open(self) -> Image.Image:
        """The changed pixels."""
        return changed(super().open(), self.view)


def changed(image: Image.Image, view: str) -> Image.Image:
    """`padded`: its edges drawn out on all sides, then fitted into its size; `shrunk`: made smaller and large again.

    Raises ValueError for another view.
    """
    match view:
        case "padded":
            margins = [(round(side * _MARGIN),) * 2 for side in (image.height, image.width)]
            wider = Image.fromarray(np.pad(np.asarray(image), [*margins, (0, 0)], mode="edge"))
        case "shrunk":
            wider = image.resize(
                (round(image.width * _SHRUNK), round(image.height * _SHRUNK)), Image.Resampling.BICUBIC
            )
        case _:
            raise ValueError(f"view {view!r} is unknown; use padded or shrunk")
    return wider.resize(image.size, Image.Resampling.BICUBIC)
