"""Bytes by part, each formula by hand on a shape small enough to count."""

from dataclasses import replace

import pytest

from visplay.plan import memory, tensors
from visplay.plan.layout import Layout
from visplay.plan.memory import Memory, Writing
from visplay.plan.shapes import Shape, Text, Vision
from visplay.plan.tensors import Part

# head width 4, keys and values of width 4
TEXT = Text(layers=3, hidden=8, intermediate=16, heads=2, kv_heads=1, vocabulary=10, tied=True)
VISION = Vision(2, hidden=6, intermediate=12, patch_values=5, merged=4, window=4, full_layers=1, width_out=8)
SHAPE = Shape("small", TEXT, VISION)
P = SHAPE.parameters
PART = Part(rows=2, held=8, image_tokens=3, prompt_tokens=5, new_tokens=7)  # 24 tokens, 24 patches


def layout(**changed: object) -> Layout:
    return replace(Layout(trained=P), **changed)


@pytest.mark.parametrize(
    ("changed", "weights", "gradients", "optimizer"),
    [
        ({"precision": "float32"}, 4 * P, 4 * P, 8 * P),
        ({"precision": "autocast"}, 4 * P + 2 * P, 4 * P, 8 * P),  # with the copies in bfloat16
        ({"precision": "autocast", "processes": 2}, 4 * P + 2 * P, 8 * P, 8 * P),  # with the buckets of DDP
        ({"zero": 2, "processes": 4, "bucket": 100}, 2 * P, 2 * P // 4 + 400, 3 * P),
        ({"zero": 2, "processes": 4, "bucket": 100, "offload_optimizer": True}, 2 * P, 400, 0),
        ({"zero": 3, "processes": 4}, 2 * P // 4 + 2 * P, 2 * P // 4, 3 * P),
        ({"zero": 3, "processes": 4, "offload_weights": True}, 2 * P, 2 * P // 4, 3 * P),
    ],
)
def test_states_of_the_trained_model(changed: dict, weights: int, gradients: int, optimizer: int) -> None:
    """Mixed-precision Adam takes 16 bytes a parameter, of which ZeRO shares gradients and optimizer, then weights."""
    found = layout(**changed)
    assert tensors.weights(SHAPE, found, "layers") == weights
    assert (tensors.gradients(found), tensors.optimizer(found)) == (gradients, optimizer)


def test_zero_3_holds_a_share_and_gathers_all_for_rollouts() -> None:
    large = replace(SHAPE, text=replace(TEXT, vocabulary=500_000_000))
    found = layout(zero=3, processes=8)
    count = large.parameters
    assert count > 4_000_000_000
    assert tensors.weights(large, found, "asleep") == 2 * count // 8
    assert tensors.weights(large, found, "layers") == 2 * count // 8 + 2 * 1_000_000_000
    assert tensors.weights(large, found, "whole") == 2 * count // 8 + 2 * count


@pytest.mark.parametrize(("precision", "pair"), [("bfloat16", 4), ("autocast", 6), ("float32", 8)])
def test_keys_and_values(precision: str, pair: int) -> None:
    assert tensors.kv_cache(TEXT, layout(precision=precision), 100) == 100 * 3 * 4 * pair


def test_what_a_layer_keeps() -> None:
    full = layout(precision="float32")
    assert tensors.kept_of_text_layer(TEXT, full) == 4 * (11 * 8 + 4 * 16)
    assert tensors.kept_of_text_layer(TEXT, layout()) == 2 * (11 * 8 + 4 * 16) + 2 * 4 * 8
    assert tensors.kept_of_vision_layer(VISION, full) == 4 * (14 * 6 + 4 * 12)


def test_activations_without_and_with_recomputation() -> None:
    full = layout(precision="float32", recompute=False)
    text, vision = 4 * (11 * 8 + 4 * 16), 4 * (14 * 6 + 4 * 12)
    beside = 2 * 12 * 12 + 24 * 5 * 4 + 2 * 24 * 8 * 4  # masks, pixels, the sequence twice
    assert tensors.activations(SHAPE, full, PART) == beside + 3 * 24 * text + 2 * 24 * vision
    frozen = replace(full, trained_vision=False)
    assert tensors.activations(SHAPE, frozen, PART) == beside + 3 * 24 * text
    inputs = 3 * 24 * 8 * 4 + 2 * 24 * 6 * 4
    assert tensors.activations(SHAPE, replace(full, recompute=True), PART) == beside + inputs + 24 * text


def test_completions_are_scored_while_no_layer_is_recomputed() -> None:
    found = layout(zero=2)
    inputs = tensors.activations(SHAPE, found, PART, within=False)
    assert inputs == tensors.activations(SHAPE, found, PART) - 24 * tensors.kept_of_text_layer(TEXT, found)
    wide = replace(SHAPE, text=replace(TEXT, vocabulary=100_000))
    moment = memory.training(wide, found, PART, WRITING, None)["training"]
    assert (moment.activations, moment.logits) == (inputs, tensors.scoring(wide.text, found, PART))
    moment = memory.training(SHAPE, found, replace(PART, rows=100), WRITING, None)["training"]
    assert (moment.activations, moment.logits) == (tensors.activations(SHAPE, found, replace(PART, rows=100)), 0)


def test_scoring_holds_a_tile_of_logits_and_never_all() -> None:
    # 14 completions' tokens x 10 words; states once and their gradients in float32; the matrix's gradient, twice
    assert tensors.scoring(TEXT, layout(), PART) == 14 * 10 * 2 + 14 * 8 * (2 + 4) + 80 * (4 + 2)
    wide = replace(TEXT, vocabulary=100_000)
    long = replace(PART, new_tokens=10_000)
    assert tensors.scoring(wide, layout(adapters=1), long) == 4096 * 32_768 * 2 + 20_000 * 8 * 6


def test_on_a_cpu_prompts_are_scored_too() -> None:
    found = tensors.scoring(TEXT, layout(precision="float32"), PART)
    assert found == 7 * 24 * 10 * 4 + 24 * 8 * (4 + 4) + 80 * 4


def test_drawing_a_token() -> None:
    assert tensors.drawing(TEXT, layout(), rows=64) == 64 * 10 * (2 + 3 * 4)


WRITING = Writing(rows=8, prompts=2, image_tokens=3, prompt_tokens=5, new_tokens=7)


def test_a_model_that_writes_holds_weights_cache_and_logits() -> None:
    found = memory.sampling(SHAPE, WRITING)
    cache = 8 * 12 * 3 * 4 * 4
    assert found["writing"] == Memory(weights=2 * P, kv_cache=cache + cache // 3, logits=8 * 10 * 14)
    assert found["writing read"].kv_cache == 2 * 5 * 3 * 4 * 4


def test_the_frozen_role_and_the_reference_are_held_all_the_time() -> None:
    found = memory.training(SHAPE, layout(precision="autocast"), PART, WRITING, WRITING)
    assert {each.frozen_role for each in found.values()} == {2 * P}
    assert {each.reference for each in found.values()} == {4 * P}
    alone = memory.training(SHAPE, layout(precision="autocast", reference=False), PART, WRITING, None)
    assert {each.frozen_role + each.reference for each in alone.values()} == {0}
    assert "votes" not in alone


def test_a_frozen_role_behind_servers_takes_nothing() -> None:
    found = memory.training(SHAPE, layout(frozen_here=False), PART, WRITING, WRITING)
    assert "votes" not in found and not found["training"].frozen_role


def test_frozen_role_and_reference_over_a_shared_base_are_adapters() -> None:
    found = memory.training(SHAPE, layout(adapters=50, trained=50, shared_base=True), PART, WRITING, WRITING)
    assert found["training"].weights == 2 * P + 4 * 50
    assert (found["step"].gradients, found["step"].optimizer) == (4 * 50, 8 * 50)
    assert {(each.frozen_role, each.reference) for each in found.values()} == {(4 * 50, 4 * 50)}


def test_the_optimizers_step_casts_gradients_under_deepspeed() -> None:
    found = memory.training(SHAPE, layout(zero=2, processes=2), PART, WRITING, None)
    assert found["step"].gradients == 2 * P // 2 + 4 * (P // 2)
    assert found["step"].activations == 0


def test_the_peak_is_the_moment_with_the_largest_sum() -> None:
    low, high = Memory(weights=3), Memory(weights=1, logits=3)
    assert memory.peak({"low": low, "high": high}) == ("high", high)
    assert high.total == 4
