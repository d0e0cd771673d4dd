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


def named(thoughts: str) -> list[set[str]]:
    """The words with which each thing is named, in whatever order."""
    return [set(mention.split()) for mention in thoughts.replace(";", ",").split(",")]


def test_a_solution_names_the_evidence_in_any_order() -> None:
    digit, cross = {"northwest", "red", "7"}, {"center", "red", "cross"}
    taught = [named(thoughts) for thoughts in solutions("How many red objects are there?")]
    assert all(things in ([digit, cross], [cross, digit]) for things in taught)
    assert [digit, cross] in taught and [cross, digit] in taught


def test_one_question_is_thought_about_in_many_ways() -> None:
    assert len(solutions("How many red objects are there?")) > 4


def test_a_solution_names_the_size_only_where_the_question_does() -> None:
    assert {"large" in thoughts for thoughts in solutions("What color is the large cross?")} == {True}
    assert {"large" in thoughts for thoughts in solutions("What color is the cross?")} == {False}


def test_a_solution_adds_up_as_it_goes() -> None:
    taught = [thoughts.split(",") for thoughts in solutions("What is the sum of the digits?")]
    totals = {tuple(mention.rpartition(" total ")[2] for mention in mentions) for mentions in taught}
    assert totals == {("7", "10"), ("3", "10")}


def test_a_solution_says_that_nothing_fits() -> None:
    taught = solutions("Is the cross above the circle?")
    assert [named(thoughts) for thoughts in taught] == [[{"center", "red", "cross"}, {"none"}]] * len(taught)


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
        asked = questioner.parse(teacher.asking(scene, query), "image")
        assert asked is not None
        assert (asked.type, asked.text) == (grammar.FAMILIES[family], grammar.write(query))
        assert (asked.choices, asked.own_answer) == (query.choices, grammar.truth(scene, query))
