"""The least that writing tokens one by one takes of a machine."""

from __future__ import annotations

from contest import Writing
from transformers import PreTrainedModel

from visplay.plan import work
from visplay.plan.shapes import read_text


def token_by_token(model: PreTrainedModel, rows: int, before: int, new: int) -> Writing:
    """`rows` completions of `new` tokens each, after `before` of the prompt, which itself gives the first of them.

    For each further one the text model is read once for all rows, and of each row the keys and values so far.
    """
    text, steps = read_text(model.config.get_text_config().to_dict(), tied=True), new - 1
    flops = work.understanding(text, steps, before) + steps * 2 * text.head_matrix
    weights = sum(one.nbytes for one in model.base_model.language_model.parameters())
    kept = 2 * text.layers * text.kv_width * model.dtype.itemsize
    return Writing(rows * new, rows * flops, steps * weights + rows * kept * sum(range(before + 1, before + new)))
