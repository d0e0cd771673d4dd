"""Clusters of questions: BLEU against a hand-computed case and a plain implementation, linkage, groups, order."""

import math
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from visplay.engine import embedding
from visplay.labels.bleu import bleu_distances
from visplay.roles.clusters import cluster_sizes, cosine_distances, scoped_groups

RED, BLUE, COLOR = "how many red objects are there?", "how many blue objects are there?", "what color is the circle?"


def bleu_sizes(texts: list[str | None], groups: list[str], distance: float = 0.5) -> list[int]:
    return cluster_sizes(texts, groups, method="bleu", distance=distance)


def plain_bleu(hypothesis: str, reference: str) -> float:
    """One pair at a time, straight from the definition."""
    h, r = hypothesis.lower().split(), reference.lower().split()
    logs = []
    for n in range(1, min(4, len(h)) + 1):
        ngrams, others = (Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for words in (h, r))
        matches = (ngrams & others).total()
        if n == 1 and matches == 0:
            return 0.0
        logs.append(math.log((matches or 0.1) / ngrams.total()))
    return math.exp(sum(logs) / len(logs) + min(0, 1 - len(r) / len(h)))


def random_texts(count: int, longest: int) -> list[str]:
    rng = random.Random(0)
    return [
        " ".join(rng.choices(["how", "many", "is", "the", "of", "red", "blue"], k=rng.randint(1, longest)))
        for _ in range(count)
    ]


def test_bleu_of_a_hand_computed_pair() -> None:
    # Matches 4/5, 2/4, 1/3, 0 -> .1/2, both ways, equal lengths.
    expected = 1 - (4 / 5 * 2 / 4 * 1 / 3 * 0.1 / 2) ** (1 / 4)
    assert bleu_distances(["a b c d e", "a b c x e"])[0, 1] == pytest.approx(expected, abs=1e-6)


def test_bleu_is_the_mean_of_both_directions() -> None:
    # "a b" against "a b c": 1, shortened by exp(1 - 3/2); back: (2/3 * 1/2 * .1/1) ^ (1/3).
    expected = 1 - (math.exp(-0.5) + (2 / 3 * 1 / 2 * 0.1) ** (1 / 3)) / 2
    distances = bleu_distances(["a b", "a b c"])
    assert distances[0, 1] == distances[1, 0] == pytest.approx(expected, abs=1e-6)


def test_a_repeated_word_matches_only_as_often_as_it_stands_there() -> None:
    assert bleu_distances(["the the", "the cat"])[0, 1] == pytest.approx(1 - (1 / 2 * 0.1) ** (1 / 2), abs=1e-6)


def test_bleu_of_all_pairs_equals_bleu_pair_by_pair() -> None:
    texts = random_texts(40, longest=12)
    pairs = np.array([[plain_bleu(h, r) for r in texts] for h in texts])
    np.testing.assert_allclose(bleu_distances(texts), 1 - (pairs + pairs.T) / 2, atol=1e-6)


def test_bleu_of_texts_with_nothing_in_common_is_zero_and_of_equal_texts_one() -> None:
    np.testing.assert_array_equal(bleu_distances(["a b c d", "e f", "A b C d"]), [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_cosine_distance_runs_from_equal_over_orthogonal_to_opposite() -> None:
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    np.testing.assert_array_equal(cosine_distances(vectors), [[0, 1, 2], [1, 0, 1], [2, 1, 0]])


def test_clusters_stay_inside_their_group() -> None:
    assert bleu_sizes([RED, RED, RED, COLOR], ["p", "p", "q", "q"]) == [2, 2, 1, 1]


def test_batch_scope_is_one_group() -> None:
    images = ["p", "p", "q", "q"]
    assert scoped_groups(images, "image") == images
    assert bleu_sizes([RED, RED, RED, COLOR], scoped_groups(images, "batch")) == [3, 3, 3, 1]


def test_a_question_that_did_not_parse_is_in_no_cluster() -> None:
    assert bleu_sizes([None, COLOR, None, COLOR], ["p"] * 4) == [0, 2, 0, 2]


def test_nothing_to_group_gives_nothing() -> None:
    assert bleu_sizes([], []) == []
    assert bleu_sizes([None], ["p"]) == [0]


@pytest.mark.parametrize("method", ["bleu", "embedding"])
def test_equal_texts_share_a_cluster_even_at_distance_zero(method: str) -> None:
    texts = [RED, COLOR, RED, BLUE, "", RED, ""]
    embed = embedding.load("offline")
    assert cluster_sizes(texts, ["p"] * 7, method=method, distance=0, embed=embed) == [3, 1, 3, 1, 2, 3, 2]


def test_average_linkage_weighs_the_copies_of_a_text() -> None:
    # Angles 0, 0, 0, 40 and 70 degrees. 40 joins 70 first (.13). From 70 to the copies at 0 it is .66, from 40 it is
    # .23, so the mean is .45; a chain (single linkage) would have joined them at .23, complete linkage at .66.
    angles = {"a": 0, "b": 40, "c": 70}
    texts = ["a", "a", "a", "b", "c"]

    def embed(distinct: Sequence[str]) -> NDArray[np.float32]:
        radians = np.deg2rad([angles[text] for text in distinct])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)

    def sizes(distance: float) -> list[int]:
        return cluster_sizes(texts, ["p"] * 5, method="embedding", distance=distance, embed=embed)

    assert sizes(0.40) == [3, 3, 3, 2, 2]
    assert sizes(0.50) == [5, 5, 5, 5, 5]


@pytest.mark.parametrize("method", ["bleu", "embedding"])
def test_sizes_do_not_depend_on_the_order_of_600_questions(method: str) -> None:
    texts, groups = random_texts(600, longest=20), [str(i % 3) for i in range(600)]
    order = random.Random(1).sample(range(600), 600)
    embed = embedding.load("offline")
    sizes = cluster_sizes(texts, groups, method=method, distance=0.6, embed=embed)
    shuffled = cluster_sizes(
        [texts[i] for i in order], [groups[i] for i in order], method=method, distance=0.6, embed=embed
    )
    assert shuffled == [sizes[i] for i in order]
    assert 1 < max(sizes) < 200


def test_the_embedder_sees_each_text_once_and_in_one_order_whatever_the_batch() -> None:
    seen: list[list[str]] = []

    def embed(distinct: Sequence[str]) -> NDArray[np.float32]:
        seen.append(list(distinct))
        return np.eye(len(distinct), dtype=np.float32)

    for texts in ([RED, BLUE, None, RED], [None, RED, RED, BLUE]):
        cluster_sizes(texts, ["p"] * 4, method="embedding", distance=0.5, embed=embed)
    assert seen == [[BLUE, RED], [BLUE, RED]]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="rouge.*use embedding or bleu"):
        cluster_sizes([RED], ["p"], method="rouge", distance=0.5)
    with pytest.raises(ValueError, match="needs an embedder"):
        cluster_sizes([RED], ["p"], method="embedding", distance=0.5)
    with pytest.raises(ValueError, match="world.*use image or batch"):
        scoped_groups(["p"], "world")
