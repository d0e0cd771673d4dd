"""The endpoint asks a server that answers, refuses, hangs and breaks off."""

import json
from typing import Any

import pytest
from chat_server import CLOSE, HANG, Script, serving

from visplay import endpoint
from visplay.endpoint import Chat, Endpoint, EndpointError, Reply


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def complete(script: Script, **settings: Any) -> tuple[str, list[dict[str, Any]]]:
    """The reply to "Well?" or the error, and what the server was sent."""
    with serving(script) as server:
        asked = Endpoint(server.url, "a-model", **{"pause_s": 0.0, "tries": 3, "timeout_s": 30.0, **settings})
        try:
            return asked.complete("Well?"), server.bodies
        except EndpointError as error:
            return str(error), server.bodies


def test_one_user_message_goes_out_at_temperature_0() -> None:
    reply, bodies = complete(lambda *_: "Fine.")
    assert reply == "Fine."
    message = {"role": "user", "content": "Well?"}
    assert bodies == [
        {"path": "/v1/chat/completions", "model": "a-model", "temperature": 0, "messages": [message]},
    ]


@pytest.mark.parametrize("failure", [408, 429, 500, 503, CLOSE, b"<html>busy</html>", b'{"choices": []}'])
def test_what_may_pass_is_tried_again(failure: Any) -> None:
    reply, bodies = complete(lambda _, before: "Fine." if before == 2 else failure)
    assert (reply, len(bodies)) == ("Fine.", 3)


@pytest.mark.parametrize("failure", [429, 500, CLOSE, b"[]"])
def test_tries_are_bounded(failure: Any) -> None:
    reply, bodies = complete(lambda *_: failure)
    assert len(bodies) == 3
    assert str(failure) in reply or failure in (CLOSE, b"[]")


def test_a_silent_server_is_left_after_the_timeout() -> None:
    reply, bodies = complete(lambda *_: HANG, timeout_s=0.2, tries=2)
    assert "timed out" in reply and len(bodies) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 302, 307])
def test_a_refusal_and_a_redirect_are_final(status: int) -> None:
    reply, bodies = complete(lambda *_: status)
    assert f"answered {status}" in reply
    assert len(bodies) == 1


def test_pauses_double_and_are_no_longer_than_a_minute() -> None:
    waits: list[float] = []
    with serving(lambda *_: 500) as server, pytest.raises(EndpointError):
        Endpoint(server.url, "a-model", tries=6, pause_s=10.0).complete("Well?", waits.append)
    assert waits == [10, 20, 40, 60, 60]


def test_a_reply_without_text_is_empty() -> None:
    assert complete(lambda *_: b'{"choices": [{"message": {"content": null}}]}')[0] == ""


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret-1\n")
    with serving(lambda _, before: 401 if before else "Fine.") as server:
        asked = Endpoint(server.url, "a-model", "A_KEY")
        asked.complete("Well?")
        assert server.headers[0]["Authorization"] == "Bearer secret-1"
        with pytest.raises(EndpointError, match=r"401.*Bearer \*\*\*") as refused:
            asked.complete("Well?")
    assert "secret" not in f"{refused.value}{asked}"


def test_no_key_is_sent_that_was_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
    with serving(lambda *_: "Fine.") as server:
        Endpoint(server.url, "a-model").complete("Well?")
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("url", "model", "key_variable", "message"),
    [
        ("localhost:8000/v1", "m", "", "'localhost:8000/v1' is no endpoint; name one such as http://"),
        ("file:///etc/passwd", "m", "", "is no endpoint"),
        ("http://me:secret@host/v1", "m", "", "holds a user or a query"),
        ("http://host/v1?key=secret", "m", "", "holds a user or a query"),
        ("http://host/v1", "", "", "no model is named"),
        ("http://host/v1", "m", "A_KEY", "A_KEY holds no API key; set it"),
        ("http://host/v1", "m", "sk-secret", "by the name of an environment variable"),
    ],
)
def test_what_could_never_be_asked_is_refused_at_once(url: str, model: str, key_variable: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message) as refused:
        Endpoint(url, model, key_variable)
    assert "secret" not in str(refused.value)


def test_the_whole_address_may_be_named() -> None:
    with serving(lambda *_: "Fine.") as server:
        Endpoint(f"{server.url}/chat/completions/", "a-model").complete("Well?")
    assert server.bodies[0]["path"] == "/v1/chat/completions"


MESSAGES = [{"role": "user", "content": "Well?"}]


def choice(index: int, text: str | None, reason: str = "stop") -> dict[str, Any]:
    return {"index": index, "message": {"content": text}, "finish_reason": reason}


def chat(answer: dict[str, Any]) -> Chat:
    """What is read from a server's answer."""
    with serving(lambda *_: json.dumps(answer).encode()) as server:
        return endpoint.ask([Endpoint(server.url, "a-model", tries=1)], MESSAGES, {})


def test_settings_go_into_the_request_as_they_are() -> None:
    with serving(lambda *_: "Fine.") as server:
        endpoint.ask([Endpoint(server.url, "a-model")], MESSAGES, {"n": 2, "seed": 7})
    assert server.bodies == [
        {"path": "/v1/chat/completions", "model": "a-model", "messages": MESSAGES, "n": 2, "seed": 7}
    ]


def test_choices_come_in_the_order_of_their_numbers_without_those_broken_off() -> None:
    choices = [choice(2, "c", "length"), choice(0, "a"), choice(1, "b", "abort"), choice(3, None)]
    assert chat({"choices": choices}).replies == (Reply("a"), Reply("c", truncated=True), Reply(""))


def test_what_the_server_says_about_itself_is_kept() -> None:
    answer = {"choices": [choice(0, "a")], "model": "other", "prompt_token_ids": [5, 6]}
    assert chat(answer) == Chat((Reply("a"),), "other", (5, 6))
    thought = {"choices": [{"message": {"content": "a", "reasoning": "b"}}]}
    assert chat(thought) == Chat((Reply("a"),), None, None, kept_apart=True)


@pytest.mark.parametrize("choices", [[], [choice(0, "a", "abort")], [{"message": {"content": ["a"]}}], None, [None]])
def test_an_answer_without_any_text_is_no_answer(choices: Any) -> None:
    with pytest.raises(EndpointError, match=r"no ch.* came back"):
        chat({"choices": choices})


def test_each_try_goes_to_the_next_endpoint() -> None:
    with serving(lambda *_: 500) as bad, serving(lambda *_: "Fine.") as good:
        both = [Endpoint(server.url, "a-model", pause_s=0.0, tries=3) for server in (bad, good)]
        assert endpoint.ask(both, MESSAGES, {}).replies == (Reply("Fine."),)
        with pytest.raises(EndpointError, match="answered 500"):
            endpoint.ask([both[0], both[0]], MESSAGES, {})
    assert (len(bad.bodies), len(good.bodies)) == (1 + 3, 1)


def test_a_server_lists_its_models() -> None:
    with serving(lambda *_: "", models=["one", "two"]) as server:
        assert Endpoint(server.url, "two").models() == ["one", "two"]


def test_no_proxy_stands_before_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert complete(lambda *_: "Fine.", tries=1)[0] == "Fine."
