"""Named GPUs, and how long work takes on them.

Figures of the makers' data sheets: dense bfloat16 with sums in float32, memory as the driver shows it. The shares of
them that are reached are assumptions, stated in every plan, until they are measured by bench/rehearse.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from visplay.plan import work
from visplay.plan.layout import Layout
from visplay.plan.loads import Load, Sampled
from visplay.plan.shapes import Shape
from visplay.plan.tensors import kv_cache

COMPUTE_SHARE = 0.40  # of the peak, where many tokens are multiplied at once
BANDWIDTH_SHARE = 0.60  # of the peak, where weights and cache are read for every token
LAYER_S = 0.5e-3  # a layer's kernels are started, one token long, from Python
USABLE = 0.90  # of the memory; the rest is CUDA's own, and lost between tensors


@dataclass(frozen=True)
class Gpu:
    """`tflops` and `bandwidth_gbs` are peaks, in 10^12 operations and 10^9 bytes a second; memory in 2^30 bytes."""

    name: str
    tflops: float
    bandwidth_gbs: float
    memory_gib: float

    @property
    def usable(self) -> float:
        """Bytes that tensors may take."""
        return USABLE * self.memory_gib * 2**30


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("A100-80", 312, 2039, 80.0),
        Gpu("H100-80", 989, 3350, 79.6),
        Gpu("H200", 989, 4800, 140.4),
        Gpu("L40S", 362, 864, 45.0),
        Gpu("RTX-4090", 165, 1008, 24.0),
    )
}


def seconds(gpu: Gpu, shape: Shape, layout: Layout, load: Load) -> float:
    """One time of a stage on `layout.processes` GPUs, when nothing but the model takes time."""
    alone = Layout(precision="bfloat16")
    found = 0.0
    for sampled in load.sampled:
        if layout.frozen_here or not sampled.frozen:
            found += _sampling(gpu, shape, alone if sampled.frozen else layout, sampled, layout.processes)
    if load.part is not None:
        completions = load.part.held * layout.processes * load.stage.steps
        operations = work.training(shape, layout, load.part, completions, load.stage.samples)
        found += operations / (COMPUTE_SHARE * gpu.tflops * 1e12 * layout.processes)
    return found


def _sampling(gpu: Gpu, shape: Shape, layout: Layout, sampled: Sampled, processes: int) -> float:
    """Batches are dealt whole, and each is as slow as what it waits for: products, memory, or being started."""
    writing = sampled.writing
    batches = -(-sampled.prompts // writing.prompts)
    rounds = -(-batches // processes)
    reading = work.looking(shape.vision, writing.image_tokens) + work.understanding(shape.text, writing.prompt_tokens)
    compute = COMPUTE_SHARE * gpu.tflops * 1e12
    each = work.understanding(shape.text, writing.new_tokens, writing.prompt_tokens)
    each += 2 * shape.text.head_matrix * writing.new_tokens
    token = max(
        writing.rows * each / writing.new_tokens / compute,
        _read_for_a_token(shape, layout, sampled) / (BANDWIDTH_SHARE * gpu.bandwidth_gbs * 1e9),
        shape.text.layers * LAYER_S,
    )
    return rounds * (writing.prompts * reading / compute + writing.new_tokens * token)


def _read_for_a_token(shape: Shape, layout: Layout, sampled: Sampled) -> float:
    """Bytes: all weights of the language model, and each row's cache, half as long as it becomes.

    Under autocast weights are read in float32, and their copy in bfloat16 is written and read.
    """
    per_weight = 8 if layout.precision == "autocast" else layout.weight_bytes
    writing, text = sampled.writing, shape.text
    context = writing.prompt_tokens + writing.new_tokens / 2
    cache = kv_cache(text, layout, 1) * writing.rows * context
    return per_weight * (text.layers * text.layer_matrices + text.head_matrix) + cache
