"""What of a recipe cannot fit on a GPU, and which settings make it fit, found by trying them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from visplay.plan.costs import costs
from visplay.plan.gpus import USABLE, Gpu
from visplay.plan.memory import Memory
from visplay.plan.shapes import Shape
from visplay.recipe import Recipe, RecipeError

GIB = 2**30
_OFFLOAD = {"device": "cpu"}
_DEEPSPEED: dict[str, dict[str, Any]] = {
    "zero2": {"stage": 2},
    "zero3": {"stage": 3},
    "zero3_offload": {"stage": 3, "offload_optimizer": _OFFLOAD, "offload_param": _OFFLOAD},
}
# How far each may be turned down; what costs quality comes last.
_LEAST = {
    "pool.max_tokens": 256,
    "questioner.max_new_tokens": 256,
    "reasoner.max_new_tokens": 512,
}


@dataclass(frozen=True)
class Setting:
    """One thing to turn: a recipe key, or --world-size, and what to turn it to; `shown` is how a user writes it."""

    key: str
    value: Any
    shown: str


def misfits(recipe: Recipe, shape: Shape, gpu: Gpu, processes: int = 1, items: int | None = None) -> list[str]:
    """One line for each stage that needs more than the GPU has, with what to turn."""
    found = []
    for cost in costs(recipe, shape, processes, items):
        if cost.memory.total > gpu.usable:
            out = _ways_out(recipe, shape, gpu, processes, cost.stage.name)
            found.append(f"{cost.stage.name}: {_needed(cost.moment, cost.memory, gpu, processes)}; {out}")
    return found


def _needed(moment: str, memory: Memory, gpu: Gpu, processes: int) -> str:
    parts = sorted(memory.parts.items(), key=lambda part: -part[1])[:3]
    largest = ", ".join(f"{name.replace('_', ' ')} {size / GIB:.1f}" for name, size in parts)
    on = f"each of {processes} GPUs" if processes > 1 else "one GPU"
    room = f"{gpu.name} has room for {USABLE * gpu.memory_gib:.1f} of its {gpu.memory_gib:g}"
    return f"{memory.total / GIB:.1f} GiB on {on} ({moment}: {largest}), and {room}"


def _ways_out(recipe: Recipe, shape: Shape, gpu: Gpu, processes: int, stage: str) -> str:
    """Each setting that is enough alone; else several together; else how small it can be made."""
    families = [list(family) for family in _families(recipe, processes)]
    needs = lambda chosen: _needs(recipe, shape, processes, stage, chosen)  # noqa: E731
    enough = [next((one for one in family if needs([one]) <= gpu.usable), None) for family in families]
    if alone := [one.shown for one in enough if one]:
        return f"use {' or '.join(alone[:3])}"
    together: list[Setting] = []
    for family in families * 2:  # a setting may matter only when another one has been turned
        if family and family[-1] not in together and needs([*together, family[-1]]) < needs(together):
            together.append(family[-1])
    if (least := needs(together)) > gpu.usable:
        return f"it is {least / GIB:.1f} with {_list(together)}: take a larger GPU or a smaller model"
    for strongest in reversed(together):  # as few as possible, and each no further than it must be
        rest = [one for one in together if one is not strongest]
        family = next(family for family in families if strongest in family)
        candidates = [rest, *(rest + [one] for one in family)]
        together = next(chosen for chosen in candidates if needs(chosen) <= gpu.usable)
    return f"use {_list(together)}"


def _families(recipe: Recipe, processes: int) -> Iterator[Iterator[Setting]]:
    """What may be turned, each from its mildest value to its strongest; first what changes nothing but the speed."""
    grpo = recipe.grpo
    yield (
        Setting("grpo.deepspeed", {"zero_optimization": zero}, f"grpo.deepspeed=recipes/deepspeed/{name}.json")
        for name, zero in _DEEPSPEED.items()
    )
    device = grpo.get("per_device_train_batch_size") or grpo["num_generations"]
    yield _halved("grpo.per_device_train_batch_size", device, 1)
    yield _halved("sampling.batch_tokens", recipe.sampling.batch_tokens, 1024)
    if recipe.lora.rank is None:
        yield iter([Setting("lora.rank", 32, "lora.rank=32")])
    yield (Setting("processes", n, f"--world-size {n}") for n in (2, 4, 8, 16, 32, 64) if n > processes)
    if recipe.sampling.engine != "vllm":
        yield iter([Setting("sampling.engine", "vllm", "sampling.engine=vllm on other GPUs")])
    yield iter([Setting("grpo.beta", 0.0, "grpo.beta=0")] if grpo.get("beta") else [])
    for key, least in _LEAST.items():
        section, _, name = key.partition(".")
        yield _halved(key, getattr(getattr(recipe, section), name), least)


def _halved(key: str, value: int, least: int) -> Iterator[Setting]:
    while (value := value // 2) >= least:
        yield Setting(key, value, f"{key}={value}")


def _needs(recipe: Recipe, shape: Shape, processes: int, stage: str, chosen: list[Setting]) -> float:
    """Bytes that a stage needs with some settings turned; infinite where they make no recipe."""
    turned = copy.deepcopy(recipe)
    for setting in chosen:
        if setting.key == "processes":
            processes = setting.value
        else:
            _set(turned, setting.key, setting.value)
    try:
        found = costs(turned, shape, processes)
    except RecipeError:
        return float("inf")
    return next(cost.memory.total for cost in found if cost.stage.name == stage)


def _set(recipe: Recipe, key: str, value: Any) -> None:
    section, _, name = key.partition(".")
    if section == "grpo":
        recipe.grpo[name] = value
    else:
        setattr(getattr(recipe, section), name, value)


def _list(settings: list[Setting]) -> str:
    *first, last = [setting.shown for setting in settings]
    return f"{', '.join(first)} and {last}" if first else last
