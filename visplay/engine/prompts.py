"""What a model is asked, pictures and text, and the inputs that they become: one form for roles and evaluation."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias, TypeVar

import torch
from transformers import ProcessorMixin

from visplay.engine.pixels import Picture, Pixels, opened

# The user's text with one picture before it, or with any number of pictures that are placed by `interleaved`. With None
# for a picture the text stands as it is: a question that a model wrote may hold "<image 1>".
Request: TypeAlias = tuple[Picture | Sequence[Picture] | None, str]

_T = TypeVar("_T")
_MARK = re.compile(r"<image (\d+)>")


def interleaved(pictures: Sequence[_T], text: str) -> list[_T | str]:
    """Pictures and pieces of text in the order in which they are met.

    "<image N>", counted from 1, stands for the N-th picture wherever it occurs; pictures that are not named come first.
    Raises ValueError for a mark without its picture.
    """
    pieces = _MARK.split(text)  # text and numbers in turn
    named = [int(number) for number in pieces[1::2]]
    for number in named:
        if not 1 <= number <= len(pictures):
            raise ValueError(f"the text names <image {number}>, and the number of pictures is {len(pictures)}")
    found: list[_T | str] = [picture for number, picture in enumerate(pictures, 1) if number not in named]
    for at, piece in enumerate(pieces):
        found += [pictures[int(piece) - 1]] if at % 2 else [piece] if piece else []
    return found


def parts(request: Request) -> list[Picture | str]:
    """The request in the order in which the model meets it."""
    shown, text = request
    if shown is None:
        return [text]
    return [shown, text] if isinstance(shown, Picture) else interleaved(shown, text)


@dataclass(frozen=True)
class Prompt:
    """Token ids as the model reads them, an image's mark once for each of its tokens, and the pictures in order."""

    ids: list[int]
    pictures: tuple[Picture, ...]


def prompts(processor: ProcessorMixin, requests: Sequence[Request], pixels: Pixels, begin: str = "") -> list[Prompt]:
    """The rendered chat prompts, each answer begun. Raises ValueError for a text that spells an image's mark."""
    chats = [[{"role": "user", "content": [_content(part) for part in parts(one)]}] for one in requests]
    texts = processor.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    written = processor.tokenizer([text + begin for text in texts]).input_ids
    mark = processor.image_token_id
    return [
        Prompt(_expanded(ids, pixels.tokens(shown), mark), shown)
        for ids, shown in zip(written, map(pictures, requests), strict=True)
    ]


def padded(processor: ProcessorMixin, read: Sequence[Prompt], pixels: Pixels) -> dict[str, torch.Tensor]:
    """Model inputs of prompts, padded on the left."""
    texts = processor.tokenizer.pad({"input_ids": [prompt.ids for prompt in read]}, return_tensors="pt")
    types = (texts["input_ids"] == processor.image_token_id).long()
    return {**texts, "mm_token_type_ids": types, **pixels.of([one for prompt in read for one in prompt.pictures])}


def encode(
    processor: ProcessorMixin, requests: Sequence[Request], begin: str = "", pixels: Pixels | None = None
) -> dict[str, torch.Tensor]:
    """Model inputs of the rendered chat prompts, each answer begun; padded on the left."""
    pixels = pixels or Pixels(processor.image_processor)
    return padded(processor, prompts(processor, requests, pixels, begin), pixels)


def chat_content(request: Request) -> list[dict[str, Any]]:
    """The request as the chat protocol has it, pictures as PNG without loss; the content of the user's message."""
    return [_sent(part) for part in parts(request)]


def pictures(request: Request) -> tuple[Picture, ...]:
    """The pictures, in the order in which the model meets them."""
    return tuple(part for part in parts(request) if not isinstance(part, str))


def _expanded(ids: Sequence[int], tokens: Sequence[int], mark: int) -> list[int]:
    """The n-th mark of an image as often as the n-th picture has tokens."""
    if ids.count(mark) != len(tokens):
        raise ValueError(
            f"a prompt with {len(tokens)} pictures holds the mark of an image {ids.count(mark)} times; leave "
            f"it out of the text"
        )
    counts = iter(tokens)
    return [one for i in ids for one in ([mark] * next(counts) if i == mark else [i])]


def _content(part: Picture | str) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}


def _sent(part: Picture | str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    file = BytesIO()
    opened(part).save(file, "PNG")
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"},
    }
