"""Which number does a passage state?

A number is a measure (`visplay.labels.measures`), a formula, or numbers set in order: a point, a ratio, a list.

- Of a chain of equations the last side is the answer: "5 + 7 = 12". "x^2 = 9 and x = 3" comes to 3; "x = 3 or x = -3"
  and "x = 3 and y = 4" are several.
- What is denied is not stated: "not 10". A range, "10 or 12" and numbers of several things are several.
"""

from __future__ import annotations

import re

from visplay.evaluation.reading.cues import without_reason
from visplay.evaluation.reading.formulas import is_formula, mathematical
from visplay.evaluation.reading.passages import Reader
from visplay.evaluation.reading.sentences import refuses
from visplay.labels import measures

_ADDED = re.compile(r" (?:or so|in total|in all|altogether)$")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?: [0-9]{3})+(?![0-9])")
_HEDGE = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|exactly|precisely|only|just|~|equal to) ?",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"=|→|⇒|\\to\b|\bequals\b")
ABOUT = re.compile(r"≈|\\approx(?![a-z])|\\simeq|≃|≅|, (?:or |which is )?(?:approximately|about|roughly)(?= [0-9])")
_JOINT = re.compile(r"(?:,(?![0-9]{3})|\band\b|\bor\b)(?=[^,]*=)")
_TO = re.compile(r"\bratio\b.*?(?<=[0-9])( to )(?=[0-9])", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|never|cannot)\b|n't\b|≠|\\neq?\b", re.IGNORECASE)
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot|neither|nor|no|instead of|than|without|at least|at most|up to|over|above|below|under)"
    r"|n't|≠|\\neq?|[<>]|\\[lg]eq?(?![a-z]))"
    r"(?: (?:be|equal|to|exactly|the|an?|about|just|only|really|necessarily|actually|simply))*[ (\"']*$",
    re.IGNORECASE,
)

_REJECTED = re.compile(
    r" (?:is|was|would be|seems) (?:clearly |definitely )?(?:wrong|incorrect|not|too)\b"
    r"| or (?:more|less|fewer|above|below)\b|\+$| ?(?:[<>]|\\[lg]eq?(?![a-z]))",
    re.IGNORECASE,
)

_BRACES = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_DIGITS = r"[0-9]+(?::[0-9]+)+|(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_ATOM = rf"(?:{_DIGITS}|\\[dtc]?frac(?:{_BRACES}{_BRACES}|[0-9][0-9])|\\sqrt(?:\[[0-9]\])?(?:{_BRACES}|[0-9])|\\pi)"
_POWER_OF_TEN = r" ?(?:[x×*]|\\times|\\cdot) ?10\^(?:\{[+-]?[0-9]+\}|[+-]?[0-9]+)"
_VALUE = rf"{_ATOM}(?:{_POWER_OF_TEN}|\^(?:{_BRACES}|[0-9]))?(?: ?(?=\\){_ATOM}| ?/ ?[0-9]+(?![0-9.]))*"
_SCALE = r"(?: ?(?:(?i:hundred|thousand|million|billion|trillion|dozen)s?|[kKM])(?![^\W_]|/))?"
_WORDS = "|".join(sorted((name for name in measures.UNITS if len(name) > 2), key=len, reverse=True))
_SIGNS = r"[kMmμnGc]?(?:N|J|W|V|Hz|Pa|Ω|eV|m|g|s|l|L)|[kmμ]A|mi|ft|lb|hr|h"
_UNIT = (
    rf"(?:(?:square|cubic|sq\.?|cu\.?) )?(?:(?i:{_WORDS})|{_SIGNS})(?:\^?\{{?[23]\}}?| squared| cubed)?(?!\w)"
    r"|(?:in|A)(?=[.,;:)]|$)"  # not "5 in the picture"
)
_TOKEN = re.compile(
    rf"(?:(?<![\w)}}])[-+] ?)?(?:[$€£¥₹] ?)?(?<![\w.\\^{{/]){_VALUE}(?![0-9]|[.,][0-9]|\\|/[0-9]|\^|(?:st|nd|rd|th)\b)"
    rf"{_SCALE}(?: ?(?:%|°(?: ?[CFT]\b)?|(?:{_UNIT})(?:(?:/| per )(?:{_UNIT}))?))?(?![^\W\d_])"
)
_JOINED = re.compile(r" ?(?:-|,|/|–|(?:[a-z]+ ){0,2}[a-z]*,? ?\b(?:or|and|to|nor)\b) ?", re.IGNORECASE)
VERB = re.compile(
    r"\b(?:is|are|was|were|equals?|equal to|be|measures|gives|giving|makes?|making|yields|has|have|costs?|reads?|shows"
    r"|(?:total|sum) of|(?:up|comes?|amounts?|sums?|leads?) to|count(?:ed)?|get|find|reach(?:ed|es)"
    r"|(?:rose|rises|grew|grows|fell|falls|dropped|drops|(?:in|de)creased?s?) to)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r",? and (?=(?:the|its|their|his|her)\b)")
_COUNTS = re.compile(r" (?:[a-z]+ ){1,3}(?:is|are|was|were|can|have|has)\b")
_NONE_THERE = re.compile(
    r"there (?:is|are) no (?!answer|information|way|solution|number|clear|visible)[a-z]+\b[^,;0-9]*", re.IGNORECASE
)
_PRONOUN_ONE = re.compile(
    r"\b(?:the|this|that|each|every|any|no|some|which|other|another|only|left|right|top|bottom|first|second|last"
    r"|[0-9]+(?:st|nd|rd|th)|\w+er|\w+est) one\b|\bone (?:of|can|could|should|must)\b",
    re.IGNORECASE,
)


def _alone(passage: str) -> list[str]:
    """The number that the passage is, maybe after the name of what it measures and an equals sign; at most one."""
    text = mathematical(passage)
    if _EQUALS.search(text):
        if len(_equations(text)) > 1 or _DENIAL.search(_JOINT.split(_EQUALS.split(text)[0])[-1]):
            return []
        text = _last_side(text)
    text = _ADDED.sub("", text)
    if hedge := _HEDGE.match(text):
        text = text[hedge.end() :]
    if _GROUPED.match(text):
        text = re.sub(r"(?<=[0-9]) (?=[0-9]{3})", "", text)
    sides = [side.strip() for side in ABOUT.split(text)]
    if len(sides) > 1 and not _is_number(sides[0]):  # "the area ≈ 3.14" names it; "1/3 ≈ 0.33" gives it twice
        text, sides = sides[-1], sides[-1:]
    return [text] if all(map(_is_number, sides)) else []


def _in_sentence(passage: str) -> list[str]:
    """The numbers that a sentence states: what stands behind its verb if that is a number, else all in it."""
    text = _PRONOUN_ONE.sub(" ", without_reason(passage))
    if refuses(text):
        return []
    if alone := _alone(text):
        return alone
    text = measures.words_as_digits(mathematical(text))
    if ratio := _TO.search(text):
        text = text[: ratio.start(1)] + ":" + text[ratio.end(1) :]
    if equations := _equations(text):
        return _solutions(equations, "or" in text.split())
    found = _not_denied(text)
    if len(found) < 2:
        return found
    clauses = [clause for clause in _CLAUSE.split(text) if _TOKEN.search(clause)]
    predicates = [_predicate(clause) for clause in clauses]
    return [number for stated in predicates for number in stated] if all(predicates) else found


def _predicate(clause: str) -> list[str]:
    """The number behind the last verb that has one, else the one that the clause begins with: "12 dogs are ..."."""
    for verb in reversed(list(VERB.finditer(clause))):
        rest = clause[verb.end() :]
        if stated := _alone(rest) or _leading(rest):
            return stated
        if _TOKEN.search(rest):
            break
    counted = _TOKEN.match(clause)
    return [counted[0].strip()] if counted and _COUNTS.match(clause, counted.end()) else []


def _phrase(passage: str) -> list[str]:
    if _NONE_THERE.fullmatch(passage.strip()):
        return ["0"]
    return _alone(passage) or _alone(without_reason(passage)) or _in_sentence(passage)


NUMBERS = Reader(terse=_alone, phrase=_phrase, sentence=_in_sentence, last_is_result=True)


def _equations(text: str) -> list[str]:
    """The parts of a text with an equals sign, where it is cut at commas, "and" and "or"."""
    return [part for part in _JOINT.split(text) if _EQUALS.search(part)]


def _last_side(equation: str) -> str:
    sides = [side.strip() for side in _EQUALS.split(equation)]
    return sides[0] if len(sides) == 2 and _is_number(sides[0]) and not _is_number(sides[1]) else sides[-1]


def _solutions(equations: list[str], any_of_them: bool) -> list[str]:
    """What equations come to: the last one's value where it solves the one before, as "x = 3" does "x^2 = 9"."""
    names = [_EQUALS.split(equation)[0].strip().split(" ")[-1] for equation in equations]
    if len(equations) > 1 and not any_of_them and names[-1] != names[-2] and names[-1] in names[-2]:
        equations = equations[-1:]
    values = [value for one in equations for value in _leading(_last_side(one)) or _not_denied(_last_side(one))]
    return [] if len(equations) == 1 and _DENIAL.search(_EQUALS.split(equations[0])[0]) else values


def _leading(text: str) -> list[str]:
    """The number that a text begins with, and those that are joined to it by "or"."""
    text = text.lstrip(" :,")
    hedge = _HEDGE.match(text)
    start = hedge.end() if hedge else 0
    found: list[str] = []
    while token := _TOKEN.match(text, start):
        found.append(token[0].strip())
        joined = _JOINED.match(text, token.end())
        if joined is None:
            break
        start = joined.end()
    return found


def _not_denied(text: str) -> list[str]:
    """The numbers in a text that are not denied, each value once."""
    values: dict[str, str] = {}
    for token in _TOKEN.finditer(text):
        before = text[max(0, token.start() - 30) : token.start()]
        if not _DENIED.search(before) and not _REJECTED.match(text, token.end()):
            values.setdefault(str(measures.read(token[0].strip()) or token[0]), token[0].strip())
    return list(values.values())


def _is_number(text: str) -> bool:
    return bool(measures.read(text)) or is_formula(text)
