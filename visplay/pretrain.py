"""Makes the tiny base model that ships in data/base: real Qwen2.5-VL classes, 1.3 M parameters, taught on scenes.

This is the only supervised training in the project, done once; the loop never imports it. Three steps:
1. an untrained model with its own byte-level BPE tokenizer, learnt on the grammar's sentences;
2. alignment: each visual token is classified against the model's own word embeddings (row, column, size, color, kind);
   language-model loss alone leaves so small a vision tower ungrounded;
3. language-model loss on a limited corpus of questions to ask and questions to answer.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

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
    align_rounds: int = 600
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
        [pre_tokenizers.Split(_regex(), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
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


def _regex() -> object:
    from tokenizers import Regex

    return Regex(PRETOKENIZE_REGEX)


def _sentences() -> list[str]:
    """Every word of the small world, once in each form it takes: alone, capital, after a space, plural."""
    rng = np.random.default_rng(0)
    lines = ["system\nYou are a helpful assistant.", "user\n", "assistant\n", ASK_PROMPT, "unanswerable yes no none"]
    for index in range(400):
        scene = scenes.scene("train", index)
        for family in grammar.FAMILIES:
            query = grammar.ask(scene, family, rng)
            lines += [grammar.write(query), teacher.solution(scene, query, rng), teacher.asking(scene, query)]
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
