"""LoRA: only the adapter learns, over one base for both roles, and its checkpoint is a checkpoint like any other."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_loop import ROOT
from test_grpo import ROWS, Killed, by_length, killed_at, recipe, train, written
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, Qwen2_5_VLForConditionalGeneration

from visplay.engine import grpo, lora, models
from visplay.engine.export import export
from visplay.engine.journal import Journal, Row, Score
from visplay.engine.lora import AdapterError
from visplay.engine.lora_trainer import LoraTrainer
from visplay.engine.prompts import Request, encode
from visplay.engine.sampling import LocalSampler, SharedSampler
from visplay.recipe import LoraSettings, PoolSettings, Recipe, SamplingSettings

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning", "ignore:.*rollout_func")

POOL = PoolSettings(min_tokens=4, max_tokens=64)
FILES = ["adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "processor_config.json"]
FILES += ["tokenizer.json", "tokenizer_config.json"]
REQUESTS: list[Request] = [(row.image, row.prompt) for row in ROWS]


def small(**settings: Any) -> Recipe:
    """As in the tests of GRPO, by LoRA."""
    made = recipe(**{"learning_rate": 0.05} | settings)
    made.lora = LoraSettings(rank=4, alpha=8)
    return made


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint" / "adapter_model.safetensors")


def texts(sampler: LocalSampler, seed: int = 3) -> list[list[str]]:
    return [[one.text for one in drawn] for drawn in sampler.sample(REQUESTS, 2, 6, seed)]


def alone(checkpoint: Path) -> LocalSampler:
    return LocalSampler(checkpoint, POOL, SamplingSettings(batch=4))


def shared(checkpoint: Path) -> SharedSampler:
    return SharedSampler(checkpoint, POOL, SamplingSettings(batch=4))


@pytest.fixture(scope="module")
def first(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two steps from the base."""
    folder = tmp_path_factory.mktemp("first")
    train(base, folder, steps=2, recipe=small())
    return folder


@pytest.fixture(scope="module")
def second(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of five steps from the first one's checkpoint, that asks the first one as a frozen role."""
    folder = tmp_path_factory.mktemp("second")
    train_against(first / "checkpoint", folder)
    return folder


def train_against(frozen: Path, folder: Path, reward: Any = by_length, **changes: Any) -> list[list[list[str]]]:
    """Train from checkpoint `frozen` against itself; what the frozen role wrote in each step."""
    sampler, heard = shared(frozen), []

    def asking(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        heard.append(texts(sampler))
        return reward(rows, completions)

    train(frozen, folder, asking, recipe=small(), frozen=sampler, **changes)
    return heard


@contextmanager
def begun(start: Path, frozen: SharedSampler, folder: Path, seed: int = 0) -> Iterator[LoraTrainer]:
    """A trainer that has not done a step."""
    config = grpo.settings(small(), 1, 3, 6, seed, folder)
    with closing(Journal(folder, "questioner", 1, 2)) as journal:
        yield LoraTrainer(start, ROWS, by_length, small(), config, journal, frozen=frozen)


def test_a_checkpoint_is_an_adapter_over_the_named_base_and_has_learnt(base: Path, first: Path) -> None:
    folder = first / "checkpoint"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    whole, found = models.load_model(base).state_dict(), models.load_model(folder).state_dict()
    kept = {name.replace(".base_layer", ""): weights for name, weights in found.items() if ".lora_" not in name}
    assert kept.keys() == whole.keys() and all(torch.equal(kept[name], whole[name]) for name in whole)
    assert all(weights.abs().max() > 0 for weights in adapter(first).values())


def test_all_linear_layers_are_adapted_but_the_head_and_of_a_frozen_vision_tower_none(
    base: Path, tmp_path: Path
) -> None:
    model = models.load_model(base)
    linear = {name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)} - {"lm_head"}
    tower = {name for name in linear if name.startswith("model.visual.")}
    assert tower
    for frozen, targets, expected in (
        (False, [], linear),
        (True, [], linear - tower),
        (False, ["q_proj", "down_proj"], {name for name in linear if name.endswith(("q_proj", "down_proj"))}),
        (True, ["down_proj"], {name for name in linear - tower if name.endswith("down_proj")}),
    ):
        model = models.load_model(base)
        without = models.vision_tower(model) if frozen else None
        made = lora.begin(model, base, LoraSettings(2, 4, targets), without)
        lora.save(made, tmp_path)
        names = {name.removeprefix("base_model.model.") for name in load_file(tmp_path / FILES[1])}
        assert names == {f"{name}.lora_{part}.weight" for name in expected for part in "AB"}


def whole_models() -> int:
    """How many there are in this process."""
    gc.collect()
    return sum(type(thing) is Qwen2_5_VLForConditionalGeneration for thing in gc.get_objects())


def test_the_base_is_in_memory_once_while_a_role_trains_against_another_and_not_at_all_afterwards(
    second: Path, tmp_path: Path
) -> None:
    sampler, counts, before = shared(second / "checkpoint"), [], whole_models()

    def counting(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        texts(sampler)
        counts.append(whole_models())
        return by_length(rows, completions)

    train(second / "checkpoint", tmp_path, counting, 1, recipe=small(), frozen=sampler)
    assert counts == [before + 1] and whole_models() == before
    with pytest.raises(RuntimeError, match="can write only while a training lends it"):
        texts(sampler)


def test_a_frozen_role_writes_with_the_weights_in_training_as_it_would_alone(
    base: Path, second: Path, tmp_path: Path
) -> None:
    sampler = shared(second / "checkpoint")
    with begun(base, sampler, tmp_path) as training:
        assert texts(sampler) == texts(alone(second / "checkpoint")) != texts(alone(base))
        assert sampler.model is training.model.get_base_model()


def test_a_frozen_role_that_is_the_base_writes_as_the_base(base: Path, second: Path, tmp_path: Path) -> None:
    sampler = shared(base)
    with begun(second / "checkpoint", sampler, tmp_path):
        assert texts(sampler) == texts(alone(base)) != texts(alone(second / "checkpoint"))


def test_a_frozen_role_stays_as_it_was_while_the_other_learns(first: Path, tmp_path: Path) -> None:
    heard = train_against(first / "checkpoint", tmp_path, steps=3)
    assert heard == [texts(alone(first / "checkpoint"))] * 3
    assert heard[0] != texts(alone(tmp_path / "checkpoint"))


@pytest.mark.parametrize("frozen", ["adapter", "base"])
def test_the_adapter_in_training_is_as_before_once_a_frozen_role_has_written_or_failed(
    base: Path, first: Path, second: Path, tmp_path: Path, frozen: str
) -> None:
    sampler = shared(first / "checkpoint" if frozen == "adapter" else base)
    with begun(second / "checkpoint", sampler, tmp_path) as training:
        inputs = encode(sampler.processor, REQUESTS)

        def state() -> tuple[Any, ...]:
            trained = {name for name, weights in training.model.named_parameters() if weights.requires_grad}
            return training.model.training, trained, logits(training.model, inputs).tolist()

        training.model.train()
        before = state()
        assert before[1] and all(".default." in name for name in before[1])
        texts(sampler)
        assert state() == before
        with pytest.raises(ValueError, match="the text names <image 3>"):
            sampler.sample([([], "<image 3>?")], 1, 6, 0)
        assert state() == before


def test_a_killed_training_goes_on_to_the_same_bytes(first: Path, second: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train_against(first / "checkpoint", tmp_path, killed_at(4))
    step = tmp_path / "steps" / "checkpoint-2"
    assert not [path for path in step.rglob("*.safetensors") if path != step / "adapter_model.safetensors"]
    torch.rand(3)
    train_against(first / "checkpoint", tmp_path)
    for name in (*(f"checkpoint/{file}" for file in FILES), "steps.jsonl", "samples.jsonl"):
        assert (tmp_path / name).read_bytes() == (second / name).read_bytes(), name


def test_the_kl_term_is_the_distance_to_the_start_of_the_training(second: Path, base: Path) -> None:
    rows = written(second)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6) and rows[4]["kl"] > 1e-3


def test_every_loader_takes_an_adapter(base: Path, first: Path, second: Path) -> None:
    folder = second / "checkpoint"
    processor = models.load_processor(folder, 4, 64)
    assert encode(processor, REQUESTS)["input_ids"].equal(
        encode(models.load_processor(base, 4, 64), REQUESTS)["input_ids"]
    )
    assert models.stored_tokens(folder, processor) == models.stored_tokens(base, processor)
    assert models.banned_tokens(models.load_model(folder)) == models.banned_tokens(models.load_model(base))
    assert models.identity(folder) not in (models.identity(base), models.identity(first / "checkpoint"))


def test_transformers_opens_the_folder_itself_with_the_same_logits(second: Path) -> None:
    folder = second / "checkpoint"
    opened, found = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values())
    assert AutoProcessor.from_pretrained(folder).image_processor is not None
    inputs = encode(models.load_processor(folder, 4, 64), REQUESTS)
    assert torch.equal(logits(opened.float(), inputs), logits(models.load_model(folder), inputs))


def logits(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(**inputs).logits
    return found


def test_a_new_adapter_is_drawn_by_the_seed_and_begins_without_effect(base: Path, tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 5):
        with begun(base, shared(base), tmp_path, seed) as training:
            found.append(lora.trained_weights(training.model))
    one, again, other = ({n: weights for n, weights in each.items() if "lora_A" in n} for each in found)
    assert all(torch.equal(one[name], again[name]) and not torch.equal(one[name], other[name]) for name in one)
    assert all(weights.abs().max() == 0 for name, weights in found[0].items() if "lora_B" in name)


def test_an_adapter_that_lacks_a_tensor_or_has_one_too_many_is_refused(second: Path, tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file).write_bytes((second / "checkpoint" / file).read_bytes())
    weights = adapter(second)
    name = next(iter(weights))
    save_file({other: tensor for other, tensor in weights.items() if other != name}, tmp_path / FILES[1])
    with pytest.raises(AdapterError, match=r"1 tensors are missing and 0 .* such as .*lora_A"):
        models.load_model(tmp_path)
    save_file(weights | {name.replace("layers.0", "layers.9"): weights[name].clone()}, tmp_path / FILES[1])
    with pytest.raises(AdapterError, match=r"0 tensors are missing and 1 .* such as .*layers\.9"):
        models.load_model(tmp_path)


def test_what_cannot_be_adapted_or_shared_is_named(base: Path, second: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"lora.targets: lm_head is no linear layer to train; there are .*q_proj"):
        lora.begin(models.load_model(base), base, LoraSettings(4, 8, ["lm_head"]), None)
    with pytest.raises(AdapterError, match=f"checkpoint is over {base}, not over {tmp_path}"):
        lora.refuse_other_base(second / "checkpoint", tmp_path)


def test_a_base_that_is_gone_is_named(second: Path, tmp_path: Path) -> None:
    config = json.loads((second / "checkpoint" / FILES[0]).read_text())
    (tmp_path / FILES[0]).write_text(json.dumps(config | {"base_model_name_or_path": "/nowhere/base"}))
    with pytest.raises(models.ModelError, match=rf"no model at /nowhere/base, the base that {tmp_path}/adapter_config"):
        models.identity(tmp_path)


def test_an_export_is_a_whole_model_that_writes_as_the_adapter(base: Path, second: Path, tmp_path: Path) -> None:
    checkpoint, out = second / "checkpoint", tmp_path / "whole"
    command = [sys.executable, str(ROOT / "tools" / "export.py"), str(checkpoint), "--out", str(out)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith(f"{out}\n"), done.stderr
    opened, found = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not any(found.values()) and not [name for name, _ in opened.named_parameters() if "lora" in name]
    assert models.tensor_shapes(out) == models.tensor_shapes(base)
    for file in FILES[2:]:
        assert (out / file).read_bytes() == (checkpoint / file).read_bytes()
    assert greedy(out) == greedy(checkpoint) != greedy(base)


def greedy(checkpoint: Path) -> list[list[str]]:
    return [[one.text for one in each] for each in alone(checkpoint).sample(REQUESTS, 1, 12, 0, greedy=True)]


def test_an_export_stored_in_half_the_size_is_rounded_once(second: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        export(second / "checkpoint", tmp_path / dtype, dtype)
    exact, rounded = (load_file(tmp_path / dtype / "model.safetensors") for dtype in ("float32", "bfloat16"))
    assert all(torch.equal(rounded[name], exact[name].bfloat16()) for name in exact)


def test_what_is_whole_or_would_be_overwritten_is_not_exported(base: Path, second: Path, tmp_path: Path) -> None:
    with pytest.raises(models.ModelError, match=f"{base} is no folder with an adapter"):
        export(base, tmp_path / "new")
    with pytest.raises(models.ModelError, match=f"{tmp_path} is there already"):
        export(second / "checkpoint", tmp_path)
    assert not list(tmp_path.iterdir())
