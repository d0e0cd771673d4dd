"""VisNumBench: Evaluating Number Sense of Multimodal Large Language Models.

Weng et al., ICCV 2025. https://github.com/GML-FMGroup/mllm_number_sense,
https://huggingface.co/datasets/GML-FMGroup/VisNumBench
1,913 questions with one picture each: 1,011 on drawn pictures, 902 on photographs. One row as it comes:

    {"class": ..., "id": "17_Scale", "question": "Which of the following ranges is most likely to be the value of the
     class C in the figure?", "option": "(a) (0.50, 0.60) (b) (0.0, 0.10) (c) (0.80, 0.90) (d) (0.20, 0.30)",
     "answer": "(b) (0.0, 0.10)", "task_class": "range estimation", "Attributes": "Scale", "image": <picture>}

The authors' Synthetic.json and Real.json have `image_path` for `class` and `image`. 733 ids stand in both: an id that
two rows share is written <scenario>_<id>, as synthetic_17_Scale and real_17_Scale.

The prompt is that of eval/utils.py in the authors' repository, without its indentation. They let a language model
(InternVL2.5-38B) say which option a response chooses, and compare that with the gold's letter. "official" here is the
first step of the script that they released first: the one letter in brackets that a response has, "(b)"; where it has
none or several they ask the model, and here it is unparsed. "overall" is their leaderboard's VisNumBench column, micro;
the scenarios are its two other columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Prediction, judged
from visplay.evaluation.options import listed
from visplay.evaluation.procedures import extract_and_compare

NAME = "visnumbench"
SOURCE = "GML-FMGroup/VisNumBench"
SPLIT = "train"
SIZES = (1913,)
CONFIGS = ()
COLUMNS: Columns = dict.fromkeys(("id", "question", "option", "answer", "task_class", "Attributes"), (str,))
IMAGES = ("image", "image_path")
PROTOCOLS = ("official", "strict", "judge")
RULE = "the one letter in brackets, without the model that reads all other responses"
by_judge = extract_and_compare

_PROMPT = "Question: {question}\nOptions: {option}\nAnswer the question based on the most likely options."
_GOLD = re.compile(r"\(([a-z])\)")
_CHOSEN = re.compile(r"\(([a-e])\)")
_SCENARIOS = {"syn": "synthetic", "real": "real"}


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row, whether in the hub's form or the authors'."""
    shared = Counter(row["id"] for row in rows)
    return [
        _item(row, f"{_scenario(row)}_{row['id']}" if shared[row["id"]] > 1 else row["id"], _scenario(row))
        for row in rows
    ]


def images(row: Row) -> list[Any]:
    """The picture."""
    return [picture for name in IMAGES if (picture := row.get(name))][:1]


def official(item: Item, prediction: Prediction) -> Judgement:
    """The letter, if there is one in brackets and no other."""
    found = set(_CHOSEN.findall(prediction.response))
    answer = found.pop().upper() if len(found) == 1 else None
    return judged(prediction, answer, answer in item.golds)


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all, by scenario, by attribute within each, and by task."""
    return {"overall": share(items, judgements)} | {
        name: share_by(name, items, judgements) for name in ("scenario", "attribute", "task")
    }


def _scenario(row: Row) -> str:
    """ "synthetic" or "real", by the row's class or else its picture's folder; any other class as it comes."""
    folders = PurePosixPath(row.get("image_path") or "").parts
    given = str(row.get("class") or next((part for part in folders if part.endswith("Dataset")), "unknown")).lower()
    return next((name for start, name in _SCENARIOS.items() if given.startswith(start)), given)


def _item(row: Row, name: str, scenario: str) -> Item:
    choices, gold = listed(row["option"]), _GOLD.match(row["answer"].strip())
    answer = gold[1].upper() if gold else ""
    if not answer or answer not in LETTERS[: len(choices)]:
        raise DataError(f"{name}: the answer {row['answer']!r} is none of the options {row['option']!r}")
    return Item(
        id=name,
        prompt=_PROMPT.format(question=row["question"], option=row["option"]),
        kind="choice",
        golds=(answer,),
        choices=choices,
        groups={"scenario": scenario, "attribute": f"{scenario}, {row['Attributes']}", "task": row["task_class"]},
        text=row["question"],
    )
