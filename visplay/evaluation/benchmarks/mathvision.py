r"""MATH-Vision: Measuring Multimodal Mathematical Reasoning with the MATH-Vision Dataset.

Wang et al., NeurIPS 2024 (datasets). https://github.com/mathllm/MATH-V, https://huggingface.co/datasets/MathLLMs/MathVision
test: 3,040 competition problems with one picture each, 1,532 with five options; 16 subjects, 5 levels. testmini is 304
of them. One row as it comes:

    {"id": "6", "question": "Misty the cat has five kittens: ... the ears of one of them are of different colour?\n
     <image1>", "options": ["A", "B", "C", "D", "E"], "answer": "D", "solution": None, "level": 3, "subject": "logic",
     "image": "images/6.jpg", "decoded_image": <picture>}

All pictures of a question are merged into one; "<image1>" stays in the text, as in the authors' runs with one picture.
Options that are only letters stand in the picture and are not repeated. The prompt is that of models/GPT4V.py.

The official rule is evaluate() in evaluation/evaluate.py of the authors' repository, with find_math_answer() and
is_equal() in utils.py. What stands in the last box, or behind "the answer is", "=" or "\approx", is the answer, in
lower case and without spaces, units and dollar signs. It is right when it is the letter, or the option's text, or has
the value of either to two decimal places. They compute values by latex2sympy and Python's eval; here numbers,
fractions, roots, powers and pi have a value, and nothing else: no functions and no letters such as e. On seven files of
outputs that they published, 21,280 responses, the verdicts differ on 5, of which 3 are on the one gold with powers too
large to compute (2822). A few golds, such as "$\boxed{\frac{3}{4}}$", are matched by nothing under their rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, Prediction, judged, letter
from visplay.evaluation.procedures import extract_and_compare
from visplay.evaluation.reading.formulas import approximate
from visplay.labels.answers import boxed

NAME = "mathvision"
SOURCE = "MathLLMs/MathVision"
SPLIT = "test"
SIZES = (3040,)
CONFIGS = ()
COLUMNS: Columns = {
    "id": (str, int),
    "question": (str,),
    "options": (list,),
    "answer": (str,),
    "level": (int, str),
    "subject": (str,),
}
IMAGES = ("decoded_image", "image")
PROTOCOLS = ("official", "strict", "judge")
RULE = "the authors' answer extraction and equality to two decimal places"
by_judge = extract_and_compare

_PROMPT = (
    'Please solve the problem and put your answer in one "\\boxed{{}}". If it is a multiple choice question, only one '
    'letter is allowed in the "\\boxed{{}}".\n{question}\n{options}'
)
_LETTERS = "ABCDE"
_CUES = ("he final answer is", "he answer is", "he correct answer is", "he answer should be")
_DROPPED = (
    *((" ", ""), ("\\,", ""), ("∞", "\\infty"), ("+\\infty", "\\infty"), ("\\\\", "\\"), ("\n", ""), ("\\text", "")),
    *((mark, "") for mark in ("\\mbox", "\\left", "\\right", "^{\\circ}", "^\\circ", "{m}^3", "m^3", "{units}")),
    *((mark, "") for mark in ("units", "{km}", "km", "\\!", "\\$", "$", "\\%")),
    *(("tfrac", "frac"), ("dfrac", "frac"), ("{.", "{0.")),
)
_ARITHMETIC = re.compile(r"(?!.*\*\*)(?:[-+*/^(){}.0-9 ]|\\(?:frac|sqrt|pi|cdot|times|div)(?![a-z]))+")
_GROUP = re.compile(r"^\{([^{}]*)\}$")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_BRACES_OF_WORDS = re.compile(r"\{(square)?([a-z]+)\}")


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row, whether in the hub's form or the authors'."""
    return [_item(row, str(row["id"])) for row in rows]


def images(row: Row) -> list[Any]:
    """The merged picture."""
    return [picture for name in IMAGES if (picture := row.get(name))][:1]


def official(item: Item, prediction: Prediction) -> Judgement:
    """The authors' reading; the answer is in lower case and without spaces."""
    answer = _found(_cut(prediction.response.strip()))
    golds = [item.golds[-1], *(item.choices[LETTERS.index(gold)] for gold in item.golds if item.choices)]
    return judged(prediction, answer or None, any(_equal(answer, gold) for gold in golds))


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all and by level and subject."""
    return {
        "overall": share(items, judgements),
        "level": share_by("level", items, judgements),
        "subject": share_by("subject", items, judgements),
    }


def _item(row: Row, name: str) -> Item:
    choices, answer = tuple(map(str, row["options"])), row["answer"].strip(" \n")
    named = LETTERS[: len(choices)] if choices else _LETTERS
    chosen = len(answer) == 1 and answer in named  # two questions have their options in the picture alone
    if not answer or (choices and not chosen):
        raise DataError(f"{name}: the answer {row['answer']!r} is none of {', '.join(named)}")
    kind: Kind = "choice" if chosen else "number"
    lines = [f"({letter(index)}) {choice}\n" for index, choice in enumerate(choices)]
    shown = "".join(lines) if "".join(choices) != _LETTERS else ""
    return Item(
        id=name,
        prompt=_PROMPT.format(question=row["question"], options=shown),
        kind=kind,
        golds=(answer,) if chosen else tuple(dict.fromkeys((_plain(answer), row["answer"]))),
        choices=choices,
        groups={"level": str(row["level"]), "subject": row["subject"]},
        text=row["question"],
    )


def _plain(answer: str) -> str:
    r"""A gold without its box and braces around words; "\frac" where a form feed was made of "\f"."""
    text = answer.replace("\f", "\\f")
    return " ".join(_BRACES_OF_WORDS.sub(r" \1 \2", boxed(text) or text).split())


def _cut(text: str) -> str:
    """The part of a response that the authors look for the answer in."""
    for name in _LETTERS:
        heads, tails = (f"{name}\n", f"({name})\n", f"({name}) {name}\n"), (f" {name}.", f" ({name}).")
        if text.startswith(heads) or text.endswith(tails):
            return name
    number = text.split("is ")[-1].rstrip(".")
    text = number if _is_float(number) else text
    if "oxed{" in text:
        return "\\boxed{" + text.split("oxed{")[-1] if text.count("oxed{") > 1 else text
    for cue in (first + rest for rest in _CUES for first in "tT"):
        if cue in text:
            text = text.split(cue)[-1].strip().split("\n")[0].split(". ")[0]
        text = text.strip()
    return text


def _found(text: str) -> str:
    """The answer in what was cut out: the box's content or all of it, behind the last sign of equality."""
    text = text.lower().replace("{}", "")
    if box := re.search(r"oxed\{(.*)\}", text, re.DOTALL):
        text = box[1]
    close = text.find("}")
    if close != -1 and not -1 < text.find("{") < close:
        text = text[:close]
    text = text.split("=")[-1].split("\\approx")[-1]
    for old, new in _DROPPED:
        text = text.replace(old, new)
    text = f"0{text}" if text.startswith(".") else text
    for wrapped in (r"\(([a-e])\)", r"\{([a-e])\}"):
        text = re.sub(wrapped, r"\1", text)
    return text.rstrip(".").lstrip(":").strip()


def _equal(answer: str, gold: str) -> bool:
    gold = gold.lower().strip()
    if not answer or not gold:
        return False
    if answer == gold:
        return True
    one, other = _values(answer), _values(gold)
    return one is not None and one == other


def _values(text: str) -> tuple[str | float, ...] | None:
    """The value to two decimal places, several for a point or a range, with its brackets; None without any."""
    text = _THOUSANDS.sub("", text.replace("$", "").replace("\\displaystyle", ""))
    parts = text[1:-1].split(",")
    if text[:1] + text[-1:] in ("()", "[]") and len(parts) > 1:
        values = [_value(part) for part in parts]
        return None if None in values else (text[0], *(value for value in values if value is not None))
    value = _value(text.replace(":", "/"))
    return None if value is None else (value,)


def _value(text: str) -> float | None:
    """To two decimal places. Like latex2sympy it reads no further than a brace that closes what was never opened."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            text = text[:at]
            break
    text = _GROUP.sub(r"\1", text)
    value = approximate(text) if _ARITHMETIC.fullmatch(text) else None
    return None if value is None else round(value, 2)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
