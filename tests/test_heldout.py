"""Held-out questions: fixed, balanced, answerable in the answers' own language, apart from all that is trained on."""

from collections import Counter

import numpy as np
import pytest

from visplay.labels.answers import canonical
from visplay.records import UNANSWERABLE
from visplay.worlds import grammar, scenes
from visplay.worlds.heldout import HeldoutItem, heldout_items


def test_items_are_a_function_of_the_split_whatever_their_number() -> None:
    assert heldout_items("heldout", 30)[:12] == heldout_items("heldout", 12)
    assert heldout_items("validation", 12) != heldout_items("heldout", 12)


def test_families_come_in_turn() -> None:
    families = [item.family for item in heldout_items("heldout", 90)]
    assert families[:9] == list(grammar.FAMILIES)
    assert Counter(families) == dict.fromkeys(grammar.FAMILIES, 10)


def test_questions_have_ids_of_their_own_and_pictures_of_their_scenes() -> None:
    items = heldout_items("heldout", 30)
    assert len({item.question.id for item in items}) == 30
    assert [item.scene for item in items] == list(scenes.scenes("heldout", 0, 30))
    assert items[3].image.tobytes() == scenes.render(items[3].scene).tobytes()


def test_answers_are_true_and_in_normal_form() -> None:
    for item in heldout_items("heldout", 300):
        query = grammar.parse(item.question.text)
        assert query is not None and query.family == item.family
        assert item.answer == grammar.truth(item.scene, query) == canonical(item.answer, item.question)
        assert item.question.type == grammar.FAMILIES[item.family]


@pytest.fixture(scope="module")
def items() -> list[HeldoutItem]:
    return heldout_items("heldout", 900)


def test_no_answer_of_a_family_is_so_frequent_that_always_giving_it_pays(items: list[HeldoutItem]) -> None:
    answers: dict[str, Counter[str]] = {family: Counter() for family in grammar.FAMILIES}
    for item in items:
        answers[item.family][item.answer] += 1
    for family, counts in answers.items():
        (_, most), *others = counts.most_common()
        assert len(others) >= 1 and most / counts.total() < 0.6, family


def test_a_minority_of_the_questions_cannot_be_answered(items: list[HeldoutItem]) -> None:
    share = np.mean([item.answer == UNANSWERABLE for item in items])
    assert 0.05 < share < 0.2


@pytest.mark.parametrize("split", ["train", "pool", "validation", "audit", "anchor"])
def test_no_held_out_question_or_picture_is_met_before(split: scenes.Split, items: list[HeldoutItem]) -> None:
    rng = np.random.default_rng(0)
    asked, pictures = set(), set()
    for scene in scenes.scenes(split, 0, 100):
        asked |= {(scene.things, grammar.write(grammar.ask(scene, family, rng))) for family in grammar.FAMILIES}
        pictures.add(scenes.render(scene).tobytes())
    assert asked.isdisjoint((item.scene.things, item.question.text) for item in items)
    assert pictures.isdisjoint(item.image.tobytes() for item in items[:100])
