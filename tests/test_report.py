"""What a run leaves for people: the table, the figure, scores.json and metrics.jsonl."""

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from visplay.evaluation.trust import Audited, trust
from visplay.recipe import PoolSettings, Recipe
from visplay.report import publish, show
from visplay.report.figure import draw
from visplay.report.scores import BenchmarkScore, ScoreRow, write_metrics, write_scores
from visplay.report.table import render
from visplay.runs import Run

BASE = ScoreRow(
    iteration=0,
    checkpoint="base",
    greedy=0.6,
    greedy_interval=(0.55, 0.65),
    one_sample=0.5,
    majority=0.7,
    by_family={"count": 0.4, "most_common": 0.8},
)
FIRST = ScoreRow(
    iteration=1,
    checkpoint="first",
    greedy=0.65,
    greedy_interval=(0.6, 0.7),
    gain=0.05,
    gain_interval=(0.01, 0.09),
    gain_parts={"answers": (0.01, -0.02, 0.04), "abstention": (0.03, 0.01, 0.05), "format": (0.01, 0.0, 0.02)},
    abstained=0.125,
    one_sample=0.55,
    majority=0.71,
    by_family={"count": 0.5, "most_common": 0.8},
    silver_accuracy=0.75,
    candidates=50,
    kept=20,
    dropped={"tie": 5, "too easy": 25, "too few votes": 0},
    mean_confidence=0.625,
    distinct_questions=48,
)


KEPT_RIGHT = Audited("a", "How many?", "numerical", "2", 0.5, None, "2", True, True, True)
KEPT_ILL_POSED = Audited("b", "What color?", "short_text", "red", 0.5, None, "unanswerable", True, False, False)
DROPPED_WRONG = Audited("c", "Is it?", "yes_no", "yes", 0.25, "too hard", "no", True, True, False)
AUDIT = trust([KEPT_RIGHT, KEPT_ILL_POSED, DROPPED_WRONG])


def with_gain(gain: float, interval: tuple[float, float]) -> str:
    """The last line of the account of a run that gained so much."""
    return render([BASE, ScoreRow(1, "first", greedy=0.6, gain=gain, gain_interval=interval)]).splitlines()[-1]


def cells(line: str) -> str:
    """A line of the table without its padding."""
    return " ".join(line.split())


def test_a_candidate_neither_kept_nor_dropped_is_refused() -> None:
    with pytest.raises(ValueError, match="iteration 2: 50 candidates, but 20 kept and 29 dropped"):
        ScoreRow(iteration=2, checkpoint="second", candidates=50, kept=20, dropped={"tie": 29})


def test_table_has_the_base_first_and_its_absent_figures_as_dashes() -> None:
    lines = render([BASE, FIRST]).splitlines()
    assert cells(lines[2]) == "base 60.0 55.0 to 65.0 - - 50.0 70.0"
    assert cells(lines[3]) == "iteration 1 65.0 60.0 to 70.0 +5.0 +1.0 to +9.0 55.0 71.0"


def test_table_lines_up_under_its_header() -> None:
    header, rule, *body, _ = render([BASE, FIRST]).split("\n\n")[0].splitlines()
    assert {len(line) for line in body} == {len(header)} == {len(rule)}


def test_table_adds_the_candidates_up_by_falling_reason() -> None:
    account = render([BASE, FIRST]).split("\n\n")[1].splitlines()
    assert cells(account[2]) == "iteration 1 50 20 40.0 75.0 0.62 48"
    assert account[3] == "iteration 1: 50 candidates = 20 kept + 25 too easy + 5 tie"


def test_table_says_what_is_answered_without_sight_where_it_was_asked() -> None:
    seen = dataclasses.replace(FIRST, blind_share=0.25, blind_share_kept=0.125)
    shown = "iteration 1: blind votes give the silver answer 25.0 %, of the kept rows 12.5 %"
    assert render([BASE, seen]).split("\n\n")[1].splitlines()[-1] == shown
    assert "blind" not in render([BASE, FIRST])


def test_votes_beyond_the_first_pass_are_shown_as_what_they_add() -> None:
    row = dataclasses.replace(FIRST, votes=2000, second_votes=500, blind_votes=240)
    assert "iteration 1: 2000 votes, 500 in a second pass (+25.0 %), 240 blind (+12.0 %)" in render([BASE, row])
    audited = dataclasses.replace(FIRST, votes=2000, second_votes=0, audit_votes=400)
    assert "iteration 1: 2000 votes, 400 for the audit (+20.0 %)" in render([BASE, audited])
    assert " votes, " not in render([BASE, dataclasses.replace(FIRST, votes=2000, second_votes=0)])


def test_table_has_a_line_of_health_for_each_iteration_with_both_trainings() -> None:
    figures = {"unscored": 0.0, "zero_variance": 0.25, "truncated_last": 0.1, "tokens_first": 20.4, "tokens_last": 31.0}
    health = {
        "set": {"valid": 0.95, "distinct": 0.4, "one_answer": 0.2, "vote_entropy": 0.291, "imbalance": -0.1},
        "reasoner": figures | {"kl_last": 0.034, "kl_start": 0.05, "kl_base": 0.07},
    }
    lines = render([BASE, dataclasses.replace(FIRST, health=health)]).split("\n\n")[2].splitlines()
    assert cells(lines[2]) == "iteration 1 95.0 40.0 20.0 0.29 -10.0 -/0.0 -/25.0 -/10.0 -→-/20→31 -/0.05"
    assert lines[-1] == "iteration 1: KL to the base, reasoner 0.07"
    assert lines[3].startswith("Valid and unique questions") and max(map(len, lines)) <= 100


def test_table_has_every_alarm_then_what_it_led_to_and_which_checkpoint_to_take() -> None:
    alarm = {"rule": "KL", "value": 2.0, "limit": 0.5, "text": "KL: 2 against a limit of 0.5; far"}
    ended = {"alarms": [alarm], "decision": "the loop ends; the base is the best", "best": 0}
    rows = [BASE, dataclasses.replace(FIRST, guard=ended)]
    assert render(rows).split("\n\n")[2].splitlines() == [
        "iteration 1, guard: KL: 2 against a limit of 0.5; far",
        "iteration 1, guard: the loop ends; the base is the best",
        "guard: take base",
    ]
    quiet = dataclasses.replace(FIRST, guard={"alarms": [], "decision": "the loop goes on", "best": 1})
    assert "guard: take iteration 1" in render([BASE, quiet])
    assert "guard" not in render([BASE, FIRST])


def test_table_shows_families_with_their_change() -> None:
    families = render([BASE, FIRST]).split("\n\n")[2].splitlines()
    assert families[0].split("  ")[-1] == "change"
    assert cells(families[2]) == "count 40.0 50.0 +10.0"
    assert cells(families[3]) == "most common 80.0 80.0 +0.0"


def test_table_has_a_line_for_each_benchmark_and_none_where_none_was_asked_for() -> None:
    mmmu = [
        BenchmarkScore("official", 900, 0.41, (0.38, 0.44), 30),
        BenchmarkScore("official", 900, 0.405, (0.37, 0.44), 12, gain=-0.005, gain_interval=(-0.02, 0.011), p=0.6),
    ]
    empty = BenchmarkScore("official", 3, None, None, 0)
    rows = [
        dataclasses.replace(row, benchmarks={"mmmu": score, "hallusionbench": empty})
        for row, score in zip([BASE, FIRST], mmmu, strict=True)
    ]
    header, _, first, second = render(rows).split("\n\n")[3].splitlines()
    assert cells(header) == "benchmarks, % n base iteration 1 gain 95 % interval unparsed"
    assert cells(first) == "mmmu, official 900 41.0 40.5 -0.5 -2.0 to +1.1 30 -> 12"
    assert cells(second) == "hallusionbench, official 3 - - - - 0 -> 0"
    assert "mmmu, official 900 41.0 - - 30" in [cells(line) for line in render(rows[:1]).splitlines()]
    assert "benchmarks" not in render([BASE, FIRST])


def test_table_shows_the_audit_and_keeps_within_a_screen() -> None:
    audited = dataclasses.replace(FIRST, audit=AUDIT, anchor_share=0.0, replay_share=0.0)
    header, rule, line, intervals, origin = render([BASE, audited]).split("\n\n")[2].splitlines()
    assert cells(header) == "audit, % kept right well-posed ill-posed valid AUROC calibration"
    assert cells(line) == "iteration 1 50.0 100.0 50.0 66.7 75.0 8.3"
    # three questions about an image each; the one that is well-posed is right, and has Wilson's interval of 1 in 1
    expected = "95 % interval 0.0 to 100.0 20.7 to 100.0 0.0 to 100.0 0.0 to 100.0 0.0 to"
    assert cells(intervals).startswith(expected) and AUDIT.calibration_interval is not None
    assert cells(intervals).endswith(f" {100 * AUDIT.calibration_interval[1]:.1f}")
    assert len(header) == len(rule) <= 100
    assert origin == "iteration 1: label-free"
    steered = dataclasses.replace(FIRST, anchor_share=0.0, replay_share=0.0, audit_steers=True)
    assert "iteration 1: steered by what an audit knows" in render([BASE, steered])


def test_table_calls_a_run_with_anchors_not_label_free() -> None:
    mixed = dataclasses.replace(FIRST, anchor_share=0.2, replay_share=0.1)
    told = "iteration 1: 20.0 % of the rows are anchors with true answers, 10.0 % of the rows replayed"
    assert told in render([BASE, mixed]) and "label-free" not in render([BASE, mixed])
    controlled = dataclasses.replace(FIRST, anchor_share=None)
    assert "label-free" not in render([BASE, controlled])


def test_table_says_that_there_is_no_audit_where_nobody_knows() -> None:
    told = "no audit: nobody knows the true answers on these images"
    assert told in render([BASE, dataclasses.replace(FIRST, silver_accuracy=None)])
    assert told not in render([BASE, FIRST])
    audited = dataclasses.replace(FIRST, silver_accuracy=None, audit=AUDIT)
    assert told not in render([BASE, audited])


def test_table_says_what_a_gain_is_made_of() -> None:
    (line,) = [line for line in render([BASE, FIRST]).splitlines() if ", gain by " in line]
    assert line == (
        "iteration 1, gain by answers +1.0 (-2.0 to +4.0), abstention +3.0 (+1.0 to +5.0), format +1.0 (+0.0 to +2.0); "
        "12.5 % called unanswerable"
    )


def test_table_calls_a_gain_better_only_when_its_interval_says_so() -> None:
    assert with_gain(0.05, (0.01, 0.09)) == "iteration 1 is better than the base: +5.0 points (+1.0 to +9.0)"
    assert "is not told apart from the base: +5.0" in with_gain(0.05, (-0.01, 0.11))
    assert "is worse than the base: -5.0" in with_gain(-0.05, (-0.09, -0.01))


WORSE = dataclasses.replace(FIRST, iteration=2, gain=-0.05, gain_interval=(-0.09, -0.01), by_family={"count": 0.1})


def test_table_speaks_of_the_gain_of_the_checkpoint_that_the_guard_takes() -> None:
    scores = [BenchmarkScore("strict", 10, 0.5, None, 4), BenchmarkScore("strict", 10, 0.6, None, 3, 0.1, (0.0, 0.2))]
    scores.append(BenchmarkScore("strict", 10, 0.4, None, 2, -0.1, (-0.2, 0.0)))
    rows = [
        dataclasses.replace(row, benchmarks={"mmmu": score}, guard={"alarms": [], "decision": "", "best": 1})
        for row, score in zip([BASE, FIRST, WORSE], scores, strict=True)
    ]
    lines = [cells(line) for line in render(rows).splitlines()]
    assert lines[-1] == "iteration 1 is better than the base: +5.0 points (+1.0 to +9.0)"
    assert "greedy by family, % base iteration 1 iteration 2 change, iteration 1" in lines
    assert "count 40.0 50.0 10.0 +10.0" in lines
    assert "benchmarks, % n base iteration 1 iteration 2 gain, iteration 1 95 % interval unparsed" in lines
    assert "mmmu, strict 10 50.0 60.0 40.0 +10.0 +0.0 to +20.0 4 -> 3" in lines


def test_table_says_that_nothing_was_gained_where_the_base_is_to_be_taken() -> None:
    score = BenchmarkScore("strict", 10, 0.4, None, 2, gain=-0.1, gain_interval=(-0.2, 0.0))
    base = dataclasses.replace(BASE, benchmarks={"mmmu": BenchmarkScore("strict", 10, 0.5, None, 4)})
    ended = {"alarms": [], "decision": "the loop ends", "best": 0}
    worse = dataclasses.replace(WORSE, iteration=1, benchmarks={"mmmu": score}, guard=ended)
    lines = [cells(line) for line in render([base, worse]).splitlines()]
    assert lines[-1] == "the base is to be taken: nothing was gained"
    assert "count 40.0 10.0 -" in lines and "mmmu, strict 10 50.0 40.0 - - 4" in lines
    assert "nothing was gained" not in render([base])


def test_table_leaves_out_what_was_not_measured() -> None:
    unmeasured = ScoreRow(1, "first", candidates=2, kept=1, dropped={"tie": 1})
    assert render([ScoreRow(0, "base"), unmeasured]).startswith("silver labels")
    assert render([]) == ""


def test_scores_hold_every_figure_with_null_where_none_applies(tmp_path: Path) -> None:
    rows = json.loads(write_scores(tmp_path, [BASE, FIRST]).read_text())["rows"]
    assert [row["iteration"] for row in rows] == [0, 1]
    assert rows[0]["greedy_interval"] == [0.55, 0.65]
    assert rows[0]["silver_accuracy"] is rows[0]["candidates"] is rows[0]["kept"] is rows[0]["dropped"] is None
    assert rows[1]["dropped"] == {"tie": 5, "too easy": 25, "too few votes": 0}


def test_scores_hold_the_whole_audit_and_the_shares_of_what_was_trained_on(tmp_path: Path) -> None:
    audited = dataclasses.replace(FIRST, audit=AUDIT, anchor_share=0.0, replay_share=0.25)
    base, row = json.loads(write_scores(tmp_path, [BASE, audited]).read_text())["rows"]
    assert base["audit"] is base["anchor_share"] is None
    assert (row["anchor_share"], row["replay_share"]) == (0.0, 0.25)
    assert row["audit"]["silver_accuracy"] == {"mean": 0.5, "low": 0.0, "high": 1.0, "n": 2}
    assert row["audit"]["by_type"]["yes_no"]["silver_accuracy"] is None
    assert [one["right"]["n"] for one in row["audit"]["calibration"]] == [1, 2]
    assert row["audit"]["calibration_interval"] == list(AUDIT.calibration_interval or ())


def test_scores_name_a_checkpoint_folder_by_a_path_that_loads_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    rows = json.loads(write_scores(tmp_path, [BASE, ScoreRow(1, "someone/a-hub-id")]).read_text())["rows"]
    assert [row["checkpoint"] for row in rows] == [str(tmp_path / "base"), "someone/a-hub-id"]


def test_metrics_hold_the_stages_then_the_same_rows(tmp_path: Path) -> None:
    stage = {"iteration": 1, "stage": "ask", "seconds": 2.5}
    lines = [json.loads(line) for line in write_metrics(tmp_path, [BASE, FIRST], [stage]).read_text().splitlines()]
    assert lines[0] == {"kind": "stage", **stage}
    scores = json.loads(write_scores(tmp_path, [BASE, FIRST]).read_text())["rows"]
    assert lines[1:] == [{"kind": "scores", **row} for row in scores]


def test_reports_written_again_replace_the_old_and_leave_no_draft(tmp_path: Path) -> None:
    for rows in ([BASE], [BASE, FIRST]):
        write_scores(tmp_path, rows)
        write_metrics(tmp_path, rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "scores.json"]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["scores.png", "scores.svg"])
def test_figure_is_a_function_of_its_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / "again").mkdir()
    first = draw([BASE, FIRST], tmp_path / name).read_bytes()
    assert first == draw([BASE, FIRST], tmp_path / "again" / name).read_bytes()
    assert first != draw([BASE], tmp_path / name).read_bytes()


def test_figure_names_each_curve_with_its_last_value(tmp_path: Path) -> None:
    picture = draw([BASE, FIRST], tmp_path / "scores.svg").read_text()
    for name in (
        "greedy 65.0%",
        "majority vote 71.0%",
        "right, of kept 75.0%",
        "kept, of all 40.0%",
        "distinct questions 96.0%",
    ):
        assert f">{name}<" in picture


def test_figure_shows_calibration_where_there_is_an_audit(tmp_path: Path) -> None:
    audited = draw([BASE, dataclasses.replace(FIRST, audit=AUDIT)], tmp_path / "audited.svg").read_text()
    assert ">Confidence against truth<" in audited and ">right, by audit 50.0%<" in audited
    assert ">valid, by audit 66.7%<" in audited
    assert ">Confidence against truth<" not in draw([BASE, FIRST], tmp_path / "plain.svg").read_text()


def test_figure_has_a_bar_for_each_interval_of_greedy_and_of_the_audit(tmp_path: Path) -> None:
    def bars(first: ScoreRow) -> dict[str, int]:
        picture = draw([BASE, first], tmp_path / "bars.svg").read_text()
        colors = re.findall(r"stroke: (#\w+); stroke-opacity: 0.3; stroke-width: 7", picture)
        return dict(Counter(colors))

    assert bars(FIRST) == {"#0072b2": 2}
    without_bins = dataclasses.replace(AUDIT, calibration=())
    assert bars(dataclasses.replace(FIRST, audit=without_bins)) == {"#0072b2": 2, "#000000": 1, "#56b4e9": 1}


def test_figure_says_what_was_not_measured(tmp_path: Path) -> None:
    assert draw([BASE], tmp_path / "base.svg").read_text().count(">not measured<") == 1
    assert draw([], tmp_path / "none.svg").read_text().count(">not measured<") == 2


def test_publishing_leaves_every_report_in_the_run(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", Recipe(model="base", pool=PoolSettings(source="world:scenes"))) as run:
        run.stage(1, "ask", lambda folder: (folder / "summary.json").write_text('{"asked": 50}'), inputs={})
        publish(run, [BASE, FIRST])
        reports = {path.name: path for path in run.directory.iterdir() if path.is_file()}
    assert {"scores.json", "metrics.jsonl", "scores.png"} <= set(reports)
    stage = json.loads(reports["metrics.jsonl"].read_text().splitlines()[0])
    assert (stage["kind"], stage["stage"], stage["summary"]) == ("stage", "ask", {"asked": 50})


def test_showing_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    show([BASE, FIRST])
    assert render([BASE, FIRST]) in capsys.readouterr().out
