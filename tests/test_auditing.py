"""The audit of an iteration: asked and voted as in the loop, held against a world's truth or a user's own answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_loop import ROOT, rows, small

from visplay import auditing
from visplay.labelling import teaches
from visplay.labels.answers import same
from visplay.recipe import Recipe, RecipeError
from visplay.records import silver_answer
from visplay.report.trust import TrustFigures
from visplay.runs import Run, ledger

BASE = "data/base"
STAGES = [(0, "audit_set"), (1, "audit_ask"), (1, "audit_label"), (1, "audit")]
OWN = "tests/benchmarks/local"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


def audited(recipe: Recipe, directory: Path) -> TrustFigures | None:
    with Run.open(directory, recipe) as run:
        return auditing.audit(run, recipe, 1, auditing.ask(run, recipe, 1, BASE), BASE, BASE)


def committed(directory: Path) -> list[tuple[int, str]]:
    return [(line["iteration"], line["stage"]) for line in ledger.read(directory)]


def test_without_a_set_there_is_no_audit(tmp_path: Path) -> None:
    assert audited(small(), tmp_path / "run") is None
    assert committed(tmp_path / "run") == []


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[tuple[Path, TrustFigures]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        found = audited(small("audit.images=8"), folder / "world")
    assert found is not None
    yield folder / "world", found


def test_an_audit_has_stages_of_its_own_and_is_found_again(world: tuple[Path, TrustFigures]) -> None:
    directory, found = world
    assert committed(directory) == STAGES
    assert audited(small("audit.images=8"), directory) == found
    assert committed(directory) == STAGES


def test_every_candidate_is_a_line_with_its_verdict_and_its_judgement(world: tuple[Path, TrustFigures]) -> None:
    directory, found = world
    lines = rows(directory / "iter_01" / "audit" / "audit.jsonl")
    silver = rows(directory / "iter_01" / "audit_label" / "silver.jsonl")
    assert len(lines) == len(silver) == found.candidates == 8
    for line, row in zip(lines, silver, strict=True):
        ballot = row["ballot"] or {"confidence": None, "answer": None}
        assert (line["image_id"], line["dropped"]) == (row["image_id"], row["dropped"])
        assert (line["confidence"], line["answer"]) == (ballot["confidence"], ballot["answer"])
    assert found.kept == sum(line["dropped"] is None for line in lines)
    right = [line["right"] for line in lines if line["dropped"] is None]
    assert found.silver_accuracy is not None and found.silver_accuracy.mean == right.count(True) / len(right)
    noted = json.loads((directory / "iter_01" / "audit" / "summary.json").read_text())
    assert noted["silver_accuracy"] == found.silver_accuracy.mean


def test_figures_are_about_pictures_that_no_trust_was_learned_from(
    world: tuple[Path, TrustFigures], tmp_path: Path
) -> None:
    directory, whole = world
    found = audited(small("audit.images=8", "labels.trust_from=words", "labels.trust_low=0.1"), tmp_path / "run")
    lines = rows(tmp_path / "run" / "iter_01" / "audit" / "audit.jsonl")
    measured = [line for line in lines if not teaches(line["image_id"])]
    assert found is not None and 0 < found.candidates == len(measured) < len(lines) == whole.candidates
    assert found.kept == sum(line["dropped"] is None for line in measured)


def test_a_guard_that_heeds_the_audit_hears_the_half_that_no_figure_is_about(
    world: tuple[Path, TrustFigures], tmp_path: Path
) -> None:
    found = audited(small("audit.images=16", "guard.action=stop", "guard.max_audit_fall=0.2"), tmp_path / "run")
    kept = [line for line in rows(tmp_path / "run" / "iter_01" / "audit" / "audit.jsonl") if line["dropped"] is None]
    halves = {half: [line["right"] for line in kept if teaches(line["image_id"]) is half] for half in (True, False)}
    assert all(halves.values())
    noted = json.loads((tmp_path / "run" / "iter_01" / "audit" / "summary.json").read_text())
    assert noted["heard_accuracy"] == halves[True].count(True) / len(halves[True])
    assert noted["silver_accuracy"] == halves[False].count(True) / len(halves[False])
    assert found is not None and found.kept == len(halves[False])
    assert "heard_accuracy" not in json.loads((world[0] / "iter_01" / "audit" / "summary.json").read_text())


def test_an_audit_that_broke_off_is_made_again_with_the_same_bytes(
    world: tuple[Path, TrustFigures], tmp_path: Path
) -> None:
    directory, found = world
    again = shutil.copytree(directory, tmp_path / "again")
    for stage in ("audit_label", "audit"):
        shutil.rmtree(again / "iter_01" / stage)
    assert audited(small("audit.images=8"), again) == found
    for name in ("audit_label/silver.jsonl", "audit/audit.jsonl", "audit/manifest.json"):
        assert (again / "iter_01" / name).read_bytes() == (directory / "iter_01" / name).read_bytes()


def test_your_own_questions_are_voted_on_and_held_against_your_answers(tmp_path: Path) -> None:
    recipe = small(f"audit.data={OWN}", "labels.own_answer_agrees=true", "labels.band_low=0")
    found = audited(recipe, tmp_path / "run")
    assert found is not None and committed(tmp_path / "run") == [STAGES[0], *STAGES[2:]]
    lines = rows(tmp_path / "run" / "iter_01" / "audit" / "audit.jsonl")
    given = {line["question"]: line["answer"] for line in rows(ROOT / OWN / "questions.jsonl")}
    voted = [silver_answer(row) for row in rows(tmp_path / "run" / "iter_01" / "audit_label" / "silver.jsonl")]
    assert len(lines) == 6 and found.kept > 0 and found.validity is None
    for line, row in zip(lines, voted, strict=True):
        assert row.question is not None and row.ballot is not None
        told = given[row.question.text.split(" (A)")[0]]
        assert line["well_formed"] is line["answerable"] is None
        if row.ballot.answer is not None:
            assert line["right"] == same(row.ballot.answer, str(told), row.question)


def test_own_questions_that_cannot_be_asked_are_refused_by_name(tmp_path: Path) -> None:
    shutil.copy(ROOT / OWN / "000000.png", tmp_path / "cat.png")
    asked = {"id": "cats", "image": "cat.png", "question": "Which?", "answer": "a", "choices": ["a", "b"]}
    path = tmp_path / "questions.jsonl"

    def fingerprints(**changed: Any) -> dict[str, str]:
        path.write_text(json.dumps(asked | changed))
        return auditing.fingerprints(small(f"audit.data={path}"))

    assert fingerprints().keys() == {"audit"}
    assert fingerprints() != fingerprints(answer="b")
    with pytest.raises(RecipeError, match="audit.data: item cats cannot be put as a Questioner would"):
        fingerprints(choices=["a", "b", "c", "d", "e"])
    with pytest.raises(RecipeError, match="audit.data: item cats has 2 pictures; a question of the audit has one"):
        fingerprints(image=["cat.png", "cat.png"])
    with pytest.raises(RecipeError, match="audit.data: .*dog.png' does not exist"):
        fingerprints(image="dog.png")
    assert auditing.fingerprints(small()) == {}


@pytest.mark.parametrize(
    "steers",
    [
        ("labels.trust_from=words", "labels.trust_low=0.5"),
        ("reasoner.keep_step=audit",),
        ("guard.action=rollback", "guard.max_audit_fall=0.2"),
    ],
)
def test_own_pictures_of_one_half_are_refused_where_the_other_half_is_to_measure(
    tmp_path: Path, steers: tuple[str, ...]
) -> None:
    picture = {"id": "one", "image": str(ROOT / OWN / "000000.png"), "question": "How many?", "answer": "2"}
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(picture))
    assert auditing.fingerprints(small(f"audit.data={path}")).keys() == {"audit"}
    with pytest.raises(RecipeError, match="audit.data: .* one half of these 1 is empty; add pictures"):
        auditing.fingerprints(small(f"audit.data={path}", *steers))
    assert auditing.fingerprints(small(f"audit.data={OWN}", *steers)).keys() == {"audit"}
