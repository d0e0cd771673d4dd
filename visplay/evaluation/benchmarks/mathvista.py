r"""MathVista: Evaluating Mathematical Reasoning of Foundation Models in Visual Contexts.

Lu et al., ICLR 2024. https://github.com/lupantech/MathVista, https://huggingface.co/datasets/AI4Math/MathVista
testmini: 1,000 questions with one picture each; 540 with options, 460 whose answer is a whole number (418), a decimal
one (40) or a list (2). The answers of `test` are not public. One row as it comes:

    {"pid": "1", "question": "When a spring does work on an object, ... by what distance $d$ is the spring compressed?",
     "image": "images/1.jpg", "decoded_image": <picture>, "choices": None, "unit": None, "precision": 1.0,
     "answer": "1.2", "question_type": "free_form", "answer_type": "float", "query": "Hint: Please answer the ...",
     "metadata": {"split": "testmini", "language": "english", "source": "SciBench", "category": "math-targeted-vqa",
                  "task": "textbook question answering", "context": "scientific figure", "grade": "college",
                  "skills": ["scientific reasoning"], "img_width": 1514, "img_height": 720}}

`question_type` is multi_choice or free_form; the answer to the former is an option's text. `query` is the authors'
prompt; their own testmini.json has none, and the same text is put together here.

The official rule is extract_answer.py and calculate_score.py in evaluation/ of the authors' repository. A response that
is an option, or a number of the wanted type, is the answer, and so is what stands in 'The answer is "...".'; else they
ask a language model to extract it. Then a letter in brackets, or alone, names its option, else the option that is
nearest by edit distance counts; whole numbers are cut off, decimal ones rounded to `precision`; and the text must equal
the gold. Here no model is asked: the response itself stands for what it would have extracted, so "official" is below
their figure for responses that explain. Where the nearest option was taken, the status is fallback.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, Prediction, judged, letter
from visplay.evaluation.procedures import extract_and_compare

NAME = "mathvista"
SOURCE = "AI4Math/MathVista"
SPLIT = "testmini"
SIZES = (1000,)
CONFIGS = ()
COLUMNS: Columns = {
    "pid": (str, int),
    "question": (str,),
    "choices": (list, type(None)),
    "precision": (int, float, type(None)),
    "answer": (str,),
    "question_type": (str,),
    "answer_type": (str,),
    "metadata": (dict,),
}
IMAGES = ("decoded_image", "image")
PROTOCOLS = ("official", "strict", "judge")
RULE = "the authors' rules, without the model that extracts answers; else the nearest option"
by_judge = extract_and_compare

_FIELDS = ("language", "source", "category", "task", "context", "grade")
_HINT = "Hint: Please answer the question {}, at the end."
_HINTS = {
    "choice": _HINT.format("and provide the correct option letter, e.g., A, B, C, D"),
    "integer": _HINT.format("requiring an integer answer and provide the final value, e.g., 1, 2, 3"),
    "float 1": _HINT.format(
        "requiring a floating-point number with one decimal place and provide the final value, e.g., 1.2, 1.3, 1.4"
    ),
    "float 2": _HINT.format(
        "requiring a floating-point number with two decimal places and provide the final value, e.g., 1.23, 1.34, 1.45"
    ),
    "list": _HINT.format(
        "requiring a Python list as an answer and provide the final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4]"
    ),
}
_QUOTED = re.compile(r'The answer is "(.*)"\.')
_BRACKETED = re.compile(r"\(([a-zA-Z])\)")


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row, whether in the hub's form or the authors'."""
    return [_item(row, str(row["pid"])) for row in rows]


def images(row: Row) -> list[Any]:
    """The picture."""
    return [picture for name in IMAGES if (picture := row.get(name))][:1]


def official(item: Item, prediction: Prediction) -> Judgement:
    """The authors' reading; the answer is a letter, or the number in their normal form."""
    kind = item.groups["answer type"]
    said = _extracted(prediction.response, kind)
    if item.kind != "choice":
        number = _normal(said, kind, int(item.groups.get("precision", 0)))
        return judged(prediction, number or None, number in item.golds)
    chosen = _named(said.strip(), item.choices)
    if chosen is not None:
        return judged(prediction, chosen, chosen in item.golds)
    nearest = min(range(len(item.choices)), key=lambda index: _distance(item.choices[index], _letter_of(said.strip())))
    correct = letter(nearest) in item.golds
    return Judgement(item.id, prediction.response, letter(nearest), "fallback", correct, float(correct))


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all and by each field that the authors report; a question may need several skills."""
    skills = sorted({skill for item in items for skill in _skills(item)})
    pairs = list(zip(items, judgements, strict=True))
    return {
        "overall": share(items, judgements),
        "task": share_by("task", items, judgements),
        "skill": {
            skill: share(
                [item for item in items if skill in _skills(item)],
                [judgement for item, judgement in pairs if skill in _skills(item)],
            )
            for skill in skills
        },
        **{
            name: share_by(name, items, judgements)
            for name in ("question type", "answer type", *(field for field in _FIELDS if field != "task"))
        },
    }


def _skills(item: Item) -> list[str]:
    return [skill for skill in item.groups["skills"].split(", ") if skill]


def _item(row: Row, name: str) -> Item:
    choices = tuple(map(str, row["choices"] or ()))
    kind: Kind = "choice" if row["question_type"] == "multi_choice" else "number"
    answer, groups = row["answer"], _groups(row, name)
    golds = tuple(letter(index) for index, choice in enumerate(choices) if choice == answer)
    if not answer:
        raise DataError(f"{name}: the answer is empty; of the official splits only {SPLIT} has answers")
    if kind == "choice" and not golds:
        raise DataError(f"{name}: the answer {answer!r} is none of its choices {list(choices)!r:.200}")
    return Item(
        id=name,
        prompt=row.get("query") or _query(row, choices, groups),
        kind="text" if kind == "number" and row["answer_type"] == "text" else kind,
        golds=golds if kind == "choice" else (answer,),
        choices=choices if kind == "choice" else (),
        groups=groups,
        text=row["question"],
    )


def _groups(row: Row, name: str) -> dict[str, str]:
    """What the item is reported by; and the decimal places of a decimal answer, which the official rule needs."""
    metadata: Mapping[str, Any] = row["metadata"]
    missing = [field for field in (*_FIELDS, "skills") if not metadata.get(field)]
    if missing:
        raise DataError(f"{name}: metadata has no {', '.join(missing)}; it is {dict(metadata)}")
    if row["answer_type"] == "float" and row["precision"] is None:
        raise DataError(f"{name}: a float answer needs its precision, the number of decimal places")
    return {
        "question type": row["question_type"],
        "answer type": row["answer_type"],
        **{field: metadata[field] for field in _FIELDS},
        "skills": ", ".join(metadata["skills"]),
        **({"precision": str(int(row["precision"]))} if row["answer_type"] == "float" else {}),
    }


def _query(row: Row, choices: Sequence[str], groups: Mapping[str, str]) -> str:
    wanted = "choice" if choices else " ".join(groups[key] for key in ("answer type", "precision") if key in groups)
    unit = f" (Unit: {row['unit']})" if row.get("unit") else ""
    options = ["Choices:", *(f"({letter(index)}) {choice}" for index, choice in enumerate(choices))] if choices else []
    lines = [_HINTS.get(wanted, ""), f"Question: {row['question']}{unit}", *options]
    return "\n".join(line for line in lines if line).strip()


def _extracted(response: str, kind: str) -> str:
    """What the authors take without asking a model; the whole response where it is an option, or they would ask one."""
    try:
        if kind == "integer":
            return str(int(response))
        if kind == "float":
            return str(float(response))
    except ValueError:
        pass
    quoted = _QUOTED.search(response)
    return quoted[1] if quoted else response


def _normal(said: str, kind: str, precision: int) -> str | None:
    try:
        if kind == "integer":
            return str(int(float(said)))
        return str(round(float(said), precision)) if kind == "float" else said
    except (ValueError, OverflowError):  # no number, or an infinite one
        return None


def _letter_of(said: str) -> str:
    """The first letter in brackets, in upper case, else the text as it is."""
    bracketed = _BRACKETED.search(said)
    return bracketed[1].upper() if bracketed else said


def _named(said: str, choices: Sequence[str]) -> str | None:
    """The option that is named by its letter, else by exactly its text."""
    name = _letter_of(said)
    if len(name) == 1 and name in LETTERS[: len(choices)]:
        return name
    return letter(choices.index(name)) if name in choices else None


def _distance(pattern: str, text: str) -> int:
    """Levenshtein's distance, all rows of a column at once in the bits of whole numbers (Myers 1999, Hyyrö 2003)."""
    if not pattern:
        return len(text)
    full, last = (1 << len(pattern)) - 1, 1 << (len(pattern) - 1)
    places: dict[str, int] = {}
    for index, character in enumerate(pattern):
        places[character] = places.get(character, 0) | 1 << index
    more, less, distance = full, 0, len(pattern)  # where the column rises and falls from one row to the next
    for character in text:
        match = places.get(character, 0)
        same = (((match & more) + more) ^ more) | match | less
        right_more, right_less = less | (full & ~(same | more)), same & more
        distance += bool(right_more & last) - bool(right_less & last)
        right_more = right_more << 1 | 1
        more = full & (right_less << 1 | ~(same | right_more))
        less = full & right_more & same
    return distance
