"""Where does a response state its answer? Knows no kinds of answers.

A response offers passages, the most explicit first. `stated` takes the first that answers, and no answer where that one
gives two:

1. What the last <answer> or the last balanced box holds; then nothing else counts.
2. What follows the last cue ("the answer is"), or precedes it ("B is correct"). What is said after "wait" or "actually"
   goes before that; after "wait, that is wrong" nothing earlier counts.
3. The first and the last sentence, where they are nothing but an answer; an equation only as the last.
4. What follows the last "so", "therefore" or "we get"; a number or a choice that the last sentence gives as the result;
   an equation that is the first sentence.
5. All sentences together, or the only one; none where the last gives up. Of a response that breaks off, only the
   sentence where it does.

A question states nothing, nor does "if the answer were ...". What is inside <think>, finished or cut off, is not said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from visplay.evaluation.reading.cues import announced, concluded, corrected, is_result, retracted
from visplay.evaluation.reading.sentences import breaks_off, is_unclosed, refuses, sentences, spoken, wrapped
from visplay.labels.answers import undressed

Read = Callable[[str], Sequence[str]]  # a passage -> the answers that it gives: none, one, or several
Reading = tuple[Sequence[str], Read]  # passages that count together, and how they are read

_EQUATION = re.compile("[=≈]")
_LONGEST = 600  # characters of one passage; what runs on longer is an essay


@dataclass(frozen=True)
class Reader:
    """How one kind of answer is read. `last_is_result`: the last sentence counts before the others."""

    terse: Read  # a passage that is nothing but the answer, or begins with it
    phrase: Read  # a passage that was announced as the answer
    sentence: Read  # a sentence that may or may not be about the answer
    whole: Read = lambda passage: ()  # a whole response that is nothing but the answer, in one sentence or several
    last_is_result: bool = False


def stated(response: str, reader: Reader, *, several: bool = False) -> str | None:
    """The one answer that the response states; None where it states none, or several and takes none of them back.

    `several` is for questions with several right answers: all that are stated, as "A, C".
    """
    for passages, read in _readings(response, reader):
        answers = list(dict.fromkeys(answer for passage in passages for answer in read(passage[:_LONGEST])))
        if answers:
            return ", ".join(sorted(answers)) if several or len(answers) == 1 else None
    return None


def _readings(response: str, reader: Reader) -> Iterator[Reading]:
    if (inside := wrapped(response)) is not None:
        held = [undressed(inside).strip()]
        yield held, reader.whole
        yield held, reader.phrase
        return
    text = spoken(response)
    yield [text], reader.whole
    if later := corrected(text):
        if (anew := retracted(later)) is not None:
            text = anew
        else:
            yield from _explicit(later, reader)
            yield from _conclusions(later, sentences(later), reader)
            yield sentences(later) if len(sentences(later)) == 1 else [], reader.phrase
    yield from _explicit(text, reader)
    parts = sentences(text)
    if not parts or breaks_off(parts[-1]) or (refuses(parts[-1]) and not reader.sentence(parts[-1])):
        return
    if is_unclosed(parts):
        text, parts = parts[-1], parts[-1:]
    yield from _conclusions(text, parts, reader)
    yield parts[:1] if _derives(parts) else [], reader.terse
    yield parts, reader.phrase if len(parts) == 1 else reader.sentence


def _explicit(text: str, reader: Reader) -> Iterator[Reading]:
    for line, sentence in announced(text):
        yield [line], reader.terse
        yield [sentence], reader.phrase
    parts = sentences(text)
    yield _ends(parts, reader.terse) if any(parts) else [text.rstrip("?")], reader.terse


def _ends(parts: Sequence[str], terse: Read) -> list[str]:
    """The first and the last sentence, unless they are part of a list: of sentences in a row that answer differently.

    The last stands out of a list where it repeats what was there: "A. 5 / B. 7 / B". An equation at the head may begin
    a derivation.
    """
    head, tail = list(takewhile(terse, parts)), list(takewhile(terse, reversed(parts)))
    ends = head[:1] if len({*map(tuple, map(terse, head))}) == 1 and not _derives(parts) else []
    stands_out = len(tail) == 1 or (len(tail) > 1 and terse(tail[0]) in map(terse, tail[1:]))
    return ends + tail[:1] if stands_out else ends


def _derives(parts: Sequence[str]) -> bool:
    """Whether several sentences begin with an equation."""
    return len(parts) > 1 and bool(_EQUATION.search(parts[0]))


def _conclusions(text: str, parts: Sequence[str], reader: Reader) -> Iterator[Reading]:
    for conclusion in concluded(text):
        yield [conclusion], reader.phrase
    if reader.last_is_result and len(parts) > 1 and is_result(parts[-1], parts[-2]):
        yield parts[-1:], reader.phrase
