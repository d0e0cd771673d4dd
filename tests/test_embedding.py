"""Embedders: the offline one groups questions by their shape; a sentence-transformers folder is loaded for real."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from visplay.engine import embedding
from visplay.engine.embedding import Embedder

RED, BLUE, COLOR = "How many red objects are there?", "How many blue objects are there?", "What color is the circle?"
TEMPLATES = [  # pairs that differ in one filled-in word
    (RED, BLUE),
    (COLOR, "What color is the square?"),
    ("What is the highest value in the chart?", "What is the lowest value in the chart?"),
    ("Which digit is in the red square?", "Which digit is in the green square?"),
]


@pytest.fixture(scope="module")
def offline() -> Embedder:
    return embedding.load("offline")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sentence-transformers folder: a random two-layer BERT over a handful of words, mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["how", "many", "red", "blue", "objects", "are", "there", "what", "color", "is", "the", "circle", "?"]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    config = BertConfig(
        vocab_size=5 + len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    bert = Transformer(str(folder))
    model = SentenceTransformer(modules=[bert, Pooling(bert.get_embedding_dimension())], device="cpu")
    model.save(str(folder / "sentences"))
    return str(folder / "sentences")


def distances(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return 1 - vectors @ vectors.T


def test_questions_of_one_template_are_nearer_than_half_and_others_farther(offline: Embedder) -> None:
    apart = distances(offline([question for pair in TEMPLATES for question in pair]))
    same_template = np.kron(np.eye(len(TEMPLATES)), np.ones((2, 2))) == 1
    assert apart[same_template].max() < 0.45
    assert apart[~same_template].min() > 0.5


def test_articles_do_not_bind_questions_of_different_shape(offline: Embedder) -> None:
    color, larger = offline([COLOR, "Is the circle larger than the square?"])
    assert 1 - color @ larger > 0.5


def test_offline_rows_are_float32_of_length_one(offline: Embedder) -> None:
    vectors = offline([RED, "?!", "7"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_text_without_words_is_a_zero_row(offline: Embedder) -> None:
    assert not offline([""]).any()


def test_offline_ignores_case_but_not_digits(offline: Embedder) -> None:
    upper, lower, three, seven = offline(["Is A CIRCLE red", "is a circle red", "is it 3", "is it 7"])
    np.testing.assert_array_equal(upper, lower)
    assert 1 - three @ seven > 0.1


def test_offline_gives_the_same_numbers_in_every_process(offline: Embedder) -> None:
    code = f"from visplay.engine import embedding; print(embedding.load('offline')([{RED!r}]).tobytes().hex())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == offline([RED]).tobytes().hex()


def test_offline_does_not_import_sentence_transformers() -> None:
    code = (
        "import sys; from visplay.engine import embedding; embedding.load('offline')(['a b']);"
        "assert 'sentence_transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_sentence_transformers_folder_embeds_with_rows_of_length_one(tiny_model: str) -> None:
    vectors = embedding.load(tiny_model)([RED, BLUE, COLOR, RED])
    assert vectors.dtype == np.float32 and vectors.shape == (4, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-6)
    assert distances(vectors)[0, 2] > 1e-3


def test_no_texts_give_no_rows(offline: Embedder, tiny_model: str) -> None:
    assert offline([]).shape == (0, offline(["a b"]).shape[1])
    assert embedding.load(tiny_model)([]).shape == (0, 16)


@pytest.mark.parametrize("name", ["nobody/no-such-model", "./no-such-folder"])
def test_a_model_that_is_not_here_is_named_with_the_ways_out(name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{name}.*hf download.*questioner\.embedder=offline"):
        embedding.load(name)


def test_a_folder_without_a_model_is_named_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="questioner.embedder=offline"):
        embedding.load(str(tmp_path))
