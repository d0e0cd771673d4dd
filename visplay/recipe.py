"""What a run is made of: the typed recipe, its defaults (the paper's values), and how a YAML file becomes one.

Source of the defaults: VisPlay, arXiv 2511.15661, section 3 and appendix; where the paper is silent, the released code.
A recipe file holds only what differs from the defaults. This module is pure: it imports no torch and touches no model.
Which values are allowed stands in `visplay.rules`, which settings of TRL are in `visplay.grpo_keys`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError
from yaml import YAMLError

from visplay import grpo_keys, rules


@dataclass
class PoolSettings:
    """Where the unlabelled images come from, and how large they may be for the model."""

    source: str = MISSING  # a folder, a parquet file or folder, a .jsonl of paths, hf:DATASET_ID, or world:scenes
    split: str = "train"  # split of a hf: dataset
    column: str = "image"  # image column of parquet or dataset; the path key of a .jsonl; no other column is read
    min_tokens: int = 4  # visual tokens per image, lower limit (one token = 28 x 28 pixels)
    max_tokens: int = 1024  # visual tokens per image, upper limit
    max_bad_share: float = 0.05  # stop when more than this share of the files cannot be used
    world_images: int = 4096  # images to render for a world: source


@dataclass
class SamplingSettings:
    """How completions are drawn outside GRPO: asking, voting, evaluation."""

    engine: str = "transformers"
    batch: int = 64  # completions decoded together
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass
class QuestionerSettings:
    """The role that sees an image and writes one question."""

    prompt: str | None = None  # None: the prompt in visplay/roles/questioner.py
    train: bool = True  # false: a frozen Questioner, the base asks in every iteration
    steps: int = 20  # optimizer steps per iteration
    images_per_step: int = 512
    max_new_tokens: int = 1024
    difficulty: str = "paper"  # paper: 1 - |2c - 1|; released: min(c, 1 - c)
    diversity: str = "embedding"  # embedding clusters, or bleu (the paper's)
    diversity_scope: str = "image"  # image: within one image's group; batch: the whole step's questions
    diversity_weight: float = 1.0  # lambda
    relu: bool = True  # max(0, difficulty - penalty); false, as in the released code: without the max
    cluster_distance: float = 0.5  # average-linkage threshold: cosine distance, or 1 - BLEU
    embedder: str = "offline"  # offline, or a sentence-transformers model id
    invalid_reward: float = 0.0  # reward of a question that does not parse (released code: -1)


@dataclass
class AskSettings:
    """The candidate questions of one iteration."""

    images: int = 8000  # fresh images per iteration
    questions_per_image: int = 1


@dataclass
class LabelSettings:
    """Votes and the band of confidences that are kept."""

    votes: int = 10  # m: samples per question, the same in the reward and in the labels
    band_low: float = 0.25
    band_high: float = 0.75
    confidence_over: str = "all"  # all: majority / m, an unparsed sample agrees with nobody; parsed: over parsed votes
    min_parsed: int = 5  # fewer parsed votes than this: dropped, whatever their agreement


@dataclass
class ReasonerSettings:
    """The role that answers; trained on silver answers."""

    prompt: str | None = None  # None: the prompt in visplay/roles/reasoner.py; must contain {question}
    steps: int = 20  # optimizer steps per iteration
    questions_per_step: int = 512
    max_new_tokens: int = 2048
    format_weight: float = 0.1  # share of the reward paid for a parsable answer


@dataclass
class EvaluationSettings:
    """Held-out questions with known answers; only for measuring."""

    world: str | None = None  # scenes, or null: no held-out score
    questions: int = 1200  # greedy accuracy
    sampled_questions: int = 400  # of these, drawn `samples` times for one-sample accuracy and majority
    samples: int = 10


@dataclass
class Recipe:
    """A whole run. `grpo` passes through to trl.GRPOConfig under TRL's own names, for both roles."""

    model: str = MISSING  # a local folder or a hub id of an image-text-to-text model
    iterations: int = 3
    seed: int = 0
    freeze_vision: bool = False  # true: the vision tower keeps the base's weights in both roles
    pool: PoolSettings = field(default_factory=PoolSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    questioner: QuestionerSettings = field(default_factory=QuestionerSettings)
    ask: AskSettings = field(default_factory=AskSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    reasoner: ReasonerSettings = field(default_factory=ReasonerSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    grpo: dict[str, Any] = field(
        default_factory=lambda: {
            "num_generations": 8,
            "learning_rate": 1e-6,
            "epsilon": 0.2,
            "epsilon_high": 0.3,
            "beta": 1e-2,
            "temperature": 1.0,
        }
    )


class RecipeError(ValueError):
    """Everything that is wrong with a recipe: `problems` has one line each, with the value and the way out."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Batching(NamedTuple):
    """How one optimizer step is cut: completions per process at a time, and how many times before the step."""

    per_device: int
    accumulation: int


def load_recipe(path: str | Path, overrides: Iterable[str] = (), world_size: int = 1) -> Recipe:
    """The defaults, overlaid by the YAML file, overlaid by `key=value` overrides with dotted keys.

    Raises RecipeError with all problems at once: unknown keys, wrong types, missing or impossible values, and batches
    that cannot be shared among `world_size` processes.
    """
    config = OmegaConf.structured(Recipe)
    problems = []
    for layer in (_read(Path(path)), *overrides):
        try:
            settings = _parse_override(layer) if isinstance(layer, str) else layer
        except RecipeError as error:
            problems += error.problems
            continue
        for key, value in _flat(settings).items():
            problems += _assign(config, key, value)
    values = _flat(OmegaConf.to_container(config))
    problems += [
        f"{key}: missing; set it in the recipe or as {key}=..." for key in sorted(OmegaConf.missing_keys(config))
    ]
    problems += rules.problems(values) + grpo_keys.problems(dict(config.grpo))
    if problems:
        raise RecipeError(problems)
    recipe = cast(Recipe, OmegaConf.to_object(config))
    _check_batches(recipe, world_size)
    return recipe


def batching(recipe: Recipe, prompts_per_step: int, world_size: int = 1) -> Batching:
    """Cut `prompts_per_step` x num_generations completions into equal parts for `world_size` processes.

    `grpo.per_device_train_batch_size` counts completions; left out, it is the largest divisor of a process's share that
    is not above the group size. Raises RecipeError when the parts are not whole.
    """
    group = recipe.grpo["num_generations"]
    completions = prompts_per_step * group
    total = f"{prompts_per_step} prompts x grpo.num_generations {group} = {completions} completions"
    share, rest = divmod(completions, world_size)
    if rest:
        raise RecipeError([f"{total} cannot be shared among {world_size} processes; use a multiple of {world_size}"])
    divisors = [size for size in range(1, share + 1) if share % size == 0]
    per_device = recipe.grpo.get("per_device_train_batch_size") or max(size for size in divisors if size <= group)
    if per_device not in divisors:
        below = max(size for size in divisors if size < per_device)
        ways = " or ".join(str(size) for size in (below, *[size for size in divisors if size > per_device][:1]))
        cut = f"grpo.per_device_train_batch_size {per_device} x {world_size} processes = {per_device * world_size}"
        raise RecipeError([f"{cut} does not divide {total}; use {ways}"])
    return Batching(per_device, share // per_device)


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, in the order of the schema; `load_recipe` reads it back unchanged."""
    return OmegaConf.to_yaml(OmegaConf.structured(recipe))


def difference(old: Recipe, new: Recipe) -> list[str]:
    """One line `key: old -> new` for every setting that differs; a setting that one side lacks is shown as unset."""
    before, after = (
        {key: json.dumps(value) for key, value in _flat(dataclasses.asdict(recipe)).items()} for recipe in (old, new)
    )
    return [
        f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        beside = ", ".join(sorted(str(found) for found in path.parent.glob("*.yaml"))) or "none"
        raise RecipeError([f"{path}: no such recipe; recipes beside it: {beside}"])
    try:
        settings = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise RecipeError([f"{path}: not readable as YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(settings, dict):
        raise RecipeError([f"{path}: holds a list; a recipe is a mapping of key: value"])
    return cast(dict[str, Any], settings)


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, _ = text.partition("=")
    if not equals or not key:
        raise RecipeError([f"{text}: not an override; write key=value, e.g. {'seed' if not key else key}=1"])
    try:
        return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.from_dotlist([text]), resolve=True))
    except (YAMLError, OmegaConfBaseException) as error:
        raise RecipeError([f"{text}: the value is not readable as YAML: {' '.join(str(error).split())}"]) from error


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys -> values; what stands under a key of `grpo` stays whole."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and prefix != "grpo.":
            leaves.update(_flat(value, f"{key}."))
        else:
            leaves[key] = value
    return leaves


def _annotations(schema: Any = Recipe, prefix: str = "") -> Iterator[tuple[str, str]]:
    for item in dataclasses.fields(schema):
        if dataclasses.is_dataclass(item.default_factory):
            yield from _annotations(item.default_factory, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, str(item.type)


def _assign(config: DictConfig, key: str, value: Any) -> list[str]:
    known = dict(_annotations())
    section = [other for other in known if other.startswith(f"{key}.")]
    if section or key == "grpo":
        return [f"{key}: {value!r} is not a mapping; write {key}.NAME or indent its keys"]
    if key not in known and not key.startswith("grpo."):
        return [f"{key}: unknown key{_suggestion(key, known)}"]
    try:
        OmegaConf.update(config, key, value)
    except ValidationError:
        return [f"{key}: {value!r} is not of type {known[key]}"]
    return []


def _suggestion(key: str, known: Iterable[str]) -> str:
    names = [*known, *(f"grpo.{name}" for name in grpo_keys.annotations())]
    leaf = key.rpartition(".")[2]
    same_leaf = [name for name in names if name.rpartition(".")[2] == leaf]
    near = same_leaf or difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {' or '.join(near)}?" if near else "; see visplay/recipe.py for all keys"


def _check_batches(recipe: Recipe, world_size: int) -> None:
    problems = []
    sizes = {"questioner.images_per_step": recipe.questioner.images_per_step} if recipe.questioner.train else {}
    for key, prompts in {**sizes, "reasoner.questions_per_step": recipe.reasoner.questions_per_step}.items():
        try:
            batching(recipe, prompts, world_size)
        except RecipeError as error:
            problems += [f"{key}: {problem}" for problem in error.problems]
    if problems:
        raise RecipeError(problems)
