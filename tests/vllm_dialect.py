"""A local server that speaks as vLLM does, as far as the engine vllm asks of it, and misbehaves as the test says."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from chat_server import Reply, Server, said
from PIL import Image
from transformers import ProcessorMixin

from visplay.engine import models
from visplay.engine.prompts import Request, encode
from visplay.engine.sampling import LocalSampler
from visplay.engine.served import served_name
from visplay.recipe import PoolSettings, SamplingSettings

ROOT = Path(__file__).parents[1]
BASE = ROOT / "data" / "base"
POOL = PoolSettings(min_tokens=4, max_tokens=16)
# From a request and how often its prompt was asked before: the texts of its choices, or what a chat_server replies.
Answer: TypeAlias = Callable[[dict[str, Any], int], Reply]


class VllmServer(Server):
    """Serves data/base under its right name, or under those given; `answer` says what becomes of each question.

    A request for `prompt_token_ids`, which is how it is verified, is answered truly and kept in no record.
    """

    def __init__(self, answer: Answer, names: Iterable[str] | None = None) -> None:
        super().__init__(lambda *_: 500, [served_name(BASE)] if names is None else names)
        self.answer = answer
        self.processor: ProcessorMixin = models.load_processor(BASE, POOL.min_tokens, POOL.max_tokens)

    def reply(self, body: dict[str, Any], before: int) -> Reply:
        if body.get("return_token_ids"):
            with self.lock:
                self.bodies.remove(body | {"path": "/v1/chat/completions"})
            return chat(body, ["x"], prompt_token_ids=prompt_ids(self.processor, body))
        texts = self.answer(body, before)
        return texts if isinstance(texts, str | int | bytes) else chat(body, texts)


class RealServer(VllmServer):
    """A small vLLM: it writes with the engine transformers, on the folder that `find` knows for a name."""

    def __init__(self, find: Callable[[str], Path], names: Iterable[str] | None = None) -> None:
        super().__init__(self._write, names)
        self.find = find
        self.samplers: dict[str, LocalSampler] = {}

    def _write(self, body: dict[str, Any], _: int) -> Reply:
        with self.lock:  # a model writes for one at a time
            if body["model"] not in self.samplers:
                self.samplers[body["model"]] = LocalSampler(self.find(body["model"]), POOL, SamplingSettings())
            request, begin = understood(body)
            (written,) = self.samplers[body["model"]].sample(
                [request],
                body["n"],
                body["max_tokens"],
                body["seed"],
                temperature=body["temperature"] or None,
                top_p=body["top_p"],
                greedy=body["temperature"] == 0,
                begin=begin,
                not_next=self._forbidden(body),
            )
        texts = [one.text.removeprefix(begin) for one in written]
        return chat(body, texts, reasons=["length" if one.truncated else "stop" for one in written])

    def _forbidden(self, body: dict[str, Any]) -> str:
        """The token, if any, that a bias forbids beside those that stand for pictures."""
        pictures = models.stored_tokens(BASE, self.processor)[0]
        return "".join(self.processor.decode([int(i)]) for i in body["logit_bias"] if int(i) not in pictures)


def understood(body: dict[str, Any]) -> tuple[Request, str]:
    """The picture, if any, and the text of a request, and how its answer begins."""
    (*pictures, _), begun = body["messages"][0]["content"], body["messages"][1:]
    encoded = [one["image_url"]["url"].removeprefix("data:image/png;base64,") for one in pictures]
    picture = Image.open(BytesIO(b64decode(encoded[0]))) if encoded else None
    return (picture, said(body)), begun[0]["content"] if begun else ""


def prompt_ids(processor: ProcessorMixin, body: dict[str, Any]) -> list[int]:
    request, begin = understood(body)
    ids: list[int] = encode(processor, [request], begin)["input_ids"][0].tolist()
    return ids


def chat(body: dict[str, Any], texts: Sequence[str], reasons: Sequence[str] | None = None, **more: Any) -> bytes:
    """A chat completion as vLLM words it, its choices in reverse order."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        for index, (text, reason) in enumerate(zip(texts, reasons or ["stop"] * len(texts), strict=True))
    ]
    return json.dumps({"model": body["model"], "choices": choices[::-1], **more}).encode()
