"""Sampling by our engine against transformers' `generate`: all prompts in one call, and one call for each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from contest import Contest
from least import token_by_token
from meters import picture
from PIL import Image

from visplay.engine import models
from visplay.engine.decoding import generate
from visplay.engine.drawing import Drawing
from visplay.engine.pixels import Pixels
from visplay.engine.prompts import Request, prompts

QUESTIONS = tuple(f"{much} red things are on the left of the small blue square in the picture?" for much in (
    "How many", "Which of the", "What large", "Are there", "Which small", "Where are the", "Of what size are", "What"
))  # fmt: skip


@dataclass(frozen=True)
class Sampling:
    """`images` pictures of so many visual tokens, `questions` about each, `n` samples of `new` tokens of each."""

    image_tokens: int
    questions: int
    n: int
    new: int
    images: int

    @property
    def requests(self) -> list[Request]:
        shown = [picture(self.image_tokens, seed) for seed in range(self.images)]
        return [(one, text) for one in shown for text in QUESTIONS[: self.questions]]


class Arena:
    """A model and its processor; completions never end early, so that both ways write as many tokens."""

    def __init__(self, model: Path) -> None:
        self.model = models.load_model(model)
        self.processor = models.load_processor(model, 4, 4096)
        ends = models.end_tokens(self.model, self.processor)
        self.banned = [*models.banned_tokens(self.model), *ends]

    def contests(self, sizes: Sequence[Sampling]) -> Iterator[Contest]:
        """For each size the two contests."""
        for size in sizes:
            requests = size.requests
            writing = token_by_token(self.model, len(requests) * size.n, size.image_tokens, size.new)
            what = f"{size.image_tokens} image tokens, {size.questions} questions an image, n {size.n}, {size.new} new"
            what += f", {size.images} images" if size.images > 1 else ""
            ours = lambda size=size, requests=requests: self.ours(requests, size.n, size.new)  # noqa: E731
            stock = lambda size=size, requests=requests: self.stock(requests, size.n, size.new)  # noqa: E731
            yield Contest(f"sampling, {what}", ours, stock, writing)
            if size.images > 1:
                by_image = [requests[i : i + size.questions] for i in range(0, len(requests), size.questions)]
                each = lambda s=size, b=by_image: [self.stock(one, s.n, s.new) for one in b]  # noqa: E731
                yield Contest(f"voting, a call an image, {what}", ours, each, writing)

    def ours(self, requests: Sequence[Request], n: int, new: int) -> list[list[list[int]]]:
        pixels = Pixels(self.processor.image_processor)
        asked = prompts(self.processor, requests, pixels)
        seeds = [[f"{i}/{copy}" for copy in range(n)] for i in range(len(requests))]
        return generate(self.model, self.processor, asked, seeds, Drawing(new, 1.0, [], self.banned), pixels)

    def stock(self, requests: Sequence[Request], n: int, new: int) -> torch.Tensor:
        chats = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": t}]}] for _, t in requests]
        texts = self.processor.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
        images: list[Image.Image] = [shown for shown, _ in requests]  # type: ignore[misc]
        inputs = self.processor(text=texts, images=images, padding=True, return_tensors="pt").to(self.model.device)
        how: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_k": 0, "num_return_sequences": n}
        limits = {"max_new_tokens": new, "min_new_tokens": new, "suppress_tokens": self.banned}
        found: torch.Tensor = self.model.generate(**inputs, **how, **limits)
        return found
