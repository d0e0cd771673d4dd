"""Rehearse a run on a random model of a real one's size: seconds, tokens/s, MFU and memory of each part.

    python bench/rehearse.py --out rehearsal                # a GPU: 3B with all weights trained, 7B with LoRA
    python bench/rehearse.py --out rehearsal --shape Qwen2.5-VL-3B --layers 1 --image-tokens 16 --new-tokens 4 \\
        --prompts 1 --rows 2 --votes 2 grpo.num_generations=2          # a cut of it, on a CPU

For each number of image tokens: votes of a frozen model, a step of the Questioner with votes, a step of the Reasoner.
Then one iteration in small, stage after stage, each from what the one before has left: Questioner, ask, label,
Reasoner. A random model writes nothing that parses, so every prompt is the same, every picture is noise, every
completion is as long as allowed, and each is voted on. Leaves SHAPE.json and rehearsal.md in the folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = {"Qwen2.5-VL-3B": [], "Qwen2.5-VL-7B": ["lora.rank=32"]}
HEAD = ("part", "image tokens", "new tokens", "s rollout", "s votes", "s training", "tokens/s", "MFU", "GiB", "planned")


def main() -> None:
    chosen = _parser().parse_intermixed_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.shape:
        _rehearse(chosen)
    else:  # each in a process of its own, so that none finds memory taken
        for shape, overrides in CASES.items():
            command = [sys.executable, *sys.argv, "--shape", shape, *overrides]
            subprocess.run(command, check=True)
    (chosen.out / "rehearsal.md").write_text(_report(chosen.out), encoding="utf-8")
    print(_report(chosen.out))


def _rehearse(chosen: argparse.Namespace) -> None:
    import torch
    from meters import Peak, with_exact_memory

    if not torch.cuda.is_available():
        with_exact_memory()
    from visplay.engine import shapes
    from visplay.plan.shapes import shape_of

    model = (chosen.models or chosen.out) / f"{chosen.shape}{f'-{chosen.layers}-layers' if chosen.layers else ''}"
    if not model.exists():
        shapes.make(chosen.shape, model, layers=chosen.layers)
    shape = shape_of(str(model))
    found = {
        "shape": asdict(shape),
        "parameters": shape.parameters,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "settings": {name: value for name, value in vars(chosen).items() if name not in ("out", "models")},
        "rows": [],
    }

    def keep() -> None:  # after each row: a later one may not fit
        (chosen.out / f"{model.name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    for tokens in chosen.image_tokens:
        recipe = _recipe(chosen, model, tokens)
        found["rows"].append(_votes(recipe, chosen, tokens, Peak()))
        keep()
        for role in ("questioner", "reasoner"):
            found["rows"].append(_training(recipe, _step(chosen, role, tokens), Peak()))
            keep()
    found["iteration"] = _iteration(_recipe(chosen, model, min(chosen.image_tokens)), chosen)
    keep()


def _votes(recipe, chosen, tokens, peak) -> dict:
    """As many questions as are voted on together, by a model alone."""
    import torch
    from grpo_steps import PROMPT, prompt_tokens
    from meters import picture

    from visplay.engine.loaded import let_go
    from visplay.engine.sampling import LocalSampler
    from visplay.plan import memory, work
    from visplay.plan.loads import Sampled
    from visplay.plan.loads import rows as together
    from visplay.plan.memory import Writing
    from visplay.plan.shapes import shape_of

    sampler = LocalSampler(recipe.model, recipe.pool, recipe.sampling)
    length = prompt_tokens(recipe, tokens) + chosen.new_tokens
    questions = max(1, together(recipe, recipe.sampling.batch, length) // chosen.votes)
    asked = [(picture(tokens, seed), PROMPT) for seed in range(questions)]
    seconds = _timed(lambda: sampler.sample(asked, chosen.votes, chosen.new_tokens, 0))
    shape, rows = shape_of(recipe.model), questions * chosen.votes
    writing = Writing(rows, questions, tokens, prompt_tokens(recipe, tokens), chosen.new_tokens)
    precision = "bfloat16" if torch.cuda.is_available() else "float32"
    let_go()  # what comes next is measured without it
    _, most = memory.peak(memory.sampling(shape, writing, precision))
    return {
        "part": "votes",
        "image_tokens": tokens,
        "new_tokens": chosen.new_tokens,
        "seconds": {"votes": seconds},
        "tokens_per_s": rows * chosen.new_tokens / seconds,
        "mfu": _mfu(work.sampling(shape, Sampled(questions, rows, writing)), seconds),
        "bytes": peak.read(),
        "planned": most.total,
    }


def _training(recipe, step, peak) -> dict:
    """One step of a role. MFU is of the training alone, and counts nothing that is computed twice."""
    import grpo_steps

    from visplay.plan import memory, work
    from visplay.plan.layout import layout_of
    from visplay.plan.shapes import shape_of

    frozen = grpo_steps.frozen_role(recipe) if step.votes else None
    measured = grpo_steps.run(recipe, step, frozen, peak)
    del frozen
    shape, completions = shape_of(recipe.model), step.prompts * recipe.grpo["num_generations"]
    once = replace(layout_of(recipe, shape), recompute=False, reference=False)
    operations = work.training(shape, once, grpo_steps.part(recipe, step), completions, 0)
    _, most = memory.peak(grpo_steps.planned(recipe, step))
    return {
        "part": step.role,
        "image_tokens": step.image_tokens,
        "new_tokens": step.new_tokens,
        "seconds": measured.seconds,
        "tokens_per_s": completions * step.new_tokens / sum(measured.seconds.values()),
        "mfu": _mfu(operations, measured.seconds["training"]),
        "bytes": max(measured.peaks.values()),
        "planned": most.total,
    }


def _iteration(recipe, chosen) -> dict[str, float]:
    """Seconds of each stage, loading and saving included."""
    import tempfile

    import grpo_steps
    from grpo_steps import PROMPT
    from meters import Peak, picture

    from visplay.engine.sampling import LocalSampler

    tokens, seconds = min(chosen.image_tokens), {}
    pictures = [(picture(tokens, seed), PROMPT) for seed in range(chosen.prompts)]

    def train(role: str) -> None:
        step = _step(chosen, role, tokens)
        frozen = grpo_steps.frozen_role(recipe) if step.votes else None
        grpo_steps.run(recipe, step, frozen, Peak(), Path(folder) / role)

    def sample(model: Path | str, n: int) -> None:
        LocalSampler(model, recipe.pool, recipe.sampling).sample(pictures, n, chosen.new_tokens, 0)

    with tempfile.TemporaryDirectory(dir=chosen.out) as folder:
        for role in ("questioner", "reasoner"):
            (Path(folder) / role).mkdir()
        seconds["questioner"] = _timed(lambda: train("questioner"))
        seconds["ask"] = _timed(lambda: sample(Path(folder) / "questioner" / "checkpoint", 1))
        seconds["label"] = _timed(lambda: sample(recipe.model, chosen.votes))
        seconds["reasoner"] = _timed(lambda: train("reasoner"))
    return seconds


def _recipe(chosen, model, tokens):
    from visplay.recipe import load_recipe

    fixed = [
        f"model={model}",
        "pool.source=noise",
        f"pool.max_tokens={tokens}",
        f"labels.votes={chosen.votes}",
        f"labels.min_parsed={min(5, chosen.votes)}",
        f"grpo.per_device_train_batch_size={chosen.rows}",
        "grpo.deepspeed=null",  # there is one process
    ]
    return load_recipe(ROOT / "recipes" / "qwen2_5_vl_3b.yaml", [*fixed, *chosen.overrides])


def _step(chosen, role, tokens):
    from grpo_steps import Step

    return Step(role, chosen.prompts, tokens, chosen.new_tokens, chosen.votes if role == "questioner" else 0)


def _timed(work) -> float:
    began = time.monotonic()
    work()
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - began


def _mfu(operations: int, seconds: float) -> float | None:
    """Share of the peak of this GPU; None where it is not known."""
    import torch
    from meters import gpu_named

    gpu = gpu_named(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    return operations / seconds / (gpu.tflops * 1e12) if gpu else None


def _report(folder: Path) -> str:
    """The tables of all cases in a folder."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        overrides = " ".join(case["settings"]["overrides"]) or "all weights trained"
        parts.append(
            f"**{path.stem}**, {case['parameters'] / 1e9:.2f} billion parameters, {case['device']}, {overrides}\n"
        )
        parts += [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *map(_row, case["rows"]), ""]
        stages = ", ".join(f"{name} {seconds:,.1f}" for name, seconds in case.get("iteration", {}).items())
        parts.append(f"One iteration in small, seconds, with loading and saving: {stages}.\n")
    return "\n".join(parts)


def _row(row: dict) -> str:
    seconds = [
        f"{row['seconds'][name]:,.1f}" if name in row["seconds"] else "" for name in ("rollout", "votes", "training")
    ]
    mfu = "" if row["mfu"] is None else f"{row['mfu']:.1%}"
    sizes = [f"{row[name] / 2**30:,.1f}" for name in ("bytes", "planned")]
    speed = f"{row['tokens_per_s']:,.0f}"
    cells = [row["part"], str(row["image_tokens"]), str(row["new_tokens"]), *seconds, speed, mfu, *sizes]
    return f"| {' | '.join(cells)} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="where the models of 7.5 and 16.6 GB go; default: --out"
    )
    parser.add_argument("--shape", help="one shape instead of both cases")
    parser.add_argument("--layers", type=int, help="keep so many layers")
    parser.add_argument("--image-tokens", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--prompts", type=int, default=4, help="of a step; each has grpo.num_generations completions")
    parser.add_argument("--rows", type=int, default=8, help="completions that are trained on at a time")
    parser.add_argument("--votes", type=int, default=10)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="over recipes/qwen2_5_vl_3b.yaml")
    return parser


if __name__ == "__main__":
    main()
