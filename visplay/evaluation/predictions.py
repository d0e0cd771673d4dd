"""What a model wrote: predictions.jsonl, one object a line with at least `id` and `response`, written by any tool.

Also read are `truncated` (true when the completion was cut off at its limit; or `finish_reason`: "length") and
`verdict` (a judge's 0, 1 or 2). Predictions meet their items by id, never by position. `settings.json` beside the
file, where there is one, says how the model was asked; it goes into the report as it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from visplay.errors import VisplayError
from visplay.evaluation.items import Item, Prediction
from visplay.records import writable

SETTINGS = "settings.json"
_SHOWN = 5


class PredictionError(VisplayError, ValueError):
    """Predictions cannot be scored as they are; the message names ids or lines and the way out."""


def read_predictions(path: Path) -> list[Prediction]:
    """In the order of the file; blank lines are skipped. Raises PredictionError naming the first line that is bad."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"predictions {str(path)!r} cannot be read: {error}") from error
    return [_prediction(line, f"{path}:{at}") for at, line in enumerate(lines, 1) if line.strip()]


def read_settings(path: Path) -> dict[str, Any]:
    """How the predictions in `path` were made, as noted beside them; empty when nothing was."""
    beside = path.parent / SETTINGS
    if not beside.is_file():
        return {}
    try:
        settings = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PredictionError(f"{beside} is not JSON: {error}; mend it or take it away") from error
    return settings if isinstance(settings, dict) else {"settings": settings}


def join(
    items: Sequence[Item], predictions: Iterable[Prediction], allow_missing: bool = False
) -> list[Prediction | None]:
    """The prediction for each item, in the order of the items; None where it is missing and that is allowed.

    Raises PredictionError for doubled ids of items or predictions, ids that no item has, and items without a
    prediction, each with the first few by name.
    """
    given = list(predictions)
    _refuse("ids stand twice in the data", _doubled(item.id for item in items), "make them unique")
    _refuse("ids are predicted twice", _doubled(one.id for one in given), "keep one prediction for each")
    by_id = {one.id: one for one in given}
    known = {item.id for item in items}
    _refuse(
        "predicted ids are not in the data", by_id.keys() - known, "check --benchmark, --data and --split, or drop them"
    )
    if not allow_missing:
        _refuse("items have no prediction", known - by_id.keys(), "predict them, or count them wrong: --allow-missing")
    return [by_id.get(item.id) for item in items]


def fingerprint(values: Iterable[object]) -> str:
    """SHA-256 (hex) of the set of values' JSON forms, whatever their order."""
    lines = sorted(json.dumps(value, sort_keys=True, ensure_ascii=False) for value in values)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _prediction(line: str, place: str) -> Prediction:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PredictionError(f"{place} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise PredictionError(f"{place} is no JSON object: {line.strip():.60}; write one object a line")
    name, response = row.get("id"), row.get("response")
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise PredictionError(f"{place}: id is {name!r}; each line needs an id as text or whole number, and a response")
    if not isinstance(response, str):
        raise PredictionError(f'{place}: the response to {name} is {response!r:.60}; write text, "" for none')
    truncated = row.get("truncated", row.get("finish_reason") == "length")
    if not isinstance(truncated, bool):
        raise PredictionError(f"{place}: truncated is {truncated!r}; use true or false")
    return Prediction(writable(str(name)), writable(response), truncated, _verdict(row.get("verdict"), place))


def _verdict(value: Any, place: str) -> int | None:
    if value is None or value == "":
        return None
    if str(value) not in ("0", "1", "2"):
        raise PredictionError(f"{place}: verdict is {value!r}; use 0 wrong, 1 right or 2 unclear")
    return int(value)


def _doubled(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _refuse(what: str, names: Iterable[str], way_out: str) -> None:
    found = sorted(names)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise PredictionError(f"{len(found)} {what}: {', '.join(found[:_SHOWN])}{more}; {way_out}")
