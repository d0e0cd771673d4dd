"""Memory of one GPU, in bytes by part, at the moments of a stage when it is most.

What the allocator wastes and CUDA's own few hundred MB are not in it; bench/memory.py holds the sums against measured
ones.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

from visplay.plan import tensors
from visplay.plan.layout import SUB_GROUP, Layout, Precision
from visplay.plan.shapes import Shape
from visplay.plan.tensors import Part


@dataclass(frozen=True)
class Memory:
    """Bytes by what they are for."""

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    frozen_role: int = 0
    reference: int = 0
    activations: int = 0
    kv_cache: int = 0
    logits: int = 0

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, int]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Writing:
    """Completions that are written together: `rows` of them, from `prompts` prompts with an image each; as in Part."""

    rows: int
    prompts: int
    image_tokens: int
    prompt_tokens: int
    new_tokens: int


Moments = dict[str, Memory]


def training(shape: Shape, layout: Layout, part: Part, rollout: Writing, votes: Writing | None) -> Moments:
    """The moments of a training stage; `votes` are those of the frozen role while the reward is computed."""
    held = _held(shape, layout, votes is not None and layout.frozen_here)
    whole = replace(held, weights=tensors.weights(shape, layout, "whole"))
    moments = _writing("rollout", shape, layout, rollout, whole)
    if votes is not None and layout.frozen_here:
        asleep = replace(held, weights=tensors.weights(shape, layout, "asleep"))
        moments |= _writing("votes", shape, _alone(layout), votes, asleep)
    moments["training"] = _training(shape, layout, part, held)
    moments["step"] = _step(shape, layout, held)
    return moments


def sampling(shape: Shape, writing: Writing, precision: Precision = "bfloat16") -> Moments:
    """The moments of a stage in which a model only writes."""
    layout = Layout(precision=precision)
    return _writing("writing", shape, layout, writing, Memory(weights=layout.weight_bytes * shape.parameters))


def peak(moments: Moments) -> tuple[str, Memory]:
    """The worst moment."""
    return max(moments.items(), key=lambda moment: moment[1].total)


def _held(shape: Shape, layout: Layout, frozen_here: bool) -> Memory:
    """What is there during the whole stage; the frozen role is whole in every process."""
    frozen = 4 * layout.adapters if layout.shared_base else _alone(layout).weight_bytes * shape.parameters
    reference = layout.weight_bytes * shape.parameters // (layout.processes if layout.zero == 3 else 1)
    if layout.shared_base:
        reference = 4 * layout.adapters
    ddp = layout.weight_bytes * layout.trained if layout.zero is None and layout.processes > 1 else 0
    return Memory(
        gradients=tensors.gradients(layout) if layout.zero == 3 else ddp,
        optimizer=tensors.optimizer(layout),
        frozen_role=frozen if frozen_here else 0,
        reference=reference if layout.reference else 0,
    )


def _writing(name: str, shape: Shape, layout: Layout, writing: Writing, held: Memory) -> Moments:
    """First the prompts are read, each once, then the completions are written until all are as long as they may be."""
    text, prompts = shape.text, writing.prompts
    read = tensors.reading(shape, layout, prompts, writing.image_tokens, writing.prompt_tokens)
    begun = tensors.kv_cache(text, layout, prompts * writing.prompt_tokens)
    cache = tensors.kv_cache(text, layout, writing.rows * (writing.prompt_tokens + writing.new_tokens))
    copied = cache // text.layers  # a layer's, when it grows
    return {
        f"{name} read": replace(held, activations=read, kv_cache=begun),
        name: replace(held, kv_cache=cache + copied, logits=tensors.drawing(text, layout, writing.rows)),
    }


def _training(shape: Shape, layout: Layout, part: Part, held: Memory) -> Memory:
    """The larger of: a layer in work, while autocast may hold its copies; and scoring, when no layer is in work."""
    forward = replace(
        held,
        weights=tensors.weights(shape, layout, "layers"),
        gradients=tensors.gradients(layout),
        activations=tensors.activations(shape, layout, part),
    )
    cast = forward.weights - tensors.weights(shape, layout, "asleep") if layout.precision == "autocast" else 0
    scored = replace(
        forward,
        weights=forward.weights - cast,
        activations=tensors.activations(shape, layout, part, within=False),
        logits=tensors.scoring(shape.text, layout, part),
    )
    return max(forward, scored, key=lambda memory: memory.total)


def _step(shape: Shape, layout: Layout, held: Memory) -> Memory:
    """The optimizer's: under DeepSpeed gradients are cast to float32, by ZeRO-3 a group after the other."""
    share = layout.trained // (layout.processes if layout.zero else 1)
    cast = 4 * (min(share, SUB_GROUP) if layout.zero == 3 else share)
    if layout.zero is None or layout.offload_optimizer:
        cast = 0
    own = tensors.gradients(layout) - tensors.buckets(layout)
    return replace(held, weights=tensors.weights(shape, layout, "asleep"), gradients=own + cast)


def _alone(layout: Layout) -> Layout:
    """Of a model that only writes: whole on each process, in bfloat16 where anything is."""
    return Layout(precision="float32" if layout.precision == "float32" else "bfloat16")
