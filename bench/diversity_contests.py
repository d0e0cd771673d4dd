"""Clusters of a step's questions: vectorised BLEU and embeddings against sentence BLEU pair by pair in Python."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from contest import Contest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from visplay.engine import embedding
from visplay.roles.clusters import cluster_sizes

_WORDS = [f"word{number}" for number in range(300)]


def questions(count: int) -> list[str]:
    """Texts of about 20 words."""
    draw = random.Random(0)
    return [" ".join(draw.choices(_WORDS, k=draw.randint(14, 26))) for _ in range(count)]


def contests(counts: Sequence[int], longest: int) -> Iterator[Contest]:
    """For each number of questions; pair by pair only up to `longest`, beyond it embeddings against our BLEU."""
    embed = embedding.load("offline")
    for count in counts:
        texts = questions(count)
        whole = ["batch"] * count
        bleu = lambda t=texts, w=whole: cluster_sizes(t, w, method="bleu", distance=0.5)  # noqa: E731
        near = lambda t=texts, w=whole: cluster_sizes(t, w, method="embedding", distance=0.5, embed=embed)  # noqa: E731
        if count <= longest:
            yield Contest(f"diversity, {count} questions, BLEU, against pair by pair", bleu, lambda t=texts: plain(t))
        yield Contest(f"diversity, {count} questions, embeddings against BLEU", near, bleu)


def plain(texts: Sequence[str]) -> list[int]:
    """The size of each text's cluster, as loops over all pairs find it."""
    words = [text.split() for text in texts]
    distances = np.zeros((len(words), len(words)))
    for i, one in enumerate(words):
        for j, other in enumerate(words[:i]):
            distances[i, j] = distances[j, i] = 1 - (_bleu(one, other) + _bleu(other, one)) / 2
    labels = fcluster(linkage(squareform(distances), "average"), 0.5, "distance").tolist()
    return [labels.count(label) for label in labels]


def _bleu(one: Sequence[str], other: Sequence[str]) -> float:
    logs = 0.0
    for order in range(1, 5):
        ours, theirs = (Counter(zip(*(words[k:] for k in range(order)), strict=False)) for words in (one, other))
        matches = sum((ours & theirs).values())
        if not matches and order == 1:
            return 0.0
        logs += math.log((matches or 0.1) / max(1, ours.total())) / 4
    return min(1.0, math.exp(1 - len(other) / len(one))) * math.exp(logs)
