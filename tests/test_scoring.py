"""What is scored is all accounted for, and comes out the same in whatever order it came in."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from visplay.evaluation.benchmarks import hallusionbench, local, mmmu
from visplay.evaluation.files import document, write
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.predictions import PredictionError
from visplay.evaluation.scoring import Score, ScoreError, score, score_file
from visplay.evaluation.table import render

ROWS: list[dict[str, Any]] = [
    {"id": f"validation_{subject}_{number}", "question": "?", "question_type": "multiple-choice"}
    | {"options": "['one', 'two', 'three', 'four']", "answer": gold}
    for subject, number, gold in [("Art", 1, "A"), ("Art", 2, "B"), ("Music", 1, "B"), ("Math", 1, "C")]
]
RIGHT, UNREAD, WRONG, CUT = "A", "I cannot tell", "A", "Let me think"


def predictions(*responses: str) -> list[Prediction]:
    return [
        Prediction(row["id"], response, truncated=response == CUT)
        for row, response in zip(ROWS, responses, strict=True)
    ]


def mixed(protocol: str, **more: Any) -> Score:
    return score(mmmu, mmmu.items(ROWS), predictions(RIGHT, UNREAD, WRONG, CUT), protocol, **more)


def half_a_point(items: Sequence[Item], written: Sequence[Prediction]) -> list[Judgement]:
    """A judge that gives half a point to each answer, and fails on Math."""
    failed = {"expected": None, "error": "no verdict"}
    good = {"expected": 0.5, "error": ""}
    return [
        Judgement(item.id, one.response, one.response, "parsed", None, **(failed if "Math" in item.id else good))  # type: ignore[arg-type]
        for item, one in zip(items, written, strict=True)
    ]


def test_strictly_the_unread_are_wrong_and_counted() -> None:
    result = document(mixed("strict"))
    assert result["counts"] == {
        "parsed": 2,
        "unparsed": 1,
        "fallback": 0,
        "truncated": 1,
        "cut off": 1,
        "missing": 0,
        "errors": 0,
    }
    assert result["figures"]["overall"]["mean"] == 0.25


def test_officially_the_unread_are_fallbacks_worth_what_the_dice_would_be() -> None:
    result = document(mixed("official"))
    assert (result["counts"]["fallback"], result["counts"]["cut off"]) == (2, 1)
    assert result["figures"]["overall"]["mean"] == (1 + 0.25 + 0 + 0.25) / 4
    assert result["rule"] == mmmu.RULE


def test_strict_is_what_is_meant_by_default() -> None:
    assert score(mmmu, mmmu.items(ROWS), predictions(*"ABBC")).protocol == "strict"


def test_constant_answers_stand_beside_the_score() -> None:
    baselines = document(mixed("strict"))["baselines"]
    assert {name: figures["overall"] for name, figures in baselines.items()} == {
        "always A": 0.25,
        "always B": 0.5,
        "always C": 0.25,
        "always D": 0.0,
    }
    assert baselines["always B"]["subject"] == {"Art": 0.5, "Math": 0.0, "Music": 1.0}


def test_constants_are_yes_and_no_where_that_is_asked() -> None:
    rows = [{"question": "?", "answer": answer} for answer in ("yes", "yes", "no")]
    rows.append({"question": "?", "answer": "no", "type": "text"})
    items = local.items(rows)
    result = document(score(local, items, [Prediction(item.id, "yes") for item in items]))
    assert {name: figures["overall"] for name, figures in result["baselines"].items()} == {
        "always yes": 0.5,
        "always no": 0.25,
    }


def test_a_missing_prediction_is_refused_or_wrong_and_never_a_fallback() -> None:
    items, some = mmmu.items(ROWS), predictions(*"ABBC")[:3]
    with pytest.raises(PredictionError, match="validation_Math_1"):
        score(mmmu, items, some, "official")
    result = document(score(mmmu, items, some, "official", allow_missing=True))
    assert (result["counts"]["missing"], result["counts"]["unparsed"], result["n"]) == (1, 1, 4)
    assert result["figures"]["overall"]["mean"] == 0.75


def test_a_failed_verdict_is_an_error_and_in_no_figure() -> None:
    result = mixed("judge", judge=half_a_point)
    assert document(result)["counts"]["errors"] == 1
    overall = document(result)["figures"]["overall"]
    assert (overall["n"], overall["mean"]) == (3, 0.5)
    assert "NOT JUDGED: 1 items" in render(result)


def test_scores_without_any_verdict_are_refused() -> None:
    def failing(items: Sequence[Item], written: Sequence[Prediction]) -> list[Judgement]:
        return [Judgement(one.id, one.response, None, "unparsed", None, None, "server is down") for one in written]

    with pytest.raises(ScoreError, match="no prediction could be judged; the first says: server is down"):
        mixed("judge", judge=failing)


def test_the_judge_protocol_refuses_to_start_without_a_judge() -> None:
    with pytest.raises(ScoreError, match="needs a judge"):
        mixed("judge")


def test_a_protocol_that_the_benchmark_lacks_is_refused() -> None:
    with pytest.raises(ScoreError, match="local has no protocol 'official'; use strict or judge"):
        score(local, local.items([{"question": "?", "answer": "x"}]), [], "official")


def test_no_order_of_rows_matters(tmp_path: Path) -> None:
    figures = [
        {
            "category": category,
            "subcategory": "map",
            "visual_input": "1",
            "set_id": str(group),
            "figure_id": str(figure),
        }
        | {"question_id": str(question), "question": "Is it?", "gt_answer": str((group + figure + question) % 2)}
        for category in ("VD", "VS")
        for group in range(3)
        for figure in range(1, 3)
        for question in range(2)
    ]
    items = hallusionbench.items(figures)
    written = [Prediction(item.id, ("yes", "no", "well")[at % 3]) for at, item in enumerate(items)]
    for name in ("one", "other"):
        write(score(hallusionbench, items, written), tmp_path / name)
        random.Random(0).shuffle(items)
        random.Random(1).shuffle(written)
    for file in ("scores.json", "samples.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_the_fingerprints_tell_data_prompts_and_predictions_apart() -> None:
    def prints(rows: list[dict[str, Any]], responses: str) -> dict[str, str]:
        found: dict[str, str] = document(score(mmmu, mmmu.items(rows), predictions(*responses)))["fingerprints"]
        return found

    first = prints(ROWS, "ABBC")
    other_response = prints(ROWS, "ABBD")
    other_gold = prints([ROWS[0] | {"answer": "D"}, *ROWS[1:]], "ABBC")
    assert {name for name in first if first[name] != other_response[name]} == {"predictions"}
    assert {name for name in first if first[name] != other_gold[name]} == {"data"}


def test_everything_lies_on_the_disk_afterwards(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(json.dumps(ROWS))
    lines = [{"id": row["id"], "response": response} for row, response in zip(ROWS, "ABBD", strict=True)]
    (tmp_path / "predictions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "settings.json").write_text('{"max_new_tokens": 2048}')
    write(score_file(mmmu, tmp_path / "predictions.jsonl", data=str(tmp_path / "data.json")), tmp_path / "out")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (scores["benchmark"], scores["protocol"], scores["split"], scores["n"]) == (
        "mmmu",
        "strict",
        None,  # the file is not divided into splits
        4,
    )
    assert scores["settings"] == {"max_new_tokens": 2048}
    assert scores["figures"]["overall"]["n"] == 4
    assert scores["versions"]["numpy"]
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert samples[1] == {
        "id": "validation_Art_2",
        "response": "B",
        "answer": "B",
        "status": "parsed",
        "correct": True,
        "expected": 1.0,
        "error": "",
        "golds": ["B"],
        "cluster": "validation_Art_2",
        "groups": {"subject": "Art", "domain": "Art and Design"},
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["samples.jsonl", "scores.json"]


def test_the_table_shows_scores_baselines_and_what_became_of_the_answers() -> None:
    lines = render(mixed("official")).splitlines()
    assert lines[0].startswith("mmmu, official protocol (the authors' letter parse")
    assert next(line for line in lines if line.startswith("overall")).split()[:3] == ["overall", "4", "37.5"]
    assert next(line for line in lines if line.startswith("  Art   ")).split()[:3] == ["Art", "2", "62.5"]
    assert next(line for line in lines if line.startswith("always B")).split() == ["always", "B", "50.0"]
    assert lines[-2:] == [
        "answers: 2 parsed, 0 unparsed, 0 truncated, 2 fallback (worth 0.50 right answers)",
        "completions cut off: 1; missing predictions, counted wrong: 0",
    ]
