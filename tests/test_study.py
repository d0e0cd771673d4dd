"""Controls replace answers and nothing else, study files are read or refused, tables say what the runs hold."""

import json
from pathlib import Path

import pytest

from visplay.recipe import Recipe, RecipeError
from visplay.records import Ballot, Question, SilverAnswer
from visplay.study import Setting, Study, read_study, tables
from visplay.study.controls import ILL_POSED, OUTSIDE, shuffled, true
from visplay.worlds.scenes import Scene, Thing

RECIPES = Path(__file__).parents[1] / "recipes"
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


def study(tmp_path: Path, text: str, *overrides: str) -> Study:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    return read_study(file, overrides)


def scores(greedy: float, **other: object) -> dict[str, object]:
    labels = {"kept": 30, "candidates": 100, "silver_accuracy": 0.6, "well_posed_accuracy": 0.7, "votes": 1000}
    labels |= {
        "ill_posed_share": 0.1,
        "distinct_kept": 0.9,
        "blind_share_kept": 0.4,
        "second_votes": 100,
    }
    accuracies = dict.fromkeys(("greedy", "greedy_reasoned", "one_sample", "majority"), greedy)
    return accuracies | labels | {"iteration": 1, "blind_votes": 90, "audit_votes": 60, "trust_auroc": 0.8} | other


def leave(setting: Setting, out: Path, seed: int, *rows: dict[str, object]) -> None:
    folder = setting.folder(out, seed)
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps({"rows": rows}))


def test_a_study_lays_its_changes_and_then_the_commands_over_its_recipes(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text((RECIPES / "smoke.yaml").read_text())
    read = study(
        tmp_path,
        f"recipe: {RECIPES / 'tiny.yaml'}\nseeds: [4, 5]\nset: [labels.votes=7]\nsettings:\n  as it is: {{}}\n"
        "  true answers: {control: 'true', recipe: other.yaml, set: [labels.votes=5, iterations=9]}\n",
        "iterations=1",
    )
    plain, controlled = read.settings
    assert (plain.name, plain.control, plain.recipe.ask.images, plain.recipe.labels.votes) == (
        "as it is",
        None,
        3000,
        7,
    )
    assert (controlled.control, controlled.recipe.ask.images, controlled.recipe.labels.votes) == ("true", 48, 5)
    assert (plain.recipe.iterations, controlled.recipe.iterations, read.seeds) == (1, 1, (4, 5))
    assert controlled.folder(tmp_path, 4) == tmp_path / "true-answers_4"
    assert [setting.name for setting in read.only(["true answers"], [7]).settings] == ["true answers"]
    assert read.only(None, [7]).seeds == (7,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("settings: {a: {}}", "a: recipe: missing"),
        ("recipe: TINY", "settings: none"),
        ("recipe: TINY\nsettings: {a: {control: random}}", "a: control: 'random' is not one of shuffled, true"),
        ("recipe: TINY\nsettings: {a: {set: [labels.vote=3]}}", "a: labels.vote: unknown key"),
        ("recipe: TINY\nsettings: {a: {set: [pool.source=photos]}}", "a: pool.source: photos has no known answers"),
        ("recipe: TINY\nsettings: {a: {set: [evaluation.world=null]}}", "a: evaluation.world: null measures nothing"),
        ("recipe: TINY\nseed: [1]\nsettings: {a: {}}", "not a study: Key 'seed'"),
        ("- 1", "not a study"),
        ("a: [", "not a study"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused_by_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        study(tmp_path, text.replace("TINY", str(RECIPES / "tiny.yaml")))
    assert problem in refusal.value.problems[0]


def test_an_unknown_setting_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="tru: no such setting; the study has true"):
        study(tmp_path, f"recipe: {RECIPES / 'tiny.yaml'}\nsettings: {{'true': {{}}}}").only(["tru"], None)


@pytest.fixture
def two_iterations(tmp_path: Path) -> Study:
    return study(tmp_path, f"recipe: {RECIPES / 'tiny.yaml'}\nseeds: [0, 1]\nsettings: {{silver: {{}}}}")


def test_the_tables_give_mean_and_spread_over_the_seeds(tmp_path: Path, two_iterations: Study) -> None:
    (setting,) = two_iterations.settings
    last = {"silver_accuracy": 0.5, "gain_parts": {"answers": [0.03, 0, 0.1], "abstention": [0.02, 0, 0.1]}}
    leave(setting, tmp_path, 0, scores(0.60), scores(0.62), scores(0.66, kept=20, **last))
    leave(setting, tmp_path, 1, scores(0.60), scores(0.64, silver_accuracy=0.7), scores(0.70, **last))
    labels, gains = (table.splitlines()[-1] for table in tables(two_iterations, tmp_path).split("\n\n"))
    # .6 and .7: mean .65, standard deviation .0707; 20 and 30 of 100: 25 and 7.07; 250 votes beyond 1,000
    assert labels.startswith("| silver | 2 | 30.0 ± 0.0 → 25.0 ± 7.1 | 65.0 ± 7.1 → 50.0 ± 0.0 | 70.0 ± 0.0")
    assert labels.endswith("| 40.0 ± 0.0 → 40.0 ± 0.0 | 90.0 ± 0.0 → 90.0 ± 0.0 | 25.0 ± 0.0 → 25.0 ± 0.0 |")
    # (6.0 + 10.0) / 2 = 8.0; sample standard deviation of 6 and 10 is 2.83
    change, parts = "+8.0 ± 2.8", "+3.0 ± 0.0 | +2.0 ± 0.0 | -"
    others = " | ".join([change] * 3)
    assert gains == f"| silver | 2 | 60.0 ± 0.0 | 63.0 ± 1.4, 68.0 ± 2.8 | {change} | {parts} | {others} | +6.0 |"


def test_a_run_counts_by_the_checkpoint_that_its_guard_takes(tmp_path: Path, two_iterations: Study) -> None:
    (setting,) = two_iterations.settings
    half = {"gain_parts": {"answers": [0.04, 0, 0.1]}}
    ended = {"best": 0, "decision": "the loop ends; the base is the best"}
    leave(setting, tmp_path, 0, scores(0.60, iteration=0), scores(0.40, guard=ended))
    leave(setting, tmp_path, 1, scores(0.60), scores(0.70, guard={"best": 1}, **half), scores(0.50, guard={"best": 1}))
    gains = tables(two_iterations, tmp_path).splitlines()[-1]
    assert gains.startswith("| silver | 2 | 60.0 ± 0.0 | 65.0 ± 7.1, 65.0 ± 7.1 | +5.0 ± 7.1 | +2.0 ± 2.8 | ")
    assert gains.endswith("| +0.0 |")


def test_runs_that_are_not_finished_are_named_and_left_out(tmp_path: Path, two_iterations: Study) -> None:
    (setting,) = two_iterations.settings
    leave(setting, tmp_path, 0, scores(0.5), scores(0.6))
    assert tables(two_iterations, tmp_path) == "silver: 2 of 2 runs are not finished"


@pytest.mark.parametrize("control", [shuffled, true])
def test_controls_survive_an_iteration_without_rows(control) -> None:  # type: ignore[no-untyped-def]
    assert control([], lambda _: SCENE) == []


@pytest.mark.parametrize("path", sorted((RECIPES / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_are_shipped_can_be_made(path: Path) -> None:
    shipped = read_study(path)
    assert len(shipped.settings) >= 3 and shipped.seeds == (0, 1, 2)
    assert len({setting.folder(Path(), 0) for setting in shipped.settings}) == len(shipped.settings)
    assert all(images_needed(setting.recipe) <= setting.recipe.pool.world_images for setting in shipped.settings)


def images_needed(recipe: Recipe) -> int:
    trained = recipe.questioner.steps * recipe.questioner.images_per_step if recipe.questioner.train else 0
    return recipe.iterations * (trained + recipe.ask.images)
