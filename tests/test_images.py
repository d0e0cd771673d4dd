import hashlib
import io
import itertools
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from visplay.images import PoolError, count_reasons, draw, fingerprint, fitted_size, index_pool, open_image
from visplay.recipe import PoolSettings
from visplay.records import ImageRecord

ROTATE_90_TAG, ROTATE_90 = 0x0112, 6  # EXIF orientation: show it turned clockwise


def settings(source, **changes):
    return PoolSettings(source=str(source), **{"max_bad_share": 0.9, **changes})


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def png_claiming(width, height):
    """A PNG whose header promises far more pixels than its few bytes hold."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def opened(path, image, **options):
    """The one image of a folder, as the pool opens it."""
    path.parent.mkdir(exist_ok=True)
    image.save(path, **options)
    pool = index_pool(settings(path.parent))
    return open_image(pool.records[0], settings(path.parent))


def reason(tmp_path, content):
    """Why a file is quarantined beside a good one."""
    noise(56, 56).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(content)
    pool = index_pool(settings(tmp_path))
    assert len(pool.records) == 1 and pool.quarantined[0].source == str(tmp_path / "bad.png")
    return pool.quarantined[0].reason


def test_a_record_holds_the_hash_of_the_file_and_its_upright_size(tmp_path):
    exif = Image.Exif()
    exif[ROTATE_90_TAG] = ROTATE_90
    noise(60, 90).save(tmp_path / "a.jpg", exif=exif)
    digest = hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert index_pool(settings(tmp_path)).records == (ImageRecord(digest, str(tmp_path / "a.jpg"), None, 90, 60),)


def test_an_image_rotated_by_exif_is_opened_upright(tmp_path):
    image = Image.new("RGB", (56, 112), "black")
    image.paste("white", (0, 0, 56, 56))  # the upper half, which turns to the right
    exif = Image.Exif()
    exif[ROTATE_90_TAG] = ROTATE_90
    upright = opened(tmp_path / "a.png", image, exif=exif)
    assert upright.size == (112, 56)
    assert (upright.getpixel((5, 28)), upright.getpixel((106, 28))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(name, tmp_path):
    values = np.repeat(np.array([0, 200, 32896, 65535], np.uint16), 28 * 56).reshape(4 * 28, 56)
    image = opened(tmp_path / name, Image.fromarray(values))
    assert [image.getpixel((5, y)) for y in (5, 33, 61, 89)] == [(v, v, v) for v in (0, 1, 128, 255)]


def test_transparency_is_seen_over_white(tmp_path):
    clear, half = Image.new("RGBA", (56, 56), (255, 0, 0, 0)), Image.new("RGBA", (56, 56), (0, 0, 0, 128))
    assert opened(tmp_path / "clear" / "a.png", clear).getpixel((5, 5)) == (255, 255, 255)
    assert opened(tmp_path / "half" / "a.png", half).getpixel((5, 5)) == (127, 127, 127)


def test_palettes_and_their_transparent_entry_are_resolved(tmp_path):
    image = Image.new("P", (56, 56), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert opened(tmp_path / "opaque" / "a.png", image).getpixel((5, 5)) == (0, 0, 255)
    assert opened(tmp_path / "clear" / "a.png", image, transparency=1).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("mode", "colour", "name", "expected"),
    [
        ("CMYK", (0, 0, 0, 0), "a.jpg", (255, 255, 255)),
        ("CMYK", (0, 0, 0, 255), "a.tif", (0, 0, 0)),
        ("L", 100, "a.bmp", (100, 100, 100)),
        ("LA", (100, 255), "a.png", (100, 100, 100)),
        ("1", 1, "a.png", (255, 255, 255)),
    ],
)
def test_every_mode_becomes_rgb(mode, colour, name, expected, tmp_path):
    image = opened(tmp_path / name, Image.new(mode, (56, 56), colour))
    assert (image.mode, image.getpixel((5, 5))) == ("RGB", expected)


def test_of_an_animation_the_first_frame_is_opened(tmp_path):
    first, second = Image.new("RGB", (56, 56), "red"), Image.new("RGB", (56, 56), "blue")
    assert opened(tmp_path / "a.gif", first, save_all=True, append_images=[second]).getpixel((5, 5)) == (255, 0, 0)


def test_float_pixels_are_quarantined(tmp_path):
    buffer = io.BytesIO()
    Image.new("F", (56, 56), 0.5).save(buffer, "TIFF")
    assert reason(tmp_path, buffer.getvalue()).startswith("unsupported pixels: float32")


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated_images_are_quarantined(name, tmp_path):
    buffer = io.BytesIO()
    noise(90, 60).save(buffer, name)
    content = buffer.getvalue()
    assert reason(tmp_path, content[: len(content) * 2 // 3]).split(":")[0] in ("broken", "not an image")


def test_empty_files_and_other_files_are_quarantined(tmp_path):
    assert reason(tmp_path, b"") == "empty: 0 bytes"
    assert reason(tmp_path, b'{"not": "pixels"}').startswith("not an image: none of JPEG, PNG,")
    assert reason(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").startswith("not an image")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9000, 12000, 60000])
def test_decompression_bombs_are_judged_by_their_header(side, tmp_path):
    """Decoding first would report the missing pixels instead."""
    assert reason(tmp_path, png_claiming(side, side)).startswith("too large: ")


@pytest.mark.parametrize(
    ("width", "height", "kind"),
    [(1, 1, None), (1, 200, None), (1, 201, "too thin"), (600, 2, "too thin"), (8200, 41, "unfit")],
)
def test_strips_are_used_as_far_as_the_processor_takes_them(width, height, kind, tmp_path):
    """8200 x 41 is within the ratio, but not once its short side is rounded down to 28."""
    Image.new("RGB", (width, height)).save(tmp_path / "a.png")
    noise(56, 56).save(tmp_path / "good.png")
    pool = index_pool(settings(tmp_path))
    assert list(count_reasons(pool.quarantined)) == ([kind] if kind else [])
    assert all(open_image(record, settings(tmp_path)).width >= 28 for record in pool.records)


def test_duplicates_are_quarantined_but_not_bad(tmp_path):
    for name in ("b.png", "a.png", "c.png"):
        noise(56, 56).save(tmp_path / name)
    pool = index_pool(settings(tmp_path, max_bad_share=0.0))
    assert [record.source for record in pool.records] == [str(tmp_path / "a.png")]
    assert [entry.reason for entry in pool.quarantined] == [f"duplicate: of {tmp_path / 'a.png'}"] * 2


def test_too_large_a_bad_share_stops_the_run_and_names_offenders(tmp_path):
    for i in range(3):
        Image.new("RGB", (56, 56), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"")
    assert count_reasons(index_pool(settings(tmp_path, max_bad_share=0.25)).quarantined) == {"empty": 1}
    with pytest.raises(PoolError, match=r"1 of the 4 entries .*\(empty 1\).*max_bad_share = 0.24(.|\n)*bad.png: empty"):
        index_pool(settings(tmp_path, max_bad_share=0.24))


def test_an_empty_pool_stops_the_run(tmp_path):
    with pytest.raises(PoolError, match="holds no usable image"):
        index_pool(settings(tmp_path, max_bad_share=1.0))


def test_progress_counts_every_entry(tmp_path):
    for i in range(70):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    calls = []
    index_pool(settings(tmp_path), lambda done, total: calls.append((done, total)))
    assert calls == [(64, 70), (70, 70)]


def test_an_image_that_changed_or_went_away_is_not_opened(tmp_path):
    noise(56, 56).save(tmp_path / "a.png")
    (record,) = index_pool(settings(tmp_path)).records
    Image.new("RGB", (56, 56)).save(tmp_path / "a.png")
    with pytest.raises(PoolError, match="a.png has changed since"):
        open_image(record, settings(tmp_path))
    (tmp_path / "a.png").unlink()
    with pytest.raises(PoolError, match="no file at"):
        open_image(record, settings(tmp_path))


SIDES = (1, 2, 5, 13, 27, 28, 41, 42, 99, 100, 280, 641, 1500, 4000, 8000)


@pytest.mark.parametrize(("low", "high"), [(4, 16), (4, 1024), (16, 64), (1, 4), (64, 16384)])
def test_every_size_is_within_the_limits_and_stays_as_it_is(low, high):
    limits = settings("unused", min_tokens=low, max_tokens=high)
    for width, height in itertools.product(SIDES, SIDES):
        if max(width, height) > 190 * min(width, height):
            continue
        fitted = fitted_size(width, height, limits)
        assert fitted[0] % 28 == fitted[1] % 28 == 0
        assert low <= fitted[0] * fitted[1] // 28**2 <= high
        assert fitted_size(*fitted, limits) == fitted


def test_limits_that_no_size_meets_are_refused():
    with pytest.raises(ValueError, match="finds no size of 5 to 5 tokens"):
        fitted_size(100, 100, settings("unused", min_tokens=5, max_tokens=5))


@pytest.mark.parametrize("size", [(60, 45), (640, 480), (1, 190), (3000, 20), (56, 56)])
def test_the_models_processor_leaves_an_opened_image_as_it_is(size, tmp_path):
    """Same grid, and the very pixels of the opened image: no second resize."""
    noise(*size).save(tmp_path / "a.png")
    limits = settings(tmp_path, max_tokens=64)
    image = open_image(index_pool(limits).records[0], limits)
    processor = Qwen2VLImageProcessor(min_pixels=4 * 784, max_pixels=64 * 784)
    pixels, unresized = processor(images=[image]), processor(images=[image], do_resize=False)
    assert pixels["image_grid_thw"].tolist() == [[1, image.height // 14, image.width // 14]]
    assert (pixels["pixel_values"] == unresized["pixel_values"]).all()


def test_a_resized_image_is_what_the_processor_itself_would_have_made(tmp_path):
    """Up to rounding and the clipping of overshoots, where Pillow and torchvision differ."""
    noise(641, 479).save(tmp_path / "a.png")
    image = open_image(index_pool(settings(tmp_path)).records[0], settings(tmp_path))
    assert image.size == (644, 476)
    processor = Qwen2VLImageProcessor(min_pixels=4 * 784, max_pixels=1024 * 784)
    ours, its_own = processor(images=[image]), processor(images=[noise(641, 479)])
    assert (ours["image_grid_thw"] == its_own["image_grid_thw"]).all()
    assert (ours["pixel_values"] - its_own["pixel_values"]).abs().mean() < 0.01  # one of 255 steps is 0.015


RECORDS = [ImageRecord(letter, "unused", None, 1, 1) for letter in "abcdefg"]


def ids(records):
    return "".join(record.id for record in records)


def test_nothing_is_drawn_twice_before_everything_was_drawn_once():
    one_call = ids(draw(RECORDS, seed=3, start=0, count=21))
    assert [sorted(one_call[i : i + 7]) for i in (0, 7, 14)] == [list("abcdefg")] * 3
    assert len({one_call[:7], one_call[7:14], one_call[14:]}) == 3  # each epoch has its own order


def test_a_draw_depends_on_its_position_only():
    whole = ids(draw(RECORDS, seed=3, start=0, count=30))
    for start, count in ((0, 5), (5, 5), (6, 1), (7, 7), (13, 17), (4, 0)):
        assert ids(draw(RECORDS, seed=3, start=start, count=count)) == whole[start : start + count]


def test_the_draw_of_a_seed_is_pinned_so_that_old_runs_can_go_on():
    assert ids(draw(RECORDS, seed=0, start=0, count=7)) == "agbefdc"
    assert ids(draw(RECORDS, seed=1, start=0, count=7)) == "ecbagdf"


def test_nothing_can_be_drawn_from_an_empty_pool():
    with pytest.raises(PoolError, match="empty pool"):
        draw([], seed=0, start=0, count=1)


def test_the_fingerprint_is_of_the_set_of_images():
    assert fingerprint(RECORDS) == fingerprint(RECORDS[::-1])
    assert fingerprint(RECORDS) != fingerprint(RECORDS[1:])


MEMORY_PROBE = """
import re, sys
from visplay.images import draw, index_pool, open_image
from visplay.recipe import PoolSettings

def peak_mib(path):
    settings = PoolSettings(source=path)
    records = index_pool(settings).records
    for record in draw(records, seed=0, start=0, count=30):
        open_image(record, settings)
    status = open("/proc/self/status").read()  # not ru_maxrss, which begins at the peak of the parent process
    return len(records), int(re.search("VmHWM:\\s*([0-9]+) kB", status)[1]) / 1024

(few, before), (many, after) = peak_mib(sys.argv[1]), peak_mib(sys.argv[2])
print(few, many, after - before)
"""


def write_parquet(path, count):
    """`count` distinct images of 5 KB: what follows the end of a PNG is not looked at, but is part of its bytes."""
    buffer = io.BytesIO()
    noise(40, 40).save(buffer, "PNG", compress_level=0)
    images = [buffer.getvalue() + number.to_bytes(4) for number in range(count)]
    pq.write_table(pa.table({"image": images}), path, row_group_size=500, compression="none", use_dictionary=False)


def test_memory_does_not_grow_with_the_pool(tmp_path):
    """Ten times the images, 18,000 x 5 KB = 83 MiB more on disk, and only their records in memory."""
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    write_parquet(small, 2_000)
    write_parquet(large, 20_000)
    assert large.stat().st_size - small.stat().st_size > 83 * 2**20
    probe = [sys.executable, "-c", MEMORY_PROBE, str(small), str(large)]
    done = subprocess.run(probe, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    few, many, growth_mib = done.stdout.split()
    assert (few, many) == ("2000", "20000")
    assert float(growth_mib) < 30
