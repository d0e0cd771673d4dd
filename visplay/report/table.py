"""The table at the end of a run: what each checkpoint can do, where its labels came from, and what it gained.

It only lays out figures; `ScoreRow` says what each one means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from visplay.report.cells import ABSENT, decimal, grid, number, percent, points, span
from visplay.report.gains import benchmarks, families, gain, taken
from visplay.report.scores import ScoreRow
from visplay.report.trust import TrustFigures

_ROLES = ("questioner", "reasoner")


def render(rows: Sequence[ScoreRow]) -> str:
    """The whole account as text, base first: scores, labels with every candidate in them, audit, families, benchmarks.

    Last what was gained by the checkpoint to take. Accuracies and shares are printed in percent. Parts without any
    figure are left out.
    """
    parts = [_scores(rows), _labels(rows), _trust(rows), _health(rows), _guard(rows)]
    parts += [families(rows), benchmarks(rows), gain(rows)]
    return "\n\n".join(part for part in parts if part)


def _scores(rows: Sequence[ScoreRow]) -> str:
    header = ["held-out accuracy, %", "greedy", "95 % interval", "gain", "95 % interval", "one sample", "majority"]
    body = [
        [
            row.name,
            percent(row.greedy),
            span(row.greedy_interval),
            points(row.gain),
            span(row.gain_interval, signed=True),
            percent(row.one_sample),
            percent(row.majority),
        ]
        for row in rows
    ]
    made_of = [_parts(row) for row in rows if row.gain_parts]
    return "\n".join([grid(header, body), *made_of]) if any(row.greedy is not None for row in rows) else ""


def _parts(row: ScoreRow) -> str:
    """What a gain is made of: a model that abstains less, or is cut off less, may know no more."""
    shown = (
        f"{name} {points(mean)} ({span((low, high), signed=True)})"
        for name, (mean, low, high) in row.gain_parts.items()
    )
    return f"{row.name}, gain by {', '.join(shown)}; {percent(row.abstained)} % called unanswerable"


def _labels(rows: Sequence[ScoreRow]) -> str:
    asked = [row for row in rows if row.candidates is not None]
    header = [
        "silver labels",
        "candidates",
        "kept",
        "kept, %",
        "kept right, %",
        "mean confidence",
        "distinct questions",
    ]
    body = [
        [
            row.name,
            number(row.candidates),
            number(row.kept),
            percent(row.kept_share),
            percent(row.silver_accuracy),
            ABSENT if row.mean_confidence is None else f"{row.mean_confidence:.2f}",
            number(row.distinct_questions),
        ]
        for row in asked
    ]
    sight = [_sight(row) for row in asked if row.blind_share is not None]
    cost = [_cost(row) for row in asked if row.votes and (row.second_votes or row.blind_votes or row.audit_votes)]
    return "\n".join([grid(header, body), *map(_accounting, asked), *sight, *cost]) if asked else ""


def _accounting(row: ScoreRow) -> str:
    """One line in which the candidates add up."""
    dropped = sorted((row.dropped or {}).items(), key=lambda item: (-item[1], item[0]))
    reasons = "".join(f" + {count} {reason}" for reason, count in dropped if count)
    return f"{row.name}: {row.candidates} candidates = {row.kept} kept{reasons}"


def _sight(row: ScoreRow) -> str:
    before, after = percent(row.blind_share), percent(row.blind_share_kept)
    return f"{row.name}: blind votes give the silver answer {before} %, of the kept rows {after} %"


def _cost(row: ScoreRow) -> str:
    """What the votes beyond the first pass cost, against it."""
    extra = {"in a second pass": row.second_votes, "blind": row.blind_votes, "for the audit": row.audit_votes}
    shown = (f"{count} {name} ({points(count / row.votes)} %)" for name, count in extra.items() if count and row.votes)
    return f"{row.name}: {row.votes} votes, {', '.join(shown)}"


def _health(rows: Sequence[ScoreRow]) -> str:
    """A line for each iteration: its questions and votes, and of its trainings how they ended."""
    header = ["health, %", "valid", "unique", "answer", "entropy", "easy"]
    header += ["unscored", "equal", "cut off", "tokens", "KL"]
    body = [
        [
            row.name,
            *(percent(row.health["set"][name]) for name in ("valid", "distinct", "one_answer")),
            decimal(row.health["set"]["vote_entropy"]),
            percent(row.health["set"]["imbalance"]),
            *(_pair(row, name, percent) for name in ("unscored", "zero_variance", "truncated_last")),
            _drift(row),
            _kl(row),
        ]
        for row in rows
        if row.health.get("set")
    ]
    note = (
        "Valid and unique questions, most frequent silver answer, entropy of votes, too easy less too hard.\n"
        "Of both roles' training: unscored, groups of equal rewards, cut off, tokens, KL."
    )
    return "\n".join([grid(header, body), note, *filter(None, map(_far, rows))]) if body else ""


def _far(row: ScoreRow) -> str:
    """KL of both roles to the base; empty where it was not measured."""
    found = {role: row.health.get(role, {}).get("kl_base") for role in _ROLES}
    shown = ", ".join(f"{role} {decimal(figure)}" for role, figure in found.items() if figure is not None)
    return f"{row.name}: KL to the base, {shown}" if shown else ""


def _pair(row: ScoreRow, name: str, show: Callable[[float | None], str]) -> str:
    """A figure of both trainings."""
    return "/".join(show(row.health.get(role, {}).get(name)) for role in _ROLES)


def _kl(row: ScoreRow) -> str:
    """KL of both roles to the start of their training: of the result where it was measured, else of the last steps."""
    found = [row.health.get(role, {}) for role in _ROLES]
    return "/".join(decimal(_first(each.get("kl_start"), each.get("kl_last"))) for each in found)


def _first(*figures: float | None) -> float | None:
    return next((figure for figure in figures if figure is not None), None)


def _drift(row: ScoreRow) -> str:
    """Mean length of completions in the first and the last steps of both trainings."""
    ends = ("tokens_first", "tokens_last")
    found = [[row.health.get(role, {}).get(end) for end in ends] for role in _ROLES]
    return "/".join("→".join(ABSENT if each is None else f"{each:.0f}" for each in pair) for pair in found)


def _guard(rows: Sequence[ScoreRow]) -> str:
    """Every alarm and every decision, and which checkpoint the guard would take."""
    judged = [row for row in rows if row.guard]
    lines = [f"{row.name}, guard: {alarm['text']}" for row in judged for alarm in row.guard["alarms"]]
    lines += [f"{row.name}, guard: {row.guard['decision']}" for row in judged if row.guard["alarms"]]
    return "\n".join([*lines, f"guard: take {taken(rows).name}"] if judged else lines)


def _trust(rows: Sequence[ScoreRow]) -> str:
    """The audit, or that there is none, and whether the labels are all the model's own."""
    asked = [row for row in rows if row.candidates is not None]
    parts = [_audit(asked), *(_origin(row) for row in asked if row.anchor_share is not None)]
    return "\n".join(part for part in parts if part)


def _audit(rows: Sequence[ScoreRow]) -> str:
    header = ["audit, %", "kept right", "well-posed", "ill-posed", "valid", "AUROC", "calibration"]
    body = [line for row in rows if row.audit for line in _audited(row.name, row.audit)]
    if body:
        return grid(header, body)
    unknown = any(row.kept for row in rows) and all(row.silver_accuracy is None for row in rows)
    return "no audit: nobody knows the true answers on these images" if unknown else ""


def _audited(name: str, found: TrustFigures) -> list[list[str]]:
    """Figures as one line, their intervals as the next."""
    rates = (found.silver_accuracy, found.well_posed_accuracy, found.ill_posed_share, found.validity)
    means = [percent(rate.mean if rate else None) for rate in rates]
    spans = [span((rate.low, rate.high) if rate else None) for rate in rates]
    return [
        [name, *means, percent(found.auroc), percent(found.calibration_error)],
        ["95 % interval", *spans, "", span(found.calibration_interval)],
    ]


def _origin(row: ScoreRow) -> str:
    """One line on where the labels came from that a checkpoint was trained on."""
    replayed = f", {percent(row.replay_share)} % of the rows replayed" if row.replay_share else ""
    anchors = f"{percent(row.anchor_share)} % of the rows are anchors with true answers"
    chosen = "steered by what an audit knows" if row.audit_steers else "label-free"
    return f"{row.name}: {anchors if row.anchor_share else chosen}{replayed}"
