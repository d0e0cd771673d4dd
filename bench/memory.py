"""Hold the memory that a plan expects of a training step against what the step takes, here and now.

    python bench/memory.py                                          # the shipped tiny model, on the CPU or the GPU
    python bench/memory.py --model SHAPES --image-tokens 256 ...    # a model made by tools/shapes.py

Two steps of GRPO on pictures of noise; the first is not counted but for its optimizer. On a GPU the peak is that of
tensors, on a CPU the growth of resident memory with an allocator that keeps nothing.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from meters import Peak, picture, with_exact_memory
from PIL import Image

ROOT = Path(__file__).parents[1]
MIB = 2**20


def main() -> None:
    with_exact_memory()
    chosen = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING)
    from visplay.recipe import load_recipe

    fixed = [
        f"model={chosen.model}",
        f"pool.max_tokens={chosen.image_tokens}",
        f"grpo.per_device_train_batch_size={chosen.rows}",
        f"reasoner.questions_per_step={chosen.prompts}",
        f"reasoner.max_new_tokens={chosen.new_tokens}",
    ]
    recipe = load_recipe(ROOT / "recipes" / "tiny.yaml", [*fixed, *chosen.overrides])
    print(_table(*_compared(recipe, chosen)))


def _compared(recipe, chosen):
    """Planned moments, and measured peaks, of: writing completions, voting, training."""
    from visplay.engine.sampling import LocalSampler
    from visplay.plan.layout import layout_of
    from visplay.plan.memory import Writing, training
    from visplay.plan.shapes import shape_of
    from visplay.plan.tensors import Part
    from visplay.recipe import batching

    image = picture(chosen.image_tokens)
    _run(recipe, chosen, image, None, Peak())  # what libraries take once
    peak = Peak()
    frozen = LocalSampler(recipe.model, recipe.pool, recipe.sampling) if chosen.votes else None
    measured = _run(recipe, chosen, image, frozen, peak)

    import torch

    shape = shape_of(recipe.model)
    layout = layout_of(recipe, shape, cpu=not torch.cuda.is_available())
    group, new = recipe.grpo["num_generations"], chosen.new_tokens
    cut = batching(recipe, chosen.prompts)
    prompt = _prompt_tokens(recipe, image)
    part = Part(cut.per_device, cut.per_device * cut.accumulation, chosen.image_tokens, prompt, new)
    count = max(1, recipe.sampling.batch // group)
    rollout = Writing(min(chosen.prompts, count) * group, min(chosen.prompts, count), chosen.image_tokens, prompt, new)
    votes = replace(rollout, rows=chosen.votes, prompts=1) if chosen.votes else None
    moments = training(shape, layout, part, rollout, votes)
    if not torch.cuda.is_available():  # the processor's copies of the new pictures are in the same memory
        shuffling = moments["shuffling"]
        moments["rollout prepared"] = replace(shuffling, pictures=shuffling.pictures // 3 * 4)
    return moments, measured


def _run(recipe, chosen, image, frozen, peak) -> dict[str, int]:
    """Two steps; measured peaks of the second, by what was done."""
    from visplay.engine import grpo
    from visplay.records import ImageRecord

    measured: dict[str, int] = {}
    doing = "training"

    def begin(what: str) -> None:
        nonlocal doing
        if what != doing:
            measured[doing] = peak.read()
            peak.reset()
            doing = what

    def open_image(_: ImageRecord) -> Image.Image:  # the first thing of a step
        begin("rollout")
        return image

    def reward(rows: Sequence[grpo.Row], completions: Sequence[str]) -> list[grpo.Score]:
        if frozen is not None:
            begin("votes")
            frozen.sample([(image, rows[0].prompt)], chosen.votes, chosen.new_tokens, 0)
        begin("training")
        return [grpo.Score(float(i % 2)) for i in range(len(rows))]

    row = grpo.Row("What is it?", ImageRecord("noise", "", None, *image.size))
    with tempfile.TemporaryDirectory() as folder:
        peak.reset()
        grpo.train(
            recipe.model,
            [row] * chosen.prompts * 2,
            reward,
            recipe,
            role="reasoner",
            steps=2,
            prompts_per_step=chosen.prompts,
            max_new_tokens=chosen.new_tokens,
            seed=0,
            folder=Path(folder),
            open_image=open_image,
        )
        begin("saving")
    return measured


def _prompt_tokens(recipe, image) -> int:
    from visplay.engine.models import load_processor
    from visplay.engine.prompts import encode

    processor = load_processor(recipe.model, recipe.pool.min_tokens, recipe.pool.max_tokens)
    return encode(processor, [(image, "What is it?")])["input_ids"].shape[1]


def _table(moments, measured) -> str:
    """One row for each measured peak: the planned moments that fall into it, the largest of them, and by part."""
    groups = {"rollout": ("rollout",), "votes": ("votes",), "training": ("shuffling", "training", "step")}
    lines = [
        "| peak | planned MiB | measured MiB | planned / measured | largest planned parts |",
        "|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        within = {key: memory for key, memory in moments.items() if key.startswith(groups[name])}
        when, most = max(within.items(), key=lambda item: item[1].total)
        parts = sorted(most.parts.items(), key=lambda part: -part[1])[:4]
        shown = ", ".join(f"{part} {size / MIB:,.0f}" for part, size in parts if size >= MIB)
        figures = f"{most.total / MIB:,.0f} | {found / MIB:,.0f} | {most.total / found:.2f}"
        lines.append(f"| {name} ({when}) | {figures} | {shown} |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "data" / "base"))
    parser.add_argument("--image-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--prompts", type=int, default=16, help="a step's; each has grpo.num_generations completions")
    parser.add_argument("--rows", type=int, default=64, help="completions that are trained on at a time")
    parser.add_argument("--votes", type=int, default=0, help="votes of a frozen model in the reward; 0: no such model")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="over recipes/tiny.yaml")
    return parser


if __name__ == "__main__":
    main()
