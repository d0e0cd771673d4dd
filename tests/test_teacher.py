"""What the base is taught to write: solutions end in the truth, questions have the Questioner's shape."""

import numpy as np
import pytest

from visplay.labels.answers import boxed
from visplay.pretrain import teacher
from visplay.roles import questioner
from visplay.worlds import grammar, scenes
from visplay.worlds.scenes import Scene, Thing

SCENE = Scene(
    "train",
    0,
    (
        Thing(0, 0, "small", "red", "7"),
        Thing(1, 1, "large", "red", "cross"),
        Thing(2, 0, "small", "green", "3"),
    ),
)


def solutions(text: str) -> set[str]:
    """Solutions that are taught for one question, without the box."""
    query = grammar.parse(text)
    assert query is not None
    taught = [teacher.solution(SCENE, query, np.random.default_rng(seed)) for seed in range(40)]
    assert len({boxed(solution) for solution in taught}) == 1
    return {solution.removeprefix("<think>").partition("</think>")[0] for solution in taught}


VERDICTS = {"yes", "no", "first", "second", "both"}


def lines(text: str) -> tuple[set[str], set[str]]:
    """The surveys and the searches among the solutions: only a survey says of each thing whether it is meant."""
    taught = solutions(text)
    surveys = {thoughts for thoughts in taught if VERDICTS & set(thoughts.replace(",", " ").split())}
    return surveys, taught - surveys


def named(thoughts: str) -> list[set[str]]:
    """The words with which each thing is named, in whatever order."""
    return [set(mention.split()) for mention in thoughts.replace(";", ",").split(",")]


DIGIT, CROSS, OTHER = {"northwest", "red", "7"}, {"center", "red", "cross"}, {"southwest", "green", "3"}


def test_a_search_names_the_things_that_are_meant_scanning_in_one_of_four_directions() -> None:
    _, searches = lines("How many red objects are there?")
    taught = [named(thoughts) for thoughts in searches]
    assert all(things in ([DIGIT, CROSS], [CROSS, DIGIT]) for things in taught)
    assert [DIGIT, CROSS] in taught and [CROSS, DIGIT] in taught


def test_a_survey_goes_through_all_things_and_says_of_each_whether_it_is_meant() -> None:
    surveys, _ = lines("How many red objects are there?")
    expected = [DIGIT | {"yes"}, CROSS | {"yes"}, OTHER | {"no"}]
    assert surveys
    for thoughts in surveys:
        assert sorted(map(sorted, named(thoughts))) == sorted(map(sorted, expected))


def test_a_survey_tells_two_noun_phrases_apart() -> None:
    surveys, _ = lines("Are there more red objects than digits?")
    expected = [DIGIT | {"both"}, CROSS | {"first"}, OTHER | {"second"}]
    assert surveys
    for thoughts in surveys:
        assert sorted(map(sorted, named(thoughts))) == sorted(map(sorted, expected))


def test_one_question_is_thought_about_in_many_ways() -> None:
    assert len(solutions("How many red objects are there?")) > 12


def test_a_solution_names_the_size_only_where_the_question_does() -> None:
    assert {"large" in thoughts for thoughts in solutions("What color is the large cross?")} == {True}
    assert {"large" in thoughts for thoughts in solutions("What color is the cross?")} == {False}


def test_a_solution_adds_up_as_it_goes() -> None:
    for taught in lines("What is the sum of the digits?"):
        mentions = [thoughts.split(",") for thoughts in taught]
        totals = {tuple(m.rpartition(" total ")[2] for m in row if " total " in m) for row in mentions}
        assert totals == {("7", "10"), ("3", "10")}


def test_a_solution_keeps_the_largest_so_far() -> None:
    taught = solutions("What color is the largest digit? (A) red (B) blue (C) green (D) white")
    mentions = [thoughts.partition(";")[0].split(",") for thoughts in taught]
    largest = {tuple(m.rpartition(" largest ")[2] for m in row if " largest " in m) for row in mentions}
    assert largest == {("7", "7"), ("3", "7")}


def test_a_search_says_that_nothing_fits() -> None:
    _, searches = lines("Is there a circle?")
    assert searches == {" none"}


@pytest.mark.parametrize(
    ("question", "conclusion"),
    [
        ("Is a cross above a green digit?", "center, south"),
        ("Is a cross left of a green digit?", "center, west"),
        ("Is a cross above a circle?", "center, none"),
        ("Is a circle right of a square?", "none, none"),
        ("Is a digit above a red object?", "north, center"),  # the highest digit, the lowest red object
        ("Is a digit below a red object?", "south, north"),
        ("Where is the 7? (A) north (B) northwest (C) east (D) west", "(A) north no, (B) northwest yes"),
        (
            "Where is the 7? (A) north (B) south (C) east (D) west",
            "(A) north no, (B) south no, (C) east no, (D) west no",
        ),
        ("Where is the digit? (A) north (B) northwest (C) east (D) west", "none"),  # two digits
        (
            "What color is the smallest digit? (A) red (B) blue (C) green (D) white",
            "(A) red no, (B) blue no, (C) green yes",
        ),
    ],
)
def test_a_solution_concludes_before_it_answers(question: str, conclusion: str) -> None:
    assert {thoughts.rpartition("; ")[2] for thoughts in solutions(question)} == {conclusion}


@pytest.mark.parametrize("family", grammar.FAMILIES)
def test_a_solution_boxes_the_truth(family: str) -> None:
    rng = np.random.default_rng(0)
    for scene in scenes.scenes("train", 0, 50):
        query = grammar.ask(scene, family, rng)
        assert boxed(teacher.solution(scene, query, rng)) == grammar.truth(scene, query)


@pytest.mark.parametrize("family", grammar.FAMILIES)
def test_a_taught_question_is_parsed_with_its_type_and_answer(family: str) -> None:
    rng = np.random.default_rng(0)
    for scene in scenes.scenes("train", 0, 50):
        query = grammar.ask(scene, family, rng)
        asked = questioner.parse(teacher.asking(scene, query, rng), "image")
        assert asked is not None
        assert (asked.type, asked.text) == (grammar.FAMILIES[family], grammar.write(query))
        assert (asked.choices, asked.own_answer) == (query.choices, grammar.truth(scene, query))


def test_a_question_is_asked_after_a_look_at_everything() -> None:
    query = grammar.parse("How many red objects are there?")
    assert query is not None
    taught = [teacher.asking(SCENE, query, np.random.default_rng(seed)) for seed in range(40)]
    looks = {completion.removeprefix("<think>").partition("</think>")[0] for completion in taught}
    assert len(looks) > 6
    for look in looks:
        assert sorted(map(sorted, named(look))) == sorted(map(sorted, [DIGIT, CROSS, OTHER]))
