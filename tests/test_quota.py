"""Shares of the kept rows, by hand: which rows are too many, and that what stays keeps to its shares."""

from collections import Counter

import pytest

from visplay.labels.quota import asked, repeated, surplus_of_kinds
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


def test_a_yes_no_question_is_a_kind_of_its_own() -> None:
    assert kind(Question("1", "i", "multiple_choice", "Is it?")) == "yes_no"
    assert kind(Question("1", "i", "multiple_choice", "Which?", ("a", "b"))) == "multiple_choice"
    assert kind(Question("1", "i", "short_text", "What?")) == "short_text"
