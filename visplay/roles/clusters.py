"""Which questions say much the same: how large is the cluster that each question shares with its neighbours?

Agglomerative clustering with average linkage, inside one image's group or the whole batch. The distance is the cosine
distance of embeddings, or 1 - BLEU (the paper's, see `visplay.labels.bleu`). Embeddings come from a callable, see
`visplay.engine.embedding`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from visplay.engine.embedding import Embedder
from visplay.labels.bleu import Floats, distances_of, joined, ngram_matrices


def scoped_groups(image_ids: Sequence[str], scope: str) -> list[str]:
    """The group key of each question: its image (scope "image"), or the same for all (scope "batch")."""
    match scope:
        case "image":
            return list(image_ids)
        case "batch":
            return ["batch"] * len(image_ids)
    raise ValueError(f"diversity_scope {scope!r} is unknown; use image or batch")


def cluster_sizes(
    texts: Sequence[str | None],
    groups: Sequence[Hashable],
    *,
    method: str,
    distance: float,
    embed: Embedder | None = None,
) -> list[int]:
    """For each text, how many texts of its group are in its cluster, itself included; 0 for None, which is in none.

    Two clusters join while their mean distance is at most `distance`; equal texts always join. `method` is "embedding"
    (needs `embed`) or "bleu". The result does not depend on the order of the texts.
    """
    members: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for text, group in zip(texts, groups, strict=True):
        if text is not None:
            members[group][text] += 1
    # Sorted, and each text once: ties and float rounding then fall the same way whatever the order of the batch.
    vocabulary = sorted(set().union(*members.values()))
    row_of = {text: row for row, text in enumerate(vocabulary)}
    distances = _distances_between(vocabulary, method, embed)
    size_of: dict[tuple[Hashable, str | None], int] = {}
    for group, counts in members.items():
        distinct = sorted(counts)
        rows = np.array([row_of[text] for text in distinct])
        sizes = _sizes(distances(rows), np.array([counts[text] for text in distinct]), distance)
        size_of |= {(group, text): size for text, size in zip(distinct, sizes, strict=True)}
    return [size_of.get((group, text), 0) for text, group in zip(texts, groups, strict=True)]


def cosine_distances(embeddings: Floats) -> Floats:
    """1 - cosine between all rows, which have length 1; (n, d) -> (n, n) in [0, 2]."""
    return np.clip(1 - embeddings @ embeddings.T, 0, 2)


def _distances_between(
    texts: Sequence[str], method: str, embed: Embedder | None
) -> Callable[[NDArray[np.int_]], Floats]:
    """What is costly is done once for all texts; the answer gives the distances between the texts of some rows."""
    match method:
        case "embedding":
            if embed is None:
                raise ValueError("diversity by embedding needs an embedder; give embed=, or use bleu")
            embeddings = embed(texts)
            return lambda rows: cosine_distances(embeddings[rows])
        case "bleu":
            matrices = ngram_matrices(texts)
            return lambda rows: distances_of([matrix[rows] for matrix in matrices])
    raise ValueError(f"diversity {method!r} is unknown; use embedding or bleu")


def _sizes(distances: Floats, counts: NDArray[np.int_], threshold: float) -> list[int]:
    """Cluster size of each distinct text, given how often each occurs: copies count in sizes and in mean distances."""
    copies = np.repeat(np.arange(len(counts)), counts)
    np.fill_diagonal(distances, 0)
    labels = joined(distances[np.ix_(copies, copies)], threshold)
    first_copy = np.cumsum(counts) - counts
    return np.bincount(labels)[labels[first_copy]].tolist()
