"""What sharing saves, in floating-point operations of the bench's contests: they are the same on every machine."""

from __future__ import annotations

import gc
from pathlib import Path

import bench_models
import pytest
from contest import Writing, counted, least_s
from least import token_by_token
from meters import gpu_named
from sampling_contests import Arena, Sampling
from step_contests import GrpoStep, contests
from transformers import Qwen2_5_VLForConditionalGeneration

from visplay.engine.prompts import encode
from visplay.plan.gpus import GPUS, Gpu

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning", "ignore:.*rollout_func")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2.5-VL of 7 million parameters."""
    return bench_models.make("small", tmp_path_factory.mktemp("bench"))


# Tokens by hand: 8 x (300 + 32) for 300 + 8 x 32 is 4.8, 8 x (300 + 128) for 300 + 8 x 128 is 2.6; 8 pictures for one.
@pytest.mark.parametrize(("new", "least"), [(32, 4.5), (128, 2.5)])
def test_log_probs_and_backward_of_eight_completions_take_a_fraction_of_the_operations(
    small: Path, new: int, least: float
) -> None:
    held = contests(small, [GrpoStep(image_tokens=256, new=new, group=8)])
    learning = next(held)
    learning.ours()  # the first reading is compared with the stock way
    assert counted(learning.theirs) / counted(learning.ours) >= least


def test_of_eight_samples_picture_and_prompt_are_read_once(small: Path) -> None:
    arena, asked = Arena(small), Sampling(image_tokens=256, questions=1, n=8, new=1, images=1).requests
    alone = counted(lambda: arena.stock(asked, n=1, new=1))
    assert 8 * alone / counted(lambda: arena.ours(asked, n=8, new=1)) >= 0.85 * 8


def test_tokens_that_are_written_one_by_one_take_the_operations_that_are_counted(small: Path) -> None:
    arena, asked = Arena(small), Sampling(image_tokens=256, questions=1, n=8, new=1, images=1).requests
    more = counted(lambda: arena.ours(asked, n=8, new=9)) - counted(lambda: arena.ours(asked, n=8, new=1))
    prompt = encode(arena.processor, asked)["input_ids"].shape[1]
    assert token_by_token(arena.model, 8, prompt, 9).flops == pytest.approx(more, rel=0.01)
    assert token_by_token(arena.model, 8, prompt, 1) == Writing(tokens=8)


def test_the_least_time_is_what_takes_longer_of_operations_and_bytes_in_each_phase() -> None:
    gpu = Gpu("made", tflops=1, bandwidth_gbs=1000, memory_gib=1)  # 10^12 of either a second
    # Of 5 seconds of operations 2 are of writing, whose bytes take 1 or 3.
    assert least_s(5 * 10**12, Writing(1, 2 * 10**12, 10**12), gpu) == pytest.approx(5)
    assert least_s(5 * 10**12, Writing(1, 2 * 10**12, 3 * 10**12), gpu) == pytest.approx(6)


def test_a_gpu_is_known_by_its_whole_name_only() -> None:
    assert gpu_named("NVIDIA GeForce RTX 4090") == GPUS["RTX-4090"]
    for other in ("NVIDIA RTX 6000 Ada Generation", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA H100 PCIe", "CPU"):
        assert gpu_named(other) is None


def models_alive() -> int:
    return sum(type(one) is Qwen2_5_VLForConditionalGeneration for one in gc.get_objects())


def test_the_two_models_of_a_size_are_gone_before_those_of_the_next_are_made(base: Path) -> None:
    gc.collect()  # those of other tests
    before, held, alive = models_alive(), [], []
    for contest in contests(base, [GrpoStep(image_tokens=4, new=2, group=2)] * 3):
        held.append(contest)
        alive.append(models_alive() - before)
    assert alive == [2] * 6
