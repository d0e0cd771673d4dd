"""Random models of a real one's shape: they load, they are as large, and they are made from a seed alone."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from visplay.engine import shapes
from visplay.engine.models import ModelError, load_model, load_processor, tensor_shapes
from visplay.engine.prompts import encode
from visplay.plan.shapes import KNOWN, Shape, read_shape, shape_of

BASE = Path(__file__).parents[1] / "data" / "base"
# A shape that is quickly made; its parts relate to each other as those of the real ones.
SMALL = {
    "model_type": "qwen2_5_vl",
    "tie_word_embeddings": False,
    "text_config": KNOWN["Qwen2.5-VL-7B"]["text_config"]
    | {
        "hidden_size": 256,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 64,
        "vocab_size": 700,
    },
    "vision_config": KNOWN["Qwen2.5-VL-7B"]["vision_config"]
    | {"hidden_size": 64, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 256},
}


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KNOWN, "small", SMALL | {"tie_word_embeddings": request.param})
    shapes.make("small", tmp_path / "model", layers=2, shard_gb=2e-4)
    return tmp_path / "model"


def test_it_loads_and_reads_an_image_with_the_shipped_tokenizer(made: Path) -> None:
    from PIL import Image

    model, processor = load_model(made, "cpu"), load_processor(made, 4, 16)
    inputs = encode(processor, [(Image.new("RGB", (84, 84)), "What is it?")])
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 9
    logits = model(**inputs).logits
    assert logits.shape[-1] == 700 and logits.isfinite().all()


def test_it_has_as_many_parameters_as_its_shape(made: Path) -> None:
    shape = shape_of(str(made))
    assert isinstance(shape, Shape)
    assert (shape.text.layers, shape.vision.layers, shape.vision.full_layers) == (2, 2, 1)
    assert sum(p.numel() for p in load_model(made, "cpu").parameters()) == shape.parameters


def test_tensors_are_named_like_those_of_published_models(made: Path) -> None:
    names = {name for name in tensor_shapes(BASE) if ".layers.2." not in name and ".layers.3." not in name}
    untied = {"lm_head.weight"} if not json.loads((made / "config.json").read_text())["tie_word_embeddings"] else set()
    assert tensor_shapes(made).keys() == names | untied


def test_it_is_cut_into_files_with_an_index(made: Path) -> None:
    index = json.loads((made / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in made.glob("*.safetensors"))
    assert len(files) > 2 and files == sorted(set(index["weight_map"].values()))
    for file in files:
        with safe_open(made / file, "pt") as stored:
            assert set(stored.keys()) == {name for name, where in index["weight_map"].items() if where == file}
    assert index["metadata"]["total_size"] == sum(2 * torch.Size(s).numel() for s in tensor_shapes(made).values())


def test_the_same_seed_makes_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN, "small", SMALL)
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        shapes.make("small", tmp_path / name, layers=1, seed=seed)
    one, again, other = (
        next((tmp_path / name).glob("*.safetensors")).read_bytes() for name in ("one", "again", "other")
    )
    assert one == again != other


def test_the_vocabulary_stays_as_large_as_the_real_one() -> None:
    config = shapes._config(KNOWN["Qwen2.5-VL-3B"], json.loads((BASE / "config.json").read_text()), 3)
    shape = read_shape("3B", config)
    assert (shape.text.vocabulary, shape.text.hidden, shape.text.layers) == (151_936, 2048, 3)
    assert config["image_token_id"] == 500 and config["text_config"]["eos_token_id"] == 497


@pytest.mark.parametrize(
    ("name", "layers", "said"),
    [("Qwen3-VL", None, "no known shape; use Qwen2.5-VL-3B or"), ("Qwen2.5-VL-7B", 29, "29 is not 1 to 28")],
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, name: str, layers: int | None, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        shapes.make(name, tmp_path / "model", layers=layers)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(ModelError, match="is not empty"):
        shapes.make("Qwen2.5-VL-3B", tmp_path)
