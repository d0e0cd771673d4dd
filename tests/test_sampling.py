"""Sampling: what comes back is what the model itself would write, for each request, repeatably."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visplay.engine.drawing import Drawing, luck
from visplay.engine.models import banned_tokens, load_model
from visplay.engine.prompts import Request, encode, interleaved
from visplay.engine.sampling import Completion, LocalSampler, Sampler
from visplay.recipe import PoolSettings, SamplingSettings

POOL = PoolSettings(min_tokens=4, max_tokens=64)


@pytest.fixture(scope="module")
def sampler(base: Path) -> Sampler:
    return LocalSampler(base, POOL, SamplingSettings(batch=6))


def picture(seed: int, width: int = 84, height: int = 84) -> Image.Image:
    """Noise: every picture is another one."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


REQUESTS: list[Request] = [
    (picture(0), "What color is the large thing on the left of the small square?"),
    (picture(1, 56, 84), "How many?"),
    (picture(2), "Is there a red thing?"),
    (picture(3, 112, 56), "What digit is at the top?"),
    (picture(4), "How many?"),
]


def raise_logits(sampler: Sampler, *tokens: str, by: float = 1000) -> Any:
    """Make the model want some tokens more, above all others if by much, until the handle is removed."""
    ids = sampler.processor.tokenizer.convert_tokens_to_ids(list(tokens))

    def wanted(module: torch.nn.Module, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        logits[..., ids] += by
        return logits

    return sampler.model.lm_head.register_forward_hook(wanted)


def test_each_request_gets_what_the_model_writes_for_it_alone(sampler: Sampler) -> None:
    together = sampler.sample(REQUESTS, n=1, max_new_tokens=12, seed=0, greedy=True)
    alone = [sampler.sample([request], n=1, max_new_tokens=12, seed=0, greedy=True)[0] for request in REQUESTS]
    assert together == alone
    assert len({completion.text for (completion,) in together}) == len(REQUESTS)


def test_reading_a_prompt_once_and_dropping_what_has_ended_changes_nothing(sampler: Sampler) -> None:
    inputs = encode(sampler.processor, REQUESTS)
    banned = banned_tokens(sampler.model)
    for by in range(5, 12):  # until some have ended, and others have not
        handle = raise_logits(sampler, "<|im_end|>", by=by)
        written = sampler.sample(REQUESTS, n=1, max_new_tokens=12, seed=0, greedy=True)
        stock = sampler.model.generate(**inputs, do_sample=False, max_new_tokens=12, suppress_tokens=banned)
        handle.remove()
        if not all(completion.truncated for (completion,) in written):
            break
    assert {completion.truncated for (completion,) in written} == {True, False}
    texts = sampler.processor.batch_decode(stock[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert [completion.text for (completion,) in written] == texts


@pytest.mark.parametrize(
    ("pictures", "text", "met"),
    [
        ("ab", "What?", ["a", "b", "What?"]),
        ("ab", "<image 2> or <image 1>?", ["b", " or ", "a", "?"]),
        ("ab", "Like <image 2>", ["a", "Like ", "b"]),
        ("a", "<image 1><image 1>", ["a", "a"]),
        ("", "How many?", ["How many?"]),
    ],
)
def test_pictures_are_met_where_the_text_names_them_and_first_where_it_does_not(
    pictures: str, text: str, met: list[str]
) -> None:
    assert interleaved(pictures, text) == met


@pytest.mark.parametrize("text", ["<image 2>", "<image 0>"])
def test_a_mark_without_a_picture_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"names <image \d>, and the number of pictures is 1"):
        interleaved("a", text)


def test_several_pictures_stand_in_the_prompt_in_the_order_of_the_text(sampler: Sampler) -> None:
    small, large = picture(0, 56, 56), picture(1, 84, 84)
    inputs = encode(sampler.processor, [([small, large], "Is <image 2> or <image 1> red?")])
    token = sampler.processor.image_token
    prompt = (
        sampler.processor.decode(inputs["input_ids"][0]).replace("<|vision_start|>", "").replace("<|vision_end|>", "")
    )
    assert f"user\nIs {token * 9} or {token * 4} red?<|im_end|>" in prompt
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 6], [1, 4, 4]]


def test_requests_with_any_number_of_pictures_are_answered_together_as_alone(sampler: Sampler) -> None:
    requests: list[Request] = [
        ((), "Is there a red thing?"),
        ([picture(0)], "How many?"),
        ([picture(1), picture(2)], "Is <image 2> like <image 1>?"),
        (picture(3), "How many?"),
    ]
    together = sampler.sample(requests, n=1, max_new_tokens=12, seed=0, greedy=True)
    assert together == [sampler.sample([one], n=1, max_new_tokens=12, seed=0, greedy=True)[0] for one in requests]
    assert len({completion.text for (completion,) in together}) == len(requests)
    assert together[1:2] == sampler.sample([(picture(0), "How many?")], n=1, max_new_tokens=12, seed=0, greedy=True)


def test_text_alone_is_answered_as_the_model_does_whatever_was_seen_before(sampler: Sampler) -> None:
    requests: list[Request] = [((), "Is there a red thing to the left of it?"), ((), "How many?")]
    sampler.sample(REQUESTS[:2], n=1, max_new_tokens=2, seed=0, greedy=True)
    written = sampler.sample(requests, n=1, max_new_tokens=12, seed=0, greedy=True)
    stock = [
        sampler.model.generate(
            **encode(sampler.processor, [one]),
            do_sample=False,
            max_new_tokens=12,
            suppress_tokens=banned_tokens(sampler.model),
        )
        for one in requests
    ]
    prompts = [encode(sampler.processor, [one])["input_ids"].shape[1] for one in requests]
    texts = [
        sampler.processor.decode(ids[0, at:], skip_special_tokens=True) for ids, at in zip(stock, prompts, strict=True)
    ]
    assert [completion.text for (completion,) in written] == texts


def test_without_a_picture_a_text_stands_as_it_is(sampler: Sampler) -> None:
    spelt: Request = (None, "What is in <image 1>?")
    assert "user\nWhat is in <image 1>?<|im_end|>" in sampler.processor.decode(
        encode(sampler.processor, [spelt])["input_ids"][0]
    )
    plain: list[list[Request]] = [[(shown, "How many?")] for shown in (None, ())]
    assert sampler.sample(plain[0], 1, 8, seed=0) == sampler.sample(plain[1], 1, 8, seed=0)
    together = sampler.sample([REQUESTS[0], spelt], 1, 8, seed=0, greedy=True)
    assert together[1] == sampler.sample([spelt], 1, 8, seed=0, greedy=True)[0]


def test_the_picture_decides_what_is_written(sampler: Sampler) -> None:
    question = "What color is it?"
    first, second = sampler.sample([(picture(5), question), (picture(6), question)], 1, 12, seed=0, greedy=True)
    assert first != second


def test_there_are_n_samples_of_each_request_also_when_n_exceeds_the_batch(sampler: Sampler) -> None:
    answers = sampler.sample(REQUESTS[:3], n=8, max_new_tokens=4, seed=0)
    assert [len(answer) for answer in answers] == [8, 8, 8]
    assert all(len(set(answer)) > 1 for answer in answers)


def test_completions_are_told_of_while_others_are_still_to_be_drawn(sampler: Sampler) -> None:
    told: dict[int, list[Completion]] = {}
    steps, after = [], []
    handle = sampler.model.lm_head.register_forward_hook(lambda *_: steps.append(1))

    def drawn(place: int, completions: list[Completion]) -> None:
        assert place not in told
        told[place] = completions
        after.append(len(steps))

    found = sampler.sample(REQUESTS, n=3, max_new_tokens=6, seed=7, drawn=drawn)
    handle.remove()
    assert [told[place] for place in range(len(REQUESTS))] == found
    assert after[0] < len(steps)


def test_completions_that_come_in_parts_are_not_told_of(sampler: Sampler) -> None:
    told: list[int] = []
    found = sampler.sample(REQUESTS[:2], n=8, max_new_tokens=2, seed=0, drawn=lambda place, _: told.append(place))
    assert not told and [len(each) for each in found] == [8, 8]


def test_a_seed_fixes_the_samples_and_the_global_random_state_neither_matters_nor_moves(sampler: Sampler) -> None:
    torch.manual_seed(1)
    first = sampler.sample(REQUESTS, n=3, max_new_tokens=6, seed=7)
    drawn = torch.rand(2), random.random()
    torch.manual_seed(1)
    random.seed(5)
    assert torch.equal(torch.rand(2), drawn[0])
    assert sampler.sample(REQUESTS, n=3, max_new_tokens=6, seed=7) == first
    assert sampler.sample(REQUESTS, n=3, max_new_tokens=6, seed=8) != first


def test_samples_follow_the_models_probabilities_at_the_given_temperature(sampler: Sampler) -> None:
    (answers,) = sampler.sample(REQUESTS[:1], n=2000, max_new_tokens=1, seed=0, temperature=2.0)
    logits = sampler.model(**encode(sampler.processor, REQUESTS[:1])).logits[0, -1].detach()
    logits[banned_tokens(sampler.model)] = -torch.inf
    expected: Counter[str] = Counter()
    for token, share in enumerate((logits / 2.0).softmax(-1).tolist()):
        expected[sampler.processor.decode([token], skip_special_tokens=True)] += share
    found = Counter(answer.text for answer in answers)
    for text, share in expected.most_common(5):
        assert abs(found[text] / 2000 - share) < 4 * (share * (1 - share) / 2000) ** 0.5


def test_settings_that_came_with_the_model_do_not_shape_the_samples(base: Path) -> None:
    plain, bent = (LocalSampler(load_model(base), POOL, SamplingSettings()) for _ in range(2))
    bent.model.generation_config.update(top_k=1, repetition_penalty=5.0, temperature=0.1, top_p=0.1, do_sample=False)
    assert plain.sample(REQUESTS, 4, 6, seed=0) == bent.sample(REQUESTS, 4, 6, seed=0)


def test_a_completion_that_ends_is_not_truncated_and_shows_no_special_token(sampler: Sampler) -> None:
    handle = raise_logits(sampler, "<|im_end|>")
    ended = sampler.sample(REQUESTS[:1], n=2, max_new_tokens=4, seed=0)
    handle.remove()
    handle = raise_logits(sampler, "Ġred")
    cut = sampler.sample(REQUESTS[:1], n=1, max_new_tokens=3, seed=0)
    handle.remove()
    assert ended == [[Completion("", truncated=False)] * 2]
    assert cut == [[Completion(" red red red", truncated=True)]]


def test_tokens_that_stand_for_images_are_never_written(sampler: Sampler) -> None:
    marks = ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"]
    handle = raise_logits(sampler, *marks)
    wanted = sampler.model(**encode(sampler.processor, REQUESTS[:1])).logits[0, -1].argmax()
    assert sampler.processor.tokenizer.convert_ids_to_tokens(int(wanted)) in marks
    (answers,) = sampler.sample(REQUESTS[:1], n=8, max_new_tokens=4, seed=0)
    handle.remove()
    assert all(answer.text for answer in answers)


def test_a_model_in_training_writes_without_dropout_and_is_in_training_afterwards(base: Path) -> None:
    sampler = LocalSampler(load_model(base), POOL, SamplingSettings())
    expected = sampler.sample(REQUESTS[:1], n=1, max_new_tokens=8, seed=0, greedy=True)
    for layer in sampler.model.model.language_model.layers:
        layer.self_attn.attention_dropout = 0.9
    sampler.model.train()
    assert sampler.sample(REQUESTS[:1], n=1, max_new_tokens=8, seed=0, greedy=True) == expected
    assert sampler.model.training


@pytest.mark.parametrize(
    ("settings", "possible"),
    [
        ({}, {0, 1, 2, 3}),
        ({"top_k": 2}, {0, 1}),
        ({"top_p": 0.6}, {0, 1}),
        ({"min_p": 0.5}, {0, 1}),
        ({"temperature": None}, {0}),
        ({"temperature": 0.02}, {0}),
        ({"banned": [0, 3]}, {1, 2}),
        ({"not_first": [0]}, {1, 2, 3}),
    ],
)
def test_a_token_is_drawn_from_what_the_settings_leave(settings: dict[str, Any], possible: set[int]) -> None:
    plain: dict[str, Any] = {"max_new_tokens": 1, "temperature": 1.0, "ends": [9], "banned": []}
    drawing = Drawing(**plain | settings)
    logits = torch.tensor([0.4, 0.3, 0.15, 0.15]).log().repeat(500, 1)
    drawn = drawing.draw(logits, luck(["a seed"], 500)[0], first=True)
    assert set(drawn.tolist()) == possible


def test_several_greedy_completions_are_refused(sampler: Sampler) -> None:
    with pytest.raises(ValueError, match="n = 3"):
        sampler.sample(REQUESTS, n=3, max_new_tokens=1, seed=0, greedy=True)
