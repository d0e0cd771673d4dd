r"""MathVerse: Does Your Multi-modal LLM Truly See the Diagrams in Visual Math Problems?

Zhang et al., ECCV 2024. https://github.com/ZrrSkywalker/MathVerse, https://huggingface.co/datasets/AI4Math/MathVerse
testmini: 788 problems in five versions with a picture, 3,940 questions. testmini_text_only has the 788 without any, and
stands outside the overall. One row as it comes, shortened:

    {"sample_index": "1", "problem_index": "1", "problem_version": "Text Dominant", "question_type": "multi-choice",
     "question": "As shown in the figure, in triangle ABC, ... then the size of angle CED is ()\nChoices:\nA:40°\n...",
     "query_wo": "Please directly answer the question and provide the correct option letter, e.g., A, B, C, D.\n...",
     "query_cot": "Please first conduct reasoning, ...", "answer": "D", "image": <picture>,
     "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"}}

`question` is empty where the problem stands in the picture (Vision Only). Newer copies have `question_for_eval`, which
is not; in others, question and options are taken from the problem's other versions. The prompt is `query_wo`, on which
the authors' primary score rests.

The authors let a language model extract the answer and another one compare it: that is the judge protocol. Their one
rule without a judge is --quick_match in evaluation/score_answer_s2.py: the text must equal the gold, character by
character. It fails most right answers, and is "official" here because nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from visplay.evaluation.benchmark import Columns, Row
from visplay.evaluation.data import DataError
from visplay.evaluation.figures import Figures, share, share_by
from visplay.evaluation.items import LETTERS, Item, Judgement, Kind, Prediction, judged, letter
from visplay.evaluation.procedures import extract_and_compare
from visplay.labels import measures
from visplay.labels.answers import plain_text

NAME = "mathverse"
SOURCE = "AI4Math/MathVerse"
SPLIT = "testmini"
SIZES = (3940, 4728)  # without and with the text-only versions
CONFIGS = ("testmini", "testmini_text_only")
COLUMNS: Columns = {
    "sample_index": (str, int),
    "problem_index": (str, int),
    "problem_version": (str,),
    "question": (str, type(None)),
    "answer": (str,),
    "question_type": (str,),
    "metadata": (dict,),
    "query_wo": (str,),
}
IMAGES = ("image",)
PROTOCOLS = ("official", "strict", "judge")
RULE = "exact string match, no judge"
by_judge = extract_and_compare

VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")
TEXT_ONLY = "Text Only"

_CHOICES = re.compile(r"^Choices?:", re.MULTILINE)
_CHOICE = re.compile(r"^([A-H])[.:](.*)$", re.MULTILINE)
_NAMED = re.compile(r"(?P<name>[A-Za-z. ]*)=(?P<value>.*)|(?P<first>.*)= ?[A-Za-z]")  # Area =113.1 cm^{2}; 5=s
_QUANTITY = re.compile(
    r"(?=.*(?:[0-9]|\\pi))(?:[-+*/^(){}.0-9 ]|\\(?:frac|sqrt|pi(?![a-z])))+(?:°|掳|%|[A-Za-z]+ ?(?:\^?\{?[23]\}?)?)?"
)


def items(rows: Sequence[Row]) -> list[Item]:
    """One item per row. A text-only row whose index another version has too is named text_only_<sample_index>."""
    questions = _questions(rows)
    taken = {str(row["sample_index"]) for row in rows if row["problem_version"] != TEXT_ONLY}
    return [_item(row, questions.get(str(row["problem_index"]), ""), taken) for row in rows]


def images(row: Row) -> list[Any]:
    """The picture; nothing for a text-only row."""
    return [row["image"]] if row.get("image") else []


def official(item: Item, prediction: Prediction) -> Judgement:
    """Whether the response, without outer spaces, is the gold as it comes."""
    answer = prediction.response.strip()
    return judged(prediction, answer or None, answer == item.golds[-1])


def figures(items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
    """Micro accuracy over the five versions with a picture, by version, subject and subfield; "text only" apart."""
    pairs = list(zip(items, judgements, strict=True))
    pictured = [pair for pair in pairs if pair[0].groups["version"] != TEXT_ONLY]
    asked, answers = [item for item, _ in pictured], [judgement for _, judgement in pictured]
    versions = share_by("version", items, judgements)
    return {
        "overall": share(asked, answers),
        "version": {version: versions[version] for version in VERSIONS if version in versions},
        "subject": share_by("subject", asked, answers),
        "subfield": share_by("subfield", asked, answers),
        **({"text only": versions[TEXT_ONLY]} if TEXT_ONLY in versions else {}),
    }


def _questions(rows: Iterable[Row]) -> dict[str, str]:
    """The longest wording of each problem, which leaves nothing to the picture."""
    found: dict[str, str] = {}
    for row in rows:
        problem, text = str(row["problem_index"]), _question(row)
        found[problem] = max(found.get(problem, ""), text, key=lambda wording: (len(wording), wording))
    return found


def _question(row: Row) -> str:
    return row.get("question_for_eval") or row["question"] or ""


def _item(row: Row, wording: str, taken: set[str]) -> Item:
    index, version = str(row["sample_index"]), row["problem_version"]
    if version not in (*VERSIONS, TEXT_ONLY):
        raise DataError(f"{index}: problem_version is {version!r}; use one of {', '.join((*VERSIONS, TEXT_ONLY))}")
    question = _question(row) or wording
    choices = _choices(question) if row["question_type"] == "multi-choice" else ()
    kind, golds = _golds(row["answer"], row["question_type"], choices)
    return Item(
        id=f"text_only_{index}" if version == TEXT_ONLY and index in taken else index,
        prompt=row["query_wo"],
        kind=kind,
        golds=golds,
        choices=choices if kind == "choice" else (),
        groups={"version": version, **_fields(index, row["metadata"])},
        cluster=str(row["problem_index"]),
        text=question,
    )


def _fields(index: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    subject, subfield = metadata.get("subject"), metadata.get("subfield")
    if not subject or not subfield:
        raise DataError(f"{index}: metadata names no subject and subfield; it is {dict(metadata)}")
    return {"subject": subject, "subfield": f"{subject}, {subfield}"}


def _choices(question: str) -> tuple[str, ...]:
    """The texts of the options that are listed under "Choices:"; () unless they are A, B, ... in order."""
    listed = _CHOICE.findall(_CHOICES.split(question)[-1]) if _CHOICES.search(question) else []
    in_order = [name for name, _ in listed] == list(LETTERS[: len(listed)])
    return tuple(text.strip() for _, text in listed) if in_order else ()


def _golds(answer: str, question_type: str, choices: Sequence[str]) -> tuple[Kind, tuple[str, ...]]:
    """The kind of the question and what is right: the gold as it comes stands last, a plainer form before it.

    Golds of choice are letters, but also "(B)", an option's text, and two letters in two lines where both are right.
    """
    if question_type != "multi-choice":
        kind, plain = _quantity(answer)
        return kind, tuple(dict.fromkeys((plain, answer)))
    named = LETTERS[: len(choices)] if choices else LETTERS
    bare = letter(choices.index(answer)) if answer in choices else answer.strip(" ()")
    if len(bare) == 1 and bare in named:
        return "choice", tuple(dict.fromkeys((bare, answer)))
    several = answer.split()
    lettered = several and all(len(one) == 1 and one in named for one in several)
    return "choice" if lettered else "text", tuple(dict.fromkeys((" and ".join(several), answer)))


def _quantity(answer: str) -> tuple[Kind, str]:
    """ "number" and the value, without its name, for a single quantity; equations, points and intervals are "text"."""
    named = _NAMED.fullmatch(plain_text(answer))
    value = (named["value"] or named["first"] or "").strip() if named else plain_text(answer)
    if measures.read(value) or _QUANTITY.fullmatch(value):
        return "number", value if named else answer
    of_words = named and len(named["name"] or "") != 1  # "y" is part of an equation, "Center " is not
    return "text", value if of_words else answer
