"""Hold the memory that a plan expects of a training step against what the step takes, here and now.

    python bench/memory.py                                          # the shipped tiny model, on the CPU or the GPU
    python bench/memory.py --model SHAPES --image-tokens 256        # a model made by tools/shapes.py

On a GPU the peak is that of tensors, on a CPU the growth of resident memory with an allocator that keeps nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from meters import Peak, with_exact_memory

ROOT = Path(__file__).parents[1]
MIB = 2**20


def main() -> None:
    with_exact_memory()
    chosen = _parser().parse_args()
    import grpo_steps

    from visplay.recipe import load_recipe

    fixed = [
        f"model={chosen.model}",
        f"pool.max_tokens={max(4, chosen.image_tokens)}",
        f"grpo.per_device_train_batch_size={chosen.rows}",
        "share_prompts=false",  # what is planned
    ]
    recipe = load_recipe(ROOT / "recipes" / "tiny.yaml", [*fixed, *chosen.overrides])
    step = grpo_steps.Step("reasoner", chosen.prompts, chosen.image_tokens, chosen.new_tokens, chosen.votes)
    # What libraries take once is taken before; the tiniest step does that.
    grpo_steps.run(recipe, grpo_steps.Step("reasoner", 1, 4, 2), None, Peak())
    peak = Peak()
    frozen = grpo_steps.frozen_role(recipe) if chosen.votes else None
    measured = grpo_steps.run(recipe, step, frozen, peak)
    moments = grpo_steps.planned(recipe, step)
    print("| peak | planned MiB | measured MiB | planned / measured | largest planned parts |\n|---|---|---|---|---|")
    for group in grpo_steps.GROUPS:
        if group in measured.peaks:
            print(_row(group, *grpo_steps.fullest(moments, group), measured.peaks[group]))


def _row(group, when, planned, measured) -> str:
    parts = sorted(planned.parts.items(), key=lambda part: -part[1])[:4]
    shown = ", ".join(f"{part} {size / MIB:,.0f}" for part, size in parts if size >= MIB)
    figures = f"{planned.total / MIB:,.0f} | {measured / MIB:,.0f} | {planned.total / measured:.2f}"
    return f"| {group} ({when}) | {figures} | {shown} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "data" / "base"))
    parser.add_argument("--image-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--prompts", type=int, default=8, help="a step's; each has grpo.num_generations completions")
    parser.add_argument("--rows", type=int, default=32, help="completions that are trained on at a time")
    parser.add_argument("--votes", type=int, default=0, help="votes of a frozen model in the reward; 0: no such model")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="over recipes/tiny.yaml")
    return parser


if __name__ == "__main__":
    main()
