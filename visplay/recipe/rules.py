"""What must hold for the values of a recipe: ranges, allowed names, and how settings relate to each other.

Works on dotted keys and plain values, so it knows nothing of the schema and can judge a recipe that is half wrong.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visplay.recipe import batches, grpo_keys
from visplay.recipe.limits import BENCHMARK_TOKENS, BENCHMARKS, BLIND_VIEWS, NAMES, ORDERED, PROTOCOLS, RANGES, WORLDS

Values = Mapping[str, Any]


def problems(values: Values, world_size: int) -> list[str]:
    """One line for each rule that the values break; a value that is missing breaks none."""
    checks: tuple[Callable[[Values], list[str]], ...] = (
        _ranges,
        _names,
        _order,
        _bands,
        _trust,
        _pool,
        _lora,
        _engine,
        _prompt,
        _distance,
        _invalid,
        _blind,
        _quota,
        _repeats,
        _audit,
        _shares,
        _benchmarks,
        _guard,
        _deepspeed,
    )
    found = [problem for check in checks for problem in check(values)]
    found += grpo_keys.problems({key[5:]: value for key, value in values.items() if key.startswith("grpo.")})
    return found + batches.problems(values, world_size)


def _ranges(values: Values) -> list[str]:
    found = []
    for key, (low, high) in RANGES.items():
        value = values.get(key)
        limit = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
        largest = sys.float_info.max if high is None else high
        if isinstance(value, (int, float)) and not low <= value <= largest:
            found.append(f"{key}: {value} is out of range; use {limit}")
    return found


def _names(values: Values) -> list[str]:
    return [
        f"{key}: {_shown(values[key])} is not known; use {' or '.join(map(_shown, allowed))}"
        for key, allowed in NAMES.items()
        if key in values and values[key] not in allowed
    ]


def _order(values: Values) -> list[str]:
    found = []
    for small, large, may_be_equal in ORDERED:
        low, high = values.get(small), values.get(large)
        if low is None or high is None or low < high or (may_be_equal and low == high):
            continue
        relation = "at most" if may_be_equal else "below"
        found.append(f"{small}: {low} is not {relation} {large}: {high}; lower the first or raise the second")
    return found


def _bands(values: Values) -> list[str]:
    found = []
    for key, band in values.items():
        if not key.startswith("labels.bands.") or band == []:
            continue
        low, high = band if len(band) == 2 else (1, 0)
        if not 0 <= low < high <= 1:
            found.append(f"{key}: {band} is no band; use [low, high] with 0 <= low < high <= 1, or []")
    return found


def _trust(values: Values) -> list[str]:
    used = values.get("labels.trust_low") or values.get("labels.weight_power")
    if values.get("labels.trust_from") not in ("kinds", "words") or used:
        return []
    return ["labels.trust_from: nothing asks for trust; set labels.trust_low or labels.weight_power, or votes"]


def _pool(values: Values) -> list[str]:
    kind, colon, name = str(values.get("pool.source", "")).partition(":")
    if kind == "world" and colon and name not in WORLDS:
        return [f"pool.source: world:{name} is not known; use {' or '.join('world:' + known for known in WORLDS)}"]
    if kind == "hf" and colon and not name:
        return ["pool.source: hf: names no dataset; use hf:OWNER/NAME"]
    return []


def _lora(values: Values) -> list[str]:
    model = str(values.get("model", ""))
    found = []
    if (Path(model) / "adapter_config.json").is_file() and not (Path(model) / "config.json").is_file():
        found.append(f"model: {model} is an adapter; merge it first: tools/export.py {model} --out DIR")
    if values.get("lora.rank") is not None and values.get("grpo.sync_ref_model"):
        found.append("grpo.sync_ref_model: TRL cannot do this with lora.rank; leave out one of them")
    return found


def _engine(values: Values) -> list[str]:
    """Servers are either named or started, and only by the engine that asks them."""
    keys = ("sampling.servers", "sampling.command", "sampling.gpus")
    servers, command, gpus = map(values.get, keys)
    if values.get("sampling.engine") != "vllm":
        return [f"{key}: only for sampling.engine=vllm; set that too" for key in keys if values.get(key)]
    found = [
        f"sampling.servers: {url} is no URL of a server; write one such as http://localhost:8000/v1"
        for url in servers or []
        if not str(url).startswith(("http://", "https://"))
    ]
    if bool(servers) == bool(command):
        both = "sampling.servers, URLs of running ones, or sampling.command, such as 'vllm serve'"
        found.append(f"sampling.engine: vllm needs servers; set {'only one of' if servers else 'one of'} {both}")
    if gpus and not command:
        found.append("sampling.gpus: only for servers that the run starts; set sampling.command too")
    try:
        shlex.split(command or "")
    except ValueError as error:
        found.append(f"sampling.command: {command} cannot be split into words ({error}); quote it as in a shell")
    return found


def _prompt(values: Values) -> list[str]:
    prompt = values.get("reasoner.prompt")
    if prompt is None or "{question}" in prompt:
        return []
    return [f"reasoner.prompt: {prompt!r} has no place for the question; put {{question}} where it belongs"]


def _distance(values: Values) -> list[str]:
    distance = values.get("questioner.cluster_distance")
    if values.get("questioner.diversity") != "bleu" or distance is None or distance <= 1:
        return []
    return [f"questioner.cluster_distance: {distance} is above 1, the largest 1 - BLEU; use 0 to 1"]


def _invalid(values: Values) -> list[str]:
    weight, invalid = values.get("questioner.diversity_weight"), values.get("questioner.invalid_reward")
    if values.get("questioner.relu", True) or weight is None or invalid is None:
        return []
    least = -weight - (values.get("questioner.blind_weight") or 0)
    if invalid <= least:
        return []
    return [
        f"questioner.invalid_reward: {invalid:g} is more than a valid question may get without relu, {least:g}; use "
        f"{least:g} or less"
    ]


def _blind(values: Values) -> list[str]:
    named = values.get("labels.blind") or []
    known = " or ".join(BLIND_VIEWS)
    found = [f"labels.blind: {name} is no way of not seeing; use {known}" for name in named if name not in BLIND_VIEWS]
    return found or ([f"labels.blind: {', '.join(named)} names one twice"] if len(set(named)) < len(named) else [])


def _quota(values: Values) -> list[str]:
    quota = {key: share for key, share in values.items() if key.startswith("labels.quota.")}
    total = sum(quota.values())
    if not quota or total >= 1 - 1e-9:
        return []
    return [f"labels.quota: the shares are {total:g} in all, so that nothing could be kept; raise them to 1 or more"]


def _repeats(values: Values) -> list[str]:
    if not values.get("labels.repeat_distance") or values.get("labels.repeat_share", 1) < 1:
        return []
    return ["labels.repeat_distance: repeats have no limit; set labels.repeat_share below 1, or 0"]


def _audit(values: Values) -> list[str]:
    images, data = values.get("audit.images"), values.get("audit.data")
    if values.get("reasoner.keep_step") == "audit" and not images and data is None:
        return ["reasoner.keep_step: audit chooses by an audit, and there is none; set audit.images or audit.data"]
    if not images or data is None:
        return []
    return [f"audit.images: {images} and audit.data: {data} are two audits; leave out one of them"]


def _shares(values: Values) -> list[str]:
    """Rows of this iteration are what the others are mixed into."""
    anchors, replayed = values.get("reasoner.anchor_share") or 0, values.get("reasoner.replay_share") or 0
    if max(anchors, replayed) > 0.95 or anchors + replayed <= 0.95:
        return []
    return [
        f"reasoner.anchor_share: {anchors:g} + reasoner.replay_share: {replayed:g} leave no room for silver rows; "
        "use 0.95 or less together"
    ]


def _benchmarks(values: Values) -> list[str]:
    named, protocol = values.get("evaluation.benchmarks") or [], values.get("evaluation.protocol")
    found = [
        f"evaluation.benchmarks: {name} is none that is scored without a judge; use {', '.join(BENCHMARKS)}"
        for name in named
        if name not in BENCHMARKS
    ]
    found += [
        f"evaluation.protocol: {name} has no {protocol} rule; use {' or '.join(BENCHMARKS[name])}"
        for name in named
        if name in BENCHMARKS and protocol in PROTOCOLS and protocol not in BENCHMARKS[name]
    ]
    tokens = values.get("pool.max_tokens")
    if named and isinstance(tokens, int) and tokens < BENCHMARK_TOKENS:
        found.append(f"pool.max_tokens: {tokens} is too small for benchmarks; use {BENCHMARK_TOKENS} or more")
    return found


def _guard(values: Values) -> list[str]:
    """A guard needs a rule to go by."""
    limits = [value for key, value in values.items() if key.startswith(("guard.min_", "guard.max_"))]
    if values.get("guard.action") is not None and limits and not any(limit is not None for limit in limits):
        return [f"guard.action: {values['guard.action']} has no rule to go by; leave one of guard.min_* or max_* on"]
    return []


def _deepspeed(values: Values) -> list[str]:
    """A file of DeepSpeed's is read before anything else is; what stands in it is left to DeepSpeed."""
    named = values.get("grpo.deepspeed")
    if named is None:
        return []
    if isinstance(named, Mapping):
        return []
    try:
        json.loads(Path(str(named)).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"grpo.deepspeed: {named} is no JSON file ({error}); name one such as recipes/deepspeed/zero2.json"]
    return []


def _shown(name: str | None) -> str:
    return "null" if name is None else name
