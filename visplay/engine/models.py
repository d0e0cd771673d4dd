"""Load and save vision-language models and their processors in Hugging Face format. No training and no sampling.

What is saved is read back before it counts as saved: other tools must be able to open every checkpoint. Code from a
model repository is never run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils.logging import disable_progress_bar

from visplay.engine import lora
from visplay.errors import VisplayError
from visplay.images import TOKEN_SIDE
from visplay.runs.parts import LOAD, part

disable_progress_bar()  # of a bar per file that is read or written; ours are per stage

_BANNED = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_token_id")

_LOG = "training.json"

Shapes = dict[str, tuple[int, ...]]


class ModelError(VisplayError, ValueError):
    """A model or processor that cannot be used as it is; the message says what to do."""


def device() -> torch.device:
    """The current CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def own_device() -> torch.device:
    """`device()`, but a GPU for each of the processes on a machine, which LOCAL_RANK tells apart."""
    if not torch.cuda.is_available():
        return device()
    # Where a launcher shows each process its own GPU only, that one is the first.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def identity(path: str | Path) -> str:
    """What tells one model from another under the same name: a hash of a folder's files, or a hub id's commit.

    Every file counts, by name and content, since a chat template or tokenizer makes another model too; but not hidden
    ones, nor the log of how the weights came about. An adapter is also another one over another base.

    Raises ModelError when there is no such model, before any of its weights is read into memory.
    """
    base = lora.base_of(path)
    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        named = "" if base == path else f", the base that {path}/adapter_config.json names"
        raise ModelError(
            f"no model at {base}{named}, neither as a folder nor in the local hub cache; fetch it with "
            f"`hf download {base}`, or set HF_HUB_OFFLINE=0 to let this command fetch it "
            f"({str(error).splitlines()[0]})"
        ) from error
    folder = Path(path)
    if not folder.is_dir():
        return str(config._commit_hash)
    digest = hashlib.sha256(b"" if base == path else identity(base).encode())
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    for name in names:
        if name != _LOG and not any(part.startswith(".") for part in name.split("/")):
            with open(folder / name, "rb") as content:
                digest.update(f"{name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


@part(LOAD)
def load_model(
    path: str | Path, where: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """The model in a local folder or under a hub id, in evaluation mode; with an adapter, its base and that.

    `where` None is `device()`; `dtype` None is bfloat16 on CUDA and float32 on the CPU, where bfloat16 is slower.
    """
    target = torch.device(where) if where is not None else device()
    if dtype is None:
        dtype = torch.float32 if target.type == "cpu" else torch.bfloat16
    base = lora.base_of(path)
    try:
        model, found = AutoModelForImageTextToText.from_pretrained(base, dtype=dtype, output_loading_info=True)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{base} is not an image-text-to-text model that can be loaded: {error}") from error
    _refuse_gaps(base, found)
    if base != path:
        model = lora.attach(model, path).get_base_model()
    return model.to(target).eval()


def load_processor(path: str | Path, min_tokens: int, max_tokens: int) -> ProcessorMixin:
    """The processor, padding on the left, with its image limits set in visual tokens."""
    try:
        processor = AutoProcessor.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} has no processor that can be loaded: {error}") from error
    images = processor.image_processor
    side = images.patch_size * images.merge_size
    if side != TOKEN_SIDE:
        raise ModelError(f"{path}: one visual token covers {side} x {side} pixels; images are cut for {TOKEN_SIDE}")
    images.size = {"shortest_edge": min_tokens * side**2, "longest_edge": max_tokens * side**2}
    processor.tokenizer.padding_side = "left"
    return processor


def freeze_vision(model: PreTrainedModel) -> None:
    """Take the vision tower out of training."""
    vision_tower(model).requires_grad_(False)


def spare_graph(model: torch.nn.Module) -> None:
    """Where nothing of the vision tower is trained, have it read without a graph, which checkpointing would ask for."""
    tower = model.get_encoder("image")  # of a model without one it is the model
    if not any(weights.requires_grad for weights in tower.parameters()):
        tower.forward = torch.no_grad()(tower.forward)


def vision_tower(model: PreTrainedModel) -> torch.nn.Module:
    """What reads pictures, with its projection to the text model."""
    tower = model.get_encoder("image")
    if tower is model or tower is model.base_model:
        raise ModelError(f"{type(model).__name__} has no vision tower that can be told apart; set freeze_vision: false")
    return tower


def banned_tokens(model: PreTrainedModel) -> list[int]:
    """Ids that must not occur in a completion: they stand for image features, and there are none to put in."""
    return _banned(model.config)


def end_tokens(model: PreTrainedModel, processor: ProcessorMixin) -> list[int]:
    """Ids that end a completion: the tokenizer's, and those that the model's generation settings add."""
    return _ends(model.generation_config, processor)


def stored_tokens(path: str | Path, processor: ProcessorMixin) -> tuple[list[int], list[int]]:
    """The banned and the end tokens of a model that is not loaded."""
    path = lora.base_of(path)
    config = AutoConfig.from_pretrained(path)
    try:
        settings = GenerationConfig.from_pretrained(path)
    except OSError:  # there need be none; a loaded model then makes its own from its configuration
        settings = GenerationConfig.from_model_config(config)
    return _banned(config), _ends(settings, processor)


def outline(path: str | Path) -> PreTrainedModel:
    """A model without the values of its weights, on the meta device: to save those that are held elsewhere."""
    return AutoModelForImageTextToText.from_pretrained(path, device_map="meta")


def save(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    folder: Path,
    like: str | Path | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a checkpoint and check that it opens: with the Auto classes, and with the tensor names of `like`.

    `like` is the model that training started from; its names are compared where it is a local folder. `weights` are
    given for a model that is an `outline`. Raises ModelError, also for weights that are not finite.
    """
    _refuse_non_finite(dict(model.named_parameters()) if weights is None else weights)
    model.save_pretrained(folder, state_dict=weights)
    processor.save_pretrained(folder)
    check(folder, like)


def save_adapter(
    model: lora.PeftModel, processor: ProcessorMixin, folder: Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write the adapter in training as a checkpoint, and check that it opens; else as `save`."""
    _refuse_non_finite(lora.trained_weights(model, weights))
    lora.save(model, folder, weights)
    processor.save_pretrained(folder)
    check(folder)


def check(folder: Path, like: str | Path | None = None) -> None:
    """Raise ModelError if the checkpoint does not open, lacks tensors, or has others than `like` has."""
    AutoProcessor.from_pretrained(folder)
    empty, found = AutoModelForImageTextToText.from_pretrained(folder, device_map="meta", output_loading_info=True)
    _refuse_gaps(folder, found)
    if like is not None and Path(like).is_dir():
        ours, theirs = tensor_shapes(folder), tensor_shapes(Path(like))
        copies = set(empty._tied_weights_keys or ())  # a file may hold a tied tensor once or twice
        if differing := sorted(n for n in (ours | theirs).keys() - copies if ours.get(n) != theirs.get(n)):
            raise ModelError(
                f"{folder}: {len(differing)} of {len(theirs)} tensors differ in name or shape from {like}, "
                f"such as {differing[0]}; the installed transformers writes another layout than the one that wrote it"
            )


def tensor_shapes(folder: Path) -> Shapes:
    """Name -> shape of every tensor in the folder's safetensors files; reads their headers only."""
    shapes: Shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    return shapes


def _banned(config: PretrainedConfig) -> list[int]:
    found = (getattr(config, name, None) for name in _BANNED)
    return sorted({token for token in found if token is not None})


def _ends(settings: GenerationConfig, processor: ProcessorMixin) -> list[int]:
    more = settings.eos_token_id
    ids = more if isinstance(more, list) else [more]
    return sorted({processor.tokenizer.eos_token_id, *ids} - {None})


def _refuse_non_finite(weights: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{name} holds NaN or infinity, so nothing was saved; lower the learning rate")


def _refuse_gaps(path: str | Path, found: dict[str, Any]) -> None:
    """Transformers only warns when it leaves weights at their random start."""
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := sorted(map(str, found[problem])):
            raise ModelError(
                f"{path}: {len(names)} {problem.replace('_', ' ')}, such as {names[0]}; the files are not those of "
                f"this model class, or were cut short: fetch or save the model again"
            )
