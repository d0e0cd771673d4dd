"""HallusionBench: An Advanced Diagnostic Suite for Entangled Language Hallucination and Visual Illusion in LVLMs.

Guan, Liu et al., CVPR 2024. https://github.com/tianyi-lab/HallusionBench; on the hub as lmms-lab/HallusionBench.
1,129 yes/no questions: 591 visual dependent (VD) and 538 visual supplement (VS), of which 178 come without a figure.
The other 951 are about 346 figures. One row as it comes:

    {"category": "VD", "subcategory": "illusion", "visual_input": "1", "set_id": "14", "figure_id": "0",
     "question_id": "0", "question": "Whether the red shape in the image is a square? Yes or No", "gt_answer": "1",
     "gt_answer_details": "Yes, the red shape is a square.", "sample_note": "square",
     "filename": "./VD/illusion/14_0.png"}

`visual_input` is 0 without a figure, 1 with an original one, 2 with an edited one. `filename` is null without a figure;
the hub's copy holds the picture in `image`, in a split of its own.

The official rule is utils.py of the authors' repository. A judge gives each answer 0 wrong, 1 right or 2 unclear; 2 is
right only for a VS question without a figure. aAcc is over questions, fAcc over figures whose questions are all right,
qAcc over questions that are right on all their figures; easy and hard are qAcc without and on the edited figures. Their
leaderboard has them over all 1,129; papers mostly quote the mean of the three over the 951 with a figure, which is
"overall" here. Without verdicts, the strict protocol reads yes or no; neither, or both, is wrong.

The authors send the question alone; here "Answer yes or no." follows it, so that no judge is needed.
Intervals of aAcc and fAcc draw figures; those of qAcc and of the mean draw sets, in which figures share questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Average, Figures, Share, share, share_by, share_of
from visplay.evaluation.items import Item, Judgement, Prediction, judged
from visplay.evaluation.predictions import PredictionError
from visplay.evaluation.procedures import RIGHT, UNCLEAR, WRONG, Ask, verdict

NAME = "hallusionbench"
SOURCE = "lmms-lab/HallusionBench"
SPLIT = "image+non_image"
SIZES = (1129, 951)  # all, and those with a figure
CONFIGS = ()
_KEYS = ("category", "subcategory", "set_id", "figure_id", "question_id")
COLUMNS: Columns = dict.fromkeys((*_KEYS, "visual_input", "question", "gt_answer"), (str,))
IMAGES = ("image", "filename")
PROTOCOLS = ("official", "strict", "judge")
RULE = "verdicts 0, 1, 2 that came with the predictions"

_PROMPT = "{question}\nAnswer yes or no."
_ANSWERS = {"0": "no", "1": "yes"}
_VALUES = {"category": ("VD", "VS"), "gt_answer": tuple(_ANSWERS), "visual_input": ("0", "1", "2")}

Pair: TypeAlias = tuple[Item, Judgement]


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row, whether in the hub's form or the authors'."""
    return [_item(row) for row in rows]


def images(row: Row) -> list[Any]:
    """The figure, or nothing."""
    return [picture for name in IMAGES if (picture := row.get(name))][:1]


def official(item: Item, prediction: Prediction) -> Judgement:
    """The authors' reading of a judge's verdict; the answer is the gold, its opposite, or None where it was unclear.

    Raises PredictionError for a prediction without a verdict.
    """
    (gold,) = item.golds
    if prediction.verdict is None:
        raise PredictionError(
            f"{item.id} has no verdict; the official rule of {NAME} needs a judge's `verdict` (0 wrong, 1 right, "
            "2 unclear) with every prediction. Without, use --protocol strict or judge"
        )
    answer = {RIGHT: gold, WRONG: "no" if gold == "yes" else "yes", UNCLEAR: None}[prediction.verdict]
    return judged(prediction, answer, answer == gold or (answer is None and not _has_figure(item)))


def by_judge(item: Item, prediction: Prediction, ask: Ask) -> Judgement:
    """The official rule with a verdict that the judge gives now; it is told `gt_answer_details`, as theirs is."""
    return official(item, replace(prediction, verdict=verdict(item, prediction, ask)))


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """aAcc, fAcc, qAcc, their mean, easy and hard: over the questions with a figure, over all, and over VD and VS.

    "all" is left out where the data has no question without a figure.
    """
    pairs = list(zip(items, judgements, strict=True))
    pictured = [pair for pair in pairs if _has_figure(pair[0])]
    accuracies = _accuracies(pictured)
    return {
        "overall": accuracies["mean"],
        "image": accuracies,
        **({"all": _accuracies(pairs)} if len(pictured) < len(pairs) else {}),
        "VD": _accuracies([pair for pair in pairs if pair[0].groups["category"] == "VD"]),
        "VS": _accuracies([pair for pair in pairs if pair[0].groups["category"] == "VS"]),
        "subcategory": share_by("subcategory", items, judgements),
    }


def _item(row: Row) -> Item:
    name = "_".join(row[key] for key in _KEYS)
    for key, values in _VALUES.items():
        if row[key] not in values:
            raise DataError(f"{name}: {key} is {row[key]!r}; it must be one of {', '.join(values)}")
    # The authors tell a question without a figure by these two, not by visual_input.
    bare = row["category"] == "VS" and row["figure_id"] == "0"
    category, subcategory = row["category"], f"{row['category']} {row['subcategory']}"
    figure = "none" if bare else "edited" if row["visual_input"] == "2" else "original"
    return Item(
        id=name,
        prompt=_PROMPT.format(question=row["question"]),
        kind="yes_no",
        golds=(_ANSWERS[row["gt_answer"]],),
        groups={"category": category, "subcategory": subcategory, "figure": figure},
        cluster=name.rpartition("_")[0],
        text=row["question"],
        reference=row.get("gt_answer_details") or "",
    )


def _accuracies(pairs: Sequence[Pair]) -> dict[str, Share]:
    questions = share([item for item, _ in pairs], [judgement for _, judgement in pairs])
    by_figure = _all_right((pair for pair in pairs if _has_figure(pair[0])), _figure, _figure)
    by_question = _all_right(pairs, _question, _set)
    sets = [
        Share(one.values, tuple(figure.rpartition("_")[0] for figure in one.clusters)) for one in (questions, by_figure)
    ]
    return {
        "aAcc": questions,
        "fAcc": by_figure,
        "qAcc": by_question,
        "mean": Average(questions.values, questions.clusters, (*sets, by_question)),
        "easy": _all_right((pair for pair in pairs if pair[0].groups["figure"] != "edited"), _question, _set),
        "hard": _all_right((pair for pair in pairs if pair[0].groups["figure"] == "edited"), _question, _set),
    }


def _all_right(pairs: Iterable[Pair], group: Callable[[Item], str], cluster: Callable[[Item], str]) -> Share:
    """The share of groups of which all are right; a group with an item that has no verdict is left out."""
    points: dict[str, list[float | None]] = defaultdict(list)
    clusters = {}
    for item, judgement in pairs:
        points[group(item)].append(judgement.expected)
        clusters[group(item)] = cluster(item)
    return share_of({name: float(set(given) == {1.0}) for name, given in points.items() if None not in given}, clusters)


def _has_figure(item: Item) -> bool:
    return item.groups["figure"] != "none"


def _figure(item: Item) -> str:
    return item.cluster


def _set(item: Item) -> str:
    return item.cluster.rpartition("_")[0]


def _question(item: Item) -> str:
    return f"{_set(item)}_{item.id.rpartition('_')[2]}"
