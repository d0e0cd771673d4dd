"""The second look: the same content in other pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visplay.images import index_pool
from visplay.recipe import PoolSettings
from visplay.views import SecondView, changed


def picture() -> Image.Image:
    """White, with a red square on the left and a blue frame of one pixel that must not be cut off."""
    image = Image.new("RGB", (84, 56), "white")
    image.paste("red", (10, 20, 30, 40))
    for box in ((0, 0, 84, 1), (0, 55, 84, 56), (0, 0, 1, 56), (83, 0, 84, 56)):
        image.paste("blue", box)
    return image


@pytest.mark.parametrize("view", ["padded", "shrunk"])
def test_a_view_has_other_pixels_of_the_same_size_and_left_stays_left(view: str) -> None:
    before = picture()
    after = changed(before, view)
    assert after.size == before.size and after.mode == "RGB"
    assert np.asarray(after).tobytes() != np.asarray(before).tobytes()
    assert changed(before, view).tobytes() == after.tobytes()
    pixels = np.asarray(after).astype(int)
    red = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
    assert red.mean(axis=0) == pytest.approx((29.5, 20), abs=3)  # rows, columns
    assert (pixels[28, -1] - pixels[28, 60]).tolist() != [0, 0, 0]  # the frame is still there


def test_padding_moves_everything_towards_the_middle_by_its_margin() -> None:
    image = Image.new("RGB", (84, 84), "white")
    image.paste("black", (0, 0, 42, 84))
    image.paste("red", (0, 0, 14, 84))
    columns = np.asarray(changed(image, "padded"))[42, :, 0] > 127  # 3 of 90 pixels more on each side
    assert [int(np.argmin(columns)), int(columns.size - np.argmax(~columns[::-1]))] == [16, 42]  # (14 + 3) * 84 / 90


def test_another_view_is_refused() -> None:
    with pytest.raises(ValueError, match="'flipped' is unknown; use padded or shrunk"):
        changed(picture(), "flipped")


def test_an_image_of_the_pool_is_opened_as_it_is_seen_then(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    settings = PoolSettings(source=str(tmp_path), min_tokens=1)
    (record,) = index_pool(settings).records
    seen = SecondView(record, settings, "padded")
    assert seen.size == (84, 56) and seen.open().tobytes() == changed(picture(), "padded").tobytes()
