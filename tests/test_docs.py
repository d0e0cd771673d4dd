"""What the documents say holds: commands, keys, defaults and links."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from visplay.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[1]
RECIPES = sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("recipes/ablations/*.yaml")])
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*.md")])


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def schema(settings: Any = Recipe, prefix: str = "") -> dict[str, Any]:
    """Dotted keys of the recipe and their defaults; a required key is "required"."""
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if dataclasses.is_dataclass(value):
            keys |= schema(value, f"{prefix}{field.name}.")
        elif isinstance(value, dict):
            keys |= {f"{prefix}{field.name}.{key}": item for key, item in value.items()}
        else:
            keys[prefix + field.name] = "required" if value == "???" else value
    return keys


def test_every_key_of_a_recipe_is_explained_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `?([^`|]+?)`? \| \S", (ROOT / "docs/recipes.md").read_text(), re.MULTILINE)
    # YAML reads 1e-06 as text, so defaults are compared as they are written.
    assert {key: yaml.safe_load(text) if text != "1e-06" else 1e-6 for key, text in rows} == schema()


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_every_recipe_loads(path: Path) -> None:
    assert isinstance(load_recipe(path), Recipe)


def test_the_promised_recipes_are_shipped() -> None:
    shipped = {path.name for path in RECIPES}
    assert {"tiny.yaml", "smoke.yaml", "qwen2_5_vl_3b.yaml", "qwen2_5_vl_7b.yaml"} <= shipped


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_make_target_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^ +|`)make ([a-z]+)", path.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_file_named_exists(path: Path) -> None:
    text = path.read_text()
    links = {path.parent / target for target in re.findall(r"\]\(([^)#:]+)\)", text)}
    plain = {
        ROOT / word for word in re.findall(r"(?<![\w/.])(?:visplay|tools|recipes|docs|data|tests)/[\w./-]*\w", text)
    }
    assert [str(target) for target in sorted(links | plain) if not target.exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_keeps_within_the_line_length(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_the_two_commands_stand_on_top_of_the_readme() -> None:
    first_code = re.findall(r"^ {4}(make \w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert first_code[:2] == ["make demo", "make test"]
