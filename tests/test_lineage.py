"""Which iterations led to which, by committed verdicts: what was gone back from is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from committed import candidate, commit

from visplay.labelling import earlier_audit
from visplay.lineage import led_to, same_voter, start_of
from visplay.recipe import GuardSettings, LabelSettings, PoolSettings, Recipe
from visplay.runs import Run
from visplay.sifting import label_stages, memory

RECIPE = Recipe(model="base", pool=PoolSettings(source="world:scenes"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "run", RECIPE) as opened:
        yield opened


def verdicts(run: Run, *goes_on_from: int) -> None:
    for k, start in enumerate(goes_on_from, 1):
        commit(run, k, "guard", {"verdict.json": {"goes_on_from": start}})


def test_without_a_guard_each_iteration_follows_the_one_before(run: Run) -> None:
    assert [start_of(run.directory, k) for k in (1, 2, 3)] == [0, 1, 2]
    assert led_to(run.directory, 4) == [1, 2, 3]
    assert led_to(run.directory, 1) == []
    assert same_voter(run.directory, 3) is None


def test_what_was_gone_back_from_led_to_nothing(run: Run) -> None:
    verdicts(run, 1, 1, 3, 3, 0)  # 2 was given up, so was 4, then all of it: 6 starts from the base
    assert [start_of(run.directory, k) for k in (1, 2, 3, 4, 5, 6)] == [0, 1, 1, 3, 3, 0]
    assert led_to(run.directory, 3) == [1]
    assert led_to(run.directory, 5) == [1, 3]
    assert led_to(run.directory, 6) == []
    assert [same_voter(run.directory, k) for k in (3, 5, 6)] == [2, 4, 1]


def test_questions_of_an_iteration_that_was_given_up_were_never_asked(run: Run) -> None:
    for k, text in ((1, "What is red?"), (2, "What is blue?")):
        commit(run, k, "label", {"silver.jsonl": [candidate(0, ["a"], text)]})
    verdicts(run, 1, 1)
    assert memory(label_stages(run.directory, 3)) == {("short_text", "what is red"): 1}


def test_trust_is_learned_from_the_audit_in_which_the_same_reasoner_voted(run: Run) -> None:
    for k in (1, 2, 3):
        commit(run, k, "audit", {"audit.jsonl": []})
    learning = Recipe(labels=LabelSettings(trust_from="words", trust_low=0.5), guard=GuardSettings(action="rollback"))
    assert earlier_audit(run.directory, learning, 4) == run.directory / "iter_03" / "audit"
    verdicts(run, 1, 2, 0)
    assert earlier_audit(run.directory, learning, 4) == run.directory / "iter_01" / "audit"
    assert earlier_audit(run.directory, RECIPE, 4) is None
