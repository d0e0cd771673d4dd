"""The strict protocol: what a careful human reader would say that a response answers, and whether that is right.

The response is read without a look at the gold, so a right answer is never found by searching for it. `reading` has the
rules: `passages` for where an answer is stated, one file for each kind of answer. What states no answer, or several and
takes none of them back, is unparsed, and unparsed is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from visplay.evaluation.items import Kind
from visplay.evaluation.reading.amounts import same_number
from visplay.evaluation.reading.choices import choice_reader
from visplay.evaluation.reading.numbers import NUMBERS
from visplay.evaluation.reading.passages import stated
from visplay.evaluation.reading.phrases import PHRASES, same_phrase
from visplay.evaluation.reading.yes_no import YES_NO


class Verdict(NamedTuple):
    """`answer` as it was read: a letter, "yes", "no", a number or a phrase; None when the response states none."""

    answer: str | None
    correct: bool


def judge_strictly(response: str, golds: Sequence[str], kind: Kind, choices: Sequence[str] = ()) -> Verdict:
    """Read the response and compare its answer with the golds; any of them is right.

    `choices` are the texts of options A, B, ...; without them a choice is any letter from A to H. Golds of a choice are
    letters, or several letters where all of them must be named ("C and D"); of yes_no, "yes" and "no" or synonyms.
    """
    if kind == "number":
        return _compared(stated(response, NUMBERS), golds, same_number)
    if kind == "text":
        return _compared(stated(response, PHRASES), golds, same_phrase)
    reader = choice_reader(tuple(choices)) if kind == "choice" else YES_NO
    accepted = [stated(gold, reader, several=True) for gold in golds]
    answer = stated(response, reader, several=any(gold and "," in gold for gold in accepted))
    return Verdict(answer, answer is not None and answer in accepted)


def _compared(answer: str | None, golds: Sequence[str], same: Callable[[str, str], bool]) -> Verdict:
    return Verdict(answer, answer is not None and any(same(answer, gold) for gold in golds))
