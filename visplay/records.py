"""The plain values that flow between stages, and their JSON-lines form.

Every stage reads and writes these and nothing else. They hold no pixels and no tensors: an image is named by its id and
opened through `visplay.images`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

QuestionType = Literal["multiple_choice", "numerical", "short_text"]
QUESTION_TYPES: tuple[QuestionType, ...] = ("multiple_choice", "numerical", "short_text")
UNANSWERABLE = "unanswerable"  # the answer that says: this cannot be answered from the image

ABSENT_WHEN_NONE = {"absent": "when None"}  # of a field: it is written only where it has a value


@dataclass(frozen=True)
class ImageRecord:
    """One readable image of the pool.

    `id` is the SHA-256 of the encoded bytes (hex), so the same file found twice is one image. `source` is a file path
    or a dataset locator; `row` is the row inside it, None for a file that is the image itself. `width` and `height`
    are pixels as stored, after EXIF rotation.
    """

    id: str
    source: str
    row: int | None
    width: int
    height: int


@dataclass(frozen=True)
class Question:
    """One question about one image, as the Questioner wrote it.

    `choices` are the texts of options A, B, ... in order; empty for a yes/no question and for the other types.
    `own_answer` is what the Questioner believes; it is logged and never becomes a label.
    """

    id: str
    image_id: str
    type: QuestionType
    text: str
    choices: tuple[str, ...] = ()
    own_answer: str | None = None


@dataclass(frozen=True)
class Ballot:
    """The votes on one question: `votes[i]` is what sample i answered, None where nothing could be parsed.

    `answer` is the majority answer (None if no vote was parsed), `confidence` its share in [0, 1] (None likewise), and
    `tied` is true when another answer had as many votes.
    """

    votes: tuple[str | None, ...]
    answer: str | None
    confidence: float | None
    tied: bool
    parsed: int


@dataclass(frozen=True)
class SilverAnswer:
    """A candidate question with its silver answer and the verdict on it.

    `dropped` is None for a row that is kept for training, else the reason. `question` is None only where the
    Questioner's completion did not parse; `completion` then holds what it wrote. `questioner` and `reasoner` name the
    checkpoints that asked and voted. `ballot` holds the votes of both passes where there were two. `trust` is the
    probability that the silver answer is true, where the recipe asks for it.
    """

    image_id: str
    question: Question | None
    ballot: Ballot | None
    dropped: str | None
    questioner: str
    reasoner: str
    completion: str | None = None
    trust: float | None = field(default=None, metadata=ABSENT_WHEN_NONE)


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write dataclass instances or plain mappings, one JSON object a line; returns the number of rows."""
    count = 0
    # A file name that is not UTF-8 holds lone surrogates; this writes them as \udcXX, which is JSON's own escape.
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        for row in rows:
            value = _plain(row) if dataclasses.is_dataclass(row) and not isinstance(row, type) else row
            file.write(json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n")
            count += 1
    return count


def _plain(row: Any) -> dict[str, Any]:
    absent = [part.name for part in dataclasses.fields(row) if "absent" in part.metadata]
    return {name: v for name, v in dataclasses.asdict(row).items() if v is not None or name not in absent}


def writable(text: str) -> str:
    """The text as it can be written to a file: half of a surrogate pair, which JSON may hold, becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line, in file order; blank lines are skipped."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def image_record(row: dict[str, Any]) -> ImageRecord:
    """Rebuild an ImageRecord from its JSON object."""
    return ImageRecord(**row)


def question(row: dict[str, Any]) -> Question:
    """Rebuild a Question from its JSON object."""
    return Question(**{**row, "choices": tuple(row["choices"])})


def silver_answer(row: dict[str, Any]) -> SilverAnswer:
    """Rebuild a SilverAnswer, with its question and ballot, from its JSON object."""
    ballot = row["ballot"]
    return SilverAnswer(
        **{
            **row,
            "question": question(row["question"]) if row["question"] else None,
            "ballot": Ballot(**{**ballot, "votes": tuple(ballot["votes"])}) if ballot else None,
        }
    )
