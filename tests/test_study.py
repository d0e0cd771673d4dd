"""The controls replace answers and nothing else, and the table says what the runs hold."""

import json
from pathlib import Path

import pytest

from visplay.recipe import PoolSettings, Recipe, RecipeError
from visplay.records import Ballot, Question, SilverAnswer
from visplay.study import ILL_POSED, OUTSIDE, check, shuffled, table, true
from visplay.worlds.scenes import Scene, Thing

SCENE = Scene("pool", 0, (Thing(0, 0, "small", "red", "7"), Thing(2, 2, "large", "red", "circle")))


def row(number: int, text: str, answer: str, kind: str = "numerical", dropped: str | None = None) -> SilverAnswer:
    question = Question(str(number), "image", kind, text)  # type: ignore[arg-type]
    ballot = Ballot((answer,), answer, 1.0, tied=False, parsed=1)
    return SilverAnswer("image", question, ballot, dropped, "questioner", "reasoner")


def answers(rows: list[SilverAnswer]) -> list[str | None]:
    return [row.ballot.answer if row.ballot else None for row in rows]


def test_shuffling_deals_the_kept_answers_of_a_type_out_anew() -> None:
    numbers = [row(i, f"How many {i}s are there?", str(i)) for i in range(20)]
    words = [row(i, "Is there a 7?", ("yes", "no")[i % 2], "multiple_choice") for i in range(20)]
    dealt = shuffled([*numbers, *words], lambda _: SCENE)
    assert answers(dealt[:20]) != answers(numbers)
    assert sorted(map(str, answers(dealt[:20]))) == sorted(map(str, answers(numbers)))
    assert sorted(map(str, answers(dealt[20:]))) == sorted(map(str, answers(words)))
    assert [each.question for each in dealt] == [each.question for each in [*numbers, *words]]


def test_shuffling_leaves_dropped_rows_alone() -> None:
    rows = [row(0, "How many 1s are there?", "1", dropped="too easy"), row(1, "How many 2s are there?", "2")]
    assert shuffled(rows, lambda _: SCENE) == rows


def test_true_labels_come_from_the_scene_and_rows_without_one_are_dropped() -> None:
    rows = [
        row(0, "How many red objects are there?", "5"),
        row(1, "What color is the square?", "red", "short_text"),
        row(2, "How old is the circle?", "3"),
        row(3, "How many red objects are there?", "5", dropped="too easy"),
    ]
    corrected = true(rows, lambda _: SCENE)
    assert answers(corrected) == ["2", "red", "3", "5"]
    assert [each.dropped for each in corrected] == [None, ILL_POSED, OUTSIDE, "too easy"]


def test_a_true_unanswerable_stays_and_a_needless_one_is_put_right() -> None:
    rows = [
        row(0, "What color is the square?", "unanswerable", "short_text"),
        row(1, "What color is the circle?", "unanswerable", "short_text"),
    ]
    corrected = true(rows, lambda _: SCENE)
    assert answers(corrected) == ["unanswerable", "red"]
    assert [each.dropped for each in corrected] == [None, None]


def test_the_table_gives_mean_and_spread_of_the_last_row_minus_the_base(tmp_path: Path) -> None:
    for seed, last in enumerate((0.66, 0.70)):
        figures = ({"greedy": 0.60, "greedy_reasoned": 0.60, "one_sample": 0.5, "majority": 0.64}, last)
        base, final = figures[0], dict.fromkeys(figures[0], figures[1])
        run = tmp_path / f"silver_{seed}"
        run.mkdir()
        (run / "scores.json").write_text(json.dumps({"rows": [base, final]}))
    line = table(tmp_path, ["silver"], [0, 1], iterations=1).splitlines()[-1]
    # (6.0 + 10.0) / 2 = 8.0; sample standard deviation of 6 and 10 is 2.83
    assert line == "| silver | 2 | 60.0 ± 0.0 | 68.0 ± 2.8 | +8.0 ± 2.8 | +8.0 ± 2.8 | +18.0 ± 2.8 | +4.0 ± 2.8 |"


def test_the_table_names_runs_that_are_not_finished(tmp_path: Path) -> None:
    (tmp_path / "true_0").mkdir()
    (tmp_path / "true_0" / "scores.json").write_text(json.dumps({"rows": [{"greedy": 0.5}]}))
    assert table(tmp_path, ["true"], [0, 1], iterations=2).splitlines()[-1] == "true: 2 of 2 runs are not finished"


def test_a_study_without_known_answers_is_refused() -> None:
    with pytest.raises(RecipeError) as refusal:
        check(Recipe(model="base", pool=PoolSettings(source="photos")))
    assert [problem.partition(":")[0] for problem in refusal.value.problems] == ["pool.source", "evaluation.world"]


@pytest.mark.parametrize("control", [shuffled, true])
def test_controls_survive_an_iteration_without_rows(control) -> None:  # type: ignore[no-untyped-def]
    assert control([], lambda _: SCENE) == []
