"""docs/troubleshooting.md: what it quotes is what is said, by visplay's code and by the installed libraries."""

from __future__ import annotations

import ast
import errno
import mmap
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors import safe_open
from torch.distributed import TCPStore

from visplay.engine import models
from visplay.recipe import Recipe, load_recipe
from visplay.runs import Run

ROOT = Path(__file__).parents[1]
TEXT = " ".join((ROOT / "docs/troubleshooting.md").read_text().split())
ENTRY = re.compile(r"((?:\*\*`[^`]+`\*\*(?:,| with \S+ in it)? ?)+)\((\w+)[^)]*\)")
# Where a library says it. What C++ says is looked up in the library itself, where it is installed.
SAID_IN = {
    "accelerate": ("accelerate/accelerator.py",),
    "datasets": ("datasets/load.py",),
    "deepspeed": (
        "deepspeed/launcher/runner.py",
        "deepspeed/launcher/launch.py",
        "deepspeed/ops/op_builder/builder.py",
        "deepspeed/runtime/engine.py",
        "deepspeed/runtime/zero/partitioned_param_coordinator.py",
    ),
    "huggingface_hub": ("huggingface_hub/file_download.py",),
    "transformers": (
        "transformers/modeling_utils.py",
        "transformers/utils/hub.py",
        "transformers/models/qwen2_5_vl/modeling_qwen2_5_vl.py",
    ),
    "trl": ("trl/import_utils.py",),
}
BINARIES = ("libc10_cuda.so", "libtorch_cuda.so", "libtorch_python.so")
IN_BINARIES = (
    "CUDA out of memory. Tried to allocate",
    "Watchdog caught collective operation timeout",
    "Some NCCL operations have failed or timed out",
    "watchdog got stuck for",
    "Found no NVIDIA driver on your system",
    "The NVIDIA driver on your system is too old",
    "insufficient shared memory (shm)",
)


def quoted() -> dict[str, list[str]]:
    """Who says it -> the quotations."""
    found: dict[str, list[str]] = {}
    for texts, who in ENTRY.findall(TEXT):
        found.setdefault(who, []).extend(re.findall(r"\*\*`([^`]+)`\*\*", texts))
    return found


def templates(path: Path) -> Iterator[str]:
    """Every text in a Python file, with NUL where something is put in; docstrings and comments left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def is_said(quotation: str, texts: list[str]) -> bool:
    """Whether a text has the quotation, with something in the place of its dots."""
    pieces = [re.escape(piece.strip()) for piece in quotation.split("...")]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    return any(pattern.search(text) for text in texts)


@cache
def ours() -> list[str]:
    paths = [*ROOT.glob("visplay/**/*.py"), *ROOT.glob("tools/*.py")]
    return [text for path in paths for text in templates(path)]


@cache
def theirs(who: str) -> list[str]:
    packages = find_spec(who)
    assert packages is not None and packages.origin is not None
    return [text for name in SAID_IN[who] for text in templates(Path(packages.origin).parents[1] / name)]


def test_every_entry_with_a_quotation_says_whose_it_is() -> None:
    known = {
        "visplay",
        "make",
        "Python",
        "torch",
        "CUDA",
        "NCCL",
        "gloo",
        "torchrun",
        "vLLM",
        "safetensors",
        "tokenizers",
    }
    assert set(quoted()) == known | set(SAID_IN)
    assert sum(map(len, quoted().values())) == len(re.findall(r"\*\*`", TEXT))


@pytest.mark.parametrize("quotation", quoted()["visplay"])
def test_what_visplay_is_quoted_with_is_in_its_code(quotation: str) -> None:
    assert is_said(quotation, ours())


@pytest.mark.parametrize(("who", "quotation"), [(who, text) for who in SAID_IN for text in quoted()[who]])
def test_what_a_library_is_quoted_with_is_in_the_installed_version(who: str, quotation: str) -> None:
    assert is_said(quotation, theirs(who))


def test_a_quotation_that_nobody_says_is_found_out() -> None:
    assert not is_said("is in use by nobody", ours())
    assert is_said("is in use by...choose another directory", ours())


def test_what_torch_says_in_its_binaries_is_quoted_as_it_stands_there() -> None:
    assert set(IN_BINARIES) <= set(quoted()["torch"])
    package = find_spec("torch")
    assert package is not None and package.origin is not None
    missing = list(IN_BINARIES)
    for name in BINARIES:
        library = Path(package.origin).parent / "lib" / name
        if not library.exists():
            pytest.skip(f"a torch without {name}")
        with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            missing = [text for text in missing if content.find(text.encode()) < 0]
    assert missing == []


def test_what_the_system_says_is_quoted_as_it_says_it() -> None:
    numbers = (errno.EMFILE, errno.ENOSPC, errno.EDQUOT, errno.ESTALE)
    assert {os.strerror(number) for number in numbers} <= {*quoted()["Python"], *quoted()["torch"]}


def run_twice(folder: Path) -> None:
    recipe = OmegaConf.to_object(OmegaConf.merge(Recipe, {"model": "m", "pool": {"source": "s"}}))
    with Run.open(folder, recipe):
        Run.open(folder, recipe)


def run_in_a_full_folder(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    recipe = OmegaConf.to_object(OmegaConf.merge(Recipe, {"model": "m", "pool": {"source": "s"}}))
    Run.open(folder, recipe)


def load_weights_that_were_cut_short(folder: Path) -> None:
    content = (ROOT / "data" / "base" / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    with safe_open(folder / "model.safetensors", "np"):
        pass


def load_a_page_for_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<!DOCTYPE html><html></html>")
    with safe_open(folder / "model.safetensors", "np"):
        pass


def share_unevenly(folder: Path) -> None:
    load_recipe(ROOT / "recipes/smoke.yaml", ["reasoner.questions_per_step=3"], world_size=5)


def listen_twice(folder: Path) -> None:
    first = TCPStore("127.0.0.1", 0, is_master=True)
    TCPStore("127.0.0.1", first.port, is_master=True)


def draw_from_nothing(folder: Path) -> None:
    torch.multinomial(torch.tensor([float("nan"), 1.0]), 1)


def nowhere(folder: Path) -> None:
    models.identity("nobody/nothing")


@pytest.mark.parametrize(
    ("act", "quotation"),
    [
        (run_twice, "is in use by...; stop that one or choose another directory"),
        (run_in_a_full_folder, "is not empty and holds no run"),
        (
            load_weights_that_were_cut_short,
            "Error while deserializing header: incomplete metadata, file not fully covered",
        ),
        (load_a_page_for_weights, "Error while deserializing header: header too large"),
        (share_unevenly, "cannot be shared among...processes; use a multiple of"),
        (listen_twice, "The server socket has failed to listen on any local network address"),
        (listen_twice, "EADDRINUSE"),
        (listen_twice, "address already in use"),
        (draw_from_nothing, "probability tensor contains either"),
        (nowhere, "no model at...neither as a folder nor in the local hub cache"),
    ],
)
def test_what_goes_wrong_is_said_in_the_quoted_words(
    act: Callable[[Path], None], quotation: str, tmp_path: Path
) -> None:
    assert any(quotation in texts for texts in quoted().values())
    with pytest.raises(Exception) as error:
        act(tmp_path)
    assert is_said(quotation, [str(error.value)])
