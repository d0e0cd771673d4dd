"""What each role is paid, as plain floats from plain values: no model, no tensor, no text comparison.

The confidence comes from `visplay.labels.voting`, the cluster sizes from `visplay.roles.clusters`; the trainer's reward
functions only gather and pass on. A reward that could not be computed is None and leaves the group, it is never 0.

Where VisPlay's paper and its released code differ, `recipe.QuestionerSettings` has both by name: `difficulty`,
`diversity`, `diversity_scope`, `relu`, `invalid_reward`; the Reasoner's is `ReasonerSettings.format_weight`.

Deviations from both:
1. A question whose majority answer is "unanswerable" counts as of no difficulty: votes torn about that do not make it
   a hard question. With the max(0, .) it earns 0, without it minus its penalty.
2. An invalid question earns `invalid_reward` flat. The released code takes the cluster penalty off its -1 as well, all
   invalid completions of the batch counting as one cluster; here what has no question is in no cluster.
3. A question with fewer than `min_parsed` parsed votes earns None: silence of the Reasoner is not disagreement.
4. Under `blind_weight`, which neither has, a question is charged as far as it is answered alike without its image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from visplay.labels.trust import chance_corrected, options
from visplay.recipe import QuestionerSettings
from visplay.records import UNANSWERABLE, Ballot, Question


def difficulty(confidence: float, variant: str = "paper", options: int | None = None) -> float:
    """How torn the votes are, highest at c = 0.5 and 0 at both ends.

    "paper": 1 - |2c - 1|, in [0, 1]; "released": min(c, 1 - c), in [0, 0.5]; "corrected": the paper's, of c less what
    chance gives among so many `options`: with two, a label at c = 0.5 is a coin flip, and the peak is at 0.75.
    Raises ValueError for a confidence outside [0, 1] or an unknown variant.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence} is not in [0, 1]; it is the majority's share of the votes")
    match variant:
        case "paper":
            return 1 - abs(2 * confidence - 1)
        case "released":
            return min(confidence, 1 - confidence)
        case "corrected":
            return 1 - abs(2 * chance_corrected(confidence, options) - 1)
    raise ValueError(f"difficulty {variant!r} is unknown; use paper, released or corrected")


def questioner_reward(
    confidence: float,
    cluster_size: int,
    group_size: int,
    *,
    weight: float = 1.0,
    variant: str = "paper",
    options: int | None = None,
    relu: bool = True,
    blind_charge: float = 0.0,
) -> float:
    """Reward of a valid question: max(0, difficulty - weight * cluster_size / group_size - blind_charge).

    Without `relu` it is the difference itself, at least -weight - blind_charge.
    """
    reward = difficulty(confidence, variant, options) - weight * cluster_size / group_size - blind_charge
    return max(0.0, reward) if relu else reward


def questioner_rewards(
    questions: Sequence[Question | None],
    ballots: Sequence[Ballot | None],
    cluster_sizes: Sequence[int],
    groups: Sequence[Hashable],
    settings: QuestionerSettings,
    min_parsed: int,
    blind: Sequence[float | None] | None = None,
) -> list[float | None]:
    """The reward of each completion of a batch; all sequences run over its completions, in one order.

    `questions[i]` is None where the completion did not parse, `ballots[i]` where the question was not voted on.
    `cluster_sizes` is the answer of `clusters.cluster_sizes` for the same `groups`. A group's size counts all of its
    completions, so that a valid question pays no more because its neighbours are invalid. `blind[i]` in [0, 1] is how
    far its majority answer is given without the image, None where that could not be had; only for a `blind_weight`.
    """
    group_sizes = Counter(groups)
    charged = blind if settings.blind_weight and blind is not None else [0.0] * len(questions)
    return [
        _questioner_reward(question, ballot, cluster_size, group_sizes[group], unseen, settings, min_parsed)
        for question, ballot, cluster_size, group, unseen in zip(
            questions, ballots, cluster_sizes, groups, charged, strict=True
        )
    ]


def reasoner_reward(correct: bool | None, is_boxed: bool, format_weight: float) -> float | None:
    """(1 - w) * correct + w * is_boxed, in [0, 1]; None where `correct` could not be found out, boxed or not."""
    if correct is None:
        return None
    return (1 - format_weight) * correct + format_weight * is_boxed


def _questioner_reward(
    question: Question | None,
    ballot: Ballot | None,
    cluster_size: int,
    group_size: int,
    blind: float | None,
    settings: QuestionerSettings,
    min_parsed: int,
) -> float | None:
    if question is None:
        return settings.invalid_reward
    if ballot is None or ballot.confidence is None or ballot.parsed < min_parsed or blind is None:
        return None
    unanswerable = ballot.answer == UNANSWERABLE
    return questioner_reward(
        1.0 if unanswerable else ballot.confidence,  # as easy as can be: never paid above a question with an answer
        cluster_size,
        group_size,
        weight=settings.diversity_weight,
        variant=settings.difficulty,
        options=options(question),
        relu=settings.relu,
        blind_charge=settings.blind_weight * blind,
    )
