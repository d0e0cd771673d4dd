"""What one process and two make of the same recipe, stage after stage, as a table.

    python bench/together.py --out DIR                     # recipes/smoke.yaml, a few minutes on a CPU

Each launcher goes on from what one process made before the stage, so that what differs is the stage's own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
LAUNCHERS = {
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    "deepspeed, ZeRO-2": [sys.executable, str(Path(sys.executable).with_name("deepspeed")), "--num_gpus", "2"],
    "deepspeed, ZeRO-3": [sys.executable, str(Path(sys.executable).with_name("deepspeed")), "--num_gpus", "2"],
}
STAGES = ("questioner", "ask", "label", "reasoner", "score")
LINES = {"questioner": "samples.jsonl", "ask": "questions.jsonl", "label": "silver.jsonl", "reasoner": "samples.jsonl"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="over recipes/smoke.yaml")
    chosen = parser.parse_intermixed_args()
    alone = chosen.out / "alone"
    _evolve([sys.executable], alone, chosen.overrides)
    print(f"| stage | {' | '.join(LAUNCHERS)} |\n|---{'|---' * len(LAUNCHERS)}|")
    for stage in STAGES:
        cells = [_compared(stage, name, alone, chosen) for name in LAUNCHERS]
        print(f"| {stage} | {' | '.join(cells)} |", flush=True)


def _compared(stage: str, name: str, alone: Path, chosen: argparse.Namespace) -> str:
    """How the first iteration's stage by a launcher differs from that of one process."""
    out = chosen.out / f"{name.replace(', ', '-')}-{stage}"
    shutil.copytree(alone, out)
    for later in [*(out / "iter_01" / each for each in STAGES[STAGES.index(stage) :]), *out.glob("iter_0[2-9]")]:
        shutil.rmtree(later, ignore_errors=True)
    (out / "ledger.jsonl").unlink()
    zero = [f"grpo.deepspeed=recipes/deepspeed/zero{name[-1]}.json"] if "ZeRO" in name else []
    _evolve(LAUNCHERS[name], out, [*chosen.overrides, *zero])
    ours, theirs = (run / "iter_01" / stage for run in (out, alone))
    if stage == "score":
        return _same_bytes(ours / "score.json", theirs / "score.json")
    said = _same_lines(ours / LINES[stage], theirs / LINES[stage])
    weights = [folder / "checkpoint" / "model.safetensors" for folder in (ours, theirs)]
    return f"{said}; weights to {_apart(*weights):.0e}" if weights[0].exists() else said


def _evolve(launcher: list[str], out: Path, overrides: list[str]) -> None:
    command = [*launcher, "tools/evolve.py", "recipes/smoke.yaml", "--out", str(out), *overrides]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)


def _same_bytes(one: Path, other: Path) -> str:
    return "same bytes" if one.read_bytes() == other.read_bytes() else "differs"


def _same_lines(one: Path, other: Path) -> str:
    ours, theirs = one.read_text().splitlines(), other.read_text().splitlines()
    same = sum(line == partner for line, partner in zip(ours, theirs, strict=False))
    return f"{same} of {len(theirs)} lines the same" if ours != theirs else f"same {len(ours)} lines"


def _apart(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    ours, theirs = load_file(one), load_file(other)
    return max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)


if __name__ == "__main__":
    main()
