"""What the base is taught to write: solutions end in the truth, questions have the Questioner's shape."""

import numpy as np
import pytest

from visplay.labels.answers import boxed
from visplay.roles import questioner
from visplay.worlds import grammar, scenes, teacher
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
    """Every solution that is taught for one question."""
    query = grammar.parse(text)
    assert query is not None
    return {teacher.solution(SCENE, query, np.random.default_rng(seed)) for seed in range(20)}


def test_a_solution_names_the_evidence_in_any_order() -> None:
    assert solutions("How many red objects are there?") == {
        r"<think> top left red 7, middle center red cross</think>\boxed{2}",
        r"<think> middle center red cross, top left red 7</think>\boxed{2}",
    }


def test_a_solution_adds_up_as_it_goes() -> None:
    assert solutions("What is the sum of the small digits?") == {
        r"<think> top left small red 7 total 7, bottom left small green 3 total 10</think>\boxed{10}",
        r"<think> bottom left small green 3 total 3, top left small red 7 total 10</think>\boxed{10}",
    }


def test_a_solution_says_that_nothing_fits() -> None:
    assert solutions("Is the cross above the circle?") == {
        r"<think> middle center red cross; none</think>\boxed{unanswerable}"
    }


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
