"""Run the loop and its two controls over several seeds, and print the table of docs/measurements.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import evolve as evolve_tool

ARMS = ("silver", "shuffled", "true")  # of visplay.study, whose import would delay --help


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of tools/evolve.py; runs that are done are only read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    chosen = parser.parse_intermixed_args(arguments)
    return evolve_tool.guarded(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> None:
    from visplay.recipe import load_recipe
    from visplay.study import check, run_arm, table

    recipe = load_recipe(chosen.recipe, chosen.overrides)
    check(recipe)
    for seed in chosen.seeds:
        for arm in chosen.arms:
            run_arm(recipe, arm, seed, chosen.out)
    print(table(chosen.out, chosen.arms, chosen.seeds, recipe.iterations))


if __name__ == "__main__":
    sys.exit(main())
