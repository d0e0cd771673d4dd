"""Which letters of options does a passage name, and does it deny them? Knows no texts of options.

A letter is dressed ("(b)", "b)", "Option B") or bare. Bare ones inside a sentence count only as capitals where an
option can stand: not the article in "A cat", the pronoun "I", the points in "angle B" and "from A to C", the thing in
"B is 60°", or the set in "P(A)".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

_LEAD = re.compile(
    r"(?:(?:the )?(?:option|choice|letter|answer)s?:? )?(?P<open>[(\[\"'{]*)(?P<letter>[A-Za-z])(?P<close>[)\]\"'}]*)"
    r"(?P<tail>(?![\w'^=]).*)",
    re.IGNORECASE | re.DOTALL,
)
_AFTER_CAPITAL = re.compile(r"$|[.:),;!\n]| ?[-—/(&\"]| (?:because|since|as)\b| =>")
_AFTER_SMALL = re.compile(r"$|[.:),;]| (?:because|since)\b| - ")
_VERB = re.compile(r" (?:is|was|seems|looks|appears|shows|has|would|could|might|may|can|does)\b")
_ANOTHER = re.compile(
    r"[)\]\"'.]*(?: ?[,/&+] ?(?:and |or )?| \(?(?:and|or|nor|and/or) (?:maybe |perhaps |possibly )?| )"
    r"(?:option |choice )?[(\[\"']*[A-Z](?![\w'’])(?! +(?!(?:and|or|nor|are)\b)[a-z])|[)\]]?[(\[][A-Za-z][)\]]"
)
_AND_ANOTHER = re.compile(r" (?:and|or) (?:(?:option|choice) )?[(\[][A-Za-z][)\]]")

_MENTION = re.compile(
    r"(?<![\w)\]])[(\[\"'](?P<dressed>[A-Za-z])[)\]\"']|\b(?:option|choice|letter)s?:? [\"'(]?(?P<named>[A-Za-z])\b"
    r"|(?<![\w(])(?P<listed>[A-Za-z])\)|(?<![\w'’\\^_=*+.-])(?P<bare>[A-HJ-Z])(?![\w'’^_=*+°#♭♯]|-\w| ?=|\.\w"
    r"| (?:is|was|equals|measures|has) [-$\\]*[0-9])",
    re.IGNORECASE,
)
_BEFORE_BARE = re.compile(
    r"(?:^|[.,:;!?—/&\"'\n-]|(?<!\w)\(|'s"
    r"|\b(?:is|be|are|was|answer|choos(?:e|ing)|chosen?|pick(?:ing)?|select(?:ing)?|prefer|with"
    r"|so|therefore|thus|hence|and|or|not|nor|neither|either|both|but|than|then|to|only|by|think|say|believe"
    r"|exclude|eliminate|out|reject|of|for|even|except|if|though|also|just|clearly|definitely|probably|likely|instead"
    r"|nevertheless|nonetheless|however|yet|still|rather|whereas|while"
    r"|maybe|perhaps|possibly|leav(?:es|ing)|means|gives|suggests|indicates|matches|towards?|favou?rs?|supports?)) ?$",
    re.IGNORECASE,
)
_AND = re.compile(r"\b(?:and|or|nor) $")
_AFTER_WORD = re.compile(
    r"$|[.,:;!?)\]/&\"']| ?[-—]| (?:is|was|are|has|shows?|because|since|as|and|or|but|would|will|does|can|cannot|can't"
    r"|must|seems|looks|remains|represents|fits|matches|isn't|doesn't|makes|best|only|being)\b"
)
_LINKED = re.compile(r"(?<!\w)[A-HJ-Z][)\]\"']*(?:, ?|,? (?:and|or|nor|to) )[(\[\"']*$")
_DENIED_BEFORE = re.compile(
    r"\b(?:unlike|rather than|instead of|as opposed to)\b[^,.;]*$"
    r"|\b(?:(?:any|every)thing|all) but (?:option |choice )?[(\"']*$"
    r"|\b(?:going|tempted) to (?:say|pick|choose) [(\"']*$"
    r"|(?:\b(?:not|never|cannot|neither|nor|no|without|except|excluding|than|eliminat\w+"
    r"|rul(?:e[sd]?|ing) out|exclud\w+|reject\w*|discard\w*|thought|guessed|considered|(?:wrong|incorrect)(?:ly)?"
    r"|doubt|least likely"
    r"|(?:first|initial) (?:answer|guess|thought|idea|impression) (?:was|is))|n't)"
    r"(?: (?:be|the|an?|necessarily|option|choice|answer|letter|with|both|either|match|equal|fit|is|it|of|that"
    r"|think|believe|say))*"
    r"[ (\[\"':]*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[)\]\"'.:]*(?: (?:is|are|was|were|would be|seems?|looks?)(?: \w+)? (?:not|wrong|incorrect|false|too|out"
    r"|impossible|invalid|excluded|eliminated|rejected|ruled out|unlikely)\b"
    r"| (?:\w+n't|cannot|(?:does|do|would|can|could|should|must) not|fails?|has too)\b"
    r"| (?:would|could|might) (?:only )?(?:be|have been|fit|match|work)\b[^.,;]{0,40} if\b"
    r"| (?:is|looks|seems|sounds|may be|might be)(?: \w+)? (?:tempting|plausible|attractive|possible|close)"
    r"(?: at first)?[,;]? (?:but|however|nevertheless)\b"
    r"|, which is (?:not|wrong|incorrect|false)\b"
    r"|:? ?(?:too \w+|wrong|incorrect|false|not?)\b)",
    re.IGNORECASE,
)
_JOINT = re.compile(r"^(?:[ .:)—]|-(?=\s))+")  # between a letter and its text, which may begin with a minus
_ONLY = re.compile(r"(?<!not )\bonly (?:(?:option|choice) )?[(\[\"']*$", re.IGNORECASE)
_CROSS = re.compile("[❌✗✘✖]")
_LIST = re.compile(r"[)\]\"']*(?:,? ?(?:and|or|nor|&) |, ?|/)[(\[\"']*(?:(?:option|choice) )?[(\[\"']*", re.IGNORECASE)


class Lead(NamedTuple):
    """The letter that a passage begins with, and what follows it.

    `apart`: it is not the start of a text; `denied`: what follows denies it, unless that is the text of the option.
    """

    letter: str
    tail: str
    apart: bool
    denied: bool


def lead(text: str) -> Lead | None:
    """None for a passage that does not begin with a letter of its own."""
    match = _LEAD.fullmatch(text)
    if match is None:
        return None
    tail = match["tail"]
    after = _AFTER_CAPITAL if match["letter"].isupper() else _AFTER_SMALL
    dressed = (match["close"] and not _VERB.match(tail)) or after.match(tail)
    denied = _DENIED_AFTER.match(tail) or _CROSS.search(tail)
    apart = bool(dressed and not _ANOTHER.match(tail) and not _AND_ANOTHER.search(tail))
    return Lead(match["letter"].upper(), _JOINT.sub("", tail).rstrip(" .:)-—"), apart, bool(denied))


def mentions(passage: str, letters: str) -> list[re.Match[str]]:
    """Where a passage mentions one of these letters as an option."""
    found: list[re.Match[str]] = []
    for match in _MENTION.finditer(passage):
        if named(match) in letters and _is_option(match, passage, found[-1].end() if found else 0):
            found.append(match)
    return found


def named(mention: re.Match[str]) -> str:
    """The letter of a mention."""
    return next(letter for letter in mention.groups() if letter).upper()


def affirmed(found: Sequence[re.Match[str]], passage: str) -> list[str]:
    """The letters of the mentions that are not denied, each once; a denial reaches over a list: "neither A nor B".

    "Only B" is B alone.
    """
    if _CROSS.search(passage):
        return []
    before = [bool(_DENIED_BEFORE.search(passage[max(0, match.start() - 50) : match.start()])) for match in found]
    after = [bool(_DENIED_AFTER.match(passage, match.end())) for match in found]
    listed = [bool(_LIST.fullmatch(passage, *_between(one, other))) for one, other in pairwise(found)]
    for i, link in enumerate(listed):
        before[i + 1] |= link and before[i]
    for i, link in reversed(list(enumerate(listed))):
        after[i] |= link and after[i + 1]
    left = [match for match, *denied in zip(found, before, after, strict=True) if not any(denied)]
    alone = [match for match in left if _ONLY.search(passage[max(0, match.start() - 20) : match.start()])]
    return list(dict.fromkeys(map(named, alone if len(alone) == 1 else left)))


def _is_option(match: re.Match[str], passage: str, last_end: int) -> bool:
    """`last_end` is where the last mention before it ends: in "points A and B" neither letter is an option."""
    if not match["bare"]:
        return True
    before = passage[max(0, match.start() - 20) : match.start()]
    if not match["bare"].isupper() or not _BEFORE_BARE.search(before):
        return False
    if (linked := _LINKED.search(before)) and last_end <= match.start() - len(linked[0]):
        return False
    return not (match["bare"] == "A" or _AND.search(before)) or bool(_AFTER_WORD.match(passage, match.end()))


def _between(one: re.Match[str], other: re.Match[str]) -> tuple[int, int]:
    return one.end(), other.start(other.lastgroup or 0)
