"""The tiny model that ships in data/base, and the recipe that starts from it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from visplay import pretrain
from visplay.labels.answers import boxed
from visplay.recipe import Recipe, load_recipe
from visplay.roles import questioner
from visplay.worlds.heldout import heldout_items

ROOT = Path(__file__).parents[1]
BASE = ROOT / "data" / "base"


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(ROOT / "recipes" / "tiny.yaml")


@pytest.fixture(scope="module")
def processor() -> Any:
    return AutoProcessor.from_pretrained(BASE)


@pytest.fixture(scope="module")
def model() -> Any:
    model, found = AutoModelForImageTextToText.from_pretrained(BASE, dtype=torch.float32, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def completions(model: Any, processor: Any, asked: list[tuple[Any, str]]) -> list[str]:
    """Greedy."""
    messages = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}] for _, text in asked]
    chats = processor.apply_chat_template(messages, add_generation_prompt=True)
    pictures = [picture for picture, _ in asked]
    inputs = processor(images=pictures, text=chats, padding=True, padding_side="left", return_tensors="pt")
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=96)
    return processor.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_the_base_is_at_most_ten_megabytes_without_pickles() -> None:
    files = [file for file in BASE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 10_000_000
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".jinja", ".txt", ".md"}


def test_the_processor_is_the_one_that_pretraining_makes(base: Path, processor: Any) -> None:
    made = AutoProcessor.from_pretrained(base)
    assert processor.tokenizer.get_vocab() == made.tokenizer.get_vocab()
    assert processor.chat_template == made.chat_template == pretrain.CHAT_TEMPLATE


def test_the_tiny_recipe_starts_from_the_base_with_the_prompts_that_it_was_taught(recipe: Recipe) -> None:
    assert ROOT / recipe.model == BASE
    assert recipe.questioner.prompt == pretrain.ASK_PROMPT
    assert recipe.reasoner.prompt == "{question}"


def test_the_base_asks_in_the_shape_that_is_parsed(model: Any, processor: Any, recipe: Recipe) -> None:
    assert recipe.questioner.prompt is not None
    asked = [(item.image, recipe.questioner.prompt) for item in heldout_items("validation", 90)]
    parsed = [questioner.parse(text, "image") for text in completions(model, processor, asked)]
    assert sum(question is not None for question in parsed) >= 72


def test_the_base_answers_in_a_box(model: Any, processor: Any) -> None:
    asked = [(item.image, item.question.text) for item in heldout_items("validation", 18)]
    answers = [boxed(text) for text in completions(model, processor, asked)]
    assert sum(answer is not None for answer in answers) >= 16
    assert len(set(answers)) >= 5
