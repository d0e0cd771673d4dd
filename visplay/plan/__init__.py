"""What a recipe will do and cost, before anything is loaded: counts, memory, operations, disk and time.

Pure arithmetic. `stages` counts what each stage does, `shapes` knows how large a model is, `layout` how it lies on the
machine; from these follow the bytes (`tensors`, `memory`), the operations (`work`) and the time (`gpus`) of what each
stage puts on a model (`loads`). `fit` says what to turn when it is too much.
"""

from visplay.plan.fit import misfits
from visplay.plan.gpus import GPUS
from visplay.plan.shapes import Shape, shape_of
from visplay.plan.stages import PlannedStage, plan
from visplay.plan.table import describe, describe_costs

__all__ = ["GPUS", "PlannedStage", "Shape", "describe", "describe_costs", "misfits", "plan", "shape_of"]
