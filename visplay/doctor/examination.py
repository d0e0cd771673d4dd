"""The examination from its beginning to its end: what is found is given at once, so that a hang shows where it is."""

from __future__ import annotations

import dataclasses
import os
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visplay.doctor import installation, machine, probing, wanted
from visplay.doctor.findings import Finding, error, has_error
from visplay.doctor.probing import ROOT, Heard
from visplay.doctor.together import judge_folder, judge_meeting
from visplay.recipe import Recipe, RecipeError, load_recipe


@dataclass(frozen=True)
class Asked:
    """What is to be examined. `deadline_s` is for each of the two probes, the machine's and the meeting."""

    out: Path
    recipe: Path | None = None
    overrides: Sequence[str] = ()
    deadline_s: float = 180.0


@dataclass(frozen=True)
class Place:
    """This process among those of its launcher; `launched` is false where there is none."""

    launched: bool
    rank: int
    local_rank: int
    count: int
    local_count: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Place:
        count = environment.get("WORLD_SIZE", "1")
        local = environment.get("LOCAL_WORLD_SIZE", environment.get("LOCAL_SIZE", count))  # torchrun's, DeepSpeed's
        rank, local_rank = (int(environment.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
        return cls("RANK" in environment, rank, local_rank, int(count), int(local))


def examine(asked: Asked) -> Iterator[Finding]:
    """All findings in process 0; in the others only why they could not meet it, for it tells the rest.

    The first process of every node examines its machine, then all meet.
    """
    place = Place.read(os.environ)
    folder = _existing(asked.out)
    name = f".visplay-doctor-{socket.gethostname()}-{uuid.uuid4().hex}"
    found: list[Finding] = []
    refused, gpus = False, 0
    if place.local_rank == 0:
        local = _Local(asked, place, folder, name)
        for finding in local.examine():
            found.append(finding)
            if place.rank == 0:
                yield finding
        refused, gpus = local.refused, local.gpus
    if place.launched:
        told = [dataclasses.asdict(finding) for finding in found] if place.rank else None
        heard = probing.meet_launched(folder, name, told, asked.deadline_s)
    else:
        heard = probing.meet_here(folder, name, gpus or 2, asked.deadline_s)
    met = judge_meeting(heard, refused)
    yield from met if place.rank == 0 else (finding for finding in met if _is_of_the_meeting(finding, heard))


class _Local:
    """One machine; `refused` and `gpus` are known after `examine`."""

    def __init__(self, asked: Asked, place: Place, folder: Path, name: str) -> None:
        self._asked, self._place, self._folder, self._name = asked, place, folder, name
        self.refused, self.gpus = False, 0

    def examine(self) -> Iterator[Finding]:
        processes = self._place.local_count
        yield installation.examine_python()
        yield from installation.examine_packages(ROOT)
        yield machine.examine_threads(os.environ, machine.usable_cores(), processes)
        yield from machine.examine_limits()
        yield wanted.examine_hub(os.environ)
        recipe, problems = self._recipe()
        yield from problems
        yield from wanted.examine_recipe(recipe) if recipe else [wanted.examine_deepspeed(None)]
        heard = probing.look(self._folder, self._name, self._asked.deadline_s)
        yield from self._judge(heard, recipe)

    def _recipe(self) -> tuple[Recipe | None, list[Finding]]:
        if self._asked.recipe is None:
            return None, []
        try:
            return load_recipe(self._asked.recipe, self._asked.overrides, self._place.count), []
        except RecipeError as wrong:
            return None, [error("recipe", problem, "put it right") for problem in wrong.problems]

    def _judge(self, heard: Heard, recipe: Recipe | None) -> Iterator[Finding]:
        facts = heard.facts
        if "folder" in facts:
            folder = judge_folder(facts["folder"], str(self._folder), kept_bytes(recipe) if recipe else 0)
            self.refused = bool(facts["folder"]["refused"])
            yield from folder
        if "torch" in facts:
            yield from machine.examine_torch(facts["torch"])
        if "gpus" in facts:
            self.gpus = len(facts["gpus"]["found"])
            yield from machine.examine_gpus(facts["torch"], facts["gpus"], os.environ.get("CUDA_VISIBLE_DEVICES"))
            if self.gpus:
                yield machine.examine_toolkit(facts["torch"], recipe is not None and wanted.offloads(recipe))
        if heard.failed:
            what = "GPUs" if "torch" in facts else "torch" if "folder" in facts else "folder"
            way_out = {
                "GPUs": "see whether nvidia-smi answers; a GPU that hangs needs the machine's operator",
                "torch": f"install it again: {installation.INSTALL}",
                "folder": f"choose another --out: {self._folder} cannot be used",
            }
            yield error(what, f"could not be looked at: {heard.failed}", way_out[what])


def kept_bytes(recipe: Recipe) -> int:
    """What a run keeps on disk at least: a checkpoint of each trained role in each iteration, as large as the base."""
    folder = wanted.find_model(recipe.model)
    roles = 1 + recipe.questioner.train
    return recipe.iterations * roles * wanted.weights_size(folder) if folder else 0


def _existing(out: Path) -> Path:
    """The folder, or the one above it in which it would be made: the doctor leaves nothing behind."""
    folder = out.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _is_of_the_meeting(finding: Finding, heard: Heard) -> bool:
    return bool(heard.failed) and has_error([finding])
