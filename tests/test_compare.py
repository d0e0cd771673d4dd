"""Comparing two scored folders: hand-computed differences, and refusals of what cannot be compared."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from test_hallusionbench import ITEMS as YES_NO_ITEMS

from visplay.evaluation.benchmarks import hallusionbench, mmmu
from visplay.evaluation.compare import CompareError, Comparison, Paired, compare, pairs, render
from visplay.evaluation.files import write
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.scoring import score

ROWS: list[dict[str, Any]] = [
    {"id": f"validation_{subject}_{number}", "question": "?", "question_type": "multiple-choice"}
    | {"options": "['one', 'two', 'three', 'four']", "answer": "A"}
    for subject in ("Art", "Math")
    for number in range(1, 5)
]
UNREAD = "no idea"


def scored(folder: Path, responses: str | Sequence[str], rows: Sequence[dict[str, Any]] = ROWS, **more: Any) -> Path:
    """A folder with the official score of these responses to the rows, in their order."""
    items = mmmu.items(rows)
    predictions = [Prediction(item.id, response) for item, response in zip(items, responses, strict=False)]
    write(score(mmmu, items, predictions, **{"protocol": "official", **more}), folder)
    return folder


def figure(result: Comparison, *name: str) -> Paired:
    return next(one for one in result.figures if one.name == name)


def test_counts_difference_and_p_by_hand(tmp_path: Path) -> None:
    # Art: B gains 3. Math: B loses 1. Four coins, one of them tails: p = 2 (1 + 4) / 16.
    result = compare(scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB"))
    overall = figure(result, "overall")
    assert (overall.n, overall.a, overall.b) == (8, 0.25, 0.5)
    assert (overall.gained, overall.lost, overall.difference.mean) == (3, 1, 0.25)
    assert overall.exact and overall.p == pytest.approx(0.625)
    assert overall.difference.low < 0.25 < overall.difference.high


def test_groups_are_compared_alone(tmp_path: Path) -> None:
    result = compare(scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB"))
    art, math = figure(result, "subject", "Art"), figure(result, "subject", "Math")
    assert (art.n, art.gained, art.lost, art.difference.mean) == (4, 3, 0, 0.75)
    assert (math.n, math.gained, math.lost, math.difference.mean) == (4, 0, 1, -0.25)
    assert (art.p, math.p) == (pytest.approx(0.25), 1.0)


def test_sides_swapped_swap_the_sign(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB")
    there, back = figure(compare(a, b), "overall"), figure(compare(b, a), "overall")
    assert (there.gained, there.lost, there.difference.mean) == (back.lost, back.gained, -back.difference.mean)
    assert there.p == back.p


def test_folders_of_runs_are_compared_benchmark_by_benchmark(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a" / "mmmu", "BBBAABBB"), scored(tmp_path / "b" / "mmmu", "AAAABBBB")
    assert pairs(tmp_path / "a", tmp_path / "b") == pairs(a, b) == [(a, b)]
    scored(tmp_path / "a" / "mathverse", "BBBAABBB")
    with pytest.raises(CompareError, match="b/mathverse holds no whole score"):
        [compare(*pair) for pair in pairs(tmp_path / "a", tmp_path / "b")]


def test_the_same_answers_are_no_difference(tmp_path: Path) -> None:
    result = compare(scored(tmp_path / "a", "AABBAABB"), scored(tmp_path / "b", "AABBAABB"))
    overall = figure(result, "overall")
    assert (overall.difference.mean, overall.difference.low, overall.p) == (0.0, -overall.difference.high, 1.0)
    assert 0.0 < overall.difference.high < 0.5  # eight answers alike do not make it certain
    assert "both score the same predictions" in render(result)


def test_parts_of_a_point_are_no_coins(tmp_path: Path) -> None:
    # Fallbacks on four options are worth 1/4: eight gains of 3/4, whose signs agree in 2 of 256 draws.
    result = compare(scored(tmp_path / "a", [UNREAD] * 8), scored(tmp_path / "b", "AAAAAAAA"))
    overall = figure(result, "overall")
    assert (overall.difference.mean, overall.gained, overall.exact) == (0.75, 8, False)
    assert overall.p == pytest.approx(2 / 256, abs=0.003)


def test_items_without_a_verdict_on_one_side_are_left_out_of_both(tmp_path: Path) -> None:
    def judge(items: Sequence[Item], written: Sequence[Prediction]) -> list[Judgement]:
        values = {"A": 1.0, "B": 0.0, "-": None}
        return [
            Judgement(item.id, one.response, None, "parsed", None, values[one.response], "failed")
            for item, one in zip(items, written, strict=True)
        ]

    how = {"protocol": "judge", "judge": judge}
    result = compare(scored(tmp_path / "a", "-BBBBBBB", **how), scored(tmp_path / "b", "AA-BBBBB", **how))
    overall = figure(result, "overall")
    assert (result.unjudged, overall.n, overall.gained) == (2, 6, 1)
    assert "2 items without a verdict on one side are left out on both" in render(result)


def verdicts(folder: Path, given: Sequence[int]) -> Path:
    predictions = [
        Prediction(item.id, "So it seems.", verdict=one) for item, one in zip(YES_NO_ITEMS, given, strict=True)
    ]
    write(score(hallusionbench, YES_NO_ITEMS, predictions, "official"), folder)
    return folder


def test_an_average_of_shares_is_compared_with_its_clusters_whole(tmp_path: Path) -> None:
    # Over the figures, A has all wrong; B has 4/6 of the questions, 2/4 of the figures, 1/3 over figures: 1/2.
    # Of the two sets the first gains 7/12 alone, the second 1/3; both signs agree in half of the draws.
    result = compare(verdicts(tmp_path / "a", [0] * 7), verdicts(tmp_path / "b", [1, 1, 1, 2, 2, 1, 0]))
    overall = figure(result, "overall")
    assert overall.difference == pytest.approx((0.5, 1 / 3, 7 / 12))
    assert (overall.n, overall.gained, overall.lost, overall.exact) == (6, 4, 0, False)
    assert overall.p == pytest.approx(0.5, abs=0.02)


def test_each_share_of_an_average_weighs_alike_in_its_test(tmp_path: Path) -> None:
    # In the first set a figure of four is lost and a question of three over its figures gained: (1/3 - 1/4) / 3, not 0.
    # The second gains, too; two signs agree in half of the draws. Were the first worth nothing, in all of them.
    result = compare(verdicts(tmp_path / "a", [1, 1, 0, 0, 0, 0, 0]), verdicts(tmp_path / "b", [1, 0, 1, 0, 0, 1, 0]))
    assert figure(result, "overall").difference.mean == pytest.approx((1 / 6 + (1 - 1) / 4 + 1 / 3) / 3)
    assert figure(result, "overall").p == pytest.approx(0.5, abs=0.02)


def test_clustered_questions_are_not_tested_as_coins(tmp_path: Path) -> None:
    # Six questions gained on four figures and none lost: as coins p would be 2/64, as figures it is 2/16.
    result = compare(verdicts(tmp_path / "a", [0] * 7), verdicts(tmp_path / "b", [1, 1, 1, 1, 0, 1, 1]))
    questions = figure(result, "image", "aAcc")
    assert (questions.gained, questions.exact) == (6, False)
    assert questions.p == pytest.approx(2 / 16, abs=0.01)
    assert figure(result, "image", "fAcc").exact


def test_the_order_of_rows_and_predictions_does_not_matter(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB")
    backwards = scored(tmp_path / "c", "BBBBAAAA", ROWS[::-1])
    assert compare(a, backwards).figures == compare(a, b).figures


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"protocol": "strict"}, "differ in their protocol: 'official' and 'strict'"),
        ({"rows": ROWS[:7]}, "different data; only one has validation_Math_4"),
        ({"rows": [{**ROWS[0], "answer": "B"}, *ROWS[1:]]}, "different data, though of the same ids"),
        ({"facts": {"judge": "other"}}, "differ in their judge: None and 'other'"),
    ],
)
def test_what_is_not_alike_is_refused(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(CompareError, match=message):
        compare(scored(tmp_path / "a", "AAAAAAAA"), scored(tmp_path / "b", "AAAAAAAA", **how))


def test_two_benchmarks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="differ in their benchmark: 'mmmu' and 'hallusionbench'"):
        compare(scored(tmp_path / "a", "AAAAAAAA"), verdicts(tmp_path / "b", [1] * 7))


def test_a_folder_without_a_whole_score_is_named(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", "AAAAAAAA"), scored(tmp_path / "b", "AAAAAAAA")
    with pytest.raises(CompareError, match="nowhere holds no whole score"):
        compare(a, tmp_path / "nowhere")
    samples = (b / "samples.jsonl").read_text().splitlines(keepends=True)
    (b / "samples.jsonl").write_text("".join(samples[:-1]))
    with pytest.raises(CompareError, match="b holds 7 of 8 samples of 'mmmu'; score its predictions again"):
        compare(a, b)
    (b / "samples.jsonl").write_text("".join(samples[:-1]) + '{"id": "validation_Math_4"}\n')
    with pytest.raises(CompareError, match="b holds no whole sample of validation_Math_4"):
        compare(a, b)
    (b / "samples.jsonl").write_text("".join(samples[:-1]))
    (b / "scores.json").write_text(json.dumps({"benchmark": "nothing", "n": 7}))
    with pytest.raises(CompareError, match="7 of 7 samples of 'nothing'"):
        compare(a, b)


def test_other_settings_and_missing_answers_are_said(tmp_path: Path) -> None:
    a = scored(tmp_path / "a", "AAAAAAAA", facts={"settings": {"max_new_tokens": 64, "greedy": True}})
    b = scored(tmp_path / "b", "AAAA", facts={"settings": {"max_new_tokens": 2048, "greedy": True}}, allow_missing=True)
    said = render(compare(a, b))
    assert "note: only B says its settings\n" in render(compare(scored(tmp_path / "c", "AAAAAAAA"), b))
    assert "differ in their settings: max_new_tokens 64 and 2048\n" in said
    assert "B has 4 unparsed and 0 truncated answers, and 4 predictions are missing, counted wrong" in said


def test_another_state_of_the_scorer_is_said(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB")
    assert "scorer" not in render(compare(a, b))
    scores = json.loads((a / "scores.json").read_text())
    scores["fingerprints"]["scorer"] = "of last year"
    (a / "scores.json").write_text(json.dumps(scores))
    assert "note: the two differ in their scorer\n" in render(compare(a, b))


def test_the_table_reads_in_points(tmp_path: Path) -> None:
    said = render(compare(scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB")))
    row = next(line.split() for line in said.splitlines() if line.startswith("overall"))
    assert row[:5] == ["overall", "8", "25.0", "50.0", "+25.0"]
    assert row[-3:] == ["3", "1", "0.6250"]


def test_no_model_is_loaded(tmp_path: Path) -> None:
    a, b = scored(tmp_path / "a", "BBBAABBB"), scored(tmp_path / "b", "AAAABBBB")
    program = (
        "import sys; from pathlib import Path; from visplay.evaluation.compare import compare, render;"
        f"render(compare(Path({str(a)!r}), Path({str(b)!r})));"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
