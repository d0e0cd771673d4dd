"""n samples of one question -> a majority answer and how sure the Reasoner was of it.

Stated rules:

- A vote is an answer's normal form. What has none is unparsed: kept in its place, counted apart, never a vote.
- A vote joins the first group whose every member it agrees with. "Agrees" is not transitive (12 agrees with 12 cm and
  with 12 m), so a group never holds two votes that differ. LaTeX that could not be graded differs from all others.
- The majority is the largest group, the one seen first on a tie, and then the ballot says that it was tied. Its answer
  is the group's most frequent spelling, again the first seen on a tie.
- "unanswerable" is a vote like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from visplay.labels.answers import canonical, same
from visplay.records import Ballot, Question


def vote(answers: Sequence[str | None], question: Question, confidence_over: str = "all") -> Ballot:
    """Count the answers to one question; None is a sample without an answer.

    `confidence_over` names the denominator of the confidence: "all" samples, an unparsed one agreeing with nobody, or
    the "parsed" ones. Raises ValueError for another word.
    """
    if confidence_over not in ("all", "parsed"):
        raise ValueError(f"confidence_over is {confidence_over!r}; use 'all' or 'parsed'")
    votes = tuple(None if answer is None else canonical(answer, question) for answer in answers)
    groups = _groups([vote for vote in votes if vote is not None], question)
    parsed = sum(group.total() for group in groups)
    if not groups:
        return Ballot(votes, answer=None, confidence=None, tied=False, parsed=0)
    majority = max(groups, key=Counter.total)
    return Ballot(
        votes,
        answer=majority.most_common(1)[0][0],
        confidence=majority.total() / (len(votes) if confidence_over == "all" else parsed),
        tied=sum(group.total() == majority.total() for group in groups) > 1,
        parsed=parsed,
    )


def _groups(votes: Sequence[str], question: Question) -> list[Counter[str]]:
    """Votes that agree, as spelling -> count, both in the order of first sight."""
    groups: list[Counter[str]] = []
    for spelling, count in Counter(votes).items():
        group = next((group for group in groups if all(same(spelling, other, question) for other in group)), None)
        if group is None:
            groups.append(group := Counter())
        group[spelling] += count
    return groups
