"""How many bytes each kind of tensor takes on a GPU: one formula each.

Sources: which tensors autograd keeps is read from transformers' modeling_qwen2_5_vl.py, the scoring of completions from
trl/kernels/chunked_logprob.py, what ZeRO shares from deepspeed/runtime/zero and its paper (arXiv 1910.02054, section
3). All is for attention by sdpa, whose scores are never held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from visplay.plan.layout import LIVE, Layout
from visplay.plan.shapes import Shape, Text, Vision

TILE = (4096, 32_768)  # positions x vocabulary of the logits that TRL holds at a time

Use: TypeAlias = Literal["asleep", "layers", "whole"]


@dataclass(frozen=True)
class Part:
    """Completions that one process trains on at a time: `rows` of them, of the `held` that are its own in a step.

    Of the `prompt_tokens`, `image_tokens` stand for the image; each completion is at most `new_tokens` longer. Up to
    `group` of the rows may share a prompt.
    """

    rows: int
    held: int
    image_tokens: int
    prompt_tokens: int
    new_tokens: int
    group: int = 1

    @property
    def length(self) -> int:
        return self.prompt_tokens + self.new_tokens

    @property
    def tokens(self) -> int:
        return self.rows * self.length


def weights(shape: Shape, layout: Layout, use: Use) -> int:
    """The trained model: not in use, used layer after layer, or whole, as rollouts need it.

    ZeRO-3 gathers its shares for use, where layers will do at most LIVE parameters of them at a time; autocast keeps a
    copy of each weight in bfloat16 during a forward pass.
    """
    size, count = layout.weight_bytes, shape.parameters
    if layout.zero == 3:
        own = 0 if layout.offload_weights else size * count // layout.processes
        return own + size * {"asleep": 0, "layers": min(count, LIVE), "whole": count}[use]
    copies = 2 * count if layout.precision == "autocast" and use != "asleep" else 0
    return size * count + copies + 4 * layout.adapters


def gradients(layout: Layout) -> int:
    """While gradients add up. DDP has a second copy in its buckets; ZeRO-2 has two buckets, and keeps a share."""
    size, count = 4 if layout.adapters else layout.weight_bytes, layout.trained
    if layout.zero is None:
        return size * count * (2 if layout.processes > 1 else 1)
    if layout.zero < 2:
        return size * count
    share = 0 if layout.offload_optimizer else size * count // layout.processes
    return share + buckets(layout)


def buckets(layout: Layout) -> int:
    """What ZeRO-2 collects gradients in before it sends them; those of ZeRO-3 are small."""
    return 2 * layout.weight_bytes * min(layout.bucket, layout.trained) if layout.zero == 2 else 0


def optimizer(layout: Layout) -> int:
    """AdamW: two moments in float32, and under DeepSpeed the weights in float32, which bfloat16 ones are cast from."""
    if layout.zero is None:
        return 8 * layout.trained
    if layout.offload_optimizer:
        return 0
    return 12 * layout.trained // (layout.processes if layout.zero else 1)


def kv_cache(text: Text, layout: Layout, tokens: int) -> int:
    """Keys and values of all layers. Under autocast a key comes out of its rotation in float32, a value does not."""
    return tokens * text.layers * text.kv_width * (layout.sum_bytes + layout.value_bytes)


def kept_of_text_layer(text: Text, layout: Layout) -> int:
    """For each token, what one layer keeps for its gradients.

    Of width `hidden`: its input, two norms (each the scaled input and its output), query, key and value (spread over
    all heads), what attention gives twice, the sum in between: 11. Of width `intermediate`: gate, its activation, up,
    and their product: 4. In bfloat16 each norm also keeps its input in float32.
    """
    values = 11 * text.hidden + 4 * text.intermediate
    return values * layout.value_bytes + (8 * text.hidden if layout.value_bytes == 2 else 0)


def kept_of_vision_layer(vision: Vision, layout: Layout) -> int:
    """For each patch, as for text; query, key and value stay in one piece too, attention is cut and joined: 14."""
    values = 14 * vision.hidden + 4 * vision.intermediate
    return values * layout.value_bytes + (8 * vision.hidden if layout.value_bytes == 2 else 0)


def activations(shape: Shape, layout: Layout, part: Part, within: bool = True) -> int:
    """All that is kept for the gradients of one part of a step.

    With gradient checkpointing each layer keeps its input alone, and one layer at a time everything, though not
    before the first has its turn: `within` False. Beside it the mask, the pixels, and the sequence before and after
    the image is put in.
    """
    text, vision = shape.text, shape.vision
    patches = part.rows * part.image_tokens * vision.merged
    in_text = part.tokens * kept_of_text_layer(text, layout)
    in_vision = patches * kept_of_vision_layer(vision, layout) if layout.trained_vision else 0
    beside = part.rows * part.length**2 + patches * vision.patch_values * (4 + layout.value_bytes % 4)
    beside += 2 * part.tokens * text.hidden * layout.sum_bytes
    if not layout.recompute:
        return beside + text.layers * in_text + vision.layers * in_vision
    inputs = text.layers * part.tokens * text.hidden
    inputs += vision.layers * patches * vision.hidden if layout.trained_vision else 0
    return beside + inputs * layout.sum_bytes + (max(in_text, in_vision) if within else 0)


def scoring(text: Text, layout: Layout, part: Part) -> int:
    """Scores of completions, backwards: a tile of logits, and in float32 the gradients of states and matrix.

    In float32, as on a CPU, there is no kernel of its own for it: prompts are scored too, and a tile is seven.
    """
    plain = layout.value_bytes == 4
    scored = part.tokens if plain else part.rows * part.new_tokens
    tile = min(scored, TILE[0]) * min(text.vocabulary, TILE[1]) * layout.value_bytes * (7 if plain else 1)
    states = scored * text.hidden * (layout.sum_bytes + 4)
    matrix = text.head_matrix * (4 + layout.weight_bytes % 4)  # and once more, cast to bfloat16
    return tile + states + (0 if layout.adapters else matrix)


def drawing(text: Text, layout: Layout, rows: int) -> int:
    """The next token of `rows` completions: their logits as they come, twice in float32, and as probabilities."""
    return rows * text.vocabulary * (12 + layout.value_bytes % 4)


def reading(shape: Shape, layout: Layout, prompts: int, image_tokens: int, prompt_tokens: int) -> int:
    """While prompts are read: in the widest place of a layer, which is let go of before the next one."""
    text, vision, width = shape.text, shape.vision, layout.value_bytes
    patches, tokens = prompts * image_tokens * vision.merged, prompts * prompt_tokens
    rotated = vision.hidden * (3 * width + 16)  # queries and keys, before and after, in float32
    looking = vision.patch_values * (4 + width) + 2 * vision.hidden * layout.sum_bytes
    looking += max(3 * vision.intermediate * width, rotated)
    understanding = 2 * text.hidden * layout.sum_bytes + 3 * text.intermediate * width
    return max(patches * looking, tokens * understanding)
