"""Your own questions: any parquet, JSONL, JSON or save_to_disk data with a picture, a question and an answer.

One row:

    {"image": "plots/7.png", "question": "How many bars are higher than 10?", "answer": "B", "choices": ["2", "3", "4"],
     "type": "choice", "id": "plots-7", "group": "bars", "cluster": "plots/7.png"}

Only `question` and `answer` are required. `answer` is a text, a number, or a list of them of which any is right; with
`choices` it is a letter or an option's text. `image` (or `images`) holds one picture or a list, "<image N>" in the
question says where they stand. `type` is choice, yes_no, number or text; without it the choices and the answer decide.
Without `id` the row's number in the file, from 0, is the id. Figures are also given by `group`; in intervals the rows
of one `cluster`, else each row, stand or fall together.

There is no official rule here, only the strict protocol and a judge.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, get_args

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, letter
from visplay.evaluation.procedures import extract_and_compare
from visplay.labels import measures

NAME = "local"
SOURCE = ""
SPLIT = "test"
SIZES = ()
CONFIGS = ()
COLUMNS: Columns = {"question": (str,), "answer": (str, int, float, list)}
IMAGES = ("image", "images")
PROTOCOLS = ("strict", "judge")
RULE = ""
official = None
by_judge = extract_and_compare

_ENDINGS: dict[Kind, str] = {
    "choice": "Answer with the option's letter from the given choices directly.",
    "yes_no": "Answer yes or no.",
    "number": "Answer with a number.",
    "text": "Answer the question using a single word or phrase.",
}


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row; numbers the rows that have no id."""
    return [_item(row, str(row["id"] if row.get("id") is not None else at)) for at, row in enumerate(rows)]


def images(row: Row) -> list[Any]:
    """The cell of `image` or `images`, as a list; empty for a question without a picture."""
    cell = row.get("image") if row.get("image") is not None else row.get("images")
    return [] if cell is None else list(cell) if isinstance(cell, list | tuple) else [cell]


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all, by type and by group where there are any."""
    shown: dict[str, Figures] = {"type": share_by("type", items, judgements)}
    if by_group := share_by("group", items, judgements):
        shown["group"] = by_group
    return {"overall": share(items, judgements), **shown}


def _item(row: Row, name: str) -> Item:
    choices = _choices(row.get("choices"), name)
    golds = _golds(row["answer"], name)
    kind = _kind(row.get("type"), golds, choices, name)
    if kind == "choice":
        golds = tuple(_letter(gold, choices, name) for gold in golds)
    if kind == "yes_no":
        golds = tuple(_yes_no(gold, name) for gold in golds)
    options = [f"({letter(index)}) {choice}" for index, choice in enumerate(choices)]
    groups = {"type": kind} | ({"group": str(row["group"])} if row.get("group") is not None else {})
    return Item(
        id=name,
        prompt="\n".join([row["question"], *options, _ENDINGS[kind]]),
        kind=kind,
        golds=golds,
        choices=choices,
        groups=groups,
        cluster=str(row["cluster"]) if row.get("cluster") is not None else "",
        text=row["question"],
    )


def _golds(answer: Any, name: str) -> tuple[str, ...]:
    given = answer if isinstance(answer, list) else [answer]
    for gold in given:
        if isinstance(gold, bool) or not isinstance(gold, str | int | float) or gold != gold:
            raise DataError(f"row {name}: the answer {gold!r:.60} is neither text nor a number")
    golds = tuple(map(_text, given))
    if not golds or "" in golds:
        raise DataError(f"row {name}: the answer is empty")
    return golds


def _choices(value: Any, name: str) -> tuple[str, ...]:
    """A list, or text that holds one; () for none."""
    if isinstance(value, str) and value:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise DataError(f"row {name}: the choices {value!r:.60} are no list") from error
    if value and not isinstance(value, list | tuple):
        raise DataError(f"row {name}: the choices {value!r:.60} are no list")
    if len(value or ()) > len(LETTERS):
        raise DataError(
            f"row {name}: {len(value)} choices are more than there are letters; give {len(LETTERS)} at most"
        )
    return tuple(_text(choice) for choice in value or ())


def _kind(given: Any, golds: Sequence[str], choices: Sequence[str], name: str) -> Kind:
    kinds: tuple[Kind, ...] = get_args(Kind)
    if given is not None and (given not in kinds or (given == "choice") != bool(choices)):
        raise DataError(
            f"row {name}: type is {given!r} with {len(choices)} choices; use choice, with choices, or "
            "yes_no, number or text, without any"
        )
    named = next((kind for kind in kinds if kind == given), None)
    if named or choices:
        return named or "choice"
    if all(gold.lower() in ("yes", "no") for gold in golds):
        return "yes_no"
    return "number" if all(map(measures.read, golds)) else "text"


def _letter(gold: str, choices: Sequence[str], name: str) -> str:
    """The letter that the gold is, else the one whose option's text it is."""
    letters = [letter(index) for index in range(len(choices))]
    if gold in letters:
        return gold
    if list(choices).count(gold) != 1:
        raise DataError(f"row {name}: the answer {gold!r} is neither one of {', '.join(letters)} nor one option's text")
    return letters[list(choices).index(gold)]


def _yes_no(gold: str, name: str) -> str:
    if gold.lower() not in ("yes", "no"):
        raise DataError(f"row {name}: the answer {gold!r} is neither yes nor no")
    return gold.lower()


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)
