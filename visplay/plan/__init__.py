"""What a recipe will do and cost, before anything is loaded."""

from visplay.plan.stages import PlannedStage, describe, plan

__all__ = ["PlannedStage", "describe", "plan"]
