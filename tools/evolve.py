"""Evolve a vision-language model by a recipe; run the same command again to go on where it stopped."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visplay.recipe import Recipe


_PLACE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what every launcher sets


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of `guarded`."""
    parser = _parser()
    chosen = parser.parse_intermixed_args(arguments)
    if (chosen.gpu or chosen.world_size) and not chosen.dry_run:
        parser.error("--gpu and --world-size only go with --dry-run; a launcher starts several processes")
    given = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: _run(chosen, [sys.executable, __file__, *given]))


def guarded(work: Callable[[], int | None]) -> int:
    """Exit status of `work`, 0 for None; 2 something the user can put right; 130 or 143 stopped by signal."""
    _configure_logging()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched unless the user says so
    # Read when torch is imported; threads that wait for each other make small models slower, and a GPU needs none.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Imported this late so that --help answers at once.
    from visplay.errors import VisplayError
    from visplay.runs import Stopped, stop_signals
    from visplay.runs.processes import EndedElsewhere

    try:
        with stop_signals():
            return work() or 0
    except EndedElsewhere:
        return 2
    except VisplayError as error:
        print(*getattr(error, "__notes__", ()), error, sep=": ", file=sys.stderr)
        return 2
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code


def _run(chosen: argparse.Namespace, command: Sequence[str]) -> int:
    from visplay.errors import VisplayError
    from visplay.recipe import load_recipe, to_yaml

    world_size = chosen.world_size or int(os.environ.get("WORLD_SIZE", "1"))
    missing = [name for name in _PLACE if name not in os.environ]
    if world_size > 1 and missing and not chosen.dry_run:
        raise VisplayError(
            f"WORLD_SIZE is {world_size} but {missing[0]} is not set; let torchrun or deepspeed start the processes, "
            "or unset WORLD_SIZE"
        )
    recipe = load_recipe(chosen.recipe, chosen.overrides, world_size)
    if chosen.dry_run:
        print(to_yaml(recipe))
        _plan(recipe, world_size, chosen.gpu)
        return 0
    return _evolve(recipe, chosen, command)


def _evolve(recipe: Recipe, chosen: argparse.Namespace, command: Sequence[str]) -> int:
    """Exit status of the loop: here, or each training in a process of its own."""
    from visplay.engine import launch
    from visplay.runs import StageMade

    out = chosen.out or Path("runs") / chosen.recipe.stem
    apart = launch.is_needed() if chosen.apart is None else chosen.apart
    if apart and chosen.turn is None:
        return launch.stage_by_stage(out, command)
    from visplay.evolve import evolve

    try:
        evolve(recipe, out, turn=chosen.turn)
    except StageMade:
        return launch.NEXT
    return 0


def _plan(recipe: Recipe, world_size: int, gpu: str | None) -> None:
    """Print what the recipe does and costs; raise RecipeError where it does not fit on the GPU that is named."""
    from visplay.plan import GPUS, Shape, describe, describe_costs, misfits, shape_of
    from visplay.recipe import RecipeError

    if gpu and gpu not in GPUS:
        raise RecipeError([f"--gpu: {gpu} is not known; use {', '.join(GPUS)}"])
    items = _items(recipe)
    print(describe(recipe, world_size, items=items))
    shape = shape_of(recipe.model)
    if not isinstance(shape, Shape):
        if gpu:
            raise RecipeError([f"--gpu: what fits cannot be told: {shape}; put the model there, or leave --gpu out"])
        print(f"Memory, time and disk are not planned: {shape}.")
        return
    print(f"\n{describe_costs(recipe, shape, world_size, items)}")
    if gpu and (problems := misfits(recipe, shape, GPUS[gpu], world_size, items)):
        raise RecipeError(problems)


def _items(recipe: Recipe) -> int | None:
    if not recipe.evaluation.benchmarks:
        return None
    from visplay.evaluation.suite import size

    return size(recipe.evaluation)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file, such as recipes/tiny.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that replace the recipe's")
    parser.add_argument("--dry-run", action="store_true", help="print the resolved recipe and the plan, then stop")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run directory; default: runs/ and the recipe's name")
    parser.add_argument("--world-size", type=_count, metavar="N", help="with --dry-run: plan for N GPUs")
    parser.add_argument("--gpu", metavar="NAME", help="with --dry-run: refuse what does not fit on it, such as H100-80")
    parser.add_argument(
        "--apart",
        action=argparse.BooleanOptionalAction,
        help="a process for each training, after which all GPU memory is given back; default: where there are GPUs",
    )
    parser.add_argument("--turn", type=_count, help=argparse.SUPPRESS)  # in such a process: its number
    # The deepspeed launcher puts it first in argv; the rank is read from the environment.
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return count


def _configure_logging() -> None:
    """One line per event of ours; of others only warnings. Ranks above 0 keep to warnings too."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("visplay").setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
