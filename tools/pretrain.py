"""Make the tiny base model that ships in data/base: minutes on one CPU core."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 when the model was saved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/base"), metavar="DIR", help="default: data/base")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="fields of visplay.pretrain.Schedule")
    chosen = parser.parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("visplay").setLevel(logging.INFO)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads are slower on a model this small
    from visplay.pretrain import Schedule, pretrain

    types = {name: type(value) for name, value in vars(Schedule()).items()}
    given = dict(setting.split("=", 1) for setting in chosen.settings)
    if unknown := given.keys() - types.keys():
        parser.error(f"unknown settings {sorted(unknown)}; known are {sorted(types)}")
    pretrain(chosen.out, Schedule(**{name: types[name](value) for name, value in given.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
