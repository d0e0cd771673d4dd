import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from visplay.errors import VisplayError
from visplay.evaluation.benchmarks import local, mmmu
from visplay.evaluation.data import DataError, chosen_split, picture, read_rows

ROWS: list[dict[str, Any]] = [{"question": "How many?", "answer": "2"}, {"question": "Which?", "answer": "red"}]


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "pictures" / "red.png"
    path.parent.mkdir()
    Image.new("RGBA", (4, 2), (255, 0, 0, 0)).save(path)
    return path


def as_json(folder: Path) -> Path:
    (folder / "data.json").write_text(json.dumps(ROWS))
    return folder / "data.json"


def as_jsonl(folder: Path) -> Path:
    (folder / "data.jsonl").write_text("\n\n".join(map(json.dumps, ROWS)))
    return folder / "data.jsonl"


def as_parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "data.parquet")
    return folder / "data.parquet"


def as_parquet_folder(folder: Path) -> Path:
    for name, row in zip(("a/test-0.parquet", "b/test-0.parquet"), ROWS, strict=True):
        (folder / name).parent.mkdir()
        pq.write_table(pa.Table.from_pylist([row]), folder / name)
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "a" / "dev-0.parquet")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "testmini.parquet")
    return folder


def as_saved(folder: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved")
    return folder / "saved"


def as_saved_splits(folder: Path) -> Path:
    parts = {"test": ROWS, "dev": ROWS[:1]}
    datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()}).save_to_disk(folder)
    return folder


@pytest.mark.parametrize("make", [as_json, as_jsonl, as_parquet, as_parquet_folder, as_saved, as_saved_splits])
def test_every_form_of_the_data_gives_the_same_rows(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert read_rows(local, str(make(tmp_path))) == ROWS


@pytest.mark.parametrize("make", [as_parquet_folder, as_saved_splits])
def test_a_split_is_chosen_by_name_and_never_guessed(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source = str(make(tmp_path))
    assert read_rows(local, source, "dev")[0] == ROWS[0]
    assert len(read_rows(local, source, "test+dev")) > len(read_rows(local, source, "test")) == 2
    with pytest.raises(DataError, match="has no split 'train'"):
        read_rows(local, source, "train")


@pytest.mark.parametrize("make", [as_json, as_jsonl, as_parquet, as_saved])
def test_no_split_is_taken_from_data_that_has_none(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source = make(tmp_path)
    with pytest.raises(DataError, match="is not divided into splits, so split 'train' cannot be taken from it"):
        read_rows(local, str(source), "train")


@pytest.mark.parametrize("make", [as_json, as_jsonl, as_parquet, as_saved])
def test_the_split_is_none_where_none_was_taken(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert chosen_split(mmmu, str(make(tmp_path))) is None
    assert chosen_split(mmmu) == "validation"


def test_a_file_may_be_named_by_its_split(tmp_path: Path) -> None:
    file = as_json(tmp_path).rename(tmp_path / "train.json")
    assert read_rows(local, str(file), "train") == ROWS
    assert chosen_split(local, str(file), "train") == "train"


def test_a_mapping_from_ids_to_rows_is_data_too(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(json.dumps({"q1": ROWS[0], "q2": {"id": "own", **ROWS[1]}}))
    assert [row["id"] for row in read_rows(local, str(tmp_path / "data.json"))] == ["q1", "own"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.json", "[]", "has no rows"),
        ("data.json", "{", "data.json cannot be read"),
        ("data.json", "7", "neither a list of rows nor a mapping"),
        ("data.json", '["text"]', "row 1: 'text' is no JSON object"),
        ("data.json", '[{"question": "?"}]', "lacks the columns 'answer' that local needs; it has 'question'"),
        ("data.json", '[{"question": 5, "answer": "2"}]', "row 1: column 'question' is 5; local needs str"),
        ("data.jsonl", '{"question": "?", "answer": "2"}\n{"question": "?"}', "row 2: column 'answer' is None"),
        ("data.json", '[{"question": "?", "answer": true}]', "row 1: column 'answer' is True; local needs str or int"),
        ("data.parquet", "PAR1", "data.parquet cannot be read"),
        ("data.csv", "question,answer", "neither .parquet nor .json nor .jsonl"),
    ],
)
def test_bad_data_gives_one_clear_error(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_rows(local, str(tmp_path / name))


def test_a_source_that_is_nothing_is_named() -> None:
    with pytest.raises(DataError, match="'no/such/thing' does not exist"):
        read_rows(mmmu, "no/such/thing")
    with pytest.raises(DataError, match="name a file or folder by --data"):
        read_rows(local)


def test_an_empty_folder_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no save_to_disk dataset and no .parquet"):
        read_rows(local, str(tmp_path))


@pytest.mark.parametrize("form", ["path", "bytes", "struct", "struct with a path"])
def test_a_picture_is_read_from_whatever_holds_it(tmp_path: Path, red: Path, form: str) -> None:
    path, content = str(red.relative_to(tmp_path)), red.read_bytes()
    cells = {"path": path, "bytes": content, "struct": {"bytes": content, "path": "x.png"}}
    cell = cells.get(form, {"bytes": None, "path": path})
    if form == "path":
        (tmp_path / "data.jsonl").write_text(json.dumps(ROWS[0] | {"image": cell}))
    else:
        pq.write_table(pa.Table.from_pylist([ROWS[0] | {"image": cell}]), tmp_path / "data.parquet")
    source = next(tmp_path.glob("data.*"))
    (row,) = read_rows(local, str(source), images=True)
    (cell,) = local.images(row)
    seen = picture(cell)
    assert (seen.mode, seen.size, seen.getpixel((0, 0))) == ("RGB", (4, 2), (255, 255, 255))


def test_pictures_of_a_saved_dataset_stay_encoded(tmp_path: Path, red: Path) -> None:
    features = datasets.Features({"question": datasets.Value("string"), "answer": datasets.Value("string")})
    features["images"] = datasets.List(datasets.Image())
    rows = [{**ROWS[0], "images": [str(red), str(red)]}]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(tmp_path / "saved")
    (row,) = read_rows(local, str(tmp_path / "saved"), images=True)
    assert [picture(cell).size for cell in local.images(row)] == [(4, 2), (4, 2)]
    assert read_rows(local, str(tmp_path / "saved")) == ROWS[:1]


def test_pictures_are_not_read_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps(ROWS[0] | {"image": "missing.png"}))
    pq.write_table(pa.Table.from_pylist([ROWS[0] | {"image": b"not read"}]), tmp_path / "data.parquet")
    assert read_rows(local, str(tmp_path / "data.parquet")) == ROWS[:1]
    (row,) = read_rows(local, str(tmp_path / "data.jsonl"), images=True)
    with pytest.raises(DataError, match="missing.png' does not exist"):
        picture(local.images(row)[0])


@pytest.mark.parametrize("cell", [None, 7, {"bytes": None, "path": None}])
def test_no_picture_is_an_error_that_says_so(cell: object) -> None:
    with pytest.raises(VisplayError, match="a picture is"):
        picture(cell)
