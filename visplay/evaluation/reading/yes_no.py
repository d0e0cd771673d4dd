"""Does a passage say yes or no?

The reply counts before everything: "Yes, there is no dog." is yes. Else it is what a sentence calls true or false, or
that something is absent: "There is no dog." is no. "Yes or no", "no idea", "no other country" and "no difference" say
neither; nor does "The line is longer.", which answers a question only by what was asked.
"""

from __future__ import annotations

import re

from visplay.evaluation.reading.cues import without_reason
from visplay.evaluation.reading.passages import Reader
from visplay.evaluation.reading.sentences import refuses
from visplay.labels.answers import plain_text

# "No" before any other word belongs to that word: "no image", "no doubt", "no less than".
_GOES_ON = "because|since|as|it|there|they|the|this|that|these|those|not|he|she|we|you|i|otherwise|indeed"
_NEITHER = re.compile(
    r"\b(?:yes|no|true|false) ?(?:or|and|nor|/) ?(?:yes|no|true|false)\b|\bno\. ?[0-9]"
    rf"|\bno(?! (?:{_GOES_ON})\b)(?= [a-z])"
)
_SURELY = r"(?:absolutely|definitely|certainly|of course|probably|likely)"
_YES = rf"(?P<yes>y|yes|yeah|yep|yup|true|correct|indeed|{_SURELY}|sí|si|oui|ja|sim|是的?|对)"
_NO = rf"(?P<no>n|no|nope|nah|false|incorrect|(?:{_SURELY} )?not|not (?:really|at all)|nein|non|não|不是?|否)"
_ENDS = r"(?=$|[.,;:!—-]| [-—]| (?:because|since|it|there|they|the|this|that)\b)"
_FIRST = re.compile(rf"(?:{_NO}|{_YES}){_ENDS}")
_LAST = re.compile(r".*[,:;—] ?(?:(?P<yes>yes|true)|(?P<no>no|false))$")
_ELLIPSIS = re.compile(
    r"(?:it|they|he|she|this|that|there) (?:is|are|was|were|does|do|did|has|have|can)(?P<not>n't| not|)[.!]?"
)
_WORD = re.compile(r"\b(?:(?P<yes>yes|yeah|yep)|(?P<no>no|nope))\b")
_APART = re.compile(rf"(?:^|[^\w\s] ?|\b(?:is|be|say|says) ){_WORD.pattern}(?=$|[.,;:!\"'])")
_VERDICT = re.compile(
    r"(?:\b(?:is|are|be|seems)|'s|^)(?P<not>n't| not|^not| far from|)(?: \w+ly)? "
    r"(?:(?P<true>true|correct|right|accurate|the case)|false|incorrect|wrong|inaccurate|untrue)\b"
    r"(?! that\b.*\bbut\b)"
)
_NOT_SAID = re.compile(
    r"(?:n't|\b(?:not|cannot|never|unlikely to))(?: (?:be|say|answer|with))* [\"']?(?:(?P<yes>yes)|no)\b"
    r"|^(?:(?P<yes_first>yes)|no) (?:is not|isn't|would be (?:wrong|a mistake))\b"
)
_SO = re.compile(r"(?P<not>n't |\bnot )?(?:think|believe|appear|seem)s? so\b")
_ABSENT = re.compile(
    r"(?:\bthere(?:(?: is|'s| are| was| were) no|(?: is| are| was| were)(?:n't| not)(?: an?| any)?)"
    r"|^no(?= (?:\w+ ){1,3}(?:is|are|was|were|can|could)\b)) "
    r"(?!enough|sufficient|way|information|images?\b|picture|photo|figure|attach|difference|change|other|one|more|less|fewer"
    r"|doubt|question|problem|reason|need|answer)\w"
)
_DOUBT = re.compile(r"\b(?:I|we) (?:really )?doubt\b", re.IGNORECASE)


def _reply(passage: str) -> list[str]:
    """The yes or no that a passage begins with, or ends with after a comma; "It is not." is one, too."""
    text = _NEITHER.sub(" ? ", plain_text(passage).casefold())
    if _NOT_SAID.search(text):
        return []
    if ellipsis := _ELLIPSIS.fullmatch(text):
        return ["no" if ellipsis["not"] else "yes"]
    reply = _FIRST.match(text) or _LAST.fullmatch(text)
    return ["yes" if reply["yes"] else "no"] if reply else []


def _said(passage: str) -> list[str]:
    """The yes or no that a sentence says, in so many words or by calling something true, false or absent."""
    spoken = plain_text(passage).casefold()
    text = _NEITHER.sub(" ? ", spoken)
    if refuses(spoken) or _DOUBT.search(text):
        return []
    if _ABSENT.search(spoken):
        return ["no"]
    if denied := _NOT_SAID.search(text):
        return ["no" if denied["yes"] or denied["yes_first"] else "yes"]
    words = list(_APART.finditer(text)) or list(_WORD.finditer(text))
    verdicts = [bool(verdict["true"]) is not bool(verdict["not"]) for verdict in _VERDICT.finditer(text)]
    verdicts += [not so["not"] for so in _SO.finditer(text)]
    return ["yes" if said else "no" for said in dict.fromkeys([bool(word["yes"]) for word in words] or verdicts)]


def _phrase(passage: str) -> list[str]:
    short = without_reason(passage)
    return _reply(short) or _said(short)


YES_NO = Reader(terse=_reply, phrase=_phrase, sentence=_said)
