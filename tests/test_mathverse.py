"""MathVerse: how its rows are read, its exact match, and its aggregation against hand-computed figures."""

from typing import Any

import pytest

from visplay.evaluation.benchmarks import mathverse
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures
from visplay.evaluation.items import Item, Prediction

ANGLE = "In triangle ABC, DE is parallel to BC. The size of angle CED is ()\nChoices:\nA:40°\nB:60°\nC:120°\nD:140°"
STRAW = "A can has a height of 13 cm and a radius of 3 cm. Find the length of the longest straw in it."


def row(index: int, problem: int, version: str, **changes: Any) -> dict[str, Any]:
    """Problem 1 has options, problem 2 has none; the texts shrink from version to version as the real ones do."""
    chosen = problem == 1
    hint = "provide the correct option letter" if chosen else "provide the final value"
    question = "" if version == "Vision Only" else ANGLE if chosen else STRAW
    subject, subfield = ("Plane Geometry", "Angle") if chosen else ("Solid Geometry", "Length")
    return {
        "sample_index": str(index),
        "problem_index": str(problem),
        "problem_version": version,
        "question": question,
        "image": "" if version == "Text Only" else f"images/{index}.png",
        "answer": "D" if chosen else "14",
        "question_type": "multi-choice" if chosen else "free-form",
        "metadata": {"split": "testmini", "source": "made up", "subject": subject, "subfield": subfield},
        "query_wo": f"Please directly answer the question and {hint}.\nQuestion: {question}",
        "query_cot": f"Please first conduct reasoning, and then {hint}.\nQuestion: {question}",
        **changes,
    }


ROWS = [
    row(5 * (problem - 1) + at, problem, name) for problem in (1, 2) for at, name in enumerate(mathverse.VERSIONS, 1)
]
TEXT_ONLY = [row(1, 1, "Text Only"), row(2, 2, "Text Only")]


def item(**changes: Any) -> Item:
    """The item of one row with the given columns, alone."""
    return mathverse.items([row(1, 1, "Text Lite", **changes)])[0]


def figures(rows: list[dict[str, Any]], responses: list[str]) -> Figures:
    items = mathverse.items(rows)
    predictions = [Prediction(one.id, response) for one, response in zip(items, responses, strict=True)]
    return mathverse.figures(items, [mathverse.official(*pair) for pair in zip(items, predictions, strict=True)])


def means(shares: Any) -> dict[str, float]:
    return {name: one.mean for name, one in shares.items()}


# Problem 1 is right in three versions, problem 2 in one; with nothing but the picture neither is.
RESPONSES = ["D", "D", "(D)", " D\n", "B", "14", "14 cm", "fourteen", "13", ""]


def test_figures_by_hand() -> None:
    found = figures(ROWS, RESPONSES)
    assert (found["overall"].n, found["overall"].mean) == (10, 0.4)
    assert means(found["version"]) == {
        "Text Dominant": 1.0,
        "Text Lite": 0.5,
        "Vision Intensive": 0.0,
        "Vision Dominant": 0.5,
        "Vision Only": 0.0,
    }
    assert means(found["subject"]) == {"Plane Geometry": 0.6, "Solid Geometry": 0.2}
    assert means(found["subfield"]) == {"Plane Geometry, Angle": 0.6, "Solid Geometry, Length": 0.2}
    assert "text only" not in found


def test_versions_stand_in_the_order_of_the_paper() -> None:
    assert list(figures(ROWS[::-1], RESPONSES[::-1])["version"]) == list(mathverse.VERSIONS)


def test_text_only_stands_outside_all_other_figures() -> None:
    found = figures(ROWS + TEXT_ONLY, RESPONSES + ["D", "13"])
    assert found["text only"].mean == 0.5
    assert {name: value for name, value in found.items() if name != "text only"} == figures(ROWS, RESPONSES)
    assert figures(TEXT_ONLY, ["D", "14"])["overall"].mean is None


def test_intervals_draw_problems() -> None:
    # Problems are right in 3 and 1 of five: drawn twice they give 0.6, 0.4 and 0.2.
    assert figures(ROWS, RESPONSES)["overall"].interval == pytest.approx((0.2, 0.6))


@pytest.mark.parametrize(
    ("response", "correct"),
    [("D", True), (" D\n", True), ("(D)", False), ("D.", False), ("d", False), ("D:140°", False), ("", False)],
)
def test_the_official_rule_is_equality_character_by_character(response: str, correct: bool) -> None:
    judgement = mathverse.official(item(), Prediction("1", response))
    assert judgement.correct is correct
    assert judgement.status == ("parsed" if response else "unparsed")


@pytest.mark.parametrize("gold", ["(B)", "090^\\circ T", "Area $=9 \\pi \\mathrm{cm}^{2}$", "C\nD"])
def test_the_official_rule_sees_the_gold_as_it_comes(gold: str) -> None:
    for kind in ("multi-choice", "free-form"):
        one = item(answer=gold, question_type=kind)
        assert mathverse.official(one, Prediction("1", gold)).correct
        assert not mathverse.official(one, Prediction("1", f"{gold}.")).correct


def test_the_official_rule_knows_no_plainer_form_of_the_gold() -> None:
    assert not mathverse.official(item(answer="(B)"), Prediction("1", "B")).correct


def test_a_gold_with_outer_spaces_is_matched_by_nothing() -> None:
    assert not mathverse.official(item(answer="777 ", question_type="free-form"), Prediction("1", "777 ")).correct


BEARINGS = "Find the true bearing.\nChoice:\nA. 090^\\circ T\nB. 180^\\circ T"


@pytest.mark.parametrize(
    ("question", "gold", "kind", "first", "choices"),
    [
        (ANGLE, "D", "choice", "D", ("40°", "60°", "120°", "140°")),
        (ANGLE, "(B)", "choice", "B", ("40°", "60°", "120°", "140°")),
        (BEARINGS, "090^\\circ T", "choice", "A", ("090^\\circ T", "180^\\circ T")),
        ("It is longer.\nChoices:\nA. True\nB. False", "False", "choice", "B", ("True", "False")),
        ("Which hold?\nChoices:\nA:\nB:It rises.\nC:", "B", "choice", "B", ("", "It rises.", "")),
        ("Choose 2 answers:\nChoices:\nA:1\nB:2\nC:3\nD:4", "C\nD", "choice", "C and D", ("1", "2", "3", "4")),
        ("Choose.", "C", "choice", "C", ()),
    ],
)
def test_options_and_their_golds(question: str, gold: str, kind: str, first: str, choices: tuple[str, ...]) -> None:
    one = item(question=question, answer=gold)
    assert (one.kind, one.golds[0], one.choices) == (kind, first, choices)


@pytest.mark.parametrize(
    ("gold", "kind", "first"),
    [
        ("14", "number", "14"),
        ("2191.7 metres", "number", "2191.7 metres"),
        ("35掳", "number", "35掳"),
        ("\\frac{9\\sqrt{3}}{2}", "number", "\\frac{9\\sqrt{3}}{2}"),
        ("Area $=113.1 \\mathrm{~cm}^{2}$", "number", "113.1 cm^{2}"),
        ("$5=s$", "number", "5"),
        ("=\\frac{7}{4}", "number", "\\frac{7}{4}"),
        ("Center $=(20,10)$", "text", "(20,10)"),
        ("$x^{2}+y^{2}=49$", "text", "$x^{2}+y^{2}=49$"),
        ("y=-2 x+5", "text", "y=-2 x+5"),
        ("(-2,1]", "text", "(-2,1]"),
        ("1:64", "text", "1:64"),
        ("even", "text", "even"),
    ],
)
def test_a_single_quantity_is_a_number_and_loses_its_name(gold: str, kind: str, first: str) -> None:
    one = item(answer=gold, question_type="free-form")
    assert (one.kind, one.golds[0], one.golds[-1]) == (kind, first, gold)


def test_vision_only_borrows_question_and_options_from_other_versions() -> None:
    alone, among = mathverse.items([ROWS[4]])[0], mathverse.items(ROWS)[4]
    assert (alone.text, alone.choices) == ("", ())
    assert (among.text, among.choices) == (ANGLE, ("40°", "60°", "120°", "140°"))
    assert among.prompt == ROWS[4]["query_wo"]


def test_newer_copies_carry_the_question_for_every_version() -> None:
    alone = mathverse.items([{**ROWS[4], "question_for_eval": ANGLE}])[0]
    assert (alone.text, alone.choices[3]) == (ANGLE, "140°")


def test_ids_are_sample_indices_and_text_only_ones_never_clash() -> None:
    assert [one.id for one in mathverse.items(TEXT_ONLY)] == ["1", "2"]
    both = [one.id for one in mathverse.items(ROWS + TEXT_ONLY)]
    assert both[:2] + both[10:] == ["1", "2", "text_only_1", "text_only_2"]
    assert len(set(both)) == 12


def test_pictures() -> None:
    assert mathverse.images(ROWS[0]) == ["images/1.png"]
    assert mathverse.images(TEXT_ONLY[0]) == []


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("problem_version", "Text Heavy", "7: problem_version is 'Text Heavy'"), ("metadata", {}, "7: metadata names no")],
)
def test_a_row_that_cannot_be_is_named(column: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mathverse.items([row(7, 2, "Text Lite", **{column: value})])
