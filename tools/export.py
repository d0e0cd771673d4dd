"""Merge an adapter, a checkpoint trained by LoRA, into its base: a whole model that opens anywhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evolve import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of tools/evolve.py."""
    chosen = _parser().parse_args(arguments)
    return guarded(lambda: _export(chosen))


def _export(chosen: argparse.Namespace) -> None:
    from visplay.engine.export import export

    export(chosen.checkpoint, chosen.out, chosen.dtype)
    print(chosen.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a folder with adapter_config.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the whole model's new folder")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="how weights are stored")
    return parser


if __name__ == "__main__":
    sys.exit(main())
