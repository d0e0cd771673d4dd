"""An OpenAI-compatible chat endpoint, over the standard library: messages -> what comes back. The only such client.

What may pass is tried again after a pause that doubles: no connection, silence, 408, 429, 5xx, what is no chat
completion. Any other refusal is final. No redirect is followed: it would carry the key to another host. The key is read
from the environment and stands in no message and in no file. No proxy stands before a server on this machine.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from visplay.errors import VisplayError
from visplay.records import writable

# Text, or parts of it and of pictures as the protocol has them: {"type": "text", ...}, {"type": "image_url", ...}.
Content: TypeAlias = str | Sequence[Mapping[str, Any]]
Message: TypeAlias = Mapping[str, Any]
Pause: TypeAlias = Callable[[float], object]  # waits for so many seconds before the next try; it may raise

_PATH = "/chat/completions"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LONGEST_PAUSE_S = 60.0
_SHOWN = 200


class EndpointError(VisplayError, RuntimeError):
    """The endpoint is not named well enough to start, or gave no usable reply; the message says which."""


@dataclass(frozen=True)
class Reply:
    """What a model wrote; `truncated` when it was cut off at the limit."""

    text: str
    truncated: bool = False


@dataclass(frozen=True)
class Chat:
    """What came back for one request: a reply for each choice that was not broken off, in the order of their numbers.

    `model` is the one that the server says has answered. `prompt_ids` are the prompt's tokens where it tells them, as
    vLLM does for `return_token_ids`. `kept_apart` says that it took something out of the text, as a reasoning parser
    does. All but the replies are None or false where the server says nothing.
    """

    replies: tuple[Reply, ...]
    model: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    kept_apart: bool = False


@dataclass(frozen=True)
class Endpoint:
    """Where to ask. Raises EndpointError when it could never be asked.

    `url` is the base, such as http://localhost:8000/v1. `key_variable` names the environment variable with the API key,
    "" for none. `timeout_s` is of silence. The first of `tries - 1` pauses takes `pause_s`, unless the server says
    longer.
    """

    url: str
    model: str
    key_variable: str = ""
    timeout_s: float = 120.0
    tries: int = 5
    pause_s: float = 1.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if "@" in parts.netloc or parts.query:
            raise EndpointError(
                "the endpoint's URL holds a user or a query, and would be shown; pass a key by an environment variable"
            )
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise EndpointError(f"{self.url!r} is no endpoint; name one such as http://localhost:8000/v1")
        if not self.model:
            raise EndpointError(f"no model is named to ask at {self.url}")
        self._key()

    def complete(self, prompt: str, pause: Pause = time.sleep) -> str:
        """What the model replies to text, "" for a reply without text; otherwise as `reply`."""
        return self.reply(prompt, pause=pause).text

    def reply(self, content: Content, max_tokens: int | None = None, pause: Pause = time.sleep) -> Reply:
        """The likeliest reply, at temperature 0. Raises EndpointError when the last try failed.

        `max_tokens` None leaves the limit to the server.
        """
        settings: dict[str, Any] = {"temperature": 0} | ({} if max_tokens is None else {"max_tokens": max_tokens})
        return ask([self], [{"role": "user", "content": content}], settings, pause).replies[0]

    def models(self) -> list[str]:
        """The names of the models that are served. Raises EndpointError; asks once."""
        listed = self._fetched("/models")
        try:
            return [str(model["id"]) for model in json.loads(listed)["data"]]
        except (ValueError, LookupError, TypeError) as error:
            raise EndpointError(f"{self.url}/models is no list of models, but {listed[:_SHOWN]!r}") from error

    def _chat(self, messages: Sequence[Message], settings: Mapping[str, Any]) -> Chat:
        return _read(self._fetched(_PATH, {"model": self.model, "messages": messages, **settings}))

    def _fetched(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        address = self.url.rstrip("/").removesuffix(_PATH) + path
        request = Request(address, None if body is None else json.dumps(body).encode(), self._headers())
        direct = [ProxyHandler({})] if urlsplit(self.url).hostname in _LOOPBACK else []
        try:
            with build_opener(_NoRedirect, *direct).open(request, timeout=self.timeout_s) as reply:
                content: bytes = reply.read()
        except HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, HTTPException) as error:
            raise _PassingError(f"{self.url} does not answer: {error}") from error
        return content

    def _headers(self) -> dict[str, str]:
        key = self._key()
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def _key(self) -> str:
        name = self.key_variable
        if name and not name.isidentifier():  # most likely the key itself, so it is not shown
            raise EndpointError("the API key is given by the name of an environment variable, such as OPENAI_API_KEY")
        key = os.environ.get(name, "").strip()
        if name and not (key and key.isascii() and key.isprintable()):
            raise EndpointError(f"the environment variable {name} holds no API key; set it")
        return key

    def _refusal(self, error: HTTPError) -> EndpointError:
        try:
            detail = error.read(_SHOWN).decode(errors="replace")
        except (OSError, HTTPException):
            detail = error.reason
        key = self._key()
        message = f"{self.url} answered {error.code}: {detail.replace(key, '***') if key else detail}"
        if error.code in (408, 429) or error.code >= 500:
            after = error.headers.get("Retry-After") or ""
            return _PassingError(message, float(after) if after.isdecimal() else 0.0)
        return EndpointError(message)


def ask(
    endpoints: Sequence[Endpoint],
    messages: Sequence[Message],
    settings: Mapping[str, Any],
    pause: Pause = time.sleep,
    first: int = 0,
) -> Chat:
    """What comes back for the messages; at least one reply. Raises EndpointError when the last try failed.

    `settings` go into the request as they are. The first try goes to endpoint `first`, each further one to the next,
    round and round; `tries` and `pause_s` are those of endpoint 0. `pause` may replace endpoints.
    """
    tries, pause_s = endpoints[0].tries, endpoints[0].pause_s
    for tried in range(tries - 1):
        try:
            return endpoints[(first + tried) % len(endpoints)]._chat(messages, settings)
        except _PassingError as failure:
            pause(min(max(pause_s * 2**tried, failure.wait_s), _LONGEST_PAUSE_S))
    return endpoints[(first + tries - 1) % len(endpoints)]._chat(messages, settings)


class _PassingError(EndpointError):
    """The next try may be answered; `wait_s` is how long the server asks to be left alone."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read(content: bytes) -> Chat:
    try:
        found = json.loads(content)
        choices = sorted(found["choices"], key=lambda choice: choice.get("index") or 0)
        messages = [choice["message"] for choice in choices]
        replies = [
            Reply(writable(message["content"] or ""), choice.get("finish_reason") == "length")
            for choice, message in zip(choices, messages, strict=True)
            if choice.get("finish_reason") != "abort"  # vLLM's word for a request that the server has dropped
        ]
        ids = found.get("prompt_token_ids")
        apart = any(message.get("reasoning") or message.get("reasoning_content") for message in messages)
        if replies:
            return Chat(tuple(replies), found.get("model"), None if ids is None else tuple(ids), apart)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _PassingError(f"no chat completion came back, but {content[:_SHOWN]!r}") from error
    raise _PassingError(f"no choice came back, but {content[:_SHOWN]!r}")


def free_port() -> int:
    """A port of this machine that nothing listens on, at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
