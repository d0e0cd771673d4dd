"""Examine this machine, alone or with others under a launcher; exit status 1 where a run would fail.

python tools/doctor.py recipes/qwen2_5_vl_7b.yaml --out /shared/runs/7b
torchrun --standalone --nproc-per-node 2 tools/doctor.py
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 where there is no error, warnings or not; else 1."""
    chosen = _parser().parse_intermixed_args(arguments)
    from visplay.doctor import Asked, examine, has_error, render

    found = []
    for finding in examine(Asked(chosen.out, chosen.recipe, chosen.overrides, chosen.deadline)):
        print(render(finding), flush=True)
        found.append(finding)
    if chosen.json and os.environ.get("RANK", "0") == "0":
        chosen.json.write_text(json.dumps([asdict(finding) for finding in found], indent=1) + "\n", encoding="utf-8")
    return int(has_error(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=Path, metavar="RECIPE", help="examine what this recipe needs, too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the recipe's")
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="where runs are to be kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there as well")
    parser.add_argument("--deadline", type=float, default=180.0, metavar="SECONDS", help="for what may hang")
    # The deepspeed launcher puts it first in argv; the rank is read from the environment.
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
