"""What several tests share: one thread and no network before torch is imported, and a tiny model with real classes."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
from small_loop import Loop, evolve_by_tool


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained Qwen2.5-VL with its processor; its weights are large enough for the image to matter."""
    import torch
    from transformers import AutoModelForImageTextToText

    from visplay.pretrain import new_base

    folder = tmp_path_factory.mktemp("models") / "base"
    new_base(folder, seed=0)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(4)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Two iterations of the smallest loop, run by the tool without an interruption."""
    return evolve_by_tool(tmp_path_factory.mktemp("loop") / "run")
