"""Servers that are named or started by the run: who is asked, what is started again, and that none outlives it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chat_server import running
from PIL import Image
from vllm_dialect import BASE, POOL, VllmServer

from visplay.endpoint import EndpointError
from visplay.engine import guard, lora, models
from visplay.engine.prompts import Request, encode
from visplay.engine.sampling import LocalSampler
from visplay.engine.served import probes, served_name
from visplay.engine.servers import ServerError, open_sampler
from visplay.recipe import LoraSettings, SamplingSettings
from visplay.runs import Stopped, stop_signals

FAKE = Path(__file__).with_name("fake_vllm.py")
REQUESTS: list[Request] = [(Image.new("RGB", (84, 84)), f"Is it {number}?") for number in range(5)]


@pytest.fixture(scope="session")
def ids() -> str:
    """What the fake must say of each probe, by its number of messages."""
    processor = models.load_processor(BASE, POOL.min_tokens, POOL.max_tokens)
    read = {2 if begin else 1: encode(processor, [request], begin)["input_ids"] for request, begin in probes(POOL)}
    return json.dumps({messages: ids[0].tolist() for messages, ids in read.items()})


@pytest.fixture
def folder(tmp_path: Path, ids: str) -> Path:
    (tmp_path / "ids.json").write_text(ids)
    return tmp_path


def settings(folder: Path, ends: str = "", **more: Any) -> SamplingSettings:
    command = shlex.join([sys.executable, "-S", str(FAKE), str(folder), ends])
    return SamplingSettings(**{"engine": "vllm", "command": command, "start_timeout_s": 300.0, "batch": 2, **more})


def starts(folder: Path) -> list[dict[str, Any]]:
    """What was noted at each start so far."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("start-*"))]


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(folder: Path) -> bool:
    return not any(alive(pid) for start in starts(folder) for pid in start["pids"])


def test_a_server_is_started_on_the_checkpoint_and_nothing_of_it_is_left(folder: Path) -> None:
    with open_sampler(BASE, POOL, settings(folder), folder) as sampler:
        found = sampler.sample(REQUESTS, 2, 8, seed=0)
        (start,) = starts(folder)
        assert all(map(alive, start["pids"]))
    assert [[one.text for one in each] for each in found] == [["yes", "yes"]] * 5
    assert (start["model"], start["given"]["--served-model-name"]) == (str(BASE), served_name(BASE))
    assert start["given"]["--host"] == "127.0.0.1"
    assert gone(folder)


def test_a_server_of_an_adapter_is_started_on_its_merged_model_which_is_gone_afterwards(folder: Path) -> None:
    checkpoint = folder / "checkpoint"
    made = lora.begin(models.load_model(BASE), BASE, LoraSettings(2, 4), None)
    models.save_adapter(made, models.load_processor(BASE, 4, 64), checkpoint)
    with open_sampler(checkpoint, POOL, settings(folder), folder) as sampler:
        (start,) = starts(folder)
        name = start["given"]["--served-model-name"]
        assert start["model"] == str(folder / "merged") and name == served_name(folder / "merged")
        assert models.tensor_shapes(folder / "merged") == models.tensor_shapes(BASE)
        assert sampler.sample(REQUESTS[:1], 1, 8, seed=0)[0][0].text == "yes"
    assert gone(folder) and not (folder / "merged").exists()
    nobody = SamplingSettings("vllm", servers=["http://127.0.0.1:9/v1"])
    to_serve = rf"export.py {checkpoint} --out MERGED && vllm serve MERGED --served-model-name visplay-"
    with pytest.raises(EndpointError, match=to_serve), open_sampler(checkpoint, POOL, nobody, folder):
        pass


def test_each_server_sees_its_gpus_and_nothing_of_the_launcher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = ("RANK", "WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE", "PYTHONPATH")
    for name in launcher:
        monkeypatch.setenv(name, "1")
    with open_sampler(BASE, POOL, settings(folder, gpus=["4,5", "6"]), folder) as sampler:
        sampler.sample(REQUESTS, 1, 8, seed=0)
    seen = [start["environment"] for start in starts(folder)]
    assert sorted(each["CUDA_VISIBLE_DEVICES"] for each in seen) == ["4,5", "6"]
    assert not [name for each in seen for name in each if name in launcher]
    assert len({start["given"]["--port"] for start in starts(folder)}) == 2


@pytest.mark.parametrize("ends", ["3", "0"])
def test_a_server_that_dies_once_is_started_again_and_nothing_is_lost(folder: Path, ends: str) -> None:
    with open_sampler(BASE, POOL, settings(folder, ends), folder) as sampler:
        found = sampler.sample(REQUESTS, 2, 8, seed=0)
    assert [len(each) for each in found] == [2] * 5
    assert (sampler.unanswered, len(starts(folder))) == (0, 2)
    assert gone(folder)


@pytest.mark.parametrize("ends", ["0,0", "2,1"])
def test_a_server_that_dies_twice_ends_the_run_with_its_last_words(folder: Path, ends: str) -> None:
    with (
        pytest.raises(ServerError, match=r"(?s)died twice; the end of .*vllm-0.log:.*ended with status") as died,
        open_sampler(BASE, POOL, settings(folder, ends), folder) as sampler,
    ):
        sampler.sample(REQUESTS, 2, 8, seed=0)
    assert ("no memory for the model" in str(died.value)) == (ends == "0,0")
    assert len(starts(folder)) == 2 and gone(folder)


def test_a_server_that_never_listens_is_given_up_at_the_deadline(folder: Path) -> None:
    with (
        pytest.raises(ServerError, match=r"sampling.start_timeout_s = 1 seconds; the end of .*vllm-0.log"),
        open_sampler(BASE, POOL, settings(folder, "deaf", start_timeout_s=1.0), folder),
    ):
        pass
    assert gone(folder)


def test_a_stop_ends_the_servers(folder: Path) -> None:
    with pytest.raises(Stopped), stop_signals(), open_sampler(BASE, POOL, settings(folder), folder):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert starts(folder) and gone(folder)


def test_a_killed_run_leaves_no_server(tmp_path: Path) -> None:
    serve = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    run = (
        "import os, subprocess, sys, time\n"
        f"guarded = [sys.executable, {guard.__file__!r}, str(os.getpid()), sys.executable, '-c', {serve!r}]\n"
        "subprocess.Popen(guarded, start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        server = int(killed.stdout.readline())
        assert alive(server)
        killed.kill()
    until = time.monotonic() + 120
    while alive(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(server)


def test_a_command_that_is_not_there_is_named(folder: Path) -> None:
    missing = SamplingSettings(engine="vllm", command="/nowhere/vllm serve")
    with pytest.raises(ServerError, match="/nowhere/vllm is no program"), open_sampler(BASE, POOL, missing, folder):
        pass


def test_of_the_named_servers_those_with_the_model_are_asked(folder: Path) -> None:
    def yes(body: dict[str, Any], _: int) -> list[str]:
        return ["yes"] * body["n"]

    with running(other := VllmServer(yes, names=["other"])), running(right := VllmServer(yes)):
        named = SamplingSettings(engine="vllm", servers=[other.url, "http://127.0.0.1:9/v1", right.url])
        with open_sampler(BASE, POOL, named, folder) as sampler:
            assert [len(each) for each in sampler.sample(REQUESTS, 3, 8, seed=0)] == [3] * 5
    assert (len(other.bodies), len(right.bodies)) == (0, 5)


def test_without_the_model_on_any_the_command_to_serve_it_is_told(folder: Path) -> None:
    with running(other := VllmServer(lambda *_: 500, names=["other"])):
        named = SamplingSettings(engine="vllm", servers=[other.url, "http://127.0.0.1:9/v1"])
        with (
            pytest.raises(
                EndpointError, match=rf"serves other; .*does not answer.*\n  vllm serve .* {served_name(BASE)}"
            ),
            open_sampler(BASE, POOL, named, folder),
        ):
            pass


def test_the_engine_transformers_needs_none(folder: Path) -> None:
    with open_sampler(BASE, POOL, SamplingSettings(), folder) as sampler:
        assert isinstance(sampler, LocalSampler) and sampler.unanswered == 0
