"""The plan and its costs as text: tables at most 100 columns wide, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterable

from visplay.plan.costs import Cost, costs
from visplay.plan.gpus import BANDWIDTH_SHARE, COMPUTE_SHARE, GPUS, LAYER_S, USABLE
from visplay.plan.layout import layout_of
from visplay.plan.shapes import Shape
from visplay.plan.stages import PlannedStage, plan
from visplay.recipe import Recipe

GIB, GB = 2**30, 10**9
_PARTS = {
    "weights": "weights",
    "gradients": "grads",
    "optimizer": "optim",
    "frozen_role": "frozen",
    "reference": "refer",
    "activations": "activ",
    "kv_cache": "cache",
    "logits": "logits",
}


def describe(recipe: Recipe, world_size: int = 1, pool_size: int | None = None, items: int | None = None) -> str:
    """The plan as a table with totals, at most 100 columns wide, and what it asks of the pool."""
    planned = plan(recipe, pool_size, world_size, items)
    rows = [["stage", "times", "prompts", "samples", "votes", "tokens", "steps", "batch"]]
    rows += [_row(stage) for stage in planned]
    totals = [
        sum(stage.times * getattr(stage, name) for stage in planned) for name in ("samples", "votes", "tokens", "steps")
    ]
    rows.append(["in all", "", "", *map(_figure, totals), ""])
    return "\n".join([*_aligned(rows), "", *_notes(recipe, planned, world_size)])


def describe_costs(recipe: Recipe, shape: Shape, world_size: int = 1, items: int | None = None) -> str:
    """Memory by part at the worst moment of each stage; operations, disk, and hours on each known GPU."""
    found = costs(recipe, shape, world_size, items)
    lines = [*_setting(recipe, shape, world_size), "", *_aligned(_memory_rows(found))]
    return "\n".join([*lines, "", *_aligned(_time_rows(found)), "", *_assumptions(recipe)])


def _memory_rows(found: list[Cost]) -> Iterable[list[str]]:
    yield ["GiB a GPU", "fullest in", *_PARTS.values(), "in all"]
    for cost in found:
        sizes = [*cost.memory.parts.values(), cost.memory.total]
        yield [cost.stage.name, cost.moment, *(f"{size / GIB:.1f}" if size else "-" for size in sizes)]


def _time_rows(found: list[Cost]) -> Iterable[list[str]]:
    yield ["one time", "times", "PFLOP", "GB kept", "GB during", *(f"h {name}" for name in GPUS)]
    for cost in found:
        disk = [_figure(round(size / GB)) for size in (cost.disk, cost.disk_during)]
        hours = [_hours(cost.seconds[gpu.name], cost.memory.total <= gpu.usable) for gpu in GPUS.values()]
        yield [cost.stage.name, str(cost.stage.times), _figure(round(cost.operations / 1e15)), *disk, *hours]
    times = [cost.stage.times for cost in found]
    operations = sum(n * cost.operations for n, cost in zip(times, found, strict=True))
    kept = sum(n * cost.disk for n, cost in zip(times, found, strict=True))
    during = max((cost.disk_during for cost in found), default=0)
    hours = []
    for gpu in GPUS.values():
        whole = sum(n * cost.seconds[gpu.name] for n, cost in zip(times, found, strict=True))
        hours.append(_hours(whole, all(cost.memory.total <= gpu.usable for cost in found)))
    yield [
        "in all",
        "",
        _figure(round(operations / 1e15)),
        *map(_figure, (round(kept / GB), round(during / GB))),
        *hours,
    ]


def _setting(recipe: Recipe, shape: Shape, world_size: int) -> Iterable[str]:
    layout = layout_of(recipe, shape, world_size)
    shared = "DeepSpeed shares nothing" if layout.zero is None else f"ZeRO-{layout.zero}"
    offloaded = [
        name for name, off in (("weights", layout.offload_weights), ("optimizer", layout.offload_optimizer)) if off
    ]
    offload = f", {' and '.join(offloaded)} in the machine's memory" if offloaded else ""
    billions = f"{shape.parameters / 1e9:.2f} billion parameters, {layout.trained / 1e9:.2f} of them trained"
    yield f"{shape.name}: {billions}; {world_size} GPU{'s' if world_size > 1 else ''}, {shared}{offload}."


def _assumptions(recipe: Recipe) -> Iterable[str]:
    yield "Every text is as long as allowed, so these are upper bounds."
    yield f"Memory: of tensors, {USABLE:.0%} of a GPU's can be theirs; hours are - where that is not enough."
    yield f"Hours: {COMPUTE_SHARE:.0%} of the peak where tokens are many; where they come one by one,"
    yield f"{BANDWIDTH_SHARE:.0%} of the bandwidth and {1000 * LAYER_S:g} ms a layer at least. All assumed."
    yield "Peaks, dense bf16 TFLOP/s and GB/s:"
    yield "; ".join(f"{gpu.name} {gpu.tflops:g}, {gpu.bandwidth_gbs:g}" for gpu in GPUS.values()) + "."
    yield "Disk: GB kept is a stage's checkpoint, GB during what makes it resumable while it runs."
    if recipe.sampling.engine == "vllm":
        yield "What servers sample takes their GPUs' memory and hours, which are not counted."


def _hours(seconds: float, fits: bool) -> str:
    return f"{seconds / 3600:,.1f}" if fits else "-"


def _notes(recipe: Recipe, planned: list[PlannedStage], world_size: int) -> Iterable[str]:
    pool_size = next(stage.prompts for stage in planned if stage.name == "pool")
    images = sum(stage.times * stage.prompts for stage in planned if stage.name in ("questioner", "ask"))
    size = f" from a pool of {pool_size:,}" if pool_size else ""
    yield f"Images: {images:,} drawn{size}; none is drawn twice before every image was drawn once."
    yield f"Batch: completions per process x parts per step, on {world_size} process{'es' if world_size > 1 else ''}."
    if not recipe.evaluation.world:
        yield "No held-out score: evaluation.world is not set."
        if not recipe.evaluation.benchmarks:
            yield "Nothing is measured: name a benchmark in evaluation.benchmarks."
    if any(stage.name == "benchmarks" and not stage.prompts for stage in planned):
        yield "Benchmarks: not all of their data can be read here, so their items are not counted."


def _row(stage: PlannedStage) -> list[str]:
    counts = [stage.prompts, stage.samples, stage.votes, stage.tokens, stage.steps]
    cut = f"{stage.batching.per_device} x {stage.batching.accumulation:,}" if stage.batching else ""
    return [stage.name, str(stage.times), *map(_figure, counts), cut]


def _figure(count: int) -> str:
    return f"{count:,}" if count else "-"


def _aligned(lines: Iterable[list[str]]) -> Iterable[str]:
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield f"{name:<{widths[0]}}  {line}".rstrip()
