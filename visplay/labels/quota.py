"""How much of one thing the kept rows may hold: of a type of question, or of one question's text.

Rows that are too many are dropped from the end: those asked first stay. Shares are of the rows that stay, and hold
after dropping: fewer rows allow fewer of each, so limits are lowered until nothing has to go. That leaves the most rows
that any such choice can leave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from visplay.labels.answers import folded
from visplay.labels.bleu import bleu_distances, joined
from visplay.records import Question

Asked: TypeAlias = tuple[str, str]
_Name = TypeVar("_Name", bound=Hashable)

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999...


def asked(question: Question) -> Asked:
    """What makes two questions the same about whatever images: type, and text but for case, articles and the like."""
    return question.type, folded(question.text)


def one_for_all(questions: Iterable[Asked], distance: float) -> dict[Asked, Asked]:
    """For each question the one that stands for all that say much the same: of one type, the first in the alphabet.

    Clusters of the different texts by 1 - BLEU, with average linkage, join at this distance; at 0 none do.
    """
    found = {one: one for one in sorted(questions)}
    for kind in {kind for kind, _ in found} if distance else ():
        texts = [text for other, text in found if other == kind]
        first: dict[int, str] = {}
        for text, cluster in zip(texts, joined(bleu_distances(texts), distance), strict=True):
            found[kind, text] = kind, first.setdefault(cluster, text)
    return found


def surplus_of_kinds(kinds: Sequence[str], shares: Mapping[str, float]) -> set[int]:
    """Positions to drop so that no kind makes up more than its share of the rest; one without a share has no limit.

    All of a kind goes where nothing else is there: it cannot be less than the whole.
    """
    return _surplus(kinds, lambda one, total: _part(shares.get(one, 1.0), total))


def repeated(texts: Sequence[_Name], share: float, before: Counter[_Name]) -> set[int]:
    """Positions to drop so that no text makes up more than `share` of all rows, those kept `before` included.

    A text that was never kept may stay once, however small the share: it repeats nothing.
    """
    earlier = before.total()
    return _surplus(texts, lambda one, total: max(0, max(1, _part(share, earlier + total)) - before[one]))


def _surplus(names: Sequence[_Name], allowed: Callable[[_Name, int], int]) -> set[int]:
    """Positions beyond what is `allowed` of a name when so many rows stay."""
    counts = Counter(names)
    while (lower := {one: min(n, allowed(one, counts.total())) for one, n in counts.items()}) != counts:
        counts = Counter(lower)
    seen: Counter[_Name] = Counter()
    dropped = set()
    for i, one in enumerate(names):
        seen[one] += 1
        dropped |= {i} if seen[one] > counts[one] else set()
    return dropped


def _part(share: float, total: int) -> int:
    return int(share * total + _ROUNDING)
