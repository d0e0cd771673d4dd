"""Keys and values of the tokens read so far, with room ahead: a new token is written in place."""

from __future__ import annotations

import torch
from transformers import Cache, PretrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

_ROOM = 32  # tokens


class RoomyLayer(DynamicLayer):
    """As transformers' own, which copies all keys and values for every token that comes; this one for every 32nd.

    `keys` and `values` (rows, heads, length, width) are views of the beginning of larger tensors.
    """

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The keys and values so far with the new ones (rows, heads, new, width) behind them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._whole = key_states[:, :, :0], value_states[:, :, :0]
            self._show(0)
        before, new = self.keys.shape[-2], key_states.shape[-2]
        if before + new > self._whole[0].shape[-2]:
            self._whole = _enlarged(self.keys, new + _ROOM), _enlarged(self.values, new + _ROOM)
        for whole, states in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, before : before + new] = states
        self._show(before + new)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Only those rows, in that order, as often as they are named."""
        length = self.get_seq_length()
        self._whole = self._whole[0][indices], self._whole[1][indices]
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys, self.values = (whole[:, :, :length] for whole in self._whole)


def _enlarged(states: torch.Tensor, more: int) -> torch.Tensor:
    rows, heads, length, width = states.shape
    larger = states.new_empty(rows, heads, length + more, width)
    larger[:, :, :length] = states
    return larger


def empty_cache(config: PretrainedConfig) -> Cache:
    """For a model that has read nothing yet."""
    text = config.get_text_config()
    if set(getattr(text, "layer_types", None) or ["full_attention"]) == {"full_attention"}:
        return Cache(layer_class_to_replicate=RoomyLayer)
    return DynamicCache(config=text)  # other kinds of layers forget what is out of their sight
