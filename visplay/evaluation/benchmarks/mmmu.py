"""MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark for Expert AGI.

Yue et al., CVPR 2024. https://mmmu-benchmark.github.io, https://huggingface.co/datasets/MMMU/MMMU
Validation: 900 questions, 30 in each of 30 subjects, 847 with options and 53 open. One row as it comes, shortened:

    {"id": "validation_Accounting_1", "question": "<image 1> Baxter Company has a relevant range of production ...",
     "options": "['$6', '$7', '$8', '$9']", "answer": "B", "question_type": "multiple-choice", "explanation": "",
     "subfield": "Managerial Accounting", "img_type": "['Tables']", "topic_difficulty": "Medium", "image_1": <picture>,
     "image_2": None, ..., "image_7": None}

`options` is a string that holds a Python list, and so are three of the open golds. Pictures can stand in the options.
Also read is the authors' own output.json (question_type "short-answer", `index2ans` for `options`, lists as lists);
it has no questions and can only be scored.

The prompts are those of mmmu/configs/llava1.5.yaml in https://github.com/MMMU-Benchmark/MMMU, the official rule is
mmmu/utils/eval_utils.py there, with one deviation: where it draws a letter at random the judgement is a fallback worth
1 / number of options, the expected value of the draw.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, Prediction, judged, letter
from visplay.evaluation.procedures import extract_and_compare
from visplay.labels import measures

NAME = "mmmu"
SOURCE = "MMMU/MMMU"
SPLIT = "validation"
SIZES = (900,)
DOMAINS = {
    "Art and Design": ["Art", "Art_Theory", "Design", "Music"],
    "Business": ["Accounting", "Economics", "Finance", "Manage", "Marketing"],
    "Science": ["Biology", "Chemistry", "Geography", "Math", "Physics"],
    "Health and Medicine": [
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ],
    "Humanities and Social Science": ["History", "Literature", "Sociology", "Psychology"],
    "Tech and Engineering": [
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ],
}
CONFIGS = tuple(sorted(subject for subjects in DOMAINS.values() for subject in subjects))
COLUMNS: Columns = {"id": (str,), "question_type": (str,), "answer": (str, list)}
IMAGES = tuple(f"image_{number}" for number in range(1, 8))
PROTOCOLS = ("official", "strict", "judge")
RULE = "the authors' letter parse and open matching; a random letter counts as its expected value"
by_judge = extract_and_compare

_CHOICE_PROMPT = "{question}\n{options}\n\nAnswer with the option's letter from the given choices directly."
_OPEN_PROMPT = "{question}\nAnswer the question using a single word or phrase."
_DOMAIN_OF = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}
_CUES = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_SEEN = LETTERS[:8]  # an open gold that is one of these names something in the picture
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),  # 1,000
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),  # 1e3
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),  # 1, 1.5, .5
)


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row, whether in the hub's form or the authors'."""
    return [_item(row) for row in rows]


def images(row: Row) -> list[Any]:
    """image_1 to the last that is there; None for one that is missing between."""
    if not row.get("question"):
        raise DataError(f"{row['id']} has no question; this form of MMMU can be scored only")
    found = [row.get(name) for name in IMAGES]
    while found and found[-1] is None:
        found.pop()
    return found


def official(item: Item, prediction: Prediction) -> Judgement:
    """The authors' parse of letters, or their matching of open answers."""
    if not item.choices:
        tails = _tails(prediction.response)
        return judged(prediction, " | ".join(tails) or None, _matches(tails, item.golds))
    answer = _chosen(prediction.response, item.choices)
    if answer is not None:
        return judged(prediction, answer, answer in item.golds)
    expected = len(set(item.golds)) / len(item.choices)
    return Judgement(item.id, prediction.response, None, "fallback", correct=None, expected=expected)


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy, over all and by domain and subject."""
    return {
        "overall": share(items, judgements),
        "domain": share_by("domain", items, judgements),
        "subject": share_by("subject", items, judgements),
    }


def _item(row: Row) -> Item:
    subject = row["id"].partition("_")[2].rpartition("_")[0]
    if subject not in _DOMAIN_OF:
        raise DataError(f"id {row['id']!r} names no subject of MMMU; it reads like validation_Accounting_1")
    question, golds = row.get("question") or "", _golds(row["answer"])
    if not isinstance(question, str):
        raise DataError(f"{row['id']}: the question is {question!r:.60}, not text")
    groups = {"subject": subject, "domain": _DOMAIN_OF[subject]}
    # Everything else is open: "open" on the hub, "short-answer" in the authors' files.
    if row["question_type"] != "multiple-choice":
        lettered = bool(golds) and set(golds) <= set(_SEEN)
        kind: Kind = "choice" if lettered else "number" if all(map(measures.read, golds)) else "text"
        return Item(row["id"], _OPEN_PROMPT.format(question=question), kind, golds, groups=groups, text=question)
    choices = _choices(row)
    letters = [letter(index) for index in range(len(choices))]
    if not golds or not set(golds) <= set(letters):
        raise DataError(f"{row['id']}: the answer {row['answer']!r} is none of {', '.join(letters) or 'no options'}")
    lines = "\n".join(f"({name}) {choice}" for name, choice in zip(letters, choices, strict=True))
    prompt = _CHOICE_PROMPT.format(question=question, options=lines)
    return Item(row["id"], prompt, "choice", golds, choices, groups, text=question)


def _choices(row: Row) -> tuple[str, ...]:
    named = row.get("index2ans")
    options = [named[name] for name in sorted(named)] if isinstance(named, Mapping) else _listed(row.get("options"))
    if not isinstance(options, list):
        raise DataError(f"{row['id']}: the options {options!r:.80} are no list, nor text that holds a Python list")
    if len(options) > len(LETTERS):
        raise DataError(f"{row['id']}: {len(options)} options are more than there are letters")
    return tuple(map(str, options))


def _golds(answer: str | list[Any]) -> tuple[str, ...]:
    golds = _listed(answer)
    return tuple(map(str, golds)) if isinstance(golds, list) else (str(golds),)


def _listed(value: Any) -> Any:
    """The list that a text holds; anything else as it is."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) and value.startswith("[") else value
    except (ValueError, SyntaxError):
        return value


def _chosen(response: str, choices: Sequence[str]) -> str | None:
    """The letter that stands last, in brackets, else between spaces, else as an option's text in six words or more."""
    for mark in ",.!?;:'":
        response = response.strip(mark)
    text = f" {response} "
    letters = [letter(index) for index in range(len(choices))]
    texts = [choice.lower() for choice in choices] if len(text.split()) > 5 else []
    return (
        _last([f"({name})" for name in letters], letters, text)
        or _last([f" {name} " for name in letters], letters, text)
        or _last(texts, letters, text.lower())
    )


def _last(marks: Sequence[str], letters: Sequence[str], text: str) -> str | None:
    """The letter whose mark begins last in the text, the first of equals."""
    places = {name: text.rfind(mark) for mark, name in zip(marks, letters, strict=False) if mark in text}
    return max(places, key=places.__getitem__) if places else None


def _tails(response: str) -> list[str]:
    """What follows the cues, the shortest in each line; the whole response without any."""
    text = response.strip().strip(".").lower()
    # The authors split at sentences too, but by a capital letter that is no longer there.
    *lines, last = text.split("\n")
    found = [_tail(line, _CUES) for line in lines] + [_tail(last, (*_CUES, "="))]
    tails = [tail for tail in found if tail and tail not in set(":,.!?;'")]
    return tails or ([text] if text else [])


def _tail(line: str, cues: Iterable[str]) -> str:
    shortest = ""
    for cue in cues:
        tail = line.split(cue)[-1].strip() if cue in line else None
        # An empty tail is replaced by any later one, as the authors do.
        if tail is not None and (not shortest or len(tail) < len(shortest)):
            shortest = tail
    return shortest


def _matches(tails: Sequence[str], golds: Sequence[str]) -> bool:
    """Whether a gold text stands inside a tail, or a gold number equals one in it."""
    accepted = [value for gold in golds for value in _normal(gold)]
    numbers = [number for tail in tails for pattern in _NUMBERS for number in pattern.findall(tail)]
    said = [value for text in [*tails, *numbers] for value in _normal(text)]
    texts = [value for value in accepted if isinstance(value, str)]
    return any(any(text in value for text in texts) if isinstance(value, str) else value in accepted for value in said)


def _normal(text: str) -> list[str | float]:
    """A number rounded to 2 places, or lower case; one character alone must have a space beside it."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]
