"""Blind votes and memory in the loop: what is dropped, what is left behind, and what a second run finds again."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_loop import ROOT, rows, scores, small

from visplay import pool, stages
from visplay.evolve import evolve
from visplay.labels.silver import kept_texts
from visplay.recipe import Recipe
from visplay.records import silver_answer, write_jsonl
from visplay.roles.questioner import question
from visplay.runs import Run, RunError
from visplay.sifting import label_stages, memory

WAYS = ("no_image", "grey_image")


@pytest.fixture(scope="module")
def sifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short iterations with everything switched on."""
    directory = tmp_path_factory.mktemp("sifted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evolve(recipe(), directory)
    return directory


def recipe(*overrides: str) -> Recipe:
    everything = ("labels.blind=[no_image,grey_image]", "labels.blind_votes=3", "labels.repeat_share=0.0")
    reward = ("questioner.blind_weight=0.5", "questioner.blind_votes=2")
    return small(*everything, *reward, "labels.quota.numerical=0.75", "evaluation.benchmarks=[]", *overrides)


def labelled(directory: Path, k: int) -> list[dict[str, Any]]:
    return rows(directory / f"iter_{k:02d}" / "label" / "silver.jsonl")


def test_rows_that_passed_every_other_test_are_voted_on_in_each_way_of_not_seeing(sifted: Path) -> None:
    after = (None, "needs no image", "asked before", "surplus of its type", "surplus yes or no")
    for k in (1, 2):
        passed = [row["question"]["id"] for row in labelled(sifted, k) if row["dropped"] in after]
        votes = rows(sifted / f"iter_{k:02d}" / "label" / "blind.jsonl")
        assert [(line["view"], line["question"]) for line in votes] == [(way, one) for way in WAYS for one in passed]
        assert passed and all(len(line["votes"]) == 3 and 0 <= line["agreement"] <= 1 for line in votes)


def test_the_blind_share_is_told_before_and_after(sifted: Path) -> None:
    for row in scores(sifted)[1:]:
        label = sifted / f"iter_{row['iteration']:02d}" / "label"
        lines = rows(label / "blind.jsonl")
        lowest = {line["question"]: 1.0 for line in lines}
        for line in lines:
            lowest[line["question"]] = min(lowest[line["question"]], line["agreement"])
        assert row["blind_share"] == pytest.approx(sum(lowest.values()) / len(lowest))
        kept = [lowest[one["question"]["id"]] for one in labelled(sifted, row["iteration"]) if one["dropped"] is None]
        assert row["blind_share_kept"] == pytest.approx(sum(kept) / len(kept))
        assert json.loads((label / "summary.json").read_text())["blind_share"] == row["blind_share"]


def test_with_no_share_for_repeats_every_kept_question_is_new(sifted: Path) -> None:
    kept = [silver_answer(row) for k in (1, 2) for row in labelled(sifted, k)]
    assert kept_texts(kept) == memory(label_stages(sifted, 3))
    assert set(kept_texts(kept).values()) == {1}
    assert label_stages(sifted, 2) == [sifted / "iter_01" / "label"]
    assert not label_stages(sifted, 1)


def test_a_question_that_an_earlier_iteration_kept_is_asked_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    used = small("pool.world_images=4", "labels.band_low=0", "labels.band_high=1", "labels.repeat_share=0.0")
    texts = ["How many objects are there?", "How many red objects are there?", "How many 3s are there?"]
    with Run.open(tmp_path, used) as run:
        images = pool.load(run, used)
        for k in (1, 2):  # the same texts about other images
            made = [written(images.records[k].id, text) for text in texts]
            asked = run.stage(k, "ask", partial(write, made), {})
            stages.label(run, used, k, asked, "data/base", "data/base", images)
    kept = {row["question"]["text"] for row in labelled(tmp_path, 1) if row["dropped"] is None}
    again = {row["question"]["text"] for row in labelled(tmp_path, 2) if row["dropped"] == "asked before"}
    assert kept and again and again <= kept
    assert not [row for row in labelled(tmp_path, 2) if row["dropped"] is None and row["question"]["text"] in kept]


def written(image_id: str, text: str) -> dict[str, Any]:
    asked = question(image_id, "numerical", text)
    assert asked is not None
    return {"image_id": image_id, "completion": text, "question": dataclasses.asdict(asked)}


def write(made: list[dict[str, Any]], folder: Path) -> None:
    write_jsonl(folder / "questions.jsonl", made)


def test_the_questioner_is_charged_and_its_samples_say_so(sifted: Path) -> None:
    samples = rows(sifted / "iter_01" / "questioner" / "samples.jsonl")
    assert all("blind" in sample["terms"] for sample in samples)
    charged = [sample for sample in samples if sample["terms"]["blind"] is not None and sample["reward"]]
    for sample in charged:
        terms = sample["terms"]
        expected = terms["difficulty"] - terms["cluster_size"] / 8 - 0.5 * terms["blind"]
        assert sample["reward"] == pytest.approx(expected)
    assert charged


def test_what_a_label_was_made_from_includes_what_was_kept_before(sifted: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    inputs = json.loads((sifted / "iter_02" / "label" / "manifest.json").read_text())["inputs"]
    assert sorted(inputs) == ["asked", "kept in iter_01", "reasoner"]
    evolve(recipe(), sifted)
    with pytest.raises(RunError, match="labels.repeat_share"):
        evolve(recipe("labels.repeat_share=0.5"), sifted)
