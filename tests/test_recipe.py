import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from visplay.evaluation.benchmarks import BENCHMARKS
from visplay.recipe import (
    Batching,
    GuardSettings,
    Recipe,
    RecipeError,
    batching,
    difference,
    grpo_keys,
    limits,
    load_recipe,
    questioner_images,
    rollouts,
    to_yaml,
)

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture
def write(tmp_path):
    """Write a recipe file; the keys that have no default are always there."""

    def write(text: str = "") -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            f"model: base\n{text}" if "source:" in text else f"model: base\npool: {{source: images}}\n{text}"
        )
        return path

    return write


def problems(path: Path, *overrides: str, world_size: int = 1) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides, world_size)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def test_what_a_file_leaves_out_keeps_its_default(write):
    recipe = load_recipe(write("labels: {votes: 7}\n"))
    assert (recipe.labels.votes, recipe.labels.band_low, recipe.iterations) == (7, 0.25, 3)


def test_overrides_win_over_the_file_and_the_last_over_the_first(write):
    recipe = load_recipe(write("iterations: 5\n"), ["iterations=6", "questioner.train=false", "iterations=7"])
    assert (recipe.iterations, recipe.questioner.train) == (7, False)


def test_grpo_settings_are_laid_over_the_defaults(write):
    recipe = load_recipe(write("grpo: {beta: 0.0}\n"), ["grpo.learning_rate=2e-6", "grpo.lr_scheduler_kwargs.power=3"])
    assert recipe.grpo == {
        **{"num_generations": 8, "epsilon": 0.2, "epsilon_high": 0.3, "temperature": 1.0},
        **{"beta": 0.0, "learning_rate": 2e-6, "lr_scheduler_kwargs": {"power": 3}},
    }


def test_all_problems_are_told_at_once(write):
    path = write("seed: x\nquestoner: {steps: 3}\nlabels: {band_low: 0.9}\n")
    found = problems(path, "iterations=0", "grpo.num_generation=4", "oops", "pool.column=[1")
    keys = [line.split(":")[0] for line in found]
    assert keys[:4] == ["oops", "pool.column=[1", "seed", "questoner.steps"]
    assert keys[4:] == ["iterations", "labels.band_low", "grpo.num_generation"]


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("questoner.steps=3", "questioner.steps"),
        ("reasoner.stepz=3", "reasoner.steps"),
        ("vote=3", "labels.votes"),
        ("sampling.votes=3", "labels.votes"),
        ("learning_rate=1e-6", "grpo.learning_rate"),
        ("grpo.num_generation=8", "grpo.num_generations"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(write, override, meant):
    assert problems(write(), override)[0].endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("iterations=two", "iterations: 'two' is not of type int"),
        ("iterations=1.5", "iterations: 1.5 is not of type int"),
        ("questioner.train=3.5", "questioner.train: 3.5 is not of type bool"),
        ("labels=3", "labels: 3 is not a mapping; write labels.NAME or indent its keys"),
        ("grpo.top_k=true", "grpo.top_k: True is not of type int"),
        ("grpo.beta=small", "grpo.beta: 'small' is not of type float"),
        ("iterations=0", "iterations: 0 is out of range; use at least 1"),
        ("labels.band_high=1.5", "labels.band_high: 1.5 is out of range; use 0 to 1"),
        ("grpo.num_iterations=0", "grpo.num_iterations: 0 is out of range; use at least 1"),
        ("grpo.save_steps=0.5", "grpo.save_steps: 0.5 is out of range; use at least 1"),
        ("grpo.epsilon=-1", "grpo.epsilon: -1 is out of range; use at least 0"),
        (
            "grpo.importance_sampling_level=row",
            "grpo.importance_sampling_level: row is not known; use token or sequence",
        ),
        ("grpo.beta=.nan", "grpo.beta: nan is out of range; use at least 0"),
        ("questioner.diversity_weight=.inf", "questioner.diversity_weight: inf is out of range; use 0 to 10"),
        ("questioner.invalid_reward=0.5", "questioner.invalid_reward: 0.5 is out of range; use -10 to 0"),
        ("labels.second_view=flipped", "labels.second_view: flipped is not known; use null or padded or shrunk"),
        (
            "labels.bands.yes_no=[0.9,0.6]",
            "labels.bands.yes_no: [0.9, 0.6] is no band; use [low, high] with 0 <= low < high <= 1, or []",
        ),
        (
            "labels.trust_from=words",
            "labels.trust_from: nothing asks for trust; set labels.trust_low or labels.weight_power, or votes",
        ),
        (
            "labels.bands.multiple_choice=[0.5]",
            "labels.bands.multiple_choice: [0.5] is no band; use [low, high] with 0 <= low < high <= 1, or []",
        ),
        ("questioner.difficulty=hard", "questioner.difficulty: hard is not known; use paper or released or corrected"),
        ("sampling.servers=[http://a/v1]", "sampling.servers: only for sampling.engine=vllm; set that too"),
        ("sampling.gpus=[6,7]", "sampling.gpus: only for sampling.engine=vllm; set that too"),
        (
            "sampling.engine=vllm",
            "sampling.engine: vllm needs servers; set one of sampling.servers, URLs of running ones, "
            "or sampling.command, such as 'vllm serve'",
        ),
        ("sampling.max_unanswered=2", "sampling.max_unanswered: 2.0 is out of range; use 0 to 1"),
        ("evaluation.world=sea", "evaluation.world: sea is not known; use null or scenes"),
        (
            "evaluation.benchmarks=[mmmu,mmvet]",
            f"evaluation.benchmarks: mmvet is none that is scored without a judge; use {', '.join(limits.BENCHMARKS)}",
        ),
        ("evaluation.benchmarks=mmmu", "evaluation.benchmarks: 'mmmu' is not of type list[str]"),
        ("evaluation.protocol=judge", "evaluation.protocol: judge is not known; use strict or official"),
        ("guard.action=halt", "guard.action: halt is not known; use null or warn or stop or rollback"),
        ("guard.max_one_sided=0.4", "guard.max_one_sided: 0.4 is out of range; use 0.5 to 1"),
        ("evaluation.prompt=own", "evaluation.prompt: own is not known; use benchmark or reasoner"),
        ("pool.source=world:sea", "pool.source: world:sea is not known; use world:scenes"),
        ("grpo.max_steps=5", "grpo.max_steps: not set through grpo; set questioner.steps and reasoner.steps"),
        (
            "grpo.disable_tqdm=true",
            "grpo.disable_tqdm: not set through grpo; every step is a row of steps.jsonl, and a bar on a terminal",
        ),
        ("grpo.max_step=5", "grpo.max_step: not a setting of TRL; set questioner.steps and reasoner.steps"),
        ("grpo.zebra=5", "grpo.zebra: not a setting of TRL; see the fields of trl.GRPOConfig"),
        ("max_steps=5", "max_steps: unknown key; set questioner.steps and reasoner.steps"),
        ("grpo.num_generations=null", "grpo.num_generations: None is not a number of completions; use 2 or more"),
        (
            "labels.band_low=0.75",
            "labels.band_low: 0.75 is not below labels.band_high: 0.75; lower the first or raise the second",
        ),
        (
            "labels.votes=4",
            "labels.min_parsed: 5 is not at most labels.votes: 4; lower the first or raise the second",
        ),
        (
            "reasoner.prompt=Answer.",
            "reasoner.prompt: 'Answer.' has no place for the question; put {question} where it belongs",
        ),
    ],
)
def test_a_wrong_value_is_named_with_the_way_out(write, override, problem):
    assert problems(write(), override) == [problem]


def test_a_guard_without_any_rule_is_refused(write):
    limits_off = [f"guard.{field.name}=null" for field in dataclasses.fields(GuardSettings) if "_" in field.name]
    found = problems(write(), "guard.action=stop", *limits_off)
    assert found == ["guard.action: stop has no rule to go by; leave one of guard.min_* or max_* on"]
    assert load_recipe(write(), limits_off).guard.action is None


def test_a_benchmark_without_the_authors_rule_or_with_pictures_too_small_is_refused(write):
    asked = ["evaluation.benchmarks=[mmmu,local]", "evaluation.protocol=official", "pool.max_tokens=15"]
    assert problems(write(), *asked) == [
        "evaluation.protocol: local has no official rule; use strict",
        "pool.max_tokens: 15 is too small for benchmarks; use 16 or more",
    ]
    assert load_recipe(write(), ["pool.max_tokens=15"]).evaluation.benchmarks == []


def test_the_benchmarks_of_a_recipe_are_those_that_need_no_judge():
    own = {name: set(benchmark.PROTOCOLS) - {"judge"} for name, benchmark in BENCHMARKS.items()}
    own["hallusionbench"] = {"strict"}  # its official rule reads a judge's verdicts
    assert {name: set(protocols) for name, protocols in limits.BENCHMARKS.items()} == {
        name: protocols for name, protocols in own.items() if protocols
    }


@pytest.mark.parametrize(
    "override", ["use_vllm=false", "generation_kwargs.top_k=3", "repetition_penalty=1.1", "chat_template_kwargs={}"]
)
def test_a_setting_that_rollouts_would_not_heed_is_refused(write, override):
    assert "rollouts" in problems(write(), f"grpo.{override}")[0]


def test_a_model_that_is_an_adapter_and_what_trl_cannot_do_to_one_are_refused(write, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert problems(write(), f"model={tmp_path}", "lora.rank=8", "grpo.sync_ref_model=true") == [
        f"model: {tmp_path} is an adapter; merge it first: tools/export.py {tmp_path} --out DIR",
        "grpo.sync_ref_model: TRL cannot do this with lora.rank; leave out one of them",
    ]


def test_a_section_that_is_null_has_its_defaults(write):
    path = write("lora: {rank: 8, alpha: 2}\nlabels:\n")
    assert (load_recipe(path).lora.rank, load_recipe(path).labels.votes) == (8, 10)
    assert load_recipe(path, ["lora=null"]).lora == Recipe().lora


def test_all_votes_may_have_to_be_parsed(write):
    assert load_recipe(write(), ["labels.votes=5"]).labels.min_parsed == 5


def test_a_bleu_distance_is_at_most_one_and_a_cosine_distance_two(write):
    assert load_recipe(write(), ["questioner.cluster_distance=1.5"]).questioner.cluster_distance == 1.5
    found = problems(write(), "questioner.cluster_distance=1.5", "questioner.diversity=bleu")
    assert found == ["questioner.cluster_distance: 1.5 is above 1, the largest 1 - BLEU; use 0 to 1"]


def test_without_relu_no_invalid_question_is_paid_more_than_a_valid_one(write):
    found = problems(write(), "questioner.relu=false", "questioner.diversity_weight=0.5")
    assert found == [
        "questioner.invalid_reward: 0 is more than a valid question may get without relu, -0.5; use -0.5 or less"
    ]
    assert load_recipe(write(), ["questioner.relu=false", "questioner.invalid_reward=-1"]).questioner.relu is False


def test_a_blind_charge_lowers_what_a_valid_question_may_get_without_relu(write):
    charged = ["questioner.relu=false", "questioner.blind_weight=0.5", "questioner.diversity_weight=1"]
    assert "without relu, -1.5; use -1.5 or less" in problems(write(), *charged, "questioner.invalid_reward=-1")[0]
    assert load_recipe(write(), [*charged, "questioner.invalid_reward=-1.5"])


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("labels.blind=[dark]", "labels.blind: dark is no way of not seeing; use no_image or grey_image"),
        ("labels.blind=[no_image,no_image]", "labels.blind: no_image, no_image names one twice"),
        ("labels.blind_share=0", "labels.blind_share: 0.0 is out of range; use 0.01 to 1"),
        ("labels.quota.yes_no=2", "labels.quota.yes_no: 2.0 is out of range; use 0 to 1"),
        ("labels.quota.text=0.5", "labels.quota.text: unknown key"),
    ],
)
def test_what_cannot_be_asked_blind_or_be_a_quota(write, override, problem):
    assert problems(write(), override)[0].startswith(problem)


def test_quotas_that_leave_room_for_nothing_are_refused(write):
    quotas = [f"labels.quota.{kind}=0.2" for kind in ("yes_no", "multiple_choice", "numerical", "short_text")]
    assert problems(write(), *quotas) == [
        "labels.quota: the shares are 0.8 in all, so that nothing could be kept; raise them to 1 or more"
    ]
    assert load_recipe(write(), ["labels.quota={yes_no: 0.25}", "labels.blind_share=null"]).labels.quota.yes_no == 0.25


def test_a_distance_of_repeats_is_refused_where_repeats_have_no_limit(write):
    assert problems(write(), "labels.repeat_distance=0.5") == [
        "labels.repeat_distance: repeats have no limit; set labels.repeat_share below 1, or 0"
    ]
    both = ["labels.repeat_distance=0.5", "labels.repeat_share=0.1"]
    assert load_recipe(write(), both).labels.repeat_distance == 0.5
    assert problems(write(), "labels.repeat_distance=1.5", "labels.repeat_share=0.1") == [
        "labels.repeat_distance: 1.5 is out of range; use 0 to 1"
    ]


VLLM = "sampling: {engine: vllm, command: vllm serve, gpus: [6, '4,5']}\n"


def test_an_audit_is_of_the_world_or_of_ones_own_questions(write):
    both = problems(write(), "audit.images=100", "audit.data=mine.jsonl")
    assert both == ["audit.images: 100 and audit.data: mine.jsonl are two audits; leave out one of them"]
    assert load_recipe(write(), ["audit.images=100"]).audit.images == 100
    assert load_recipe(write(), ["audit.data=mine.jsonl"]).audit.data == "mine.jsonl"


def test_what_is_mixed_in_leaves_room_for_silver_rows(write):
    (found,) = problems(write(), "reasoner.anchor_share=0.5", "reasoner.replay_share=0.5")
    assert found.startswith("reasoner.anchor_share: 0.5 + reasoner.replay_share: 0.5 leave no room for silver rows")
    assert load_recipe(write(), ["reasoner.anchor_share=0.5", "reasoner.replay_share=0.45"])


def test_servers_are_named_or_started_and_not_both(write):
    assert load_recipe(write(VLLM)).sampling.gpus == ["6", "4,5"]
    named = ["sampling.engine=vllm", "sampling.servers=[http://a:8000/v1,https://b/v1]"]
    assert load_recipe(write(), named).sampling.servers == ["http://a:8000/v1", "https://b/v1"]
    assert problems(write(VLLM), named[1])[0].startswith("sampling.engine: vllm needs servers; set only one of")
    assert problems(write(), *named, "sampling.gpus=[1]") == [
        "sampling.gpus: only for servers that the run starts; set sampling.command too"
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("sampling.servers=[gpu-1:8000]", "sampling.servers: gpu-1:8000 is no URL of a server"),
        (
            "sampling.command=vllm 'serve",
            "sampling.command: vllm 'serve cannot be split into words (No closing quotation)",
        ),
    ],
)
def test_servers_that_cannot_be_reached_or_started_are_refused_at_once(write, override, problem):
    found = problems(write("sampling: {engine: vllm}\n"), override)
    assert len(found) == 1 and found[0].startswith(problem)


def test_a_reference_to_nothing_is_refused(write):
    assert problems(write(), "pool.column=${nowhere}")[0].startswith("pool.column=${nowhere}: cannot be read as YAML: ")


def test_what_has_no_default_must_be_set(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert problems(tmp_path / "empty.yaml", "pool.source=images") == [
        "model: missing; set it in the recipe or as model=..."
    ]


def test_a_missing_file_is_answered_with_the_recipes_beside_it(write):
    path = write()
    assert problems(path.with_name("tony.yaml"))[0].endswith(f"recipes in this folder: {path}")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "seed: 1\nseed: 2\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    assert problems(tmp_path / "bad.yaml", "model=m", "pool.source=images")[0].startswith(f"{tmp_path / 'bad.yaml'}: ")


def test_steps_that_the_processes_cannot_share_are_refused_for_each_role(write):
    found = problems(write("grpo: {per_device_train_batch_size: 6}\n"), world_size=4)
    assert [line.split(":")[0] for line in found] == ["questioner.images_per_step", "reasoner.questions_per_step"]
    assert found[0].endswith("= 24 does not divide 512 prompts x grpo.num_generations 8 = 4096 completions; use 4 or 8")


def test_a_questioner_that_is_not_trained_needs_no_batches(write):
    path = write("questioner: {train: false, images_per_step: 5}\ngrpo: {per_device_train_batch_size: 32}\n")
    assert load_recipe(path).questioner.train is False


def test_gradient_accumulation_follows_from_the_recipe(write):
    recipe = load_recipe(write("grpo: {num_generations: 4, per_device_train_batch_size: 2}\n"))
    assert batching(recipe, prompts_per_step=16, world_size=2) == Batching(per_device=2, accumulation=16)
    with pytest.raises(RecipeError, match="4 x 2 processes = 8 does not divide 3 prompts .* = 12 .*; use 3 or 6"):
        batching(dataclasses.replace(recipe, grpo={**recipe.grpo, "per_device_train_batch_size": 4}), 3, 2)


def test_a_recipe_survives_yaml(write, tmp_path):
    prompt = "'Look: {question}\n\n  # twice\\boxed{}'"
    recipe = load_recipe(write("grpo: {report_to: none}\n"), ["seed=7", f"reasoner.prompt={prompt}"])
    (tmp_path / "again.yaml").write_text(to_yaml(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_a_difference_names_key_old_and_new(write):
    old, new = load_recipe(write()), load_recipe(write(), ["labels.votes=9", "grpo.top_k=5", "evaluation.world=scenes"])
    assert difference(old, new) == [
        "labels.votes: 10 -> 9",
        'evaluation.world: null -> "scenes"',
        "grpo.top_k: unset -> 5",
    ]
    assert difference(old, old) == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_loads(path):
    load_recipe(path)


def test_every_number_of_the_schema_has_a_range():
    sections = {"": Recipe, **{f.name + ".": f.default_factory for f in dataclasses.fields(Recipe)}}
    numbers = {
        prefix + field.name
        for prefix, section in sections.items()
        if dataclasses.is_dataclass(section)
        for field in dataclasses.fields(section)
        if field.type in ("int", "float", "int | None", "float | None")
    }
    assert numbers <= set(limits.RANGES)


def test_the_settings_of_trl_are_those_of_its_config():
    trl = pytest.importorskip("trl")
    assert set(grpo_keys.fields()) == {field.name for field in dataclasses.fields(trl.GRPOConfig)}
    assert set(grpo_keys.OWNED) <= set(grpo_keys.fields())


def test_a_recipe_is_loaded_without_torch_and_trl(write):
    code = f"import sys; from visplay.recipe import load_recipe; load_recipe({str(write())!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "trl", "transformers"} & set(modules)


@pytest.mark.parametrize(("per_batch", "steps", "drawn"), [(1, 5, 5), (2, 5, 3), (2, 6, 3), (7, 6, 1)])
def test_a_batch_that_serves_several_steps_is_drawn_once(write, per_batch, steps, drawn):
    settings = [f"grpo.num_iterations={per_batch}", f"questioner.steps={steps}", "questioner.images_per_step=16"]
    asked = load_recipe(write(), settings)
    assert (rollouts(asked, steps), questioner_images(asked)) == (drawn, 16 * drawn)
    assert questioner_images(load_recipe(write(), [*settings, "questioner.train=false"])) == 0
