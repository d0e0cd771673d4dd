"""RealWorldQA, the questions about everyday photographs that came with Grok-1.5 Vision.

xAI, 2024. https://x.ai/news/grok-1.5v, https://huggingface.co/datasets/xai-org/RealworldQA
test: 765 questions with one picture each, many taken from a car. One row as it comes:

    {"image": <picture>, "answer": "C", "question": "In which direction is the front wheel of the car on the right side
     facing?\\n\\nA. Left\\nB. Straight\\nC. Right\\nPlease answer directly with only the letter of the correct option
     and nothing else."}

Other questions end in "Please answer directly with a single word or number."; their answers are Yes, No, a number or a
word. The rows have no id: it is the row's number in the official order, from 0, unless the data has a column `id`.

xAI published no prompt beside the question and no scorer. "official" is the equality that the question asks for, as
harnesses apply it: without case, outer spaces and a closing point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, Prediction, judged
from visplay.evaluation.options import listed
from visplay.evaluation.procedures import extract_and_compare
from visplay.labels import measures

NAME = "realworldqa"
SOURCE = "xai-org/RealworldQA"
SPLIT = "test"
SIZES = (765,)
CONFIGS = ()
COLUMNS: Columns = {"question": (str,), "answer": (str,)}
IMAGES = ("image",)
PROTOCOLS = ("official", "strict", "judge")
RULE = "equality without case and closing point; no scorer was published"
by_judge = extract_and_compare

_INSTRUCTION = "Please answer directly with"
_BY_LETTER = f"{_INSTRUCTION} only the letter"


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row; numbers the rows that have no id."""
    return [_item(row, str(row["id"] if row.get("id") is not None else at)) for at, row in enumerate(rows)]


def images(row: Row) -> list[Any]:
    """The picture."""
    return [row["image"]] if row.get("image") else []


def official(item: Item, prediction: Prediction) -> Judgement:
    """The response itself, against the gold as it comes."""
    answer = _folded(prediction.response)
    return judged(prediction, answer or None, answer in map(_folded, item.golds))


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all and by the kind of answer."""
    return {"overall": share(items, judgements), "type": share_by("type", items, judgements)}


def _item(row: Row, name: str) -> Item:
    question, answer = row["question"], row["answer"].strip()
    choices = listed(question.partition(_INSTRUCTION)[0])
    kind = _kind(question, answer, choices)
    if not answer or (kind == "choice" and answer.upper() not in (LETTERS[: len(choices)] if choices else LETTERS)):
        raise DataError(f"row {name}: the answer {row['answer']!r} is the letter of no option of {question!r}")
    return Item(
        id=name,
        prompt=question,
        kind=kind,
        golds=(answer.upper() if kind == "choice" else answer.lower() if kind == "yes_no" else answer,),
        choices=choices if kind == "choice" else (),
        groups={"type": kind},
        text=question,
    )


def _kind(question: str, answer: str, choices: Sequence[str]) -> Kind:
    """A few questions list options, ask for a word, and want the letter."""
    if _BY_LETTER in question or (choices and len(answer) == 1 and answer.upper() in LETTERS[: len(choices)]):
        return "choice"
    if answer.lower() in ("yes", "no"):
        return "yes_no"
    return "number" if measures.read(answer) else "text"


def _folded(text: str) -> str:
    return text.lower().strip().rstrip(".")
