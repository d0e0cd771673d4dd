"""How the tiny base is made: Qwen's chat text, a tokenizer that loses nothing, the loss of the ordinary forward."""

import json
import re
import unicodedata
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)

from visplay import pretrain
from visplay.pretrain import Corpus, Lesson, Schedule, teacher, training
from visplay.pretrain.corpus import CorpusError, pack
from visplay.records import UNANSWERABLE
from visplay.roles import questioner
from visplay.worlds import grammar, scenes

SMALL = Schedule(captions=24, images=6, align_rounds=2, describe_rounds=2, rounds=2, images_per_round=2)
IMAGE = {"type": "image"}
TEXT = {"type": "text", "text": "What is <this>? {{ x }} & {% y %}\n"}
CONVERSATIONS = {
    "image and text": [{"role": "user", "content": [IMAGE, TEXT]}],
    "plain text": [{"role": "user", "content": "What?"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [IMAGE, TEXT]}],
    "system in parts": [{"role": "system", "content": [TEXT]}, {"role": "user", "content": [TEXT]}],
    "several turns": [
        {"role": "user", "content": [IMAGE, TEXT]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cross."}]},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": " yes\n"},
        {"role": "user", "content": [TEXT, IMAGE, IMAGE, TEXT]},
    ],
    "late system": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
}


@pytest.fixture(scope="module")
def processor(base: Path) -> Any:
    return AutoProcessor.from_pretrained(base)


@pytest.fixture(scope="module")
def model(base: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def corpus(processor: Any) -> Corpus:
    return Corpus(processor, SMALL)


@pytest.mark.parametrize("prompted", [True, False])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_chat_template_renders_as_qwens_own(name: str, prompted: bool, processor: Any) -> None:
    package = find_spec("trl")
    assert package is not None and package.submodule_search_locations
    template = Path(package.submodule_search_locations[0], "chat_templates", "qwen2_5_vl.jinja").read_text()
    ours, real = (
        processor.apply_chat_template(CONVERSATIONS[name], add_generation_prompt=prompted, **kind)
        for kind in ({}, {"chat_template": template})
    )
    assert ours == real


def test_the_base_opens_as_the_real_classes(base: Path, processor: Any, model: Any) -> None:
    assert type(model) is Qwen2_5_VLForConditionalGeneration
    assert type(processor) is Qwen2_5_VLProcessor
    assert model.generation_config.eos_token_id == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")


@pytest.mark.parametrize(
    "text",
    [
        "What color is the small circle? (A) red (B) northwest",
        "<think> northwest red 7, none</think>\\boxed{10}",
        "  two  spaces, a tab\tand\r\nlines\n\n",
        "猫が three 😀👩‍👩‍👧 naïve Ω≈ç√ مرحبا \u200b\ufeff\x00\x7f",
        "don't , stop . n't !",
        "",
    ],
)
def test_the_tokenizer_gives_back_any_text(text: str, processor: Any) -> None:
    assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == text


def test_the_tokenizer_gives_back_every_character_composed(processor: Any) -> None:
    for block in range(0, 0x11000, 256):
        text = " ".join(chr(code) for code in range(block, block + 256) if not 0xD800 <= code < 0xE000)
        assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


def test_every_word_of_the_world_is_one_token(processor: Any) -> None:
    rng = np.random.default_rng(1)
    words = set(scenes.DIGITS)
    for scene in scenes.scenes("pool", 0, 60):
        for family in grammar.FAMILIES:
            query = grammar.ask(scene, family, rng)
            text = f"{grammar.write(query)} {teacher.solution(scene, query, rng)}"
            words |= set(re.findall(r" [a-z]+|^[A-Z][a-z]+", text))
    assert {*map(" {}".format, (*scenes.COLORS, *scenes.SIZES, *scenes.SHAPES, *scenes.PLACES))} < words
    assert [word for word in sorted(words) if len(processor.tokenizer.encode(word)) != 1] == []


@pytest.mark.parametrize("mark", [*pretrain.SPECIAL, *pretrain.MARKS])
def test_every_mark_is_one_token(mark: str, processor: Any) -> None:
    (token,) = processor.tokenizer.encode(mark)
    assert processor.tokenizer.decode([token]) == mark
    assert (processor.tokenizer.decode([token], skip_special_tokens=True) == "") == (mark in pretrain.SPECIAL)


def test_a_picture_of_the_world_is_nine_tokens(processor: Any, model: Any) -> None:
    inputs = processor(images=[scenes.render(scenes.scene("pool", 0))], text=["<|image_pad|>"], return_tensors="pt")
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 6]]
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 9


def test_a_visual_token_is_drawn_to_the_words_of_its_own_cell(processor: Any) -> None:
    scene = scenes.Scene(
        "train", 0, (scenes.Thing(0, 2, "small", "red", "7"), scenes.Thing(1, 0, "large", "blue", "7"))
    )
    northern = [" northwest none", " north none", " northeast small red7"]
    others = [" west large blue7", " center none", " east none", " southwest none", " south none", " southeast none"]
    axes = torch.eye(len(processor.tokenizer))
    visual = torch.stack([axes[processor.tokenizer.encode(cell)].sum(0) for cell in northern + others])

    def loss(order: list[int]) -> float:
        return float(pretrain.Words(processor.tokenizer).loss(visual[None, order], axes, [scene]))

    for one, other in combinations(range(9), 2):
        exchanged = [{one: other, other: one}.get(cell, cell) for cell in range(9)]
        assert loss(list(range(9))) + 0.1 < loss(exchanged)


def test_the_corpus_is_of_the_train_split(corpus: Corpus) -> None:
    assert corpus.scenes == list(scenes.scenes("train", 0, 24))


def test_the_corpus_is_limited(processor: Any) -> None:
    corpus = Corpus(processor, Schedule(captions=2, images=2, most_things=6, lessons_per_image=3, solutions=2))
    rng = np.random.default_rng(0)
    lessons = {str(corpus.exercise(scene, rng)) for scene in corpus.scenes for _ in range(60)}
    assert 6 <= len(lessons) <= 12


def test_questions_are_taught_about_pictures_of_few_things(processor: Any) -> None:
    corpus = Corpus(processor, Schedule(captions=60, images=7, most_things=2))
    assert [len(corpus.scenes[i].things) for i in corpus.taught] == [2] * 7
    assert max(len(scene.things) for scene in corpus.scenes) == 6  # described


def test_a_corpus_without_enough_pictures_of_few_things_is_refused(processor: Any) -> None:
    with pytest.raises(CorpusError, match="of 8 captions 0 are of at most 1 things; 5 images need .* most_things"):
        Corpus(processor, Schedule(captions=8, images=5, most_things=1))


def test_only_questions_that_have_an_answer_are_taught_to_be_asked(processor: Any) -> None:
    corpus = Corpus(processor, Schedule(captions=20, images=20, most_things=6, ask_share=1.0))
    rng = np.random.default_rng(0)
    families = set()
    for scene in corpus.scenes:
        for _ in range(10):
            asked = questioner.parse(processor.tokenizer.decode(corpus.exercise(scene, rng).completion), "image")
            query = asked and grammar.parse(asked.text)
            assert asked and query and grammar.truth(scene, query) == asked.own_answer != UNANSWERABLE
            families.add(query.family)
    assert families == set(grammar.FAMILIES)


def test_what_is_taught_is_what_the_processor_makes_of_a_chat(corpus: Corpus, processor: Any) -> None:
    picture = scenes.render(corpus.scenes[4])
    message = {"role": "user", "content": [IMAGE, {"type": "text", "text": "What is the largest digit?"}]}
    chat = processor.apply_chat_template([message], add_generation_prompt=True)
    inputs = processor(images=[picture], text=[chat], return_tensors="pt")
    taught = corpus.before + processor.tokenizer.encode("What is the largest digit?") + corpus.after
    patches = corpus.patches(np.array([4]))
    assert inputs["input_ids"].tolist() == [taught]
    assert torch.equal(inputs["pixel_values"], patches["pixel_values"])
    assert torch.equal(inputs["image_grid_thw"], patches["image_grid_thw"])


def test_a_lesson_asks_or_answers_and_ends(corpus: Corpus, processor: Any) -> None:
    rng = np.random.default_rng(0)
    lessons = [corpus.exercise(corpus.scenes[turn % 6], rng) for turn in range(60)]
    prompts = [processor.tokenizer.decode(lesson.prompt) for lesson in lessons]
    said = [processor.tokenizer.decode(lesson.completion) for lesson in lessons]
    asks = [prompt.startswith(pretrain.ASK_PROMPT) for prompt in prompts]
    assert 3 <= sum(asks) <= 25  # a fifth of 60, give or take
    assert ["<type>" in text for text in said] == asks
    assert ["\\boxed{" in text for text in said] == [not ask for ask in asks]
    assert all(text.endswith("<|im_end|>") for text in said)
    assert all(prompt.endswith("<|im_end|>\n<|im_start|>assistant\n") for prompt in prompts)


def ordinary_loss(model: Any, processor: Any, corpus: Corpus, picture: Image.Image, lesson: Lesson) -> float:
    """The summed loss of one lesson's completion by the model's own forward."""
    ids = torch.tensor([corpus.before + lesson.prompt + lesson.completion])
    labels = torch.full_like(ids, -100)
    labels[0, -len(lesson.completion) :] = torch.tensor(lesson.completion)
    with torch.no_grad():
        output = model(
            input_ids=ids,
            labels=labels,
            mm_token_type_ids=(ids == model.config.image_token_id).int(),
            **processor.image_processor(images=[picture], return_tensors="pt"),
        )
    return float(output.loss) * len(lesson.completion)


@pytest.mark.parametrize("rows, lessons", [(1, 1), (1, 3), (2, 2)])
def test_lessons_packed_on_one_image_cost_what_they_cost_alone(
    rows: int, lessons: int, model: Any, processor: Any, corpus: Corpus
) -> None:
    rng = np.random.default_rng(0)
    taught = [[corpus.exercise(corpus.scenes[row], rng) for _ in range(lessons)] for row in range(rows)]
    with torch.no_grad():
        visual = training.visual_tokens(model, corpus.patches(np.arange(rows)))
        packed = float(training.completion_loss(model, visual, pack(corpus.before, taught)))
    alone = [
        (ordinary_loss(model, processor, corpus, scenes.render(corpus.scenes[row]), lesson), len(lesson.completion))
        for row in range(rows)
        for lesson in taught[row]
    ]
    assert packed == pytest.approx(sum(loss for loss, _ in alone) / sum(count for _, count in alone), rel=1e-4)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    pretrain.pretrain(folder, SMALL)
    return folder


def test_a_taught_base_is_small_opens_and_answers_with_numbers(taught: Path, processor: Any) -> None:
    model = AutoModelForImageTextToText.from_pretrained(taught)
    assert model.dtype == torch.bfloat16
    assert all(bool(weights.isfinite().all()) for weights in model.parameters())
    assert sum(file.stat().st_size for file in taught.iterdir()) < 10e6
    assert AutoProcessor.from_pretrained(taught).chat_template == processor.chat_template


def test_the_tokenizer_is_learnt_the_same_every_time(taught: Path, base: Path) -> None:
    assert (taught / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


def test_a_taught_base_says_how_it_was_taught(taught: Path) -> None:
    facts = json.loads((taught / "training.json").read_text())
    assert Schedule(**facts["schedule"]) == SMALL
    assert facts["losses"].keys() == {"align", "describe", "teach"} and all(
        loss > 0 for loss in facts["losses"].values()
    )
