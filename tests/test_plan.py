import subprocess
import sys
from pathlib import Path

import pytest

from visplay.plan import PlannedStage, describe, plan
from visplay.recipe import Batching, Recipe, load_recipe

RECIPES = Path(__file__).parents[1] / "recipes"
SMALL = [
    *["iterations=2", "questioner.steps=5", "questioner.images_per_step=4", "questioner.max_new_tokens=10"],
    *["reasoner.steps=3", "reasoner.questions_per_step=6", "reasoner.max_new_tokens=100", "labels.votes=7"],
    *["ask.images=20", "ask.questions_per_image=2", "grpo.num_generations=8", "grpo.per_device_train_batch_size=4"],
    *["evaluation.world=scenes", "evaluation.questions=50", "evaluation.sampled_questions=10", "evaluation.samples=3"],
]


@pytest.fixture
def small(tmp_path) -> Recipe:
    (tmp_path / "small.yaml").write_text("model: base\npool: {source: images}\n")
    return load_recipe(tmp_path / "small.yaml", SMALL)


def stage(recipe: Recipe, name: str, **options: int) -> PlannedStage:
    return {planned.name: planned for planned in plan(recipe, **options)}[name]


def test_a_questioner_step_samples_a_group_per_image_and_votes_on_each_question(small):
    assert stage(small, "questioner") == PlannedStage(
        name="questioner",
        times=2,
        prompts=5 * 4,
        samples=20 * 8,
        votes=160 * 7,
        tokens=160 * 10 + 1120 * 100,
        steps=5,
        batching=Batching(per_device=4, accumulation=8),
    )


def test_each_asked_question_is_voted_on(small):
    assert stage(small, "ask") == PlannedStage("ask", 2, prompts=20, samples=40, tokens=400)
    assert stage(small, "label") == PlannedStage("label", 2, prompts=40, votes=280, tokens=28_000)


def test_a_second_pass_may_vote_on_all_of_them_again(small):
    small.labels.second_prompt = "short"
    assert stage(small, "label") == PlannedStage("label", 2, prompts=40, votes=560, tokens=56_000)


def test_blind_votes_are_counted_for_every_question(small):
    small.labels.blind, small.labels.blind_votes = ["no_image", "grey_image"], 3
    assert stage(small, "label").votes == 40 * (7 + 2 * 3)
    assert stage(small, "questioner").votes == 160 * 7
    small.questioner.blind_weight, small.questioner.blind_votes = 0.5, 2
    assert stage(small, "questioner").votes == 160 * (7 + 2)
    assert stage(small, "questioner").tokens == 160 * 10 + 160 * 9 * 100


def test_an_audit_asks_and_votes_as_the_loop_does(small):
    assert not {"audit_ask", "audit_label"} & {planned.name for planned in plan(small)}
    small.audit.images = 10
    assert stage(small, "audit_ask") == PlannedStage("audit_ask", 2, prompts=10, samples=20, tokens=200)
    assert stage(small, "audit_label") == PlannedStage("audit_label", 2, prompts=20, votes=140, tokens=14_000)


def test_a_reasoner_step_samples_a_group_per_question(small):
    assert stage(small, "reasoner", world_size=2) == PlannedStage(
        "reasoner", 2, prompts=18, samples=144, tokens=14_400, steps=3, batching=Batching(4, 6)
    )


def test_the_base_and_each_iteration_are_scored(small):
    assert stage(small, "score") == PlannedStage("score", 3, prompts=50, samples=80, tokens=8_000)


def test_the_base_and_each_iteration_are_asked_every_item_of_the_benchmarks(small):
    small.evaluation.benchmarks, small.evaluation.max_new_tokens = ["mmmu", "local"], 40
    assert stage(small, "benchmarks", items=906) == PlannedStage(
        "benchmarks", 3, prompts=906, samples=906, tokens=36_240
    )
    assert [planned.name for planned in plan(small)][:4] == ["pool", "score", "benchmarks", "questioner"]
    assert "Benchmarks:" not in describe(small, items=906)
    assert "Benchmarks: not all of their data can be read here" in describe(small)


def test_a_batch_that_serves_several_steps_is_drawn_once(small):
    small.grpo["num_iterations"] = 2
    assert (stage(small, "questioner").prompts, stage(small, "questioner").steps) == (3 * 4, 5)


def test_what_the_recipe_leaves_out_is_not_planned(small):
    small.questioner.train, small.evaluation.world = False, None
    assert [planned.name for planned in plan(small)] == ["pool", "ask", "label", "reasoner"]


def test_a_world_is_a_pool_of_known_size(small):
    small.pool.source, small.pool.world_images = "world:scenes", 300
    assert stage(small, "images") == PlannedStage("images", 1, prompts=300)
    assert stage(small, "pool").prompts == 300
    assert stage(small, "pool", pool_size=290).prompts == 290


def test_the_table_adds_up_what_comes_several_times(small):
    total = next(line for line in describe(small).splitlines() if line.startswith("in all"))
    # 3 x 80 + 2 x (160 + 40 + 144) samples, 2 x (1,120 + 280) votes, 2 x (5 + 3) steps
    assert total.split()[2:] == ["928", "2,800", f"{3 * 8_000 + 2 * (113_600 + 400 + 28_000 + 14_400):,}", "16"]


def test_the_table_says_how_far_the_pool_goes(small):
    assert "Images: 80 drawn from a pool of 47,000; none is drawn twice" in describe(small, pool_size=47_000)


@pytest.mark.parametrize("name", ["qwen2_5_vl_3b", "qwen2_5_vl_7b"])
def test_the_plan_of_a_large_run_fits_100_columns_and_needs_no_weights(name):
    text = describe(load_recipe(RECIPES / f"{name}.yaml", world_size=8), world_size=8, pool_size=47_000)
    assert max(map(len, text.splitlines())) <= 100


def test_a_plan_is_made_without_torch(tmp_path):
    code = f"""
import sys
from visplay.plan import describe
from visplay.recipe import load_recipe
describe(load_recipe({str(RECIPES / "qwen2_5_vl_7b.yaml")!r}))
print(*sys.modules)
"""
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "trl", "transformers"} & set(modules)
