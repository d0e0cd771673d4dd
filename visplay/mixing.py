"""What else the Reasoner is trained on beside the rows of its iteration: anchors, and replayed rows.

Both are off by default. Anchors are pictures of the world with true answers: the one way of truth into the rows, and
the table calls no run label-free that used them. Replayed rows were kept in the earlier iterations that led to this one
and are drawn from all of these alike, none twice; they keep the silver answer of their time.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visplay.images import PoolImage
from visplay.labelling import heeds_audit
from visplay.lineage import led_to
from visplay.pool import LoadedPool, list_own, load_own, render
from visplay.recipe import Recipe
from visplay.records import SilverAnswer, read_jsonl, silver_answer, write_jsonl
from visplay.runs import Inputs, Run, digest, read_manifest, summarise
from visplay.staging import Control, kept_rows, seed
from visplay.worlds.anchors import anchor

STAGE = "mix"
_ANCHORS_PER_ITERATION = 1_000_000  # at most; so each iteration has pictures of its own


@dataclass(frozen=True)
class Mixed:
    """Rows beside those of the iteration, each with its image, and what they add to the inputs of the training."""

    rows: list[tuple[PoolImage, SilverAnswer]]
    inputs: Inputs


@dataclass(frozen=True)
class Counts:
    """How many rows of each origin."""

    silver: int
    replayed: int
    anchors: int


def mix(
    run: Run, recipe: Recipe, k: int, labelled: Path, kept: int, pool: LoadedPool, control: Control | None = None
) -> Mixed:
    """The rows that go with the `kept` silver rows of iteration k; none, and no stage, where the recipe has no shares.

    A control holds for replayed rows as for those of the iteration.
    """
    role = recipe.reasoner
    if not (role.anchor_share or role.replay_share):
        return Mixed([], {})
    before = led_to(run.directory, k) if role.replay_share else []
    labels = [run.directory / f"iter_{j:02d}" / "label" for j in before]

    def work(folder: Path) -> None:
        earlier = [
            (k - j, row) for j, at in zip(before, labels, strict=True) for row in kept_rows(at, control, pool.scene_of)
        ]
        counts = counted(kept, len(earlier), role.anchor_share, role.replay_share)
        drawn = random.Random(seed(recipe, k, STAGE)).sample(earlier, counts.replayed)
        write_jsonl(folder / "replayed.jsonl", ({"age": age, "row": dataclasses.asdict(row)} for age, row in drawn))
        _make_anchors(folder, recipe, k, counts.anchors)
        summarise(folder, dataclasses.asdict(counts) | {"iterations_ago": _ages([age for age, _ in drawn])})

    inputs: Inputs = {
        "silver": digest(labelled),
        "earlier": " ".join(map(digest, labels)),
        "control": control.name if control else None,
        "anchor_share": role.anchor_share,
        "replay_share": role.replay_share,
    }
    made = run.stage(k, STAGE, work, inputs, alone=True)
    replayed = [silver_answer(line["row"]) for line in read_jsonl(made / "replayed.jsonl")]
    rows = [(pool.by_id[row.image_id], row) for row in replayed] + _read_anchors(made, recipe)
    return Mixed(rows, {"mixed": digest(made), "anchor_share": role.anchor_share, "replay_share": role.replay_share})


def counted(silver: int, earlier: int, anchor_share: float, replay_share: float) -> Counts:
    """How many rows make these shares of all; of the `earlier` ones no more than there are."""
    replayed = min(earlier, round(silver * replay_share / (1 - anchor_share - replay_share)))
    return Counts(silver, replayed, round((silver + replayed) * anchor_share / (1 - anchor_share)))


def origin(run: Run, recipe: Recipe, k: int) -> dict[str, Any]:
    """Where the rows came from that iteration k's Reasoner was trained on, for its ScoreRow.

    Nothing where it was not trained, or on a control's answers.
    """
    folder = run.directory / f"iter_{k:02d}"
    trained = read_manifest(folder / "reasoner")
    if trained is None or trained["inputs"]["control"]:
        return {}
    labelled = read_manifest(folder / "label")
    steered = any("audit" in made["inputs"] for made in (labelled, trained) if made)
    steered |= heeds_audit(recipe) and read_manifest(run.directory / f"iter_{k - 1:02d}" / "audit") is not None
    steers = {"audit_steers": True} if steered else {}
    if read_manifest(folder / STAGE) is None:
        return {"anchor_share": 0.0, "replay_share": 0.0, **steers}
    summary = json.loads((folder / STAGE / "summary.json").read_text(encoding="utf-8"))
    rows = summary["silver"] + summary["replayed"] + summary["anchors"]
    return {"anchor_share": summary["anchors"] / rows, "replay_share": summary["replayed"] / rows, **steers}


def _make_anchors(folder: Path, recipe: Recipe, k: int, count: int) -> None:
    if not count:
        return
    first = k * _ANCHORS_PER_ITERATION
    render(folder, "anchor", range(first, first + count))
    list_own(folder, recipe.pool)
    pictures = load_own(folder, recipe.pool, "anchor")
    keep = recipe.labels.keep_unanswerable
    write_jsonl(folder / "anchors.jsonl", (anchor(pictures.scene_of(r.id), r.id, keep) for r in pictures.records))


def _read_anchors(made: Path, recipe: Recipe) -> list[tuple[PoolImage, SilverAnswer]]:
    if not (made / "anchors.jsonl").exists():
        return []
    pictures = load_own(made, recipe.pool, "anchor").by_id
    rows = [silver_answer(line) for line in read_jsonl(made / "anchors.jsonl")]
    return [(pictures[row.image_id], row) for row in rows]


def _ages(ages: Sequence[int]) -> dict[str, int]:
    return {str(age): count for age, count in sorted(Counter(ages).items())}
