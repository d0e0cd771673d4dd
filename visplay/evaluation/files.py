"""A score on the disk: scores.json with all figures, and samples.jsonl with every judgement."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visplay.evaluation.figures import Figures, Share
from visplay.evaluation.items import Item, Judgement
from visplay.evaluation.scoring import Score, ScoreError
from visplay.runs.results import make_folder, write_whole

SCORES, SAMPLES = "scores.json", "samples.jsonl"


def document(result: Score) -> dict[str, Any]:
    """What stands in scores.json; shares lie in [0, 1]."""
    return {
        "benchmark": result.benchmark,
        "protocol": result.protocol,
        "n": len(result.items),
        **result.facts,
        "counts": dict(result.counts),
        "figures": _plain(result.figures),
        "baselines": {name: _means(figures) for name, figures in result.baselines.items()},
    }


def check_folder(folder: Path, protocol: str) -> None:
    """Raise ScoreError when `folder` holds the scores of another protocol, which `write` would replace."""
    try:
        there = json.loads((folder / SCORES).read_text(encoding="utf-8"))["protocol"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if there != protocol:
        raise ScoreError(
            f"{folder} holds scores by the {there} protocol; for {protocol} scores of the same predictions use `score "
            f"--predictions` and another --out"
        )


def write(result: Score, folder: Path) -> None:
    """Leave samples.jsonl and, last, scores.json in `folder`; both are replaced whole."""
    make_folder(folder)
    rows = [_sample(item, judgement) for item, judgement in zip(result.items, result.judgements, strict=True)]
    samples = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = json.dumps(document(result), indent=2, ensure_ascii=False) + "\n"
    (folder / SCORES).unlink(missing_ok=True)  # never scores beside the samples of another run
    write_whole(folder / SAMPLES, samples, folder / f"{SAMPLES}.part")
    write_whole(folder / SCORES, text, folder / f"{SCORES}.part")


def _plain(figures: Figures) -> dict[str, Any]:
    """Shares as mappings of n, mean, low and high, the ends of the 95 % interval."""
    return {name: _leaf(value) if not isinstance(value, Mapping) else _plain(value) for name, value in figures.items()}


def _leaf(value: Share | float | None) -> Any:
    if not isinstance(value, Share):
        return value
    low, high = value.interval or (None, None)
    return {"n": value.n, "mean": value.mean, "low": low, "high": high}


def _means(figures: Figures) -> dict[str, Any]:
    return {
        name: _means(value) if isinstance(value, Mapping) else value.mean if isinstance(value, Share) else value
        for name, value in figures.items()
    }


def _sample(item: Item, judgement: Judgement) -> dict[str, Any]:
    return dataclasses.asdict(judgement) | {
        "golds": list(item.golds),
        "cluster": item.cluster or item.id,
        "groups": dict(item.groups),
    }
