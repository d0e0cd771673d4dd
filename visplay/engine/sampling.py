"""Draw completions: (image, prompt) x n -> texts. The only way in which the project lets a model write.

The prompt, with its image, is read once for its n samples. Votes, questions and evaluation go through `Sampler`; GRPO's
rollouts go through `encode` and `generate`, so that a role meets the same tokens wherever it writes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL import Image
from tqdm import tqdm
from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin

from visplay.engine import models
from visplay.images import PoolImage
from visplay.recipe import PoolSettings, SamplingSettings

# An image, or one of the pool that is opened when its turn comes and then let go; and the user's text.
Picture: TypeAlias = Image.Image | PoolImage
Request: TypeAlias = tuple[Picture, str]


@dataclass(frozen=True)
class Completion:
    """What the model wrote, without special tokens; `truncated` when it had not ended after `max_new_tokens`."""

    text: str
    truncated: bool


class Sampler:
    """A model that answers requests; it never trains."""

    def __init__(self, model: str | Path | PreTrainedModel, pool: PoolSettings, settings: SamplingSettings) -> None:
        """`model` is a folder, a hub id, or a loaded model, whose processor is then read from where it came from.

        Images must come already resized by `visplay.images` with the same `pool` limits; they are not resized again.
        """
        if settings.engine != "transformers":
            raise models.ModelError(f"sampling.engine {settings.engine!r} is not available; use transformers")
        self.model = models.load_model(model) if isinstance(model, str | Path) else model
        source = self.model.config.name_or_path
        self.processor = models.load_processor(source, pool.min_tokens, pool.max_tokens)
        self.settings = settings

    def sample(
        self,
        requests: Sequence[Request],
        n: int,
        max_new_tokens: int,
        seed: int,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        begin: str = "",
        not_next: str = "",
        progress: str | None = None,
    ) -> list[list[Completion]]:
        """n completions of each request, in the order of the requests.

        The same requests, settings and seed give the same completions, whatever the global random state, which is left
        as it was. `temperature` and `top_p` None are the recipe's. `begin` is written for the model, which goes on from
        it, though not with the first token of `not_next`. `progress` names a progress bar on a terminal.
        """
        if greedy and n != 1:
            raise ValueError(f"n = {n} greedy completions would all be equal; use n=1")
        config = self._config(max_new_tokens, temperature, top_p, greedy)
        config.begin_suppress_tokens = self.processor.tokenizer(not_next).input_ids[:1] or None
        answers: list[list[Completion]] = [[] for _ in requests]
        with tqdm(total=len(requests), desc=progress, unit="prompt", disable=None if progress else True) as bar:
            for number, batch in enumerate(self._batches(requests, n)):
                chosen = [requests[i] for i in batch]
                with _own_randomness(f"{seed}/{number}", self.model.device):
                    written = self._complete(chosen, n, config, begin)
                for position, index in enumerate(batch):
                    answers[index] = written[position * n : (position + 1) * n]
                bar.update(len(batch))
        return answers

    def _complete(self, requests: Sequence[Request], n: int, config: GenerationConfig, begin: str) -> list[Completion]:
        inputs = encode(self.processor, requests, begin)
        written = generate(self.model, inputs, [n] * len(requests), config)
        texts = self.processor.batch_decode(written, skip_special_tokens=True)
        ends = set(config.eos_token_id)
        return [Completion(begin + text, ids[-1] not in ends) for text, ids in zip(texts, written, strict=True)]

    def _batches(self, requests: Sequence[Request], n: int) -> Iterator[list[int]]:
        """Positions of requests that are decoded together: of similar length, so that little is padded."""
        order = iter(sorted(range(len(requests)), key=lambda i: (_pixels(requests[i][0]), len(requests[i][1]), i)))
        size = max(1, self.settings.batch // n)
        while batch := list(islice(order, size)):
            yield batch

    def _config(
        self, max_new_tokens: int, temperature: float | None, top_p: float | None, greedy: bool
    ) -> GenerationConfig:
        """All that shapes the distribution is said here: what is left out comes from the model's own settings."""
        if temperature is None:
            temperature = self.settings.temperature
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=not greedy,
            temperature=1.0 if greedy else temperature,
            top_p=1.0 if greedy else self.settings.top_p if top_p is None else top_p,
            top_k=0,
            repetition_penalty=1.0,
            num_beams=1,
            suppress_tokens=models.banned_tokens(self.model),
            eos_token_id=models.end_tokens(self.model, self.processor),
            pad_token_id=self.processor.tokenizer.pad_token_id,
        )


def encode(processor: ProcessorMixin, requests: Sequence[Request], begin: str = "") -> dict[str, torch.Tensor]:
    """Model inputs of the rendered chat prompts, image before text, each answer begun; padded on the left."""
    chats = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}] for _, prompt in requests
    ]
    texts = processor.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    texts = [text + begin for text in texts]
    images = [picture.open() if isinstance(picture, PoolImage) else picture for picture, _ in requests]
    return dict(processor(text=texts, images=images, padding=True, return_tensors="pt"))


def generate(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], copies: Sequence[int], config: GenerationConfig
) -> list[list[int]]:
    """`copies[i]` completions of prompt i, as ids with their end token; grouped by prompt, in order.

    The prompts are read once, and what was read is then copied: transformers itself would read each copy again.
    """
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    rows = torch.arange(len(copies), device=model.device).repeat_interleave(torch.tensor(copies, device=model.device))
    with torch.inference_mode(), _evaluating(model):
        cache = model(**inputs, use_cache=True, logits_to_keep=1).past_key_values
        cache.crop(-1)  # the last token is read again, for its logits
        cache.batch_select_indices(rows)
        offsets = getattr(model.base_model, "rope_deltas", None)
        if offsets is not None:  # positions after an image, kept by the model from its last reading
            model.base_model.rope_deltas = offsets[rows]
        written = model.generate(
            input_ids=ids[rows], attention_mask=mask[rows], past_key_values=cache, generation_config=config
        )
    return [_until_end(row, set(config.eos_token_id)) for row in written[:, ids.shape[1] :].tolist()]


def _until_end(ids: list[int], ends: set[int]) -> list[int]:
    end = next((position for position, token in enumerate(ids) if token in ends), len(ids))
    return ids[: end + 1]


def _pixels(picture: Picture) -> int:
    width, height = picture.size
    return width * height


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def _own_randomness(seed: str, where: torch.device) -> Iterator[None]:
    """Torch's global generator, which transformers draws from, seeded from a text and put back afterwards."""
    devices: list[Any] = [where] if where.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random.Random(seed).getrandbits(63))
        yield
