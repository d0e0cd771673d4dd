"""Python and its packages: against the bounds in pyproject.toml, and the tested versions in constraints.txt."""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from visplay.doctor.findings import Finding, error, ok, warning

INSTALL = "pip install -c constraints.txt -e ."
_SHOWN = 6


def examine_python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return warning("python", found, "only Linux is tested; a container is one, see Dockerfile")
    return ok("python", found)


def examine_packages(root: Path) -> list[Finding]:
    """What is installed here against the files in the repository's folder `root`."""
    try:
        tested = read_tested((root / "constraints.txt").read_text(encoding="utf-8"))
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except FileNotFoundError as missing:
        return [warning("packages", f"not compared: {missing.filename} is missing", f"work in a clone: {INSTALL}")]
    required = [Requirement(text) for text in project["dependencies"]]
    names = {*tested, *(canonicalize_name(one.name) for one in required)}
    return compare({name: installed(name) for name in names}, tested, required)


def compare(
    present: Mapping[str, str | None], tested: Mapping[str, str], required: Sequence[Requirement]
) -> list[Finding]:
    """Installed versions, None for what is missing, against the tested ones and the requirements.

    What is missing and not required, such as tools for development, is no finding. Names are canonical.
    """
    found = []
    held = {canonicalize_name(one.name): one for one in required}
    if missing := sorted(name for name in held if present.get(name) is None):
        found.append(error("packages", f"missing: {_some(missing)}", INSTALL))
    outside = {
        name: f"{name} {have} (needs {one.specifier})"
        for name, one in sorted(held.items())
        if (have := present.get(name)) and not one.specifier.contains(have, prereleases=True)
    }
    if outside:
        found.append(error("packages", f"out of bounds: {_some(outside.values())}", INSTALL))
    other = [
        f"{name} {have} (tested {tested[name]})"
        for name in sorted(tested.keys() - outside.keys())
        if (have := present.get(name)) and not SpecifierSet(f"=={tested[name]}").contains(have, prereleases=True)
    ]
    if other:
        found.append(warning("packages", f"not the tested versions: {_some(other)}", INSTALL))
    count = sum(present.get(name) is not None for name in tested)
    return found or [ok("packages", f"all {count} in the tested versions")]


def read_tested(constraints: str) -> dict[str, str]:
    """Canonical name -> version of every pin."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", constraints, re.MULTILINE)
    return {canonicalize_name(name): pinned for name, pinned in pins}


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
