"""A checkpoint on benchmarks: asked, scored, and compared with the base, in a folder for each benchmark.

The folders hold what `tools/eval.py run` leaves, for its `score` and `compare` to read again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from visplay.evaluation.benchmarks import named
from visplay.evaluation.compare import compare
from visplay.evaluation.files import document, write
from visplay.evaluation.predict import Model, predict
from visplay.evaluation.predictions import SETTINGS
from visplay.evaluation.progress import PREDICTIONS
from visplay.evaluation.scoring import score_file
from visplay.evaluation.suite import places
from visplay.recipe import EvaluationSettings
from visplay.report import BenchmarkScore
from visplay.runs import STEPS
from visplay.runs.processes import ALONE, Processes


def evaluate(
    model: Model, settings: EvaluationSettings, folder: Path, base: Path | None, processes: Processes = ALONE
) -> dict[str, BenchmarkScore]:
    """The score on each of the benchmarks, by name; `base` is the folder of the base's scores, None for the base.

    What is answered so far is kept in folder/steps, so that a killed call goes on when it is made again. Several
    processes share the items; the first one scores, while the others get an empty answer.
    """
    found = places(settings.benchmarks, settings.data or "")
    for name, place in found.items():
        predict(named(name), model, folder / STEPS / name, data=place, place=(processes.rank, processes.count))
    processes.gather(None)
    if processes.rank:
        return {}
    return {name: _score(name, place, settings, folder, base) for name, place in found.items()}


def _score(name: str, place: str, settings: EvaluationSettings, folder: Path, base: Path | None) -> BenchmarkScore:
    asked, scored = folder / STEPS / name, folder / name
    result = score_file(named(name), asked / PREDICTIONS, settings.protocol, data=place)
    write(result, scored)
    for file in (PREDICTIONS, SETTINGS):
        shutil.copyfile(asked / file, scored / file)
    found = document(result)
    overall = found["figures"]["overall"]
    return BenchmarkScore(
        protocol=settings.protocol,
        n=found["n"],
        overall=overall["mean"],
        interval=None if overall["mean"] is None else (overall["low"], overall["high"]),
        unparsed=found["counts"]["unparsed"] + found["counts"]["truncated"],
        **(_gain(base / name, scored) if base else {}),
    )


def _gain(base: Path, scored: Path) -> dict[str, Any]:
    """Over the base on the same items; nothing where there is no overall figure."""
    for figure in compare(base, scored).figures:
        if figure.name == ("overall",):
            return {
                "gain": figure.difference.mean,
                "gain_interval": (figure.difference.low, figure.difference.high),
                "p": figure.p,
            }
    return {}
