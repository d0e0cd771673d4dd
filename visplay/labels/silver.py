"""Which questions become training rows, and why each other one did not.

Every candidate ends as one row with one verdict: kept (`dropped` is None) or dropped for the first of DROP_REASONS that
holds, in their order. Nothing disappears: `account` refuses numbers that do not add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from visplay.labels import quota
from visplay.labels.answers import UNANSWERABLE, folded, same
from visplay.labels.trust import TrustOf, band, in_band, kind
from visplay.labels.voting import vote
from visplay.recipe import LabelSettings
from visplay.records import QUESTION_TYPES, Ballot, Question, SilverAnswer

Candidate = tuple[str, str, Question | None]  # image id, the Questioner's completion, the question parsed from it

DROP_REASONS = (
    "unparsed question",  # the completion holds no question
    "duplicate question",  # the same image was asked the same before: same type, same text but for case, articles, ...
    "too few votes",  # fewer than `min_parsed` samples had an answer
    "unanswerable",  # unless `keep_unanswerable`: the majority says that the image does not tell
    "second pass differs",  # under `second_view` or `second_prompt`: its majority is another, or it has none
    "tie",  # another answer had as many votes
    "too hard",  # confidence below the band
    "too easy",  # confidence above the band; its edges are inside
    "own answer differs",  # under `own_answer_agrees`: the Questioner meant another answer
    "little trust",  # under `trust_low`: the silver answer is true with a lower probability
    "needs no image",  # under `blind`: the silver answer is given without having seen
    "asked before",  # under `repeat_share`: too many kept rows ask the same, those of earlier iterations included
    "surplus of its type",  # under `quota`: its type has its share of the kept rows
    "surplus yes or no",  # under `balance_yes_no`: the other of the two is the silver answer less often
)


def needs_votes(candidates: Sequence[Candidate]) -> list[bool]:
    """Whether each candidate is worth the Reasoner's time: it parsed and is not a duplicate of an earlier one."""
    seen: set[tuple[str, str, str]] = set()
    needed = []
    for image_id, _, question in candidates:
        key = (image_id, question.type, folded(question.text)) if question else None
        needed.append(key is not None and key not in seen)
        seen |= {key} if key else set()
    return needed


def needs_second(
    candidates: Sequence[Candidate], ballots: Sequence[Ballot | None], settings: LabelSettings
) -> list[bool]:
    """Whether each candidate is worth a second pass: by the first one it would be kept."""
    return [
        _reason(question, ballot, settings) is None
        for (_, _, question), ballot in zip(candidates, ballots, strict=True)
    ]


def judge(
    candidates: Sequence[Candidate],
    ballots: Sequence[Ballot | None],
    settings: LabelSettings,
    questioner: str,
    reasoner: str,
    second: Sequence[Ballot | None] | None = None,
    trust: TrustOf | None = None,
) -> list[SilverAnswer]:
    """The verdict on each candidate by itself. `questioner` and `reasoner` name the checkpoints that asked and voted.

    `ballots[i]` belongs to candidate i and is None exactly where `needs_votes` is false. Raises ValueError otherwise.
    `second` holds the ballots of a second pass, None for those that did not need it; the row then has the votes
    of both, and is judged by them all and by whether the two agree.
    """
    needed = needs_votes(candidates)
    missing = [i for i, (need, ballot) in enumerate(zip(needed, ballots, strict=True)) if need != (ballot is not None)]
    if missing:
        raise ValueError(f"ballots and needs_votes disagree at candidates {missing[:5]} ({len(missing)} in all)")
    rows = [
        SilverAnswer(
            image_id=image_id,
            question=question,
            ballot=_pooled(question, ballot, again, settings),
            dropped=_reason(question, ballot, settings, again),
            questioner=questioner,
            reasoner=reasoner,
            completion=None if question else completion,
        )
        for (image_id, completion, question), ballot, again in zip(
            candidates, ballots, second or [None] * len(ballots), strict=True
        )
    ]
    return [_trusted(row, trust, settings) for row in rows] if trust else rows


def settle(
    rows: Sequence[SilverAnswer], settings: LabelSettings, before: Counter[tuple[str, str]] | None = None
) -> list[SilverAnswer]:
    """The rows after the rules on what is kept as a whole; `before` has the `kept_texts` of earlier iterations.

    The rules only ever drop, and are gone through until none of them has anything left to drop: then all of them hold.
    """
    settled, known = list(rows), before or Counter()
    names = quota.one_for_all([*kept_texts(rows), *known], settings.repeat_distance)
    while (again := _quotas(_balanced(_novel(settled, settings, known, names), settings), settings)) != settled:
        settled = again
    return settled


def kept_texts(rows: Sequence[SilverAnswer]) -> Counter[tuple[str, str]]:
    """How often each question, by type and folded text, is among the kept rows."""
    return Counter(quota.asked(row.question) for row in rows if row.dropped is None and row.question)


def account(rows: Sequence[SilverAnswer]) -> dict[str, Any]:
    """Where the candidates went: `candidates` = `kept` + the sum of `dropped`, by every reason in DROP_REASONS.

    Also `mean_confidence` over the rows that were voted on (None without any), `distinct_questions` (texts, over all
    images), `distinct_kept` (texts of kept rows, as a share of them; None without any) and `kept_by_type` (shares in
    [0, 1] that sum to 1; empty when nothing was kept). Raises ValueError for a row with an unknown reason.
    """
    kept = [row.question.type for row in rows if row.dropped is None and row.question]
    counts = Counter(row.dropped for row in rows)
    dropped = {reason: counts[reason] for reason in DROP_REASONS}
    if len(rows) != len(kept) + sum(dropped.values()):
        raise ValueError(f"{len(rows)} candidates, but {len(kept)} kept and {dropped} dropped; verdicts are {counts}")
    confidences = [row.ballot.confidence for row in rows if row.ballot and row.ballot.confidence is not None]
    return {
        "candidates": len(rows),
        "kept": len(kept),
        "dropped": dropped,
        "mean_confidence": fmean(confidences) if confidences else None,
        "distinct_questions": len({folded(row.question.text) for row in rows if row.question}),
        "distinct_kept": len(kept_texts(rows)) / len(kept) if kept else None,
        "kept_by_type": {type_: kept.count(type_) / len(kept) for type_ in QUESTION_TYPES} if kept else {},
    }


def _reason(
    question: Question | None, first: Ballot | None, settings: LabelSettings, second: Ballot | None = None
) -> str | None:
    """The verdict on one candidate by all of its votes; one without a ballot is unparsed or a duplicate."""
    if question is None:
        return "unparsed question"
    ballot = _pooled(question, first, second, settings)
    if first is None or ballot is None:
        return "duplicate question"
    if ballot.parsed < settings.min_parsed or ballot.confidence is None:
        return "too few votes"
    if ballot.answer == UNANSWERABLE and not settings.keep_unanswerable:
        return "unanswerable"
    if second is not None and not _confirmed(question, first, second, settings):
        return "second pass differs"
    if ballot.tied:
        return "tie"
    low, high = band(question, settings)
    confidence = in_band(question, ballot.confidence, settings)
    if confidence < low:
        return "too hard"
    if confidence > high:
        return "too easy"
    return None if _agreed(question, ballot.answer, settings) else "own answer differs"


def _pooled(
    question: Question | None, first: Ballot | None, second: Ballot | None, settings: LabelSettings
) -> Ballot | None:
    if question is None or first is None or second is None:
        return first
    return vote(first.votes + second.votes, question, settings.confidence_over)


def _confirmed(question: Question, first: Ballot, second: Ballot, settings: LabelSettings) -> bool:
    """Whether the second pass has a majority, and the same as the first."""
    if first.answer is None or second.answer is None or second.tied or second.parsed < settings.min_parsed:
        return False
    return same(first.answer, second.answer, question)


def _trusted(row: SilverAnswer, trust: TrustOf, settings: LabelSettings) -> SilverAnswer:
    """The row with its trust, which may be too little."""
    if row.question is None or row.ballot is None:
        return row
    found = trust(row.question, row.ballot)
    doubtful = row.dropped is None and found is not None and found < settings.trust_low
    return replace(row, trust=found, dropped="little trust" if doubtful else row.dropped)


def _novel(
    rows: list[SilverAnswer],
    settings: LabelSettings,
    before: Counter[quota.Asked],
    names: Mapping[quota.Asked, quota.Asked],
) -> list[SilverAnswer]:
    """No question's text, or those that count as one by their `names`, beyond its share of what was ever kept."""
    if settings.repeat_share == 1:
        return rows
    places, questions = _kept(rows)
    earlier = Counter(names[one] for one in before.elements())
    repeats = quota.repeated([names[quota.asked(question)] for question in questions], settings.repeat_share, earlier)
    return _dropped(rows, {places[i] for i in repeats}, "asked before")


def _quotas(rows: list[SilverAnswer], settings: LabelSettings) -> list[SilverAnswer]:
    """No type beyond its share of what is kept."""
    places, questions = _kept(rows)
    surplus = quota.surplus_of_kinds([kind(question) for question in questions], asdict(settings.quota))
    return _dropped(rows, {places[i] for i in surplus}, "surplus of its type")


def _balanced(rows: list[SilverAnswer], settings: LabelSettings) -> list[SilverAnswer]:
    """As many rows that say "yes" as say "no": those asked last of the more frequent answer are dropped."""
    if not settings.balance_yes_no:
        return rows
    said = [row.ballot.answer if row.dropped is None and row.ballot else None for row in rows]
    places = [[i for i, answer in enumerate(said) if answer == word] for word in ("yes", "no")]
    fewer = min(map(len, places))
    return _dropped(rows, {i for found in places for i in found[fewer:]}, "surplus yes or no")


def _kept(rows: Sequence[SilverAnswer]) -> tuple[list[int], list[Question]]:
    """Where the kept rows are, and what they ask."""
    found = [(i, row.question) for i, row in enumerate(rows) if row.dropped is None and row.question]
    return [i for i, _ in found], [question for _, question in found]


def _dropped(rows: Sequence[SilverAnswer], places: Collection[int], reason: str) -> list[SilverAnswer]:
    return [replace(row, dropped=reason) if i in places else row for i, row in enumerate(rows)]


def _agreed(question: Question, answer: str | None, settings: LabelSettings) -> bool:
    """Whether the Questioner's own answer speaks for the silver one; it never says "unanswerable" of its question."""
    if not settings.own_answer_agrees or answer == UNANSWERABLE:
        return True
    return question.own_answer is not None and answer is not None and same(question.own_answer, answer, question)
