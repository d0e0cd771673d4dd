"""The raw settings that a recipe is laid from: a YAML file, then `key=value` overrides, as dotted keys and values.

Knows YAML and nothing of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from visplay.errors import VisplayError


class RecipeError(VisplayError, ValueError):
    """Everything that is wrong with a recipe: `problems` has one line each, with the value and the way out."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def read(path: Path, overrides: Iterable[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The settings of the file and of the overrides, in this order, and one line for each that cannot be read."""
    settings: list[tuple[str, Any]] = []
    sources: tuple[Path | str, ...] = (path, *overrides)
    problems: list[str] = []
    for layer in sources:
        try:
            tree = _file(layer) if isinstance(layer, Path) else _override(layer)
        except RecipeError as error:
            problems += error.problems
        else:
            settings += flat(tree).items()
    return settings, problems


def flat(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys -> values; what stands under a key of `grpo` stays whole."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and prefix != "grpo.":
            leaves.update(flat(value, f"{key}."))
        else:
            leaves[key] = value
    return leaves


def _file(path: Path) -> Mapping[Any, Any]:
    if not path.is_file():
        beside = ", ".join(sorted(str(found) for found in path.parent.glob("*.yaml"))) or "none"
        raise RecipeError([f"{path}: no such recipe; recipes in this folder: {beside}"])
    return _mapping(str(path), lambda: OmegaConf.load(path))


def _override(text: str) -> Mapping[Any, Any]:
    key, equals, _ = text.partition("=")
    if not equals or not key:
        raise RecipeError([f"{text}: not an override; write KEY=VALUE, such as iterations=2"])
    return _mapping(text, lambda: OmegaConf.from_dotlist([text]))


def _mapping(name: str, load: Callable[[], DictConfig | ListConfig]) -> Mapping[Any, Any]:
    try:
        tree = OmegaConf.to_container(load(), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError) as error:
        raise RecipeError([f"{name}: cannot be read as YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(tree, dict):
        raise RecipeError([f"{name}: not a mapping; write one KEY: VALUE a line"])
    return tree
