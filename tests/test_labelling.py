"""The votes of the label stage: who is asked again, on which pixels, begun how, and what an earlier audit changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_loop import ROOT, small
from small_loop import rows as written

from visplay.engine.prompts import Request
from visplay.engine.sampling import Completion
from visplay.evolve import evolve
from visplay.images import PoolImage, index_pool
from visplay.labelling import AUDIT, earlier_audit, silver_rows, teaches
from visplay.labels.silver import Candidate
from visplay.recipe import LabelSettings, PoolSettings, Recipe
from visplay.records import Question, SilverAnswer, write_jsonl
from visplay.runs.results import seal
from visplay.views import SecondView


class Scripted:
    """A sampler that answers every prompt from a script, and remembers what it was asked."""

    unanswered = 0

    def __init__(self, **script: Sequence[str]) -> None:
        self.script = script
        self.calls: list[dict[str, Any]] = []

    def sample(
        self, requests: Sequence[Request], n: int, max_new_tokens: int, seed: int, *, begin: str = "", **_: Any
    ) -> list[list[Completion]]:
        self.calls.append({"pictures": [shown for shown, _ in requests], "n": n, "seed": seed, "begin": begin})
        texts = [self.script[text] for _, text in requests]
        return [[Completion(f"{begin}\\boxed{{{answer}}}", False) for answer in answers] for answers in texts]


SCRIPT = {"easy": ["red"] * 4, "fair": ["red"] * 3 + ["blue"], "torn": ["red", "red", "blue", "blue"]}


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, PoolImage]:
    (tmp_path / "pool").mkdir()
    for place, color in enumerate(SCRIPT):
        Image.new("RGB", (84, 84), ("red", "green", "blue")[place]).save(tmp_path / "pool" / f"{color}.png")
    settings = PoolSettings(source=str(tmp_path / "pool"))
    return {Path(r.source).stem: PoolImage(r, settings) for r in index_pool(settings).records}


def rows(
    sampler: Scripted, pictures: dict[str, PoolImage], audited: Path | None = None, **settings: Any
) -> tuple[list[SilverAnswer], dict[str, int]]:
    recipe = Recipe(labels=LabelSettings(votes=4, min_parsed=2, **settings))
    recipe.reasoner.prompt = "{question}"
    candidates: list[Candidate] = [(name, "", Question(name, name, "short_text", name)) for name in SCRIPT]
    return silver_rows(sampler, candidates, pictures, recipe, 7, ("Q1", "R0"), audited)


def test_by_default_there_is_one_pass_and_no_trust(pictures: dict[str, PoolImage]) -> None:
    sampler = Scripted(**SCRIPT)
    found, cost = rows(sampler, pictures)
    assert [(row.dropped, row.trust) for row in found] == [("too easy", None), (None, None), ("tie", None)]
    assert sampler.calls == [{"pictures": [*pictures.values()], "n": 4, "seed": 7, "begin": ""}]
    assert cost == {"votes": 12, "second_votes": 0}


def test_what_would_be_kept_is_voted_on_again_as_the_recipe_says_and_counted(pictures: dict[str, PoolImage]) -> None:
    sampler = Scripted(**SCRIPT)
    found, cost = rows(sampler, pictures, second_view="shrunk", second_prompt="short")
    fair = pictures["fair"]
    again = {"pictures": [SecondView(fair.record, fair.settings, "shrunk")], "n": 4, "begin": "<think></think>"}
    assert sampler.calls[1] == again | {"seed": 8}
    assert [row.dropped for row in found] == ["too easy", None, "tie"]
    assert [len(row.ballot.votes) for row in found if row.ballot] == [4, 8, 4]
    assert cost == {"votes": 12, "second_votes": 4}


def test_trust_comes_from_the_audit_where_there_is_one(pictures: dict[str, PoolImage], tmp_path: Path) -> None:
    names = [str(i) for i in range(400)]
    teaching = [name for name in names if teaches(name)][:100]
    others = [name for name in names if not teaches(name)][:100]  # all right, and not to be learned from
    audited = [
        {"image_id": name, "confidence": 0.75, "right": name in others or i < 30, "type": "short_text"}
        for i, name in enumerate(teaching + others)
    ]
    write_jsonl(tmp_path / AUDIT, audited)
    smoothed, _ = rows(Scripted(**SCRIPT), pictures, weight_power=1.0)
    assert [row.trust for row in smoothed] == pytest.approx([5 / 6, 4 / 6, 3 / 6])
    calibrated, _ = rows(Scripted(**SCRIPT), pictures, tmp_path, trust_low=0.6, trust_from="kinds")
    assert calibrated[1].trust == pytest.approx(0.3, abs=0.02)
    assert [row.dropped for row in calibrated] == ["too easy", "little trust", "tie"]


def test_only_the_finished_audit_of_the_iteration_before_counts(tmp_path: Path) -> None:
    wanting = Recipe(labels=LabelSettings(trust_low=0.5, trust_from="words"))
    folder = tmp_path / "iter_01" / "audit"
    folder.mkdir(parents=True)
    write_jsonl(folder / AUDIT, [])
    assert earlier_audit(tmp_path, wanting, 2) is None
    seal(folder, {}, tmp_path / "scratch", "steps")
    assert earlier_audit(tmp_path, wanting, 2) == folder
    assert earlier_audit(tmp_path, wanting, 1) is None is earlier_audit(tmp_path, wanting, 3)
    for content in (LabelSettings(trust_low=0.5), LabelSettings(trust_from="kinds")):
        assert earlier_audit(tmp_path, Recipe(labels=content), 2) is None


def test_a_loop_with_a_second_pass_and_weights_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    brief = ("questioner.train=false", "iterations=1", "evaluation.world=null", "evaluation.benchmarks=[]")
    twice = (
        "labels.second_view=padded",
        "labels.second_prompt=short",
        "labels.weight_power=2",
        "labels.bands.yes_no=[]",
    )
    evolve(small(*brief, *twice), tmp_path)
    found = written(tmp_path / "iter_01" / "label" / "silver.jsonl")
    again = [row for row in found if row["ballot"] and len(row["ballot"]["votes"]) == 12]
    kept = [row for row in found if row["dropped"] is None]
    assert kept and all(row in again and 0 < row["trust"] < 1 for row in kept)
    summary = json.loads((tmp_path / "iter_01" / "label" / "summary.json").read_text())
    assert summary["second_votes"] == 6 * len(again) <= summary["votes"]
    assert summary["candidates"] == len(found) == summary["kept"] + sum(summary["dropped"].values())
    assert (tmp_path / "iter_01" / "reasoner" / "checkpoint").is_dir()
