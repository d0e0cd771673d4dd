"""The Reasoner without its eyes: what it answers when the image is left out, or is a flat field of its mean colour.

Used to find questions that need no image: for labels, where such rows are dropped, and for the Questioner's reward,
where they are charged. The rule stands in `visplay.labels.blind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageStat

from visplay.engine.sampling import Sampler
from visplay.images import PoolImage
from visplay.labels.answers import boxed
from visplay.labels.voting import vote as count
from visplay.recipe import Recipe
from visplay.recipe.limits import BLIND_VIEWS
from visplay.records import Ballot, Question
from visplay.roles import reasoner

NO_IMAGE, GREY_IMAGE = BLIND_VIEWS  # the ways of not seeing, as recipes name them


@dataclass(frozen=True)
class GreyImage(PoolImage):
    """An image of the pool of which only the size and the mean colour are left."""

    def open(self) -> Image.Image:
        """One colour."""
        return grey(super().open())


def grey(image: Image.Image) -> Image.Image:
    """A flat field of the mean colour, of the same size."""
    mean = ImageStat.Stat(image).mean
    return Image.new("RGB", image.size, tuple(round(channel) for channel in mean))


def unseen(picture: PoolImage, view: str) -> PoolImage | None:
    """What is shown instead of a picture. Raises ValueError for an unknown way of not seeing."""
    if view not in (NO_IMAGE, GREY_IMAGE):
        raise ValueError(f"{view!r} is no way of not seeing; use {NO_IMAGE} or {GREY_IMAGE}")
    return None if view == NO_IMAGE else GreyImage(picture.record, picture.settings)


def vote(
    sampler: Sampler,
    asked: Sequence[tuple[PoolImage, Question]],
    recipe: Recipe,
    seed: int,
    view: str,
    n: int,
    progress: str | None = None,
) -> list[Ballot]:
    """n blind votes on each question, by the Reasoner's own prompt and parser."""
    hidden = [(unseen(picture, view), question) for picture, question in asked]
    drawn = reasoner.complete(sampler, hidden, recipe, seed, n=n, progress=progress)
    return [
        count([boxed(text) for text in completions], question)
        for completions, (_, question) in zip(drawn, asked, strict=True)
    ]
