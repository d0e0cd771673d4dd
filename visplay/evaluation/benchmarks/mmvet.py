"""MM-Vet: Evaluating Large Multimodal Models for Integrated Capabilities.

Yu et al., ICML 2024. https://github.com/yuweihao/MM-Vet, https://huggingface.co/datasets/whyu/mm-vet
218 open questions about 200 pictures, each of which needs some of six capabilities: recognition, OCR, knowledge,
language generation, spatial awareness, math. One row as it comes on the hub:

    {"id": "v1_0", "question": "What is x in the equation?", "answer": "-1<AND>-5", "capability": ["ocr", "math"],
     "image": <picture>}

The authors' mm-vet.json maps ids to such rows, with `imagename`, a file in the folder images/ beside it.

There is no rule without a judge: mm-vet_evaluator.py there has GPT-4 (gpt-4-0613) grade every answer from 0.0 to 1.0 in
tenths, and takes the mean over all, by capability and by set of capabilities. In a gold, all elements joined by <AND>
are needed and one of those joined by <OR> is. Here the prompt is our own, and the judge is the user's: figures by
another judge are not comparable. The authors count 0 where five attempts bring no grade, here that is an error, and
they report the mean of five runs, here one run at temperature 0 counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import Item, Judgement, Prediction, judged
from visplay.evaluation.procedures import Ask, grade

NAME = "mmvet"
SOURCE = "whyu/mm-vet"
SPLIT = "test"
SIZES = (218,)
CONFIGS = ()
COLUMNS: Columns = {"id": (str,), "question": (str,), "answer": (str,), "capability": (list,)}
IMAGES = ("image", "imagename")
PROTOCOLS = ("judge",)
RULE = ""
official = None

CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
_JOIN = " + "


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row; the prompt is the bare question, as the authors ask it."""
    return [_item(row) for row in rows]


def images(row: Row) -> list[Any]:
    """The picture, in either form of the data."""
    if row.get("image") is not None:
        return [row["image"]]
    path = Path(row["imagename"])
    return [str(path.parent / "images" / path.name)]


def by_judge(item: Item, prediction: Prediction, ask: Ask) -> Judgement:
    """A grade; nothing is right or wrong between 0 and 1. An empty response is 0 without asking."""
    response = prediction.response.strip()
    if not response:
        return judged(prediction, None, False)
    worth = grade(item, prediction, ask)
    correct = {0.0: False, 1.0: True}.get(worth)
    return Judgement(item.id, prediction.response, response, "parsed", correct, worth)


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """The mean grade over all, by capability, and by set of capabilities; an item counts for each that it needs."""
    pairs = list(zip(items, judgements, strict=True))
    needing = {
        name: [pair for pair in pairs if name in pair[0].groups["capabilities"].split(_JOIN)] for name in CAPABILITIES
    }
    return {
        "overall": share(items, judgements),
        "capability": {
            name: share([item for item, _ in some], [judgement for _, judgement in some])
            for name, some in needing.items()
            if some
        },
        "capabilities": share_by("capabilities", items, judgements),
    }


def _item(row: Row) -> Item:
    named = row["capability"]
    if not named or not set(named) <= set(CAPABILITIES):
        raise DataError(f"{row['id']}: capability is {named!r}; it must name some of {', '.join(CAPABILITIES)}")
    # The authors set the joints apart, and so does the judge's prompt.
    gold = row["answer"].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return Item(
        id=row["id"],
        prompt=row["question"],
        kind="text",
        golds=(gold,),
        groups={"capabilities": _JOIN.join(name for name in CAPABILITIES if name in named)},
        text=row["question"],
    )
