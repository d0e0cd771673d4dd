"""Texts to vectors, for grouping questions that say much the same. Nothing is ever downloaded here.

Two kinds of embedder behind one callable: "offline", which counts words and letters and needs no model, and any
sentence-transformers model that is on this machine. The only importer of sentence_transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import make_union
from sklearn.preprocessing import normalize

from visplay.errors import VisplayError

Embedder = Callable[[Sequence[str]], NDArray[np.float32]]

OFFLINE = "offline"
_ARTICLES = ["a", "an", "the"]


class EmbedderError(VisplayError, RuntimeError):
    """An embedder that is not there; the message says what to do."""


def load(name: str) -> Embedder:
    """A callable from texts to float32 (texts, d), each row of length 1 (or 0, for a text without words), on the CPU.

    `name` is "offline", a folder with a sentence-transformers model, or the hub id of one that was downloaded before.
    Raises EmbedderError when there is no such model on this machine.
    """
    return _offline_embedder() if name == OFFLINE else _sentence_embedder(name)


def _offline_embedder() -> Embedder:
    """Half words and word pairs, half pieces of words, each hashed into 1,024 numbers.

    Two questions that differ by one filled-in word are about 0.2 to 0.4 apart (cosine), questions of different shape
    0.5 and more, so the recipe's default threshold of 0.5 works. Without the articles, which would bind them all.
    """
    words = HashingVectorizer(n_features=1024, token_pattern=r"\w+", stop_words=_ARTICLES, ngram_range=(1, 2))
    pieces = HashingVectorizer(n_features=1024, analyzer="char_wb", ngram_range=(3, 5))
    union = make_union(words, pieces)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 2048), np.float32)
        return normalize(union.transform(texts)).toarray().astype(np.float32)

    return embed


def _sentence_embedder(model_name: str) -> Embedder:
    from sentence_transformers import SentenceTransformer  # slow to import, and not needed offline

    try:
        model = SentenceTransformer(
            model_name, device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise EmbedderError(
            f"embedder {model_name!r} is not on this machine, or not a sentence-transformers model: {reason} "
            f"Download it once with `hf download {model_name}`, name a folder that holds one, or set "
            f"questioner.embedder={OFFLINE}, which needs no model"
        ) from error

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, model.get_embedding_dimension()), np.float32)
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    return embed
