"""A prompt that is read once for all of its completions: the same figures and gradients as with one for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_grpo import recipe, train, written
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

from visplay.engine import models, shapes
from visplay.engine.packing import Packed, groups, pack
from visplay.engine.prompts import Request, encode
from visplay.plan import work
from visplay.plan.shapes import KNOWN, read_shape

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning", "ignore:.*rollout_func")

KNOWN_TEXT = read_shape("7B", KNOWN["Qwen2.5-VL-7B"]).text
GROUP = 4
LENGTHS = ((7, 3, 0, 5), (1, 7, 6, 2))  # of the completions; one has no token that counts
LONGEST = 7


def picture(seed: int, width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


REQUESTS: list[Request] = [
    (picture(1, 84, 84), "What color is the large thing on the left of the small square?"),
    (picture(2, 56, 112), "How many?"),
]


class Step:
    """Two prompts with completions in both layouts, for a model in float64."""

    def __init__(self, base: Path) -> None:
        self.model = models.load_model(base, "cpu", torch.float64)
        processor = models.load_processor(base, 4, 64)
        copies = encode(processor, [request for request in REQUESTS for _ in range(GROUP)])
        self.pixels = self._pictures(encode(processor, REQUESTS))
        self.copied_pixels = self._pictures(copies)
        generator = torch.Generator().manual_seed(0)
        written = torch.randint(5, 60, (len(REQUESTS) * GROUP, LONGEST), generator=generator)
        counted = torch.tensor([[1] * n + [0] * (LONGEST - n) for lengths in LENGTHS for n in lengths])
        self.ids = torch.cat([copies["input_ids"], written], 1)
        self.mask = torch.cat([copies["attention_mask"], counted], 1)
        self.types = (self.ids == self.model.config.image_token_id).int()

    def _pictures(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"pixel_values": inputs["pixel_values"].double(), "image_grid_thw": inputs["image_grid_thw"]}

    def packed(self) -> Packed:
        first, prompt = [0, GROUP], slice(0, -LONGEST)
        positions, _ = self.model.base_model.get_rope_index(
            self.ids[first, prompt],
            self.types[first, prompt],
            image_grid_thw=self.pixels["image_grid_thw"],
            attention_mask=self.mask[first, prompt],
        )
        return pack(self.ids, self.mask, LONGEST, groups([0] * GROUP + [1] * GROUP), positions)

    def shared(self, packed: Packed | None = None) -> torch.Tensor:
        """Log-probabilities of the completions' tokens, 0 where none counts."""
        packed = packed or self.packed()
        inputs = dict(packed.inputs)
        return packed.spread(self._scored(inputs.pop("shift_labels"), **inputs, **self.pixels))

    def stock(self) -> torch.Tensor:
        labels = self.ids.masked_fill(self.mask == 0, -100)
        labels[:, :-LONGEST] = -100
        inputs = {"input_ids": self.ids, "attention_mask": self.mask, "mm_token_type_ids": self.types}
        shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=-100)
        return self._scored(shifted, **inputs, **self.copied_pixels)[:, -LONGEST - 1 : -1]

    def _scored(self, labels: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        """The stock head, though in float64 all through: TRL's goes through float32."""
        spread = self.model(**inputs, use_cache=False).logits.log_softmax(-1)
        return spread.gather(-1, labels.clamp(min=0)[..., None])[..., 0].masked_fill(labels == -100, 0)


@pytest.fixture
def step(base: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """Without the places where the modelling code goes through float32, which would hide an error below 1e-8."""

    def norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        scaled = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * scaled

    def rotated(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cos, sin = cos.unsqueeze(-2).double(), sin.unsqueeze(-2).double()
        return tuple(one * cos + qwen.rotate_half(one) * sin for one in (q, k))

    monkeypatch.setattr(qwen.Qwen2_5_VLRMSNorm, "forward", norm)
    monkeypatch.setattr(qwen, "apply_rotary_pos_emb_vision", rotated)
    return Step(base)


def gradients(model: PreTrainedModel, read: Callable[[], torch.Tensor]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    log_probs = read()
    worth = torch.linspace(-1, 1, log_probs.numel(), dtype=log_probs.dtype).view_as(log_probs)
    (log_probs * worth).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_log_probabilities_and_gradients_are_those_of_separate_rows(step: Step) -> None:
    assert (step.stock() != 0).sum() == sum(map(sum, LENGTHS))
    assert torch.allclose(step.shared(), step.stock(), rtol=0, atol=1e-12)
    ours, theirs = gradients(step.model, step.shared), gradients(step.model, step.stock)
    assert ours.keys() == theirs.keys() and len(ours) > 30
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= 1e-12 * max(1.0, gradient.norm().item()), name


def plain_mask(packed: Packed) -> None:
    mask = packed.inputs["attention_mask"]
    packed.inputs["attention_mask"] = torch.ones_like(mask).tril()


def flat_positions(packed: Packed) -> None:
    positions = packed.inputs["position_ids"]
    packed.inputs["position_ids"] = torch.arange(positions.shape[-1]).expand_as(positions)


def one_too_far(packed: Packed) -> None:
    packed.inputs["position_ids"] = packed.inputs["position_ids"] + (packed.inputs["shift_labels"] != -100).long()


def numbered_on(packed: Packed) -> None:
    """Later branches go on where the one before ended."""
    positions, branch = packed.inputs["position_ids"].clone(), packed.inputs["shift_labels"] != -100
    for m in range(len(branch)):
        inside = branch[m].nonzero()[:, 0]
        positions[:, m, inside] = positions[:, m, inside[:1]] + torch.arange(len(inside))
    packed.inputs["position_ids"] = positions


@pytest.mark.parametrize("wrong", [plain_mask, flat_positions, one_too_far, numbered_on])
def test_the_comparison_would_find_a_wrong_mask_or_position(step: Step, wrong: Callable[[Packed], None]) -> None:
    packed = step.packed()
    wrong(packed)
    assert (step.shared(packed) - step.stock()).abs().max() > 1e-2


def test_a_packed_row_is_the_prompt_and_a_branch_for_each_completion() -> None:
    ids = torch.tensor([[0, 11, 12, 21, 22], [0, 11, 12, 31, 0], [13, 14, 15, 41, 42]])
    mask = torch.tensor([[0, 1, 1, 1, 1], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    positions = torch.tensor([[0, 5, 6], [7, 8, 9]]).expand(3, 2, 3)
    packed = pack(ids, mask, 2, [[0, 1], [2]], positions)
    assert packed.inputs["input_ids"].tolist() == [[11, 12, 21, 12], [13, 14, 15, 41]]
    assert packed.inputs["shift_labels"].tolist() == [[-100, 21, 22, 31], [-100, -100, 41, 42]]
    assert packed.inputs["position_ids"][0].tolist() == [[5, 6, 7, 6], [7, 8, 9, 10]]
    assert packed.inputs["attention_mask"][0, 0].int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 0, 0, 1],
    ]
    figures = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])
    assert packed.spread(figures).tolist() == [pytest.approx(row) for row in ([0.2, 0.3], [0.4, 0.0], [0.7, 0.8])]


def test_a_prompt_is_counted_once(step: Step) -> None:
    """Floating-point operations of the forward pass, without the head: it reads every position on a CPU."""

    def operations(read: Callable[[], Any]) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            read()
        return sum(count for name, count in counter.get_flop_counts()["Global"].items())

    prompt, completions = int(step.mask[:, :-LONGEST].sum()), sum(map(sum, LENGTHS))
    tokens = prompt + len(step.ids) * LONGEST  # padding is computed
    packed = step.packed().inputs["input_ids"].numel()
    assert prompt // GROUP + completions - 2 <= packed < tokens / 2.5
    assert operations(step.stock) / operations(step.shared) > 2.5


LORA = {"lora.rank": 4}
SETTINGS: dict[str, dict[str, Any]] = {
    "LoRA": LORA,
    "parts": {"per_device_train_batch_size": 2},
    "a part cuts a group": {"num_generations": 4, "per_device_train_batch_size": 3},
    "checkpointing": {"gradient_checkpointing": True},
    "completions used twice": {"num_iterations": 2},
    "truncated ones masked": {"mask_truncated_completions": True},
    "no reference": {"beta": 0.0},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_training_takes_the_same_steps(
    base: Path, tmp_path: Path, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for name, shares in (("shared", True), ("stock", False)):
        made = recipe(optim="sgd", learning_rate=1e-3, **({} if settings is LORA else settings))
        made.share_prompts, made.lora.rank = shares, 4 if settings is LORA else None
        train(base, tmp_path / name, recipe=made, steps=3)
    assert "prompt of its own" not in caplog.text
    ways = [row["prompts_shared"] for name in ("shared", "stock") for row in written(tmp_path / name)]
    assert ways == [
        1,
        1,
        1,
        0,
        0,
        0,
    ]
    for ours, theirs in zip(written(tmp_path / "shared"), written(tmp_path / "stock"), strict=True):
        for figure in ("loss", "grad_norm", "reward", "kl", "entropy", "completion_tokens"):
            expected = theirs[figure]  # None where no completion is new
            # In float32, which processors round differently.
            assert ours[figure] == expected or ours[figure] == pytest.approx(expected, rel=1e-3, abs=1e-6), figure
    file = "adapter_model" if settings is LORA else "model"
    shared, stock = (load_file(tmp_path / name / "checkpoint" / f"{file}.safetensors") for name in ("shared", "stock"))
    assert all(torch.allclose(shared[name].float(), stock[name].float(), atol=1e-4) for name in stock)


@pytest.fixture
def wrong_positions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def off(*given: Any) -> Packed:
        packed = pack(*given)
        one_too_far(packed)
        return packed

    monkeypatch.setattr("visplay.engine.sharing.pack", off)
    yield


@pytest.mark.parametrize("bf16", [False, True])
def test_a_first_part_that_is_read_otherwise_leads_back_to_the_stock_way(
    base: Path, tmp_path: Path, wrong_positions: None, caplog: pytest.LogCaptureFixture, bf16: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        train(base, tmp_path / "run", steps=1, recipe=recipe(bf16=bf16))
    assert caplog.text.count("sharing them changed log-probabilities by") == 1
    stock = recipe(bf16=bf16)
    stock.share_prompts = False
    train(base, tmp_path / "stock", steps=1, recipe=stock)
    assert written(tmp_path / "run")[0]["loss"] == written(tmp_path / "stock")[0]["loss"]


def test_what_rounding_to_bfloat16_changes_is_tolerated(tmp_path: Path) -> None:
    rounded = recipe(bf16=True, per_device_train_batch_size=12, num_generations=4)
    train(shapes.BASE, tmp_path, steps=1, recipe=rounded, max_new_tokens=24)
    assert written(tmp_path)[0]["prompts_shared"] == 1


def test_a_model_that_cannot_be_read_so_is_trained_the_stock_way(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load = models.load_model
    monkeypatch.setattr(models, "load_model", lambda *given: eager(load(*given)))
    with caplog.at_level(logging.WARNING):
        train(base, tmp_path, steps=1)
    assert "attention by eager takes no mask of its own; load the model with sdpa" in caplog.text


def eager(model: PreTrainedModel) -> PreTrainedModel:
    model.set_attn_implementation("eager")
    return model


def test_groups_are_places_of_equal_keys_in_the_order_of_meeting() -> None:
    assert groups([3, 1, 3, 1, 2]) == [[0, 2], [1, 3], [4]]
    assert groups([]) == []


def test_long_completions_are_not_packed_where_masked_attention_would_cost_more() -> None:
    text = KNOWN_TEXT
    # 8 completions after 1,300 tokens: each reads the prompt, or a row of all is compared with itself
    assert work.packed(text, 1299 + 8 * 128) < 8 * work.understanding(text, 1300 + 128) / 3
    assert work.packed(text, 1299 + 8 * 8192) > 8 * work.understanding(text, 1300 + 8192)
