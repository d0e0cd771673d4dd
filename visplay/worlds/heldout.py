"""Held-out questions with known answers, for the score that the result table shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from PIL import Image

from visplay.evaluation.accuracy import Known
from visplay.roles.questioner import question
from visplay.worlds import grammar, scenes


@dataclass(frozen=True)
class HeldoutItem(Known):
    """One question about one scene, with its true answer; the picture is drawn when it is first asked for."""

    scene: scenes.Scene

    @cached_property
    def image(self) -> Image.Image:
        """The picture."""
        return scenes.render(self.scene)


def heldout_items(split: scenes.Split, count: int) -> list[HeldoutItem]:
    """`count` questions, families in turn, one scene each: a pure function of the split."""
    return [_item(split, index) for index in range(count)]


@cache  # a loop asks them after every iteration
def _item(split: scenes.Split, index: int) -> HeldoutItem:
    family = list(grammar.FAMILIES)[index % len(grammar.FAMILIES)]
    scene = scenes.scene(split, index)
    query = grammar.ask(scene, family, np.random.default_rng([2_000, index]))
    asked = question(f"{split}-{index}", grammar.FAMILIES[family], grammar.write(query))
    assert asked is not None
    return HeldoutItem(asked, family, grammar.truth(scene, query), scene)
