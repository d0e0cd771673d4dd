"""Shares of the kept rows, by hand: which rows are too many, and that what stays keeps to its shares."""

from collections import Counter

import pytest

from visplay.labels.quota import asked, one_for_all, repeated, surplus_of_kinds
from visplay.labels.trust import kind
from visplay.records import Question


@pytest.mark.parametrize(
    ("kinds", "shares", "dropped"),
    [
        ("aabb", {"a": 0.5}, []),
        ("aaab", {"a": 0.5}, [1, 2]),  # of 2 rows 1
        ("aaaab", {"a": 0.75}, [3]),  # of 4 rows 3
        ("aaaabb", {"a": 0.5}, [2, 3]),
        ("abababab", {"a": 0.25}, [2, 4, 6]),  # of 5 rows 1, not of 8 rows 2
        ("ab", {"a": 0.0}, [0]),
        ("aaa", {"a": 0.9}, [0, 1, 2]),  # where there is nothing else, it is the whole
        ("aaabbc", {"a": 0.4, "b": 0.4}, [2]),  # 2, 2 and 1 of 5
        ("aaabbc", {"a": 0.4, "b": 0.3}, [0, 1, 2, 3, 4]),  # c must be 3 of 10, and is 1
        ("", {"a": 0.5}, []),
    ],
)
def test_those_asked_last_go_until_every_share_holds(kinds: str, shares: dict[str, float], dropped: list[int]) -> None:
    surplus = surplus_of_kinds(kinds, shares)
    assert sorted(surplus) == dropped
    stay = Counter(one for i, one in enumerate(kinds) if i not in surplus)
    assert all(stay[one] <= share * stay.total() for one, share in shares.items())


def test_a_share_is_not_lost_to_rounding() -> None:
    assert surplus_of_kinds("a" * 29 + "b" * 71, {"a": 0.29}) == set()  # 0.29 * 100 is 28.999...


@pytest.mark.parametrize(
    ("texts", "share", "before", "dropped"),
    [
        ("abcd", 0.0, "", []),  # what was never kept repeats nothing
        ("abca", 0.0, "b", [1, 3]),
        ("aabc", 0.5, "", []),
        ("aaabc", 0.4, "", [1, 2]),  # of 5 rows 2, which leaves 4, and of 4 rows 1
        ("aab", 0.5, "aab", [0, 1]),  # 2 of 4 rows are a with none of these, 3 of 5 with one
        ("aabbb", 0.5, "aab", []),  # 4 of 8 each
        ("aab", 1.0, "aaaa", []),
    ],
)
def test_a_text_has_its_share_of_all_that_was_ever_kept(
    texts: str, share: float, before: str, dropped: list[int]
) -> None:
    assert sorted(repeated(texts, share, Counter(before))) == dropped


def test_questions_repeat_each_other_by_type_and_folded_text_on_any_image() -> None:
    one = Question("1", "i", "numerical", "How many dogs?")
    assert asked(one) == asked(Question("2", "j", "numerical", "how many  DOGS"))
    assert asked(one) != asked(Question("3", "i", "short_text", "How many dogs?"))


CIRCLE, HERE, SEVENS = "what color is small circle", "what color is small circle here", "how many 7 are there"


def test_texts_of_one_type_that_say_much_the_same_go_by_the_first_of_them() -> None:
    # CIRCLE is HERE without its last word: BLEU exp(1 - 6/5) = .82; back (5/6 * 4/5 * 3/4 * 2/3)^(1/4) = .76: 1 - .79
    questions = [("short_text", HERE), ("short_text", CIRCLE), ("numerical", HERE), ("short_text", SEVENS)]
    itself = {one: one for one in questions}
    assert one_for_all(questions, 0.0) == one_for_all(questions, 0.2) == itself
    assert one_for_all(questions, 0.22) == itself | {("short_text", HERE): ("short_text", CIRCLE)}
    assert one_for_all([], 0.5) == {}


def test_a_yes_no_question_is_a_kind_of_its_own() -> None:
    assert kind(Question("1", "i", "multiple_choice", "Is it?")) == "yes_no"
    assert kind(Question("1", "i", "multiple_choice", "Which?", ("a", "b"))) == "multiple_choice"
    assert kind(Question("1", "i", "short_text", "What?")) == "short_text"
