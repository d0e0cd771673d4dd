"""The world of scenes: what fixes a picture, what keeps the splits apart, and that the pixels show the layout."""

import hashlib
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from second_truth import seen

from visplay.worlds import scenes
from visplay.worlds.scenes import HOMES, SPLITS, Scene, Split, Thing, _digits, render, scene

LAYOUT = (Thing(0, 0, "small", "red", "square"), Thing(1, 2, "large", "blue", "circle"))


def pixels(split: Split, index: int) -> bytes:
    return render(scene(split, index)).tobytes()


def test_things_stand_in_distinct_cells_in_reading_order() -> None:
    for shown in scenes.scenes("pool", 0, 200):
        cells = [(thing.row, thing.column) for thing in shown.things]
        assert cells == sorted(set(cells))


def test_the_pictures_of_the_loop_are_fuller_than_those_of_the_base() -> None:
    counts = {split: {len(shown.things) for shown in scenes.scenes(split, 0, 200)} for split in SPLITS}
    assert counts["train"] == {2, 3, 4, 5, 6}
    assert all(counts[split] == {4, 5, 6} for split in SPLITS if split != "train")


def test_every_attribute_occurs() -> None:
    shown = list(scenes.scenes("pool", 0, 300))
    things = [thing for scene in shown for thing in scene.things]
    assert {thing.kind for thing in things} == {*scenes.SHAPES, *scenes.DIGITS}
    assert {(thing.size, thing.color) for thing in things} == {(s, c) for s in scenes.SIZES for c in scenes.COLORS}
    assert len({thing.place for thing in things}) == 9


def test_layout_and_pixels_depend_on_split_and_index_only() -> None:
    in_turn = [(scene("heldout", i), pixels("heldout", i)) for i in (0, 1, 2)]
    backwards = [(scene("heldout", i), pixels("heldout", i)) for i in (2, 1, 0)]
    assert in_turn == backwards[::-1]
    assert len({picture for _, picture in in_turn}) == 3


def test_another_process_draws_the_same() -> None:
    code = "from visplay.worlds.scenes import *; print(*scenes('heldout', 0, 3), sep='\\n')"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert printed.stdout.splitlines() == [repr(shown) for shown in scenes.scenes("heldout", 0, 3)]


def test_a_layout_is_pinned_so_that_the_shipped_base_never_meets_its_held_out_scenes() -> None:
    assert scene("heldout", 7).things == (
        Thing(0, 1, "large", "green", "triangle"),
        Thing(1, 0, "large", "blue", "7"),
        Thing(1, 1, "large", "white", "circle"),
        Thing(1, 2, "large", "red", "cross"),
        Thing(2, 2, "small", "blue", "8"),
    )


def test_the_split_and_the_index_change_the_pixels_of_one_layout() -> None:
    pictures = {render(Scene(split, index, LAYOUT)).tobytes() for split in SPLITS for index in (0, 1)}
    assert len(pictures) == 12


@pytest.mark.parametrize("split", SPLITS)
def test_a_layout_belongs_to_the_home_that_its_hash_names(split: Split) -> None:
    homes = [hashlib.sha256(repr(shown.things).encode()).digest()[0] % 4 for shown in scenes.scenes(split, 0, 100)]
    assert homes == [HOMES[split]] * 100


def test_what_is_measured_shares_no_home_with_what_is_trained_on() -> None:
    trained, chosen_by, shown = {"train", "pool", "anchor"}, {"validation", "audit"}, {"heldout"}
    homes = [{HOMES[split] for split in SPLITS if split in group} for group in (trained, chosen_by, shown)]
    assert homes == [{0, 1}, {2}, {3}]


def test_no_layout_and_no_picture_is_in_two_splits() -> None:
    layouts = [{shown.things for shown in scenes.scenes(split, 0, 400)} for split in SPLITS]
    pictures = [{pixels(split, index) for index in range(100)} for split in SPLITS]
    assert all(one.isdisjoint(other) for one, other in combinations(layouts, 2))
    assert all(one.isdisjoint(other) for one, other in combinations(pictures, 2))


def test_every_handwritten_digit_is_in_one_home_and_none_is_left_out() -> None:
    inks = [
        [sample.tobytes() for samples in _digits(split).values() for sample in samples]
        for split in ("train", "pool", "validation", "heldout")  # the arrays themselves: what is drawn is blended
    ]
    assert [len(ink) for ink in inks] == [450, 449, 449, 449]
    assert len({sample for ink in inks for sample in ink}) == 1797


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_every_digit_in_more_than_thirty_hands(split: Split) -> None:
    samples = _digits(split)
    assert sorted(samples) == list(range(10))
    assert min(len(samples[digit]) for digit in range(10)) > 30


def test_a_drawn_digit_is_its_splits_own_handwriting() -> None:
    """Large and white: scaled back to 8 x 8, the picture is nearest to a sample of the same split and digit."""
    shown = Scene("pool", 3, (Thing(1, 1, "large", "white", "2"),))
    cell = np.asarray(render(shown).convert("L"))[28:56, 28:56].astype(float)
    ys, xs = (np.flatnonzero((cell > 110).any(axis=axis)) for axis in (1, 0))
    box = (xs[0] + 28, ys[0] + 28, xs[-1] + 29, ys[-1] + 29)
    small = np.asarray(render(shown).convert("L").resize((8, 8), Image.Resampling.BOX, box=box), dtype=float)

    def distance(sample: np.ndarray) -> float:
        return -float(np.corrcoef(sample.ravel(), small.ravel())[0, 1])

    samples = ((split, digit, sample) for split in SPLITS for digit in range(10) for sample in _digits(split)[digit])
    assert min(samples, key=lambda known: distance(known[2]))[:2] == ("pool", 2)


def test_the_pixels_show_which_cells_are_taken_and_every_color_and_size() -> None:
    for split in SPLITS:
        for shown in scenes.scenes(split, 0, 50):
            layout = {(thing.row, thing.column): (thing.size, thing.color) for thing in shown.things}
            assert seen(np.asarray(render(shown))) == layout


def test_things_of_each_size_and_kind_stay_inside_their_cell() -> None:
    for index, kind in enumerate((*scenes.SHAPES, *scenes.DIGITS)):
        for size in scenes.SIZES:
            picture = np.asarray(render(Scene("train", index, (Thing(1, 1, size, "white", kind),)))).max(axis=-1)
            outside = picture.copy()
            outside[28:56, 28:56] = 0
            assert outside.max() < 105 < picture.max()


def test_written_images_lead_back_to_their_scenes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for index in range(3):
        scenes.write_image(tmp_path / "images", "pool", index)
    files = sorted((tmp_path / "images").iterdir())
    assert [file.name for file in files] == ["000000.png", "000001.png", "000002.png"]
    for file in files:
        shown = scenes.scene_of(str(file), "pool")
        assert np.array_equal(np.asarray(Image.open(file)), np.asarray(render(shown)))


def test_written_images_hold_pixels_and_no_answers(tmp_path: Path) -> None:
    scenes.write_image(tmp_path, "pool", 0)
    with Image.open(tmp_path / "000000.png") as image:
        assert (image.size, image.mode, image.info) == ((84, 84), "RGB", {})
