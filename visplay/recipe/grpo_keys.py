"""Which of TRL's GRPO settings a recipe may set, told without importing TRL.

The names and annotations are read from TRL's source with `ast`, because importing TRL costs torch and many seconds,
and a wrong recipe has to fail before that.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_STEPS = "set questioner.steps and reasoner.steps"
_SIZES = "set questioner.images_per_step and reasoner.questions_per_step; grpo.per_device_train_batch_size may be set"
_ROLLOUTS = "rollouts are drawn by our own sampler; set grpo.temperature, grpo.top_p, grpo.top_k or grpo.min_p"
_PROMPTS = "rollouts read the model's own chat template; set questioner.prompt and reasoner.prompt"
_LOGS = "every step is a row of steps.jsonl, and a bar on a terminal"
_RESUME = "stages are saved and resumed by the run directory"
OWNED: dict[str, str] = {
    "output_dir": "give the run directory as --out",
    "run_name": "give the run directory as --out",
    "seed": "set seed",
    "data_seed": "set seed",
    "max_steps": _STEPS,
    "num_train_epochs": _STEPS,
    "max_completion_length": "set questioner.max_new_tokens and reasoner.max_new_tokens",
    "gradient_accumulation_steps": _SIZES,
    "steps_per_generation": _SIZES,
    "generation_batch_size": _SIZES,
    "auto_find_batch_size": "set a smaller grpo.per_device_train_batch_size",
    "do_eval": "set evaluation.world",
    "eval_strategy": "set evaluation.world",
    "save_strategy": _RESUME,
    "resume_from_checkpoint": _RESUME,
    "ignore_data_skip": _RESUME,
    "remove_unused_columns": "the rewards need every column",
    "shuffle_dataset": "the order of the data is a function of seed, iteration, stage and step",
    "logging_nan_inf_filter": "a NaN step is never hidden",
    "save_only_model": _RESUME,
    "logging_steps": _LOGS,
    "disable_tqdm": _LOGS,
    "ds3_gather_for_generation": "processes write different numbers of completions, each on whole weights",
    "use_cpu": "the GPU is used where there is one; to hide it set CUDA_VISIBLE_DEVICES to nothing",
    "use_vllm": _ROLLOUTS,
    "use_transformers_continuous_batching": _ROLLOUTS,
    "use_transformers_paged": _ROLLOUTS,
    "generation_kwargs": _ROLLOUTS,
    "repetition_penalty": _ROLLOUTS,
    "chat_template_kwargs": _PROMPTS,
    "reward_weights": "each role has one reward; see reasoner.format_weight and questioner.diversity_weight",
    "push_to_hub": "nothing is sent over the network; upload the checkpoint afterwards",
    "trust_remote_code": "no code from a model repository is run; use a model that transformers has a class for",
}

_PLAIN_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "None": (type(None),),
}


def problems(settings: Mapping[str, Any]) -> list[str]:
    """One line for each setting that the project owns, that TRL does not know, or whose value has the wrong type."""
    known = fields()
    found = []
    for name, value in settings.items():
        if name in OWNED:
            found.append(f"grpo.{name}: not set through grpo; {OWNED[name]}")
        elif known and name not in known:
            found.append(f"grpo.{name}: not a setting of TRL; {_hint(name, known)}")
        elif known and not _fits(value, known[name]):
            found.append(f"grpo.{name}: {value!r} is not of type {known[name]}")
    return found


@functools.cache
def fields() -> dict[str, str]:
    """The fields of trl.GRPOConfig with their annotations as text; empty when TRL is not installed."""
    root = _package_root("trl")
    return _fields(root / "trainer" / "grpo_config.py", "GRPOConfig") if root else {}


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if not near:
        return "see the fields of trl.GRPOConfig"
    return OWNED.get(near[0], f"did you mean grpo.{near[0]}?")


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value fits an annotation made of numbers, booleans and None; any other annotation is left to TRL."""
    parts = annotation.split(" | ")
    if not set(parts) <= set(_PLAIN_TYPES):
        return True
    if isinstance(value, bool):
        return "bool" in parts
    return isinstance(value, tuple(kind for part in parts for kind in _PLAIN_TYPES[part]))


def _fields(path: Path, name: str) -> dict[str, str]:
    """The annotated fields of class `name`, which is defined in `path` or imported there, bases first."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and node.name == name:
            found: dict[str, str] = {}
            for base in node.bases:
                found |= _fields(path, base.id) if isinstance(base, ast.Name) else {}
            return found | {
                item.target.id: ast.unparse(item.annotation)
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
        if isinstance(node, ast.ImportFrom) and name in [alias.asname or alias.name for alias in node.names]:
            return _fields(_source(path, node), name)
    return {}


def _source(importer: Path, statement: ast.ImportFrom) -> Path:
    """The file that `from ... import` in `importer` reads, be it relative or of another package."""
    package, *modules = (statement.module or "").split(".")
    if statement.level:
        modules = [package, *modules] if package else modules
        root: Path | None = importer.parents[statement.level - 1]
    else:
        root = _package_root(package)
    if root is None:
        raise ModuleNotFoundError(f"{importer} imports {package}, which is not installed")
    target = root.joinpath(*modules)
    return target / "__init__.py" if target.is_dir() else target.with_suffix(".py")


def _package_root(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # a top-level name: found without running any of its code
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None
