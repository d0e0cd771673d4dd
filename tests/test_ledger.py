import json
from pathlib import Path

import pytest

from visplay.runs import ledger
from visplay.runs.ledger import Took
from visplay.runs.results import digest, seal


@pytest.fixture
def commit(tmp_path):
    """A result as a run leaves it, with a summary."""

    def commit(iteration: str, stage: str, **inputs: int) -> Path:
        result = tmp_path / iteration / stage
        result.mkdir(parents=True)
        (result / "summary.json").write_text('{"kept": 3, "dropped": {"tie": 2}}')
        seal(result, inputs, tmp_path / "scratch", without="steps")
        return result

    return commit


def stages(directory: Path) -> list[tuple[int, str, float | None]]:
    return [(line["iteration"], line["stage"], line["seconds"]) for line in ledger.read(directory)]


def test_a_run_without_a_ledger_has_no_lines(tmp_path):
    assert ledger.read(tmp_path) == []


def test_a_line_says_when_from_what_and_what_came_out(tmp_path, commit):
    result = commit("iter_02", "label", votes=10)
    ledger.note(tmp_path, result, Took(0.25, 90.5, {"sample": 80.0001, "other": 10.25}))
    assert ledger.read(tmp_path) == [
        {
            "iteration": 2,
            "stage": "label",
            "result": digest(result),
            "inputs": {"votes": 10},
            "files": 1,
            "started": "1970-01-01T00:00:00.250+00:00",
            "ended": "1970-01-01T00:01:30.500+00:00",
            "seconds": 90.25,
            "parts": {"sample": 80.0, "other": 10.25},
            "summary": {"kept": 3, "dropped": {"tie": 2}},
        }
    ]


def test_a_torn_last_line_is_cut_off_and_its_result_noted_again(tmp_path, commit):
    ledger.note(tmp_path, commit("iter_01", "ask"), Took(1.0, 3.0, {}))
    ledger.note(tmp_path, commit("iter_01", "label"), Took(3.0, 4.0, {}))
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert stages(tmp_path) == [(1, "ask", 2.0)]
    ledger.mend(tmp_path)
    assert stages(tmp_path) == [(1, "ask", 2.0), (1, "label", None)]
    assert [json.loads(line)["stage"] for line in file.read_text().splitlines()] == ["ask", "label"]


def test_mending_a_whole_ledger_changes_nothing(tmp_path, commit):
    ledger.note(tmp_path, commit("iter_01", "ask"), Took(1.0, 3.0, {}))
    ledger.mend(tmp_path)
    assert stages(tmp_path) == [(1, "ask", 2.0)]


def test_a_separator_of_lines_inside_a_text_does_not_split_a_line(tmp_path, commit):
    result = commit("iter_01", "ask")
    (result / "summary.json").write_text(json.dumps({"family": "a\u2028b"}))
    ledger.note(tmp_path, result, Took(1.0, 3.0, {}))
    assert ledger.read(tmp_path)[0]["summary"] == {"family": "a\u2028b"}
