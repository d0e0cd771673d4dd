"""The frozen model that was used last: found loaded, never a stale one, and gone when a training begins."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import torch
from small_loop import small

from visplay.engine import lora, models
from visplay.engine.loaded import let_go, load_frozen
from visplay.engine.sampling import LocalSampler
from visplay.recipe import LoraSettings


def test_it_is_loaded_once_for_all_who_ask_for_it(base: Path) -> None:
    recipe = small()
    samplers = [LocalSampler(base, recipe.pool, recipe.sampling) for _ in range(2)]
    assert samplers[0].model is samplers[1].model is load_frozen(str(base))


def test_one_is_kept_and_makes_room_for_the_next(base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    first = weakref.ref(load_frozen(base))
    assert load_frozen(other) is load_frozen(other)
    gc.collect()
    assert first() is None


def test_a_checkpoint_made_anew_under_the_same_name_is_another(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "model")
    before = load_frozen(folder)
    changed = models.load_model(folder)
    with torch.no_grad():
        changed.get_input_embeddings().weight.zero_()
    models.save(changed, models.load_processor(folder, 4, 64), tmp_path / "new")
    shutil.rmtree(folder)
    (tmp_path / "new").rename(folder)
    assert load_frozen(folder) is not before
    assert not load_frozen(folder).get_input_embeddings().weight.any()


def test_an_adapter_is_another_model_than_its_base(base: Path, tmp_path: Path) -> None:
    made = lora.begin(models.load_model(base), base, LoraSettings(2, 4), None)
    models.save_adapter(made, models.load_processor(base, 4, 64), tmp_path / "adapter")
    assert load_frozen(tmp_path / "adapter") is not load_frozen(base)


def test_it_goes_with_its_last_user(base: Path) -> None:
    recipe = small()
    sampler = LocalSampler(base, recipe.pool, recipe.sampling)
    model = weakref.ref(sampler.model)
    let_go()
    gc.collect()
    assert model() is not None
    del sampler
    gc.collect()
    assert model() is None
