"""What the base is taught to say: descriptions, questions, and worked solutions in the grammar's own words.

A solution names the things that the question is about and then answers; where nothing or too much fits, it says that
the question cannot be answered. There are many ways to think: the order of the things is drawn at random, and so is
whether a thing is named by its place, its color or its kind first. None is better than another, so samples of one
question think along different lines, as those of larger models do.
"""

from __future__ import annotations

import numpy as np

from visplay.worlds.grammar import FAMILIES, Phrase, Query, matching, truth, write
from visplay.worlds.scenes import PLACES, Scene, Thing

ASK_PROMPT = "Ask a question."
DESCRIBE_PROMPT = "Describe the image."


def solution(scene: Scene, query: Query, rng: np.random.Generator) -> str:
    """A completion of the Reasoner that is right: the evidence between <think> tags, then the boxed answer."""
    first = int(rng.integers(3))
    thoughts = [_evidence(scene, phrase, query, first, rng) for phrase in query.phrases]
    return f"<think>{';'.join(thoughts)}</think>\\boxed{{{truth(scene, query)}}}"


def asking(scene: Scene, query: Query) -> str:
    """A completion of the Questioner that asks `query` about the scene, with the right answer."""
    kind = FAMILIES[query.family]
    return f"<type>{kind}</type><question>{write(query)}</question><answer>{truth(scene, query)}</answer>"


def description(scene: Scene, rng: np.random.Generator) -> str:
    """Every cell in random order, with what stands there: a look-up in each word."""
    things = {thing.place: f"{thing.size} {thing.color} {thing.kind}" for thing in scene.things}
    return ", ".join(f"{PLACES[i]} {things.get(PLACES[i], 'none')}" for i in rng.permutation(len(PLACES)))


def _evidence(scene: Scene, phrase: Phrase, query: Query, first: int, rng: np.random.Generator) -> str:
    things = matching(scene, phrase)
    if not things:
        return " none"
    order = [things[i] for i in rng.permutation(len(things))]
    mentions = [_mention(thing, phrase, first) for thing in order]
    if query.family == "sum":
        totals = np.cumsum([int(thing.kind) for thing in order])
        mentions = [f"{mention} total {total}" for mention, total in zip(mentions, totals, strict=True)]
    return ",".join(mentions)


def _mention(thing: Thing, phrase: Phrase, first: int) -> str:
    """A thing by its attributes, in turn from number `first`; its size only where the question speaks of size."""
    words = [thing.place, thing.color, thing.kind]
    turned = words[first:] + words[:first]
    return " " + " ".join([thing.size, *turned] if phrase.size else turned)
