"""The doctor: findings from facts worked by hand, and the tool as a user starts it, alone and under a launcher."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from together import free_port, together

from visplay.doctor import findings, installation, machine, wanted
from visplay.doctor import together as meeting
from visplay.doctor.probing import Heard
from visplay.engine import probe
from visplay.recipe import Recipe, SamplingSettings

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "doctor.py"
GIB = 2**30
H200 = {"name": "NVIDIA H200", "total": 140 * GIB, "free": 139 * GIB, "capability": [9, 0], "failed": None}
TORCH = {
    "version": "2.15.0",
    "cuda": "13.2",
    "nccl": "2.30.7",
    "torchvision": None,
    "nvcc": "13.2",
    "driver": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Release Build",
}


def started(command: Sequence[str], **place: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **place}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def doctor(*given: object, **place: str) -> subprocess.CompletedProcess[str]:
    return started([sys.executable, str(TOOL), *map(str, given)], **place)


def status(found: list[findings.Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.status) for one in found]


def test_alone_it_looks_at_the_machine_and_at_what_the_recipe_needs_and_leaves_nothing(tmp_path: Path) -> None:
    done = doctor("recipes/smoke.yaml", "--out", tmp_path / "run", "--json", tmp_path / "found.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["check"]: one for one in json.loads((tmp_path / "found.json").read_text())}
    assert found.keys() >= {"packages", "GPUs", "all-reduce", "shared", "disk", "threads", "hub", "model", "images"}
    assert found["model"]["found"] == "data/base, whole" and "all-reduce  " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_processes_of_a_launcher_meet_and_the_first_one_tells(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    place = {"NODES": "1", "GPUS": "2", "FIRST": "localhost", "PORT": str(free_port()), "TOOL": str(TOOL), "PATH": path}
    done = started(["bash", "recipes/launch/torchrun.sh", "--out", str(tmp_path), "--deadline", "500"], **place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("2 processes on 1 node") == 1 and done.stdout.count("python  ") == 1
    assert "each of 2 processes sees the files of all, and feels the lock of the first" in done.stdout


def test_a_process_whose_others_do_not_come_says_so_at_the_deadline(tmp_path: Path) -> None:
    place = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}
    done = doctor("--out", tmp_path, "--deadline", "2", **place)
    assert done.returncode == 1
    assert done.stdout.startswith("error    all-reduce  process 1 of 2: ") and "127.0.0.1:9" in done.stdout


def meet_in(folders: list[Path]) -> list[dict[str, Any]]:
    rank = int(os.environ["RANK"])
    with contextlib.redirect_stdout(io.StringIO()) as said:
        probe.meet(folders[rank], f"file-{rank}", 24.0, None)
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_folders_that_are_not_the_same_are_found_out(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    for reduced, seen in together(meet_in, folders):
        assert (reduced["reduced"]["count"], reduced["reduced"]["right"]) == (2, True)
        assert [one["unseen"] for one in seen["seen"]] == [1, 1]
        assert meeting.judge_sight(seen["seen"]).status == "error"
    assert [list(folder.iterdir()) for folder in folders] == [[], []]


def test_a_folder_that_cannot_be_written_to_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    probe.main(["look", "/proc", ".visplay-doctor"])
    facts = json.loads(capsys.readouterr().out.splitlines()[0])["folder"]
    assert facts["refused"].startswith("write, sync and rename: ")
    assert status(meeting.judge_folder({**facts, "free": 5 * GIB}, "/proc", 0)) == [("folder", "error"), ("disk", "ok")]


def test_room_for_the_checkpoints_is_asked_for() -> None:
    facts = {"free": 5 * GIB, "refused": None}
    assert [one.status for need in (5, 6) for one in meeting.judge_folder(facts, "runs", need * GIB)] == ["ok", "error"]


def test_a_wrong_sum_and_a_lock_that_is_not_felt_are_told_with_the_host() -> None:
    summed = {"backend": "nccl", "count": 16, "hosts": ["a"] * 8 + ["b"] * 8, "bytes": 2**24, "seconds": 0.004}
    assert meeting.judge_sum({**summed, "right": True}).found == "nccl, 16 processes on 2 nodes, 16 MiB in 4.0 ms"
    assert meeting.judge_sum({**summed, "right": False}).status == "error"
    seen = [{"host": "a", "unseen": 0, "lock_felt": True}, {"host": "b", "unseen": 0, "lock_felt": False}]
    assert meeting.judge_sight(seen).status == "warning" and "not felt on b" in meeting.judge_sight(seen).found


def test_what_another_node_complains_of_is_told_with_its_name() -> None:
    told = [None, [{"check": "disk", "status": "warning", "found": "0.1 GiB", "way_out": "make room"}]]
    seen = [{"host": "a", "unseen": 0, "lock_felt": True}, {"host": "b", "unseen": 0, "lock_felt": True}]
    assert meeting.judge_told({"seen": seen, "told": told}) == [findings.warning("disk", "b: 0.1 GiB", "make room")]


def test_versions_are_missing_out_of_bounds_untested_or_right() -> None:
    needs = [Requirement("torch>=2.15,<2.16"), Requirement("trl>=1.16,<1.17")]
    tested = {"torch": "2.15.0", "trl": "1.16.0", "pytest": "9.2.0"}
    right = {"torch": "2.15.0+cu132", "trl": "1.16.0", "pytest": None}
    assert installation.compare(right, tested, needs) == [findings.ok("packages", "all 2 in the tested versions")]
    wrong = {"torch": "2.14.1", "trl": None, "pytest": "9.3.0"}
    assert [(one.status, one.found) for one in installation.compare(wrong, tested, needs)] == [
        ("error", "missing: trl"),
        ("error", "out of bounds: torch 2.14.1 (needs <2.16,>=2.15)"),
        ("warning", "not the tested versions: pytest 9.3.0 (tested 9.2.0)"),
    ]


def test_a_gpu_is_told_with_memory_capability_and_driver() -> None:
    (found,) = machine.examine_gpus(TORCH, {"said": [], "found": [H200]}, None)
    assert found == findings.ok("GPUs", "0: NVIDIA H200, 140.0 GiB, compute capability 9.0, driver 580.82.07")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"failed": "no kernel image"}, "error"),
        ({"free": 100 * GIB}, "warning"),
        ({"capability": [7, 5]}, "warning"),
    ],
)
def test_a_gpu_that_fails_is_in_use_or_old_is_told(change: dict[str, Any], expected: str) -> None:
    (found,) = machine.examine_gpus(TORCH, {"said": [], "found": [{**H200, **change}]}, None)
    assert found.status == expected and found.way_out


@pytest.mark.parametrize(
    ("torch", "visible", "expected"),
    [
        (TORCH, None, "error"),  # a driver, but no GPU
        (TORCH, "0,1", "error"),  # as DeepSpeed's launcher sets it
        (TORCH, "", "ok"),  # hidden on purpose
        ({**TORCH, "driver": None}, None, "ok"),  # a machine without one
        ({**TORCH, "cuda": None}, None, "error"),  # a torch for the CPU beside a driver
    ],
)
def test_no_gpu_is_right_or_wrong_by_driver_and_wish(torch: dict[str, Any], visible: str | None, expected: str) -> None:
    (found,) = machine.examine_gpus(torch, {"said": ["too old"], "found": []}, visible)
    assert found.status == expected


def test_a_toolkit_of_another_version_is_wrong_where_the_recipe_offloads() -> None:
    found = [machine.examine_toolkit({**TORCH, "nvcc": nvcc}, True).status for nvcc in ("13.2", None, "13.0")]
    assert found == ["ok", "ok", "error"]
    assert machine.examine_toolkit({**TORCH, "nvcc": "13.0"}, False).status == "warning"
    shipped = [
        Recipe(grpo={"deepspeed": f"{ROOT}/recipes/deepspeed/{name}.json"}) for name in ("zero3", "zero3_offload")
    ]
    assert [wanted.offloads(recipe) for recipe in (Recipe(), *shipped)] == [False, False, True]


def test_more_threads_than_cores_few_files_and_little_shared_memory_are_warned_of() -> None:
    assert machine.examine_threads({"OMP_NUM_THREADS": "4"}, 8, 2).status == "ok"
    assert machine.examine_threads({"OMP_NUM_THREADS": "4"}, 8, 3).status == "warning"
    assert [machine.judge_files(limit).status for limit in (-1, 1024, 4096)] == ["ok", "warning", "ok"]
    assert [machine.judge_shared_memory(size).status for size in (64 * 2**20, GIB)] == ["warning", "ok"]


def test_weights_that_were_cut_short_or_are_missing_are_named(tmp_path: Path) -> None:
    whole = (ROOT / "data" / "base" / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_text("{}")
    assert "holds no .safetensors" in wanted.examine_model("model", str(tmp_path)).found
    (tmp_path / "model.safetensors").write_bytes(whole[:-1])
    assert "model.safetensors is damaged: " in wanted.examine_model("model", str(tmp_path)).found
    (tmp_path / "model.safetensors").write_bytes(whole)
    assert wanted.examine_model("model", str(tmp_path)).status == "ok"
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.safetensors"}}')
    assert "lacks 1 of 1 weight files, such as b.safetensors" in wanted.examine_model("model", str(tmp_path)).found


def test_a_model_that_is_nowhere_says_how_to_fetch_it() -> None:
    found = wanted.examine_model("model", "nobody/nothing")
    assert (found.status, found.way_out) == ("error", "fetch it: hf download nobody/nothing")


def test_the_vllm_of_a_recipe_is_looked_for() -> None:
    here = Recipe(sampling=SamplingSettings(engine="vllm", command=f"env A=1 {sys.executable} serve"))
    gone = Recipe(sampling=SamplingSettings(engine="vllm", command="/opt/nowhere/vllm serve"))
    down = Recipe(sampling=SamplingSettings(engine="vllm", servers=["http://127.0.0.1:9/v1"]))
    found = [wanted.examine_sampling(recipe.sampling)[0].status for recipe in (here, gone, down)]
    assert found == ["ok", "error", "warning"]


def test_a_meeting_that_broke_off_after_the_sum_is_an_error_unless_the_folder_was_one() -> None:
    summed = {"backend": "gloo", "count": 2, "hosts": ["a", "a"], "bytes": 2**24, "seconds": 0.1, "right": True}
    broken = Heard({"reduced": summed}, "process 1: ended")
    assert status(meeting.judge_meeting(broken, refused=False)) == [("all-reduce", "ok"), ("shared", "error")]
    assert status(meeting.judge_meeting(broken, refused=True)) == [("all-reduce", "ok")]
    silent = meeting.judge_meeting(Heard({}, "no answer"), refused=False, environment={"RANK": "3", "WORLD_SIZE": "8"})
    assert [one.found for one in silent] == ["process 3 of 8: no answer"]
