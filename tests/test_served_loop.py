"""The loop by the engine vllm, on a small server that writes with the engine transformers: it is the same loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import running
from small_loop import ROOT, STAGES, Loop, rows, scores, small
from vllm_dialect import BASE, RealServer

from visplay.engine.served import served_name
from visplay.evolve import evolve
from visplay.runs import ledger


class Checkpoints:
    """The base, and what a run has made so far, by the names that they must be served under."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def __iter__(self) -> Iterator[str]:
        return iter(self.found())

    def found(self) -> dict[str, Path]:
        return {served_name(folder): folder for folder in (BASE, *self.run.glob("iter_*/*/checkpoint"))}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RealServer]:
    """One iteration by the engine vllm, and the server, which always serves every checkpoint."""
    run = tmp_path_factory.mktemp("served") / "run"
    names = Checkpoints(run)
    with pytest.MonkeyPatch.context() as patch, running(server := RealServer(lambda name: names.found()[name], names)):
        patch.chdir(ROOT)
        evolve(small("iterations=1", "sampling.engine=vllm", f"sampling.servers=[{server.url}]"), run)
    return run, server


def test_every_stage_asks_its_own_checkpoint(served: tuple[Path, RealServer]) -> None:
    run, server = served
    assert {line["stage"] for line in ledger.read(run) if line["iteration"] == 1} == set(STAGES)
    trained = [run / "iter_01" / role / "checkpoint" for role in ("questioner", "reasoner")]
    assert {body["model"] for body in server.bodies} == {served_name(folder) for folder in (BASE, *trained)}


def test_the_base_scores_as_by_the_engine_transformers(served: tuple[Path, RealServer], loop: Loop) -> None:
    ours, theirs = scores(served[0])[0], scores(loop.directory)[0]
    for figure in ("greedy", "by_family", "greedy_reasoned", "short_cut_share", "benchmarks"):
        assert ours[figure] == theirs[figure]


def test_candidates_and_votes_are_all_there(served: tuple[Path, RealServer]) -> None:
    silver = rows(served[0] / "iter_01" / "label" / "silver.jsonl")
    assert len(silver) == 12
    assert {len(row["ballot"]["votes"]) for row in silver if row["ballot"]} == {6}
    assert not [line for line in ledger.read(served[0]) if "unanswered" in line["summary"]]
