"""Between votes and silver rows: what only more votes, or earlier iterations, can tell of a row.

Blind votes on the rows that passed every test before are left in `blind.jsonl` of the label stage, a line for each row
and way of not seeing. What earlier iterations kept is read from their committed label stages.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from visplay.engine.sampling import Sampler
from visplay.images import PoolImage
from visplay.labels.blind import agreement, lowest, needs_no_image
from visplay.labels.silver import kept_texts
from visplay.lineage import led_to
from visplay.recipe import Recipe
from visplay.records import SilverAnswer, read_jsonl, silver_answer, write_jsonl
from visplay.roles import blind

_VOTES = "blind.jsonl"


def sift(
    rows: list[SilverAnswer],
    sampler: Sampler,
    images: Mapping[str, PoolImage],
    recipe: Recipe,
    seed: int,
    folder: Path,
) -> list[SilverAnswer]:
    """Drop rows that need no image, and leave the blind votes in `folder`; as they are without `labels.blind`."""
    settings = recipe.labels
    if not settings.blind:
        return rows
    passed = [row for row in rows if row.dropped is None]
    lines = [
        line for i, view in enumerate(settings.blind) for line in _look(passed, sampler, images, recipe, seed + i, view)
    ]
    write_jsonl(folder / _VOTES, lines)
    shares = _shares(lines)
    return [
        dataclasses.replace(row, dropped="needs no image")
        if row.question and needs_no_image(shares.get(row.question.id), row.question, settings.blind_share)
        else row
        for row in rows
    ]


def blindness(rows: Sequence[SilverAnswer], labelled: Path) -> dict[str, float | None]:
    """How often blind votes give the silver answer: before the filter, and of the rows that are kept; and their number.

    Empty where nobody voted blind.
    """
    if not (labelled / _VOTES).is_file():
        return {}
    lines = list(read_jsonl(labelled / _VOTES))
    shares = _shares(lines)
    kept = [row.question.id for row in rows if row.dropped is None and row.question]
    return {
        "blind_share": _mean(shares.values()),
        "blind_share_kept": _mean(shares[name] for name in kept),
        "blind_votes": sum(len(line["votes"]) for line in lines),
    }


def label_stages(directory: Path, k: int) -> list[Path]:
    """The label stages of the iterations that led to iteration k, oldest first."""
    stages = (directory / f"iter_{j:02d}" / "label" for j in led_to(directory, k))
    return [stage for stage in stages if stage.is_dir()]


def memory(stages: Iterable[Path]) -> Counter[tuple[str, str]]:
    """How often each question, by type and folded text, was kept by these label stages."""
    found: Counter[tuple[str, str]] = Counter()
    for stage in stages:
        found += kept_texts([silver_answer(row) for row in read_jsonl(stage / "silver.jsonl")])
    return found


def _look(
    rows: Sequence[SilverAnswer],
    sampler: Sampler,
    images: Mapping[str, PoolImage],
    recipe: Recipe,
    seed: int,
    view: str,
) -> list[dict[str, Any]]:
    """What is answered without seeing, and how often that is the silver answer."""
    asked = [(images[row.image_id], row.question) for row in rows if row.question]
    ballots = blind.vote(sampler, asked, recipe, seed, view, recipe.labels.blind_votes, view.replace("_", " "))
    lines = []
    for row, ballot in zip(rows, ballots, strict=True):
        assert row.question is not None and row.ballot is not None and row.ballot.answer is not None
        share = agreement(ballot, row.ballot.answer, row.question)
        lines.append({"question": row.question.id, "view": view, "votes": ballot.votes, "agreement": share})
    return lines


def _shares(lines: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The agreement of each row, by the id of its question."""
    found: dict[str, list[float | None]] = {}
    for line in lines:
        found.setdefault(line["question"], []).append(line["agreement"])
    return {name: lowest(shares) for name, shares in found.items()}


def _mean(shares: Iterable[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return fmean(known) if known else None
