"""The records survive their JSON-lines form, whatever text is in them."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from visplay import records
from visplay.records import Ballot, ImageRecord, Question, SilverAnswer, read_jsonl, write_jsonl

IMAGE = ImageRecord("5e", "pool/a.png", None, 84, 60)
QUESTION = Question("q1", "5e", "multiple_choice", "Where? (A) left (B) right", ("left", "right"), "B")
BALLOT = Ballot(votes=("A", None, "A", "B"), answer="A", confidence=0.5, tied=False, parsed=3)
KEPT = SilverAnswer("5e", QUESTION, BALLOT, None, "1/questioner", "base")
UNPARSED = SilverAnswer("5e", None, None, "unparsed question", "1/questioner", "base", completion="<type>?")


def read_back(folder: Path, *rows: Any) -> list[dict[str, Any]]:
    assert write_jsonl(folder / "rows.jsonl", rows) == len(rows)
    return read_jsonl(folder / "rows.jsonl")


def test_silver_answers_come_back_with_question_and_ballot(tmp_path: Path) -> None:
    assert [records.silver_answer(row) for row in read_back(tmp_path, KEPT, UNPARSED)] == [KEPT, UNPARSED]


def test_trust_is_written_only_where_there_is_one(tmp_path: Path) -> None:
    trusted = dataclasses.replace(KEPT, trust=0.8)
    plain, other = read_back(tmp_path, KEPT, trusted)
    assert "trust" not in plain and plain["completion"] is None and records.silver_answer(other) == trusted


def test_questions_come_back_with_and_without_choices(tmp_path: Path) -> None:
    plain = Question("q2", "5e", "numerical", "How many?")
    assert [records.question(row) for row in read_back(tmp_path, QUESTION, plain)] == [QUESTION, plain]


def test_images_come_back_from_a_file_and_from_a_row(tmp_path: Path) -> None:
    in_parquet = ImageRecord("6f", "pool/b.parquet", 12, 1, 2)
    assert [records.image_record(row) for row in read_back(tmp_path, IMAGE, in_parquet)] == [IMAGE, in_parquet]


@pytest.mark.parametrize(
    "text", ["two\nlines\r", "\u2028\u2029\x85\x0b", "猫 é e\u0301 😀", '"\\boxed{1}"', "\x00", "\ud800 alone"]
)
def test_one_row_is_one_line_whatever_its_text(text: str, tmp_path: Path) -> None:
    odd = dataclasses.replace(QUESTION, text=text)
    assert [records.question(row) for row in read_back(tmp_path, odd, QUESTION)] == [odd, QUESTION]


def test_a_file_name_that_is_not_utf_8_comes_back(tmp_path: Path) -> None:
    odd = dataclasses.replace(IMAGE, source=os.fsdecode(b"caf\xe9.png"))
    (row,) = read_back(tmp_path, odd)
    assert os.fsencode(records.image_record(row).source) == b"caf\xe9.png"


def test_the_bytes_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    for name, row in {"one": {"a": 1, "b": None}, "other": {"b": None, "a": 1}}.items():
        write_jsonl(tmp_path / name, [row])
        assert (tmp_path / name).read_bytes() == b'{"a": 1, "b": null}\n'


def test_blank_lines_are_skipped_and_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    assert read_back(tmp_path) == []
    (tmp_path / "rows.jsonl").write_text('\n{"a": 1}\n\n{"a": 2}')
    assert read_jsonl(tmp_path / "rows.jsonl") == [{"a": 1}, {"a": 2}]


def test_records_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        QUESTION.text = "another"  # type: ignore[misc]
