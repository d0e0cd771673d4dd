"""How the base is taught: visual tokens aligned to words, then two courses of language-model loss on completions."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, Qwen2Tokenizer

from visplay.pretrain.base import new_base
from visplay.pretrain.corpus import Corpus, Lesson, Packed, Schedule, pack
from visplay.worlds import scenes

log = logging.getLogger(__name__)


def pretrain(folder: Path, schedule: Schedule) -> None:
    """Make, align and teach the base, and save it. Writes training.json beside it: schedule, seconds, final losses."""
    new_base(folder, schedule.seed)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = Qwen2_5_VLProcessor.from_pretrained(folder)
    corpus = Corpus(processor, schedule)
    began = time.monotonic()
    words = Words(processor.tokenizer)
    losses = {"align": _align(model, corpus, words, schedule)} | _teach(model, corpus, schedule)
    model.to(torch.bfloat16).save_pretrained(folder)
    facts = {"schedule": vars(schedule), "seconds": round(time.monotonic() - began), "losses": losses}
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


class Words:
    """The classes of a visual token: a word for each attribute of the cell it stands on; "none" for an empty cell."""

    def __init__(self, tokenizer: Qwen2Tokenizer) -> None:
        self.axes = [scenes.PLACES, (*scenes.SIZES, "none"), (*scenes.COLORS, "none")]
        self.axes.append((*scenes.SHAPES, *scenes.DIGITS, "none"))
        self.ids = [
            torch.tensor([tokenizer.encode(w if w in scenes.DIGITS else f" {w}")[0] for w in axis])
            for axis in self.axes
        ]

    def loss(self, visual: torch.Tensor, embeddings: torch.Tensor, batch: list[scenes.Scene]) -> torch.Tensor:
        """Cross-entropy summed over the attributes, by cosine; and visual norms held near those of words.

        Left free, visual tokens outgrow words many times over, and the text layers cannot write into them.
        """
        tokens = visual.flatten(0, 1)
        directions = torch.nn.functional.normalize(tokens, dim=-1)
        labels = torch.tensor([self._labels(scene, cell) for scene in batch for cell in range(9)])
        length = embeddings.detach().norm(dim=-1).mean()
        total = (tokens.norm(dim=-1) / length - 1).square().mean()
        for axis, ids in enumerate(self.ids):
            logits = 12 * directions @ torch.nn.functional.normalize(embeddings[ids], dim=-1).T
            total = total + torch.nn.functional.cross_entropy(logits, labels[:, axis])
        return total

    def _labels(self, scene: scenes.Scene, cell: int) -> list[int]:
        row, column = divmod(cell, 3)
        found = [thing for thing in scene.things if (thing.row, thing.column) == (row, column)]
        attributes = (found[0].size, found[0].color, found[0].kind) if found else ("none",) * 3
        return [cell, *(axis.index(value) for axis, value in zip(self.axes[1:], attributes, strict=True))]


def visual_tokens(model: Qwen2_5_VLForConditionalGeneration, patches: dict[str, torch.Tensor]) -> torch.Tensor:
    """Visual tokens (images, 9, hidden)."""
    features = model.model.get_image_features(patches["pixel_values"], patches["image_grid_thw"]).pooler_output
    return torch.stack(list(features))


def completion_loss(model: Qwen2_5_VLForConditionalGeneration, visual: torch.Tensor, batch: Packed) -> torch.Tensor:
    """Mean negative log-likelihood per completion token."""
    embeds = model.get_input_embeddings()(batch.ids)
    is_image = batch.ids == model.config.image_token_id
    embeds = embeds.masked_scatter(is_image[..., None].expand_as(embeds), visual.to(embeds.dtype))
    same_branch = batch.branch[:, :, None] == batch.branch[:, None, :]
    visible = (same_branch | (batch.branch[:, None, :] == 0)).tril()
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        position_ids=_positions(is_image[0], batch.offset),
        attention_mask={"full_attention": visible[:, None]},
    ).last_hidden_state
    chosen = batch.labels != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[chosen]), batch.labels[chosen])


def _align(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus, words: Words, schedule: Schedule) -> float:
    """Classify visual tokens before any language is taught."""
    rng = np.random.default_rng([schedule.seed, 1])
    parameters = [*model.model.visual.parameters(), model.get_input_embeddings().weight]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.01)
    running = 0.0
    for step in range(schedule.align_rounds):
        _set_rate(optimizer, schedule.learning_rate, step, schedule.align_rounds)
        chosen = rng.integers(schedule.captions, size=4 * schedule.images_per_round)
        visual = visual_tokens(model, corpus.patches(chosen))
        loss = words.loss(visual, model.get_input_embeddings().weight, [corpus.scenes[i] for i in chosen])
        _step(optimizer, loss, parameters)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            log.info("align %d/%d loss %.3f", step, schedule.align_rounds, running)
    return running


def _teach(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus, schedule: Schedule) -> dict[str, float]:
    """Language-model loss on completions; the vision tower stays as it was aligned, and runs once per image."""
    visual = _all_visual(model, corpus)
    courses = {
        "describe": (corpus.description, np.arange(schedule.captions), schedule.describe_rounds),
        "teach": (corpus.exercise, corpus.taught, schedule.rounds),
    }
    return {
        name: _course(model, corpus, visual, *course, np.random.default_rng([schedule.seed, number]))
        for number, (name, course) in enumerate(courses.items(), start=2)
    }


def _course(
    model: Qwen2_5_VLForConditionalGeneration,
    corpus: Corpus,
    visual: torch.Tensor,
    lesson: Callable[[scenes.Scene, np.random.Generator], Lesson],
    images: np.ndarray,
    rounds: int,
    rng: np.random.Generator,
) -> float:
    """`rounds` steps, each on some of the images with lessons of theirs; the final loss, smoothed."""
    schedule = corpus.schedule
    parameters = list(model.model.language_model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.01)
    running = 0.0
    for step in range(rounds):
        _set_rate(optimizer, schedule.learning_rate, step, rounds)
        chosen = rng.choice(images, size=schedule.images_per_round)
        lessons = [[lesson(corpus.scenes[i], rng) for _ in range(schedule.lessons_per_round)] for i in chosen]
        loss = completion_loss(model, visual[chosen], pack(corpus.before, lessons))
        _step(optimizer, loss, parameters)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            log.info("%s %d/%d loss %.3f", lesson.__name__, step, rounds, running)
    return running


def _all_visual(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus) -> torch.Tensor:
    """The visual tokens of every image of the corpus, without a graph."""
    with torch.no_grad():
        parts = np.array_split(np.arange(len(corpus.scenes)), max(1, len(corpus.scenes) // 200))
        return torch.cat([visual_tokens(model, corpus.patches(part)) for part in parts])


def _set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    warm = min(1.0, (step + 1) / 50)
    for group in optimizer.param_groups:
        group["lr"] = peak * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, parameters: list[torch.nn.Parameter]) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def _positions(is_image: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """M-RoPE positions (3, rows, length): the 9 visual tokens span a 3 x 3 grid, so what follows counts on from 3."""
    first = int(is_image.nonzero()[0])
    text = torch.where(offset < first, offset, offset - 6)
    positions = text.expand(3, -1, -1).clone()
    grid = torch.tensor([[0] * 9, [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2] * 3]) + first
    positions[:, :, first : first + 9] = grid[:, None]
    return positions
