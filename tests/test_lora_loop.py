"""The whole loop by LoRA: adapters from stage to stage, over one base, and through an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_loop import ROOT, STAGES, differing, rows, scores, small
from test_launched import cut_back
from transformers import AutoModelForImageTextToText, AutoProcessor

from visplay.evolve import evolve
from visplay.recipe import Recipe
from visplay.runs import ledger

BASE = ROOT / "data" / "base"
ROLES = ("questioner", "reasoner")


def by_lora() -> Recipe:
    return small("lora.rank=4", "grpo.learning_rate=3e-3", "evaluation.world=null")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lora") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evolve(by_lora(), out)
    return out


def test_every_stage_is_there_and_each_role_goes_on_from_its_own_adapter(run: Path) -> None:
    made = [(line["iteration"], line["stage"]) for line in ledger.read(run) if line["iteration"]]
    assert made == [(k, stage) for k in (1, 2) for stage in STAGES]
    found = {}
    for k in (1, 2):
        for role in ROLES:
            folder = run / f"iter_0{k}" / role / "checkpoint"
            assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(BASE)
            assert not (folder / "model.safetensors").exists()
            found[role, k] = load_file(folder / "adapter_model.safetensors")
            assert not [name for name in found[role, k] if ".visual." in name]  # frozen by the recipe
    name = next(name for name in found["reasoner", 1] if "lora_A" in name)
    distance = {role: (found[role, 2][name] - found[role, 1][name]).abs().max() for role in ROLES}
    assert all(
        0 < distance[role] < (found["reasoner", 1][name] - found["questioner", 1][name]).abs().max() / 2
        for role in ROLES
    )


def test_the_kl_term_of_a_later_iteration_begins_at_its_own_start(run: Path) -> None:
    for role in ROLES:
        steps = rows(run / "iter_02" / role / "steps.jsonl")
        assert steps[0]["kl"] == pytest.approx(0, abs=1e-6) and steps[-1]["kl"] > 1e-6


def test_every_checkpoint_in_the_scores_opens_with_the_auto_classes(run: Path) -> None:
    paths = [Path(row["checkpoint"]) for row in scores(run)]
    assert paths == [BASE, *(run / f"iter_0{k}" / "reasoner" / "checkpoint" for k in (1, 2))]
    for path in paths:
        _, found = AutoModelForImageTextToText.from_pretrained(path, output_loading_info=True)
        assert not any(found.values())
        assert AutoProcessor.from_pretrained(path).image_processor is not None


def test_what_is_cut_off_between_stages_is_made_again_to_the_same_bytes(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = cut_back(run, tmp_path / "run", "iter_01/benchmarks", "iter_02")
    evolve(by_lora(), out)
    assert differing(out, run) == []
    assert [row["benchmarks"] for row in scores(out)] == [row["benchmarks"] for row in scores(run)]
