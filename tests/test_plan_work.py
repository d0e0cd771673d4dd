"""Operations and time, by hand."""

from dataclasses import replace

import pytest

from visplay.plan import work
from visplay.plan.gpus import Gpu, seconds
from visplay.plan.layout import Layout
from visplay.plan.loads import Load, Sampled
from visplay.plan.memory import Writing
from visplay.plan.shapes import KNOWN, Shape, Text, Vision, read_shape
from visplay.plan.stages import PlannedStage
from visplay.plan.tensors import Part

TEXT = Text(layers=3, hidden=8, intermediate=16, heads=2, kv_heads=1, vocabulary=10, tied=True)
VISION = Vision(2, hidden=6, intermediate=12, patch_values=5, merged=4, window=4, full_layers=1, width_out=8)
SHAPE = Shape("small", TEXT, VISION)
MATRICES = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 16  # 576


def test_text_costs_two_operations_a_parameter_and_four_for_each_value_seen() -> None:
    assert work.understanding(TEXT, 1) == 3 * (2 * MATRICES + 4 * 8)
    assert work.understanding(TEXT, 2) == 3 * (2 * MATRICES * 2 + 4 * 8 * (1 + 2))
    assert work.understanding(TEXT, 2, before=5) == 3 * (2 * MATRICES * 2 + 4 * 8 * (6 + 7))


def test_a_text_read_in_two_pieces_costs_the_same() -> None:
    whole = work.understanding(TEXT, 12)
    assert work.understanding(TEXT, 5) + work.understanding(TEXT, 7, before=5) == whole


def test_an_image_is_seen_in_windows_but_for_some_layers() -> None:
    layer, merger = 4 * 36 + 3 * 6 * 12, 24 * 24 + 24 * 8
    patches = 12
    # in one layer a patch sees all 12, in the other the 4 of its window
    assert work.looking(VISION, 3) == patches * (2 * (30 + 2 * layer) + 4 * 6 * (12 + 4)) + 3 * 2 * merger


def test_a_token_of_a_large_model_costs_about_twice_its_parameters() -> None:
    shape = read_shape("7B", KNOWN["Qwen2.5-VL-7B"])
    token = work.understanding(shape.text, 1) + 2 * shape.text.head_matrix
    assert token == pytest.approx(2 * 7.07e9, rel=0.01)  # 7.62 billion without the embedding


def test_a_prompt_is_read_once_for_its_samples() -> None:
    sampled = Sampled(prompts=2, samples=6, writing=Writing(6, 2, 3, 5, 7))
    read = work.looking(VISION, 3) + work.understanding(TEXT, 5)
    written = work.understanding(TEXT, 7, before=5) + 7 * 2 * 80
    assert work.sampling(SHAPE, sampled) == 2 * read + 6 * written


PART = Part(rows=2, held=8, image_tokens=3, prompt_tokens=5, new_tokens=7)


def test_training_is_forward_once_more_and_twice_backward() -> None:
    seen, read, scored = work.looking(VISION, 3), work.understanding(TEXT, 12), 2 * 80 * 7
    plain = Layout(recompute=False, reference=False)
    assert work.training(SHAPE, plain, PART, 10, 10) == 10 * (3 * seen + 3 * read + 4 * scored)
    again = replace(plain, recompute=True)
    assert work.training(SHAPE, again, PART, 10, 10) == 10 * (4 * seen + 4 * read + 4 * scored)
    frozen = replace(plain, trained_vision=False)
    assert work.training(SHAPE, frozen, PART, 10, 10) == 10 * (seen + 3 * read + 4 * scored)


def test_the_reference_goes_forward_over_new_samples_only() -> None:
    plain = Layout(recompute=False, reference=False)
    more = work.training(SHAPE, replace(plain, reference=True), PART, 10, 5) - work.training(SHAPE, plain, PART, 10, 5)
    assert more == 5 * (work.looking(VISION, 3) + work.understanding(TEXT, 12) + 2 * 80 * 7)


def test_a_prompt_is_trained_on_once_for_the_completions_of_a_part() -> None:
    """Six rows of groups of four are two prompts, padded to four completions; each token is held against all."""
    plain = Layout(recompute=False, reference=False)
    long = Part(rows=6, held=12, image_tokens=30, prompt_tokens=50, new_tokens=2, group=4)
    width = 50 + 4 * 2
    read = 2 * 3 * (2 * MATRICES * width + 4 * 8 * width**2)
    assert work.reading(TEXT, long) == (2, read)
    trained = 2 * (3 * 2 * work.looking(VISION, 30) + 3 * read + 4 * 6 * 2 * 80 * 2)
    assert work.training(SHAPE, plain, long, 12, 12) == trained
    more = work.training(SHAPE, replace(plain, reference=True), long, 12, 6) - trained
    assert more == 2 * work.looking(VISION, 30) + read + 6 * 2 * 80 * 2


@pytest.mark.parametrize(
    ("rows", "group", "prompts"), [(8, 4, 2), (4, 8, 1), (5, 8, 2), (6, 8, 2), (12, 8, 2), (3, 2, 2)]
)
def test_parts_that_cut_groups_have_more_prompts(rows: int, group: int, prompts: int) -> None:
    """Parts begin at multiples of `rows`: five rows may be the last three of eight and two of the next."""
    part = Part(rows, held=40, image_tokens=30, prompt_tokens=50, new_tokens=1, group=group)
    begun = range(0, rows * group, rows)
    assert prompts == max(len({place // group for place in range(first, first + rows)}) for first in begun)
    width = 50 + min(rows, group)
    assert work.reading(TEXT, part) == (prompts, prompts * work.packed(TEXT, width))


def test_long_completions_are_trained_on_apart() -> None:
    """Held against all others of their row, they would cost more than a prompt of their own."""
    long = Part(rows=8, held=8, image_tokens=3, prompt_tokens=5, new_tokens=400, group=8)
    assert work.reading(TEXT, long) == (8, 8 * work.understanding(TEXT, 405))


ASK = PlannedStage("ask", 1, prompts=3, samples=3)
LOAD = Load(ASK, (Sampled(3, 3, Writing(1, 1, 3, 5, 7)),))
FAST = Gpu("fast", tflops=1e9, bandwidth_gbs=1e9, memory_gib=1)


def test_starting_kernels_bounds_what_a_fast_gpu_writes_alone() -> None:
    assert seconds(FAST, SHAPE, Layout(), LOAD) == pytest.approx(3 * 7 * 3 * 0.5e-3)


def test_batches_are_dealt_whole() -> None:
    assert seconds(FAST, SHAPE, Layout(processes=2), LOAD) == pytest.approx(2 * 7 * 3 * 0.5e-3)


def test_memory_bounds_writing_where_it_is_slow() -> None:
    slow = replace(FAST, bandwidth_gbs=1e-6)
    each = 2 * (3 * MATRICES + 80) + (3 * 4 * 4) * (5 + 3.5)  # weights, and the cache of half as many new tokens
    assert seconds(slow, SHAPE, Layout(), LOAD) == pytest.approx(3 * 7 * each / 600, rel=1e-3)


def test_training_runs_at_a_share_of_the_peak_on_all_gpus() -> None:
    stage = PlannedStage("reasoner", 1, samples=32, steps=2)
    load = Load(stage, (), PART)
    layout = Layout(processes=2)
    slow = replace(FAST, tflops=1e-6)
    expected = work.training(SHAPE, layout, PART, 8 * 2 * 2, 32) / (0.4e6 * 2)
    assert seconds(slow, SHAPE, layout, load) == pytest.approx(expected)


def test_servers_cost_this_run_no_time() -> None:
    assert seconds(FAST, SHAPE, Layout(frozen_here=False), LOAD) == 0
