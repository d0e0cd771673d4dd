"""How alike two texts are by the words that they share, and which texts make one cluster.

BLEU is sentence BLEU, as in the released code: up to 4-grams of words split at white space, zero matches smoothed to
0.1 (Chen and Cherry 2014, method 1), no word in common gives 0. Deviations from the released code:
1. symmetric: the mean of both directions, where the released code's distance depends on the order of the batch;
2. words are lower-cased, and a text shorter than four words is scored on the orders that it has;
3. computed with sparse matrices for all pairs at once; exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

Floats = NDArray[np.float32]

_MAX_ORDER = 4
_NO_MATCH = 0.1  # stands in for zero matching n-grams


def bleu_distances(texts: Sequence[str]) -> Floats:
    """1 - BLEU between all texts, the mean of both directions; (n, n) in [0, 1]."""
    return distances_of(ngram_matrices(texts))


def joined(distances: Floats, threshold: float) -> NDArray[np.int_]:
    """The number of each text's cluster, (n, n) -> (n,): two clusters join while their mean distance is in reach."""
    if len(distances) == 1:
        return np.ones(1, np.int_)
    numbers: NDArray[np.int_] = fcluster(linkage(squareform(distances, checks=False), "average"), threshold, "distance")
    return numbers


def ngram_matrices(texts: Sequence[str]) -> list[csr_array]:
    """What BLEU is computed from, a matrix for each length of n-grams; rows can be chosen from it."""
    words = [text.lower().split() for text in texts]
    return [_ngram_matrix(words, order) for order in range(1, _MAX_ORDER + 1)]


def distances_of(matrices: Sequence[csr_array]) -> Floats:
    """`bleu_distances` of the texts that these `ngram_matrices` are of."""
    bleu = _bleu(matrices)
    return np.clip(1 - (bleu + bleu.T) / 2, 0, 1)


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
