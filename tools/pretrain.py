"""Make the tiny base model that ships in data/base: minutes on one CPU core."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import evolve as evolve_tool


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of tools/evolve.py: 0 when the model was saved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/base"), metavar="DIR", help="default: data/base")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is in DIR")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="fields of visplay.pretrain.Schedule")
    chosen = parser.parse_intermixed_args(arguments)
    if (chosen.out / "config.json").exists() and not chosen.overwrite:
        parser.error(f"{chosen.out} holds a model; choose another --out, or replace it with --overwrite")
    return evolve_tool.guarded(lambda: _run(parser, chosen))


def _run(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    from visplay.pretrain import Schedule, pretrain
    from visplay.runs import Stopped

    types = {name: type(value) for name, value in vars(Schedule()).items()}
    try:
        schedule = dataclasses.replace(Schedule(), **dict(_setting(text, types) for text in chosen.settings))
    except ValueError as error:
        parser.error(str(error))
    try:
        pretrain(chosen.out, schedule)
    except Stopped as stop:  # unlike a run, this cannot go on where it stopped
        parser.exit(
            stop.exit_code, f"stopped; the model in {chosen.out} is not finished, start again with --overwrite\n"
        )


def _setting(text: str, types: dict[str, type]) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in types:
        raise ValueError(f"unknown setting {name!r}; known are {', '.join(types)}")
    try:
        return name, types[name](value)
    except ValueError:
        raise ValueError(f"{text!r} is not {name}= and a value of type {types[name].__name__}") from None


if __name__ == "__main__":
    sys.exit(main())
