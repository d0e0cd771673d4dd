"""Make a random model of a real one's size, with the shipped tokenizer: to rehearse a run before downloading anything.

python tools/shapes.py Qwen2.5-VL-3B --out shapes/3b
python tools/shapes.py Qwen2.5-VL-7B --layers 2 --out shapes/7b-cut      # a cut that a laptop can hold
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for what the user can put right."""
    chosen = _parser().parse_args(arguments)
    from evolve import guarded  # beside this file

    return guarded(lambda: _make(chosen))


def _make(chosen: argparse.Namespace) -> None:
    from visplay.engine.shapes import make

    made = make(chosen.shape, chosen.out, layers=chosen.layers, seed=chosen.seed, shard_gb=chosen.shard_gb)
    print(f"{chosen.out}: {made.parameters:,} parameters in bfloat16, {2 * made.parameters / 1e9:.1f} GB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", help="Qwen2.5-VL-3B or Qwen2.5-VL-7B")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--layers", type=int, metavar="N", help="keep so many layers of text and of vision")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-gb", type=float, default=2.0, metavar="GB", help="size of a file, and memory needed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
