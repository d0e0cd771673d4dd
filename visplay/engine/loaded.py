"""The frozen model that was used last stays loaded, as stages that follow each other often ask for the same.

One at a time, so that no more memory is taken than by loading it for each stage.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedModel

from visplay.engine import lora, models

Known = tuple[object, ...]  # what tells a model from others: where it lies, what its files are, and its device

_kept: dict[Known, PreTrainedModel] = {}


def load_frozen(path: str | Path, where: torch.device | str | None = None) -> PreTrainedModel:
    """As `models.load_model`, for a model that nobody changes: the one that was asked for last is found loaded."""
    target = torch.empty(0, device=models.device() if where is None else where).device
    known = (str(path), str(target), *_files(path), *_files(lora.base_of(path)))
    if known not in _kept:
        let_go()
        _kept[known] = models.load_model(path, target)
    return _kept[known]


def let_go() -> None:
    """Make room: what was loaded goes with its last user, and what that had of a GPU is free for other processes."""
    _kept.clear()
    torch.cuda.empty_cache()


def _files(path: str | Path) -> list[tuple[str, int, int]]:
    """A checkpoint that is made anew under a name is another one; nothing of a hub id, whose files do not change."""
    found = ((file.name, file.stat()) for file in sorted(Path(path).glob("*")) if file.is_file())
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
