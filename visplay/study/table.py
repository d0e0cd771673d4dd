"""The tables of a study: what the labels of each setting were worth, and what its Reasoner gained.

Mean and standard deviation over the seeds, in %. All runs share the base and the held-out questions, so the spread is
that of the loop alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from visplay.evaluation.accuracy import PART_OF
from visplay.report.scores import read_scores
from visplay.study.settings import Setting, Study

Rows = list[dict[str, Any]]  # of scores.json: one run, the base first


Change = Callable[[Rows], float | None]  # from the base to the last


def _change(name: str) -> Change:
    return lambda run: run[-1][name] - run[0][name]


def _part(name: str) -> Change:
    """Of the greedy gain; the base itself, taken where nothing held, has none."""
    return lambda run: run[-1].get("gain_parts", {}).get(name, (None,))[0] if run[-1]["iteration"] else 0.0


def _more(votes: int | None, *extra: int | None) -> float | None:
    return sum(count or 0 for count in extra) / votes if votes else None


LABELS: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "kept": lambda row: row["kept"] / row["candidates"] if row["candidates"] else None,
    "right": lambda row: row["silver_accuracy"],
    "right if well-posed": lambda row: row["well_posed_accuracy"],
    "ill-posed": lambda row: row["ill_posed_share"],
    "AUROC of trust": lambda row: row.get("trust_auroc"),
    "answered blind": lambda row: row.get("blind_share_kept"),
    "distinct": lambda row: row.get("distinct_kept"),
    "more votes": lambda row: _more(row.get("votes"), *map(row.get, ("second_votes", "blind_votes", "audit_votes"))),
}


GAINS: Mapping[str, Change] = {
    "gain": _change("greedy"),
    **{f"by {name}": _part(name) for name in PART_OF.values()},
    "short cut forbidden": _change("greedy_reasoned"),
    "one sample": _change("one_sample"),
    "majority": _change("majority"),
}


def tables(study: Study, out: Path) -> str:
    """Two Markdown tables, and a line for each setting with runs that are not finished."""
    finished = {setting.name: _finished(setting, study.seeds, out) for setting in study.settings}
    made = {name: runs for name, runs in finished.items() if runs}
    missing = [
        f"{name}: {len(study.seeds) - len(runs)} of {len(study.seeds)} runs are not finished"
        for name, runs in finished.items()
        if len(runs) < len(study.seeds)
    ]
    parts = [_labels(made), _gains(made)] if made else []
    return "\n\n".join([*parts, *missing])


def outcomes(run: Rows) -> Rows:
    """The checkpoint to take after each iteration: the last one, or the one that the guard says, base first."""
    return [run[row["guard"]["best"] if row.get("guard") else k] for k, row in enumerate(run)]


def _finished(setting: Setting, seeds: Sequence[int], out: Path) -> list[Rows]:
    runs = (read_scores(setting.folder(out, seed)) for seed in seeds)
    return [run for run in runs if len(run) == setting.recipe.iterations + 1 or _was_ended(run)]


def _was_ended(run: Rows) -> bool:
    """Whether the guard ended it before its last iteration."""
    return bool(run) and str(run[-1].get("guard", {}).get("decision", "")).startswith("the loop ends")


def _labels(made: Mapping[str, list[Rows]]) -> str:
    """The kept rows of the first iteration and of the last, where there are more than one."""
    body = []
    for name, runs in made.items():
        ends = (1, -1) if any(len(run) > 2 for run in runs) else (1,)
        cells = [" → ".join(_spread([figure(run[end]) for run in runs]) for end in ends) for figure in LABELS.values()]
        body.append([name, str(len(runs)), *cells])
    return _markdown(["labels", "seeds", *LABELS], body)


def _gains(made: Mapping[str, list[Rows]]) -> str:
    """Accuracy after each iteration and the changes from the base to the end; a run that was ended stays as it was."""
    body = []
    for name, runs in made.items():
        taken = [outcomes(run) for run in runs]
        longest = max(map(len, taken))
        each = [_spread([run[min(k, len(run) - 1)]["greedy"] for run in taken]) for k in range(1, longest)]
        changes = [_spread([change(run) for run in taken], signed=True) for change in GAINS.values()]
        worst = f"{100 * min(run[-1]['greedy'] - run[0]['greedy'] for run in taken):+.1f}"
        body.append(
            [name, str(len(runs)), _spread([run[0]["greedy"] for run in runs]), ", ".join(each), *changes, worst]
        )
    return _markdown(["greedy", "seeds", "base", "after each iteration", *GAINS, "least gain"], body)


def _spread(shares: Sequence[float | None], signed: bool = False) -> str:
    known = [share for share in shares if share is not None]
    if not known:
        return "-"
    mean = f"{100 * fmean(known):{'+' if signed else ''}.1f}"
    return mean if len(known) < 2 else f"{mean} ± {100 * stdev(known):.1f}"


def _markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body))
