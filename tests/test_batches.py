import pytest

from visplay.recipe.batches import Batching, cut


def test_without_a_size_a_part_is_one_group():
    assert cut(prompts=512, group=8, per_device=None, world_size=1) == Batching(per_device=8, accumulation=512)


def test_without_a_size_the_largest_equal_part_below_the_group_is_taken():
    assert cut(prompts=3, group=8, per_device=None, world_size=4) == Batching(per_device=6, accumulation=1)


def test_a_group_may_be_split_among_processes():
    assert cut(prompts=512, group=8, per_device=4, world_size=8) == Batching(per_device=4, accumulation=128)


def test_a_part_that_does_not_divide_names_its_neighbours_that_do():
    with pytest.raises(ValueError, match=r"6 x 4 processes = 24 does not divide 512 prompts .* = 4096 .*; use 4 or 8$"):
        cut(prompts=512, group=8, per_device=6, world_size=4)


def test_a_share_smaller_than_a_part_is_one_part():
    assert cut(prompts=2, group=8, per_device=32, world_size=1) == Batching(per_device=16, accumulation=1)


def test_completions_that_processes_cannot_share_are_refused():
    with pytest.raises(ValueError, match=r"2 prompts .* = 8 completions cannot be shared among 3 .*multiple of 3"):
        cut(prompts=2, group=4, per_device=None, world_size=3)
