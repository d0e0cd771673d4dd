"""Floating-point operations of a stage. A multiplication with its addition is two.

Forward, a token costs two operations for each parameter of a matrix, and four for each value of width `hidden` of each
token that it sees (arXiv 2001.08361, table 1). Backward is twice forward. Norms, activations and rotations are left
out, as is usual.
"""

from __future__ import annotations

from math import gcd

from visplay.plan.layout import Layout
from visplay.plan.loads import Sampled
from visplay.plan.shapes import Shape, Text, Vision
from visplay.plan.tensors import Part


def looking(vision: Vision, image_tokens: int) -> int:
    """One image through the vision tower, most layers in windows."""
    patches = image_tokens * vision.merged
    matrices = vision.patch_values * vision.hidden + vision.layers * vision.layer_matrices
    windows = (vision.layers - vision.full_layers) * min(vision.window, patches)
    seen = vision.full_layers * patches + windows
    return patches * (2 * matrices + 4 * vision.hidden * seen) + image_tokens * 2 * vision.merger_matrices


def understanding(text: Text, tokens: int, before: int = 0) -> int:
    """`tokens` tokens after `before` others through the layers; each sees itself and those that came before it."""
    seen = tokens * before + tokens * (tokens + 1) // 2
    return text.layers * (2 * text.layer_matrices * tokens + 4 * text.hidden * seen)


def packed(text: Text, tokens: int) -> int:
    """A row under a mask of its own: attention computes every pair of tokens, whoever sees whom."""
    return text.layers * (2 * text.layer_matrices * tokens + 4 * text.hidden * tokens**2)


def sampling(shape: Shape, sampled: Sampled) -> int:
    """Each prompt is read once; each completion is written to the longest that it may be."""
    writing, text = sampled.writing, shape.text
    read = looking(shape.vision, writing.image_tokens) + understanding(text, writing.prompt_tokens)
    written = understanding(text, writing.new_tokens, writing.prompt_tokens)
    return sampled.prompts * read + sampled.samples * (written + 2 * text.head_matrix * writing.new_tokens)


def training(shape: Shape, layout: Layout, part: Part, completions: int, samples: int) -> int:
    """Training on `completions`, of which `samples` are new, in parts like `part`.

    Forward, once more where it is recomputed, and backward; the scores of completions are always recomputed. The
    reference goes forward once over what is new. Where adapters are trained, no matrix needs a gradient of its own,
    which is half of the backward pass.
    """
    again = 1 if layout.recompute else 0
    backward = 1 if layout.adapters else 2
    prompts, read = reading(shape.text, part)
    seen = prompts * looking(shape.vision, part.image_tokens)
    scored = part.rows * 2 * shape.text.head_matrix * part.new_tokens
    vision = seen * (1 + (again + backward if layout.trained_vision else 0))
    own = vision + read * (1 + again + backward) + scored * (2 + backward)
    new = seen + read + scored if layout.reference else 0
    return (completions * own + samples * new) // part.rows


def reading(text: Text, part: Part) -> tuple[int, int]:
    """How many prompts a part has, and what its tokens cost forward: shared as it allows, where that costs less.

    The prompts are those of the part that groups are cut by the most; all are as long as one with a whole group.
    """
    prompts = -(-(part.group - gcd(part.group, part.rows) + part.rows) // part.group)
    together = prompts * packed(text, part.prompt_tokens + min(part.group, part.rows) * part.new_tokens)
    apart = part.rows * understanding(text, part.length)
    return (prompts, together) if together < apart else (part.rows, apart)
