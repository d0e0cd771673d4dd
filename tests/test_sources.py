import json
import os

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from visplay import sources
from visplay.images import index_pool, open_image
from visplay.recipe import PoolSettings
from visplay.sources import PoolError

COLOURS = {"a": (255, 0, 0), "b": (0, 255, 0), "c": (0, 0, 255)}


@pytest.fixture
def folder(tmp_path):
    """Three plain images, one of them in a subfolder."""
    root = tmp_path / "pool"
    (root / "deep").mkdir(parents=True)
    for name, path in (("c", "z.png"), ("a", "m.png"), ("b", "deep/b.png")):
        Image.new("RGB", (56, 56), COLOURS[name]).save(root / path)
    return root


def settings(source, **changes):
    return PoolSettings(source=str(source), **changes)


def colours(pool, pool_settings):
    return [open_image(record, pool_settings).getpixel((0, 0)) for record in pool.records]


def places(pool):
    return [(os.path.basename(record.source), record.row) for record in pool.records]


def encoded(folder):
    return [(folder / path).read_bytes() for path in ("m.png", "deep/b.png", "z.png")]


def test_a_folder_is_searched_to_its_depths_in_sorted_order(folder):
    pool = index_pool(settings(folder))
    assert places(pool) == [("b.png", None), ("m.png", None), ("z.png", None)]
    assert colours(pool, settings(folder)) == [COLOURS["b"], COLOURS["a"], COLOURS["c"]]


def test_hidden_files_and_folders_are_no_part_of_a_folder(folder):
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / ".git").mkdir()
    Image.new("RGB", (56, 56)).save(folder / ".git" / "x.png")
    pool = index_pool(settings(folder))
    assert len(pool.records) == 3 and pool.quarantined == ()


def test_linked_folders_are_followed_and_circles_end(folder, tmp_path):
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "link").symlink_to(folder)
    for name in ("circle", "second circle"):
        (folder / name).symlink_to(tmp_path / "outer")
    pool = index_pool(settings(tmp_path / "outer"))
    assert len(pool.records) == 3 and pool.quarantined == ()


def test_pipes_and_broken_links_are_quarantined_and_not_waited_for(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to(folder / "nowhere.png")
    pool = index_pool(settings(folder, max_bad_share=0.5))
    assert [entry.reason.split(":")[0] for entry in pool.quarantined] == ["missing", "missing"]


def test_a_list_names_files_beside_itself_by_key_or_as_plain_strings(folder, tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text('{"picture": "pool/z.png", "answer": "blue"}\n\n"pool/m.png"\n')
    listed = settings(path, column="picture")
    pool = index_pool(listed)
    assert colours(pool, listed) == [COLOURS["c"], COLOURS["a"]]
    assert "answer" not in repr(pool) and "blue" not in repr(pool)


def test_bad_lines_and_missing_files_of_a_list_are_quarantined(folder, tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'"pool/z.png"\n{"image": 3}\nnot json\n"\xff"\n"gone.png"\n"pool"\n')
    found = [
        (entry.row, entry.reason.split(":")[0]) for entry in index_pool(settings(path, max_bad_share=1)).quarantined
    ]
    assert found == [(1, "bad line"), (2, "bad line"), (3, "bad line"), (None, "missing"), (None, "missing")]


def as_structs(images):
    return pa.array([{"bytes": image, "path": None} for image in images])


@pytest.mark.parametrize("column", [pa.array, as_structs, lambda images: pa.array(images, pa.large_binary())])
def test_parquet_rows_hold_bytes_or_the_datasets_struct(column, folder, tmp_path):
    pq.write_table(pa.table({"image": column(encoded(folder))}), tmp_path / "a.parquet", row_group_size=2)
    parquet = settings(tmp_path / "a.parquet")
    pool = index_pool(parquet)
    assert places(pool) == [("a.parquet", 0), ("a.parquet", 1), ("a.parquet", 2)]
    assert colours(pool, parquet) == [COLOURS["a"], COLOURS["b"], COLOURS["c"]]


def test_parquet_structs_without_bytes_name_a_file_beside_them(folder):
    rows = [{"bytes": None, "path": "m.png"}, {"bytes": None, "path": None}]
    pq.write_table(pa.table({"image": rows}), folder / "a.parquet")
    pool = index_pool(settings(folder / "a.parquet", max_bad_share=0.5))
    assert colours(pool, settings(folder / "a.parquet")) == [COLOURS["a"]]
    assert [entry.reason for entry in pool.quarantined] == ["missing: the row holds no image"]


def test_a_folder_of_parquet_files_is_their_rows(folder, tmp_path):
    (tmp_path / "data").mkdir()
    for name, image in zip("ba", encoded(folder)[:2], strict=True):
        pq.write_table(pa.table({"image": [image]}), tmp_path / "data" / f"{name}.parquet")
    assert places(index_pool(settings(tmp_path / "data"))) == [("a.parquet", 0), ("b.parquet", 0)]


def test_a_parquet_file_that_grew_is_read_afresh(folder, tmp_path):
    for count in (1, 3):
        pq.write_table(pa.table({"image": encoded(folder)[:count]}), tmp_path / "a.parquet")
        assert len(index_pool(settings(tmp_path / "a.parquet")).records) == count


def test_labels_beside_the_images_of_a_parquet_file_are_never_read(folder, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"answer": ["red", "green", "blue"], "image": encoded(folder)}), path)
    answers = pq.ParquetFile(path).metadata.row_group(0).column(0)
    with open(path, "r+b") as file:
        file.seek(answers.dictionary_page_offset)
        file.write(b"\xff" * answers.total_compressed_size)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(path, columns=["answer"])  # the poison works
    assert len(colours(index_pool(settings(path)), settings(path))) == 3


def test_a_saved_dataset_is_opened_by_split_without_its_labels(folder, tmp_path):
    poison = [{"bytes": b"whoever reads this raises", "path": None}] * 3
    rows = {"image": [{"bytes": image, "path": None} for image in encoded(folder)], "answer": poison}
    features = datasets.Features({"image": datasets.Image(), "answer": datasets.Image()})
    whole = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": whole, "test": whole.select([2])}).save_to_disk(tmp_path / "saved")
    train, test = (settings(f"hf:{tmp_path / 'saved'}", split=split) for split in ("train", "test"))
    assert colours(index_pool(train), train) == [COLOURS["a"], COLOURS["b"], COLOURS["c"]]
    assert colours(index_pool(test), test) == [COLOURS["c"]]
    assert index_pool(test).records[0].source == f"hf:{tmp_path / 'saved'}"
    with pytest.raises(PoolError, match="split 'dev' cannot be loaded"):
        index_pool(settings(f"hf:{tmp_path / 'saved'}", split="dev"))


def test_the_same_images_get_the_same_ids_from_every_source(folder, tmp_path):
    images = encoded(folder)
    pq.write_table(pa.table({"image": images}), tmp_path / "a.parquet")
    (tmp_path / "list.jsonl").write_text(
        "".join(json.dumps(f"pool/{p}") + "\n" for p in ("m.png", "deep/b.png", "z.png"))
    )
    datasets.Dataset.from_dict({"image": images}).save_to_disk(tmp_path / "saved")
    sources = (folder, tmp_path / "a.parquet", tmp_path / "list.jsonl", f"hf:{tmp_path / 'saved'}")
    assert len({frozenset(record.id for record in index_pool(settings(source)).records) for source in sources}) == 1


def test_one_row_group_is_read_at_a_time(folder, tmp_path):
    """Every other row group is overwritten: the rows of the intact one still open."""
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0)
    images = [noise.bytes(50) for _ in range(4)] + encoded(folder)[:2]
    pq.write_table(pa.table({"image": images}), path, row_group_size=2, use_dictionary=False)
    metadata = pq.ParquetFile(path).metadata
    with open(path, "r+b") as file:
        for group in (metadata.row_group(0).column(0), metadata.row_group(1).column(0)):
            file.seek(group.data_page_offset)
            file.write(b"\xff" * group.total_compressed_size)
    pool = index_pool(settings(path, max_bad_share=0.7))
    assert colours(pool, settings(path)) == [COLOURS["a"], COLOURS["b"]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "'nowhere' does not exist"),
        ("world:scenes", "'world:scenes' must be rendered to a folder"),
        ("hf:/nowhere/at/all", "split 'train' cannot be loaded"),
        (__file__, "neither a folder nor"),
    ],
)
def test_sources_that_do_not_exist_are_named(source, message):
    with pytest.raises(PoolError, match=message):
        index_pool(settings(source))


def test_parquet_files_that_cannot_serve_are_named_with_the_way_out(tmp_path):
    pq.write_table(pa.table({"picture": [b"x"], "id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(PoolError, match="no column 'image', only picture, id; set pool.column"):
        index_pool(settings(tmp_path))
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(PoolError, match="not a readable parquet file"):
        index_pool(settings(tmp_path))


def test_row_groups_too_large_for_memory_are_refused_before_they_are_read(folder, tmp_path, monkeypatch):
    pq.write_table(pa.table({"text": ["long" * 9999], "image": encoded(folder)[:1]}), tmp_path / "a.parquet")
    monkeypatch.setattr(sources, "MAX_GROUP_BYTES", 1000)
    assert len(index_pool(settings(tmp_path / "a.parquet")).records) == 1  # other columns do not count
    monkeypatch.setattr(sources, "MAX_GROUP_BYTES", 10)
    with pytest.raises(PoolError, match="write it again with row_group_size=100"):
        index_pool(settings(tmp_path / "a.parquet"))
