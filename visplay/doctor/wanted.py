"""What a recipe needs of this machine: its model and images, DeepSpeed, vLLM. Opens no model and starts no server."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from visplay.doctor.findings import Finding, error, ok, warning
from visplay.doctor.installation import installed
from visplay.endpoint import Endpoint, EndpointError
from visplay.recipe import PoolSettings, Recipe, SamplingSettings

_ANSWERS_S = 10.0
_ASKED = ("import importlib.metadata as m; print(m.version('vllm'))",)


def examine_recipe(recipe: Recipe) -> list[Finding]:
    found = [examine_model("model", recipe.model), examine_pool(recipe.pool), examine_deepspeed(recipe)]
    if recipe.questioner.diversity == "embedding" and recipe.questioner.embedder != "offline":
        found.append(examine_model("embedder", recipe.questioner.embedder))
    return found + examine_sampling(recipe.sampling)


def examine_hub(environment: Mapping[str, str]) -> Finding:
    """Where downloads lie, and whether there are any."""
    from huggingface_hub import constants  # slow to import

    offline = environment.get("HF_HUB_OFFLINE")
    if offline is None:
        state = "nothing is fetched (the tools set HF_HUB_OFFLINE=1)"
    else:
        fetched = offline.lower() in ("0", "false", "off", "no", "")
        state = f"{'what is missing' if fetched else 'nothing'} is fetched (HF_HUB_OFFLINE={offline})"
    there = "" if Path(constants.HF_HUB_CACHE).is_dir() else ", which does not exist yet"
    return ok("hub", f"{state}; downloads lie in {constants.HF_HUB_CACHE}{there}")


def examine_model(check: str, name: str) -> Finding:
    """A folder, or a hub id whose files must be in the cache, with whole weights."""
    folder = find_model(name)
    if folder is None:
        return error(check, f"{name} is no folder and not in the hub's cache", f"fetch it: hf download {name}")
    again = f"fetch it again: hf download {name} --force-download" if not Path(name).is_dir() else "copy it again"
    if not (folder / "config.json").is_file():
        return error(check, f"{folder} has no config.json", again)
    if problem := damaged_weights(folder):
        return error(check, problem, again)
    return ok(check, f"{name}, whole")


def find_model(name: str) -> Path | None:
    """The folder of a model that is on this machine."""
    from huggingface_hub import snapshot_download  # slow to import

    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):  # not there, or no id of the hub
        return None


def weights_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def damaged_weights(folder: Path) -> str | None:
    """What is wrong with its safetensors files, by their headers: cut short, missing, or something else."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if missing := sorted(name for name in named if not (folder / name).is_file()):
            return f"{folder} lacks {len(missing)} of {len(named)} weight files, such as {missing[0]}"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return f"{folder} holds no .safetensors file"
    for file in files:
        try:
            with safe_open(file, "np"):
                pass
        except (SafetensorError, OSError) as damage:
            return f"{file} is damaged: {damage}"
    return None


def examine_pool(pool: PoolSettings) -> Finding:
    source = pool.source
    if source.startswith(("world:", "hf:")) or Path(source).expanduser().exists():
        return ok("images", source)
    return error("images", f"pool.source {source!r} does not exist", "set pool.source to your images")


def examine_deepspeed(recipe: Recipe | None) -> Finding:
    """The extra, and what it needs to compile a part of itself when it is first used."""
    have, configured = installed("deepspeed"), recipe is not None and bool(recipe.grpo.get("deepspeed"))
    if not have:
        way_out = "pip install -c constraints.txt -e .[deepspeed]"
        if configured:
            return error("deepspeed", "not installed, but grpo.deepspeed is set", way_out)
        return ok("deepspeed", "not installed, and only needed for grpo.deepspeed")
    lacking = [] if shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") else ["a C++ compiler"]
    lacking += [] if shutil.which("ninja") or installed("ninja") else ["ninja"]
    lacking += [] if (Path(sysconfig.get_path("include")) / "Python.h").is_file() else ["Python.h"]
    if lacking:
        judge = error if configured else warning
        return judge("deepspeed", f"{have} lacks {' and '.join(lacking)}", "apt install g++ ninja-build python3-dev")
    return ok("deepspeed", f"{have}, with a compiler")


def offloads(recipe: Recipe) -> bool:
    """Whether its DeepSpeed file moves the optimizer out of the GPUs, for which DeepSpeed compiles an optimizer."""
    named = recipe.grpo.get("deepspeed")
    settings = json.loads(Path(named).read_text(encoding="utf-8")) if isinstance(named, str) else named or {}
    return "offload_optimizer" in settings.get("zero_optimization", {})


def examine_sampling(sampling: SamplingSettings) -> list[Finding]:
    if sampling.engine != "vllm":
        return []
    if sampling.servers:
        return [_server(url) for url in sampling.servers]
    return [_command(shlex.split(sampling.command or ""))]


def _server(url: str) -> Finding:
    """Which model must be served is known to a stage only."""
    try:
        served = Endpoint(url, "any", timeout_s=_ANSWERS_S).models()
    except EndpointError as problem:
        return warning("vllm", str(problem), "start it before the stage that needs it; see docs/vllm.md")
    return ok("vllm", f"{url} serves {', '.join(served) or 'nothing'}")


def _command(command: Sequence[str]) -> Finding:
    words = list(command[1:] if command and Path(command[0]).name == "env" else command)
    while words and "=" in words[0]:
        words.pop(0)
    program = shutil.which(words[0]) if words else None
    if program is None:
        way_out = "give the path of your vllm, such as /opt/vllm/bin/vllm serve"
        return error("vllm", f"sampling.command: {words[0] if words else 'nothing'} is no program here", way_out)
    return ok("vllm", f"{program}, version {_version(Path(program)) or 'not known'}")


def _version(program: Path) -> str | None:
    """Of the vLLM in the program's own environment, without importing it, which takes a minute."""
    python = program.parent / "python"
    if not python.exists():
        return None
    try:
        asked = subprocess.run([python, "-I", "-c", *_ASKED], capture_output=True, text=True, timeout=_ANSWERS_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
