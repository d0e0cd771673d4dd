import json
from pathlib import Path

import pytest

from visplay.evaluation.items import Item, Prediction
from visplay.evaluation.predictions import PredictionError, fingerprint, join, read_predictions, read_settings

ITEMS = [Item(name, "?", "text", ("x",)) for name in ("a", "b", "c")]


def predicted(*names: str) -> list[Prediction]:
    return [Prediction(name, name.upper()) for name in names]


def written(folder: Path, *lines: object) -> Path:
    path = folder / "predictions.jsonl"
    path.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    )
    return path


def test_any_tool_can_write_them(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"id": "a", "response": "B"},
        "",
        {"id": 7, "response": "", "model": "another key"},
        {"id": "b", "response": "So", "truncated": True},
        {"id": "c", "response": "So", "finish_reason": "length"},
        {"id": "d", "response": "No\u2028line ends here", "finish_reason": "stop", "verdict": "2"},
    )
    assert read_predictions(path) == [
        Prediction("a", "B"),
        Prediction("7", ""),
        Prediction("b", "So", truncated=True),
        Prediction("c", "So", truncated=True),
        Prediction("d", "No\u2028line ends here", verdict=2),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":2 is not JSON"),
        ('["a", "B"]', r':2 is no JSON object: \["a", "B"\]; write one object a line'),
        ({"response": "B"}, ":2: id is None"),
        ({"id": True, "response": "B"}, ":2: id is True"),
        ({"id": "b", "response": None}, ":2: the response to b is None"),
        ({"id": "b", "response": "B", "truncated": "no"}, ":2: truncated is 'no'"),
        ({"id": "b", "response": "B", "verdict": 3}, ":2: verdict is 3"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        read_predictions(written(tmp_path, {"id": "a", "response": "B"}, line))


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    file.write_text('{"id": "1", "response": "yes \\ud83d"}\n{"id": "2", "response": "\\ud83d\\ude00"}')
    assert [one.response for one in read_predictions(file)] == ["yes \ufffd", "\U0001f600"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "a", "response": "B"}\r\n', encoding="utf-8-sig")
    assert read_predictions(path) == [Prediction("a", "B")]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="nothing.jsonl"):
        read_predictions(tmp_path / "nothing.jsonl")


def test_predictions_meet_their_items_by_id() -> None:
    joined = join(ITEMS, predicted("c", "a", "b"))
    assert [one.response if one else None for one in joined] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "c"], "1 items have no prediction: b; .*--allow-missing"),
        (["a", "b", "b", "c"], "1 ids are predicted twice: b"),
        (["a", "b", "c", "d", "e"], "2 predicted ids are not in the data: d, e"),
        (["a", "b", "c", *"zyxwvu"], "6 predicted ids are not in the data: u, v, w, x, y and 1 more"),
    ],
)
def test_ids_that_do_not_match_are_named_and_refused(names: list[str], message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        join(ITEMS, predicted(*names))


def test_doubled_ids_in_the_data_are_refused() -> None:
    with pytest.raises(PredictionError, match="1 ids stand twice in the data: a"):
        join([*ITEMS, ITEMS[0]], predicted("a", "b", "c"))


def test_missing_ones_stay_empty_where_that_is_allowed() -> None:
    assert join(ITEMS, predicted("b"), allow_missing=True) == [None, Prediction("b", "B"), None]


def test_unknown_ids_are_refused_even_then() -> None:
    with pytest.raises(PredictionError, match="not in the data"):
        join(ITEMS, predicted("d"), allow_missing=True)


def test_settings_beside_the_file_are_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert read_settings(path) == {}
    (tmp_path / "settings.json").write_text('{"max_new_tokens": 2048}')
    assert read_settings(path) == {"max_new_tokens": 2048}
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(PredictionError, match="settings.json is not JSON"):
        read_settings(path)


def test_a_fingerprint_knows_content_and_not_order() -> None:
    assert fingerprint([("a", 1), ("b", 2)]) == fingerprint([("b", 2), ("a", 1)])
    assert fingerprint([("a", 1), ("b", 2)]) != fingerprint([("a", 2), ("b", 1)])
