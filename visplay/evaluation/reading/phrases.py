"""Which words does a passage give as the answer, and do they say what the gold says?

An announced phrase and a whole response are the answer as they stand; of several sentences, the one with a predicate
("The animal is a cat."). Two phrases are the same when their predicates are, with case, articles, punctuation and
spelled numbers folded, and without what is added behind ("a cat sitting on a mat"). "black cat" is not "cat", "cat or
dog" is neither, and a formula is compared as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from visplay.evaluation.reading.amounts import same_number
from visplay.evaluation.reading.formulas import is_formula, mathematical, same_formula
from visplay.evaluation.reading.numbers import NUMBERS
from visplay.evaluation.reading.passages import Reader
from visplay.evaluation.reading.sentences import refuses
from visplay.labels.answers import folded, plain_text

_FEW_WORDS = 4

_NO_ANSWER = re.compile(
    r"it|this|that|these|they|he|she|which|what|unknown|unclear|unsure|not sure|n/?a|no answer|unanswerable"
    r"|undetermined|(?:the )?answer is (?:unknown|unclear|not (?:clear|visible|given))|(?:i'm )?sorry\b.*"
    r"|let (?:me|us|'s)\b.*|i (?:cannot|can't|am unable)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|shows?|depicts?|represents?|displays|called|named|says|reads|gives|known as)\b"
    r"|(?<=\b(?:it|at))'s\b|\b(?:painted|written|made|built|created|designed|drawn|composed|invented) by\b",
    re.IGNORECASE,
)
_ELABORATES = re.compile(r"(?:it|they|this|these|he|she|its|their)\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:(?:at|in|on|by|from|about|approximately|likely|probably|most likely"
    r"|(?:an? )?(?:example|type|kind|form|case|picture|photo|image) of"
    r"|playing|(?:hold|wear|carry|us|eat|drink|rid|read|driv)ing(?= (?:an?|the) ))(?: |$))+",
    re.IGNORECASE,
)
_ITEMS = re.compile(r"[^,]+(?:, [^,]+)*,? (?:and|or) [^,]+")
_BLANK = re.compile(r"\s")
_INSTEAD = re.compile(r"\bnot\b.*,? but (?:rather )?")
_PLACE = re.compile(r"(?:.* |[A-Z]'*)((?:[(\[]|\\\{)[^()\[\]]*,[^()\[\]]*(?:[)\]]|\\\}))")  # "on the interval (0, 2)"
_ADDED = re.compile(
    r"(?<=\w)[\"”]|,(?![^()\[\]]*[)\]])|;| \(| - "
    r"| (?:that|who|whose|located|shown|seen|visible|depicted|because|since)\b"
    r"| in colou?r\b| of (?:the|this) (?:image|picture|photo|figure|diagram|chart|graph|map)\b"
    r"| (?:in|on|at|from|near|under|behind|inside|with|by) (?:(?:the|an?|this|his|her|its|their)\b|(?-i:[A-Z]))"
    r"| (?!during)\w+ing (?:on|in|at|a|the|an|by|with|to|over|under|near)\b",
    re.IGNORECASE,
)


def same_phrase(answer: str, gold: str) -> bool:
    """Whether a stated phrase says what the gold says; see the rules above."""
    gold = plain_text(gold)
    return any(_same(form, gold) for form in _forms(answer))


def _same(one: str, other: str) -> bool:
    first, second = mathematical(one), mathematical(other)
    formulas = is_formula(first) and is_formula(second)
    if formulas and same_formula(first, second):
        return True
    if (numbers := NUMBERS.terse(one)) and NUMBERS.terse(other):
        return same_number(numbers[0], other)
    if formulas:  # folding drops signs that matter in a formula
        return False
    return folded(one) == folded(other) or _BLANK.sub("", one.casefold()) == _BLANK.sub("", other.casefold())


def _forms(answer: str) -> Iterator[str]:
    """The answer, its predicates, and each of them without what is put before and what is added behind.

    Also the subject of "Paris is the capital", and the point or interval that a predicate ends in.
    """
    verbs = list(_VERB.finditer(answer))
    if verbs and answer[verbs[0].end() :].startswith(" the "):
        yield answer[: verbs[0].start()]
    for start in [
        0,
        *(verb.end() for verb in verbs),
        *(instead.end() for instead in _INSTEAD.finditer(answer.lower())),
    ]:
        form = answer[start:].strip()
        yield form
        form = form[before.end() :] if (before := _BEFORE.match(form)) else form
        yield form
        cuts = [added for added in _ADDED.finditer(form) if added[0] != "," or not _ITEMS.fullmatch(form)]
        yield from (form[: added.start()] for added in cuts)
        if place := _PLACE.fullmatch(form):
            yield place[1]


def _words(passage: str) -> list[str]:
    text = plain_text(passage)
    return [text] if folded(text) and not _NO_ANSWER.fullmatch(text) and not refuses(text) else []


def _few_words(passage: str) -> list[str]:
    return _words(passage) if len(passage.split()) <= _FEW_WORDS and not _VERB.search(passage) else []


def _statement(passage: str) -> list[str]:
    return [] if _ELABORATES.match(passage) or not _VERB.search(passage) else _words(passage)


PHRASES = Reader(terse=_few_words, phrase=_words, sentence=_statement)
