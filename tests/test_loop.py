"""The whole loop, small: what a finished run holds, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_loop import ROOT, STAGES, Loop, rows, scores, small
from transformers import AutoModelForImageTextToText, AutoProcessor

from visplay import pool
from visplay.evolve import evolve
from visplay.labels.answers import same
from visplay.records import question
from visplay.runs import Run, RunError, ledger

BENCHMARK = rows(ROOT / "tests" / "benchmarks" / "local" / "questions.jsonl")
FILES = ["predictions.jsonl", "samples.jsonl", "scores.json", "settings.json"]
BASE = "data/base"  # as the recipe names it, from the repository's root
FIGURES = {"iteration", "greedy", "greedy_interval", "one_sample", "majority", "silver_accuracy"}
FIGURES |= {"candidates", "kept", "dropped", "checkpoint", "by_family", "mean_confidence", "distinct_questions"}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def committed(directory: Path) -> list[tuple[int, str]]:
    return [(line["iteration"], line["stage"]) for line in ledger.read(directory)]


def silver(directory: Path, iteration: int) -> list[dict[str, Any]]:
    return rows(directory / f"iter_{iteration:02d}" / "label" / "silver.jsonl")


def images_used(directory: Path, iteration: int) -> list[str]:
    """The images that the Questioner was trained on and those that it was asked about, each as often as it was used."""
    folder = directory / f"iter_{iteration:02d}"
    trained = {(row["step"], row["image"]) for row in rows(folder / "questioner" / "samples.jsonl")}
    return [image for _, image in trained] + [row["image_id"] for row in rows(folder / "ask" / "questions.jsonl")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_every_stage_is_committed_in_the_order_of_the_loop(loop: Loop) -> None:
    setup = [(0, "images"), (0, "pool"), (0, "score"), (0, "benchmarks")]
    assert committed(loop.directory) == setup + [(k, stage) for k in (1, 2) for stage in STAGES]


def test_scores_have_the_base_first_and_every_figure(loop: Loop) -> None:
    found = scores(loop.directory)
    assert [row["iteration"] for row in found] == [0, 1, 2]
    assert all(row.keys() >= FIGURES for row in found)
    base, *later = found
    assert [base[name] for name in ("silver_accuracy", "candidates", "kept", "dropped")] == [None] * 4
    assert not [name for row in later for name in FIGURES if row[name] is None]
    assert all(low <= row["greedy"] <= high for row in found for low, high in [row["greedy_interval"]])
    assert base["gain_parts"] == {} and base["abstained"] is not None
    for row in later:
        assert sum(mean for mean, _, _ in row["gain_parts"].values()) == pytest.approx(row["gain"])


def test_every_checkpoint_in_the_scores_opens_with_the_auto_classes(loop: Loop) -> None:
    paths = [Path(row["checkpoint"]) for row in scores(loop.directory)]
    trained = [loop.directory / f"iter_0{k}" / "reasoner" / "checkpoint" for k in (1, 2)]
    assert paths == [ROOT / BASE, *trained]
    for path in paths:
        _, found = AutoModelForImageTextToText.from_pretrained(path, output_loading_info=True)
        assert not any(found.values())
        assert AutoProcessor.from_pretrained(path).image_processor is not None


def test_metrics_hold_a_line_for_each_stage_and_for_each_row_of_the_scores(loop: Loop) -> None:
    lines = rows(loop.directory / "metrics.jsonl")
    assert [(line["iteration"], line["stage"]) for line in lines if line["kind"] == "stage"] == committed(
        loop.directory
    )
    assert [{**line, "kind": None} for line in lines if line["kind"] == "scores"] == [
        {**row, "kind": None} for row in scores(loop.directory)
    ]


def test_the_curves_are_a_picture(loop: Loop) -> None:
    with Image.open(loop.directory / "scores.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 100


def test_every_stage_says_on_screen_how_long_it_took_and_what_it_counted(loop: Loop) -> None:
    for iteration, stage in committed(loop.directory):
        assert re.search(rf"iteration {iteration}, {stage}: \d+\.\d s", loop.stderr)
    assert re.search(r"iteration 2, ask: \d+\.\d s( \(.*?\))?, images 12, candidates 12, parsed \d+\n", loop.stderr)


def test_candidates_are_kept_or_dropped_for_a_reason_in_files_and_on_screen(loop: Loop) -> None:
    for row in scores(loop.directory)[1:]:
        reasons = Counter(line["dropped"] for line in silver(loop.directory, row["iteration"]))
        assert row["candidates"] == 12 == row["kept"] + sum(row["dropped"].values())
        assert row["kept"] == reasons.pop(None) > 0
        assert {reason: count for reason, count in row["dropped"].items() if count} == reasons
        account = " + ".join([f"{row['kept']} kept", *(f"{count} {reason}" for reason, count in reasons.most_common())])
        shown = next(line for line in loop.stdout.splitlines() if line.startswith(f"iteration {row['iteration']}: 12"))
        assert sorted(shown.split(" = ")[1].split(" + ")) == sorted(account.split(" + "))


def test_every_silver_row_names_image_question_votes_confidence_and_both_checkpoints(loop: Loop) -> None:
    pool = {row["id"] for row in rows(loop.directory / "iter_00" / "pool" / "pool.jsonl")}
    for k, voter in ((1, BASE), (2, "iter_01/reasoner/checkpoint")):
        for row in silver(loop.directory, k):
            assert row["image_id"] in pool
            assert (row["questioner"], row["reasoner"]) == (f"iter_0{k}/questioner/checkpoint", voter)
            if row["dropped"] is None:
                votes, answer = row["ballot"]["votes"], row["ballot"]["answer"]
                assert row["question"]["text"] and row["question"]["image_id"] == row["image_id"]
                agreeing = sum(vote is not None and same(vote, answer, question(row["question"])) for vote in votes)
                assert len(votes) == 6 and row["ballot"]["confidence"] == pytest.approx(agreeing / 6)


def test_no_image_is_used_twice_before_every_image_was_used(loop: Loop) -> None:
    used = Counter(images_used(loop.directory, 1) + images_used(loop.directory, 2))
    assert used == Counter(row["id"] for row in rows(loop.directory / "iter_00" / "pool" / "pool.jsonl"))


def test_a_frozen_vision_tower_stays_the_bases_in_both_roles_while_the_text_learns(loop: Loop) -> None:
    base = weights(ROOT / BASE)
    for role in ("questioner", "reasoner"):
        trained = weights(loop.directory / "iter_02" / role / "checkpoint")
        changed = {name for name in base if not torch.equal(trained[name], base[name])}
        assert changed and not [name for name in changed if "visual" in name]
    assert [name for name in base if "visual" in name]


def test_the_base_and_each_iteration_are_scored_on_benchmarks_as_by_the_tool(loop: Loop) -> None:
    base, *later = (row["benchmarks"]["local"] for row in scores(loop.directory))
    assert (base["protocol"], base["n"], base["gain"]) == ("strict", 6, None)
    for k, row in enumerate([base, *later]):
        folder = loop.directory / f"iter_0{k}" / "benchmarks" / "local"
        assert sorted(path.name for path in folder.iterdir()) == FILES
        written = json.loads((folder / "scores.json").read_text())
        assert row["overall"] == written["figures"]["overall"]["mean"]
        assert row["unparsed"] == written["counts"]["unparsed"] + written["counts"]["truncated"]
        assert written["settings"]["model"] == (BASE if k == 0 else f"iter_0{k}/reasoner/checkpoint")
        assert {line["id"] for line in rows(folder / "predictions.jsonl")} == {line["id"] for line in BENCHMARK}
    for row in later:
        assert row["gain"] == pytest.approx(row["overall"] - base["overall"])
        assert row["gain_interval"][0] <= row["gain"] <= row["gain_interval"][1] and 0 < row["p"] <= 1
    assert re.search(r"^local, strict +6( +[\d.]+){3} ", loop.stdout, re.MULTILINE)
    assert re.search(
        r"iteration 2, benchmarks: \d+\.\d s( \(.*?\))?, local \(overall [\d.]+, n 6, unparsed \d\)", loop.stderr
    )


def test_other_questions_of_a_benchmark_are_refused_before_anything_is_made_from_them(
    loop: Loop, tmp_path: Path
) -> None:
    begun, data = tmp_path / "begun", tmp_path / "data" / "local"
    data.mkdir(parents=True)
    (data / "questions.jsonl").write_text(json.dumps(BENCHMARK[0] | {"answer": "blue"}))
    shutil.copytree(loop.directory, begun)
    for path in (begun / "recipe.yaml", *begun.glob("iter_0?/benchmarks/manifest.json")):
        path.write_text(path.read_text().replace("tests/benchmarks", str(data.parent)))
    with pytest.raises(RunError, match="began with benchmark local "):
        evolve(small(f"evaluation.data={data.parent}"), begun)


def test_the_same_command_on_a_finished_run_does_nothing(loop: Loop) -> None:
    def state() -> tuple[Any, ...]:
        written = {str(path): path.stat().st_mtime_ns for path in loop.directory.glob("iter_*/**/*")}
        return (loop.directory / "ledger.jsonl").read_text(), scores(loop.directory), written

    before = state()
    evolve(small(), loop.directory)
    assert state() == before


def test_another_recipe_is_refused_with_what_differs(loop: Loop) -> None:
    with pytest.raises(RunError, match=r"another recipe:\n  labels.votes: 6 -> 7\n  grpo.beta: 0.01 -> 0.5\n"):
        evolve(small("labels.votes=7", "grpo.beta=0.5"), loop.directory)


def test_a_moved_run_goes_on_with_more_iterations_and_with_the_images_used_least(loop: Loop, tmp_path: Path) -> None:
    moved = shutil.copytree(loop.directory, tmp_path / "moved")
    evolve(small("iterations=3"), moved)
    assert committed(moved) == committed(loop.directory) + [(3, stage) for stage in STAGES]
    assert scores(moved)[2]["greedy"] == scores(loop.directory)[2]["greedy"]
    assert scores(moved)[3]["checkpoint"] == str(moved / "iter_03" / "reasoner" / "checkpoint")
    again = images_used(moved, 3)
    assert len(again) == len(set(again)) == 15
    with Run.open(moved, small("iterations=3")) as run:
        images = pool.load(run, small("iterations=3")).records
    assert all(Path(image.source).is_file() and Path(image.source).is_relative_to(moved) for image in images)


def test_where_nothing_is_kept_the_reasoner_stays_and_the_account_still_adds_up(tmp_path: Path) -> None:
    none = ("labels.band_low=0.51", "labels.band_high=0.52", "questioner.train=false", "ask.images=4", "iterations=1")
    evolve(small(*none, "evaluation.world=null", "evaluation.benchmarks=[]"), tmp_path)
    assert committed(tmp_path)[-3:] == [(1, "ask"), (1, "label"), (1, "score")]
    _, row = scores(tmp_path)
    assert (row["candidates"], row["kept"], row["silver_accuracy"]) == (4, 0, None)
    assert row["checkpoint"] == str(ROOT / BASE)
    assert {line["questioner"] for line in silver(tmp_path, 1)} == {BASE}
    assert json.loads((tmp_path / "iter_01" / "score" / "summary.json").read_text()) == {}
