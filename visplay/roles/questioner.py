"""The Questioner: sees one image and writes one question with its type and its own answer."""

from __future__ import annotations

import hashlib
import re

from visplay.records import QUESTION_TYPES, Question

PROMPT = """Look at the image and write one question about it that is hard to answer but has a single correct answer \
that can be checked from the image alone. Do not ask about anything that the image does not show.

Choose one type:
- multiple_choice: either a yes/no question, or a question followed by its options as (A) ... (B) ... (C) ... (D) ...
- numerical: the answer is one number
- short_text: the answer is one word or a short phrase

Write exactly this and nothing else:
<type>the type</type><question>the question, with its options if it has any</question><answer>your answer</answer>"""

_SHAPE = re.compile(r"<type>(.*?)</type>\s*<question>(.*?)</question>\s*<answer>(.*?)</answer>", re.DOTALL)
_TAGS = re.compile(r"</?(?:type|question|answer)>")
_OPTION = re.compile(r"\(([A-D])\)")


def parse(completion: str, image_id: str) -> Question | None:
    """The question in a completion, or None when it has not exactly the shape that the prompt asks for."""
    shape = _SHAPE.search(completion)
    if shape is None or len(_TAGS.findall(completion)) != 6:  # else a part would swallow a stray tag
        return None
    kind, text, own_answer = (" ".join(part.split()) for part in shape.groups())
    return question(image_id, kind, text, own_answer or None)


def question(image_id: str, kind: str, text: str, own_answer: str | None = None) -> Question | None:
    """A well-shaped Question with its options read from its text, else None.

    A multiple-choice question has no options (yes/no) or two to four, lettered from A without a gap; no other type has
    any. Text that spells a control token of the chat, such as <|image_pad|>, is refused: in the Reasoner's prompt it
    would be one.
    """
    letters = _OPTION.findall(text)
    choices = tuple(part.strip(" ,;") for part in _OPTION.split(text)[2::2])
    well_lettered = letters == list("ABCD"[: len(letters)]) and len(letters) != 1
    distinct = all(choices) and len(set(choices)) == len(choices)
    asks = _OPTION.split(text)[0].strip() and "<|" not in text
    if kind not in QUESTION_TYPES or not asks or not well_lettered or not distinct:
        return None
    if letters and kind != "multiple_choice":
        return None
    digest = hashlib.sha256(f"{image_id}\0{kind}\0{text}".encode()).hexdigest()[:16]
    return Question(digest, image_id, kind, text, choices, own_answer)
