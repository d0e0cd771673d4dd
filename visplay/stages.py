"""The stages of the loop: each reads committed results, does its work, and commits one result directory.

What a stage is made from goes into its `inputs`: the digests of earlier results, never a path outside the run.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from visplay import images, mixing, sifting
from visplay.evaluation.checkpoints import evaluate
from visplay.evaluation.predict import QUESTION, Asking, LocalModel
from visplay.labelling import earlier_audit, silver_rows
from visplay.labels import silver
from visplay.measure import PER_QUESTION, gained, measure
from visplay.pool import WORLD, LoadedPool
from visplay.recipe import Recipe, questioner_images
from visplay.records import SilverAnswer, question, read_jsonl, write_jsonl
from visplay.report import BenchmarkScore, ScoreRow
from visplay.roles import questioner, reasoner
from visplay.runs import Inputs, Run, digest, read_manifest, summarise
from visplay.runs.processes import ALONE
from visplay.staging import Control, kept_rows, read_silver
from visplay.staging import checkpoint as _checkpoint
from visplay.staging import found as _found
from visplay.staging import identity as _identity
from visplay.staging import sampler as _sampler
from visplay.staging import seed as _seed
from visplay.withheld import withhold
from visplay.worlds.audit import audit

logger = logging.getLogger(__name__)


def train_questioner(run: Run, recipe: Recipe, k: int, start: str, against: str, pool: LoadedPool) -> str:
    """The Questioner's next checkpoint, trained against the frozen Reasoner `against`."""
    if not recipe.questioner.train:
        return start
    count = questioner_images(recipe)
    drawn = images.draw(pool.records, recipe.seed, (k - 1) * _images_per_iteration(recipe), count)
    chosen = [pool.by_id[record.id] for record in drawn]

    def work(folder: Path) -> None:
        with _sampler(run, recipe, against, folder, shared=recipe.lora.rank is not None) as frozen:
            questioner.train(_found(run, start), frozen, chosen, recipe, _seed(recipe, k, "questioner"), folder)

    inputs = {"start": _identity(run, start), "against": _identity(run, against), "images": pool.fingerprint}
    run.stage(k, "questioner", work, inputs, resumable=True, apart=True)
    return _checkpoint(k, "questioner")


def ask(run: Run, recipe: Recipe, k: int, asker: str, pool: LoadedPool) -> Path:
    """Candidate questions on fresh images, one JSON line each."""
    first = k * _images_per_iteration(recipe) - recipe.ask.images
    drawn = images.draw(pool.records, recipe.seed, first, recipe.ask.images)
    chosen = [pool.by_id[record.id] for record in drawn]

    def work(folder: Path) -> None:
        with _sampler(run, recipe, asker, folder) as sampler:
            candidates = questioner.ask(sampler, chosen, recipe, _seed(recipe, k, "ask"))
        rows = [
            {"image_id": i, "completion": text, "question": asked and dataclasses.asdict(asked)}
            for i, text, asked in candidates
        ]
        write_jsonl(folder / "questions.jsonl", rows)
        parsed = sum(asked is not None for _, _, asked in candidates)
        summarise(folder, {"images": len(chosen), "candidates": len(candidates), "parsed": parsed})

    return run.stage(k, "ask", work, {"questioner": _identity(run, asker), "images": pool.fingerprint})


def label(
    run: Run, recipe: Recipe, k: int, asked: Path, asker: str, voter: str, pool: LoadedPool, name: str = "label"
) -> Path:
    """The Reasoner's votes on the candidates, and the verdict on each; under another `name` for the audit."""
    audited = earlier_audit(run.directory, recipe, k)

    def work(folder: Path) -> None:
        candidates = [_candidate(row) for row in read_jsonl(asked / "questions.jsonl")]
        seed, names = _seed(recipe, k, name), (asker, voter)
        with _sampler(run, recipe, voter, folder) as sampler:
            judged, cost = silver_rows(sampler, candidates, pool.by_id, recipe, seed, names, audited)
            sifted = sifting.sift(judged, sampler, pool.by_id, recipe, _seed(recipe, k, "blind"), folder)
        rows = silver.settle(sifted, recipe.labels, sifting.memory(earlier))
        write_jsonl(folder / "silver.jsonl", rows)
        summarise(folder, silver.account(rows) | cost | sifting.blindness(rows, folder))

    earlier = sifting.label_stages(run.directory, k) if recipe.labels.repeat_share < 1 else []
    inputs = {"asked": digest(asked), "reasoner": _identity(run, voter)}
    inputs |= {f"kept in {stage.parent.name}": digest(stage) for stage in earlier}
    return run.stage(k, name, work, inputs | ({"audit": digest(audited)} if audited else {}))


def train_reasoner(
    run: Run, recipe: Recipe, k: int, start: str, labelled: Path, pool: LoadedPool, control: Control | None
) -> str:
    """The Reasoner's next checkpoint, trained on the kept rows; `start` itself when nothing was kept."""
    kept = kept_rows(labelled, control, pool.scene_of)
    if not kept:
        logger.warning(
            "iteration %d: no question was kept, so the Reasoner is not trained; widen labels.band_* in a new --out", k
        )
        return start
    aside = withhold(run, recipe, k, kept, pool)
    mixed = mixing.mix(run, recipe, k, labelled, len(aside.left), pool, control)

    def work(folder: Path) -> None:
        chosen = [(pool.by_id[row.image_id], row) for row in aside.left] + mixed.rows
        reasoner.train(_found(run, start), chosen, recipe, _seed(recipe, k, "reasoner"), folder, aside.rows)

    inputs: Inputs = {
        "start": _identity(run, start),
        "silver": digest(labelled),
        "control": control.name if control else None,
        **mixed.inputs,
        **aside.inputs,
    }
    run.stage(k, "reasoner", work, inputs, resumable=True, apart=True)
    return _checkpoint(k, "reasoner")


def score(run: Run, recipe: Recipe, k: int, judged: str, labelled: Path | None, pool: LoadedPool) -> ScoreRow:
    """Held-out accuracy of Reasoner `judged`, and the silver rows it was trained on held against the truth."""
    base = run.directory / "iter_00" / "score" / "score.json"

    def work(folder: Path) -> None:
        row: dict[str, Any] = {}
        if recipe.evaluation.world:
            with _sampler(run, recipe, judged, folder, whole=True) as sampler:
                row = measure(sampler, recipe)
        if k and row:
            row |= gained(row, json.loads(base.read_text(encoding="utf-8")))
        if labelled:
            rows = read_silver(labelled)
            row |= _judge_silver(rows, recipe, pool) | sifting.blindness(rows, labelled) | _cost(labelled)
        (folder / "score.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
        shown = ("greedy", "one_sample", "majority", "silver_accuracy")
        summarise(folder, {name: row[name] for name in shown if row.get(name) is not None})

    inputs = {"reasoner": _identity(run, judged), "silver": digest(labelled) if labelled else None}
    scored = json.loads((run.stage(k, "score", work, inputs) / "score.json").read_text(encoding="utf-8"))
    for name in PER_QUESTION:
        scored.pop(name, None)
    return ScoreRow(
        iteration=k,
        checkpoint=str(_found(run, judged)),
        **(scored | mixing.origin(run, recipe, k) | _audit_cost(run, k)),
    )


def benchmarks(run: Run, recipe: Recipe, k: int, judged: str, row: ScoreRow) -> ScoreRow:
    """The row of Reasoner `judged` with its scores on the recipe's benchmarks; as it was where there are none."""
    settings = recipe.evaluation
    if not settings.benchmarks:
        return row
    base = run.directory / "iter_00" / "benchmarks" if k else None
    prompt = (recipe.reasoner.prompt or reasoner.PROMPT) if settings.prompt == "reasoner" else QUESTION
    tokens = recipe.sampling.batch_tokens
    asking = Asking(settings.max_new_tokens, settings.batch, recipe.pool.max_tokens, prompt, tokens)

    loads = recipe.sampling.engine == "transformers"  # itself, when it is asked
    processes = run.processes if loads else ALONE  # one asks the servers

    def work(folder: Path) -> None:
        with nullcontext() if loads else _sampler(run, recipe, judged, folder, True, processes) as sampler:
            model = LocalModel(str(_found(run, judged)), asking, judged, sampler)
            found = evaluate(model, settings, folder, base, processes)
        rows = [{"name": name, **dataclasses.asdict(scores)} for name, scores in found.items()]
        if processes.rank:
            return
        write_jsonl(folder / "benchmarks.jsonl", rows)
        summarise(folder, {row["name"]: {name: row[name] for name in ("overall", "n", "unparsed")} for row in rows})

    asked = {name: getattr(settings, name) for name in ("data", "protocol", "prompt", "max_new_tokens", "batch")}
    asked |= {"benchmarks": ",".join(settings.benchmarks), "image_tokens": recipe.pool.max_tokens}
    inputs = {"reasoner": _identity(run, judged), "base": digest(base) if base else None, **asked}
    made = run.stage(k, "benchmarks", work, inputs, resumable=True, alone=not loads)
    scores = {found.pop("name"): BenchmarkScore(**found) for found in read_jsonl(made / "benchmarks.jsonl")}
    return dataclasses.replace(row, benchmarks=scores)


def _judge_silver(rows: list[SilverAnswer], recipe: Recipe, pool: LoadedPool) -> dict[str, Any]:
    account = silver.account(rows)
    account.pop("kept_by_type")
    if not recipe.pool.source.startswith(WORLD):
        return account  # nobody knows the true answers on a user's own images
    return account | dataclasses.asdict(audit(rows, pool.scene_of))


def _cost(labelled: Path) -> dict[str, int]:
    """The votes that were drawn in a label stage."""
    summary = json.loads((labelled / "summary.json").read_text(encoding="utf-8"))
    return {name: summary[name] for name in ("votes", "second_votes", "blind_votes") if name in summary}


def _audit_cost(run: Run, k: int) -> dict[str, int]:
    """The votes that the audit of iteration k drew, all passes together; nothing where there was none."""
    labelled = run.directory / f"iter_{k:02d}" / "audit_label"
    return {} if read_manifest(labelled) is None else {"audit_votes": sum(_cost(labelled).values())}


def _candidate(row: Mapping[str, Any]) -> silver.Candidate:
    return row["image_id"], row["completion"], question(row["question"]) if row["question"] else None


def _images_per_iteration(recipe: Recipe) -> int:
    return questioner_images(recipe) + recipe.ask.images
