"""The shapes of models: counted as transformers builds them, and read from wherever their configuration lies."""

import json
from pathlib import Path

import pytest

from visplay.plan.shapes import KNOWN, Shape, read_shape, shape_of

BASE = Path(__file__).parents[1] / "data" / "base"


def known(name: str) -> Shape:
    return read_shape(name, KNOWN[name])


def test_the_parameters_of_the_published_models() -> None:
    # metadata.total_size of model.safetensors.index.json, in bfloat16, halved
    assert known("Qwen2.5-VL-3B").parameters == 3_754_622_976
    assert known("Qwen2.5-VL-7B").parameters == 8_292_166_656


@pytest.mark.parametrize("config", [*KNOWN.values(), json.loads((BASE / "config.json").read_text())], ids=str)
def test_transformers_builds_as_many_parameters(config: dict) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(Qwen2_5_VLConfig.from_dict(config))
    shape = read_shape("counted", config)
    assert sum(p.numel() for p in model.parameters()) == shape.parameters
    assert sum(p.numel() for p in model.get_encoder("image").parameters()) == shape.vision.parameters


def test_a_hand_counted_shape() -> None:
    shape = read_shape("small", KNOWN["Qwen2.5-VL-7B"])
    assert shape.text.kv_width == 3584 // 28 * 4 == 512
    assert shape.text.layer_matrices == 2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18_944
    assert shape.text.head_matrix == 152_064 * 3584
    assert shape.vision.patch_values == 3 * 2 * 14 * 14 and shape.vision.merged == 4
    assert shape.vision.window == 64 and shape.vision.full_layers == 4


def test_a_folder_comes_before_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen2.5-VL-7B-Instruct"
    folder.mkdir()
    (folder / "config.json").write_text((BASE / "config.json").read_text())
    found = shape_of(str(folder))
    assert isinstance(found, Shape) and found.text.layers == 4


def test_a_hub_id_without_a_local_file_is_looked_up_in_the_table() -> None:
    found = shape_of("Qwen/Qwen2.5-VL-3B-Instruct")
    assert isinstance(found, Shape) and found.text.layers == 36


def test_the_older_flat_layout_reads_the_same() -> None:
    nested = KNOWN["Qwen2.5-VL-3B"]
    flat = {**nested, **nested["text_config"], "model_type": "qwen2_5_vl"}
    del flat["text_config"]
    assert read_shape("flat", flat) == read_shape("flat", nested)


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"model_type": "llava"}', "model_type is llava"), ("{", "is no configuration"), ("[]", "is no configuration")],
)
def test_what_is_not_known_is_said_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    found = shape_of(str(tmp_path))
    assert isinstance(found, str) and said in found and "\n" not in found


def test_a_model_that_is_nowhere_is_said_in_a_line() -> None:
    found = shape_of("somewhere/a-model")
    assert found == (
        "no config.json of somewhere/a-model, as a folder or in the hub's cache, and it is none of Qwen2.5-VL-3B, "
        "Qwen2.5-VL-7B"
    )
