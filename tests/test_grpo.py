"""GRPO: what a step learns from is what was shown and written, and a killed training ends as if it had not been."""

from __future__ import annotations

import dataclasses
import gc
import json
import random
import shutil
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from visplay.engine import grpo
from visplay.engine.grpo import NonFiniteError, Row, Score
from visplay.engine.journal import Journal
from visplay.engine.loaded import load_frozen
from visplay.engine.lora_trainer import LoraTrainer
from visplay.engine.models import vision_tower
from visplay.engine.prompts import encode
from visplay.images import PoolImage
from visplay.recipe import PoolSettings, Recipe, RecipeError, SamplingSettings
from visplay.records import ImageRecord

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning", "ignore:.*rollout_func")

SIZES = ((84, 84), (56, 84), (84, 84), (112, 56))
PROMPTS = ("What color is the large thing on the left of the small square?", "How many?", "What digit?", "How many?")
OPENED: list[str] = []  # ids of pictures, as they are opened


class Noise(PoolImage):
    """Every picture is another one."""

    @property
    def size(self) -> tuple[int, int]:
        return self.record.width, self.record.height

    def open(self) -> Image.Image:
        OPENED.append(self.id)
        shape = (self.record.height, self.record.width, 3)
        return Image.fromarray(np.random.default_rng(int(self.id)).integers(0, 256, shape, dtype=np.uint8))


def noise(name: int) -> Noise:
    return Noise(ImageRecord(str(name), "made", None, *SIZES[name]), PoolSettings())


ROWS = [Row(text, noise(i), source=i) for i, text in enumerate(PROMPTS)]


def recipe(**settings: Any) -> Recipe:
    made = Recipe(pool=PoolSettings(min_tokens=4, max_tokens=64), sampling=SamplingSettings(batch=6))
    made.grpo |= {"num_generations": 2, "learning_rate": 1e-3, "beta": 0.05, "save_steps": 2} | settings
    return made


def by_length(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
    return [Score(float(len(text)), {"letters": float(len(text))}) for text in completions]


def train(start: Path, folder: Path, reward: Any = by_length, steps: int = 5, **changes: Any) -> None:
    folder.mkdir(exist_ok=True)
    wanted: dict[str, Any] = {"recipe": recipe(), "prompts_per_step": 3, "max_new_tokens": 6, "seed": 4}
    wanted |= {"role": "reasoner", "steps": steps, "folder": folder, "rows": ROWS} | changes
    grpo.train(start, reward=reward, **wanted)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def written(folder: Path, name: str = "steps.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def made(folder: Path, *names: str) -> list[Path]:
    return [folder / name / "checkpoint" for name in names]


class Killed(BaseException):
    """Stands for a signal."""


def killed_at(call: int) -> Any:
    """`by_length`, that dies when it is called for the given time."""
    calls = iter(range(1, 100))

    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        if next(calls) == call:
            raise Killed
        return by_length(rows, completions)

    return reward


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of five steps that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(base, folder)
    return folder


def test_a_killed_training_goes_on_to_the_same_bytes(base: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(base, tmp_path, reward=killed_at(4))
    assert [path.name for path in (tmp_path / "steps").glob("checkpoint-*")] == ["checkpoint-2"]
    half_saved = tmp_path / "steps" / "unfinished" / "checkpoint-4"
    half_saved.mkdir(parents=True)
    (half_saved / "config.json").write_text("{")
    with open(tmp_path / "steps.jsonl", "a") as file:
        file.write('{"torn')
    torch.rand(3), random.random()
    train(base, tmp_path)
    assert (tmp_path / "checkpoint" / "model.safetensors").read_bytes() == (
        whole / "checkpoint" / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "steps.jsonl").read_text() == (whole / "steps.jsonl").read_text()
    assert (tmp_path / "samples.jsonl").read_text() == (whole / "samples.jsonl").read_text()
    assert not (tmp_path / "steps").exists()


def test_a_killed_training_that_uses_completions_twice_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    twice = recipe(num_iterations=2, save_steps=3)  # 3 would cut a pair of steps in two: saved after 4
    train(base, tmp_path / "whole", recipe=twice)
    assert [row["completions"] for row in written(tmp_path / "whole")] == [6, 0, 6, 0, 6]
    with pytest.raises(Killed):  # in the rollouts for steps 5 and 6
        train(base, tmp_path / "killed", recipe=twice, reward=killed_at(3))
    assert [path.name for path in (tmp_path / "killed" / "steps").glob("checkpoint-*")] == ["checkpoint-4"]
    train(base, tmp_path / "killed", recipe=twice)
    whole, resumed = (weights(tmp_path / name / "checkpoint") for name in ("whole", "killed"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_training_killed_after_its_last_step_only_saves(base: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(base, tmp_path, reward=killed_at(5))
    train(base, tmp_path, steps=4)
    again = (tmp_path / "checkpoint" / "model.safetensors").stat().st_mtime_ns
    train(base, tmp_path, steps=4)
    assert (tmp_path / "checkpoint" / "model.safetensors").stat().st_mtime_ns == again
    assert written(tmp_path) == written(whole)[:4]


def test_training_changes_weights_and_nothing_else_of_a_model(base: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(base, start)
    generation = json.loads((start / "generation_config.json").read_text())
    generation |= {"eos_token_id": [0, generation["eos_token_id"]], "pad_token_id": 1, "repetition_penalty": 1.05}
    (start / "generation_config.json").write_text(json.dumps(generation))
    train(start, tmp_path / "made", steps=1)
    made = tmp_path / "made" / "checkpoint"
    before, after = weights(start), weights(made)
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before if name.endswith("proj.weight"))
    assert json.loads((made / "generation_config.json").read_text()) == generation
    assert (made / "tokenizer.json").read_text() == (base / "tokenizer.json").read_text()
    assert (made / "chat_template.jinja").read_text() == (base / "chat_template.jinja").read_text()


def test_every_step_leaves_a_row_and_its_first_group(whole: Path) -> None:
    rows, samples = written(whole), written(whole, "samples.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(row["terms"]["letters"]["mean"] == pytest.approx(row["reward"]) for row in rows)
    assert all(row["grad_norm"] > 0 and row["entropy"] > 0 and row["completion_tokens"] <= 6 for row in rows)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5) and rows[4]["kl"] > 1e-3
    assert [(row["step"], row["image"]) for row in samples[:4]] == [(1, "0"), (1, "0"), (2, "3"), (2, "3")]
    assert samples[0]["prompt"] == PROMPTS[0] and samples[0]["reward"] == len(samples[0]["completion"])


def test_a_training_ends_with_its_counts_and_means(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    assert (summary["steps"], summary["completions"], summary["unscored_share"]) == (5, 30, 0.0)
    assert summary["reward"] == pytest.approx(sum(row["reward"] for row in written(whole)) / 5)


def test_resuming_keeps_exactly_the_whole_rows_up_to_the_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "steps" / "checkpoint-2").mkdir(parents=True)
    kept = '{"completion": "a\u2028b\u2029c\x85d", "step": 1}\n{"completion": "é", "step": 2}\n'.encode()
    later = '{"completion": "f", "step": 3}\n{"completion": "é'.encode()[:-1]  # a kill tore the character
    (tmp_path / "samples.jsonl").write_bytes(kept + later)
    Journal(tmp_path, "reasoner", 5, 2).close()
    assert (tmp_path / "samples.jsonl").read_bytes() == kept


def test_a_model_that_nobody_uses_makes_room_for_a_training(base: Path, tmp_path: Path) -> None:
    earlier = weakref.ref(load_frozen(base))
    gone: list[bool] = []

    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        gc.collect()
        gone.append(earlier() is None)
        return by_length(rows, completions)

    train(base, tmp_path, reward, steps=1)
    assert gone == [True]


def test_rows_are_taken_in_order_and_again_from_the_first(base: Path, tmp_path: Path) -> None:
    seen, opened = [], OPENED
    opened.clear()

    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        seen.append([row.source for row in rows])
        opened.append("reward")
        return by_length(rows, completions)

    train(base, tmp_path, reward, steps=2, recipe=recipe(per_device_train_batch_size=2))
    assert seen == [[0, 0, 1, 1, 2, 2], [3, 3, 0, 0, 1, 1]]
    assert opened == ["1", "2", "0", "reward", "3", "reward"]  # once, and not before its turn


@pytest.mark.parametrize("narrow", [{"temperature": 0.002}, {"top_k": 1}])
def test_rollouts_are_drawn_as_the_recipe_says(base: Path, tmp_path: Path, narrow: dict[str, float]) -> None:
    groups = []

    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        groups.append([len(set(completions[start : start + 4])) for start in (0, 4, 8)])
        return by_length(rows, completions)

    train(base, tmp_path / "wide", reward, steps=1, recipe=recipe(num_generations=4))
    train(base, tmp_path / "narrow", reward, steps=1, recipe=recipe(num_generations=4, **narrow))
    assert groups[0] == [4, 4, 4]
    assert max(groups[1]) <= 2  # two tokens may be as likely as each other


def test_a_frozen_vision_tower_keeps_its_weights(base: Path, tmp_path: Path) -> None:
    frozen = recipe()
    frozen.freeze_vision = True
    train(base, tmp_path, steps=1, recipe=frozen)
    before, after = weights(base), weights(tmp_path / "checkpoint")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any(name.startswith("visual.") for name in changed)
    assert any(name.startswith("visual.") for name in before)


def test_rewards_that_could_not_be_computed_teach_nothing_and_are_counted_not_printed(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    train(base, tmp_path, lambda rows, texts: [Score(None)] * len(texts), steps=2, recipe=recipe(beta=0.0))
    before, after = weights(base), weights(tmp_path / "checkpoint")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [(row["reward"], row["unscored_share"]) for row in written(tmp_path)] == [(None, 1.0)] * 2
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == {"steps": 2, "completions": 12, "unscored_share": 1.0}
    assert "returned None" not in caplog.text + "".join(capfd.readouterr())


def test_a_row_without_weight_teaches_as_little_as_one_without_a_reward(base: Path, tmp_path: Path) -> None:
    def unpaid(rows: Sequence[Row], texts: Sequence[str]) -> list[Score]:
        paid = by_length(rows, texts)
        return [Score(None) if row.source == 1 else score for row, score in zip(rows, paid, strict=True)]

    weightless = [dataclasses.replace(row, weight=float(row.source != 1)) for row in ROWS]
    settings = recipe(beta=0.0, num_generations=4)
    train(base, tmp_path / "weightless", steps=1, rows=weightless, recipe=settings)
    train(base, tmp_path / "unpaid", unpaid, steps=1, recipe=settings)
    one, other = (weights(tmp_path / name / "checkpoint") for name in ("weightless", "unpaid"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_weight_scales_the_gradient_and_nothing_that_is_logged_of_rewards(base: Path, tmp_path: Path) -> None:
    norms = []
    for weight in (1.0, 0.5, 0.0):
        folder = tmp_path / str(weight)
        rows = [dataclasses.replace(row, weight=weight) for row in ROWS]
        train(base, folder, steps=1, rows=rows, recipe=recipe(beta=0.0, num_generations=4))
        (step,) = written(folder)
        norms.append(step["grad_norm"])
        assert step["reward"] == written(tmp_path / "1.0")[0]["reward"]
    assert norms[0] > 0 and norms[1] == pytest.approx(norms[0] / 2) and norms[2] == 0


def test_a_group_without_rewards_weighs_as_much_as_one_of_equal_rewards(base: Path, tmp_path: Path) -> None:
    def paid(first_group: float | None) -> Any:
        def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
            filtered = [Score(first_group, filtered=first_group is None)] * 2
            return [*filtered, *(Score(float(place)) for place in range(len(completions) - 2))]

        return reward

    for name, first_group in (("none", None), ("equal", 0.5)):
        train(base, tmp_path / name, paid(first_group), steps=2, recipe=recipe(beta=0.0))
    none, equal, start = (weights(folder) for folder in (*made(tmp_path, "none", "equal"), base))
    assert all(torch.equal(none[name], equal[name]) for name in none)
    assert not all(torch.equal(none[name], start[name]) for name in none)
    rows = written(tmp_path / "none")
    assert [(row["unscored_share"], row["filtered_share"]) for row in rows] == [(0.0, 1 / 3)] * 2
    assert json.loads((tmp_path / "none" / "summary.json").read_text())["filtered_share"] == pytest.approx(1 / 3)
    assert all(row["group_spread"] == 0.5 and row["loss"] is not None for row in rows)


def test_a_step_counts_lengths_and_how_alike_the_completions_are(base: Path, tmp_path: Path) -> None:
    said = iter(["a", "a", "b", None, "a", "c"])

    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        return [Score(1.0, said=next(said)) for _ in completions]

    train(base, tmp_path, reward, steps=1)
    (row,) = written(tmp_path)
    assert (row["distinct_share"], row["commonest_share"], row["group_spread"]) == (0.6, 0.6, 0.0)
    assert row["completion_tokens"] <= row["completion_tokens_p95"] <= 6


def test_a_step_that_is_not_finite_stops_training_and_is_named(base: Path, tmp_path: Path) -> None:
    def reward(rows: Sequence[Row], completions: Sequence[str]) -> list[Score]:
        return [Score(3e38 * (-1) ** place) for place in range(len(completions))]

    with pytest.raises(NonFiniteError, match="reasoner: step 1 has loss"):
        train(base, tmp_path, reward, recipe=recipe(scale_rewards="none", save_steps=1))
    assert not list((tmp_path / "steps").glob("checkpoint-*")) and not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize(
    ("scores", "message"), [([Score(1.0)], "1 scores to 6"), ([Score(float("nan"))] * 6, "is nan")]
)
def test_impossible_scores_are_refused(base: Path, tmp_path: Path, scores: list[Score], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(base, tmp_path, lambda rows, texts: scores, steps=1)


@pytest.mark.parametrize("settings", [{"save_steps": 2, "logging_strategy": "often"}, {"zebra": 1}])
def test_settings_that_trl_refuses_are_a_wrong_recipe(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"^grpo: TRL does not take .*(often|zebra)"):
        grpo.settings(recipe(**settings), 1, 3, 6, 0, tmp_path)


def test_no_rows_to_train_on_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rows to train the reasoner on"):
        train(base, tmp_path, rows=[])


class Step:
    """One rollout of TRL's trainer, and what its loss is computed from."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        self.generator_logits: list[torch.Tensor] = []
        hook = trainer.model.lm_head.register_forward_hook(
            lambda module, inputs, logits: self.generator_logits.append(logits[:, -1])
        )
        self.inputs = trainer._generate_and_score_completions(trainer.examples([0, 0, 1, 1, 2, 2]))
        hook.remove()
        self.inputs["advantages"] = torch.tensor([1.0, -0.5, 0.7, -1.0, 0.2, -0.4])

    def loss(self, **changes: Any) -> float:
        return self.trainer._compute_loss(self.trainer.model, self.inputs | changes).item()

    def log_probs(self, order: Sequence[int] = range(6)) -> torch.Tensor:
        """Log-probability of each completion token (len(order), longest), 0 behind the end."""
        inputs = self.inputs
        chosen = list(order)
        prompt, completion = inputs["prompt_ids"][chosen], inputs["completion_ids"][chosen]
        mask = inputs["completion_mask"][chosen]
        self.trainer._read = inputs["row"][chosen].tolist()
        with torch.no_grad():
            found = self.trainer._get_per_token_logps_and_entropies(
                self.trainer.model,
                torch.cat([prompt, completion], 1),
                torch.cat([inputs["prompt_mask"][chosen], mask], 1),
                completion.shape[1],
            )[0]
        return found * mask


@pytest.fixture(scope="module")
def step(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Step]:
    folder = tmp_path_factory.mktemp("step")
    config = grpo.settings(recipe(), 1, 3, 6, 0, folder)
    journal = Journal(folder, "reasoner", 1, 2)
    yield Step(grpo.Trainer(base, ROWS, by_length, recipe(), config, journal))
    journal.close()


def test_checkpointing_keeps_its_kind_when_completions_were_written(base: Path, tmp_path: Path) -> None:
    chosen = recipe(gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": True})
    config = grpo.settings(chosen, 1, 3, 6, 0, tmp_path)
    with closing(Journal(tmp_path, "reasoner", 1, 2)) as journal:
        trainer = grpo.Trainer(base, ROWS, by_length, chosen, config, journal)
        trainer.model.gradient_checkpointing_enable(config.gradient_checkpointing_kwargs)
        with trainer._writing():
            assert not trainer.model.is_gradient_checkpointing
        kinds = [
            part._gradient_checkpointing_func.keywords
            for part in trainer.model.modules()
            if getattr(part, "gradient_checkpointing", False)
        ]
    assert kinds and all(kind == {"use_reentrant": True} for kind in kinds)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_vision_tower_keeps_nothing_for_gradients(base: Path, tmp_path: Path, frozen: bool) -> None:
    chosen = recipe()
    chosen.freeze_vision = frozen
    kept: list[bool] = []
    with closing(Journal(tmp_path, "reasoner", 1, 2)) as journal:
        config = grpo.settings(chosen, 1, 3, 6, 0, tmp_path)
        made = Step(grpo.Trainer(base, ROWS, by_length, chosen, config, journal))
        tower = vision_tower(made.trainer.model)
        tower.register_forward_hook(lambda _, given, seen: kept.append(seen.pooler_output.requires_grad))
        made.loss()
    assert kept and set(kept) == {not frozen}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize(("rank", "frozen", "targets"), [(None, True, []), (4, True, []), (4, False, ["q_proj"])])
def test_checkpointing_does_not_have_an_untrained_vision_tower_read_again(
    base: Path, tmp_path: Path, rank: int | None, frozen: bool, targets: list[str], reentrant: bool
) -> None:
    chosen = recipe(gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    chosen.freeze_vision, chosen.lora.rank, chosen.lora.targets = frozen, rank, targets
    config = grpo.settings(chosen, 2, 3, 6, 0, tmp_path)
    calls: Counter[str] = Counter()
    kept: list[bool] = []
    with closing(Journal(tmp_path, "reasoner", 2, 2)) as journal:
        trainer = (LoraTrainer if rank else grpo.Trainer)(base, ROWS, by_length, chosen, config, journal)
        text, tower = trainer.model.get_decoder(), vision_tower(trainer.model)
        places = {"tower": tower, "block": tower.blocks[0].attn, "text": text, "layer": text.layers[0].self_attn}
        for name, place in places.items():
            place.register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
        tower.register_forward_hook(lambda _, given, seen: kept.append(seen.pooler_output.requires_grad))
        trainer.train()
    assert calls["layer"] > calls["text"]  # what is trained is read again
    assert calls["block"] == calls["tower"] > 0
    assert not any(kept)


def test_other_images_give_another_loss(step: Step) -> None:
    assert step.inputs["row"].tolist() == [0, 0, 1, 1, 2, 2]
    assert step.loss() == step.loss()
    others = torch.tensor([2, 0, 1, 1, 0, 2])  # both 84 x 84
    assert abs(step.loss(row=others) - step.loss()) > 1e-3


@pytest.mark.parametrize("shares", [True, False])
def test_a_completion_keeps_its_row_when_those_of_a_step_are_shuffled(step: Step, shares: bool) -> None:
    step.trainer.share_prompts(shares)
    step.trainer._prepare_inputs(step.trainer.examples([0, 0, 1, 1, 2, 2]))
    shuffled = []
    for part in step.trainer._buffered_inputs:
        shuffled += part["row"].tolist()
        for ids, mask, row in zip(part["prompt_ids"], part["prompt_mask"], part["row"].tolist(), strict=True):
            alone = encode(step.trainer.processing_class, [(ROWS[row].image, PROMPTS[row])])
            assert ids[mask.bool()].tolist() == alone["input_ids"][0].tolist()
    assert sorted(shuffled) == [0, 0, 1, 1, 2, 2]
    assert shares == (shuffled == sorted(shuffled))  # those that share a prompt come together again


def test_the_order_of_a_batch_is_the_order_of_its_log_probabilities(step: Step) -> None:
    order = [4, 1, 5, 0, 3, 2]
    assert torch.allclose(step.log_probs(order), step.log_probs()[order], atol=1e-4)
    assert not torch.allclose(step.log_probs(order), step.log_probs(), atol=1e-1)


def test_a_completion_has_the_same_log_probabilities_alone_as_beside_longer_prompts(step: Step) -> None:
    assert step.inputs["prompt_mask"].min() == 0
    for row in range(6):
        assert torch.allclose(step.log_probs([row]), step.log_probs()[row : row + 1], atol=1e-4)


def test_generator_and_trainer_agree_on_every_token(step: Step) -> None:
    order = [2, 3, 4, 5, 0, 1]  # in which they are written: the smaller picture first, then the shorter text
    ids, mask = step.inputs["completion_ids"][order], step.inputs["completion_mask"][order]
    generated = torch.zeros(mask.shape)
    for place, logits in enumerate(step.generator_logits):
        rows = mask[:, place].nonzero()[:, 0]  # those that have not ended
        if place == 0:  # a prompt is read once for both of its completions
            logits = logits.repeat_interleave(2, dim=0)
        generated[rows, place] = logits.log_softmax(-1)[range(len(rows)), ids[rows, place]]
    assert torch.allclose(generated, step.log_probs()[order], atol=1e-4)


def test_rollouts_read_the_prompt_that_the_sampler_reads_and_the_trainer_trains_on(step: Step) -> None:
    inputs, processor = step.inputs, step.trainer.processing_class
    for row, source in enumerate((0, 0, 1, 1, 2, 2)):
        image = ROWS[source].image.open()
        ids = inputs["prompt_ids"][row][inputs["prompt_mask"][row].bool()]
        assert ids.tolist() == encode(processor, [(image, PROMPTS[source])])["input_ids"][0].tolist()
        message = [
            {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": PROMPTS[source]}]}
        ]
        stock, _, _ = step.trainer._tokenize_prompts([message])
        assert ids.tolist() == stock[0]


def test_rollouts_contain_no_token_that_stands_for_an_image(step: Step) -> None:
    tokenizer = step.trainer.processing_class.tokenizer
    marks = tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"])

    def wanted(module: torch.nn.Module, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        logits[..., marks] += 1000
        return logits

    handle = step.trainer.model.lm_head.register_forward_hook(wanted)
    rolled = step.trainer._generate_and_score_completions(step.trainer.examples([0, 0, 1, 1, 2, 2]))
    handle.remove()
    assert not torch.isin(rolled["completion_ids"], torch.tensor(marks)).any()
