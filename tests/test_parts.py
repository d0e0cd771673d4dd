"""What the time of a stage goes into: each second in one part, by a clock that the test turns."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from small_loop import Loop

from visplay.runs import parts
from visplay.runs.ledger import Took
from visplay.runs.parts import LOAD, SAMPLE, UPDATE, part


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(parts.time, "perf_counter", made)
    parts.begin()
    yield made
    monkeypatch.undo()
    parts.begin()


def test_a_part_within_a_part_takes_its_time_out_of_that(clock: Clock) -> None:
    clock.now += 1
    with part(UPDATE):
        clock.now += 10
        with part(SAMPLE):
            clock.now += 100
            with part(SAMPLE):
                clock.now += 200
        clock.now += 20
    clock.now += 2
    assert parts.spent() == {SAMPLE: 300, UPDATE: 30, "other": 3}
    assert list(parts.spent()) == [SAMPLE, UPDATE, "other"]


def test_an_error_ends_its_part_and_a_new_beginning_forgets(clock: Clock) -> None:
    @part(LOAD)
    def fail() -> None:
        clock.now += 5
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            fail()
    clock.now += 1
    assert parts.spent() == {LOAD: 10, "other": 1}
    with part(LOAD):
        parts.begin()
        clock.now += 4
    assert parts.spent() == {LOAD: 4, "other": 0}


def test_parts_that_matter_are_said_beside_the_seconds() -> None:
    took = Took(10.0, 20.0, {"sample": 7.0, "other": 2.6, "save": 0.4})
    assert str(took) == "10.0 s (sample 7.0, other 2.6)"
    assert str(Took(10.0, 20.0, {"sample": 9.9, "other": 0.1})) == "10.0 s"


def test_the_stages_of_a_loop_say_what_their_time_went_into(loop: Loop) -> None:
    lines = [json.loads(line) for line in (loop.directory / "metrics.jsonl").read_text().splitlines()]
    found = {line["stage"]: line["parts"] for line in lines if line["kind"] == "stage"}
    assert {"load", "sample", "reward", "log-prob", "update", "save"} <= found["reasoner"].keys()
    assert {"load", "sample", "save"} <= found["label"].keys() and "update" not in found["label"]
    for line in lines:
        if line["kind"] == "stage":
            assert sum(line["parts"].values()) == pytest.approx(line["seconds"], abs=0.2)
    assert "reasoner: " in loop.stderr and "update " in loop.stderr
