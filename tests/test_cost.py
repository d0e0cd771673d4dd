"""What a row of the scores says that its votes cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_loop import ROOT, small

from visplay import pool, stages
from visplay.report import ScoreRow
from visplay.runs import Run, summarise


def scored(directory: Path, **drawn: int) -> ScoreRow:
    """The row of an unmeasured iteration whose audit, if there was one, drew these votes."""
    recipe = small("evaluation.world=null")
    with Run.open(directory, recipe) as run:
        if drawn:
            run.stage(1, "audit_label", lambda folder: summarise(folder, {"candidates": 9, **drawn}), inputs={})
        return stages.score(run, recipe, 1, "data/base", None, pool.load(run, recipe))


def test_every_pass_of_an_audit_counts_as_its_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert scored(tmp_path / "two", votes=60, second_votes=12).audit_votes == 72
    assert scored(tmp_path / "blind", votes=60, second_votes=12, blind_votes=20).audit_votes == 92
    assert scored(tmp_path / "none").audit_votes is None
