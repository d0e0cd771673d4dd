"""Which silver answers need no image: the Reasoner gives them without having seen it.

Such a row teaches nothing about seeing. A blind vote is a sample drawn without the image, or with a flat field of its
mean colour (`visplay.roles.blind` draws them); this module only compares them with the silver answer.

The rule, by one number in [0, 1]: `agreement`, the share of blind votes that give the silver answer, corrected for
chance as `beyond_chance` says. Blind yes/no votes that all say the silver answer have 1, those of a thrown coin 0.
Where there are several ways of not seeing, the answer must come in each of them: a way has habits of its own, such as
"yes" to whatever is asked without an image and "no" on a flat field, and alone it would drop most of one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from visplay.labels.answers import same
from visplay.records import UNANSWERABLE, Ballot, Question


def agreement(blind: Ballot, silver: str, question: Question) -> float | None:
    """The share of blind votes that give the silver answer; an unparsed vote gives none. None without any vote.

    0 where the silver answer is "unanswerable": whoever does not see says so, and has not answered.
    """
    if not blind.votes:
        return None
    if silver == UNANSWERABLE:
        return 0.0
    return sum(vote is not None and same(vote, silver, question) for vote in blind.votes) / len(blind.votes)


def lowest(shares: Sequence[float | None]) -> float | None:
    """The agreement of a row, from those of each way of not seeing; None where one of them was not to be had."""
    known = [share for share in shares if share is not None]
    return min(known) if len(known) == len(shares) else None


def beyond_chance(share: float, question: Question) -> float:
    """max(0, (share - 1/k) / (1 - 1/k)) with k options, 2 for yes/no; the share itself for a question without options.

    An open question has no fixed chance: what is guessed rightly there is known from the world, not from the image.
    """
    chance = _chance(question)
    return max(0.0, (share - chance) / (1 - chance))


def needs_no_image(share: float | None, question: Question, limit: float | None) -> bool:
    """Whether the agreement beyond chance is at least `limit`; None for either decides nothing."""
    return share is not None and limit is not None and beyond_chance(share, question) >= limit


def _chance(question: Question) -> float:
    if question.choices:
        return 1 / len(question.choices)
    return 0.5 if question.type == "multiple_choice" else 0.0
