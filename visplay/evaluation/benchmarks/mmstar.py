"""MMStar: Are We on the Right Way for Evaluating Large Vision-Language Models?

Chen et al., NeurIPS 2024. https://github.com/MMStar-Benchmark/MMStar, https://huggingface.co/datasets/Lin-Chen/MMStar
val: 1,500 questions with one picture each, 250 in each of 6 capabilities, which have 3 axes each. One row as it comes:

    {"index": 0, "question": "Which option describe the object relationship in the image correctly?\\nOptions: A: The
     suitcase is on the book., B: The suitcase is beneath the cat., C: ...", "image": <picture>, "answer": "A",
     "category": "coarse perception", "l2_category": "image scene and topic",
     "meta_info": {"source": "MMBench", "split": "val", "image_path": "images/0.jpg"}}

The prompt is that of eval/vlmeval/vlm/llava_next.py in the authors' repository, the official rule MMStar_eval() in
eval/vlmeval/evaluate/mmstar.py: without case, the response begins with the letter, "(" and the letter, "option" and the
letter, or "the answer is" and the letter. What follows the letter does not matter: "A cat" is A, "definitely A" is D,
and "Answer: B" is A.

The authors' final score is micro. Some harnesses average the 18 axes, which differ in size; that is another figure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Prediction, judged
from visplay.evaluation.options import listed
from visplay.evaluation.procedures import extract_and_compare

NAME = "mmstar"
SOURCE = "Lin-Chen/MMStar"
SPLIT = "val"
SIZES = (1500,)
CONFIGS = ("val",)
COLUMNS: Columns = {
    "index": (int, str),
    "question": (str,),
    "answer": (str,),
    "category": (str,),
    "l2_category": (str,),
}
IMAGES = ("image",)
PROTOCOLS = ("official", "strict", "judge")
RULE = "the authors' look at how a response begins"
by_judge = extract_and_compare

_PROMPT = "{question}\nAnswer with the option's letter from the given choices directly."
_ANY = LETTERS[:8]  # options that cannot be read from the question
_BEGINNING = re.compile(r"(?:\(|option |the answer is )?([a-h])")


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row."""
    return [_item(row, str(row["index"])) for row in rows]


def images(row: Row) -> list[Any]:
    """The picture."""
    return [row["image"]] if row.get("image") else []


def official(item: Item, prediction: Prediction) -> Judgement:
    """The letter that the response begins with."""
    begins = _BEGINNING.match(prediction.response.lower().strip().replace("\n", " "))
    answer = begins[1].upper() if begins else None
    return judged(prediction, answer, answer in item.golds)


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all and by capability and axis."""
    return {
        "overall": share(items, judgements),
        "category": share_by("category", items, judgements),
        "l2 category": share_by("l2 category", items, judgements),
    }


def _item(row: Row, name: str) -> Item:
    choices, answer, category = listed(row["question"]), row["answer"].strip().upper(), row["category"]
    if len(answer) != 1 or answer not in (LETTERS[: len(choices)] if choices else _ANY):
        raise DataError(
            f"{name}: the answer {row['answer']!r} is the letter of no option of {row['question'][-200:]!r}"
        )
    return Item(
        id=name,
        prompt=_PROMPT.format(question=row["question"]),
        kind="choice",
        golds=(answer,),
        choices=choices,
        groups={"category": category, "l2 category": f"{category}, {row['l2_category']}"},
        text=row["question"],
    )
