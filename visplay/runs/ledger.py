"""The ledger of a run, DIR/ledger.jsonl: one line for each result that was committed, and when. Lines are only added.

This is the only place of a run where times are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visplay.runs import results

_WORTH_SAYING = 0.05  # of the whole


@dataclass(frozen=True)
class Took:
    """When a stage began and ended, in seconds since the epoch, and the seconds of each part of the work."""

    started: float
    ended: float
    parts: Mapping[str, float]

    def __str__(self) -> str:
        whole = self.ended - self.started
        shown = [f"{name} {seconds:.1f}" for name, seconds in self.parts.items() if seconds >= _WORTH_SAYING * whole]
        return f"{whole:.1f} s" + (f" ({', '.join(shown)})" if len(shown) > 1 else "")


def read(directory: Path) -> list[dict[str, Any]]:
    """The lines in order: iteration, stage, result (its digest), inputs, files (their number), started, ended, seconds,
    parts (seconds by part of the work), summary. The times are None where a crash came between a result and its line.

    A last line that is still being written, or was torn by a crash, is left out.
    """
    path = directory / "ledger.jsonl"
    whole = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in whole]


def note(directory: Path, result: Path, took: Took | None) -> dict[str, Any]:
    """Add the line of a committed result and return it."""
    entry = {**_identity(result), **_times(took), "summary": _summary(result)}
    with open(directory / "ledger.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return entry


def mend(directory: Path) -> None:
    """Cut off a line that was torn by a crash, and note the results that were committed without a line."""
    path = directory / "ledger.jsonl"
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    noted = {(entry["iteration"], entry["stage"], entry["result"]) for entry in read(directory)}
    for manifest in sorted(directory.glob(f"iter_*/*/{results.MANIFEST}")):
        found = _identity(manifest.parent)
        if (found["iteration"], found["stage"], found["result"]) not in noted:
            note(directory, manifest.parent, None)


def _identity(result: Path) -> dict[str, Any]:
    manifest = results.read_manifest(result) or {"inputs": {}, "files": {}}
    return {
        "iteration": int(result.parent.name.removeprefix("iter_")),
        "stage": result.name,
        "result": results.digest(result),
        "inputs": manifest["inputs"],
        "files": len(manifest["files"]),
    }


def _times(took: Took | None) -> dict[str, Any]:
    if took is None:
        return dict.fromkeys(("started", "ended", "seconds", "parts"))
    moments = (took.started, took.ended)
    clock = [datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds") for moment in moments]
    seconds = round(took.ended - took.started, 3)
    parts = {name: round(spent, 3) for name, spent in took.parts.items()}
    return {"started": clock[0], "ended": clock[1], "seconds": seconds, "parts": parts}


def _summary(result: Path) -> dict[str, Any]:
    path = result / "summary.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def described(summary: Mapping[str, Any]) -> str:
    """The summary as the end of a log line: `, kept 3, dropped (tie 2, too hard 1)`."""
    return "".join(f", {name} {_figure(value)}" for name, value in summary.items())


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({described(value).removeprefix(', ')})" if value else "0"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
