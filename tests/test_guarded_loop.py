"""The guard in the loop itself: it ends cleanly, goes back, and decides the same when it is gone through again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_loop import ROOT, scores, small

from visplay import guard
from visplay.evolve import evolve
from visplay.guard import Rule
from visplay.runs import digest, ledger

CHEAP = ("questioner.train=false", "ask.images=12", "reasoner.steps=1", "labels.band_low=0.1", "labels.votes=3")
UNMEASURED = ("evaluation.world=null", "evaluation.benchmarks=[]", "iterations=2")
ALWAYS = "guard.max_one_question=0.0"  # every question is asked at least once


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(directory: Path, action: str) -> None:
    evolve(small(*CHEAP, *UNMEASURED, f"guard.action={action}", ALWAYS), directory)


def committed(directory: Path) -> list[tuple[int, str]]:
    return [(line["iteration"], line["stage"]) for line in ledger.read(directory) if line["iteration"]]


def inputs(directory: Path, k: int, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / f"iter_0{k}" / stage / "manifest.json").read_text())["inputs"]
    return found


def test_an_alarm_ends_the_loop_with_its_report_and_so_it_does_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "stop")
    assert committed(tmp_path)[-1] == (1, "guard")
    assert len(scores(tmp_path)) == 2
    assert "iteration 1, guard: the loop ends; the base is the best" in capsys.readouterr().out
    before = committed(tmp_path)
    run(tmp_path, "stop")
    assert committed(tmp_path) == before


def test_after_an_alarm_the_next_iteration_starts_from_the_best_one(tmp_path: Path) -> None:
    run(tmp_path, "rollback")
    assert (tmp_path / "iter_01" / "reasoner" / "checkpoint").is_dir()
    assert inputs(tmp_path, 2, "label")["reasoner"] == inputs(tmp_path, 2, "reasoner")["start"] == "data/base"
    assert [row["guard"].get("decision") for row in scores(tmp_path)] == [
        None,
        "the next iteration starts from the base",
        "the next iteration starts from the base",
    ]


def test_it_goes_back_to_an_iteration_with_both_of_its_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Rule("planted", "max_unanswerable", lambda seen: float(seen[-1].iteration == 2), "in iteration 2")
    monkeypatch.setattr(guard, "RULES", (planted,))
    short = ("questioner.steps=1", "ask.images=8", "pool.world_images=27", "reasoner.steps=1", "labels.votes=3")
    wide = ("labels.band_low=0.1", "labels.band_high=1", "labels.min_parsed=1", "reasoner.replay_share=0.3")
    evolve(small(*short, *wide, *UNMEASURED, "iterations=3", "guard.action=rollback"), tmp_path)
    assert [row["guard"].get("best") for row in scores(tmp_path)[1:]] == [1, 1, 3]
    first = {role: digest(tmp_path / "iter_01" / role) for role in ("questioner", "reasoner")}
    assert inputs(tmp_path, 3, "questioner")["start"] == first["questioner"]
    assert inputs(tmp_path, 3, "label")["reasoner"] == inputs(tmp_path, 3, "reasoner")["start"] == first["reasoner"]
    replayed = json.loads((tmp_path / "iter_03" / "mix" / "summary.json").read_text())["iterations_ago"]
    assert set(replayed) == {"2"}  # of iteration 1, none of the one that was given up
