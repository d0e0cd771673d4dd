"""Run a study: the loop under several settings and seeds, and print the tables that compare them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import evolve as evolve_tool


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of tools/evolve.py; runs that are done are only read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, metavar="STUDY", help="a YAML file, such as recipes/studies/rows.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to all of its recipes")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder for each run comes here")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these settings of the study")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="instead of the study's")
    parser.add_argument("--table", action="store_true", help="run nothing; print what is there")
    chosen = parser.parse_intermixed_args(arguments)
    return evolve_tool.guarded(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> None:
    from visplay.study import read_study, tables

    study = read_study(chosen.study, chosen.overrides).only(chosen.only, chosen.seeds)
    if not chosen.table:
        for seed in study.seeds:
            for setting in study.settings:
                setting.run(chosen.out, seed)
    print(tables(study, chosen.out))


if __name__ == "__main__":
    sys.exit(main())
