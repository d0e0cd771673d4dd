"""Anchors and replayed rows in the Reasoner's training: how many, which, and what the run says of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from committed import commit
from small_loop import ROOT, rows, small

from visplay import mixing, pool, stages
from visplay.mixing import Counts, Mixed, counted, mix, origin
from visplay.pool import LoadedPool
from visplay.recipe import GuardSettings, Recipe
from visplay.records import Ballot, SilverAnswer, write_jsonl
from visplay.roles.questioner import question
from visplay.runs import Run, digest, read_manifest
from visplay.staging import Control
from visplay.worlds import grammar

BASE = "data/base"


def recipe(anchor_share: float = 0.0, replay_share: float = 0.0) -> Recipe:
    mixed = (f"reasoner.anchor_share={anchor_share}", f"reasoner.replay_share={replay_share}")
    short = ("reasoner.steps=1", "reasoner.questions_per_step=4", "grpo.num_generations=2")
    return small("pool.world_images=8", "evaluation.world=null", "evaluation.benchmarks=[]", *short, *mixed)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(ROOT)
    with Run.open(tmp_path / "run", recipe()) as opened:
        yield opened


@pytest.fixture
def images(run: Run) -> LoadedPool:
    return pool.load(run, recipe())


def labelled(run: Run, k: int, images: LoadedPool, answer: str = "yes") -> Path:
    """A committed label stage with a kept row for each image but one, which is dropped."""
    found = [question(i, "multiple_choice", f"Is there a {number}?") for number, i in enumerate(images.by_id)]
    ballot = Ballot((answer,), answer, 1.0, False, 1)
    silver = [
        SilverAnswer(asked.image_id, asked, ballot, None if number else "tie", BASE, BASE)
        for number, asked in enumerate(found)
        if asked
    ]
    return run.stage(k, "label", lambda folder: write_jsonl(folder / "silver.jsonl", silver), {"answer": answer})


def summary(run: Run, k: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((run.directory / f"iter_{k:02d}" / "mix" / "summary.json").read_text())
    return found


@pytest.mark.parametrize(
    ("silver", "earlier", "anchor_share", "replay_share", "expected"),
    [
        (60, 100, 0.2, 0.2, Counts(60, 20, 20)),
        (60, 0, 0.2, 0.2, Counts(60, 0, 15)),  # 15 of 75: anchors keep their share
        (60, 5, 0.0, 0.25, Counts(60, 5, 0)),
        (10, 90, 0.0, 0.9, Counts(10, 90, 0)),
        (3, 100, 0.1, 0.0, Counts(3, 0, 0)),
    ],
)
def test_rows_are_counted_so_that_the_shares_are_of_all(
    silver: int, earlier: int, anchor_share: float, replay_share: float, expected: Counts
) -> None:
    assert counted(silver, earlier, anchor_share, replay_share) == expected


def test_without_shares_nothing_is_mixed_in_and_no_stage_is_made(run: Run, images: LoadedPool) -> None:
    assert mix(run, recipe(), 1, labelled(run, 1, images), 7, images) == Mixed([], {})
    assert not (run.directory / "iter_01" / "mix").exists()


def test_replayed_rows_are_kept_rows_of_earlier_iterations_none_twice_with_their_age(
    run: Run, images: LoadedPool
) -> None:
    for k, answer in ((1, "yes"), (2, "no")):
        labelled(run, k, images, answer)
    mixed = mix(run, recipe(replay_share=0.5), 3, labelled(run, 3, images, "unanswerable"), 10, images)
    said = [row.ballot.answer for _, row in mixed.rows if row.ballot]
    assert len(said) == len({(row.image_id, answer) for (_, row), answer in zip(mixed.rows, said, strict=True)}) == 10
    assert all(row.dropped is None and picture.id == row.image_id for picture, row in mixed.rows)
    assert summary(run, 3) == {
        "silver": 10,
        "replayed": 10,
        "anchors": 0,
        "iterations_ago": {"1": said.count("no"), "2": said.count("yes")},
    }


def test_rows_of_an_iteration_that_the_guard_went_back_from_are_not_replayed(run: Run, images: LoadedPool) -> None:
    for k, answer in ((1, "yes"), (2, "no")):
        labelled(run, k, images, answer)
    commit(run, 2, "guard", {"verdict.json": {"goes_on_from": 1}})
    mixed = mix(run, recipe(replay_share=0.5), 3, labelled(run, 3, images, "unanswerable"), 5, images)
    assert [row.ballot.answer for _, row in mixed.rows if row.ballot] == ["yes"] * 5
    assert summary(run, 3)["iterations_ago"] == {"2": 5}


@pytest.mark.parametrize(
    ("action", "limit", "steered"), [("rollback", 0.2, True), ("warn", 0.2, False), ("stop", None, False)]
)
def test_where_the_guard_heeds_an_audit_no_later_row_is_label_free(
    run: Run, action: str, limit: float | None, steered: bool
) -> None:
    guarded = dataclasses.replace(recipe(), guard=GuardSettings(action=action, max_audit_fall=limit))
    for k in (1, 2):
        commit(run, k, "audit", {"audit.jsonl": []})
        run.stage(k, "reasoner", lambda folder: None, {"control": None})
    first, second = origin(run, guarded, 1), origin(run, guarded, 2)
    assert first == {"anchor_share": 0.0, "replay_share": 0.0}
    assert second == first | ({"audit_steers": True} if steered else {})


def test_a_control_holds_for_replayed_rows_too(run: Run, images: LoadedPool) -> None:
    def all_no(rows: list[SilverAnswer], _: object) -> list[SilverAnswer]:
        no = Ballot(("no",), "no", 1.0, False, 1)
        return [dataclasses.replace(row, ballot=no) for row in rows]

    labelled(run, 1, images, "yes")
    second = labelled(run, 2, images, "yes")
    mixed = mix(run, recipe(replay_share=0.5), 2, second, 5, images, Control("all no", all_no))
    assert [row.ballot.answer for _, row in mixed.rows if row.ballot] == ["no"] * 5


def test_anchors_are_true_and_on_new_pictures_in_each_iteration(run: Run, images: LoadedPool) -> None:
    seen: set[str] = set(images.by_id)
    for k in (1, 2):
        mixed = mix(run, recipe(anchor_share=0.5), k, labelled(run, k, images), 6, images)
        assert len(mixed.rows) == 6
        own = pool.load_own(run.directory / f"iter_0{k}" / "mix", recipe().pool, "anchor")
        for picture, row in mixed.rows:
            assert row.question is not None and row.ballot is not None
            query = grammar.parse(row.question.text)
            assert query is not None and row.ballot.answer == grammar.truth(own.scene_of(picture.id), query)
            assert picture.open().size == (84, 84)
        assert seen.isdisjoint(picture.id for picture, _ in mixed.rows)
        seen |= {picture.id for picture, _ in mixed.rows}


def test_the_same_call_finds_the_same_rows_again(run: Run, images: LoadedPool) -> None:
    labelled(run, 1, images, "yes")
    second = labelled(run, 2, images, "no")
    both = recipe(anchor_share=0.25, replay_share=0.25)
    first = mix(run, both, 2, second, 4, images)
    assert mix(run, both, 2, second, 4, images) == first
    made = run.directory / "iter_02" / mixing.STAGE
    assert first.inputs == {"mixed": digest(made), "anchor_share": 0.25, "replay_share": 0.25}


def test_the_reasoner_is_trained_on_the_mixture_and_the_run_says_so(run: Run, images: LoadedPool) -> None:
    assert origin(run, recipe(), 1) == {}
    stages.train_reasoner(run, recipe(anchor_share=0.9), 1, BASE, labelled(run, 1, images), images, None)
    trained = run.directory / "iter_01" / "reasoner"
    anchors = {line["image_id"] for line in rows(run.directory / "iter_01" / "mix" / "anchors.jsonl")}
    assert len(anchors) == 63
    assert anchors & {line["image"] for line in rows(trained / "samples.jsonl")}
    manifest = read_manifest(trained)
    assert manifest is not None and manifest["inputs"]["mixed"] == digest(run.directory / "iter_01" / "mix")
    assert origin(run, recipe(), 1) == {"anchor_share": 0.9, "replay_share": 0.0}
