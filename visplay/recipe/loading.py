"""How a YAML file and overrides become a recipe, and a recipe YAML again; how two recipes differ."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ValidationError

from visplay.recipe import grpo_keys, layers, rules
from visplay.recipe.layers import RecipeError
from visplay.recipe.schema import Recipe


def load_recipe(path: str | Path, overrides: Iterable[str] = (), world_size: int = 1) -> Recipe:
    """The defaults, overlaid by the YAML file, overlaid by `key=value` overrides with dotted keys.

    Raises RecipeError with all problems at once: unknown keys, wrong types, missing or impossible values, and batches
    that cannot be shared among `world_size` processes.
    """
    config = OmegaConf.structured(Recipe)
    settings, problems = layers.read(Path(path), overrides)
    for key, value in settings:
        problems += _assign(config, key, value)
    problems += [
        f"{key}: missing; set it in the recipe or as {key}=..." for key in sorted(OmegaConf.missing_keys(config))
    ]
    problems += rules.problems(layers.flat(cast(dict[str, Any], OmegaConf.to_container(config))), world_size)
    if problems:
        raise RecipeError(problems)
    return cast(Recipe, OmegaConf.to_object(config))


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, in the order of the schema; `load_recipe` reads it back unchanged."""
    return OmegaConf.to_yaml(OmegaConf.structured(recipe))


def difference(old: Recipe, new: Recipe) -> list[str]:
    """One line `key: old -> new` for every setting that differs; a setting that one side lacks is shown as unset."""
    before, after = (
        {key: json.dumps(value) for key, value in layers.flat(dataclasses.asdict(recipe)).items()}
        for recipe in (old, new)
    )
    return [
        f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _annotations(schema: Any = Recipe, prefix: str = "") -> Iterator[tuple[str, str]]:
    for item in dataclasses.fields(schema):
        if dataclasses.is_dataclass(item.default_factory):
            yield from _annotations(item.default_factory, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, str(item.type)


def _assign(config: DictConfig, key: str, value: Any) -> list[str]:
    known = dict(_annotations())
    section = [other for other in known if other.startswith(f"{key}.")]
    if section and value is None:  # as if it were not there
        OmegaConf.update(config, key, OmegaConf.select(OmegaConf.structured(Recipe), key))
        return []
    if section or key == "grpo":
        return [f"{key}: {value!r} is not a mapping; write {key}.NAME or indent its keys"]
    if key not in known and not key.startswith("grpo."):
        return [f"{key}: unknown key{_suggestion(key, known)}"]
    try:
        OmegaConf.update(config, key, value)
    except ValidationError:
        return [f"{key}: {value!r} is not of type {known[key]}"]
    return []


def _closest(key: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(key, names, n=1, cutoff=0.8)


def _suggestion(key: str, known: Iterable[str]) -> str:
    leaf = key.rpartition(".")[2]
    if leaf in grpo_keys.OWNED:
        return f"; {grpo_keys.OWNED[leaf]}"
    names = [*known, *(f"grpo.{name}" for name in grpo_keys.fields() if name not in grpo_keys.OWNED)]
    leaves = {name: name.rpartition(".")[2] for name in names}
    elsewhere = [name for name in names if leaves[name] == leaf]
    near_leaves = difflib.get_close_matches(leaf, leaves.values(), n=1)
    alike = [name for name in names if leaves[name] in near_leaves]
    near = _closest(key, elsewhere) or elsewhere or _closest(key, names) or alike
    return f"; did you mean {' or '.join(near)}?" if near else "; all keys stand in visplay/recipe/schema.py"
