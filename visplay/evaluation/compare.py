"""Is one score better than another? Two scored folders over the same items, paired item by item.

    pairs(folder_a, folder_b) -> compare each -> Comparison -> render

Every figure of the benchmark is taken again from the samples in both folders; each difference is B minus A. Only scores
of one benchmark, protocol, rule and set of items are compared. How the models were asked may differ, and is then said.
An item without a verdict on one side counts on neither.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visplay.errors import VisplayError
from visplay.evaluation.benchmarks import BENCHMARKS
from visplay.evaluation.figures import Figures, Share
from visplay.evaluation.files import SAMPLES, SCORES
from visplay.evaluation.items import Item, Judgement
from visplay.evaluation.statistics import Difference, average_gain, exact_test, sign_flip_test
from visplay.report.cells import grid

_SMALLEST_P = 0.0001  # below it a figure of p says nothing more
_JUDGEMENT = [field.name for field in dataclasses.fields(Judgement)]
_SAMPLE = {*_JUDGEMENT, "golds", "groups", "cluster"}


class CompareError(VisplayError, ValueError):
    """Two folders cannot be compared; the message says in what they differ."""


@dataclass(frozen=True)
class Paired:
    """One figure on both sides. `name` is its place among the figures, such as ("version", "Text Lite").

    `gained` of the `n` values are higher in B than in A, `lost` lower; of an average they are those of its first share.
    `p` is two-sided; `exact` where it is McNemar's exact test, else it is from random sign flips of whole clusters.
    """

    name: tuple[str, ...]
    n: int
    a: float
    b: float
    gained: int
    lost: int
    difference: Difference
    p: float
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """All figures of two folders, in their order; `unjudged` items have no verdict on one side."""

    a: str
    b: str
    benchmark: str
    protocol: str
    items: int
    unjudged: int
    notes: tuple[str, ...]  # in what else the two differ
    figures: tuple[Paired, ...]


@dataclass(frozen=True)
class _Scored:
    folder: Path
    scores: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]  # by id


def pairs(folder_a: Path, folder_b: Path) -> list[tuple[Path, Path]]:
    """The folders to compare: the two themselves, or where a run left both, those of each benchmark in them."""
    if (folder_a / SCORES).exists() or (folder_b / SCORES).exists():
        return [(folder_a, folder_b)]
    found = [name for name in BENCHMARKS if any((side / name / SCORES).exists() for side in (folder_a, folder_b))]
    return [(folder_a / name, folder_b / name) for name in found] or [(folder_a, folder_b)]


def compare(folder_a: Path, folder_b: Path) -> Comparison:
    """How much better B is than A. Raises CompareError for folders that are not of the same items and rules."""
    a, b = _read(folder_a), _read(folder_b)
    _check_alike(a, b)
    items = [_item(row) for row in a.samples]
    unjudged = [None in (one["expected"], other["expected"]) for one, other in zip(a.samples, b.samples, strict=True)]
    figures = BENCHMARKS[a.scores["benchmark"]].figures
    before, after = (figures(items, _judgements(side, unjudged)) for side in (a, b))
    return Comparison(
        str(folder_a),
        str(folder_b),
        a.scores["benchmark"],
        a.scores["protocol"],
        len(items),
        sum(unjudged),
        tuple(_notes(a.scores, b.scores)),
        tuple(_paired(before, after)),
    )


def render(result: Comparison) -> str:
    """The comparison as text; scores in percent, differences in points."""
    title = (
        f"{result.benchmark}, {result.protocol} protocol, {result.items} items: B = {result.b} against A = {result.a}"
    )
    header = ["", "n", "A, %", "B, %", "B - A", "95 % interval", "gained", "lost", "p"]
    lines = [title, "", grid(header, list(_rows(result.figures))), ""]
    if not all(one.exact for one in result.figures):
        lines.append("~ sign flips of whole clusters; without it, McNemar's exact test")
    lines.append("p is for each line alone, not corrected for their number")
    if result.unjudged:
        lines.append(f"{result.unjudged} items without a verdict on one side are left out on both")
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _read(folder: Path) -> _Scored:
    try:
        scores = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        samples = [json.loads(line) for line in (folder / SAMPLES).read_text(encoding="utf-8").split("\n") if line]
        samples.sort(key=lambda row: row["id"])
        name, n = scores["benchmark"], scores["n"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CompareError(f"{folder} holds no whole score ({error!r}); score its predictions again") from error
    if name not in BENCHMARKS or len(samples) != n:
        raise CompareError(f"{folder} holds {len(samples)} of {n} samples of {name!r}; score its predictions again")
    if damaged := next((row["id"] for row in samples if not row.keys() >= _SAMPLE), None):
        raise CompareError(f"{folder} holds no whole sample of {damaged}; score its predictions again")
    return _Scored(folder, scores, samples)


def _check_alike(a: _Scored, b: _Scored) -> None:
    for what in ("benchmark", "protocol", "rule", "judge"):
        one, other = a.scores.get(what), b.scores.get(what)
        if one != other:
            raise CompareError(
                f"{a.folder} and {b.folder} differ in their {what}: {one!r} and {other!r}; score both in the same way"
            )
    alone = {row["id"] for row in a.samples} ^ {row["id"] for row in b.samples}
    if alone or a.scores["fingerprints"]["data"] != b.scores["fingerprints"]["data"]:
        named = f"; only one has {', '.join(sorted(alone)[:5])}" if alone else ", though of the same ids"
        raise CompareError(
            f"{a.folder} and {b.folder} were scored on different data{named}; score both on the same --data"
        )


def _item(row: Mapping[str, Any]) -> Item:
    return Item(row["id"], "", "text", tuple(row["golds"]), groups=row["groups"], cluster=row["cluster"])


def _judgements(side: _Scored, unjudged: Sequence[bool]) -> list[Judgement]:
    return [
        Judgement(**{name: row[name] for name in _JUDGEMENT} | ({"expected": None} if left_out else {}))
        for row, left_out in zip(side.samples, unjudged, strict=True)
    ]


def _notes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for name in ("prompts", "scorer", "settings", "versions"):
        one, other = (scores["fingerprints"] if name in ("prompts", "scorer") else scores for scores in (a, b))
        if one.get(name) and other.get(name) and one[name] != other[name]:
            yield f"the two differ in their {name}{_difference(one[name], other[name])}"
        elif one.get(name) != other.get(name):
            yield f"only {'A' if one.get(name) else 'B'} says its {name}"
    for side, scores in (("A", a), ("B", b)):
        counts = scores["counts"]
        yield f"{side} has {counts['unparsed']} unparsed and {counts['truncated']} truncated answers" + (
            f", and {counts['missing']} predictions are missing, counted wrong" if counts["missing"] else ""
        )
    if a["fingerprints"]["predictions"] == b["fingerprints"]["predictions"]:
        yield "both score the same predictions"


def _difference(one: Any, other: Any) -> str:
    """The keys in which two mappings differ, with both values; nothing for what are no mappings."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return ""
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return ": " + ", ".join(f"{key} {one.get(key)!r} and {other.get(key)!r}" for key in keys)


def _paired(before: Figures, after: Figures, place: tuple[str, ...] = ()) -> Iterator[Paired]:
    for name, one in before.items():
        other = after[name]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _paired(one, other, (*place, name))
        elif isinstance(one, Share) and isinstance(other, Share) and one.mean is not None and other.mean is not None:
            yield _pair((*place, name), one, other, one.mean, other.mean)


def _pair(name: tuple[str, ...], one: Share, other: Share, a: float, b: float) -> Paired:
    parts = [
        ([y - x for x, y in zip(first, second, strict=True)], clusters)
        for (first, clusters), (second, _) in zip(one.parts, other.parts, strict=True)
    ]
    gains, clusters = parts[0]
    gained, lost = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    exact = len(parts) == 1 and len(set(clusters)) == len(gains) and set(gains) <= {-1.0, 0.0, 1.0}
    if exact:
        p = exact_test(gained, lost)
    else:  # a gain weighs as much as its part's mean makes of it
        p = sign_flip_test(
            [gain * len(gains) / len(part) for part, _ in parts for gain in part],
            [cluster for _, names in parts for cluster in names],
        )
    return Paired(name, len(gains), a, b, gained, lost, average_gain(parts), p, exact)


def _rows(figures: Sequence[Paired]) -> Iterator[list[str]]:
    group: tuple[str, ...] = ()
    for one in figures:
        if one.name[:-1] != group:
            group = one.name[:-1]
            if group:
                yield [", ".join(group).replace("_", " "), *[""] * 8]
        low, high = one.difference.low, one.difference.high
        yield [
            "  " * len(group) + one.name[-1].replace("_", " "),
            str(one.n),
            f"{100 * one.a:.1f}",
            f"{100 * one.b:.1f}",
            f"{100 * one.difference.mean:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            str(one.gained),
            str(one.lost),
            ("" if one.exact else "~") + (f"{one.p:.4f}" if one.p >= _SMALLEST_P else f"<{_SMALLEST_P}"),
        ]
