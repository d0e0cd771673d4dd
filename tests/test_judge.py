"""The judge protocol against a local server: what it asks, what it believes, what it keeps, and how it fails."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_server import CLOSE, HANG, Script, Server, serving

from visplay.endpoint import Endpoint
from visplay.evaluation.benchmarks import hallusionbench, mathverse
from visplay.evaluation.files import document
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.judge import JudgeError, facts, judge_with
from visplay.evaluation.procedures import Procedure, extract_and_compare
from visplay.evaluation.scoring import score
from visplay.evaluation.table import render
from visplay.evaluation.verdicts import VerdictError, Verdicts

ROOT = Path(__file__).parents[1]
ITEMS = [
    Item("1", "?", "number", ("14", "14 cm"), text="How long is it?"),
    Item("2", "?", "choice", ("B",), choices=("red", "blue"), text="Which color?"),
    Item("3", "?", "number", ("5",), text="How many?"),
]
PREDICTIONS = [Prediction("1", "It is 14."), Prediction("2", "I say red."), Prediction("3", "Who knows?")]
FOUND = {"It is 14.": "14", "I say red.": "red", "Who knows?": "NONE"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def extraction(prompt: str) -> bool:
    return prompt.endswith("Reply with the answer alone.")


def careful(prompt: str, _: int = 0) -> str:
    """Extracts what FOUND says, and holds 14 for right."""
    if extraction(prompt):
        return next(answer for response, answer in FOUND.items() if response in prompt)
    return str(int("<<<\n14\n>>>\n\nReply" in prompt))


def judge(
    server: Server,
    cache: Path,
    items: Sequence[Item] = ITEMS,
    predictions: Sequence[Prediction] = PREDICTIONS,
    procedure: Procedure = extract_and_compare,
    **settings: Any,
) -> Sequence[Judgement]:
    endpoint = Endpoint(server.url, "a-judge", **{"pause_s": 0.0, "tries": 2, "timeout_s": 30.0, **settings})
    return judge_with(endpoint, procedure, cache / "verdicts.jsonl")(items, predictions)


def judged_by(script: Script, folder: Path, **more: Any) -> tuple[Sequence[Judgement], list[str]]:
    """The judgements, and the prompts that the server got."""
    with serving(script) as server:
        return judge(server, folder, **more), server.prompts


def test_answers_are_extracted_and_compared(tmp_path: Path) -> None:
    found, prompts = judged_by(careful, tmp_path)
    assert [(one.id, one.answer, one.status, one.correct, one.expected) for one in found] == [
        ("1", "14", "parsed", True, 1.0),
        ("2", "red", "parsed", False, 0.0),
        ("3", None, "unparsed", False, 0.0),
    ]
    assert len(prompts) == 5  # nothing to compare where there is no answer


def test_the_extracting_judge_sees_neither_question_nor_gold(tmp_path: Path) -> None:
    _, prompts = judged_by(careful, tmp_path)
    for item in ITEMS:
        assert not any(item.text in prompt for prompt in prompts if extraction(prompt))


def test_the_comparing_judge_sees_question_options_all_golds_and_the_answer(tmp_path: Path) -> None:
    _, prompts = judged_by(careful, tmp_path)
    (about_length,) = [prompt for prompt in prompts if "How long" in prompt]
    assert "Any of these:\n14\n14 cm\n" in about_length
    assert "It is 14." not in about_length
    (about_color,) = [prompt for prompt in prompts if "Which color" in prompt]
    assert "Which color?\n(A) red\n(B) blue\n" in about_color and "<<<\nB\n>>>" in about_color


def test_options_that_stand_in_the_question_are_not_repeated(tmp_path: Path) -> None:
    item = replace(ITEMS[1], text="Which color?\nA: red\nB: blue")
    _, prompts = judged_by(careful, tmp_path, items=[item], predictions=PREDICTIONS[1:2])
    assert "(A) red" not in prompts[1]


def test_an_empty_response_is_wrong_without_asking(tmp_path: Path) -> None:
    found, prompts = judged_by(careful, tmp_path, items=ITEMS[:1], predictions=[Prediction("1", " \n", True)])
    assert ((found[0].status, found[0].correct), prompts) == (("truncated", False), [])


@pytest.mark.parametrize(
    ("reply", "answer"),
    [(" 14\n", "14"), ("Answer: 14", "14"), ("<think>13, no:</think>\n14", "14"), ("x: 1\ny: 2", "x: 1\ny: 2")]
    + [("NONE", None), ("None.", None), ("Final answer: **NONE**", None)],
)
def test_an_answer_is_taken_as_the_judge_copies_it(tmp_path: Path, reply: str, answer: str | None) -> None:
    found, _ = judged_by(lambda prompt, _: reply if extraction(prompt) else "1", tmp_path)
    assert [one.answer for one in found] == [answer] * 3
    assert [one.correct for one in found] == [answer is not None] * 3


@pytest.mark.parametrize("reply", ["1", " 1.\n", "**1**", "Verdict: 1", "<think>0?\n0</think>\nSame value.\n1"])
def test_a_verdict_is_read_in_any_dress(tmp_path: Path, reply: str) -> None:
    found, _ = judged_by(lambda prompt, _: "14" if extraction(prompt) else reply, tmp_path)
    assert [one.correct for one in found] == [True, True, True]


@pytest.mark.parametrize("reply", ["", "I am not sure.", "0 or 1", "10", "yes", "1 if units do not matter"])
def test_what_is_no_verdict_is_an_error_and_never_a_0(tmp_path: Path, reply: str) -> None:
    def script(prompt: str, before: int) -> str:
        return reply if "How long" in prompt else careful(prompt, before)

    found, prompts = judged_by(script, tmp_path)
    assert (found[0].status, found[0].correct, found[0].expected) == (None, None, None)
    assert found[0].error.startswith(f"the judge's reply is no verdict: {reply!r}")
    assert [one.correct for one in found[1:]] == [False, False]
    assert sum("How long" in prompt for prompt in prompts) == 2  # asked once more, then no more


@pytest.mark.parametrize("failure", [400, 429, 500, CLOSE, HANG])
def test_a_failed_verdict_is_counted_and_named_and_in_no_figure(tmp_path: Path, failure: Any) -> None:
    rows = [{"sample_index": str(at), "problem_index": "1", "problem_version": "Text Lite"} for at in (1, 2)]
    more = {"question": "How long is it?", "answer": "14", "question_type": "free-form", "query_wo": "?"}
    subject = {"metadata": {"subject": "Solid Geometry", "subfield": "Length"}}
    items = mathverse.items([row | more | subject for row in rows])
    with serving(lambda prompt, _: failure if "no idea" in prompt else careful(prompt)) as server:
        endpoint = Endpoint(server.url, "a-judge", tries=1, timeout_s=1.5 if failure == HANG else 30.0)
        court = judge_with(endpoint, mathverse.by_judge, tmp_path / "verdicts.jsonl")
        written = [Prediction("1", "It is 14."), Prediction("2", "I have no idea.")]
        result = score(mathverse, items, written, "judge", judge=court, facts=facts(endpoint))
    shown = document(result)
    assert (shown["counts"]["errors"], shown["counts"]["parsed"], shown["counts"]["unparsed"]) == (1, 1, 0)
    assert (shown["figures"]["overall"]["n"], shown["figures"]["overall"]["mean"]) == (1, 1.0)
    assert (result.judgements[1].correct, bool(result.judgements[1].error)) == (None, True)
    text = render(result)
    assert "NOT JUDGED: 1 items" in text
    assert "judged by a-judge; not comparable with figures by another judge" in text


def test_a_busy_judge_is_asked_again(tmp_path: Path) -> None:
    found, _ = judged_by(lambda prompt, before: careful(prompt) if before else 429, tmp_path)
    assert [one.correct for one in found] == [True, False, False]


def test_a_judge_that_never_answers_stops_the_scoring(tmp_path: Path) -> None:
    items = [replace(ITEMS[0], id=str(at)) for at in range(100)]
    predictions = [Prediction(str(at), f"I count {at}") for at in range(100)]
    with serving(lambda *_: 401) as server, pytest.raises(JudgeError, match="gave no verdict at all.*answered 401"):
        judge(server, tmp_path, items, predictions)
    assert len(server.bodies) < 100


def test_a_judge_that_fails_later_stops_nothing(tmp_path: Path) -> None:
    judged_by(careful, tmp_path)
    items = [replace(ITEMS[0], id=str(at)) for at in range(20)]
    predictions = [Prediction(str(at), f"I count {at}") for at in range(20)]
    found, _ = judged_by(lambda *_: 401, tmp_path, items=items, predictions=predictions)
    assert [one.correct for one in found] == [None] * 20


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    first, _ = judged_by(careful, tmp_path)
    again, prompts = judged_by(lambda *_: 500, tmp_path)
    assert (again, prompts) == (first, [])


def test_the_same_response_to_the_same_question_is_judged_once(tmp_path: Path) -> None:
    """Even by a judge that changes its mind, and whichever comes first."""
    items = [replace(ITEMS[0], id=str(at)) for at in range(8)]
    predictions = [Prediction(str(at), "It is 14.") for at in range(8)]
    found, prompts = judged_by(
        lambda prompt, before: "14" if extraction(prompt) else str(before % 2),
        tmp_path,
        items=items,
        predictions=predictions,
    )
    assert (len({one.correct for one in found}), len(prompts)) == (1, 2)


def test_verdicts_hold_for_model_prompt_and_response_and_not_for_a_place(tmp_path: Path) -> None:
    judged_by(careful, tmp_path)
    found, prompts = judged_by(careful, tmp_path, items=ITEMS[::-1], predictions=PREDICTIONS[::-1])
    assert ([one.id for one in found], prompts) == (["3", "2", "1"], [])
    verdicts = Verdicts(tmp_path / "verdicts.jsonl")
    row = json.loads((tmp_path / "verdicts.jsonl").read_text().splitlines()[0])
    assert verdicts.get("a-judge", row["prompt"]) == row["reply"]
    assert verdicts.get("another-judge", row["prompt"]) is None
    assert verdicts.get("a-judge", row["prompt"] + "!") is None


def test_failures_and_what_is_no_verdict_are_asked_again_next_time(tmp_path: Path) -> None:
    judged_by(lambda prompt, _: "14" if extraction(prompt) else "Hm.", tmp_path)
    found, prompts = judged_by(careful, tmp_path)
    assert ([one.correct for one in found], len(prompts)) == ([True] * 3, 3)  # the extractions were kept


def test_a_line_that_a_kill_tore_is_asked_again(tmp_path: Path) -> None:
    first, _ = judged_by(careful, tmp_path)
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    again, prompts = judged_by(careful, tmp_path)
    assert (again, len(prompts)) == (first, 1)
    assert len(Verdicts(path)) == 5


def test_any_other_damage_is_named(tmp_path: Path) -> None:
    judged_by(careful, tmp_path)
    path = tmp_path / "verdicts.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(first + "{}\n" + "".join(rest))
    with pytest.raises(VerdictError, match=r"verdicts.jsonl:2 is no verdict.*delete the line"):
        judged_by(careful, tmp_path)


def test_so_many_are_judged_at_a_time_and_no_more(tmp_path: Path) -> None:
    items = [replace(ITEMS[0], id=str(at)) for at in range(12)]
    predictions = [Prediction(str(at), f"I count {at}") for at in range(12)]

    def together(parties: int, timeout_s: float) -> bool:
        """Whether so many of three workers are there at once, each time that one is."""
        meeting = threading.Barrier(parties)

        def script(*_: object) -> str:
            with suppress(threading.BrokenBarrierError):
                meeting.wait(timeout_s)
            return "NONE"

        with serving(script) as server:
            cache = tmp_path / f"{parties}.jsonl"
            court = judge_with(Endpoint(server.url, "a-judge"), extract_and_compare, cache, workers=3)
            assert [one.id for one in court(items, predictions)] == [item.id for item in items]
        return not meeting.broken

    assert together(3, timeout_s=30)
    assert not together(4, timeout_s=0.3)


def test_hallusionbench_takes_three_verdicts_and_forgives_doubt_only_without_a_figure(tmp_path: Path) -> None:
    def row(category: str, figure: str) -> dict[str, Any]:
        keys = {"category": category, "subcategory": "map", "set_id": "0", "figure_id": figure, "question_id": "0"}
        details = "No, the map shows none."
        return keys | {"visual_input": figure, "question": "?", "gt_answer": "0", "gt_answer_details": details}

    items = hallusionbench.items([row("VS", "0"), row("VS", "1"), row("VD", "0"), row("VD", "1")])
    replies = {"It has one.": "Incorrect.", "It has none.": "correct", "I cannot tell.": "Verdict: unclear"}

    def script(prompt: str, _: int) -> str:
        assert "Right answer:\n<<<\nNo, the map shows none.\n>>>" in prompt
        return next(reply for response, reply in replies.items() if response in prompt)

    def correct(response: str) -> list[bool | None]:
        predictions = [Prediction(item.id, response) for item in items]
        found, _ = judged_by(script, tmp_path, items=items, predictions=predictions, procedure=hallusionbench.by_judge)
        return [one.correct for one in found]

    assert correct("It has none.") == [True] * 4
    assert correct("It has one.") == [False] * 4
    assert correct("I cannot tell.") == [True, False, False, False]


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed in the middle, with no chance to wind up."""
    code = """if True:
        import sys
        from pathlib import Path
        from visplay.endpoint import Endpoint
        from visplay.evaluation.items import Item, Prediction
        from visplay.evaluation.judge import judge_with
        from visplay.evaluation.procedures import extract_and_compare

        court = judge_with(Endpoint(sys.argv[1], "a-judge"), extract_and_compare, Path(sys.argv[2]))
        items = [Item(str(at), "?", "number", ("14",), text="How long is it?") for at in range(30)]
        print([one.answer for one in court(items, [Prediction(item.id, f"It is {item.id}") for item in items])])
    """

    def script(prompt: str, _: int) -> str:
        if len(server.bodies) == 10:
            started[0].kill()
        return "NONE"

    def start() -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", code, server.url, str(tmp_path / "verdicts.jsonl")]
        return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    started: list[subprocess.Popen[str]] = []
    with serving(script) as server:
        started.append(start())
        assert started[0].wait() == -signal.SIGKILL
        before = len(server.bodies)
        assert start().communicate()[0] == f"{[None] * 30}\n"
    assert before < 30
    assert len(server.bodies) <= 30 + 2 * 4  # only what was on its way is asked again
    assert len(Verdicts(tmp_path / "verdicts.jsonl")) == 30


def test_facts_tell_judges_and_prompts_apart_and_hold_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret-1")
    one = facts(Endpoint("http://here/v1", "a-judge", "A_KEY"))
    moved = facts(Endpoint("http://there/v1", "a-judge"))
    other = facts(Endpoint("http://here/v1", "another-judge"))
    assert one["judge"] == moved["judge"] != other["judge"]
    assert "secret" not in str(one)
