"""Predictions: every item is asked once, in the order of its text, and no kill is seen in what comes out."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import runpy
import signal
import sys
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from chat_server import serving
from PIL import Image

from visplay.endpoint import Endpoint
from visplay.engine.prompts import Request, parts
from visplay.engine.sampling import Completion
from visplay.errors import VisplayError
from visplay.evaluation.benchmarks import local, mmmu
from visplay.evaluation.predict import Asking, LocalModel, Model, ServedModel, predict

ROOT = Path(__file__).parents[1]
BASE = ROOT / "data" / "base"
FILES = ("predictions.jsonl", "samples.jsonl", "scores.json", "settings.json")

COLORS = {"red": 84, "blue": 56, "green": 84, "black": 112, "white": 56, "gray": 28}
MMMU: list[dict[str, Any]] = [
    {"id": "validation_Art_1", "question": "<image 1> What color is it?", "answer": "A", "options": "['red', 'blue']"}
    | {"question_type": "multiple-choice", "image_1": "../red.png"},
    {"id": "validation_Art_2", "question": "Is <image 1> like one of these?", "answer": "B"}
    | {"question_type": "multiple-choice", "options": "['<image 2>', '<image 3>']"}
    | {"image_1": "../green.png", "image_2": "../black.png", "image_3": "../blue.png"},
    {"id": "validation_Math_1", "question": "How many? <image 1>", "answer": "3", "options": "[]"}
    | {"question_type": "open", "image_1": "../white.png"},
    {"id": "validation_Math_2", "question": "<image 1> How many?", "answer": "['4', 'four']", "options": "[]"}
    | {"question_type": "open", "image_1": "../gray.png"},
    {"id": "validation_Music_1", "question": "<image 1> Is it?", "answer": "A", "options": "['yes', 'no']"}
    | {"question_type": "multiple-choice", "image_1": "../blue.png"},
]
HALLUSION = [
    {"category": category, "subcategory": "illusion", "visual_input": seen, "set_id": "0", "figure_id": figure}
    | {"question_id": "0", "question": "Is the thing red?", "gt_answer": seen, "filename": picture}
    for category, seen, figure, picture in (("VD", "1", "1", "../red.png"), ("VS", "0", "0", None))
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of two benchmarks, their pictures beside them."""
    folder = tmp_path_factory.mktemp("data")
    for color, side in COLORS.items():
        Image.new("RGB", (side, side), color).save(folder / f"{color}.png")
    for name, rows in (("mmmu", MMMU), ("hallusionbench", HALLUSION)):
        (folder / name).mkdir()
        (folder / name / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@dataclass
class Parrot:
    """Repeats what it is asked, with the side of each picture where it stands; stops after `patience` batches."""

    asking: Asking = Asking(max_new_tokens=8, batch=2, image_tokens=16)
    settings: dict[str, Any] = field(default_factory=lambda: {"model": "parrot"})
    patience: int = 100
    asked: list[list[str]] = field(default_factory=list)

    def answers(self, requests: Sequence[Request]) -> list[Completion]:
        if len(self.asked) == self.patience:
            raise InterruptedError
        self.asked.append([said(request) for request in requests])
        return [Completion(text, truncated="like" in text) for text in self.asked[-1]]


def said(request: Request) -> str:
    return "".join(part if isinstance(part, str) else f"[{part.size[0]}]" for part in parts(request)).split("\n")[0]


def ask(model: Model, data: Path, out: Path) -> Path | None:
    return predict(mmmu, model, out, data=str(data / "mmmu"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_item_is_asked_once_with_its_pictures_in_the_order_of_the_text(data: Path, tmp_path: Path) -> None:
    model = Parrot()
    assert ask(model, data, tmp_path) == tmp_path / "predictions.jsonl"
    assert model.asked == [
        ["Is [84] like one of these?", "[84] What color is it?"],  # largest first
        ["[56] Is it?", "How many? [56]"],
        ["[56] How many?"],
    ]


def test_predictions_stand_in_the_order_of_the_data_and_say_what_was_cut_off(data: Path, tmp_path: Path) -> None:
    ask(Parrot(), data, tmp_path)
    found = rows(tmp_path / "predictions.jsonl")
    assert [row["id"] for row in found] == [row["id"] for row in MMMU]
    assert found[1] == {"id": "validation_Art_2", "response": "Is [84] like one of these?", "truncated": True}
    assert [row["truncated"] for row in found] == [False, True, False, False, False]


def test_without_a_terminal_the_log_tells_rate_and_time_left(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InterruptedError):
        ask(Parrot(patience=1), data, tmp_path)
    monkeypatch.setattr("visplay.evaluation.predict._TOLD_EVERY_S", 0.0)
    with caplog.at_level("INFO", "visplay"):
        ask(Parrot(), data, tmp_path)
    told = [re.sub(r"[0-9.]+item/s|[0-9:]+ left", "?", line) for line in caplog.messages]
    assert told[:-1] == ["mmmu: 5 items, 2 of them answered before", "mmmu: 4 of 5, ?, ?", "mmmu: 5 of 5, ?, ?"]


def test_what_is_answered_is_not_asked_again(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        ask(Parrot(patience=2), data, tmp_path)
    assert not (tmp_path / "predictions.jsonl").exists()
    later = Parrot()
    assert ask(later, data, tmp_path) == tmp_path / "predictions.jsonl"
    assert later.asked == [["[56] How many?"]]
    assert ask(Parrot(patience=0), data, tmp_path) == tmp_path / "predictions.jsonl"


def test_a_batch_that_was_torn_is_asked_whole_and_only_its_rest_is_added(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        ask(Parrot(patience=1), data, tmp_path)
    part = tmp_path / "parts" / "0.jsonl"
    part.write_bytes(part.read_bytes()[:-20])
    model = Parrot()
    ask(model, data, tmp_path)
    assert model.asked[0] == ["Is [84] like one of these?", "[84] What color is it?"]
    assert [row["id"] for row in rows(part)[:2]] == ["validation_Art_2", "validation_Art_1"]
    assert len(rows(part)) == len(MMMU)


def test_several_processes_share_the_batches_and_the_last_to_finish_has_the_file(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Parrot(), Parrot()
    ask(Parrot(), data, tmp_path / "alone")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, model, last in (("1", one, False), ("0", two, True)):
        monkeypatch.setenv("RANK", rank)
        assert ask(model, data, tmp_path / "shared") == (tmp_path / "shared" / "predictions.jsonl" if last else None)
    assert [len(one.asked), len(two.asked)] == [1, 2]
    alone, shared = (tmp_path / name / "predictions.jsonl" for name in ("alone", "shared"))
    assert alone.read_bytes() == shared.read_bytes()
    monkeypatch.setenv("RANK", "1")
    assert ask(Parrot(), data, tmp_path / "shared") is None
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(VisplayError, match="RANK is 2 and WORLD_SIZE 2"):
        ask(Parrot(), data, tmp_path / "shared")


def test_other_data_settings_or_models_are_refused_with_what_differs(data: Path, tmp_path: Path) -> None:
    ask(Parrot(), data, tmp_path)
    with pytest.raises(VisplayError, match='model was "parrot", now "other"'):
        ask(Parrot(settings={"model": "other"}), data, tmp_path)
    (tmp_path / "fewer.jsonl").write_text("\n".join(map(json.dumps, MMMU[3:])).replace("../", f"{data}/"))
    with pytest.raises(VisplayError, match="questions was"):
        predict(mmmu, Parrot(), tmp_path, data=str(tmp_path / "fewer.jsonl"))


def test_two_models_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).symlink_to(BASE / name)
    before = LocalModel(str(tmp_path)).settings
    assert before == LocalModel(str(tmp_path)).settings
    (tmp_path / "tokenizer.json").unlink()
    after = LocalModel(str(tmp_path)).settings
    assert [name for name in after if after[name] != before[name]] == ["weights"]


def test_a_prompt_of_ones_own_is_sent_with_the_benchmarks_text_in_it(data: Path, tmp_path: Path) -> None:
    model = Parrot(Asking(batch=5, prompt="Look: {question}"))
    ask(model, data, tmp_path)
    assert "Look: Is [84] like one of these?" in model.asked[0]
    assert LocalModel(str(BASE), model.asking).settings["prompt"] == "Look: {question}"
    with pytest.raises(VisplayError, match="questions was"):
        ask(Parrot(), data, tmp_path)


def test_a_folder_is_the_same_model_however_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BASE.parent)
    assert LocalModel(BASE.name).settings == LocalModel(str(BASE.resolve())).settings


def test_a_model_may_be_called_otherwise_than_where_it_lies() -> None:
    assert LocalModel(str(BASE)).settings["model"] == str(BASE)
    named = LocalModel(str(BASE), name="iter_01/reasoner/checkpoint").settings
    assert named == LocalModel(str(BASE)).settings | {"model": "iter_01/reasoner/checkpoint"}


def test_a_mark_without_its_picture_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps({"question": "See <image 1>", "answer": "1", "id": "q7"}))
    with pytest.raises(VisplayError, match="item q7: the text names <image 1>, and the number of pictures is 0"):
        predict(local, Parrot(), tmp_path / "out", data=str(tmp_path / "data.jsonl"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["max_new_tokens", "batch", "image_tokens"])
def test_numbers_that_are_too_small_are_refused(option: str) -> None:
    with pytest.raises(VisplayError, match=f"--{option.replace('_', '-')} 0 is too small"):
        Asking(**{option: 0})


def test_a_server_gets_the_pictures_in_the_order_of_the_text_and_says_what_it_cut_off(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    reply = {"choices": [{"message": {"content": "B"}, "finish_reason": "length"}]}
    with serving(lambda *_: json.dumps(reply).encode()) as server:
        ask(ServedModel(Endpoint(server.url, "served"), Asking(max_new_tokens=5, image_tokens=16)), data, tmp_path)
    assert rows(tmp_path / "predictions.jsonl") == [
        {"id": row["id"], "response": "B", "truncated": True} for row in MMMU
    ]
    bodies = {str(body["messages"][0]["content"][-1]): body for body in server.bodies}
    assert len(bodies) == len(MMMU) and {(body["model"], body["max_tokens"]) for body in server.bodies} == {
        ("served", 5)
    }
    sent = (body["messages"][0]["content"] for body in server.bodies)
    (several,) = (found for content in sent if len(found := list(map(shown, content))) == 7)
    assert several[:6] == ["Is ", (84, 84), " like one of these?\n(A) ", (112, 112), "\n(B) ", (56, 56)]


def shown(part: dict[str, Any]) -> Any:
    """Text as it is, a picture as its size."""
    if part["type"] == "text":
        return part["text"]
    head, content = part["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    return Image.open(BytesIO(b64decode(content))).size


# From here on: the tool on the tiny model, in processes of their own. A fork server saves each of them the imports.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["visplay.evaluation.predict"])


@dataclass(frozen=True)
class Instant:
    """Just before a file whose path ends like this is opened, renamed or linked for the n-th time."""

    event: str
    path: str
    n: int = 1


INSTANTS = (
    Instant("os.rename", "mmmu/settings.json"),
    Instant("open", "black.png", 2),  # opened when it is checked, and again when its batch comes: the first
    Instant("open", "gray.png", 2),  # the last batch
    Instant("os.link", "mmmu/predictions.jsonl"),
    Instant("os.rename", "mmmu/scores.json"),
    Instant("open", "hallusionbench/parts/0.jsonl"),
)


def start(data: Path, out: Path, instant: Instant | None = None, **environment: str) -> int | None:
    """Run the tool, until it ends or is killed at that instant; its exit code, negative for a signal."""
    process = PROCESSES.Process(target=run_tool, args=(data, out, instant, environment))
    process.start()
    process.join()
    return process.exitcode


def run_tool(data: Path, out: Path, instant: Instant | None, environment: dict[str, str]) -> None:
    screen = os.open(out.with_suffix(".screen"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(screen, 1)
    os.dup2(screen, 2)
    os.chdir(ROOT)
    os.environ.update(environment)
    times = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal times
        if instant and event == instant.event and str(details[event != "open"]).endswith(instant.path):
            times += 1
            if times == instant.n:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    sys.path.insert(0, str(ROOT / "tools"))
    asked = ["--benchmark", "mmmu,hallusionbench", "--data", str(data), "--model", str(BASE), "--out", str(out)]
    sys.argv = ["eval.py", "run", *asked, "--max-new-tokens", "40", "--batch", "2", "--image-tokens", "16"]
    runpy.run_path(str(ROOT / "tools" / "eval.py"), run_name="__main__")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two benchmarks, predicted and scored without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    never = Instant("open", "white.png", 3)  # a picture is read when it is checked and when it is asked about
    assert start(data, out, never) == 0, out.with_suffix(".screen").read_text()
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {
        f"{benchmark}/{name}": (out / benchmark / name).read_bytes()
        for benchmark in ("mmmu", "hallusionbench")
        for name in FILES
    }


def test_a_run_predicts_and_scores_several_benchmarks(whole: Path) -> None:
    screen = whole.with_suffix(".screen").read_text()
    assert "mmmu, strict protocol: 5 items" in screen
    assert "hallusionbench, strict protocol: 2 items" in screen
    scores = json.loads((whole / "mmmu" / "scores.json").read_text())
    assert (scores["n"], scores["counts"]["missing"], scores["settings"]["max_new_tokens"]) == (5, 0, 40)
    predicted = {row["id"]: row for row in rows(whole / "mmmu" / "predictions.jsonl")}
    assert predicted["validation_Art_2"]["response"]
    assert scores["counts"]["cut off"] == sum(row["truncated"] for row in predicted.values())


def test_a_run_that_is_killed_at_any_instant_leaves_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert [start(data, out, instant) for instant in INSTANTS] == [-signal.SIGKILL] * len(INSTANTS)
    with open(out / "hallusionbench" / "parts" / "0.jsonl", "a") as part:
        part.write('{"id": "VD_illu')
    assert start(data, out) == 0, out.with_suffix(".screen").read_text()
    assert contents(out) == contents(whole)


def test_two_processes_leave_the_same_bytes_as_one(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert [start(data, out, WORLD_SIZE="2", RANK=rank) for rank in "01"] == [0, 0]
    assert contents(out) == contents(whole)
