"""Anchors: questions of every family with their true answers, on pictures that nothing is measured on."""

from __future__ import annotations

from collections import Counter

from visplay.records import UNANSWERABLE, SilverAnswer
from visplay.worlds import grammar, scenes
from visplay.worlds.anchors import anchor


def anchors(count: int, keep_unanswerable: bool = False) -> list[tuple[scenes.Scene, SilverAnswer]]:
    return [(scene, anchor(scene, "image", keep_unanswerable)) for scene in scenes.scenes("anchor", 0, count)]


def family(row: SilverAnswer) -> str:
    query = grammar.parse(row.question.text) if row.question else None
    assert query is not None
    return query.family


def test_an_anchor_is_kept_and_says_the_truth() -> None:
    for scene, row in anchors(90):
        assert row.question is not None and row.ballot is not None
        query = grammar.parse(row.question.text)
        assert query is not None and row.ballot.answer == grammar.truth(scene, query)
        assert (row.dropped, row.ballot.confidence, row.question.image_id) == (None, 1.0, "image")
        assert row.questioner == row.reasoner == "anchor"


def test_families_take_turns() -> None:
    counts = Counter(family(row) for _, row in anchors(180))
    assert counts.keys() == grammar.FAMILIES.keys() and min(counts.values()) > 10


def test_a_question_without_an_answer_is_an_anchor_only_where_such_rows_are_kept() -> None:
    def said(keep: bool) -> Counter[bool]:
        return Counter(row.ballot.answer == UNANSWERABLE for _, row in anchors(180, keep) if row.ballot)

    assert said(False)[True] == 0
    assert 0 < said(True)[True] < 60


def test_an_anchor_is_a_function_of_its_scene() -> None:
    assert anchors(12) == anchors(20)[:12]
