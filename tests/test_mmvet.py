"""MM-Vet: rows in both forms, the grade of a judge, and the aggregation by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from chat_server import serving

from visplay.endpoint import Endpoint
from visplay.evaluation.benchmarks import mmvet
from visplay.evaluation.data import DataError, read_rows
from visplay.evaluation.figures import Figures
from visplay.evaluation.files import document
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.judge import judge_with
from visplay.evaluation.scoring import ScoreError, score

ROWS: list[dict[str, Any]] = [
    {"id": "v1_0", "question": "What is x?", "answer": "-1<AND>-5", "capability": ["math", "ocr"]},
    {"id": "v1_1", "question": "Who is it?", "answer": "Ada<OR>Lovelace", "capability": ["rec"]},
    {"id": "v1_2", "question": "How much is it?", "answer": "12", "capability": ["ocr", "math"]},
    {"id": "v1_3", "question": "What is left of the cup?", "answer": "a spoon", "capability": ["rec", "spat"]},
]
ITEMS = mmvet.items(ROWS)


def graded(worth: float | None) -> Judgement:
    return Judgement("", "", None, "parsed", None, worth, "" if worth is not None else "no verdict")


def figures(*grades: float | None) -> Figures:
    return mmvet.figures(ITEMS, [graded(worth) for worth in grades])


def means(shares: Any) -> dict[str, float]:
    return {name: one.mean for name, one in shares.items()}


def judged(response: str, reply: str, folder: Path, item: Item = ITEMS[0]) -> tuple[Judgement, list[str]]:
    with serving(lambda *_: reply) as server:
        endpoint = Endpoint(server.url, "a-judge")
        court = judge_with(endpoint, mmvet.by_judge, folder / "verdicts.jsonl")
        return court([item], [Prediction(item.id, response)])[0], server.prompts


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_figures_by_hand() -> None:
    found = figures(0.5, 1.0, 0.2, 0.3)
    assert found["overall"].mean == pytest.approx(0.5)
    assert means(found["capability"]) == pytest.approx({"rec": 0.65, "ocr": 0.35, "spat": 0.3, "math": 0.35})
    assert means(found["capabilities"]) == pytest.approx({"ocr + math": 0.35, "rec": 1.0, "rec + spat": 0.3})


def test_an_answer_without_a_grade_is_in_no_figure() -> None:
    found = figures(0.5, 1.0, None, 0.3)
    assert found["overall"].n == 3 and found["overall"].mean == pytest.approx(0.6)
    assert means(found["capability"])["ocr"] == 0.5


def test_capabilities_stand_in_the_order_of_the_paper() -> None:
    assert list(figures(0, 0, 0, 0)["capability"]) == ["rec", "ocr", "spat", "math"]


@pytest.mark.parametrize(
    ("reply", "worth", "correct"),
    [("0.5", 0.5, None), ("1.0", 1.0, True), ("1", 1.0, True), ("0.0", 0.0, False), ("0", 0.0, False)]
    + [("Grade: 0.3.", 0.3, None), ("It names one of two.\n**0.5**", 0.5, None), (".7", 0.7, None)],
)
def test_a_grade_counts_as_it_is(tmp_path: Path, reply: str, worth: float, correct: bool | None) -> None:
    found, _ = judged("x = -1", reply, tmp_path)
    assert (found.expected, found.correct, found.status) == (worth, correct, "parsed")


@pytest.mark.parametrize("reply", ["", "right", "1.1", "-0.5", "5", "0.5 or 0.6", "50%", "nan"])
def test_what_is_no_grade_is_an_error_and_not_0(tmp_path: Path, reply: str) -> None:
    found, _ = judged("x = -1", reply, tmp_path)
    assert (found.expected, found.correct, found.status) == (None, None, None)
    assert "no verdict" in found.error


def test_the_judge_sees_question_gold_with_its_joints_and_response(tmp_path: Path) -> None:
    _, (prompt,) = judged("x = {-1}", "0.5", tmp_path)
    assert "<<<\nWhat is x?\n>>>" in prompt
    assert "<<<\n-1 <AND> -5\n>>>" in prompt
    assert "<<<\nx = {-1}\n>>>" in prompt


def test_an_empty_response_is_0_without_asking(tmp_path: Path) -> None:
    found, prompts = judged(" ", "1.0", tmp_path)
    assert (found.expected, found.status, prompts) == (0.0, "unparsed", [])


def test_the_model_is_asked_the_bare_question() -> None:
    assert [item.prompt for item in ITEMS] == [row["question"] for row in ROWS]


def test_both_forms_of_the_data_are_read(tmp_path: Path) -> None:
    """The hub's rows, and the authors' mapping from ids with the pictures in a folder of their own."""
    (tmp_path / "hub.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    authors = {row["id"]: {**row, "imagename": f"{row['id']}.png"} for row in ROWS}
    for row in authors.values():
        del row["id"]
    (tmp_path / "mm-vet.json").write_text(json.dumps(authors))
    assert mmvet.items(read_rows(mmvet, str(tmp_path / "hub.jsonl"))) == ITEMS
    rows = read_rows(mmvet, str(tmp_path / "mm-vet.json"), images=True)
    assert mmvet.items(rows) == ITEMS
    assert mmvet.images(rows[0]) == [str(tmp_path / "images" / "v1_0.png")]
    assert mmvet.images({"image": {"bytes": b"..."}}) == [{"bytes": b"..."}]


@pytest.mark.parametrize("capability", [[], ["ocr", "smell"]])
def test_a_row_with_another_capability_is_named(capability: list[str]) -> None:
    with pytest.raises(DataError, match="v1_0: capability is"):
        mmvet.items([ROWS[0] | {"capability": capability}])


def test_without_a_judge_there_is_no_score() -> None:
    predictions = [Prediction(item.id, "12") for item in ITEMS]
    with pytest.raises(ScoreError, match="mmvet has no protocol 'strict'; use judge"):
        score(mmvet, ITEMS, predictions)
    with pytest.raises(ScoreError, match="needs a judge"):
        score(mmvet, ITEMS, predictions, "judge")


def test_the_report_has_grades_and_no_constant_answers(tmp_path: Path) -> None:
    grades = {"What is x?": "0.5", "Who is it?": "1.0", "How much": "a lot", "left of": "0.0"}
    with serving(lambda prompt, _: next(grade for word, grade in grades.items() if word in prompt)) as server:
        court = judge_with(Endpoint(server.url, "a-judge"), mmvet.by_judge, tmp_path / "verdicts.jsonl")
        result = document(score(mmvet, ITEMS, [Prediction(item.id, "Hm.") for item in ITEMS], "judge", judge=court))
    assert (result["figures"]["overall"]["n"], result["figures"]["overall"]["mean"]) == (3, 0.5)
    assert (result["counts"]["parsed"], result["counts"]["errors"], result["baselines"]) == (3, 1, {})
