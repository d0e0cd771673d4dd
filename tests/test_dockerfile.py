"""The Dockerfile, read and not built: what it copies exists, its versions are the tested ones, its user is not root."""

from __future__ import annotations

import fnmatch
import re
import shlex
from importlib.metadata import requires
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.version import Version

from visplay.doctor.installation import read_tested
from visplay.recipe import load_recipe

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
COMMENTS = [line for line in TEXT.splitlines() if line.startswith("#")]


def instructions() -> list[tuple[str, str]]:
    """(FROM, rest) and so on, one for each; comments left out, continued lines joined."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def rest_of(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


def copied() -> list[str]:
    return [source for rest in rest_of("COPY") for source in shlex.split(rest)[:-1]]


def test_every_instruction_is_one_of_docker() -> None:
    assert {word for word, _ in instructions()} == {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "USER", "CMD"}


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert len(copied()) > 5
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), source


def test_what_the_installation_and_the_tools_need_is_copied() -> None:
    named = set(re.findall(r'readme = "(.*?)"|license-files = \["(.*?)"\]', (ROOT / "pyproject.toml").read_text()))
    needed = {file for pair in named for file in pair if file} | {
        "pyproject.toml",
        "constraints.txt",
        "visplay",
        "tools",
    }
    assert needed <= set(copied())
    for recipe in re.findall(r"recipes/\w+\.yaml", "\n".join(COMMENTS)):
        assert load_recipe(ROOT / recipe).model.split("/")[0] in copied()


def test_pinned_versions_are_those_of_the_constraints() -> None:
    tested = read_tested((ROOT / "constraints.txt").read_text())
    pins = dict(re.findall(r"\s([\w-]+)==([\w.]+)", TEXT))
    assert pins == {name: tested[name] for name in ("torch", "torchvision")}
    installs = [rest for rest in rest_of("RUN") if "pip install" in rest]
    assert len(installs) == 2 and all("-c constraints.txt" in rest for rest in installs)


def test_the_base_has_a_tag_with_the_cuda_of_the_tested_torch() -> None:
    (base,) = rest_of("FROM")
    match = re.fullmatch(r"nvidia/cuda:([\d.]+)-devel-ubuntu24\.04", base)  # whose Python is 3.12
    assert match
    toolkit = [Requirement(text) for text in requires("torch") or [] if text.startswith("cuda-toolkit")]
    needed = [specifier.version for one in toolkit for specifier in one.specifier] or [torch.version.cuda]
    assert Version(match[1]).release[:2] == Version(needed[0]).release[:2]


def test_the_user_is_not_root_and_may_write_runs() -> None:
    (user,) = rest_of("USER")
    assert user not in ("root", "0")
    assert any(f"useradd --create-home --uid 10001 {user}" in rest and "runs" in rest for rest in rest_of("RUN"))
    assert [word for word, _ in instructions()].index("USER") > max(
        number for number, (word, _) in enumerate(instructions()) if word in ("RUN", "COPY")
    )
