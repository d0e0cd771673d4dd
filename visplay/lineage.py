"""Which iterations led to which: without a guard each starts from the one before, else from where its verdict says.

Read from committed verdicts. What an iteration left that was gone back from is neither replayed nor remembered.
"""

from __future__ import annotations

import json
from pathlib import Path

VERDICT = "verdict.json"  # in the result of the stage `guard`


def start_of(directory: Path, k: int) -> int:
    """The iteration whose checkpoints iteration k of a run starts from, 0 for the base."""
    verdict = directory / f"iter_{k - 1:02d}" / "guard" / VERDICT
    if not verdict.exists():
        return k - 1
    goes_on_from: int = json.loads(verdict.read_text(encoding="utf-8"))["goes_on_from"]
    return goes_on_from


def led_to(directory: Path, k: int) -> list[int]:
    """The iterations that led to the checkpoints which iteration k starts from, oldest first."""
    start = start_of(directory, k)
    return [*led_to(directory, start), start] if start else []


def same_voter(directory: Path, k: int) -> int | None:
    """The last iteration before k that started from where k does, so that the same Reasoner voted in it, if any."""
    start = start_of(directory, k)
    return next((j for j in range(k - 1, 0, -1) if start_of(directory, j) == start), None)
