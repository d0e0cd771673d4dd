"""The pool of a run: its images listed once, by two stages of iteration 0; a world's are rendered first."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from visplay import images
from visplay.recipe import PoolSettings, Recipe
from visplay.records import ImageRecord, image_record, read_jsonl, write_jsonl
from visplay.runs import Run, summarise
from visplay.worlds import scenes

WORLD = "world:"  # how a recipe names a world as its source


@dataclass(frozen=True)
class LoadedPool:
    """The usable images of a run, and the settings to open them with."""

    records: tuple[ImageRecord, ...]
    settings: PoolSettings
    fingerprint: str
    split: scenes.Split = "pool"  # where they are a world's

    def scene_of(self, image_id: str) -> scenes.Scene:
        """The scene behind an image of a rendered world. For measuring only."""
        return scenes.scene_of(self.by_id[image_id].record.source, self.split)

    @cached_property
    def by_id(self) -> dict[str, images.PoolImage]:
        """Image id -> the image, still closed."""
        return {record.id: images.PoolImage(record, self.settings) for record in self.records}


def load(run: Run, recipe: Recipe) -> LoadedPool:
    """List the images once per run; a world is first rendered to plain files, as a user's folder would be."""
    settings = recipe.pool
    if settings.source.startswith(WORLD):
        rendered = run.stage(
            0, "images", lambda folder: _render_world(folder, settings), _world_inputs(settings), alone=True
        )
        settings = dataclasses.replace(settings, source=str(rendered / "images"))
    inputs = {"source": recipe.pool.source}
    listed = run.stage(0, "pool", lambda folder: _list_pool(folder, settings), inputs, alone=True)
    records = tuple(image_record(row) for row in read_jsonl(listed / "pool.jsonl"))
    if settings.source != recipe.pool.source:  # rendered images move with the run directory
        records = tuple(dataclasses.replace(r, source=str(Path(settings.source, Path(r.source).name))) for r in records)
    fingerprint = images.fingerprint(records)
    run.fingerprint("images", fingerprint)
    return LoadedPool(records, settings, fingerprint)


def render(folder: Path, split: scenes.Split, indices: range) -> None:
    """Draw some scenes of a split into folder/images: pixels and running numbers, no answers."""
    (folder / "images").mkdir()
    for index in tqdm(indices, desc="render", unit="image", disable=None):
        scenes.write_image(folder / "images", split, index)


def list_own(folder: Path, settings: PoolSettings) -> None:
    """List folder/images, which a stage has made itself, for `load_own`."""
    found = images.index_pool(dataclasses.replace(settings, source=str(folder / "images")))
    write_jsonl(folder / "images.jsonl", (dataclasses.replace(r, source=Path(r.source).name) for r in found.records))


def load_own(made: Path, settings: PoolSettings, split: scenes.Split) -> LoadedPool:
    """The images that `list_own` has listed in a committed stage; they move with the run directory."""
    settings = dataclasses.replace(settings, source=str(made / "images"))
    listed = (image_record(row) for row in read_jsonl(made / "images.jsonl"))
    records = tuple(dataclasses.replace(r, source=str(made / "images" / r.source)) for r in listed)
    return LoadedPool(records, settings, images.fingerprint(records), split)


def _render_world(folder: Path, settings: PoolSettings) -> None:
    render(folder, "pool", range(settings.world_images))
    summarise(folder, {"images": settings.world_images})


def _world_inputs(settings: PoolSettings) -> dict[str, str | int]:
    return {"world": settings.source.removeprefix(WORLD), "images": settings.world_images}


def _list_pool(folder: Path, settings: PoolSettings) -> None:
    with tqdm(desc="images", unit="image", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = images.index_pool(settings, show)
    write_jsonl(folder / "pool.jsonl", found.records)
    write_jsonl(folder / "quarantined.jsonl", found.quarantined)
    summarise(folder, {"usable": len(found.records), "quarantined": images.count_reasons(found.quarantined)})
