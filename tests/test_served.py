"""The engine vllm against a local server: what it asks, and that no misbehaviour moves, invents or hides an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_server import CLOSE, HANG, running
from PIL import Image
from transformers import AutoTokenizer
from vllm_dialect import BASE, POOL, Answer, RealServer, VllmServer, chat, prompt_ids, understood

from visplay.endpoint import Endpoint, EndpointError
from visplay.engine.prompts import Request
from visplay.engine.sampling import Completion, LocalSampler
from visplay.engine.served import ServedSampler, Servers, served_name
from visplay.recipe import LabelSettings, ReasonerSettings, Recipe, SamplingSettings
from visplay.records import Ballot, Question
from visplay.roles import reasoner
from visplay.worlds.heldout import heldout_items

NAME = served_name(BASE)
COLORS = ("red", "green", "blue")
REQUESTS: list[Request] = [(Image.new("RGB", (84, 84), color), f"Is it {color}?") for color in COLORS]


def answered(texts: Sequence[str]) -> list[Completion]:
    return [Completion(text, truncated=False) for text in texts]


def echo(body: dict[str, Any], _: int = 0) -> list[str]:
    """n choices that name their question and number."""
    return [f"{understood(body)[0][1]} {number}" for number in range(body["n"])]


def sampler(*servers: VllmServer, **settings: Any) -> ServedSampler:
    """Asks the servers without a pause between tries."""
    timeout_s = settings.pop("timeout_s", 30.0)
    endpoints = [Endpoint(server.url, NAME, tries=3, pause_s=0.0, timeout_s=timeout_s) for server in servers]
    wanted = SamplingSettings(**{"engine": "vllm", "max_unanswered": 0.5, **settings})
    return ServedSampler(BASE, POOL, wanted, Servers(endpoints, lambda _: None))


def drawn(answer: Answer, n: int = 3, **settings: Any) -> tuple[list[list[Completion]], int, VllmServer]:
    """n samples of each request, how many are unanswered, and the server."""
    with running(server := VllmServer(answer)):
        asking = sampler(server, **settings)
        return asking.sample(REQUESTS, n, 8, seed=0), asking.unanswered, server


ALL = [answered([f"Is it {color}? {number}" for number in range(3)]) for color in COLORS]


def test_choices_belong_to_their_request_by_number_whatever_comes_first() -> None:
    last = threading.Event()

    def answer(body: dict[str, Any], before: int) -> list[str]:
        """The first waits for the last."""
        if "red" in str(understood(body)[0][1]):
            assert last.wait(30)
        if "blue" in str(understood(body)[0][1]):
            last.set()
        return echo(body)

    assert drawn(answer)[:2] == (ALL, 0)


VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def ids(*tokens: str) -> list[int]:
    found: list[int] = AutoTokenizer.from_pretrained(BASE).convert_tokens_to_ids(list(tokens))
    return found


def test_what_a_request_says() -> None:
    _, _, server = drawn(echo, temperature=0.7, top_p=0.9)
    assert len(server.bodies) == 3
    for body in server.bodies:
        picture, text = body["messages"][0]["content"]
        assert (picture["type"], text["type"], body["messages"][0]["role"]) == ("image_url", "text", "user")
        assert (body["model"], body["n"], body["max_tokens"]) == (NAME, 3, 8)
        assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"]) == (0.7, 0.9, -1, 0)
        assert body["repetition_penalty"] == 1
        assert body["logit_bias"] == dict.fromkeys(map(str, ids(*VISION)), -100)
        assert body["stop_token_ids"] == ids("<|im_end|>")
        assert "continue_final_message" not in body
    pictures = {str(understood(body)[0][1]): understood(body)[0][0] for body in server.bodies}
    assert [pictures[text].tobytes() for _, text in REQUESTS] == [picture.tobytes() for picture, _ in REQUESTS]


def test_a_seed_fixes_those_of_all_requests_and_they_differ() -> None:
    def seeds(seed: int) -> list[int]:
        with running(server := VllmServer(echo)):
            sampler(server, batch=1).sample(REQUESTS, 1, 8, seed)
        return [body["seed"] for body in server.bodies]

    assert seeds(1) == seeds(1) != seeds(2)
    assert len({*seeds(1), *seeds(2)}) == 6


@pytest.mark.parametrize("failure", [500, 503, CLOSE, b"<html>busy</html>", b'{"choices": []}'])
def test_a_failure_that_passes_changes_nothing(failure: Any) -> None:
    found, unanswered, server = drawn(lambda body, before: echo(body) if before == 2 else failure)
    assert (found, unanswered, len(server.bodies)) == (ALL, 0, 9)


@pytest.mark.parametrize("failure", [500, 404, CLOSE, b"<html>busy</html>", b'{"choices": [{"message": 1}]}'])
def test_what_never_comes_is_counted_and_shifts_nothing(failure: Any, caplog: pytest.LogCaptureFixture) -> None:
    found, unanswered, server = drawn(lambda body, _: failure if "green" in server_text(body) else echo(body))
    assert (found, unanswered) == ([ALL[0], [], ALL[2]], 3)
    assert server.prompts.count("Is it green?") == (1 if failure == 404 else 3)
    assert "3 of 9 samples stayed unanswered" in caplog.text


def server_text(body: dict[str, Any]) -> str:
    return str(understood(body)[0][1])


def test_a_server_that_is_silent_is_left_after_the_timeout() -> None:
    found, unanswered, _ = drawn(lambda body, _: HANG if "green" in server_text(body) else echo(body), timeout_s=2.0)
    assert (found, unanswered) == ([ALL[0], [], ALL[2]], 3)


def test_a_short_answer_is_kept_and_the_rest_is_counted() -> None:
    found, unanswered, _ = drawn(lambda body, _: echo(body)[: 2 if "green" in server_text(body) else 3])
    assert (found, unanswered) == ([ALL[0], ALL[1][:2], ALL[2]], 1)


def test_a_choice_that_was_broken_off_is_no_answer() -> None:
    found, unanswered, _ = drawn(lambda body, _: chat(body, echo(body), ["stop", "abort", "length"]))
    assert unanswered == 3
    assert found[0] == [Completion("Is it red? 0", False), Completion("Is it red? 2", True)]


def test_more_choices_than_asked_for_are_none() -> None:
    found, unanswered, _ = drawn(lambda body, _: [*echo(body), *(["more"] if "green" in server_text(body) else [])])
    assert (found, unanswered) == ([ALL[0], [], ALL[2]], 3)


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_too_many_unanswered_end_the_run_with_the_reason(limit: float) -> None:
    with pytest.raises(EndpointError, match=rf"3 of 9 samples .* share of {limit:g} .*max_unanswered.*answered 500"):
        drawn(lambda body, _: 500 if "green" in server_text(body) else echo(body), max_unanswered=limit)


def test_requests_are_shared_and_go_to_another_server_when_one_fails() -> None:
    def fail(body: dict[str, Any], before: int) -> int:
        return 500

    with running(bad := VllmServer(fail)), running(good := VllmServer(echo)):
        asking = sampler(bad, good, batch=3)
        assert asking.sample(REQUESTS, 3, 8, seed=0) == ALL
    assert asking.unanswered == 0 and bad.bodies and len(good.bodies) == 3


def test_a_server_that_keeps_thoughts_apart_is_refused() -> None:
    thought = {"choices": [{"message": {"content": "a", "reasoning_content": "b"}}]}
    with pytest.raises(EndpointError, match="without --reasoning-parser"):
        drawn(lambda *_: json.dumps(thought).encode())


def test_what_is_begun_is_gone_on_with_and_its_next_token_can_be_forbidden() -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        return chat(body, ["Let"], ["length"]) if body["max_tokens"] == 1 else [" me see."]

    with running(server := VllmServer(answer)):
        asked = {"greedy": True, "begin": "<think>", "not_next": "</think>"}
        found = sampler(server).sample(REQUESTS[:1], 1, 8, seed=0, **asked)  # type: ignore[arg-type]
    assert found == [[Completion("<think>Let me see.", truncated=False)]]
    first, second = server.bodies
    token = str(server.processor.tokenizer("</think>").input_ids[0])
    assert (first["logit_bias"].get(token), second["logit_bias"].get(token)) == (-100, None)
    assert (first["messages"][1]["content"], second["messages"][1]["content"]) == ("<think>", "<think>Let")
    assert {(body["continue_final_message"], body["add_generation_prompt"]) for body in server.bodies} == {
        (True, False)
    }
    assert (first["temperature"], second["max_tokens"]) == (0, 7)


def test_unanswered_samples_are_no_votes_and_no_disagreement() -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        return [r"\boxed{red}", "I do not know."] if "red" in server_text(body) else 500

    recipe = Recipe(labels=LabelSettings(votes=3), reasoner=ReasonerSettings(prompt="{question}"))
    asked = [(picture, Question(text, "i", "short_text", text)) for picture, text in REQUESTS[:2]]  # type: ignore[arg-type]
    with running(server := VllmServer(answer)):
        ballots = reasoner.vote(sampler(server, max_unanswered=1.0), asked, recipe, seed=0)  # type: ignore[arg-type]
    assert ballots == [Ballot(("red", None), "red", 0.5, False, 1), Ballot((), None, None, False, 0)]


def test_no_request_is_no_call() -> None:
    with running(server := VllmServer(echo)):
        assert sampler(server).sample([], 3, 8, seed=0) == []
    assert server.bodies == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["other"]}, "serves other and not visplay-"),
        ({"names": []}, "serves nothing and not visplay-"),
        ({"model": "other"}, "was asked for visplay-.*, and other answered"),
        ({"ids": None}, "does not tell prompt_token_ids"),
        ({"ids": [1, 2]}, r"picture of \(56, 56\) as 2 tokens, and not as the \d+ that the processor"),
    ],
)
def test_a_server_that_is_not_the_right_one_is_never_asked(change: dict[str, Any], message: str) -> None:
    class Wrong(VllmServer):
        def reply(self, body: dict[str, Any], before: int) -> bytes:
            ids = change.get("ids", prompt_ids(self.processor, body))
            return chat({"model": change.get("model", NAME)}, ["x"], prompt_token_ids=ids)

    with running(server := Wrong(echo, change.get("names"))), pytest.raises(EndpointError, match=message):
        sampler(server)
    assert len(server.bodies) <= 2  # the probes


def test_a_name_tells_one_checkpoint_from_another(base: Path) -> None:
    assert served_name(base) != NAME and NAME.startswith("visplay-")


def test_the_engines_give_the_same_greedy_answers() -> None:
    items = heldout_items("heldout", 6)
    asked: list[Request] = [(item.image, item.question.text) for item in items]
    asked += [(None, item.question.text) for item in items[:3]]
    here = LocalSampler(BASE, POOL, SamplingSettings())
    with running(server := RealServer(lambda _: BASE)):
        there = sampler(server)
        for begun in ({}, {"begin": "<think>", "not_next": "</think>"}):
            how: dict[str, Any] = {"greedy": True, **begun}
            expected = here.sample(asked, 1, 40, seed=0, **how)
            assert there.sample(asked, 1, 40, seed=0, **how) == expected
            assert len({one.text for (one,) in expected}) > 3
