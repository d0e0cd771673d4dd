"""What the base is taught to say: descriptions, questions, and worked solutions in the grammar's own words.

A solution looks, concludes and answers; where nothing or too much fits, it says that the question cannot be answered.
There are many ways to look, drawn at random: a *survey* goes through all things and says of each whether it is meant,
a *search* names only those that are; either scans the picture in one of four directions and names a thing by its
place, its color or its kind first. None is there to be unlearnt. They fail on different pictures, so that samples of
one question disagree and their majority is better than any one of them, as with larger models.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from visplay.worlds.grammar import FAMILIES, Query, extremes, matching, pick, truth, write
from visplay.worlds.scenes import PLACES, Scene, Thing

ASK_PROMPT = "Ask a question."
DESCRIBE_PROMPT = "Describe the image."

_SCANS = (
    lambda thing: (thing.row, thing.column),
    lambda thing: (-thing.row, -thing.column),
    lambda thing: (thing.column, thing.row),
    lambda thing: (-thing.column, -thing.row),
)


def solution(scene: Scene, query: Query, rng: np.random.Generator) -> str:
    """A completion of the Reasoner that is right: what it looked at between <think> tags, then the boxed answer."""
    look = pick((_survey, _search), rng)
    thoughts = look(scene, query, rng) + _conclusion(scene, query)
    return f"<think>{thoughts}</think>\\boxed{{{truth(scene, query)}}}"


def asking(scene: Scene, query: Query, rng: np.random.Generator) -> str:
    """A completion of the Questioner: what it sees, then `query` with the right answer."""
    with_size = any(phrase.size for phrase in query.phrases)
    seen = _mentions(_scan(scene.things, rng), [""] * len(scene.things), rng, with_size)
    kind, answer = FAMILIES[query.family], truth(scene, query)
    return f"<think>{seen}</think><type>{kind}</type><question>{write(query)}</question><answer>{answer}</answer>"


def description(scene: Scene, rng: np.random.Generator) -> str:
    """All things as a survey names them; or every cell in random order with what stands there."""
    if rng.random() < 0.7:
        return _mentions(_scan(scene.things, rng), [""] * len(scene.things), rng, with_size=rng.random() < 0.5)
    things = {thing.place: f"{thing.size} {thing.color} {thing.kind}" for thing in scene.things}
    return ", ".join(f"{PLACES[i]} {things.get(PLACES[i], 'none')}" for i in rng.permutation(len(PLACES)))


def _survey(scene: Scene, query: Query, rng: np.random.Generator) -> str:
    """Every thing, and which noun phrase of the question means it."""
    words = (" no", " yes") if len(query.phrases) == 1 else (" no", " first", " second", " both")
    things = _scan(scene.things, rng)
    verdicts = [words[sum(2**i * phrase.matches(thing) for i, phrase in enumerate(query.phrases))] for thing in things]
    return _mentions(things, _running(query, things, verdicts), rng, any(phrase.size for phrase in query.phrases))


def _search(scene: Scene, query: Query, rng: np.random.Generator) -> str:
    """For each noun phrase of the question the things that it means."""
    parts = []
    for phrase in query.phrases:
        things = _scan(matching(scene, phrase), rng)
        ends = _running(query, things, [""] * len(things))
        parts.append(_mentions(things, ends, rng, bool(phrase.size)) or " none")
    return ";".join(parts)


def _conclusion(scene: Scene, query: Query) -> str:
    """The last step, where the answer is not a thing: how two lie along the axis in question, or which option fits."""
    if query.family not in ("relation", "choice"):
        return ""
    found = [matching(scene, phrase) for phrase in query.phrases]
    if query.family == "relation":
        return "; " + _farthest(query, *found)
    if query.detail:
        found = [extremes(found[0], query.detail)]
    if len(found[0]) != 1:
        return "; none"
    return "; " + ", ".join(_options_up_to(found[0][0].color if query.detail else found[0][0].place, query))


def _farthest(query: Query, first: Sequence[Thing], second: Sequence[Thing]) -> str:
    """The two things that are most likely to lie as asked, each by where it lies along the axis in question."""
    vertical = query.detail in ("above", "below")
    names = ("north", "center", "south") if vertical else ("west", "center", "east")
    order = (min, max) if query.detail in ("above", "left of") else (max, min)
    along = [[thing.row if vertical else thing.column for thing in things] for things in (first, second)]
    return ", ".join(names[end(at)] if at else "none" for end, at in zip(order, along, strict=True))


def _options_up_to(answer: str, query: Query) -> list[str]:
    """Each option with its verdict; those behind the right one are not looked at."""
    upto = query.choices.index(answer) + 1 if answer in query.choices else len(query.choices)
    looked_at = zip("ABCD", query.choices[:upto], strict=False)
    return [f"({letter}) {choice} {'yes' if choice == answer else 'no'}" for letter, choice in looked_at]


def _scan(things: Sequence[Thing], rng: np.random.Generator) -> list[Thing]:
    return sorted(things, key=pick(_SCANS, rng))


def _running(query: Query, things: Sequence[Thing], ends: Sequence[str]) -> list[str]:
    """`ends`, and behind each digit that counts the total, or the largest or smallest value, so far."""
    if query.family != "sum" and query.detail not in ("largest", "smallest"):
        return list(ends)
    combine = {"largest": max, "smallest": min}.get(query.detail or "", operator.add)
    so_far: int | None = None
    told = []
    for thing, end in zip(things, ends, strict=True):
        if end != " no":
            so_far = int(thing.kind) if so_far is None else combine(so_far, int(thing.kind))
            end += f" {query.detail or 'total'} {so_far}"
        told.append(end)
    return told


def _mentions(things: Sequence[Thing], ends: Sequence[str], rng: np.random.Generator, with_size: bool) -> str:
    """Things by their attributes, in turn from one drawn for all; the size only where the question speaks of it."""
    first, mentions = int(rng.integers(3)), []
    for thing, end in zip(things, ends, strict=True):
        words = [thing.place, thing.color, thing.kind]
        turned = words[first:] + words[:first]
        mentions.append(" " + " ".join([thing.size, *turned] if with_size else turned) + end)
    return ",".join(mentions)
