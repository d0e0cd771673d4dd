"""What the engine is worth: ours against stock TRL, plain `generate` and a call for each image, in one process.

python bench/run.py --quick --json bench.json                    # under ten minutes on two cores
python bench/run.py --json bench.json --into docs/measurements.md
python bench/run.py --model Qwen2.5-VL-3B --only steps sampling --json bench.json     # on a GPU
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

Figures = Mapping[str, float | None]

_BEGIN, _END = "<!-- bench -->", "<!-- end of bench -->"
_COLUMNS = {
    "ratio": "times as fast",
    "low": "from",
    "high": "to",
    "theory": "by operations",
    "ours_s": "ours, s",
    "theirs_s": "theirs, s",
    "tokens_per_s": "tokens/s",
    "mfu": "of the peak",
    "floor": "of the floor",
    "seconds": "s",
    "mib": "MiB",
}
_JSON = "name -> ratio, low, high, theory, and times; what it holds already stays"
_MODEL = "small, mid, Qwen2.5-VL-3B or Qwen2.5-VL-7B, of random weights; steps hold it twice, with gradients"
PARTS = ("steps", "sampling", "diversity", "scaling")


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    _run(chosen)
    return 0


def _run(chosen: argparse.Namespace) -> None:
    import torch

    warnings.simplefilter("ignore")
    found: dict[str, Figures] = json.loads(chosen.json.read_text(encoding="utf-8")) if chosen.json.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, figures in _figures(chosen, Path(folder), set(found) if chosen.missing else set()):
            found[name] = figures
            print(f"{name}: {figures['ratio']:.2f} ({figures['low']:.2f} to {figures['high']:.2f})", flush=True)
            chosen.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    table = [f"`{_command(chosen)}`: torch {torch.__version__}, {_device()}.", "", *_table(found)]
    print("\n".join(["", *table]))
    if chosen.into:
        _put(chosen.into, table)


def _figures(chosen: argparse.Namespace, folder: Path, without: set[str]) -> Iterator[tuple[str, Figures]]:
    import scaling
    import sizes
    from contest import figures, hold
    from meters import gpu_named

    size = sizes.QUICK if chosen.quick else sizes.WHOLE
    for contest in _contests(chosen, size, folder):
        if contest.name not in without:
            yield contest.name, figures(hold(contest, size.repeats), gpu_named(_device()))
    if "scaling" in chosen.only and not without.issuperset(scaling.names(size.pools)):
        yield from scaling.pools(size.pools, folder / "pools")


def _contests(chosen: argparse.Namespace, size: Any, folder: Path) -> Iterator[Any]:
    import bench_models
    import diversity_contests
    import sampling_contests
    import step_contests

    def of_model(contest: Any) -> Any:
        return replace(contest, name=f"{model.name}: {contest.name}")

    if {"steps", "sampling"} & set(chosen.only):
        model = bench_models.make(chosen.model or size.model, folder)
    if "steps" in chosen.only:
        yield from (of_model(one) for one in step_contests.contests(model, size.steps))
    if "sampling" in chosen.only:
        yield from (of_model(one) for one in sampling_contests.Arena(model).contests(size.sampling))
    if "diversity" in chosen.only:
        yield from diversity_contests.contests(size.questions, size.pair_by_pair)


def _table(found: Mapping[str, Figures]) -> list[str]:
    """In Markdown; a column that no line has a figure for is left out."""
    shown = [name for name in _COLUMNS if any(figures.get(name) is not None for figures in found.values())]
    lines = ["| what | " + " | ".join(_COLUMNS[name] for name in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for what, figures in found.items():
        lines.append("| " + " | ".join([what, *(_cell(figures.get(name)) for name in shown)]) + " |")
    return lines


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _put(file: Path, table: Sequence[str]) -> None:
    """Between the two marks of a document, instead of what stands there."""
    text = file.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(f"{file} has no place for the table: put {_BEGIN} and {_END} there, a line each")
    whole = "\n".join([_BEGIN, *table, _END])
    file.write_text(marked.sub(lambda _: whole, text, count=1), encoding="utf-8")


def _command(chosen: argparse.Namespace) -> str:
    parts = ["python bench/run.py", *(["--quick"] if chosen.quick else [])]
    parts += [f"--model {chosen.model}"] if chosen.model else []
    return " ".join([*parts, *([] if chosen.only == list(PARTS) else ["--only", *chosen.only])])


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help=_JSON)
    parser.add_argument("--quick", action="store_true", help="a small model and few sizes")
    parser.add_argument("--model", help=_MODEL)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--missing", action="store_true", help="no contest that FILE has; steps are set up all the same"
    )
    parser.add_argument("--into", type=Path, metavar="FILE", help=f"put the table between {_BEGIN} and {_END} there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
