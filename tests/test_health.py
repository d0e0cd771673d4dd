"""The health of an iteration: figures counted by hand, from results as they are committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from committed import candidate, commit, step, unparsed

from visplay.recipe import PoolSettings, Recipe
from visplay.report.health import Health, examine, set_health, training_health
from visplay.runs import Run

FOUR = [
    candidate(1, ["yes", "yes", "yes", "no"]),
    candidate(2, ["yes", "yes", None, None], text="Is it red?"),
    candidate(3, ["3", "3", "3", "3"], text="is it red"),
    candidate(4, ["unanswerable"] * 4, dropped="unanswerable"),
]


def test_the_set_is_counted_over_candidates_questions_and_answers() -> None:
    found = set_health([*FOUR, unparsed(5)])
    assert found is not None
    assert (found.candidates, found.valid, found.kept) == (5, 0.8, 0.6)
    assert (found.distinct, found.one_question) == (0.6, 0.5)  # "Is it red?" twice
    assert (found.one_answer, found.unanswerable) == (0.5, 0.25)  # yes twice of four
    assert found.unparsed_votes == 2 / 16
    assert found.confidence == pytest.approx((0.75 + 0.5 + 1 + 1) / 4)
    assert found.kept_confidence == pytest.approx((0.75 + 0.5 + 1) / 3)


def test_vote_entropy_is_0_where_all_agree_and_1_where_none_do() -> None:
    def entropy(*votes: str | None) -> float | None:
        found = set_health([candidate(1, votes)])
        return found.vote_entropy if found else None

    assert entropy("a", "a", "a") == 0
    assert entropy("a", "b", "c", None) == pytest.approx(1)
    assert entropy("a", "a", "b", "b") == pytest.approx(0.5)  # ln 2 / ln 4
    assert entropy("a", None) is None


def test_the_roles_are_out_of_balance_where_more_is_too_easy_than_too_hard() -> None:
    reasons = ["too easy", "too easy", "too easy", "too hard", None]
    found = set_health([candidate(i, ["a"], dropped=reason) for i, reason in enumerate(reasons)] + [unparsed(9)])
    assert found is not None and found.imbalance == (3 - 1) / 5
    assert (found := set_health([unparsed(1)])) and found.imbalance is None


def test_yes_and_no_are_compared_only_where_there_are_enough_of_them() -> None:
    few = [candidate(i, ["yes"]) for i in range(29)]
    assert (found := set_health(few)) and found.one_sided is None
    assert (found := set_health([*few, candidate(29, ["no"])])) and found.one_sided == pytest.approx(29 / 30)


def test_where_nothing_was_asked_or_answered_there_is_nothing_to_share() -> None:
    assert set_health([]) is None
    found = set_health([unparsed(1)])
    assert found is not None and found.valid == 0
    assert [found.one_question, found.one_answer, found.confidence, found.vote_entropy] == [None] * 4


def test_a_training_is_told_by_its_first_and_its_last_quarter() -> None:
    lengths = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]
    found = training_health([step(i, completion_tokens=tokens, kl=i / 10) for i, tokens in enumerate(lengths)])
    assert found is not None and (found.steps, found.completions) == (8, 64)
    assert (found.tokens_first, found.tokens_last) == (15, 75)
    assert found.kl_last == pytest.approx(0.65)
    assert (found.agrees_first, found.parsed_last, found.terms) == (0.6, 1, {"agrees": 0.6, "boxed": 1})


def test_steps_that_an_older_version_wrote_have_no_figure_where_they_lack_one() -> None:
    found = training_health([{"step": 1, "reward": None, "terms": {"agrees": None}}])
    assert found is not None
    assert [found.reward, found.tokens_p95_last, found.grad_norm_max, found.agrees_first] == [None] * 4


def test_only_committed_stages_are_looked_at(tmp_path: Path) -> None:
    with Run.open(tmp_path, Recipe(model="base", pool=PoolSettings(source="world:scenes"))) as run:
        commit(run, 1, "label", {"silver.jsonl": FOUR})
        commit(run, 1, "reasoner", {"steps.jsonl": [step(1)], "summary.json": {"steps": 1}})
        commit(run, 1, "score", {"summary.json": {"greedy": 0.55}})
        commit(run, 1, "audit", {"summary.json": {"silver_accuracy": 0.7}})
        unfinished = tmp_path / "iter_01" / "questioner"
        unfinished.mkdir()
        (unfinished / "steps.jsonl").write_text("{")
        found = examine(tmp_path, 1)
        assert examine(tmp_path, 2) == Health(2)
    assert found.labels == set_health(FOUR)
    assert found.reasoner == training_health([step(1)])
    assert (found.questioner, found.greedy, found.audit_accuracy) == (None, 0.55, 0.7)
