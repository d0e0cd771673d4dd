"""Which questions say much the same: how large is the cluster that each question shares with its neighbours?

Agglomerative clustering with average linkage, inside one image's group or the whole batch. The distance is the cosine
distance of embeddings, or 1 - BLEU (the paper's). Embeddings come from a callable, see `visplay.engine.embedding`.

BLEU is sentence BLEU, as in the released code: up to 4-grams of words split at white space, zero matches smoothed to
0.1 (Chen and Cherry 2014, method 1), no word in common gives 0. Deviations from the released code:
1. symmetric: the mean of both directions, where the released code's distance depends on the order of the batch;
2. words are lower-cased, and a text shorter than four words is scored on the orders that it has;
3. computed with sparse matrices for all pairs at once; exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from visplay.engine.embedding import Embedder

Floats = NDArray[np.float32]

_MAX_ORDER = 4
_NO_MATCH = 0.1  # stands in for zero matching n-grams


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


def bleu_distances(texts: Sequence[str]) -> Floats:
    """1 - BLEU between all texts, the mean of both directions; (n, n) in [0, 1]."""
    return _bleu_distances(_ngram_matrices(texts))


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
            matrices = _ngram_matrices(texts)
            return lambda rows: _bleu_distances([matrix[rows] for matrix in matrices])
    raise ValueError(f"diversity {method!r} is unknown; use embedding or bleu")


def _sizes(distances: Floats, counts: NDArray[np.int_], threshold: float) -> list[int]:
    """Cluster size of each distinct text, given how often each occurs: copies count in sizes and in mean distances."""
    copies = np.repeat(np.arange(len(counts)), counts)
    if len(copies) == 1:
        return [1]
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances[np.ix_(copies, copies)], checks=False), "average")
    labels = fcluster(tree, threshold, "distance")
    first_copy = np.cumsum(counts) - counts
    return np.bincount(labels)[labels[first_copy]].tolist()


def _ngram_matrices(texts: Sequence[str]) -> list[csr_array]:
    words = [text.lower().split() for text in texts]
    return [_ngram_matrix(words, order) for order in range(1, _MAX_ORDER + 1)]


def _ngram_matrix(words: Sequence[Sequence[str]], order: int) -> csr_array:
    """0/1 matrix (texts, numbered n-grams): the second "the" of a text is another column than its first.

    So the product of two rows is the sum over n-grams of the smaller count: BLEU's clipped matches.
    """
    columns: dict[tuple[tuple[str, ...], int], int] = {}
    indices: list[int] = []
    row_ends = [0]
    for row in words:
        seen: Counter[tuple[str, ...]] = Counter()
        for ngram in zip(*(row[start:] for start in range(order)), strict=False):
            seen[ngram] += 1
            indices.append(columns.setdefault((ngram, seen[ngram]), len(columns)))
        row_ends.append(len(indices))
    return csr_array((np.ones(len(indices), np.float32), indices, row_ends), shape=(len(words), max(1, len(columns))))


def _bleu_distances(matrices: Sequence[csr_array]) -> Floats:
    bleu = _bleu(matrices)
    return np.clip(1 - (bleu + bleu.T) / 2, 0, 1)


def _bleu(matrices: Sequence[csr_array]) -> Floats:
    """BLEU of each row as the hypothesis with each column as its reference; brevity penalty exp(min(0, 1 - r / h))."""
    lengths = np.asarray(matrices[0].sum(axis=1), np.float32)
    orders = np.clip(lengths, 1, len(matrices))
    log_bleu: Floats = np.minimum(0, 1 - lengths[None, :] / np.maximum(lengths, 1)[:, None])
    for matrix in matrices:
        totals = np.asarray(matrix.sum(axis=1), np.float32)[:, None]
        matches = (matrix @ matrix.T).toarray()
        if matrix is matrices[0]:
            disjoint = matches == 0
        log_precision = np.log(np.maximum(matches, _NO_MATCH) / np.maximum(totals, 1))
        log_bleu += np.where(totals > 0, log_precision, 0) / orders[:, None]
    return np.where(disjoint, np.float32(0), np.exp(log_bleu))
