"""The truth never reaches training: the loop learns the same where the truth cannot be had, and sees only pixels."""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image
from small_loop import MEASURE, ROOT, STAGES, Loop, differing, rows, scores, small

from visplay.evolve import evolve
from visplay.runs import ledger
from visplay.worlds import grammar, scenes


class TruthWasAskedFor(BaseException):
    """Not an Exception, so that nothing on the way takes it for an error of its own."""


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise TruthWasAskedFor


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nobody learns what is in a scene, and no question has a true answer."""
    for module, name in ((grammar, "truth"), (grammar, "matching"), (scenes, "scene"), (scenes, "scene_of")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.chdir(ROOT)


def committed(directory: Path) -> list[tuple[int, str]]:
    return [(line["iteration"], line["stage"]) for line in ledger.read(directory)]


def chunks(png: bytes) -> Iterator[str]:
    """The kinds of the chunks of a PNG file, in order."""
    position = 8
    while position < len(png):
        size, kind = struct.unpack_from(">I4s", png, position)
        yield kind.decode()
        position += size + 12


def test_only_the_score_asks_for_the_truth(loop: Loop, tmp_path: Path, poisoned: None) -> None:
    again = shutil.copytree(loop.directory, tmp_path / "again")
    for k in (1, 2):
        shutil.rmtree(again / f"iter_0{k}")
    before = len(committed(again))
    with pytest.raises(TruthWasAskedFor):
        evolve(small(), again)
    assert committed(again)[before:] == [(1, stage) for stage in STAGES if stage not in MEASURE]
    assert differing(again, loop.directory, iterations=[1]) == []


def said(row: dict[str, object]) -> set[str]:
    """The figures that a row has."""
    return {name for name, value in row.items() if value is not None and value is not False and value != {}}


def test_a_folder_of_the_same_pixels_teaches_the_same_and_leaves_unmeasured_what_nobody_knows(
    loop: Loop, tmp_path: Path, poisoned: None
) -> None:
    mine = tmp_path / "holidays"
    mine.mkdir()
    for path in sorted((loop.directory / "iter_00" / "images" / "images").iterdir()):
        shutil.copy(path, mine / f"picture {path.name}")
    unmeasured = ("evaluation.world=null", "evaluation.benchmarks=[]")
    evolve(small(f"pool.source={mine}", *unmeasured, "iterations=1"), tmp_path / "run")
    assert committed(tmp_path / "run") == [(0, "pool"), (0, "score"), *((1, stage) for stage in STAGES[:-1])]
    assert differing(tmp_path / "run", loop.directory, iterations=[1]) == []
    known = {"iteration", "checkpoint", "candidates", "kept", "dropped", "mean_confidence", "distinct_questions"}
    known |= {"distinct_kept", "votes", "second_votes"}
    known.add("health")
    known |= {"anchor_share", "replay_share"}
    base, row = scores(tmp_path / "run")
    assert said(base) == {"iteration", "checkpoint"}
    assert said(row) == known


def test_an_audit_and_what_it_takes_for_the_truth_change_nothing_that_is_trained(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(grammar, "truth", lambda *_: "a lie")
    audited = ("audit.images=4", "evaluation.world=null", "evaluation.benchmarks=[]", "guard.action=warn")
    evolve(small(*audited), tmp_path / "run")
    told = {line["truth"] for k in (1, 2) for line in rows(tmp_path / "run" / f"iter_0{k}" / "audit" / "audit.jsonl")}
    assert told - {None} == {"a lie"}
    assert differing(tmp_path / "run", loop.directory, iterations=[1, 2]) == []


def test_the_files_that_the_loop_is_shown_hold_pixels_and_nothing_else(loop: Loop) -> None:
    shown = sorted((loop.directory / "iter_00" / "images" / "images").rglob("*"))
    assert [path.name for path in shown] == [f"{number:06d}.png" for number in range(30)]
    for path in shown:
        encoded = path.read_bytes()
        assert set(chunks(encoded)) == {"IHDR", "IDAT", "IEND"}
        with Image.open(path) as image:
            pixels = np.asarray(image)
        again = io.BytesIO()
        Image.fromarray(pixels).save(again, "PNG")
        assert again.getvalue() == encoded  # the same pixels give the same file: there is no room for more
