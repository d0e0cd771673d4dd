"""LoRA: small matrices, an adapter, are trained beside the frozen weights of a base. The only importer of peft.

The base is in memory once. A model can hold several adapters by name, of which one, or none, is switched on: the one in
training, a frozen role's, and TRL's copy of the first as it was at the start, which the KL term stays near.

A checkpoint is then a folder with adapter_model.safetensors, adapter_config.json, which names the base, and the
processor's files; transformers opens it like a whole one. Adapters are float32, whatever the base is.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from visplay.errors import VisplayError
from visplay.recipe import LoraSettings

TRAINED = "default"  # the name under which TRL looks for it
FROZEN = "frozen"

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class AdapterError(VisplayError, ValueError):
    """An adapter that does not fit its base, or that cannot be made; the message says what to do."""


def is_adapter(checkpoint: str | Path) -> bool:
    """Whether this is a folder with an adapter, and not a whole model."""
    folder = Path(checkpoint)
    return (folder / _CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(checkpoint: str | Path) -> str | Path:
    """The whole model behind a checkpoint: the one that an adapter names, else the checkpoint itself."""
    if not is_adapter(checkpoint):
        return checkpoint
    found: str = json.loads((Path(checkpoint) / _CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    return found


def refuse_other_base(checkpoint: str | Path, base: str | Path) -> None:
    """Raise AdapterError unless `base` is what is behind the checkpoint."""
    found = base_of(checkpoint)
    if Path(found).resolve() != Path(base).resolve():  # which leaves the ids of a hub as different as they are
        raise AdapterError(f"{checkpoint} is over {found}, not over {base}; both roles need the same base")


def begin(
    model: PreTrainedModel, start: str | Path, settings: LoraSettings, without: torch.nn.Module | None
) -> PeftModel:
    """`model`, the base of checkpoint `start`, with an adapter to train: that of `start`, or a new one without effect.

    No layer inside `without` gets one. A new adapter is drawn from torch's global generator. Raises AdapterError.
    """
    if is_adapter(start):
        return attach(model, start, TRAINED, to_train=True)
    targets = _targets(model, settings, without)
    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets)
    with _known_warnings_hidden():
        made = get_peft_model(model, config)
    # In full, so that the adapter opens from anywhere on this machine.
    config.base_model_name_or_path = str(Path(start).resolve()) if Path(start).is_dir() else str(start)
    return made


def attach(
    model: PreTrainedModel | PeftModel, adapter: str | Path, name: str = TRAINED, to_train: bool = False
) -> PeftModel:
    """`model` with the adapter of a folder, switched on where it is the first. Raises AdapterError where it misfits."""
    config = PeftConfig.from_pretrained(str(adapter))
    config.inference_mode = not to_train
    with _known_warnings_hidden():
        if isinstance(model, PeftModel):
            model.add_adapter(name, config, low_cpu_mem_usage=True)
        else:
            model = PeftModel(model, config, name, low_cpu_mem_usage=True)
    _fill(model, adapter, name, assign=True)
    return model


def restore(model: PeftModel, adapter: str | Path) -> None:
    """Set the adapter in training to the values of a folder."""
    _fill(model, adapter, TRAINED, assign=False)


def save(model: PeftModel, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
    """Write the adapter in training; `weights` are those of the whole model where it does not hold them itself."""
    config = model.peft_config[TRAINED]
    config.target_modules = sorted(config.target_modules)  # a set has no order that would be the same in each run
    model.save_pretrained(str(folder), selected_adapters=[TRAINED], state_dict=weights, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card


def trained_weights(model: PeftModel, weights: Mapping[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
    """The tensors of the adapter in training, by their names in the model."""
    return {name: tensor for name, tensor in (weights or model.state_dict()).items() if f".{TRAINED}." in name}


def cast(model: PeftModel) -> None:
    """Give all adapters the base's type."""
    for name, weights in model.named_parameters():
        if ".lora_" in name:
            weights.data = weights.data.to(model.dtype)


def merge(model: PreTrainedModel, adapter: str | Path) -> PreTrainedModel:
    """`model`, the adapter's base, with the adapter added to its weights."""
    return attach(model, adapter).merge_and_unload()


def _targets(model: PreTrainedModel, settings: LoraSettings, without: torch.nn.Module | None) -> list[str]:
    """Full names of the linear layers that get an adapter: not the head, whose weights TRL reads for itself."""
    barred = {model.get_output_embeddings(), *(without.modules() if without else ())}
    layers = [n for n, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part not in barred]
    names = {name.rpartition(".")[2] for name in layers}
    if unknown := sorted(set(settings.targets) - names):
        raise AdapterError(
            f"lora.targets: {unknown[0]} is no linear layer to train; there are {', '.join(sorted(names))}"
        )
    return [name for name in layers if not settings.targets or name.rpartition(".")[2] in settings.targets]


def _fill(model: PeftModel, adapter: str | Path, name: str, assign: bool) -> None:
    """Give the adapter `name` the values of a folder; with `assign` as new tensors, for one that has none yet."""
    try:
        weights = {key: tensor.float() for key, tensor in load_file(Path(adapter) / _WEIGHTS).items()}
        found = set_peft_model_state_dict(model, weights, name, low_cpu_mem_usage=assign)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise AdapterError(f"{adapter} is no adapter that can be loaded: {error}") from error
    missing = [key for key in found.missing_keys if f".{name}." in key]
    if wrong := [*missing, *found.unexpected_keys]:
        raise AdapterError(
            f"{adapter}: {len(missing)} tensors are missing and {len(found.unexpected_keys)} are of no layer, such as "
            f"{wrong[0]}; it is of another base than {base_of(adapter)}, or was cut short"
        )


def _known_warnings_hidden() -> warnings.catch_warnings:
    """Of what peft asks transformers, which has a new name for it."""
    return warnings.catch_warnings(action="ignore", category=FutureWarning)
