"""The Reasoner: sees one image and one question, thinks, and answers in a box.

Its prompt, its reward and its verbs: `complete` a question, `vote` on them, `train` on silver answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

from visplay.engine import grpo
from visplay.engine.prompts import Picture
from visplay.engine.sampling import Sampler
from visplay.images import PoolImage
from visplay.labels.answers import boxed, canonical, compare
from visplay.labels.trust import weight
from visplay.labels.voting import vote as count
from visplay.recipe import Recipe, rollouts
from visplay.records import Ballot, Question, SilverAnswer
from visplay.roles.rewards import reasoner_reward
from visplay.roles.settled import without_settled

PROMPT = """{question}

Think step by step between <think> and </think>, then give the final answer in \\boxed{}: the letter of an option, \
yes or no, a number, or a few words. If the question cannot be answered from the image, answer \\boxed{unanswerable}."""
NO_THOUGHT = "<think></think>"


def render(question: Question, prompt: str | None = None) -> str:
    """The user text that goes with the image; `prompt` is the recipe's, with `{question}` in it."""
    return (prompt or PROMPT).replace("{question}", question.text)


def complete(
    sampler: Sampler,
    asked: Sequence[tuple[Picture | None, Question]],
    recipe: Recipe,
    seed: int,
    *,
    n: int = 1,
    greedy: bool = False,
    must_reason: bool = False,
    begin: str = "",
    progress: str | None = None,
    seen: Callable[[int, list[str]], None] | None = None,
) -> list[list[str]]:
    """n completions for each question, each begun with `begin`; `seen` hears of most of them as they come.

    `must_reason` forbids answering before anything was thought; only to measure.
    """
    drawn = sampler.sample(
        [(picture, render(question, recipe.reasoner.prompt)) for picture, question in asked],
        n,
        recipe.reasoner.max_new_tokens,
        seed,
        greedy=greedy,
        begin="<think>" if must_reason else begin,
        not_next="</think>" if must_reason else "",
        progress=progress,
        drawn=seen and (lambda place, completions: seen(place, [completion.text for completion in completions])),
    )
    return [[completion.text for completion in completions] for completions in drawn]


def reasons(completion: str) -> bool:
    """Whether anything is thought before the answer."""
    thought, end, _ = completion.partition("</think>")
    return bool(end and thought.rpartition("<think>")[2].strip())


def vote(
    sampler: Sampler,
    asked: Sequence[tuple[Picture, Question]],
    recipe: Recipe,
    seed: int,
    progress: str | None = None,
    short: bool = False,
) -> list[Ballot]:
    """The recipe's number of votes on each question; the same for the Questioner's reward and for silver answers.

    `short` leaves no room to think. Votes are counted while others are drawn.
    """
    begin, ballots = NO_THOUGHT if short else "", dict[int, Future[Ballot]]()

    def counted(place: int, texts: list[str]) -> Ballot:
        return count([boxed(text) for text in texts], asked[place][1], recipe.labels.confidence_over)

    def seen(place: int, texts: list[str]) -> None:
        ballots[place] = counting.submit(counted, place, texts)

    counting, n = ThreadPoolExecutor(1), recipe.labels.votes
    try:
        drawn = complete(sampler, asked, recipe, seed, n=n, begin=begin, progress=progress, seen=seen)
        return [ballots[i].result() if i in ballots else counted(i, texts) for i, texts in enumerate(drawn)]
    finally:
        counting.shutdown(cancel_futures=True)


def train(
    start: str | Path,
    rows: Sequence[tuple[PoolImage, SilverAnswer]],
    recipe: Recipe,
    seed: int,
    folder: Path,
    aside: Sequence[tuple[PoolImage, SilverAnswer]] = (),
) -> None:
    """GRPO from checkpoint `start` on silver rows, in an order shuffled by the seed and again for each pass.

    Leaves the new checkpoint in folder/checkpoint: the last step, or where there are rows set `aside` the one that
    answers these best.
    """
    steps = steps_over(len(rows), recipe)
    count = rollouts(recipe, steps) * recipe.reasoner.questions_per_step
    ordered = [rows[i] for i in _passes(len(rows), count, seed)]
    check = grpo.Check([_prompted(*row, recipe) for row in aside], lambda rows, texts: _right(rows, texts, recipe))
    grpo.train(
        start,
        [_prompted(picture, row, recipe) for picture, row in ordered],
        lambda batch, completions: scores([row.source for row in batch], completions, recipe),
        recipe,
        role="reasoner",
        steps=steps,
        prompts_per_step=recipe.reasoner.questions_per_step,
        max_new_tokens=recipe.reasoner.max_new_tokens,
        seed=seed,
        folder=folder,
        check=check if aside else None,
    )


def steps_over(rows: int, recipe: Recipe) -> int:
    """Optimizer steps on so many rows: the recipe's, unless a row were then seen more than `max_passes` times.

    Never fewer than the steps on one batch of rollouts.
    """
    role = recipe.reasoner
    if role.max_passes is None:
        return role.steps
    batches = max(1, int(role.max_passes * rows / role.questions_per_step))
    return min(role.steps, batches * recipe.grpo.get("num_iterations", 1))


def scores(rows: Sequence[SilverAnswer], completions: Sequence[str], recipe: Recipe) -> list[grpo.Score]:
    """The reward of each completion: agreement with its silver answer, and a little for a box.

    An answer that could not be compared in time has no reward (None), which is not the reward 0.
    """
    graded = []
    for row, completion in zip(rows, completions, strict=True):
        assert row.question is not None and row.ballot is not None and row.ballot.answer is not None
        said = boxed(completion)
        correct = compare(said, row.ballot.answer, row.question) if said is not None else False
        reward = reasoner_reward(correct, said is not None, recipe.reasoner.format_weight)
        terms = {"agrees": _number(correct), "boxed": float(said is not None)}
        answer = canonical(said, row.question) if said is not None else None
        graded.append(grpo.Score(reward, terms, said=answer))
    return without_settled(graded, recipe.grpo["num_generations"]) if recipe.reasoner.group_filter else graded


def _right(rows: Sequence[grpo.Row], completions: Sequence[str], recipe: Recipe) -> float:
    graded = scores([row.source for row in rows], completions, recipe)
    return fmean(score.terms["agrees"] or 0.0 for score in graded)


def _prompted(picture: PoolImage, row: SilverAnswer, recipe: Recipe) -> grpo.Row:
    assert row.question is not None  # a kept row has one
    prompt = render(row.question, recipe.reasoner.prompt)
    return grpo.Row(prompt, picture, row, weight(row.trust, recipe.labels.weight_power))


def _passes(size: int, count: int, seed: int) -> list[int]:
    """`count` row numbers: whole passes over the rows, each in its own order."""
    order: list[int] = []
    for number in range(-(-count // size)):
        order += random.Random(f"{seed}/{number}").sample(range(size), size)
    return order[:count]


def _number(claim: bool | None) -> float | None:
    return None if claim is None else float(claim)
