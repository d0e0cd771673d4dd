import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from visplay.labels.silver import DROP_REASONS, Candidate, account, judge, needs_second, needs_votes, settle
from visplay.labels.voting import vote
from visplay.recipe import LabelSettings, QuotaSettings
from visplay.recipe.schema import BandSettings
from visplay.records import Ballot, Question, QuestionType, SilverAnswer

SETTINGS = LabelSettings(votes=8, band_low=0.25, band_high=0.75, min_parsed=5)


def label(
    candidates: Sequence[Candidate], ballots: Sequence[Ballot | None], settings: LabelSettings, *more: Any, **trust: Any
) -> list[SilverAnswer]:
    """Each row by itself, then all together, as the label stage does it."""
    return settle(judge(candidates, ballots, settings, *more, **trust), settings)


def candidate(text: str, image_id: str = "i", kind: QuestionType = "short_text") -> Candidate:
    return image_id, f"wrote: {text}", Question(id=text, image_id=image_id, type=kind, text=text)


def unparsed(completion: str) -> Candidate:
    return "i", completion, None


def ballot(*samples: str | None) -> Ballot:
    return vote(samples, Question(id="q", image_id="i", type="short_text", text="?"))


def verdict(*samples: str | None) -> str | None:
    return label([candidate("What?")], [ballot(*samples)], SETTINGS, "Q1", "R0")[0].dropped


def test_duplicates_are_the_same_text_and_type_on_the_same_image() -> None:
    candidates = [
        candidate("How many dogs?", kind="numerical"),
        candidate("how many  DOGS", kind="numerical"),
        candidate("How many dogs?", kind="short_text"),
        candidate("How many dogs?", kind="numerical", image_id="j"),
        unparsed("how many dogs?"),
        unparsed("how many dogs?"),
    ]
    assert needs_votes(candidates) == [True, False, True, True, False, False]


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (["a1", "a1", "b2", "c3", None, None, None, None], "too few votes"),
        (["a1", "a1", "b2", "c3", "d4", None, None, None], None),  # 2 / 8 = band_low
        (["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"], "tie"),
        (["a1"] * 4 + ["b2"] * 4, "tie"),
        (["a1"] * 6 + ["b2"] * 2, None),  # 6 / 8 = band_high
        (["a1"] * 7 + ["b2"], "too easy"),
        (["unanswerable"] * 5 + ["b2"] * 3, "unanswerable"),
        ([None] * 8, "too few votes"),
    ],
)
def test_each_candidate_gets_one_verdict(samples: list[str | None], reason: str | None) -> None:
    assert verdict(*samples) == reason


def test_unanswerable_is_an_answer_like_any_other_when_kept() -> None:
    settings = dataclasses.replace(SETTINGS, keep_unanswerable=True)
    sure, unsure = ballot(*["unanswerable"] * 8), ballot(*["unanswerable"] * 5, *["b2"] * 3)
    rows = label([candidate("What?"), candidate("Who?")], [sure, unsure], settings, "Q1", "R0")
    assert [row.dropped for row in rows] == ["too easy", None]


@pytest.mark.parametrize(
    ("own_answer", "majority", "reason"),
    [
        ("cat", "cat", None),
        ("A cat.", "cat", None),
        ("dog", "cat", "own answer differs"),
        (None, "cat", "own answer differs"),
        ("dog", "unanswerable", None),  # who asks believes that there is an answer
    ],
)
def test_two_views_must_agree_when_asked_to(own_answer: str | None, majority: str, reason: str | None) -> None:
    settings = dataclasses.replace(SETTINGS, keep_unanswerable=True, own_answer_agrees=True)
    asked = Question("q", "i", "short_text", "What?", own_answer=own_answer)
    votes = ballot(*[majority] * 5, *["bird"] * 3)
    for used, expected in ((settings, reason), (dataclasses.replace(settings, own_answer_agrees=False), None)):
        assert label([("i", "", asked)], [votes], used, "Q1", "R0")[0].dropped == expected
    easy = ballot(*[majority] * 8)
    assert label([("i", "", asked)], [easy], settings, "Q1", "R0")[0].dropped == "too easy"


@pytest.mark.parametrize(
    ("silver", "surplus"),
    [
        (["yes", "yes", "cat", "no", "yes"], [1, 4]),  # the first "yes" stays with the only "no"
        (["no", "no", "yes"], [1]),
        (["yes", "no", "cat", "cat"], []),
        (["yes", "cat"], [0]),
        ([], []),
    ],
)
def test_yes_and_no_are_as_frequent_when_asked_to(silver: list[str], surplus: list[int]) -> None:
    candidates = [candidate(f"Is it {i}?") for i in range(len(silver))]
    votes = [ballot(*[answer] * 5, *["bird"] * 3) for answer in silver]
    for balanced, expected in ((True, surplus), (False, [])):
        settings = dataclasses.replace(SETTINGS, balance_yes_no=balanced)
        rows = label(candidates, votes, settings, "Q1", "R0")
        assert [i for i, row in enumerate(rows) if row.dropped == "surplus yes or no"] == expected
        assert sum(row.dropped is None for row in rows) == len(silver) - len(expected)


def test_only_rows_that_would_be_kept_count_for_the_balance() -> None:
    settings = dataclasses.replace(SETTINGS, balance_yes_no=True)
    candidates = [candidate(f"Is it {i}?") for i in range(3)]
    easy, fair, no = (ballot(*[word] * n, *["bird"] * (8 - n)) for word, n in (("yes", 8), ("yes", 5), ("no", 5)))
    rows = label(candidates, [easy, fair, no], settings, "Q1", "R0")
    assert [row.dropped for row in rows] == ["too easy", None, None]


def settled(settings: LabelSettings, texts: str, before: str = "", said: str = "cat") -> list[str | None]:
    """The verdicts on one fair row for each letter, its text; a letter in capitals asks for a number."""
    candidates = [
        candidate(f"What is {text}?", image_id=str(i), kind="numerical" if text.isupper() else "short_text")
        for i, text in enumerate(texts)
    ]
    kept = Counter(("short_text", f"what is {text}") for text in before)
    votes = [ballot(*[said] * 5, *["bird"] * 3)] * len(texts)
    return [row.dropped for row in settle(judge(candidates, votes, settings, "Q1", "R0"), settings, kept)]


def test_a_question_that_was_kept_too_often_is_asked_before() -> None:
    settings = dataclasses.replace(SETTINGS, repeat_share=0.25)
    assert settled(SETTINGS, "xxxy", before="xx") == [None] * 4
    assert settled(settings, "xxyz") == [None, "asked before", None, None]
    assert settled(settings, "xyz", before="x") == ["asked before" if text == "x" else None for text in "xyz"]
    assert settled(settings, "xyz", before="abcdx") == [None] * 3  # 2 of 8


def test_questions_that_say_much_the_same_share_their_share() -> None:
    def dropped(distance: float, *before: str) -> list[str | None]:
        settings = dataclasses.replace(SETTINGS, repeat_share=0.0, repeat_distance=distance)
        kept = Counter(("short_text", text) for text in before)
        texts = "What color is the small circle?", "What color is the small circle here?", "How many 7s are there?"
        votes = ballot(*["cat"] * 5, *["bird"] * 3)
        rows = judge([candidate(text, text) for text in texts], [votes] * 3, settings, "Q1", "R0")
        found = settle(rows, settings, kept)
        assert account(found)["distinct_kept"] == 1  # by the text as it stands
        return [row.dropped for row in found]

    assert dropped(0.0) == [None, None, None]
    assert dropped(0.5) == [None, "asked before", None]
    now = "what color is small circle now"
    assert dropped(0.0, now) == [None, None, None]
    assert dropped(0.5, now) == ["asked before", "asked before", None]


def test_a_type_keeps_to_its_quota_and_those_asked_last_go() -> None:
    settings = dataclasses.replace(SETTINGS, quota=QuotaSettings(short_text=0.5))
    assert settled(settings, "xyzA") == [None, "surplus of its type", "surplus of its type", None]
    assert settled(settings, "xyAB") == [None] * 4


def test_rules_on_the_whole_all_hold_in_the_end() -> None:
    settings = dataclasses.replace(SETTINGS, repeat_share=0.3, quota=QuotaSettings(short_text=0.5))
    # A twice is 2 of 7, but 2 of 6 once w is surplus; with one A there are 5, of which x, y and z are too many
    before, surplus = "asked before", "surplus of its type"
    assert settled(settings, "xyzwAAB") == [None, None, surplus, surplus, None, before, None]


def test_too_hard_is_a_majority_below_the_band() -> None:
    samples = ["a1", "a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"]  # 2 / 9 < 0.25
    assert verdict(*samples) == "too hard"


def test_rows_name_where_they_came_from() -> None:
    votes = ballot(*["cat"] * 5, *["dog"] * 3)
    asked = candidate("What?")
    rows = label([asked, unparsed("gibberish")], [votes, None], SETTINGS, "Q1", "R0")
    assert rows == [
        SilverAnswer("i", asked[2], votes, dropped=None, questioner="Q1", reasoner="R0"),
        SilverAnswer("i", None, None, "unparsed question", questioner="Q1", reasoner="R0", completion="gibberish"),
    ]


def test_a_ballot_that_is_missing_or_too_many_is_refused() -> None:
    votes = ballot("cat")
    with pytest.raises(ValueError, match=r"disagree at candidates \[1\]"):
        label([candidate("What?"), candidate("Who?")], [votes, None], SETTINGS, "Q1", "R0")
    with pytest.raises(ValueError, match=r"disagree at candidates \[1\]"):
        label([candidate("What?"), candidate("what")], [votes, votes], SETTINGS, "Q1", "R0")
    with pytest.raises(ValueError, match="shorter"):
        label([candidate("What?")], [], SETTINGS, "Q1", "R0")


def test_the_account_adds_up() -> None:
    candidates = [
        candidate("Which?", kind="multiple_choice"),
        candidate("What?"),
        candidate("Who?"),
        candidate("who"),
        candidate("What?", image_id="j"),
        unparsed("gibberish"),
    ]
    kept = ballot(*["cat"] * 5, *["dog"] * 3)
    easy = ballot(*["cat"] * 8)
    rows = label(candidates, [kept, kept, easy, None, kept, None], SETTINGS, "Q1", "R0")
    assert account(rows) == {
        "candidates": 6,
        "kept": 3,
        "dropped": {
            "unparsed question": 1,
            "duplicate question": 1,
            "too few votes": 0,
            "unanswerable": 0,
            "second pass differs": 0,
            "tie": 0,
            "too hard": 0,
            "too easy": 1,
            "own answer differs": 0,
            "little trust": 0,
            "needs no image": 0,
            "asked before": 0,
            "surplus of its type": 0,
            "surplus yes or no": 0,
        },
        "mean_confidence": (3 * 0.625 + 1) / 4,
        "distinct_questions": 3,
        "distinct_kept": 2 / 3,
        "kept_by_type": {"multiple_choice": 1 / 3, "numerical": 0, "short_text": 2 / 3},
    }


def test_an_account_of_nothing_has_no_figures() -> None:
    nothing = {"candidates": 0, "kept": 0, "dropped": dict.fromkeys(DROP_REASONS, 0), "distinct_kept": None}
    assert account([]) == {**nothing, "mean_confidence": None, "distinct_questions": 0, "kept_by_type": {}}


def test_a_row_with_an_unknown_verdict_is_refused() -> None:
    (row,) = label([unparsed("gibberish")], [None], SETTINGS, "Q1", "R0")
    for wrong in ("boring", None):  # None: kept, but without a question
        with pytest.raises(ValueError, match="1 candidates, but 0 kept"):
            account([dataclasses.replace(row, dropped=wrong)])


def second(first: list[str], again: list[str | None], **settings: Any) -> SilverAnswer:
    """The row of a question that was voted on twice."""
    asked = [candidate("What?")]
    used = dataclasses.replace(SETTINGS, second_view="padded", **settings)
    return label(asked, [ballot(*first)], used, "Q1", "R0", [ballot(*again)])[0]


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (["cat"] * 4 + ["dog"] * 2 + ["bird"] * 2, None),
        (["A cat."] * 5 + ["dog"] * 3, None),
        (["dog"] * 5 + ["cat"] * 3, "second pass differs"),
        (["cat"] * 4 + ["dog"] * 4, "second pass differs"),  # a tie is no majority
        (["cat"] * 4 + [None] * 4, "second pass differs"),  # nor are four votes
        (["unanswerable"] * 7 + ["cat"], "unanswerable"),  # by the votes of both
        (["cat"] * 8, "too easy"),  # 13 / 16
    ],
)
def test_a_second_pass_must_have_the_same_majority(again: list[str | None], reason: str | None) -> None:
    row = second(["cat"] * 5 + ["dog"] * 2 + ["bird"], again)
    assert row.dropped == reason
    assert row.ballot is not None and row.ballot.votes[:5] == ("cat",) * 5 and len(row.ballot.votes) == 16


def test_confidence_is_over_the_votes_of_both_passes() -> None:
    row = second(["cat"] * 5 + ["dog"] * 3, ["cat"] * 6 + ["dog"] * 2)
    assert row.ballot is not None and (row.ballot.confidence, row.ballot.parsed) == (11 / 16, 16)


def test_only_what_the_first_pass_would_keep_needs_a_second() -> None:
    settings = dataclasses.replace(SETTINGS, balance_yes_no=True)
    candidates = [candidate("Is it?"), candidate("Is it"), candidate("Who?"), candidate("What?"), unparsed("hm")]
    kept, easy, tied = ballot(*["yes"] * 5, *["no"] * 3), ballot(*["a1"] * 8), ballot(*["a1"] * 4, *["b2"] * 4)
    ballots = [kept, None, easy, tied, None]
    assert needs_second(candidates, ballots, settings) == [
        True,
        False,
        False,
        False,
        False,
    ]  # a surplus may yet be none


def test_rows_without_a_second_ballot_are_judged_by_their_first() -> None:
    easy, kept = ballot(*["cat"] * 8), ballot(*["cat"] * 5, *["dog"] * 3)
    rows = label([candidate("What?"), candidate("Who?")], [easy, kept], SETTINGS, "Q1", "R0", [None, kept])
    assert [row.dropped for row in rows] == ["too easy", None]


def test_bands_are_by_kind_and_over_what_chance_leaves() -> None:
    asked = candidate("Is it?", kind="multiple_choice")
    votes = vote(["yes"] * 5 + ["no"] * 3, asked[2])  # 0.625, 0.25 beyond chance
    for settings, reason in (
        (SETTINGS, None),
        (dataclasses.replace(SETTINGS, bands=BandSettings(yes_no=[0.65, 1.0])), "too hard"),
        (dataclasses.replace(SETTINGS, bands=BandSettings(numerical=[0.65, 1.0])), None),
        (dataclasses.replace(SETTINGS, chance_corrected=True), None),  # the edge is inside
        (dataclasses.replace(SETTINGS, chance_corrected=True, band_low=0.3), "too hard"),
    ):
        assert label([asked], [votes], settings, "Q1", "R0")[0].dropped == reason


def test_a_row_of_little_trust_is_dropped_last_and_keeps_its_trust() -> None:
    settings = dataclasses.replace(SETTINGS, trust_low=0.6)
    easy, kept = ballot(*["cat"] * 8), ballot(*["cat"] * 5, *["dog"] * 3)
    candidates = [candidate("What?"), candidate("Who?"), unparsed("hm")]
    for trust, reason in ((0.5, "little trust"), (0.6, None)):
        rows = label(candidates, [easy, kept, None], settings, "Q1", "R0", trust=lambda question, ballot, t=trust: t)
        assert [row.dropped for row in rows] == ["too easy", reason, "unparsed question"]
        assert [row.trust for row in rows] == [trust, trust, None]
