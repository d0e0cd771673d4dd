"""What is taught: the scenes of the corpus, their lessons, and how lessons are packed into rows of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from transformers import Qwen2_5_VLProcessor

from visplay.errors import VisplayError
from visplay.pretrain import teacher
from visplay.pretrain.teacher import ASK_PROMPT, DESCRIBE_PROMPT
from visplay.records import UNANSWERABLE
from visplay.worlds import grammar, scenes

HARD_FAMILIES = ("choice", "relation")  # answered twice as often as the others: learnt last
_DRAFTS = 4  # of a question to ask


@dataclass(frozen=True)
class Schedule:
    """How much is taught. A `round` is one optimizer step.

    The corpus is limited: `captions` described pictures, of which the first `images` that show at most `most_things`
    things come with `lessons_per_image` questions to ask or to answer, each with `solutions` worked solutions. Fuller
    pictures are for the loop: there the ways to think that are taught err more often, and not all of them alike.
    """

    captions: int = 12_000
    images: int = 1000
    most_things: int = 3
    lessons_per_image: int = 16
    solutions: int = 8
    align_rounds: int = 1200
    describe_rounds: int = 1200
    rounds: int = 5000
    images_per_round: int = 12
    lessons_per_round: int = 2  # of one image
    ask_share: float = 0.2
    learning_rate: float = 1.5e-3
    seed: int = 0


class CorpusError(VisplayError, ValueError):
    """A schedule that asks for more pictures than it has."""


class Corpus:
    """The limited supervised corpus: scenes of the train split with their lessons, a function of the schedule."""

    def __init__(self, processor: Qwen2_5_VLProcessor, schedule: Schedule) -> None:
        self.processor = processor
        self.schedule = schedule
        self.scenes = list(scenes.scenes("train", 0, schedule.captions))
        pixels = [np.asarray(scenes.render(scene)) for scene in self.scenes]
        self.pixels = np.stack(pixels)
        few = [i for i, scene in enumerate(self.scenes) if len(scene.things) <= schedule.most_things]
        if len(few) < schedule.images:
            raise CorpusError(
                f"of {schedule.captions} captions {len(few)} are of at most {schedule.most_things} things; "
                f"{schedule.images} images need more captions, or a larger most_things"
            )
        self.taught = np.asarray(few[: schedule.images])  # indices of the pictures that lessons are about
        before, after = self._chat("PROMPT").split("PROMPT")
        self.before = processor.tokenizer(before.replace("<|image_pad|>", "<|image_pad|>" * 9)).input_ids
        self.after = processor.tokenizer(after).input_ids

    def patches(self, chosen: np.ndarray) -> dict[str, torch.Tensor]:
        """Pixel patches of some images, as the real image processor makes them."""
        images = [torch.from_numpy(self.pixels[i]).permute(2, 0, 1) for i in chosen]
        return dict(self.processor.image_processor(images=images, return_tensors="pt"))

    def description(self, scene: scenes.Scene, rng: np.random.Generator) -> Lesson:
        """What stands where."""
        return self._lesson(DESCRIBE_PROMPT, teacher.description(scene, rng))

    def exercise(self, scene: scenes.Scene, rng: np.random.Generator) -> Lesson:
        """One of the scene's questions, to ask or to answer by one of its solutions."""
        name = [self.schedule.seed, scene.index, int(rng.integers(self.schedule.lessons_per_image))]
        fixed = np.random.default_rng(name)
        line = np.random.default_rng([*name, int(rng.integers(self.schedule.solutions))])
        if fixed.random() < self.schedule.ask_share:
            return self._lesson(ASK_PROMPT, teacher.asking(scene, self._answerable(scene, fixed), line))
        query = grammar.ask(scene, grammar.pick((*grammar.FAMILIES, *HARD_FAMILIES), fixed), fixed)
        return self._lesson(grammar.write(query), teacher.solution(scene, query, line))

    def _lesson(self, prompt: str, completion: str) -> Lesson:
        prompt_ids, completion_ids = self.processor.tokenizer([prompt, completion + "<|im_end|>"]).input_ids
        return Lesson(prompt_ids + self.after, completion_ids)

    def _answerable(self, scene: scenes.Scene, rng: np.random.Generator) -> grammar.Query:
        """A question worth asking, of a family that has one about this scene: no bad habit is taught.

        Where it presupposes that a thing is there once, the one of several that describes its things most fully.
        """
        while True:
            family = grammar.pick(tuple(grammar.FAMILIES), rng)
            drafts = _DRAFTS if family in ("color", "choice") else 1
            queries = [grammar.ask(scene, family, rng, unanswerable_share=0.0) for _ in range(drafts)]
            answerable = [query for query in queries if grammar.truth(scene, query) != UNANSWERABLE]
            if answerable:
                return max(answerable, key=lambda query: sum(map(_fullness, query.phrases)))

    def _chat(self, prompt: str) -> str:
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        return str(self.processor.apply_chat_template([message], add_generation_prompt=True))


def _fullness(phrase: grammar.Phrase) -> int:
    """How much a noun phrase says of a thing, from "object" to "small red 7"."""
    noun = {"object": 0, "digit": 1}.get(phrase.noun, 2)
    return noun + (phrase.color is not None) + (phrase.size is not None)


class Lesson(NamedTuple):
    """Token ids after the image: what is asked, and what is to be said."""

    prompt: list[int]
    completion: list[int]


class Packed(NamedTuple):
    """Rows of one image each: [shared start | lesson 1 | lesson 2 | ...]. A lesson sees the start and itself.

    `ids`, `labels` (next token, -100 where none is learnt), `branch` (-1 padding, 0 the start, 1.. the lessons) and
    `offset` (tokens since the start's end) are (rows, length).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    branch: torch.Tensor
    offset: torch.Tensor


def pack(before: list[int], lessons: list[list[Lesson]]) -> Packed:
    """One row for each image: `before`, the shared start, then its lessons; shorter rows are padded at the end."""
    rows = []
    for row in lessons:
        ids, labels, branch, offset = list(before), [-100] * len(before), [0] * len(before), list(range(len(before)))
        for number, (prompt, completion) in enumerate(row, start=1):
            length = len(prompt) + len(completion)
            ids += prompt + completion
            labels += [-100] * (len(prompt) - 1) + completion + [-100]
            branch += [number] * length
            offset += range(len(before), len(before) + length)
        rows.append((ids, labels, branch, offset))
    padding = (0, -100, -1, 0)
    columns = zip(*rows, strict=True)
    return Packed(
        *(
            torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in column], batch_first=True, padding_value=fill)
            for column, fill in zip(columns, padding, strict=True)
        )
    )
