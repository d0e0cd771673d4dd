"""Questions about scenes: nine graded families, a parser from English, and the exact oracle.

`ask` writes a question for a scene; `parse` reads any question in the grammar, whoever wrote it; `truth` answers it
from the layout. Truth reaches the held-out score and the audit, never training: roles, labels and engine cannot
import it.

| family   | form                                                   | answer        | hops |
|----------|--------------------------------------------------------|---------------|------|
| kind     | What is in the northwest?                              | shape / digit | 1    |
| color    | What color is the small circle?                        | color         | 1    |
| read     | What is the largest red digit?                         | 0 to 9        | n    |
| exists   | Is there a red circle?                                 | yes / no      | 1    |
| count    | How many large objects are there?                      | 0 to 6        | n    |
| choice   | Where is the red 7? (A) north (B) ...; What color is the largest digit? (A) ... | A to D | 1-n |
| relation | Is a cross above a blue digit?                         | yes / no      | 2n   |
| compare  | Are there more red objects than circles?               | yes / no      | 2n   |
| sum      | What is the sum of the digits?                         | number        | n    |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from visplay.records import UNANSWERABLE, QuestionType
from visplay.worlds.scenes import COLORS, DIGITS, PLACES, SHAPES, SIZES, Scene, Thing

FAMILIES: dict[str, QuestionType] = {
    "kind": "short_text",
    "color": "short_text",
    "read": "numerical",
    "exists": "multiple_choice",
    "count": "numerical",
    "choice": "multiple_choice",
    "relation": "multiple_choice",
    "compare": "multiple_choice",
    "sum": "numerical",
}
_RELATIONS: dict[str, Callable[[Thing, Thing], bool]] = {
    "left of": lambda a, b: a.column < b.column,
    "right of": lambda a, b: a.column > b.column,
    "above": lambda a, b: a.row < b.row,
    "below": lambda a, b: a.row > b.row,
}

_EXTREMES = ("largest", "smallest")

T = TypeVar("T")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase: None leaves an attribute open; noun is object, digit, a shape, or one digit's value."""

    size: str | None = None
    color: str | None = None
    noun: str = "object"
    place: str | None = None

    def matches(self, thing: Thing) -> bool:
        """Whether the phrase denotes the thing; what is left open matches everything."""
        return (
            self.size in (None, thing.size)
            and self.color in (None, thing.color)
            and self.place in (None, thing.place)
            and (self.noun in ("object", thing.kind) or (self.noun == "digit" and thing.kind in DIGITS))
        )

    def text(self, plural: bool = False) -> str:
        """The phrase in words, without article and without place: `small red crosses`."""
        noun = self.noun + ("es" if self.noun == "cross" else "s") * plural
        return " ".join(word for word in (self.size, self.color, noun) if word)


@dataclass(frozen=True)
class Query:
    """A question as meaning. `detail` is the relation, or largest / smallest; `choices` the texts of options A to D."""

    family: str
    phrases: tuple[Phrase, ...]
    detail: str | None = None
    choices: tuple[str, ...] = ()


def matching(scene: Scene, phrase: Phrase) -> list[Thing]:
    """The things that a noun phrase denotes, in reading order."""
    return [thing for thing in scene.things if phrase.matches(thing)]


def truth(scene: Scene, query: Query) -> str:
    """The one right answer, or UNANSWERABLE when the question presupposes what the image does not show."""
    found = [matching(scene, phrase) for phrase in query.phrases]
    if query.family == "count":
        return str(len(found[0]))
    if query.family == "exists":
        return _yes(bool(found[0]))
    if query.family == "compare":
        return _yes(len(found[0]) > len(found[1]))
    if query.family == "sum":
        return str(sum(int(thing.kind) for thing in found[0])) if found[0] else UNANSWERABLE
    if query.family == "relation":
        assert query.detail is not None
        return _yes(any(_RELATIONS[query.detail](a, b) for a in found[0] for b in found[1]))
    if query.detail is not None:
        found[0] = extremes(found[0], query.detail)
    if query.family == "choice":
        return _letter(query, found[0])
    if query.family == "read":
        return found[0][0].kind if found[0] else UNANSWERABLE
    if len(found[0]) != 1:
        return UNANSWERABLE
    return found[0][0].color if query.family == "color" else found[0][0].kind


def extremes(digits: list[Thing], which: str) -> list[Thing]:
    """The digits of the largest or smallest value: none of none, several where they tie."""
    value = (max if which == "largest" else min)((int(thing.kind) for thing in digits), default=None)
    return [thing for thing in digits if int(thing.kind) == value]


def _letter(query: Query, things: list[Thing]) -> str:
    if len(things) != 1:
        return UNANSWERABLE
    answer = things[0].color if query.detail else things[0].place
    return "ABCD"[query.choices.index(answer)] if answer in query.choices else UNANSWERABLE


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def write(query: Query) -> str:
    """The English of a query; `parse` reads it back."""
    texts = [phrase.text() for phrase in query.phrases]
    plurals = [phrase.text(plural=True) for phrase in query.phrases]
    first = query.phrases[0]
    options = "".join(f" ({letter}) {choice}" for letter, choice in zip("ABCD", query.choices, strict=False))
    if query.family == "kind":
        return f"What is in the {first.place}?"
    if query.family == "color":
        return f"What color is the {texts[0]}?"
    if query.family == "read":
        return f"What is the {query.detail} {texts[0]}?"
    if query.family == "exists":
        return f"Is there a {texts[0]}?"
    if query.family == "count":
        return f"How many {plurals[0]} are there?"
    if query.family == "choice":
        return (f"What color is the {query.detail} digit?" if query.detail else f"Where is the {texts[0]}?") + options
    if query.family == "relation":
        return f"Is a {texts[0]} {query.detail} a {texts[1]}?"
    if query.family == "compare":
        return f"Are there more {plurals[0]} than {plurals[1]}?"
    return f"What is the sum of the {plurals[0]}?"


_SIZE, _COLOR = "|".join(SIZES), "|".join(COLORS)
_NOUN = "|".join(("object", "digit", *SHAPES, *DIGITS))
_PHRASE = rf"(?:(?:{_SIZE}) )?(?:(?:{_COLOR}) )?(?:{_NOUN})(?:es|s)?"
_DIGITS = rf"(?:(?:{_SIZE}) )?(?:(?:{_COLOR}) )?digit"
_FORMS = {
    "kind": re.compile(rf"What is in the (?P<place>{'|'.join(PLACES)})\?"),
    "color": re.compile(rf"What color is the (?P<a>{_PHRASE})\?"),
    "read": re.compile(rf"What is the (?P<detail>{'|'.join(_EXTREMES)}) (?P<a>{_DIGITS})\?"),
    "exists": re.compile(rf"Is there a (?P<a>{_PHRASE})\?"),
    "count": re.compile(rf"How many (?P<a>{_PHRASE}) are there\?"),
    "choice": re.compile(
        rf"(?:Where is the (?P<a>{_PHRASE})|What color is the (?P<detail>{'|'.join(_EXTREMES)}) digit)\?"
        r"(?P<options>\s*\(A\)[^()]+\(B\)[^()]+(?:\(C\)[^()]+(?:\(D\)[^()]+)?)?)"
    ),
    "relation": re.compile(rf"Is a (?P<a>{_PHRASE}) (?P<detail>{'|'.join(_RELATIONS)}) a (?P<b>{_PHRASE})\?"),
    "compare": re.compile(rf"Are there more (?P<a>{_PHRASE}) than (?P<b>{_PHRASE})\?"),
    "sum": re.compile(rf"What is the sum of the (?P<a>{_DIGITS}s)\?"),
}


def parse(text: str) -> Query | None:
    """The query behind a question's text, or None when it is not in the grammar."""
    for family, form in _FORMS.items():
        match = form.fullmatch(text.strip())
        if match is None:
            continue
        parts = match.groupdict()
        phrases = tuple(_phrase(parts[name]) for name in ("a", "b") if parts.get(name))
        if family == "kind":
            phrases = (Phrase(place=parts["place"]),)
        elif family == "choice" and parts["detail"]:
            phrases = (Phrase(noun="digit"),)
        choices = tuple(part.strip(" ,;") for part in re.split(r"\([A-D]\)", parts.get("options") or "")[1:])
        return Query(family, phrases, parts.get("detail"), choices)
    return None


def _phrase(text: str) -> Phrase:
    words = text.split()
    size = next((word for word in words if word in SIZES), None)
    color = next((word for word in words if word in COLORS), None)
    noun = next(noun for noun in _NOUN.split("|") if words[-1] in (noun, noun + "s", noun + "es"))
    return Phrase(size, color, noun)


def ask(scene: Scene, family: str, rng: np.random.Generator, unanswerable_share: float = 0.1, tries: int = 12) -> Query:
    """A random question of a family; each answer that occurs among `tries` drafts is equally likely."""
    drafts = [_draft(scene, family, rng) for _ in range(tries)]
    by_answer: dict[str, Query] = {truth(scene, query): query for query in drafts}
    answers = sorted(by_answer.keys() - {UNANSWERABLE})
    if UNANSWERABLE in by_answer and (not answers or rng.random() < unanswerable_share):
        return by_answer[UNANSWERABLE]
    return by_answer[pick(answers, rng)]


def _draft(scene: Scene, family: str, rng: np.random.Generator) -> Query:
    if family == "kind":
        return Query(family, (Phrase(place=pick(PLACES, rng)),))
    if family in ("read", "sum"):
        size = pick(tuple(SIZES), rng) if rng.random() < 0.3 else None
        color = pick(tuple(COLORS), rng) if rng.random() < 0.3 else None
        return Query(family, (Phrase(size, color, "digit"),), pick(_EXTREMES, rng) if family == "read" else None)
    if family == "choice" and rng.random() < 0.5:
        return Query(family, (Phrase(noun="digit"),), pick(_EXTREMES, rng), _options(tuple(COLORS), rng))
    first = _noun_phrase(scene, rng, with_color=family != "color")
    if family == "choice":
        return Query(family, (first,), None, _options(PLACES, rng))
    phrases = (first, _noun_phrase(scene, rng)) if family in ("relation", "compare") else (first,)
    return Query(family, phrases, pick(tuple(_RELATIONS), rng) if family == "relation" else None)


def _noun_phrase(scene: Scene, rng: np.random.Generator, with_color: bool = True) -> Phrase:
    """A phrase with one to three attributes, more often than not taken from a thing in the scene."""
    noun = pick((*SHAPES, *DIGITS, "digit", "object"), rng)
    color, size = pick(tuple(COLORS), rng), pick(tuple(SIZES), rng)
    if rng.random() < 0.6:
        thing = pick(scene.things, rng)
        noun = pick((thing.kind, "digit" if thing.kind in DIGITS else thing.kind, "object"), rng)
        color, size = thing.color, thing.size
    phrase = Phrase(size if rng.random() < 0.25 else None, color if with_color and rng.random() < 0.6 else None, noun)
    return phrase if phrase != Phrase() else Phrase(size=size)


def _options(texts: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    return tuple(texts[i] for i in rng.permutation(len(texts))[:4])


def pick(values: Sequence[T], rng: np.random.Generator) -> T:
    """One of some values, each equally likely (Generator.choice is several times slower and returns NumPy scalars)."""
    return values[int(rng.integers(len(values)))]
