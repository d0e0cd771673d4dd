"""The collapse guard: every planted failure raises its own alarm, and what follows is decided by the figures alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from committed import candidate, commit, step, unparsed

from visplay import guard, watch
from visplay.recipe import GuardSettings, PoolSettings, Recipe
from visplay.report.health import Health, examine
from visplay.runs import Run

ANSWERS = ("red", "blue", "3", "4", "A", "yes", "no")


class Small:
    """A run of hand-made results; `iteration` commits a healthy one, but for what is planted in it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.k = 0
        commit(run, 0, "score", {"summary.json": {"greedy": 0.5}})

    def iteration(
        self,
        rows: list[Any] | None = None,
        audit: float | None = None,
        greedy: float = 0.5,
        blind: float | None = None,
        **last: Any,
    ) -> None:
        """`last` holds what differs in the later three of four steps of the Reasoner's training."""
        self.k += 1
        steps = [step(1), *(step(i, **last) for i in (2, 3, 4))]
        commit(self.run, self.k, "label", {"silver.jsonl": healthy() if rows is None else rows})
        commit(self.run, self.k, "reasoner", {"steps.jsonl": steps})
        commit(self.run, self.k, "score", {"summary.json": {"greedy": greedy}})
        if audit is not None:
            commit(self.run, self.k, "audit", {"summary.json": {"silver_accuracy": audit}})
        if blind is not None:
            (self.run.directory / f"iter_{self.k:02d}" / "score" / "score.json").write_text(
                f'{{"blind_share": {blind}}}'
            )

    def verdict(self, **settings: Any) -> guard.Verdict:
        seen = [examine(self.run.directory, k) for k in range(self.k + 1)]
        return guard.decide(seen, GuardSettings(**settings))

    def alarms(self) -> set[str]:
        return {alarm.rule for alarm in self.verdict().alarms}


def healthy() -> list[Any]:
    """A hundred questions of their own, with various answers and a confidence of .7; five completions hold none."""
    told = [candidate(i, [ANSWERS[i % 7]] * 7 + ["green"] * 3) for i in range(100)]
    return [*told, *(unparsed(i) for i in range(100, 105))]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with Run.open(tmp_path / "run", Recipe(model="base", pool=PoolSettings(source="world:scenes"))) as run:
        yield Small(run)


def test_a_healthy_iteration_raises_no_alarm(small: Small) -> None:
    small.iteration(audit=0.7)
    small.iteration(audit=0.6)
    assert small.verdict(action="stop", max_audit_fall=0.2) == guard.Verdict(2, goes_on_from=2, best=1)


@pytest.mark.parametrize("tokens", [45.0, 8.0])
def test_completions_that_grow_or_shrink(small: Small, tokens: float) -> None:
    small.iteration(completion_tokens=tokens)
    assert small.alarms() == {"length"}


def test_completions_that_grow_over_several_iterations(small: Small) -> None:
    small.iteration(completion_tokens=30.0)
    assert small.alarms() == set()
    small.iteration(completion_tokens=41.0)  # 20 in the first step of all
    assert small.alarms() == {"length"}


def test_completions_that_are_cut_off(small: Small) -> None:
    small.iteration(truncated_share=0.4)
    assert small.alarms() == {"truncated"}


def test_one_question_for_every_image(small: Small) -> None:
    small.iteration()
    small.iteration([candidate(i, [ANSWERS[i % 7]] * 7 + ["green"] * 3, text="What is it?") for i in range(100)])
    assert small.alarms() == {"one question", "fewer questions"}


def test_a_few_questions_asked_again_and_again(small: Small) -> None:
    small.iteration()
    small.iteration([candidate(i, [ANSWERS[i % 7]] * 7 + ["green"] * 3, text=f"Is it {i % 40}?") for i in range(100)])
    assert small.alarms() == {"fewer questions"}


def test_a_reasoner_that_votes_yes_on_everything(small: Small) -> None:
    small.iteration([candidate(i, ["yes"] * 7 + ["no"] * 3) for i in range(100)])
    assert small.alarms() == {"one answer", "one-sided"}


def test_a_reasoner_that_votes_yes_wherever_it_may(small: Small) -> None:
    others = [candidate(i, [str(i)] * 7 + ["green"] * 3) for i in range(60)]
    small.iteration([*others, *(candidate(i, ["yes"] * 7 + ["no"] * 3) for i in range(60, 100))])
    assert small.alarms() == {"one-sided"}


def test_a_reasoner_that_has_learned_to_say_yes(small: Small) -> None:
    small.iteration(commonest_share=0.9)
    assert small.alarms() == {"one answer in training"}


def test_random_labels_by_the_reasoner_that_does_not_agree_with_them(small: Small) -> None:
    random_ones = {"agrees": {"mean": 0.25, "std": 0.4}}
    small.k = 1
    commit(small.run, 1, "label", {"silver.jsonl": healthy()})
    commit(small.run, 1, "reasoner", {"steps.jsonl": [step(1, terms=random_ones)]})
    assert small.alarms() == {"labels not its own"}


def test_random_labels_by_the_audit(small: Small) -> None:
    small.iteration(audit=0.7)
    small.iteration(audit=0.3)
    assert {alarm.rule for alarm in small.verdict(max_audit_fall=0.2).alarms} == {"audit fall"}
    assert small.alarms() == set()  # by default the guard looks at nothing that is true


def test_an_audit_speaks_against_the_reasoner_that_voted_in_it(small: Small) -> None:
    for audit in (0.69, 0.7, 0.3):  # votes of the base, of iteration 1, of iteration 2
        small.iteration(audit=audit)
    assert small.verdict(action="rollback", max_audit_fall=0.2).goes_on_from == 1


def test_votes_that_always_agree(small: Small) -> None:
    small.iteration([candidate(i, [ANSWERS[i % 7]] * 10) for i in range(100)])
    assert {alarm.rule for alarm in small.verdict(max_confidence=None, max_label_gap=None).alarms} == {"no doubt"}


def test_silver_answers_that_need_no_image(small: Small) -> None:
    small.iteration(blind=0.55)
    assert small.alarms() == set()
    small.iteration(blind=0.65)
    assert small.alarms() == {"needs no image"}


def test_rewards_that_could_not_be_computed(small: Small) -> None:
    small.iteration(unscored_share=0.5)
    assert small.alarms() == {"unscored"}


def test_a_questioner_whose_completions_hold_no_question(small: Small) -> None:
    rows = healthy()
    small.iteration([*rows[:40], *(unparsed(i) for i in range(40, 105))])
    assert small.alarms() == {"few valid questions"}


def test_questions_that_nobody_can_answer(small: Small) -> None:
    small.iteration([*healthy()[:50], *(candidate(i, ["unanswerable"] * 6 + ["x"] * 4) for i in range(50, 100))])
    assert small.alarms() == {"unanswerable"}


def test_a_training_that_went_far(small: Small) -> None:
    small.iteration(kl=2.0)
    assert small.alarms() == {"KL"}


def test_a_reasoner_that_is_sure_of_everything_ends_the_loop_as_there_is_nothing_to_go_back_for(small: Small) -> None:
    small.iteration()
    commit(small.run, 2, "label", {"silver.jsonl": [candidate(i, [ANSWERS[i % 7]] * 10) for i in range(100)]})
    small.k = 2
    found = small.verdict(action="rollback")
    assert [alarm.rule for alarm in found.alarms] == ["no doubt", "nothing left to learn"]
    assert (found.goes_on_from, found.best) == (None, 1)


def test_a_fall_of_held_out_accuracy_is_said_and_changes_nothing(small: Small) -> None:
    small.iteration(greedy=0.4)
    found = small.verdict(action="rollback")
    assert [alarm.rule for alarm in found.alarms] == ["held-out fall"]
    assert (found.goes_on_from, found.best) == (1, 1)


def test_an_alarm_names_value_limit_and_meaning(small: Small) -> None:
    small.iteration(unscored_share=0.5)
    assert [str(alarm) for alarm in small.verdict().alarms] == [
        "unscored: 0.375 against a limit of 0.2; rewards could not be computed"
    ]


def test_a_limit_of_none_turns_its_rule_off(small: Small) -> None:
    small.iteration(unscored_share=0.5)
    assert small.verdict(max_unscored=None).alarms == ()


@pytest.mark.parametrize(("action", "goes_on_from"), [("warn", 2), ("stop", None), ("rollback", 1)])
def test_an_alarm_leads_to_what_the_recipe_says(small: Small, action: str, goes_on_from: int | None) -> None:
    small.iteration()
    small.iteration(kl=2.0)
    assert (small.verdict(action=action).goes_on_from, small.verdict(action=action).best) == (goes_on_from, 1)


def test_the_loop_ends_when_it_has_gone_back_often_enough(small: Small) -> None:
    small.iteration()
    found = []
    for _ in range(3):
        small.iteration(kl=2.0)
        found.append(small.verdict(action="rollback", rollbacks=2).goes_on_from)
    assert found == [1, 1, None]


ALWAYS_RED = [candidate(i, ["red"] * 7 + ["green"] * 3) for i in range(100)]
YES_WHEREVER_IT_MAY = [candidate(i, ["yes" if i < 40 else str(i)] * 7 + ["no"] * 3) for i in range(100)]


@pytest.mark.parametrize("rows", [ALWAYS_RED, YES_WHEREVER_IT_MAY])
def test_votes_speak_against_the_reasoner_that_cast_them(small: Small, rows: list[Any]) -> None:
    small.iteration()
    small.iteration()  # its Reasoner votes in iteration 3
    small.iteration(rows)
    assert len(small.alarms()) == 1
    assert small.verdict(action="rollback").goes_on_from == 1


def test_after_a_rollback_votes_speak_against_the_iteration_that_was_gone_back_to(small: Small) -> None:
    for plant in ({}, {}, {"kl": 2.0}):
        small.iteration(**plant)
    assert small.verdict(action="rollback").goes_on_from == 2
    small.iteration(ALWAYS_RED)
    assert small.verdict(action="rollback").goes_on_from == 1
    assert small.verdict(action="warn").best == 2  # then iteration 4 went on from 3


def test_the_base_is_the_best_where_every_iteration_is_blamed(small: Small) -> None:
    small.iteration(kl=2.0)
    assert small.verdict(action="rollback").goes_on_from == 0


def test_where_there_is_an_audit_the_best_is_the_one_with_the_truest_labels(small: Small) -> None:
    for audit in (0.8, 0.7):
        small.iteration(audit=audit)
    small.iteration(audit=0.75, kl=2.0)
    assert small.verdict(action="rollback", max_audit_fall=0.2).best == 1
    assert small.verdict(action="rollback").best == 2  # then nothing true is looked at


def test_the_verdict_is_committed_once_and_stands_in_the_row(small: Small, caplog: pytest.LogCaptureFixture) -> None:
    small.iteration(kl=2.0)
    recipe = Recipe(model="base", pool=PoolSettings(source="world:scenes"), guard=GuardSettings(action="stop"))
    found = watch.judge(small.run, recipe, 1)
    assert found == watch.judge(small.run, recipe, 1) == small.verdict(action="stop")
    assert [record.message.split(":")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "iteration 1, guard"
    ] * 2
    row = watch.noted(small.run, watch.ScoreRow(1, "first"), found)
    assert row.guard["decision"] == "the loop ends; the base is the best"
    assert [alarm["rule"] for alarm in row.guard["alarms"]] == ["KL"]
    assert (row.health["set"]["candidates"], row.health["reasoner"]["steps"]) == (105, 4)


def test_without_a_guard_nothing_is_judged_and_health_is_noted(small: Small) -> None:
    small.iteration(kl=2.0)
    recipe = Recipe(model="base", pool=PoolSettings(source="world:scenes"))
    found = watch.judge(small.run, recipe, 1)
    assert found == guard.Verdict(1, goes_on_from=1, best=1)
    row = watch.noted(small.run, watch.ScoreRow(1, "first"), found)
    assert (row.guard, row.health["reasoner"]["kl_last"]) == ({}, 2.0)
    assert not (small.run.directory / "iter_01" / "guard").exists()


def test_an_iteration_of_which_nothing_is_known_raises_no_alarm() -> None:
    assert guard.alarms([Health(0), Health(1)], GuardSettings()) == []
