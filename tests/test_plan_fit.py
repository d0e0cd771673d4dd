"""From a recipe to its costs: what lies where, what does not fit, and what to turn."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from visplay.plan import GPUS, Shape, describe_costs, misfits, shape_of
from visplay.plan.adapters import adapter_parameters
from visplay.plan.costs import checkpoint, costs, step_checkpoint
from visplay.plan.layout import Layout, layout_of
from visplay.plan.loads import load_of
from visplay.plan.memory import Writing
from visplay.plan.stages import plan
from visplay.plan.tensors import Part
from visplay.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[1]
P3, P7 = 3_754_622_976, 8_292_166_656


def recipe(name: str = "qwen2_5_vl_7b", *overrides: str) -> Recipe:
    return load_recipe(ROOT / "recipes" / f"{name}.yaml", ["grpo.deepspeed=null", *overrides])


def shape(name: str = "7B") -> Shape:
    found = shape_of(f"Qwen2.5-VL-{name}")
    assert isinstance(found, Shape)
    return found


def deepspeed(name: str) -> str:
    return f"grpo.deepspeed={ROOT}/recipes/deepspeed/{name}.json"


@pytest.mark.parametrize(
    ("name", "zero", "offloaded", "bucket"),
    [("zero2", 2, False, 500_000_000), ("zero3", 3, False, 0), ("zero3_offload", 3, True, 0)],
)
def test_deepspeeds_files_say_how_a_model_lies(name: str, zero: int, offloaded: bool, bucket: int) -> None:
    assert layout_of(recipe("qwen2_5_vl_7b", deepspeed(name)), shape(), 8) == Layout(
        processes=8,
        zero=zero,
        offload_optimizer=offloaded,
        offload_weights=offloaded,
        bucket=bucket,
        precision="bfloat16",
        trained=P7,
    )


def test_without_deepspeed_weights_are_cast_at_every_use() -> None:
    assert layout_of(recipe(), shape()) == Layout(precision="autocast", trained=P7)
    on_cpu = layout_of(recipe(), shape(), cpu=True)
    assert (on_cpu.precision, on_cpu.recompute) == ("float32", False)


def test_a_frozen_vision_tower_is_not_trained() -> None:
    found = layout_of(recipe("qwen2_5_vl_7b", "freeze_vision=true", "grpo.beta=0"), shape())
    assert found.trained == P7 - shape().vision.parameters
    assert not found.trained_vision and not found.reference


def test_with_adapters_the_base_is_held_once_in_bfloat16() -> None:
    chosen = recipe("qwen2_5_vl_7b", "lora.rank=2", "lora.targets=[k_proj,v_proj]")
    found = layout_of(chosen, shape())
    adapters = 28 * 2 * 2 * (3584 + 512)
    assert (found.trained, found.adapters, found.shared_base) == (adapters, adapters, True)
    assert found.precision == "bfloat16" and not layout_of(recipe(), shape()).shared_base


def test_adapters_beside_all_linear_layers() -> None:
    text = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18_944)
    vision = (1280 + 3840) + (1280 + 1280) + 3 * (1280 + 3420)
    merger = (5120 + 5120) + (5120 + 3584)
    assert adapter_parameters(shape(), 16, with_vision=False) == 16 * 28 * text
    assert adapter_parameters(shape(), 16) == 16 * (28 * text + 32 * vision + merger)


def test_what_a_questioner_stage_puts_on_its_models() -> None:
    chosen = recipe(
        "qwen2_5_vl_7b", "sampling.batch_tokens=280000", "labels.votes=10", "questioner.prompt=" + "abc" * 16
    )
    stages = {stage.name: stage for stage in plan(chosen, world_size=8)}
    load = load_of(chosen, stages["questioner"], 8)
    assert load is not None
    rollout, votes = load.sampled
    # 16 marks and 48 characters at 3 a token; an image of 1,024 tokens
    # 280,000 hold 134 completions of 2,080 tokens, eight of a prompt
    assert rollout.writing == Writing(rows=128, prompts=16, image_tokens=1024, prompt_tokens=1056, new_tokens=1024)
    # six questions of up to 1,024 tokens, voted on ten times each, in a prompt of our own of about 200
    assert votes.writing == Writing(rows=60, prompts=6, image_tokens=1024, prompt_tokens=2248, new_tokens=2048)
    assert (rollout.frozen, votes.frozen) == (False, True)
    assert load.part == Part(rows=4, held=512, image_tokens=1024, prompt_tokens=1056, new_tokens=1024, group=8)
    apart = load_of(replace(chosen, share_prompts=False), stages["questioner"], 8)
    assert apart is not None and apart.part == replace(load.part, group=1)


def test_stages_without_a_model_cost_nothing() -> None:
    assert [cost.stage.name for cost in costs(recipe(), shape())] == ["questioner", "ask", "label", "reasoner"]


def test_checkpoints_are_as_large_as_the_weights_that_are_held() -> None:
    assert checkpoint(shape("3B"), Layout(precision="autocast", trained=P3)) == 4 * P3
    assert step_checkpoint(shape("3B"), Layout(precision="autocast", trained=P3)) == 12 * P3
    assert step_checkpoint(shape("3B"), Layout(zero=2, trained=P3)) == 14 * P3


def test_seven_billion_fit_eight_gpus_with_zero_3_and_not_without() -> None:
    gpu = GPUS["A100-80"]
    assert misfits(recipe("qwen2_5_vl_7b", deepspeed("zero3")), shape(), gpu, 8) == []
    found = misfits(recipe("qwen2_5_vl_7b", "sampling.batch_tokens=280000"), shape(), gpu, 8)
    assert [line.partition(":")[0] for line in found] == ["questioner", "reasoner"]
    assert "; use grpo.deepspeed=recipes/deepspeed/zero3.json" in found[0]
    assert "; use grpo.deepspeed=recipes/deepspeed/zero2.json" in found[1]
    assert "and A100-80 has room for 72.0 of its 80" in found[0]


def test_a_model_that_only_writes_is_made_to_fit_by_smaller_batches() -> None:
    found = next(line for line in misfits(recipe(), shape(), GPUS["RTX-4090"], 8) if line.startswith("label"))
    assert "; use sampling.batch_tokens=65536 or sampling.engine=vllm on other GPUs" in found
    smaller = recipe("qwen2_5_vl_7b", "sampling.batch_tokens=65536")
    assert not [line for line in misfits(smaller, shape(), GPUS["RTX-4090"], 8) if line.startswith("label")]


def test_several_settings_are_named_where_none_is_enough() -> None:
    found = next(line for line in misfits(recipe(), shape(), GPUS["RTX-4090"]) if line.startswith("reasoner"))
    less, machine = "sampling.batch_tokens=131072", "grpo.deepspeed=recipes/deepspeed/zero3_offload.json"
    assert found.endswith(f"; use lora.rank=32, {less} and {machine}")
    chosen = recipe("qwen2_5_vl_7b", deepspeed("zero3_offload"), "lora.rank=32", less)
    assert not [line for line in misfits(chosen, shape(), GPUS["RTX-4090"]) if line.startswith("reasoner")]


def test_trying_settings_leaves_the_recipe_as_it_was() -> None:
    chosen, untouched = recipe(), recipe()
    misfits(chosen, shape(), GPUS["L40S"])
    assert chosen == untouched


def test_the_costs_fit_100_columns_and_state_what_is_assumed() -> None:
    text = describe_costs(recipe(), shape(), 32)
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("Qwen2.5-VL-7B: 8.29 billion parameters, 8.29 of them trained; 32 GPUs, DeepSpeed shares")
    assert "40% of the peak" in text and "H100-80 989, 3350" in text
    tiny = recipe("tiny", f"model={ROOT}/data/base")
    assert max(map(len, describe_costs(tiny, shape_of(tiny.model)).splitlines())) <= 100  # type: ignore[arg-type]


def test_the_memory_table_adds_up() -> None:
    lines = describe_costs(recipe("qwen2_5_vl_7b", deepspeed("zero3")), shape(), 8).splitlines()
    row = next(line for line in lines if line.startswith("label "))
    # weights in bfloat16, cache of 60 completions of 4,296 tokens and a layer's copy, logits
    cache = 60 * 4296 * 57_344 * 29 / 28
    expected = [2 * P7, cache, 60 * 152_064 * 14, 2 * P7 + cache + 60 * 152_064 * 14]
    assert [cell for cell in row.split()[2:] if cell != "-"] == [f"{size / 2**30:.1f}" for size in expected]


def dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """On the recipe as it is shipped, from the repository's root."""
    command = [sys.executable, "tools/evolve.py", "recipes/qwen2_5_vl_7b.yaml"]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_tool_refuses_what_cannot_fit_after_it_has_shown_the_plan() -> None:
    assert dry_run("--dry-run", "--world-size", "8", "--gpu", "A100-80").returncode == 0
    done = dry_run("--dry-run", "--gpu", "A100-80")
    assert done.returncode == 2
    assert "GiB a GPU" in done.stdout
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["questioner", "reasoner"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dry-run", "--gpu", "A100"], "--gpu: A100 is not known; use A100-80, H100-80, H200, L40S, RTX-4090"),
        (["--gpu", "H200"], "--gpu and --world-size only go with --dry-run"),
        (["--dry-run", "--world-size", "0"], "0 is not 1 or more"),
        (["--dry-run", "--gpu", "H200", "model=some/other"], "--gpu: what fits cannot be told: no config.json of"),
    ],
)
def test_the_tool_says_no_in_one_line(arguments: list[str], said: str) -> None:
    done = dry_run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_a_model_of_unknown_shape_is_planned_without_its_costs() -> None:
    done = dry_run("--dry-run", "model=some/other")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Memory, time and disk are not planned: no config.json of some/")
