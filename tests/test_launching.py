"""docs/launching.md: every command in it is one that the launchers, the tool and the recipes accept."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
from pathlib import Path

import evolve
import pytest
from deepspeed.launcher import runner
from torch.distributed.run import get_args_parser

from visplay.recipe import load_recipe

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs/launching.md").read_text(), re.MULTILINE | re.DOTALL)
SCRIPTS = [text for kind, text in BLOCKS if kind == "bash"]
(HOSTS,) = [text for kind, text in BLOCKS if kind == "text"]
# What a shell would put in: two nodes at least, as the commands say.
KNOWN = {"$SLURM_NNODES": "4", "$first": "node1", "$SLURM_JOB_ID": "17"}


def commands() -> list[list[str]]:
    """Every line that runs the tool, in words."""
    whole = [script.replace("\\\n", " ") for script in SCRIPTS]
    lines = [line for script in whole for line in script.splitlines() if "tools/evolve.py" in line]
    for name, value in KNOWN.items():
        lines = [line.replace(name, value) for line in lines]
    return [shlex.split(line) for line in lines]


def launched(words: list[str], hosts: dict[str, int]) -> tuple[int, list[str]]:
    """How many processes the launcher starts, and what it hands to the tool."""
    if words[0] == "srun":
        words = words[words.index("torchrun") :]
    launcher, *rest = words
    if launcher == "python":
        return 1, rest
    parsed: argparse.Namespace
    if launcher == "torchrun":
        parsed = get_args_parser().parse_args(rest)
        count = int(parsed.nnodes.rpartition(":")[2]) * int(parsed.nproc_per_node)
        script, given = parsed.training_script, parsed.training_script_args
    else:
        assert launcher == "deepspeed"
        parsed = runner.parse_args(rest)
        count = sum(hosts.values()) if "--hostfile" in rest else parsed.num_gpus
        script, given = parsed.user_script, parsed.user_args
    return count, [script, *given]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words)[:40])
def test_a_command_is_understood_by_launcher_tool_and_recipe(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    hosts = dict(re.findall(r"(\w+) slots=(\d+)", HOSTS))
    count, (script, *given) = launched(words, {host: int(slots) for host, slots in hosts.items()})
    chosen = evolve._parser().parse_intermixed_args(["--local_rank=1", *given])
    assert script == "tools/evolve.py" and count >= 1
    load_recipe(chosen.recipe, chosen.overrides, world_size=count)


def test_the_launchers_are_all_shown() -> None:
    assert {words[0] for words in commands()} == {"python", "torchrun", "deepspeed", "srun"}


def test_the_host_file_is_one_of_deepspeeds(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text(HOSTS)
    assert runner.fetch_hostfile(str(tmp_path / "nodes.txt")) == {"node1": 8, "node2": 8}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split("\n")[0][:30])
def test_a_script_is_one_that_a_shell_can_read(script: str) -> None:
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_options_of_slurm_are_written_as_such() -> None:
    (script,) = [script for script in SCRIPTS if "#SBATCH" in script]
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert [line for line in lines if not re.fullmatch(r"#SBATCH --[a-z-]+=\S+", line)] == []
    assert script.startswith("#!/bin/bash\n#SBATCH")


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3), ("zero3_offload", 3)])
def test_the_shipped_files_of_deepspeed_leave_to_the_recipe_what_is_its_own(name: str, stage: int) -> None:
    settings = json.loads((ROOT / "recipes" / "deepspeed" / f"{name}.json").read_text())
    assert settings.pop("zero_optimization")["stage"] == stage
    assert settings.pop("bf16") == {"enabled": "auto"}
    assert set(settings.values()) == {"auto"}
