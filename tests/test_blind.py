"""Answers given without sight: the rule by hand, what is shown instead of a picture, and votes of the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from visplay.engine.sampling import LocalSampler
from visplay.images import PoolImage, index_pool
from visplay.labels.blind import agreement, beyond_chance, lowest, needs_no_image
from visplay.labels.voting import vote
from visplay.recipe import PoolSettings, ReasonerSettings, Recipe, SamplingSettings
from visplay.records import UNANSWERABLE, Question
from visplay.roles import blind

YES_NO = Question("y", "image", "multiple_choice", "Is it red?")
LETTERED = Question("l", "image", "multiple_choice", "Which? (A) a (B) b (C) c (D) d", ("a", "b", "c", "d"))
OPEN = Question("o", "image", "numerical", "How many?")


def agreed(question: Question, silver: str, *votes: str | None) -> float | None:
    return agreement(vote(votes, question), silver, question)


def test_agreement_is_the_share_of_all_blind_votes_that_say_the_silver_answer() -> None:
    assert agreed(OPEN, "3", "3", "three", "4", None) == 2 / 4
    assert agreed(LETTERED, "B", "b", "A", "(B)") == 2 / 3
    assert agreed(YES_NO, "no", "yes") == 0


def test_without_a_vote_there_is_no_agreement_and_votes_that_say_nothing_have_none() -> None:
    assert agreed(OPEN, "3") is None
    assert agreed(OPEN, "3", None, None) == 0


def test_who_does_not_see_and_says_so_has_not_answered() -> None:
    assert agreed(OPEN, UNANSWERABLE, UNANSWERABLE, UNANSWERABLE) == 0


@pytest.mark.parametrize(
    ("question", "share", "expected"),
    [
        (YES_NO, 0.5, 0.0),
        (YES_NO, 0.75, 0.5),
        (YES_NO, 0.2, 0.0),
        (LETTERED, 0.25, 0.0),
        (LETTERED, 0.625, 0.5),
        (LETTERED, 1.0, 1.0),
        (OPEN, 0.5, 0.5),
    ],
)
def test_guessing_among_options_is_not_knowing(question: Question, share: float, expected: float) -> None:
    assert beyond_chance(share, question) == pytest.approx(expected)


def test_a_row_needs_no_image_from_the_limit_on_and_never_without_one() -> None:
    assert needs_no_image(0.75, YES_NO, 0.5) and not needs_no_image(0.7, YES_NO, 0.5)
    assert needs_no_image(0.5, OPEN, 0.5) and not needs_no_image(0.5, OPEN, None)
    assert not needs_no_image(None, OPEN, 0.5)


def test_the_answer_must_come_in_every_way_of_not_seeing() -> None:
    assert lowest([0.9, 0.2]) == 0.2
    assert lowest([0.9, None]) is None


def test_a_grey_picture_has_the_size_and_the_mean_color_of_the_seen_one() -> None:
    seen = Image.new("RGB", (4, 2), (10, 0, 200))
    seen.paste((30, 0, 100), (0, 0, 2, 2))
    shown = blind.grey(seen)
    assert (shown.size, shown.getcolors()) == ((4, 2), [(8, (20, 0, 150))])


@pytest.fixture
def picture(tmp_path: Path) -> PoolImage:
    Image.new("RGB", (84, 56), "red").save(tmp_path / "red.png")
    settings = PoolSettings(source=str(tmp_path), max_tokens=16)
    return PoolImage(index_pool(settings).records[0], settings)


def test_a_picture_is_left_out_or_stays_as_a_color(picture: PoolImage) -> None:
    assert blind.unseen(picture, "no_image") is None
    shown = blind.unseen(picture, "grey_image")
    assert shown is not None and (shown.size, shown.open().getcolors()) == ((84, 56), [(84 * 56, (255, 0, 0))])
    with pytest.raises(ValueError, match="'dark' is no way of not seeing; use no_image or grey_image"):
        blind.unseen(picture, "dark")


@pytest.mark.parametrize("view", ["no_image", "grey_image"])
def test_a_model_votes_blind_whatever_the_question_spells(base: Path, picture: PoolImage, view: str) -> None:
    recipe = Recipe(model=str(base), reasoner=ReasonerSettings(prompt="{question}", max_new_tokens=4))
    sampler = LocalSampler(base, PoolSettings(max_tokens=16), SamplingSettings())
    asked = [(picture, Question("q", "i", "short_text", text)) for text in ("What is in <image 1>?", "How many?")]
    ballots = blind.vote(sampler, asked, recipe, seed=0, view=view, n=3)
    assert [len(ballot.votes) for ballot in ballots] == [3, 3]
