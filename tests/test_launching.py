"""docs/launching.md and recipes/launch: every command is one that launchers, tools and recipes accept."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import doctor
import evolve
import pytest
from deepspeed.launcher import runner
from torch.distributed.run import get_args_parser

from visplay.recipe import load_recipe

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "recipes" / "launch"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs/launching.md").read_text(), re.MULTILINE | re.DOTALL)
SCRIPTS = [text for _, text in BLOCKS]
TOOLS = {"tools/evolve.py": evolve._parser, "tools/doctor.py": doctor._parser}
LAUNCHERS = ("python", "torchrun", "deepspeed")
# Stand-ins for programs that a laptop lacks, put first in PATH: Slurm's two, and a torchrun that says what it is given.
STAND_INS = {
    "torchrun": 'printf "%s\\0" torchrun "$@" >> "$SAID"',
    "srun": '[ "$1" = --kill-on-bad-exit=1 ] && shift && exec "$@"',
    "scontrol": '[ "$*" = "show hostnames node[1-4]" ] && printf "node%s\\n" 1 2 3 4',
}
SLURM = {"SLURM_JOB_ID": "1234567", "SLURM_NNODES": "4", "SLURM_JOB_NODELIST": "node[1-4]"}


def commands() -> list[list[str]]:
    """Every command of the document that starts something of ours, in words, without the settings before it."""
    lines = "".join(SCRIPTS).replace("\\\n", " ").splitlines()
    found = [re.sub(r"^(\w+=\S+ )+", "", line) for line in lines]
    return [shlex.split(line) for line in found if "tools/" in line or "recipes/launch/" in line]


def launched(words: list[str]) -> tuple[int, list[str]]:
    """How many processes the launcher starts, and what it hands to the tool; by the launcher's own parser."""
    launcher, *rest = words
    if launcher == "python":
        return 1, rest
    parsed: argparse.Namespace
    if launcher == "torchrun":
        parsed = get_args_parser().parse_args(rest)
        on_each = 8 if parsed.nproc_per_node == "gpu" else int(parsed.nproc_per_node)
        count = int(parsed.nnodes.rpartition(":")[2]) * on_each
        return count, [parsed.training_script, *parsed.training_script_args]
    assert launcher == "deepspeed"
    parsed = runner.parse_args(rest)
    hosts = runner.fetch_hostfile(parsed.hostfile) if "--hostfile" in rest else {}
    return sum(hosts.values()) or parsed.num_gpus, [parsed.user_script, *parsed.user_args]


def understood(words: list[str]) -> None:
    """Fails unless launcher, tool and recipe take the command."""
    count, (script, *given) = launched(words)
    chosen = TOOLS[script]().parse_intermixed_args(["--local_rank=1", *given])
    assert count >= 1
    if chosen.recipe:
        load_recipe(chosen.recipe, chosen.overrides, world_size=count)


def said_to_torchrun(script: str, given: list[str], folder: Path, **settings: str) -> list[list[str]]:
    """Every call of torchrun, in words, that a script makes which is really run, by a bash with the stand-ins."""
    for name, text in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SAID": str(folder / "said"), **settings}
    subprocess.run(["bash", script, *given], cwd=ROOT, env=environment, check=True)
    calls = (folder / "said").read_text().split("torchrun\0")[1:]
    return [["torchrun", *call.split("\0")[:-1]] for call in calls]


@pytest.mark.parametrize(
    "words", [words for words in commands() if words[0] in LAUNCHERS], ids=lambda words: " ".join(words)[:40]
)
def test_a_command_is_understood_by_launcher_tool_and_recipe(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    understood(words)


def test_the_script_for_torchrun_gives_what_the_document_writes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    examined, run = [words for words in commands() if words[1:2] == ["recipes/launch/torchrun.sh"]]
    (whole,) = [words for words in commands() if words[0] == "torchrun" and "--nnodes" in words]
    assert said_to_torchrun(run[1], run[2:], tmp_path, NODES="2", FIRST="node1") == [whole]
    assert examined[2:] == run[2:]


def test_the_script_for_slurm_examines_the_nodes_and_then_runs_on_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (submitted,) = [words for words in commands() if words[0] == "sbatch"]
    calls = said_to_torchrun(submitted[1], submitted[2:], tmp_path, **SLURM)
    assert [launched(call)[1][0] for call in calls] == ["tools/doctor.py", "tools/evolve.py"]
    for call in calls:
        understood(call)
        assert launched(call)[0] == 32 and "node1:24567" in call and "1234567" in call


def test_a_setting_that_is_missing_is_asked_for() -> None:
    asked = subprocess.run(["bash", LAUNCH / "torchrun.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True)
    assert asked.returncode != 0 and b"NODES: is the number of nodes" in asked.stderr


def test_the_launchers_are_all_shown() -> None:
    assert {words[0] for words in commands()} == {*LAUNCHERS, "bash", "sbatch", "docker"}


def test_the_host_file_is_one_of_deepspeeds() -> None:
    assert runner.fetch_hostfile(str(LAUNCH / "hosts.txt")) == {"node1": 8, "node2": 8}


def test_the_selection_of_gpus_is_one_of_deepspeeds() -> None:
    ((option, chosen),) = re.findall(r'`deepspeed (--include) "(\S+)"`', (ROOT / "docs/launching.md").read_text())
    hosts = {"node1": list(range(8)), "node2": list(range(8))}
    parsed = runner.parse_args([option, chosen, "tools/evolve.py"])
    assert runner.parse_resource_filter(hosts, include_str=parsed.include) == {"node1": [0, 1], "node2": [0, 1]}


@pytest.mark.parametrize(
    "script",
    [*SCRIPTS, *(path.read_text() for path in LAUNCH.glob("*.sh"))],
    ids=lambda script: script.split("\n")[0][:30],
)
def test_a_script_is_one_that_a_shell_can_read(script: str) -> None:
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_options_of_slurm_are_written_as_such() -> None:
    script = (LAUNCH / "slurm.sh").read_text()
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert [line for line in lines if not re.fullmatch(r"#SBATCH --[a-z-]+=\S+", line)] == []
    assert script.startswith("#!/bin/bash\n#SBATCH") and len(lines) == script.count("SBATCH --")


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3), ("zero3_offload", 3)])
def test_the_shipped_files_of_deepspeed_leave_to_the_recipe_what_is_its_own(name: str, stage: int) -> None:
    settings = json.loads((ROOT / "recipes" / "deepspeed" / f"{name}.json").read_text())
    assert settings.pop("zero_optimization")["stage"] == stage
    assert settings.pop("bf16") == {"enabled": "auto"}
    assert set(settings.values()) == {"auto"}
