"""Does a passage say yes or no?

The reply counts before everything: "Yes, there is no dog." is yes. Else it is what a sentence calls true or false, or
denies ("There is no dog." is no). "Yes or no", "not yes" and "no idea" say neither.
"""

from __future__ import annotations

import re

from visplay.evaluation.reading.cues import without_reason
from visplay.evaluation.reading.passages import Reader
from visplay.evaluation.reading.sentences import refuses
from visplay.labels.answers import plain_text

_NEITHER = re.compile(
    r"\b(?:yes|no|true|false) ?(?:or|and|nor|/) ?(?:yes|no|true|false)\b|\bnot (?:yes|no)\b|\bno\. ?[0-9]"
    r"|\bno (?:doubt|answer|information|longer|more|matter)\b"
)
_SURELY = r"(?:absolutely|definitely|certainly|of course|probably|likely)"
_YES = rf"(?P<yes>y|yes|yeah|yep|yup|true|correct|indeed|{_SURELY}|sí|si|oui|ja|sim|是的?|对)"
_NO = rf"(?P<no>n|no|nope|nah|false|incorrect|(?:{_SURELY} )?not|not (?:really|at all)|nein|non|não|不是?|否)"
_ENDS = r"(?=$|[.,;:!—-]| [-—]| (?:because|since|it|there|they|the|this|that)\b)"
_FIRST = re.compile(rf"(?:{_NO}|{_YES}){_ENDS}")
_LAST = re.compile(r".*[,:;—] ?(?:(?P<yes>yes|true)|(?P<no>no|false))$")
_WORD = re.compile(r"\b(?:(?P<yes>yes|yeah|yep)|(?P<no>no|nope))\b")
_APART = re.compile(rf"(?:^|[^\w\s] ?|\b(?:is|be|say|says) ){_WORD.pattern}(?=$|[.,;:!\"'])")
_VERDICT = re.compile(
    r"(?:\b(?:is|are|be|seems)|'s|^)(?P<not>n't| not|^not|)(?: \w+ly)? "
    r"(?:(?P<true>true|correct|right|accurate|the case)|false|incorrect|wrong|inaccurate|untrue)\b"
)
_SO = re.compile(r"(?P<not>n't |\bnot )?(?:think|believe|appear|seem)s? so\b")
_DOUBT = re.compile(r"\b(?:I|we) (?:really )?doubt\b", re.IGNORECASE)
_ABSENT = re.compile(r"\bthere (?:is|are)(?:n't| not) (?!enough|sufficient|any (?:way|information))")


def _reply(passage: str) -> list[str]:
    """The yes or no that a passage begins with, or ends with after a comma."""
    text = _NEITHER.sub(" ? ", plain_text(passage).casefold())
    reply = _FIRST.match(text) or _LAST.fullmatch(text)
    return ["yes" if reply["yes"] else "no"] if reply else []


def _said(passage: str) -> list[str]:
    """The yes or no that a sentence says, in so many words or by calling something true or false."""
    text = _NEITHER.sub(" ? ", plain_text(passage).casefold())
    if refuses(text) or _DOUBT.search(text):
        return []
    if _ABSENT.search(text):
        return ["no"]
    words = list(_APART.finditer(text)) or list(_WORD.finditer(text))
    verdicts = [bool(verdict["true"]) is not bool(verdict["not"]) for verdict in _VERDICT.finditer(text)]
    verdicts += [not so["not"] for so in _SO.finditer(text)]
    return ["yes" if said else "no" for said in dict.fromkeys([bool(word["yes"]) for word in words] or verdicts)]


def _phrase(passage: str) -> list[str]:
    short = without_reason(passage)
    return _reply(short) or _said(short)


YES_NO = Reader(terse=_reply, phrase=_phrase, sentence=_said)
