"""Makes the tiny base model that ships in data/base: real Qwen2.5-VL classes, 1.3 M parameters, taught on scenes.

This is the only supervised training in the project, done once; the loop never imports it. Three steps:
1. an untrained model with its own byte-level BPE tokenizer, learnt on the grammar's sentences;
2. alignment: each visual token is classified against the model's own word embeddings (place, size, color, kind);
   language-model loss alone leaves so small a vision tower ungrounded;
3. language-model loss on a limited corpus of questions to ask and questions to answer.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from visplay.records import UNANSWERABLE
from visplay.worlds import grammar, scenes, teacher

log = logging.getLogger(__name__)

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
MARKS = ("<type>", "</type>", "<question>", "</question>", "<answer>", "</answer>", "<think>", "</think>", "\\boxed{")
ASK_PROMPT = "Ask a question."
HARD_FAMILIES = ("choice", "choice", "relation")  # taught more often than the others: learnt last
DESCRIBE_PROMPT = "Describe the image."
_INIT = 0.08  # about 1 / sqrt(width); the usual 0.02 suits wide models, and leaves narrow attention near uniform
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if loop.first and message.role != 'system' -%}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part.type == 'text' -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


@dataclass(frozen=True)
class Schedule:
    """How much is taught. `images` bounds the corpus; a `round` is one optimizer step."""

    images: int = 6000
    align_rounds: int = 400
    describe_rounds: int = 1000
    rounds: int = 3000
    images_per_round: int = 12
    questions_per_image: int = 4
    ask_share: float = 0.2
    learning_rate: float = 1.5e-3
    seed: int = 0


def new_base(folder: Path, seed: int = 0) -> None:
    """Save an untrained tiny model with processor, in Hugging Face format."""
    torch.manual_seed(seed)
    processor = _processor(_tokenizer())
    model = Qwen2_5_VLForConditionalGeneration(_config(processor.tokenizer))
    model.generation_config.update(
        do_sample=True,
        eos_token_id=processor.tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=processor.tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _tokenizer() -> Qwen2Tokenizer:
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    learner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        _sentences(), trainers.BpeTrainer(vocab_size=4000, initial_alphabet=alphabet, min_frequency=1)
    )
    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=learnt["vocab"], merges=merges, model_max_length=4096)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"
    return tokenizer


def _sentences() -> list[str]:
    """Every word of the small world, once in each form it takes: alone, capital, after a space, plural."""
    rng = np.random.default_rng(0)
    lines = ["system\nYou are a helpful assistant.", "user\n", "assistant\n", "unanswerable yes no none"]
    lines += [ASK_PROMPT, DESCRIBE_PROMPT]
    for index in range(400):
        scene = scenes.scene("train", index)
        for family in grammar.FAMILIES:
            query = grammar.ask(scene, family, rng)
            lines += [grammar.write(query), teacher.solution(scene, query, rng), teacher.asking(scene, query)]
        lines.append(teacher.description(scene, rng))
    marks = [*MARKS]
    for mark in marks:
        lines = [part for line in lines for part in line.split(mark) if part]
    return lines


def _config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "initializer_range": _INIT,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 4,
            "out_hidden_size": 128,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def _processor(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLProcessor:
    limits = {"min_pixels": 4 * 28 * 28, "max_pixels": 1024 * 28 * 28}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, **limits),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, **limits),
        chat_template=CHAT_TEMPLATE,
    )


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


class Corpus:
    """The limited supervised corpus: `images` scenes of the train split, each with a fixed set of lessons."""

    def __init__(self, processor: Qwen2_5_VLProcessor, schedule: Schedule) -> None:
        self.processor = processor
        self.schedule = schedule
        self.scenes = list(scenes.scenes("train", 0, schedule.images))
        pixels = [np.asarray(scenes.render(scene)) for scene in self.scenes]
        self.pixels = np.stack(pixels)
        before, after = self._chat("PROMPT").split("PROMPT")
        self.before = processor.tokenizer(before.replace("<|image_pad|>", "<|image_pad|>" * 9)).input_ids
        self.after = processor.tokenizer(after).input_ids

    def patches(self, chosen: np.ndarray) -> dict[str, torch.Tensor]:
        """Pixel patches of some images, as the real image processor makes them."""
        images = [torch.from_numpy(self.pixels[i]).permute(2, 0, 1) for i in chosen]
        return dict(self.processor.image_processor(images=images, return_tensors="pt"))

    def description(self, scene: scenes.Scene, rng: np.random.Generator) -> Lesson:
        """What stands where."""
        return self._lesson(DESCRIBE_PROMPT, teacher.description(scene, rng))

    def exercise(self, scene: scenes.Scene, rng: np.random.Generator) -> Lesson:
        """A question to ask or to answer."""
        family = grammar.pick((*grammar.FAMILIES, *HARD_FAMILIES), rng)
        if rng.random() < self.schedule.ask_share:
            return self._lesson(ASK_PROMPT, teacher.asking(scene, self._answerable(scene, family, rng)))
        query = grammar.ask(scene, family, rng)
        return self._lesson(grammar.write(query), teacher.solution(scene, query, rng))

    def _lesson(self, prompt: str, completion: str) -> Lesson:
        prompt_ids, completion_ids = self.processor.tokenizer([prompt, completion + "<|im_end|>"]).input_ids
        return Lesson(prompt_ids + self.after, completion_ids)

    def _answerable(self, scene: scenes.Scene, family: str, rng: np.random.Generator) -> grammar.Query:
        """A question worth asking: of another family where this one finds none, so that no bad habit is taught."""
        query = grammar.ask(scene, family, rng, unanswerable_share=0.0)
        while grammar.truth(scene, query) == UNANSWERABLE:
            query = grammar.ask(scene, grammar.pick(tuple(grammar.FAMILIES), rng), rng, unanswerable_share=0.0)
        return query

    def _chat(self, prompt: str) -> str:
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        return str(self.processor.apply_chat_template([message], add_generation_prompt=True))


class Lesson(NamedTuple):
    """Token ids after the image: what is asked, and what is to be said."""

    prompt: list[int]
    completion: list[int]


def _align(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus, words: Words, schedule: Schedule) -> float:
    """Classify visual tokens before any language is taught."""
    rng = np.random.default_rng([schedule.seed, 1])
    parameters = [*model.model.visual.parameters(), model.get_input_embeddings().weight]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.01)
    running = 0.0
    for step in range(schedule.align_rounds):
        _set_rate(optimizer, schedule.learning_rate, step, schedule.align_rounds)
        chosen = rng.integers(schedule.images, size=4 * schedule.images_per_round)
        visual = _visual(model, corpus.patches(chosen))
        loss = words.loss(visual, model.get_input_embeddings().weight, [corpus.scenes[i] for i in chosen])
        _step(optimizer, loss, parameters)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            log.info("align %d/%d loss %.3f", step, schedule.align_rounds, running)
    return running


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


def _teach(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus, schedule: Schedule) -> dict[str, float]:
    """Language-model loss on completions; the vision tower stays as it was aligned, and runs once per image."""
    visual = _all_visual(model, corpus)
    rng = np.random.default_rng([schedule.seed, 2])
    describe = _course(model, corpus, visual, schedule, schedule.describe_rounds, corpus.description, 1, rng)
    each = schedule.questions_per_image
    return {
        "describe": describe,
        "teach": _course(model, corpus, visual, schedule, schedule.rounds, corpus.exercise, each, rng),
    }


def _course(
    model: Qwen2_5_VLForConditionalGeneration,
    corpus: Corpus,
    visual: torch.Tensor,
    schedule: Schedule,
    rounds: int,
    lesson: Callable[[scenes.Scene, np.random.Generator], Lesson],
    each: int,
    rng: np.random.Generator,
) -> float:
    """`rounds` steps, each on some images with `each` lessons; the final loss, smoothed."""
    parameters = list(model.model.language_model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=0.01)
    running = 0.0
    for step in range(rounds):
        _set_rate(optimizer, schedule.learning_rate, step, rounds)
        chosen = rng.integers(schedule.images, size=schedule.images_per_round)
        lessons = [[lesson(corpus.scenes[i], rng) for _ in range(each)] for i in chosen]
        loss = _completion_loss(model, visual[chosen], _pack(corpus.before, lessons))
        _step(optimizer, loss, parameters)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            log.info("%s %d/%d loss %.3f", lesson.__name__, step, rounds, running)
    return running


def _all_visual(model: Qwen2_5_VLForConditionalGeneration, corpus: Corpus) -> torch.Tensor:
    """The visual tokens of every image of the corpus, without a graph."""
    with torch.no_grad():
        parts = np.array_split(np.arange(len(corpus.scenes)), max(1, len(corpus.scenes) // 200))
        return torch.cat([_visual(model, corpus.patches(part)) for part in parts])


def _visual(model: Qwen2_5_VLForConditionalGeneration, patches: dict[str, torch.Tensor]) -> torch.Tensor:
    """Visual tokens (images, 9, hidden)."""
    features = model.model.get_image_features(patches["pixel_values"], patches["image_grid_thw"]).pooler_output
    return torch.stack(list(features))


class _Packed(NamedTuple):
    """Rows of one image each: [shared start | lesson 1 | lesson 2 | ...]. A lesson sees the start and itself.

    `ids`, `labels` (next token, -100 where none is learnt), `branch` (-1 padding, 0 the start, 1.. the lessons) and
    `offset` (tokens since the start's end) are (rows, length).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    branch: torch.Tensor
    offset: torch.Tensor


def _pack(before: list[int], lessons: list[list[Lesson]]) -> _Packed:
    rows = []
    for row in lessons:
        ids, labels, branch, offset = list(before), [-100] * len(before), [0] * len(before), list(range(len(before)))
        for number, (prompt, completion) in enumerate(row, start=1):
            length = len(prompt) + len(completion)
            ids += prompt + completion
            labels += [-100] * (len(prompt) - 1) + completion + [-100]
            branch += [number] * length
            offset += range(len(before), len(before) + length)
        rows.append((ids, labels, branch, offset))
    padding = (0, -100, -1, 0)
    columns = zip(*rows, strict=True)
    return _Packed(
        *(
            torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in column], batch_first=True, padding_value=fill)
            for column, fill in zip(columns, padding, strict=True)
        )
    )


def _completion_loss(model: Qwen2_5_VLForConditionalGeneration, visual: torch.Tensor, batch: _Packed) -> torch.Tensor:
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


def _positions(is_image: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """M-RoPE positions (3, rows, length): the 9 visual tokens span a 3 x 3 grid, so what follows counts on from 3."""
    first = int(is_image.nonzero()[0])
    text = torch.where(offset < first, offset, offset - 6)
    positions = text.expand(3, -1, -1).clone()
    grid = torch.tensor([[0] * 9, [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2] * 3]) + first
    positions[:, :, first : first + 9] = grid[:, None]
    return positions


def _set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    warm = min(1.0, (step + 1) / 50)
    for group in optimizer.param_groups:
        group["lr"] = peak * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, parameters: list[torch.nn.Parameter]) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
