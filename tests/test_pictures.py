"""What is to be asked, with its pictures, is sound before a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visplay.errors import VisplayError
from visplay.evaluation.benchmarks import local
from visplay.evaluation.pictures import Illustrated, questions_fingerprint, read_illustrated
from visplay.recipe import PoolSettings

LIMITS = PoolSettings(min_tokens=4, max_tokens=16)
RED, WIDE = ((60, 60), "red"), ((300, 20), "blue")


def read(folder: Path, *rows: dict[str, Any], **pictures: tuple[tuple[int, int], str]) -> list[Illustrated]:
    for name, (size, color) in pictures.items():
        Image.new("RGB", size, color).save(folder / f"{name}.png")
    lines = [json.dumps({"question": "?", "answer": "1"} | row) for row in rows]
    (folder / "data.jsonl").write_text("\n".join(lines))
    return read_illustrated(local, LIMITS, str(folder / "data.jsonl"))


def test_pictures_are_opened_in_their_order_at_the_size_that_was_announced(tmp_path: Path) -> None:
    row, bare = read(tmp_path, {"images": ["a.png", "b.png"]}, {}, a=RED, b=WIDE)
    assert row.sizes == ((56, 56), (308, 28)) and row.pixels == 56 * 56 + 308 * 28
    assert [(one.size, one.getpixel((0, 0))) for one in row.pictures()] == [
        ((56, 56), (255, 0, 0)),
        ((308, 28), (0, 0, 255)),
    ]
    assert (bare.pictures(), bare.pixels) == ([], 0)


def test_a_picture_that_is_missing_or_none_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(VisplayError, match=r"item q7, picture 2 cannot be used: .*'.*gone\.png' does not exist"):
        read(tmp_path, {"id": "q7", "images": ["a.png", "gone.png"]}, a=RED)
    with pytest.raises(VisplayError, match="item 0, picture 1 cannot be used: cannot identify"):
        read(tmp_path, {"image": "text.png"})
    with pytest.raises(VisplayError, match="item 0, picture 1 cannot be used: unfit"):
        read(tmp_path, {"image": "thin.png"}, thin=((300, 1), "red"))


def test_a_sound_header_before_damaged_pixels_is_named_before_anything_starts(tmp_path: Path) -> None:
    read(tmp_path, {"image": "a.png"}, a=RED)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    with pytest.raises(VisplayError, match="item 0, picture 1 cannot be used"):
        read(tmp_path, {"image": "a.png"})


def test_a_picture_that_breaks_off_later_is_named_when_it_is_opened(tmp_path: Path) -> None:
    (item,) = read(tmp_path, {"image": "a.png"}, a=RED)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    with pytest.raises(VisplayError, match="item 0, picture 1 cannot be used"):
        item.pictures()


def test_ids_that_stand_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VisplayError, match="1 ids stand twice in the data: x"):
        read(tmp_path, {"id": "x"}, {"id": "x"})


def test_the_fingerprint_tells_prompts_and_pictures_apart_and_not_their_order(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": "x", "image": "a.png"}, {"id": "y", "image": "b.png"}]
    asked = read(tmp_path, *rows, a=RED, b=WIDE)
    fingerprint = questions_fingerprint(asked)
    assert questions_fingerprint(asked[::-1]) == fingerprint
    assert questions_fingerprint(read(tmp_path, *rows, a=RED, b=RED)) != fingerprint
    assert questions_fingerprint(read(tmp_path, rows[0], rows[1] | {"question": "!"}, a=RED, b=WIDE)) != fingerprint
    assert questions_fingerprint(read(tmp_path, *rows, a=RED, b=WIDE)) == fingerprint
