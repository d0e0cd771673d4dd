"""What a user can put right: every message names the value and the way out, and is shown without a traceback."""

from __future__ import annotations


class VisplayError(Exception):
    """The root of RecipeError, PoolError, RunError, ModelError and NonFiniteError."""
