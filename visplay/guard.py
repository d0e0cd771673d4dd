"""The guard against collapse: named rules over the health of each iteration, and what an alarm leads to.

Pure: the same figures give the same verdict, so that a run that is gone through again decides as before.

No figure without true answers was found to follow accuracy from one iteration to the next: confidence rises while the
model gets worse. So iterations are not ranked by one. The *best* is the latest that no alarm blames, the base where
there is none; where an audit is heeded (`max_audit_fall`), of those that no alarm blames the one that was trained on
the truest silver answers. Held-out accuracy is what gains are reported in: a fall is said, and neither stops a run nor
chooses anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from visplay.recipe import GuardSettings
from visplay.report.health import Health

Response = Literal["any", "stop", "warn"]  # "stop": to go back would not help; "warn": never more than that
Figure = Callable[[Sequence[Health]], float | None]


class Rule(NamedTuple):
    """`figure` is of the last of the iterations that it is given; None where it does not apply.

    `limit` names the key of GuardSettings: a least value where it begins with "min", else a largest one. A rule
    `about_voter` blames the iteration that the voting Reasoner came from as well.
    """

    name: str
    limit: str
    figure: Figure
    meaning: str
    about_voter: bool = False
    response: Response = "any"


@dataclass(frozen=True)
class Alarm:
    """A rule that was broken in an iteration: the value, the limit that it should have kept, and what that means."""

    iteration: int
    rule: str
    value: float
    limit: float
    meaning: str
    about_voter: bool = False
    response: Response = "any"

    def __str__(self) -> str:
        return f"{self.rule}: {self.value:.3g} against a limit of {self.limit:g}; {self.meaning}"


@dataclass(frozen=True)
class Verdict:
    """What the guard says after an iteration: the next one starts from `goes_on_from`, None ends the loop.

    `best` is the iteration whose checkpoints it would choose, 0 the base.
    """

    iteration: int
    goes_on_from: int | None
    best: int
    alarms: tuple[Alarm, ...] = ()

    @property
    def decision(self) -> str:
        """In words."""
        if self.goes_on_from is None:
            return f"the loop ends; {_named(self.best)} is the best"
        if self.goes_on_from < self.iteration:
            return f"the next iteration starts from {_named(self.goes_on_from)}"
        return "the loop goes on"


def decide(seen: Sequence[Health], settings: GuardSettings) -> Verdict:
    """The verdict on the last iteration in `seen`, which holds the base first and every iteration since."""
    blamed: set[int] = set()
    start = rollbacks = 0
    verdict = Verdict(0, 0, 0)
    for k in range(1, len(seen)):
        raised = alarms(seen[: k + 1], settings)
        acting = [alarm for alarm in raised if alarm.response != "warn"]
        blamed |= ({k} if acting else set()) | ({start} if any(alarm.about_voter for alarm in acting) else set())
        best = _best([health for health in seen[: k + 1] if health.iteration not in blamed - {0}], settings)
        goes_on_from = _next(k, best, acting, settings, rollbacks)
        if goes_on_from is not None:
            rollbacks += goes_on_from != k
            start = goes_on_from
        verdict = Verdict(k, goes_on_from, best, tuple(raised))
    return verdict


def alarms(seen: Sequence[Health], settings: GuardSettings) -> list[Alarm]:
    """The rules that the last iteration in `seen` breaks; those before it, base first, are what it is compared with."""
    found = []
    for rule in RULES:
        limit, value = getattr(settings, rule.limit), rule.figure(seen)
        if limit is None or value is None:
            continue
        if value < limit if rule.limit.startswith("min") else value > limit:
            k = seen[-1].iteration
            found.append(Alarm(k, rule.name, value, limit, rule.meaning, rule.about_voter, rule.response))
    return found


def _next(k: int, best: int, acting: Sequence[Alarm], settings: GuardSettings, rollbacks: int) -> int | None:
    if not acting or settings.action in (None, "warn"):
        return k
    helps = any(alarm.response == "any" for alarm in acting)
    return best if settings.action == "rollback" and helps and rollbacks < settings.rollbacks else None


def _best(candidates: Sequence[Health], settings: GuardSettings) -> int:
    audited = [health for health in candidates if health.audit_accuracy is not None]
    if audited and settings.max_audit_fall is not None:
        return max(audited, key=lambda health: (health.audit_accuracy, health.iteration)).iteration
    return candidates[-1].iteration


def _of_labels(name: str) -> Figure:
    return lambda seen: getattr(seen[-1].labels, name, None)


def _of_training(*names: str) -> Figure:
    """The largest one of both roles'."""

    def figure(seen: Sequence[Health]) -> float | None:
        found = [getattr(role, name, None) for role in (seen[-1].questioner, seen[-1].reasoner) for name in names]
        return max((value for value in found if value is not None), default=None)

    return figure


def _fall(name: str) -> Figure:
    """How far the last one lies under the highest of all; None where there is none before it."""

    def figure(seen: Sequence[Health]) -> float | None:
        last = getattr(seen[-1], name)
        earlier = [value for health in seen[:-1] if (value := getattr(health, name)) is not None]
        return None if last is None or not earlier else max(earlier) - last

    return figure


def _distinct_fall(seen: Sequence[Health]) -> float | None:
    found = [health.labels.distinct for health in seen if health.labels]
    return 1 - found[-1] / found[0] if seen[-1].labels and found[0] else None


def _length_factor(seen: Sequence[Health]) -> float | None:
    """Of the role that is further from the first steps of its first training; a half counts as much as the double."""
    factors = []
    for role in ("questioner", "reasoner"):
        trained = [training for health in seen if (training := getattr(health, role)) is not None]
        before, now = (trained[0].tokens_first, trained[-1].tokens_last) if trained else (None, None)
        if getattr(seen[-1], role) is not None and before and now:
            factors.append(max(now / before, before / now))
    return max(factors, default=None)


def _label_gap(seen: Sequence[Health]) -> float | None:
    labels, trained = seen[-1].labels, seen[-1].reasoner
    if labels is None or trained is None or labels.kept_confidence is None or trained.agrees_first is None:
        return None
    return labels.kept_confidence - trained.agrees_first


def _named(iteration: int) -> str:
    return f"iteration {iteration}" if iteration else "the base"


RULES = (
    Rule("few valid questions", "min_valid", _of_labels("valid"), "what the Questioner writes holds no question"),
    Rule("fewer questions", "max_distinct_fall", _distinct_fall, "the Questioner asks the same more and more often"),
    Rule("one question", "max_one_question", _of_labels("one_question"), "it asks the same whatever the image shows"),
    Rule("one answer", "max_one_answer", _of_labels("one_answer"), "the Reasoner votes the same on everything", True),
    Rule(
        "one answer in training",
        "max_one_answer",
        lambda seen: seen[-1].reasoner.one_answer_last if seen[-1].reasoner else None,
        "the Reasoner has learned to say the same to everything",
    ),
    Rule("one-sided", "max_one_sided", _of_labels("one_sided"), "nearly all votes are yes, or nearly all are no", True),
    Rule(
        "no doubt",
        "min_vote_entropy",
        _of_labels("vote_entropy"),
        "whatever the Reasoner is asked, all of its votes agree",
        response="stop",
    ),
    Rule(
        "needs no image",
        "max_blind_share",
        lambda seen: seen[-1].blind_share,
        "most silver answers are given without the image as well",
    ),
    Rule("unanswerable", "max_unanswerable", _of_labels("unanswerable"), "too many questions are voted unanswerable"),
    Rule(
        "nothing left to learn",
        "max_confidence",
        _of_labels("confidence"),
        "the Reasoner is sure of its answers to fresh questions",
        response="stop",
    ),
    Rule("labels not its own", "max_label_gap", _label_gap, "the Reasoner was sure of other answers than its labels"),
    Rule("length", "max_length_factor", _length_factor, "completions have another length than at the start"),
    Rule("truncated", "max_truncated", _of_training("truncated_last"), "completions do not come to an end"),
    Rule("KL", "max_kl", _of_training("kl_last", "kl_start"), "a training went far from where it began"),
    Rule("unscored", "max_unscored", _of_training("unscored"), "rewards could not be computed"),
    Rule("audit fall", "max_audit_fall", _fall("audit_accuracy"), "silver answers are less often true by audit", True),
    Rule(
        "held-out fall",
        "max_heldout_fall",
        _fall("greedy"),
        "held-out accuracy is below that of an earlier checkpoint",
        response="warn",
    ),
)
