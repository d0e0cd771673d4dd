"""Items and predictions under a named protocol -> judgements, and figures with intervals.

    score(benchmark, items, predictions, protocol) -> Score
    score_file(benchmark, predictions.jsonl, ...)  -> the same from what lies on the disk

Three protocols: "official" is the authors' rule to the letter, "strict" reads every response in the project's own way,
"judge" asks a model that the caller brings. No model runs here. Items are taken in the order of their ids, so that
neither the order of the data nor that of the predictions can matter.
"""

from __future__ import annotations

import dataclasses
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias, get_args

from visplay.errors import VisplayError
from visplay.evaluation.benchmark import Benchmark
from visplay.evaluation.data import chosen_split, read_rows
from visplay.evaluation.figures import Figures
from visplay.evaluation.items import Item, Judgement, Prediction, Status, judged, letter
from visplay.evaluation.predictions import fingerprint, join, read_predictions, read_settings
from visplay.evaluation.strict import judge_strictly
from visplay.recipe.limits import BENCHMARKS

# What a judge makes of predictions, one judgement each, in their order.
Judge: TypeAlias = Callable[[Sequence[Item], Sequence[Prediction]], Sequence[Judgement]]

_PACKAGES = ("visplay", "numpy", "scipy", "pyarrow", "datasets", "math-verify")


class ScoreError(VisplayError, ValueError):
    """What was asked for cannot be scored; the message names the way out."""


@dataclass(frozen=True)
class Score:
    """Everything that is known about one set of predictions; `judgements[i]` belongs to `items[i]`, sorted by id."""

    benchmark: str
    protocol: str
    items: tuple[Item, ...]
    judgements: tuple[Judgement, ...]
    figures: Figures
    baselines: Mapping[str, Figures]  # of answers that look at nothing, such as "always A"
    counts: Mapping[str, int]  # by status, and `cut off`, `missing`, `errors`; those overlap with the statuses
    facts: Mapping[str, Any] = field(default_factory=dict)  # split, settings, fingerprints, versions, ...


def score(
    benchmark: Benchmark,
    items: Sequence[Item],
    predictions: Sequence[Prediction],
    protocol: str = "strict",
    *,
    judge: Judge | None = None,
    allow_missing: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Score:
    """Judge every prediction and add up. A missing prediction that is allowed is unparsed and wrong.

    `facts` go into the report beside what is found out here. Raises ScoreError for a protocol that the benchmark does
    not have or that lacks its judge, and PredictionError for ids that do not match.
    """
    check_protocol(benchmark, protocol, judge)
    items = sorted(items, key=lambda item: item.id)
    joined = join(items, predictions, allow_missing)
    judgements = _judgements(benchmark, items, joined, protocol, judge)
    if all(judgement.expected is None for judgement in judgements):
        raise ScoreError(f"no prediction could be judged; the first says: {judgements[0].error}")
    return Score(
        benchmark.NAME,
        protocol,
        tuple(items),
        tuple(judgements),
        benchmark.figures(items, judgements),
        {name: benchmark.figures(items, answers) for name, answers in _constants(items).items()},
        _counts(joined, judgements),
        _facts(benchmark, items, predictions, protocol) | dict(facts or {}),
    )


def score_file(
    benchmark: Benchmark,
    predictions: Path,
    protocol: str = "strict",
    *,
    data: str = "",
    split: str = "",
    judge: Judge | None = None,
    allow_missing: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> Score:
    """`score` for a predictions.jsonl; `data` and `split` as in `read_rows`. Raises VisplayError for what is bad."""
    check_protocol(benchmark, protocol, judge)
    written = read_predictions(predictions)
    found = {
        "data": data or benchmark.SOURCE,
        "split": chosen_split(benchmark, data, split),
        "settings": read_settings(predictions),
    }
    items = benchmark.items(read_rows(benchmark, data, split))
    return score(
        benchmark, items, written, protocol, judge=judge, allow_missing=allow_missing, facts=found | dict(facts or {})
    )


def check_protocol(benchmark: Benchmark, protocol: str, judge: Judge | None = None, answers_only: bool = False) -> None:
    """Raise ScoreError unless the benchmark can be scored under the protocol with what is there.

    `answers_only`: the predictions are a model's answers, without any verdict beside them.
    """
    if protocol not in benchmark.PROTOCOLS:
        raise ScoreError(f"{benchmark.NAME} has no protocol {protocol!r}; use {' or '.join(benchmark.PROTOCOLS)}")
    if answers_only and protocol == "official" and protocol not in BENCHMARKS.get(benchmark.NAME, ()):
        raise ScoreError(
            f"the official rule of {benchmark.NAME} reads verdicts, and a model gives answers; use --protocol strict "
            "or judge here, and `score` for predictions that hold a verdict"
        )
    if protocol == "judge" and judge is None:
        raise ScoreError(
            "the judge protocol needs a judge: name an OpenAI-compatible endpoint and its model, by --judge-url and "
            "--judge-model"
        )


def _judgements(
    benchmark: Benchmark,
    items: Sequence[Item],
    joined: Sequence[Prediction | None],
    protocol: str,
    judge: Judge | None,
) -> list[Judgement]:
    pairs = [(item, prediction) for item, prediction in zip(items, joined, strict=True) if prediction is not None]
    if protocol == "judge" and judge is not None:
        found = list(judge([item for item, _ in pairs], [prediction for _, prediction in pairs]))
    elif protocol == "official" and benchmark.official is not None:
        found = [benchmark.official(item, prediction) for item, prediction in pairs]
    else:
        found = [_strict(item, prediction) for item, prediction in pairs]
    by_id = {judgement.id: judgement for judgement in found}
    return [
        by_id[item.id] if prediction else judged(Prediction(item.id, ""), None, False)
        for item, prediction in zip(items, joined, strict=True)
    ]


def _strict(item: Item, prediction: Prediction) -> Judgement:
    verdict = judge_strictly(prediction.response, item.golds, item.kind, item.choices)
    return judged(prediction, verdict.answer, verdict.correct)


def _constants(items: Sequence[Item]) -> dict[str, list[Judgement]]:
    """What answering every item alike would be worth; an item that the answer does not fit is wrong."""
    most = max((len(item.choices) for item in items if item.kind == "choice"), default=0)
    answers = [letter(index) for index in range(most)]
    answers += ["yes", "no"] if any(item.kind == "yes_no" for item in items) else []
    return {f"always {answer}": [_constant(item, answer) for item in items] for answer in answers}


def _constant(item: Item, answer: str) -> Judgement:
    fits = item.kind == ("yes_no" if answer in ("yes", "no") else "choice")
    return judged(Prediction(item.id, answer), answer, fits and answer in item.golds)


def _counts(joined: Sequence[Prediction | None], judgements: Sequence[Judgement]) -> dict[str, int]:
    statuses = Counter(judgement.status for judgement in judgements)
    return {
        **{status: statuses[status] for status in get_args(Status)},
        "cut off": sum(prediction is not None and prediction.truncated for prediction in joined),
        "missing": sum(prediction is None for prediction in joined),
        "errors": sum(judgement.expected is None for judgement in judgements),
    }


def _facts(
    benchmark: Benchmark, items: Sequence[Item], predictions: Sequence[Prediction], protocol: str
) -> dict[str, Any]:
    return {
        "official_n": next(iter(benchmark.SIZES), None),
        "official_size": len(items) in benchmark.SIZES if benchmark.SIZES else None,
        "rule": benchmark.RULE if protocol == "official" else "",
        "fingerprints": {
            "data": fingerprint((item.id, item.kind, item.golds, item.choices, item.text) for item in items),
            "prompts": fingerprint((item.id, item.prompt) for item in items),
            "predictions": fingerprint(map(dataclasses.astuple, predictions)),
            "scorer": _scorer(),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }


def _scorer() -> str:
    """Of the code that reads and counts, whose version number stays while it changes."""
    package = Path(__file__).parents[1]
    files = [*(package / "evaluation").rglob("*.py"), *(package / "labels").rglob("*.py")]
    return fingerprint((file.relative_to(package).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"  # such as this project, run from its sources
