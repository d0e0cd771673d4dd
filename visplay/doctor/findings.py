"""What the doctor says: one finding per check, ok, a warning or an error, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

OK, WARNING, ERROR = "ok", "warning", "error"
_INDENT = " " * 21


@dataclass(frozen=True)
class Finding:
    """`status` is ok, warning (a run may work) or error (it will not). `way_out` is "" where all is well."""

    check: str
    status: str
    found: str
    way_out: str = ""

    def on(self, host: str) -> Finding:
        """The same, found on another machine."""
        return replace(self, found=f"{host}: {self.found}")


def ok(check: str, found: str) -> Finding:
    return Finding(check, OK, found)


def warning(check: str, found: str, way_out: str) -> Finding:
    return Finding(check, WARNING, found, way_out)


def error(check: str, found: str, way_out: str) -> Finding:
    return Finding(check, ERROR, found, way_out)


def render(finding: Finding) -> str:
    """One line, and a second one with the way out."""
    line = f"{finding.status:<8} {finding.check:<11} {finding.found}"
    return f"{line}\n{_INDENT}{finding.way_out}" if finding.way_out else line


def has_error(findings: Sequence[Finding]) -> bool:
    return any(finding.status == ERROR for finding in findings)


def gib(size: float) -> str:
    """Bytes as text, such as 3.2 GiB."""
    return f"{size / 2**30:.1f} GiB"
