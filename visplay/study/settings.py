"""A study file: which recipes, changes and controls are compared, over which seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from visplay.evolve import evolve
from visplay.recipe import Recipe, RecipeError, load_recipe
from visplay.study.controls import CONTROLS


@dataclass(frozen=True)
class Setting:
    """One line of the tables: a recipe, and the control that replaces its silver answers, if any."""

    name: str
    recipe: Recipe
    control: str | None

    def folder(self, out: Path, seed: int) -> Path:
        """Where its run of one seed lies."""
        return out / f"{self.name.replace(' ', '-')}_{seed}"

    def run(self, out: Path, seed: int) -> None:
        """Make the run, or go on with it; one that is done is only read."""
        control = CONTROLS[self.control] if self.control else None
        evolve(replace(self.recipe, seed=seed), self.folder(out, seed), control)


@dataclass(frozen=True)
class Study:
    """Settings that are compared, each over the same seeds."""

    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]

    def only(self, names: Sequence[str] | None, seeds: Sequence[int] | None) -> Study:
        """The settings of these names, in their order, over these seeds; None for all.

        Raises RecipeError for a name that the study lacks.
        """
        named = {setting.name: setting for setting in self.settings}
        names = list(named) if names is None else names
        if unknown := [name for name in names if name not in named]:
            raise RecipeError([f"{name}: no such setting; the study has {', '.join(named)}" for name in unknown])
        return replace(self, settings=tuple(named[name] for name in names), seeds=tuple(seeds or self.seeds))


@dataclass
class _Entry:
    recipe: str | None = None  # the study's, unless it has one of its own
    control: str | None = None
    set: list[str] = field(default_factory=list)


@dataclass
class _File:
    recipe: str | None = None
    set: list[str] = field(default_factory=list)  # for all settings, before their own
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    settings: dict[str, _Entry] = field(default_factory=dict)


def read_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """The study in a YAML file, `overrides` changing all of its recipes; recipes are found from the file's folder.

    Raises RecipeError, all problems at once, for a file or recipe that cannot be used, or whose answers nobody knows.
    """
    file = _read(path)
    settings, problems = [], []
    for name, entry in file.settings.items():
        try:
            changes = [*file.set, *entry.set, *overrides]
            settings.append(_setting(name, entry, entry.recipe or file.recipe, path, changes))
        except RecipeError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    if not file.settings:
        problems.append(f"{path}: settings: none; name at least one")
    if problems:
        raise RecipeError(problems)
    return Study(tuple(settings), tuple(file.seeds))


def _read(path: Path) -> _File:
    try:
        layers: Any = OmegaConf.merge(OmegaConf.structured(_File), OmegaConf.load(path))
        return OmegaConf.to_object(layers)  # type: ignore[return-value]
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException, TypeError) as error:
        raise RecipeError([f"{path}: not a study: {' '.join(str(error).split())}"]) from error


def _setting(name: str, entry: _Entry, recipe: str | None, path: Path, changes: Iterable[str]) -> Setting:
    if recipe is None:
        raise RecipeError(["recipe: missing; name one for the study or for this setting"])
    if entry.control is not None and entry.control not in CONTROLS:
        raise RecipeError([f"control: {entry.control!r} is not one of {', '.join(CONTROLS)}"])
    loaded = load_recipe(path.parent / recipe, changes)
    if problems := list(_unknowable(loaded)):
        raise RecipeError(problems)
    return Setting(name, loaded, entry.control)


def _unknowable(recipe: Recipe) -> Iterable[str]:
    """What keeps a recipe from being compared: images or questions whose answers nobody knows."""
    if not recipe.pool.source.startswith("world:"):
        yield f"pool.source: {recipe.pool.source} has no known answers; a study needs world:scenes"
    if recipe.evaluation.world is None:
        yield "evaluation.world: null measures nothing; a study needs scenes"
