"""Which completions are decoded together: as many as fit a number of tokens, those of similar length side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from visplay.recipe import SamplingSettings


class Piece(NamedTuple):
    """Copies first, first + 1, .. last - 1 of a prompt."""

    prompt: int
    first: int
    last: int


class Size(NamedTuple):
    """Of a prompt: its image and its text in tokens, and which pictures it shows."""

    image: int
    text: int
    pictures: tuple[int, ...]


def in_order(sizes: Sequence[Size]) -> list[int]:
    """Prompts of similar length next to each other, so that little is padded; those about the same pictures too."""
    longest: dict[tuple[int, ...], int] = {}
    first: dict[tuple[int, ...], int] = {}
    for place, size in enumerate(sizes):
        longest[size.pictures] = max(size.text, longest.get(size.pictures, 0))
        first.setdefault(size.pictures, place)

    def key(place: int) -> tuple[int, ...]:
        size = sizes[place]
        return size.image, longest[size.pictures], first[size.pictures], size.text, place

    return sorted(range(len(sizes)), key=key)


def batches(
    sizes: Sequence[Size], copies: Sequence[int], new_tokens: int, limits: SamplingSettings
) -> Iterator[list[Piece]]:
    """All copies of all prompts. A completion counts with its prompt and `new_tokens`, as long as the batch's longest.

    No more than `limits.batch_tokens` and `limits.batch` together, but one at least; a prompt's copies stay together
    where they can.
    """
    batch: list[Piece] = []
    rows = longest = 0

    def room(prompt: int) -> int:
        return max(1, min(limits.batch, limits.batch_tokens // (prompt + new_tokens)))

    for i in in_order(sizes):
        length = sizes[i].image + sizes[i].text
        for first in range(0, copies[i], room(length)):
            piece = Piece(i, first, min(copies[i], first + room(length)))
            count = piece.last - piece.first
            if batch and rows + count > room(max(longest, length)):
                yield batch
                batch, rows, longest = [], 0, 0
            batch.append(piece)
            rows, longest = rows + count, max(longest, length)
    if batch:
        yield batch
