"""Completions of one prompt in one row, so that a model reads the prompt, and its image, once for all of them.

    prompt without its last token | branch 1 | branch 2 | ...
    branch: the prompt's last token, and the completion without its last

A token sees the prompt, and what comes before it in its own branch; each branch goes on with the positions where the
prompt ends. So every branch token predicts what it would after the prompt alone, and the log-probabilities and their
gradients are those of separate rows, but for rounding. Rows of different length are padded on the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

_PADDING = -1  # of branches; the prompt is 0
_IGNORED = -100  # as a label


@dataclass(frozen=True)
class Packed:
    """Model inputs with one row for each group, and where in them each completion's tokens are predicted.

    `inputs`: input_ids (M, L); attention_mask (M, 1, L, L), true where a query sees a key; position_ids (3, M, L);
    shift_labels (M, L), the token that follows, -100 where none is asked for.
    """

    inputs: dict[str, torch.Tensor]
    scored: torch.Tensor  # (N, C), true for tokens of completions
    row: torch.Tensor  # of each scored token, in the order of `scored`
    column: torch.Tensor

    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """A figure of each packed token (M, L) as one of each completion's tokens (N, C); 0 where there is none."""
        return found.new_zeros(self.scored.shape).masked_scatter(self.scored, found[self.row, self.column])


def groups(keys: Sequence[int]) -> list[list[int]]:
    """The places at which each key stands, in the order in which they are first met."""
    places: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return list(places.values())


def pack(
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    completion: int,
    members: Sequence[Sequence[int]],
    positions: torch.Tensor,
) -> Packed:
    """Rows (N, P + C) of prompts, padded on the left, and completions of at most C = `completion` tokens, packed.

    `members[m]` are the rows of group m, whose prompts are equal; `positions` (3, M, P) are the prompts' own.
    """
    width = input_ids.shape[1] - completion
    seen = attention_mask.bool()
    rows = [_Row() for _ in members]
    places: dict[int, tuple[int, int]] = {}  # of a completion's first prediction
    for m, group in enumerate(members):
        prompt = seen[group[0], :width]
        ids, where = input_ids[group[0], :width][prompt], positions[:, m][:, prompt]
        rows[m].add(ids[:-1], torch.full_like(ids[:-1], _IGNORED), where[:, :-1], 0)
        for branch, i in enumerate(group, 1):
            written = input_ids[i, width:][seen[i, width:]]
            places[i] = (m, rows[m].length)
            read = torch.cat([ids[-1:], written])[: len(written)]
            ahead = torch.arange(len(written), device=ids.device)
            rows[m].add(read, written, where[:, -1:] + ahead, branch)
    scored = seen[:, width:]
    at = [(*places[i], int(count)) for i, count in enumerate(scored.sum(-1))]
    where = [(m, first + t) for m, first, count in at for t in range(count)]
    row, column = torch.tensor(where, dtype=torch.long, device=input_ids.device).reshape(-1, 2).unbind(-1)
    return Packed(_padded(rows), scored, row, column)


class _Row:
    """One packed row, while it grows."""

    def __init__(self) -> None:
        self.parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.length = 0

    def add(self, ids: torch.Tensor, labels: torch.Tensor, positions: torch.Tensor, branch: int) -> None:
        self.parts.append((ids, labels, positions, torch.full_like(ids, branch)))
        self.length += len(ids)


def _padded(rows: Sequence[_Row]) -> dict[str, torch.Tensor]:
    longest = max(row.length for row in rows)

    def joined(part: int, filler: int) -> torch.Tensor:
        whole = [torch.cat([parts[part] for parts in row.parts], dim=-1) for row in rows]
        return torch.stack([torch.nn.functional.pad(one, (0, longest - one.shape[-1]), value=filler) for one in whole])

    branch = joined(3, _PADDING)
    query, key = branch[:, :, None], branch[:, None, :]
    earlier = torch.ones(longest, longest, dtype=torch.bool, device=branch.device).tril()
    return {
        "input_ids": joined(0, 0),
        "attention_mask": (((key == 0) | (key == query)) & earlier)[:, None],
        "position_ids": joined(2, 0).transpose(0, 1),
        "shift_labels": joined(1, _IGNORED),
    }
