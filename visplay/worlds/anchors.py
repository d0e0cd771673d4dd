"""Anchors: questions about a world's pictures with their true answers, for training that is not label-free.

The one declared way of truth into training. What makes rows of it is `visplay.mixing`; roles and labels see rows like
all others.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from visplay.records import UNANSWERABLE, Ballot, SilverAnswer
from visplay.roles.questioner import question
from visplay.worlds import grammar
from visplay.worlds.scenes import Scene

ANCHOR = "anchor"  # stands for the checkpoint that asked, and for the one that voted


def anchor(scene: Scene, image_id: str, keep_unanswerable: bool = False) -> SilverAnswer:
    """A question about a scene, a pure function of it, with its true answer as the only vote.

    Families take turns by the scene's number; one that has no answer about this scene gives way to the next, unless
    rows that say so are kept.
    """
    rng = np.random.default_rng([3_000, scene.index])
    families = list(grammar.FAMILIES)
    for turn in count(scene.index):
        family = families[turn % len(families)]
        query = grammar.ask(scene, family, rng, unanswerable_share=0.1 if keep_unanswerable else 0.0)
        answer = grammar.truth(scene, query)
        if keep_unanswerable or answer != UNANSWERABLE:
            break
    asked = question(image_id, grammar.FAMILIES[family], grammar.write(query))
    assert asked is not None
    return SilverAnswer(image_id, asked, Ballot((answer,), answer, 1.0, False, 1), None, ANCHOR, ANCHOR)
