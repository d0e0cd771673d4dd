"""What a model is asked, pictures and text, and the inputs that they become: one form for roles and evaluation."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any, TypeAlias, TypeVar

import torch
from PIL import Image
from transformers import ProcessorMixin

from visplay.images import PoolImage

# An image, or one of the pool that is opened when its turn comes and then let go.
Picture: TypeAlias = Image.Image | PoolImage
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


def opened(picture: Picture) -> Image.Image:
    """The pixels."""
    return picture.open() if isinstance(picture, PoolImage) else picture


def encode(processor: ProcessorMixin, requests: Sequence[Request], begin: str = "") -> dict[str, torch.Tensor]:
    """Model inputs of the rendered chat prompts, each answer begun; padded on the left."""
    asked = [parts(request) for request in requests]
    chats = [[{"role": "user", "content": [_content(part) for part in one]}] for one in asked]
    texts = processor.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    texts = [text + begin for text in texts]
    images = [opened(part) for one in asked for part in one if not isinstance(part, str)]
    return dict(processor(text=texts, images=images or None, padding=True, return_tensors="pt"))


def chat_content(request: Request) -> list[dict[str, Any]]:
    """The request as the chat protocol has it, pictures as PNG without loss; the content of the user's message."""
    return [_sent(part) for part in parts(request)]


def length(request: Request) -> tuple[int, int]:
    """Pixels and characters: requests of similar length are read together with little padding."""
    pictures = [part for part in parts(request) if not isinstance(part, str)]
    return sum(picture.size[0] * picture.size[1] for picture in pictures), len(request[1])


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
