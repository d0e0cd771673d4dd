"""The audit of an iteration: are the silver labels true? On images that training never sees; only for measuring.

    audit_set    once: pictures of the world, or a user's own labelled questions
    audit_ask    the Questioner asks about the world's pictures, after those of the pool: it is loaded then
    audit_label  the Reasoner votes, and rows are kept or dropped, as in the stage `label`
    audit        each candidate is held against what is known: by the world's oracle, or by the given answers

Every iteration has the same pictures, so that iterations compare. Where an audit steers the training, as trust that is
learned from it, it is one half of the pictures, and the figures are about the other half. The stages before the last
know no truth; the last one asks no model. What an audit says of a user's own questions is about the Reasoner's votes
alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from visplay.errors import VisplayError
from visplay.evaluation.benchmarks import named
from visplay.evaluation.data import DataError
from visplay.evaluation.items import Item, Kind, letter
from visplay.evaluation.pictures import Illustrated, read_illustrated
from visplay.evaluation.predictions import fingerprint
from visplay.evaluation.trust import Audited, audited, trust
from visplay.labelling import steered, teaches
from visplay.labels.answers import compare
from visplay.pool import LoadedPool, list_own, load_own, render
from visplay.recipe import Recipe, RecipeError
from visplay.records import Question, QuestionType, SilverAnswer, read_jsonl, write_jsonl
from visplay.report.trust import Rate, TrustFigures
from visplay.roles import questioner
from visplay.runs import Run, digest, summarise
from visplay.stages import label
from visplay.staging import identity, read_silver, sampler, seed
from visplay.worlds.oracle import judged

_LOCAL = named("local")
_TYPES: dict[Kind, QuestionType] = {
    "choice": "multiple_choice",
    "yes_no": "multiple_choice",
    "number": "numerical",
    "text": "short_text",
}


Asked: TypeAlias = tuple[LoadedPool, Path]  # pictures, and the stage with the questions about them


def ask(run: Run, recipe: Recipe, k: int, asker: str) -> Asked | None:
    """The questions of the audit of iteration k; None where the recipe has no audit."""
    own = recipe.audit.data
    if not (own or recipe.audit.images):
        return None
    shown = _shown(run, recipe)
    return shown, run.directory / "iter_00" / "audit_set" if own else _ask(run, recipe, k, asker, shown)


def audit(run: Run, recipe: Recipe, k: int, questions: Asked | None, asker: str, voter: str) -> TrustFigures | None:
    """How far the silver labels of iteration k can be trusted; None without questions."""
    if questions is None:
        return None
    (shown, asked), own = questions, recipe.audit.data
    if own:  # there is no Questioner who meant an answer
        recipe = dataclasses.replace(recipe, labels=dataclasses.replace(recipe.labels, own_answer_agrees=False))
    labelled = label(run, recipe, k, asked, asker, voter, shown, name="audit_label")

    def work(folder: Path) -> None:
        rows = read_silver(labelled)
        if own:
            given = [line["golds"] for line in read_jsonl(asked / "questions.jsonl")]
            found = [_against(row, golds) for row, golds in zip(rows, given, strict=True)]
        else:
            found = [judged(row, shown.scene_of(row.image_id)) for row in rows]
        write_jsonl(folder / "audit.jsonl", found)
        summarise(folder, _summary(trust(_measured(found, recipe))) | _heard(found, recipe))

    made = run.stage(k, "audit", work, {"labelled": digest(labelled), "asked": digest(asked)}, alone=True)
    return trust(_measured([Audited(**row) for row in read_jsonl(made / "audit.jsonl")], recipe))


def fingerprints(recipe: Recipe) -> dict[str, str]:
    """What tells a user's audit set from another under the same name; nothing where there is none.

    Raises RecipeError, naming the row, for questions or pictures that cannot be read or put to the Reasoner.
    """
    if recipe.audit.data is None:
        return {}
    try:
        own = read_illustrated(_LOCAL, recipe.pool, recipe.audit.data)
        for one in own:
            _question(one.item, one.item.id)
            if len(one.cells) != 1:
                raise DataError(f"item {one.item.id} has {len(one.cells)} pictures; a question of the audit has one")
        halves = {teaches(_id(_png(one))) for one in own} if steered(recipe) else {True, False}
        if len(halves) < 2:
            raise DataError(
                f"half of the pictures steer the training, and the figures are about the others, but one half of these "
                f"{len(own)} is empty; add pictures, or let no audit steer (labels.trust_from, reasoner.keep_step, "
                "guard.max_audit_fall)"
            )
    except VisplayError as error:
        raise RecipeError([f"audit.data: {error}"]) from error
    return {"audit": fingerprint((one.item.id, one.item.prompt, one.item.golds, one.digests) for one in own)}


def _shown(run: Run, recipe: Recipe) -> LoadedPool:
    """The images of the audit, made once per run as plain files."""
    settings = recipe.audit

    def work(folder: Path) -> None:
        if settings.data:
            write_jsonl(folder / "questions.jsonl", list(_own_questions(folder, recipe)))
        else:
            render(folder, "audit", range(settings.images))
        list_own(folder, recipe.pool)
        summarise(folder, {"images": len(read_jsonl(folder / "images.jsonl"))})

    made = run.stage(0, "audit_set", work, {"images": settings.images, "data": settings.data}, alone=True)
    return load_own(made, recipe.pool, "audit")


def _ask(run: Run, recipe: Recipe, k: int, asker: str, shown: LoadedPool) -> Path:
    def work(folder: Path) -> None:
        with sampler(run, recipe, asker, folder) as asking:
            candidates = questioner.ask(asking, list(shown.by_id.values()), recipe, seed(recipe, k, "audit_ask"))
        rows = (
            {"image_id": i, "completion": text, "question": asked and dataclasses.asdict(asked)}
            for i, text, asked in candidates
        )
        write_jsonl(folder / "questions.jsonl", rows)
        summarise(folder, {"candidates": len(candidates), "parsed": sum(asked is not None for *_, asked in candidates)})

    return run.stage(k, "audit_ask", work, {"questioner": identity(run, asker), "images": shown.fingerprint})


def _own_questions(folder: Path, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The user's questions as the asking stage leaves them, and their pictures as files in folder/images."""
    (folder / "images").mkdir()
    for number, one in enumerate(read_illustrated(_LOCAL, recipe.pool, recipe.audit.data or "")):
        image_id = _saved(one, folder / "images" / f"{number:06d}.png")
        asked = _question(one.item, image_id)
        row = {"image_id": image_id, "completion": one.item.text, "question": dataclasses.asdict(asked)}
        yield row | {"golds": list(one.item.golds)}


def _saved(one: Illustrated, path: Path) -> str:
    """The id of an item's picture, once it is a file."""
    png = _png(one)
    path.write_bytes(png)
    return _id(png)


def _png(one: Illustrated) -> bytes:
    file = BytesIO()
    one.pictures()[0].save(file, "PNG")
    return file.getvalue()


def _id(png: bytes) -> str:
    return hashlib.sha256(png).hexdigest()


def _question(item: Item, image_id: str) -> Question:
    """The item as the Questioner would have written it."""
    options = "".join(f" ({letter(index)}) {choice}" for index, choice in enumerate(item.choices))
    asked = questioner.question(image_id, _TYPES[item.kind], item.text + options)
    if asked is None or len(asked.choices) != len(item.choices):
        raise DataError(
            f"item {item.id} cannot be put as a Questioner would: {item.text + options!r:.120}; give two to four "
            "options that differ, or none, and write no (A) into a text"
        )
    return asked


def _measured(rows: Sequence[Audited], recipe: Recipe) -> list[Audited]:
    """All rows, but where an audit steers the training those of images that have no say in it."""
    return [row for row in rows if not (steered(recipe) and teaches(row.image_id))]


def _against(row: SilverAnswer, golds: list[str]) -> Audited:
    """A voted row against the given answers, any of which is right."""
    said = row.ballot.answer if row.ballot else None
    if said is None or row.question is None:
        return audited(row, golds[0], None, None, None)
    verdicts = [compare(said, gold, row.question) for gold in golds]
    right = True if True in verdicts else None if None in verdicts else False
    return audited(row, golds[0], None, None, right)


def _heard(rows: Sequence[Audited], recipe: Recipe) -> dict[str, float]:
    """What the guard hears where an audit has a say: the accuracy on the half that no figure is about."""
    heard = trust([row for row in rows if teaches(row.image_id)]).silver_accuracy if steered(recipe) else None
    return {"heard_accuracy": heard.mean} if heard else {}


def _summary(figures: TrustFigures) -> dict[str, float | int]:
    shown = ("validity", "silver_accuracy", "well_posed_accuracy", "ill_posed_share")
    rates: dict[str, Rate | None] = {name: getattr(figures, name) for name in shown}
    counts = {"candidates": figures.candidates, "kept": figures.kept}
    return counts | {name: rate.mean for name, rate in rates.items() if rate}
