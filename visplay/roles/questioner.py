"""The Questioner: sees one image and writes one question with its type and its own answer.

Its prompt, its parser, and its verbs: `ask` questions, `train` against a frozen Reasoner.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from visplay.engine import embedding, grpo
from visplay.engine.sampling import Sampler
from visplay.images import PoolImage
from visplay.labels.blind import agreement, beyond_chance
from visplay.labels.silver import Candidate
from visplay.labels.trust import options
from visplay.recipe import Recipe
from visplay.records import QUESTION_TYPES, Ballot, Question
from visplay.roles import blind, reasoner
from visplay.roles.clusters import cluster_sizes, scoped_groups
from visplay.roles.rewards import difficulty, questioner_rewards

PROMPT = """Look at the image and write one question about it that is hard to answer but has a single correct answer \
that can be checked from the image alone. Do not ask about anything that the image does not show.

Choose one type:
- multiple_choice: either a yes/no question, or a question followed by its options as (A) ... (B) ... (C) ... (D) ...
- numerical: the answer is one number
- short_text: the answer is one word or a short phrase

Write exactly this and nothing else:
<type>the type</type><question>the question, with its options if it has any</question><answer>your answer</answer>"""

_SHAPE = re.compile(r"<type>(.*?)</type>\s*<question>(.*?)</question>\s*<answer>(.*?)</answer>", re.DOTALL)
_TAGS = re.compile(r"</?(?:type|question|answer)>")
_OPTION = re.compile(r"\(([A-D])\)")


def parse(completion: str, image_id: str) -> Question | None:
    """The question in a completion, or None when it has not exactly the shape that the prompt asks for."""
    shape = _SHAPE.search(completion)
    if shape is None or len(_TAGS.findall(completion)) != 6:  # else a part would swallow a stray tag
        return None
    kind, text, own_answer = (" ".join(part.split()) for part in shape.groups())
    return question(image_id, kind, text, own_answer or None)


def question(image_id: str, kind: str, text: str, own_answer: str | None = None) -> Question | None:
    """A well-shaped Question with its options read from its text, else None.

    A multiple-choice question has no options (yes/no) or two to four, lettered from A without a gap; no other type has
    any. Text that spells a control token of the chat, such as <|image_pad|>, is refused: in the Reasoner's prompt it
    would be one.
    """
    letters = _OPTION.findall(text)
    choices = tuple(part.strip(" ,;") for part in _OPTION.split(text)[2::2])
    well_lettered = letters == list("ABCD"[: len(letters)]) and len(letters) != 1
    distinct = all(choices) and len(set(choices)) == len(choices)
    asks = _OPTION.split(text)[0].strip() and "<|" not in text
    if kind not in QUESTION_TYPES or not asks or not well_lettered or not distinct:
        return None
    if letters and kind != "multiple_choice":
        return None
    digest = hashlib.sha256(f"{image_id}\0{kind}\0{text}".encode()).hexdigest()[:16]
    return Question(digest, image_id, kind, text, choices, own_answer)


def ask(sampler: Sampler, pictures: Sequence[PoolImage], recipe: Recipe, seed: int) -> list[Candidate]:
    """`ask.questions_per_image` candidates for each image, image by image."""
    prompt = recipe.questioner.prompt or PROMPT
    requests = [(picture, prompt) for picture in pictures]
    n, longest = recipe.ask.questions_per_image, recipe.questioner.max_new_tokens
    drawn = sampler.sample(requests, n, longest, seed, progress="ask")
    return [
        (picture.id, completion.text, parse(completion.text, picture.id))
        for picture, completions in zip(pictures, drawn, strict=True)
        for completion in completions
    ]


def train(
    start: str | Path, against: Sampler, pictures: Sequence[PoolImage], recipe: Recipe, seed: int, folder: Path
) -> None:
    """GRPO from checkpoint `start`, one row per image, paid by the votes of the frozen Reasoner `against`.

    Leaves the new checkpoint in folder/checkpoint.
    """
    prompt = recipe.questioner.prompt or PROMPT
    embed = embedding.load(recipe.questioner.embedder)

    def reward(rows: Sequence[grpo.Row], completions: Sequence[str]) -> list[grpo.Score]:
        asked = [parse(text, row.image.id) for row, text in zip(rows, completions, strict=True)]
        pictures = [row.image for row in rows]
        ballots = _votes(against, pictures, asked, recipe)
        unseen = _blind(against, pictures, asked, ballots, recipe) if recipe.questioner.blind_weight else None
        return scores(asked, ballots, [row.image.id for row in rows], recipe, embed, unseen)

    grpo.train(
        start,
        [grpo.Row(prompt, picture) for picture in pictures],
        reward,
        recipe,
        role="questioner",
        steps=recipe.questioner.steps,
        prompts_per_step=recipe.questioner.images_per_step,
        max_new_tokens=recipe.questioner.max_new_tokens,
        seed=seed,
        folder=folder,
        frozen=against,
    )


def scores(
    asked: Sequence[Question | None],
    ballots: Sequence[Ballot | None],
    image_ids: Sequence[str],
    recipe: Recipe,
    embed: embedding.Embedder,
    unseen: Sequence[float | None] | None = None,
) -> list[grpo.Score]:
    """The reward of each completion of a step, and the terms it is made of; `unseen` is `blind` there."""
    settings = recipe.questioner
    groups = scoped_groups(image_ids, settings.diversity_scope)
    texts = [question.text if question else None for question in asked]
    sizes = cluster_sizes(texts, groups, method=settings.diversity, distance=settings.cluster_distance, embed=embed)
    rewards = questioner_rewards(asked, ballots, sizes, groups, settings, recipe.labels.min_parsed, unseen)
    return [
        grpo.Score(
            reward,
            {
                "valid": float(question is not None),
                "confidence": ballot.confidence if ballot else None,
                "difficulty": difficulty(ballot.confidence, settings.difficulty, options(question))
                if question and ballot and ballot.confidence is not None
                else None,
                "cluster_size": float(size) if question else None,
                **({} if unseen is None else {"blind": unseen[i]}),
            },
            said=question.text if question else None,
        )
        for i, (reward, question, ballot, size) in enumerate(zip(rewards, asked, ballots, sizes, strict=True))
    ]


def _votes(
    against: Sampler, pictures: Sequence[PoolImage], asked: Sequence[Question | None], recipe: Recipe
) -> list[Ballot | None]:
    """A ballot for each parsed question; the same question on the same image is voted on once.

    What is drawn depends on the questions alone, so a resumed step sees the same votes.
    """
    votable = {q.id: (picture, q) for picture, q in zip(pictures, asked, strict=True) if q is not None}
    ballots = dict(
        zip(votable, reasoner.vote(against, list(votable.values()), recipe, _seed(votable, recipe)), strict=True)
    )
    return [ballots[question.id] if question else None for question in asked]


def _blind(
    against: Sampler,
    pictures: Sequence[PoolImage],
    asked: Sequence[Question | None],
    ballots: Sequence[Ballot | None],
    recipe: Recipe,
) -> list[float | None]:
    """How far the majority answer of each question is given without its image, beyond chance.

    None where there is no majority answer, or no blind vote came.
    """
    answered = {
        q.id: (picture, q, ballot.answer)
        for picture, q, ballot in zip(pictures, asked, ballots, strict=True)
        if q is not None and ballot is not None and ballot.answer is not None
    }
    shown = [(picture, q) for picture, q, _ in answered.values()]
    seed, n = _seed(answered, recipe) + 1, recipe.questioner.blind_votes
    ballots_unseen = blind.vote(against, shown, recipe, seed, blind.NO_IMAGE, n)
    found = {
        q.id: None if (share := agreement(votes, answer, q)) is None else beyond_chance(share, q)
        for (_, q, answer), votes in zip(answered.values(), ballots_unseen, strict=True)
    }
    return [found.get(question.id) if question else None for question in asked]


def _seed(ids: Iterable[str], recipe: Recipe) -> int:
    return int.from_bytes(hashlib.sha256("".join(ids).encode()).digest()[:4]) + recipe.seed
