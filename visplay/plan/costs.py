"""What each planned stage costs: operations, memory of a GPU, disk, and seconds on named GPUs."""

from __future__ import annotations

from dataclasses import dataclass

from visplay.plan import memory, work
from visplay.plan.gpus import GPUS, seconds
from visplay.plan.layout import Layout, Precision, layout_of
from visplay.plan.loads import Load, load_of
from visplay.plan.memory import Memory, Moments
from visplay.plan.shapes import Shape
from visplay.plan.stages import PlannedStage, plan
from visplay.recipe import Recipe


@dataclass(frozen=True)
class Cost:
    """The cost of one stage, one time.

    `moment` is when a GPU holds most, `memory` what it holds then. `disk` stays when the stage is done, `disk_during`
    comes on top while it runs. `seconds` is by the name of the GPU.
    """

    stage: PlannedStage
    operations: int
    moment: str
    memory: Memory
    disk: int
    disk_during: int
    seconds: dict[str, float]


def costs(recipe: Recipe, shape: Shape, processes: int = 1, items: int | None = None) -> list[Cost]:
    """The stages in which a model is at work, as `plan` has them; of other stages the costs are small."""
    layout = layout_of(recipe, shape, processes)
    loads = (load_of(recipe, stage, processes) for stage in plan(recipe, world_size=processes, items=items))
    return [_cost(shape, layout, load) for load in loads if load is not None]


def moments(shape: Shape, layout: Layout, load: Load) -> Moments:
    """What a GPU holds in a stage, by moment. Nothing where only servers are asked."""
    if load.part is None:
        precision: Precision = "float32" if layout.precision == "float32" else "bfloat16"
        if not layout.frozen_here:
            return {"by servers": Memory()}
        found = [memory.sampling(shape, sampled.writing, precision) for sampled in load.sampled]
        return max(found, key=lambda each: memory.peak(each)[1].total)
    rollout = next(sampled.writing for sampled in load.sampled if not sampled.frozen)
    votes = next((sampled.writing for sampled in load.sampled if sampled.frozen), None)
    return memory.training(shape, layout, load.part, rollout, votes)


def operations(shape: Shape, layout: Layout, load: Load) -> int:
    """Of all processes, those of servers included."""
    found = sum(work.sampling(shape, sampled) for sampled in load.sampled)
    if load.part is not None:
        completions = load.part.held * layout.processes * load.stage.steps
        found += work.training(shape, layout, load.part, completions, load.stage.samples)
    return found


def checkpoint(shape: Shape, layout: Layout) -> int:
    """Bytes of a trained model on disk, which is in float32 so that small steps are not lost."""
    return 4 * (layout.adapters or shape.parameters)


def step_checkpoint(shape: Shape, layout: Layout) -> int:
    """Bytes to go on from in the middle of a stage: the model, and what the optimizer holds, of all processes."""
    per_parameter = 8 if layout.zero is None else 12
    held = 4 * layout.adapters or layout.weight_bytes * shape.parameters
    return held + per_parameter * layout.trained


def _cost(shape: Shape, layout: Layout, load: Load) -> Cost:
    when, most = memory.peak(moments(shape, layout, load))
    trains = load.part is not None
    return Cost(
        stage=load.stage,
        operations=operations(shape, layout, load),
        moment=when,
        memory=most,
        disk=checkpoint(shape, layout) if trains else 0,
        disk_during=2 * step_checkpoint(shape, layout) if trains else 0,  # the next is whole before the last goes
        seconds={name: seconds(gpu, shape, layout, load) for name, gpu in GPUS.items()},
    )
