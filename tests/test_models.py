"""Models: what is saved opens elsewhere, and damage is refused instead of trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from visplay.engine import models
from visplay.engine.models import ModelError


def grid(processor: object, width: int, height: int) -> list[int]:
    """Patches (time, high, wide) that the processor makes of an image."""
    return processor.image_processor(images=[Image.new("RGB", (width, height))])["image_grid_thw"][0].tolist()  # type: ignore[attr-defined]


def test_a_saved_model_opens_with_the_auto_classes_and_holds_the_same_weights(base: Path, tmp_path: Path) -> None:
    model, processor = models.load_model(base), models.load_processor(base, 4, 64)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 7.0
    models.save(model, processor, tmp_path, like=base)
    opened = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert opened.lm_head.weight[0, 0] == 7.0
    assert all(torch.equal(opened.state_dict()[name], weights) for name, weights in model.state_dict().items())
    assert (
        AutoProcessor.from_pretrained(tmp_path).tokenizer("a cat").input_ids == processor.tokenizer("a cat").input_ids
    )
    assert models.tensor_shapes(tmp_path) == models.tensor_shapes(base)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(base: Path, tmp_path: Path) -> None:
    models.save(models.load_model(base), models.load_processor(base, 4, 64), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 missing keys, such as .*norm\.weight"):
        models.check(tmp_path)
    with pytest.raises(ModelError, match=r"1 missing keys, such as .*norm\.weight"):
        models.load_model(tmp_path)


def test_weights_that_were_cut_short_are_named(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut is not an image-text-to-text model that can be loaded: .*incomplete"):
        models.load_model(tmp_path / "cut")


def test_a_checkpoint_with_other_tensor_names_than_its_start_is_refused(base: Path, tmp_path: Path) -> None:
    models.save(models.load_model(base), models.load_processor(base, 4, 64), tmp_path / "saved")
    weights = load_file(base / "model.safetensors")
    weights["model.language_model.norm.weight"] = weights.pop("model.norm.weight")
    (tmp_path / "start").mkdir()
    save_file(weights, tmp_path / "start" / "model.safetensors")
    with pytest.raises(ModelError, match=r"2 of \d+ tensors differ in name or shape from .*start"):
        models.check(tmp_path / "saved", like=tmp_path / "start")


def test_weights_that_are_not_finite_are_not_saved(base: Path, tmp_path: Path) -> None:
    model = models.load_model(base)
    with torch.no_grad():
        model.lm_head.weight[3, 3] = torch.nan
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        models.save(model, models.load_processor(base, 4, 64), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer.json", "model.bin", "old/template.jinja"])
def test_a_model_is_another_one_when_any_of_its_files_is(base: Path, tmp_path: Path, name: str) -> None:
    changed = tmp_path / "base"
    shutil.copytree(base, changed)
    assert models.identity(changed) == models.identity(base)
    (changed / name).parent.mkdir(exist_ok=True)
    with open(changed / name, "a") as file:
        file.write(" ")
    assert models.identity(changed) != models.identity(base)


def test_a_log_and_hidden_files_are_no_part_of_what_a_model_is(base: Path, tmp_path: Path) -> None:
    changed = tmp_path / "base"
    shutil.copytree(base, changed)
    (changed / "training.json").write_text("{}")
    (changed / ".cache").mkdir()
    (changed / ".cache" / "lock").write_text("")
    assert models.identity(changed) == models.identity(base)


def test_a_folder_without_a_model_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        models.load_model(tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        models.load_processor(tmp_path, 4, 64)


def test_images_are_limited_to_the_given_number_of_visual_tokens(base: Path) -> None:
    processor = models.load_processor(base, min_tokens=4, max_tokens=9)
    assert grid(processor, 84, 84) == [1, 6, 6]  # 9 tokens of 2 x 2 patches: within the limits, left as it is
    assert grid(processor, 28, 28) == [1, 4, 4]  # raised to 4 tokens
    assert grid(processor, 280, 280) == [1, 6, 6]  # lowered to 9


def test_freezing_vision_leaves_the_text_model_to_train(base: Path) -> None:
    model = models.load_model(base)
    models.freeze_vision(model)
    names = dict(model.named_parameters())
    assert {name for name, weights in names.items() if not weights.requires_grad} == {
        name for name in names if ".visual." in name
    }


def test_a_model_without_a_vision_tower_cannot_have_it_frozen(base: Path) -> None:
    with pytest.raises(ModelError, match="no vision tower"):
        models.freeze_vision(models.load_model(base).model.language_model)


def test_tokens_that_stand_for_images_are_banned(base: Path) -> None:
    tokenizer = models.load_processor(base, 4, 64).tokenizer
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    assert models.banned_tokens(models.load_model(base)) == sorted(tokenizer.convert_tokens_to_ids(marks))
