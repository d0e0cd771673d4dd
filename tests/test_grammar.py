"""Questions about scenes: truths by hand, reading back what was written, and two derivations of truth that agree."""

from collections import Counter

import numpy as np
import pytest
import second_truth

from visplay.records import UNANSWERABLE
from visplay.roles.questioner import question
from visplay.worlds import grammar, scenes
from visplay.worlds.grammar import FAMILIES, Phrase, Query, parse, truth, write
from visplay.worlds.scenes import Scene, Thing

SCENE = Scene(
    "heldout",
    0,
    (
        Thing(0, 0, "small", "red", "7"),
        Thing(0, 2, "large", "blue", "circle"),
        Thing(1, 1, "large", "red", "cross"),
        Thing(2, 0, "small", "green", "3"),
        Thing(2, 2, "large", "blue", "7"),
    ),
)
NO_DIGITS = Scene("heldout", 1, (Thing(0, 0, "small", "red", "square"), Thing(2, 1, "large", "white", "square")))

TRUTHS = {
    "kind": {
        "What is in the northwest?": "7",
        "What is in the northeast?": "circle",
        "What is in the center?": "cross",
        "What is in the southwest?": "3",
        "What is in the north?": UNANSWERABLE,  # nothing is
    },
    "color": {
        "What color is the circle?": "blue",
        "What color is the small 7?": "red",
        "What color is the 7?": UNANSWERABLE,  # there are two
        "What color is the triangle?": UNANSWERABLE,
        "What color is the small object?": UNANSWERABLE,
    },
    "read": {
        "What is the smallest digit?": "3",
        "What is the largest digit?": "7",  # there are two: a tie has one value
        "What is the largest small digit?": "7",
        "What is the smallest large blue digit?": "7",
        "What is the largest green digit?": "3",
        "What is the smallest white digit?": UNANSWERABLE,
    },
    "exists": {
        "Is there a red cross?": "yes",
        "Is there a 7?": "yes",
        "Is there a large digit?": "yes",
        "Is there a small circle?": "no",
        "Is there a small blue digit?": "no",
        "Is there a yellow object?": "no",
    },
    "count": {
        "How many objects are there?": "5",
        "How many large objects are there?": "3",
        "How many 7s are there?": "2",
        "How many crosses are there?": "1",
        "How many small red digits are there?": "1",
        "How many squares are there?": "0",
    },
    "choice": {
        "Where is the cross? (A) northwest (B) center (C) northeast (D) southwest": "B",
        "Where is the large 7? (A) southeast (B) northwest": "A",
        "Where is the 7? (A) northwest (B) southeast": UNANSWERABLE,  # there are two
        "Where is the square? (A) northwest (B) southeast": UNANSWERABLE,
        "Where is the circle? (A) northwest (B) north": UNANSWERABLE,  # the right option is missing
        "What color is the smallest digit? (A) red (B) blue (C) yellow (D) green": "D",
        "What color is the smallest digit? (A) red (B) blue": UNANSWERABLE,
        "What color is the largest digit? (A) red (B) blue (C) yellow (D) green": UNANSWERABLE,  # a tie
    },
    "relation": {
        "Is a cross above a 3?": "yes",
        "Is a 3 below a cross?": "yes",
        "Is a circle left of a cross?": "no",
        "Is a circle right of a small 7?": "yes",
        "Is a circle above a small 7?": "no",  # the same row
        "Is a 3 left of a small red object?": "no",  # the same column
        "Is a 7 below a 3?": "no",  # one above, one in the same row
        "Is a 7 above a 3?": "yes",  # one of the two is
        "Is a 7 right of a 7?": "yes",
        "Is a cross left of a large red object?": "no",  # it is the only one
        "Is a triangle above a 3?": "no",  # nothing is a triangle
    },
    "compare": {
        "Are there more digits than blue objects?": "yes",
        "Are there more blue objects than red objects?": "no",  # as many
        "Are there more triangles than squares?": "no",  # none of either
        "Are there more crosses than 7s?": "no",
    },
    "sum": {
        "What is the sum of the digits?": "17",
        "What is the sum of the small digits?": "10",
        "What is the sum of the large blue digits?": "7",
        "What is the sum of the yellow digits?": UNANSWERABLE,
    },
}
YES_NO = ("exists", "relation", "compare")
CASES = [(family, text, answer) for family, answers in TRUTHS.items() for text, answer in answers.items()]


def asked(count: int, unanswerable_share: float = 0.1) -> list[tuple[Scene, Query]]:
    """A question of every family about each of `count` scenes."""
    rng = np.random.default_rng(0)
    return [
        (scene, grammar.ask(scene, family, rng, unanswerable_share))
        for scene in scenes.scenes("validation", 0, count)
        for family in FAMILIES
    ]


def test_all_families_are_tried_by_hand() -> None:
    assert TRUTHS.keys() == FAMILIES.keys()


@pytest.mark.parametrize(("family", "text", "answer"), CASES)
def test_truth_by_hand(family: str, text: str, answer: str) -> None:
    query = parse(text)
    assert query is not None
    assert (query.family, truth(SCENE, query)) == (family, answer)


def test_the_second_derivation_by_hand() -> None:
    base = second_truth.table(SCENE)
    assert [second_truth.answer(base, text) for _, text, _ in CASES] == [answer for _, _, answer in CASES]


@pytest.mark.parametrize(
    "text",
    [
        "What is the largest red digit?",
        "What is the sum of the digits?",
        "What color is the largest digit? (A) red (B) white",
        "What color is the square?",
    ],
)
def test_what_presupposes_a_digit_or_one_square_cannot_be_answered_without(text: str) -> None:
    query = parse(text)
    assert query is not None and truth(NO_DIGITS, query) == UNANSWERABLE
    assert second_truth.answer(second_truth.table(NO_DIGITS), text) == UNANSWERABLE


def test_two_derivations_of_truth_agree_on_thousands_of_questions() -> None:
    families: Counter[str] = Counter()
    ill_posed: Counter[str] = Counter()
    bases = {scene: second_truth.table(scene) for scene in scenes.scenes("validation", 0, 300)}
    for scene, query in asked(300, unanswerable_share=0.3):
        text, answer = write(query), truth(scene, query)
        assert second_truth.answer(bases[scene], text) == answer, (scene, text)
        families[query.family] += 1
        ill_posed[query.family] += answer == UNANSWERABLE
    assert families == dict.fromkeys(FAMILIES, 300)
    assert all(ill_posed[family] >= 50 for family in ("kind", "color", "read", "choice", "sum"))


def test_what_is_written_is_read_back() -> None:
    for _, query in asked(60):
        assert parse(write(query)) == query


def test_every_written_question_has_the_shape_that_the_questioner_needs() -> None:
    for _, query in asked(30):
        shaped = question("image", FAMILIES[query.family], write(query))
        assert shaped is not None and shaped.choices == query.choices


def test_a_query_is_read_from_english() -> None:
    assert parse("Is a large cross left of a red 7?") == Query(
        "relation", (Phrase("large", None, "cross"), Phrase(None, "red", "7")), "left of"
    )
    assert parse("Where is the digit? (A) northwest, (B) southeast;") == Query(
        "choice", (Phrase(noun="digit"),), None, ("northwest", "southeast")
    )


@pytest.mark.parametrize("noun", ["cross", "crosses", "crosss"])
def test_singular_and_plural_mean_the_same(noun: str) -> None:
    assert parse(f"How many red {noun} are there?") == Query("count", (Phrase(color="red", noun="cross"),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is in the corner?",
        "What is in the north west?",
        "What is in the eastnorth?",
        "What is at the northwest?",
        "what is in the northwest?",
        "What color is the purple circle?",
        "What color is the circle",
        "What is the largest 7?",
        "What is the largest digits?",
        "Is the circle above the cross?",
        "Is there a 10?",
        "Is there a circle red?",
        "Is there a red circle? (A) yes (B) no",
        "Look! Is there a red circle?",
        "Is a circle near a cross?",
        "What is the sum of the circles?",
        "Where is the circle?",
        "Where is the circle? northwest or northeast",
        "Where is the circle? (A) northwest",
        "Where is the circle? (B) northwest (A) northeast",
        "Where is the circle? (A) a (B) b (C) c (D) d (A) e",
    ],
)
def test_what_is_not_in_the_grammar_is_not_read(text: str) -> None:
    assert parse(text) is None


def test_questions_depend_on_the_generator_only() -> None:
    assert asked(5) == asked(5)


def test_yes_and_no_are_equally_likely() -> None:
    answers = Counter((query.family, truth(scene, query)) for scene, query in asked(300) if query.family in YES_NO)
    for family in YES_NO:
        assert abs(answers[family, "yes"] - answers[family, "no"]) < 60


@pytest.mark.parametrize("family", FAMILIES)
def test_a_share_of_zero_asks_only_what_can_be_answered(family: str) -> None:
    drawn = [grammar.ask(SCENE, family, np.random.default_rng(i), 0.0, tries=60) for i in range(20)]
    assert UNANSWERABLE not in {truth(SCENE, query) for query in drawn}


@pytest.mark.parametrize("family", ["kind", "color", "read", "choice", "sum"])
def test_a_share_of_one_asks_what_cannot_be_answered(family: str) -> None:
    drawn = [grammar.ask(SCENE, family, np.random.default_rng(i), 1.0, tries=60) for i in range(20)]
    assert {truth(SCENE, query) for query in drawn} == {UNANSWERABLE}
