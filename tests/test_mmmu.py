"""The official rule of MMMU, case by case as the authors' code decides it, and its aggregation."""

from typing import Any

import pytest

from visplay.evaluation.benchmarks import mmmu
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Share
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.strict import judge_strictly

BAXTER = {
    "id": "validation_Accounting_1",
    "question": "<image 1> What are the costs per unit?",
    "options": "['$6', '$7', '$8', '$9']",
    "answer": "B",
    "question_type": "multiple-choice",
    "image_1": "first",
    "image_2": None,
}
CHOICE = Item("q", "", "choice", ("B",), ("red car", "Blue car", "$7", "the dog"))
FIVE = Item("q", "", "choice", ("B",), ("1", "2", "3", "4", "5"))


def item(**changes: Any) -> Item:
    return mmmu.items([BAXTER | changes])[0]


def judgement(response: str, asked: Item = CHOICE) -> Judgement:
    return mmmu.official(asked, Prediction("q", response))


def matches(response: str, *golds: str) -> bool | None:
    return judgement(response, Item("q", "", "text", golds)).correct


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("B", "B"),
        ("B.", "B"),
        ("'B',", "B"),
        ("The answer is B", "B"),
        ("(A) is wrong, so (B)", "B"),
        ("(B), not (A)", "A"),
        ("(A) or B ?", "A"),  # brackets come before letters that stand alone
        ("A B", "B"),
        ("(B), no (A), no (B)", "B"),
        ("Either a BLUE CAR or nothing at all", "B"),
        ("A cat and B", "B"),
        ("I see a red car over there now", "A"),
        ("either a blue car or a red car", "A"),
        ("It costs $7 in the dog shop", "D"),
    ],
)
def test_the_last_letter_or_text_in_the_authors_order_counts(response: str, answer: str) -> None:
    assert judgement(response).answer == answer


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{B}",
        "<answer>B</answer>",
        "**B**",
        "B. $7",
        "B)",
        "b",
        "",
        "red car",
        "one blue car I see",
        "(E)",
        "A\n",
    ],
)
def test_what_the_authors_would_throw_dice_for_counts_as_the_dice_do(response: str) -> None:
    found = judgement(response)
    assert (found.status, found.answer, found.correct, found.expected) == ("fallback", None, None, 0.25)


def test_the_dice_have_as_many_sides_as_there_are_options() -> None:
    assert judgement("?", FIVE).expected == 0.2


def test_a_fallback_that_was_cut_off_is_still_a_fallback() -> None:
    assert mmmu.official(CHOICE, Prediction("q", "Let me", truncated=True)).status == "fallback"


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("24", "24"),
        ("24.0", "24"),
        ("The result is 24 km.", "24"),
        ("x = 24", "24"),
        ("It costs $1,200", "1200"),
        ("about 3.14159", "3.14"),
        ("2e3 cells", "2000"),
        ("-0.5 V", "-.5"),
        ("The answer is transverse colon.", "Transverse Colon"),
        ("colonial", "colon"),  # a gold text anywhere in the tail will do
        ("vitamin c ", "C"),
        ("so c.", "C"),
        ("It is c or d", "C"),
        ("the answer is not 24", "24"),
        ("So 5.\nThus 24 in all\nBye", "24"),
    ],
)
def test_an_open_answer_matches_by_text_or_number(response: str, gold: str) -> None:
    assert matches(response, gold) is True


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("25", "24"),
        ("240", "24"),
        ("24 = 5", "24"),
        ("3.15", "3.14"),
        ("The answer is 5, so 24 is 7", "24"),  # only the shortest tail of a line counts
        ("24 is the number of legs", "24"),
        ("carrot", "C"),
        ("= 24\nso no", "24"),  # the equals sign is a cue in the last line only
        ("", "24"),
    ],
)
def test_an_open_answer_does_not_match_elsewhere(response: str, gold: str) -> None:
    assert matches(response, gold) is False


def test_any_of_several_golds_is_right() -> None:
    assert matches("it is 3.43", "24/7", "3.429") is True
    assert matches("24/7", "24/7", "3.429") is True
    assert matches("3.4", "24/7", "3.429") is False


def test_an_open_gold_may_be_a_letter_in_the_picture() -> None:
    open_item = item(question_type="open", options="[]", answer="B")
    assert mmmu.official(open_item, Prediction(open_item.id, "The answer is B")).correct
    assert judge_strictly("(b)", open_item.golds, open_item.kind, open_item.choices).correct


def test_an_empty_open_answer_is_unparsed_and_wrong() -> None:
    found = judgement(" ", Item("q", "", "text", ("x",)))
    assert (found.status, found.answer, found.correct, found.expected) == ("unparsed", None, False, 0.0)


def test_the_prompt_is_the_authors() -> None:
    assert item(options="['<image 2>', 'no']").prompt == (
        "<image 1> What are the costs per unit?\n(A) <image 2>\n(B) no\n\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert item(question_type="open", options="[]", answer="24").prompt == (
        "<image 1> What are the costs per unit?\nAnswer the question using a single word or phrase."
    )


def test_pictures_keep_their_numbers() -> None:
    assert mmmu.images(BAXTER) == ["first"]
    assert mmmu.images(BAXTER | {"image_3": "third"}) == ["first", None, "third"]


def test_the_hubs_form_and_the_authors_form_score_alike() -> None:
    theirs = {"id": "validation_Accounting_1", "question_type": "multiple-choice", "answer": "B", "all_choices": ["A"]}
    theirs |= {"index2ans": {"A": "$6", "B": "$7", "C": "$8", "D": "$9"}}
    for made in (item(), *mmmu.items([theirs])):
        assert (made.id, made.kind, made.golds) == ("validation_Accounting_1", "choice", ("B",))
        assert (made.choices, made.cluster) == (("$6", "$7", "$8", "$9"), "")
        assert made.groups == {"subject": "Accounting", "domain": "Business"}


@pytest.mark.parametrize("question", [{}, {"question": None}])
def test_the_authors_form_has_nothing_to_ask(question: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="can be scored only"):
        mmmu.images({"id": "validation_Art_1"} | question)


def test_a_question_that_is_no_text_is_named() -> None:
    with pytest.raises(DataError, match="validation_Accounting_1: the question is 7, not text"):
        item(question=7)


@pytest.mark.parametrize("question_type", ["open", "short-answer"])
@pytest.mark.parametrize(
    ("answer", "golds", "kind"),
    [
        ("24", ("24",), "number"),
        ("['24/7', '3.429']", ("24/7", "3.429"), "number"),
        (["24/7", "3.429"], ("24/7", "3.429"), "number"),
        ("transverse colon", ("transverse colon",), "text"),
        ("['24', 'many']", ("24", "many"), "text"),
        ("[0, 5)", ("[0, 5)",), "text"),
        ("B", ("B",), "choice"),
    ],
)
def test_open_golds_may_be_lists(question_type: str, answer: Any, golds: tuple[str, ...], kind: str) -> None:
    made = item(question_type=question_type, options="[]", answer=answer)
    assert (made.golds, made.kind, made.choices) == (golds, kind, ())


def test_a_subject_may_have_underscores() -> None:
    groups = item(id="validation_Diagnostics_and_Laboratory_Medicine_28").groups
    assert groups == {"subject": "Diagnostics_and_Laboratory_Medicine", "domain": "Health and Medicine"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "1"}, "id '1' names no subject"),
        ({"id": "validation_Alchemy_1"}, "validation_Alchemy_1' names no subject"),
        ({"answer": "E"}, "the answer 'E' is none of A, B, C, D"),
        ({"answer": "?"}, "the answer '\\?' is none of"),
        ({"options": "$6, $7"}, "the options '\\$6, \\$7' are no list"),
        ({"options": None}, "the options None are no list"),
        ({"options": str(list(range(27)))}, "27 options are more than there are letters"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        item(**changes)


def test_accuracy_is_micro_by_domain_and_subject_and_counts_fallbacks_as_expected() -> None:
    """Art: B right, B wrong, four options unread = 1.25 of 3. Music: 1 of 1. Math, of another domain: 0 of 1."""
    ids = ["validation_Art_1", "validation_Art_2", "validation_Art_3", "validation_Music_1", "validation_Math_1"]
    items = [item(id=name) for name in ids]
    responses = ["B", "A", "?", "B", "C"]
    found = [mmmu.official(one, Prediction(one.id, text)) for one, text in zip(items, responses, strict=True)]
    figures = mmmu.figures(items, found)
    assert means(figures) == {
        "overall": pytest.approx(2.25 / 5),
        "domain": {"Art and Design": pytest.approx(2.25 / 4), "Science": 0.0},
        "subject": {"Art": pytest.approx(1.25 / 3), "Math": 0.0, "Music": 1.0},
    }


def test_there_are_thirty_subjects() -> None:
    assert len(set(mmmu.CONFIGS)) == 30


def means(figures: Any) -> Any:
    return figures.mean if isinstance(figures, Share) else {name: means(value) for name, value in figures.items()}
