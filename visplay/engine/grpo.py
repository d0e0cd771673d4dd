"""GRPO: rows, a reward and a checkpoint become the next checkpoint. A thin layer over trl.GRPOTrainer and DeepSpeed.

The loss is TRL's; what this and `trainer` add: rollouts by our own sampler, images opened when they are needed, a
resume that really loads the weights, step checkpoints that are whole or absent, and a stop on NaN. The only importers
of TRL.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import GRPOConfig

from visplay.engine.choosing import Check, Choice
from visplay.engine.journal import UNFINISHED, Journal, NonFiniteError, Row, Score
from visplay.engine.loaded import let_go
from visplay.engine.lora_trainer import LoraTrainer
from visplay.engine.sampling import Sampler, SharedSampler
from visplay.engine.trainer import Reward, Trainer
from visplay.recipe import Recipe, RecipeError, batching
from visplay.runs import STEPS
from visplay.runs.parts import UPDATE, part
from visplay.runs.processes import await_sight

__all__ = ["Check", "NonFiniteError", "Row", "Score", "Trainer", "train"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"

# TRL prints the whole sample; a reward of None is an answer here, counted as `unscored_share`.
logging.getLogger("trl.trainer.grpo_trainer").addFilter(
    lambda record: "All reward functions returned None" not in record.getMessage()
)


def train(
    start: str | Path,
    rows: Sequence[Row],
    reward: Reward,
    recipe: Recipe,
    *,
    role: str,
    steps: int,
    prompts_per_step: int,
    max_new_tokens: int,
    seed: int,
    folder: Path,
    frozen: Sampler | None = None,
    check: Check | None = None,
) -> None:
    """Train the model `start` for `steps` optimizer steps and save it as folder/checkpoint.

    Step s sees rows (s - 1) * prompts_per_step and on, in the order given, from the first again when they run out; each
    is completed `grpo.num_generations` times. `reward` gets all completions of a step at once, a group's next to each
    other, with one row for each completion; its answers must depend on nothing else. `frozen` is the sampler that
    the reward asks, if any: a SharedSampler is lent the model in training. With a `check` the step is saved, from the
    start on, that does best in it, not the last.

    A killed call is gone on with by the same call on the same folder: the result has the same bytes. On another number
    of processes it begins again. All processes make the call. Raises NonFiniteError on a NaN step, ModelError for a
    model and RecipeError for a setting that cannot be used, ValueError for no rows.
    """
    if not rows:
        raise ValueError(f"no rows to train the {role} on")
    if _as_seen_first((folder / CHECKPOINT).exists()):  # killed after its last act
        return
    let_go()
    with _known_warnings_hidden(), _given_back(frozen):
        config = settings(recipe, steps, prompts_per_step, max_new_tokens, seed, folder)
        _start_deepspeed(config)
        _forget_other_layouts(folder / STEPS, config)
        with closing(Journal(folder, role, steps, config.num_generations)) as journal:
            if resumed := _as_seen_first(journal.newest()):
                await_sight(resumed)
            choice = Choice(folder, check, resumed) if check else None
            given = (start, rows, reward, recipe, config, journal, choice)
            trainer = Trainer(*given) if recipe.lora.rank is None else LoraTrainer(*given, frozen=frozen)
            with part(UPDATE):
                trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
            journal.summarise()
        trainer.save(folder / CHECKPOINT)
        del trainer


def _as_seen_first(value: T) -> T:
    """What process 0 sees of the shared folder, for all: others may see it later."""
    box = [value]
    if dist.is_initialized():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def settings(
    recipe: Recipe, steps: int, prompts_per_step: int, max_new_tokens: int, seed: int, folder: Path
) -> GRPOConfig:
    """The recipe's `grpo` over our defaults, under what the project decides itself."""
    cuda = torch.cuda.is_available()
    per_device, accumulation = batching(recipe, prompts_per_step, int(os.environ.get("WORLD_SIZE", "1")))
    wanted = {
        "lr_scheduler_type": "constant",
        "disable_dropout": True,
        "bf16": cuda,
        "gradient_checkpointing": cuda,  # costs time to save memory that a CPU has
        "save_steps": 5,
        "ddp_find_unused_parameters": False,
        "report_to": "none",
        **recipe.grpo,
        "output_dir": str(folder / STEPS / UNFINISHED),
        "max_steps": steps,
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": accumulation,
        "max_completion_length": max_new_tokens,
        "seed": seed,
        "shuffle_dataset": False,
        "use_cpu": not cuda,
        "save_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
    }
    # Completions that are still to be trained on are in no checkpoint: save where none are left.
    passes = wanted.get("num_iterations", 1)
    wanted["save_steps"] = math.ceil(wanted["save_steps"] / passes) * passes
    try:
        with _known_warnings_hidden():
            return GRPOConfig(**wanted)
    except (ValueError, TypeError) as error:
        raise RecipeError([f"grpo: TRL does not take these settings; change what it names ({error})"]) from error


def _start_deepspeed(config: GRPOConfig) -> None:
    """Before a model is loaded, which may then be partitioned; on GPUs it has been done with the configuration."""
    if not config.deepspeed:
        return
    import deepspeed  # an extra, and slow to import

    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed("gloo" if config.use_cpu else "nccl")


def _forget_other_layouts(steps: Path, config: GRPOConfig) -> None:
    """Remove step checkpoints whose parts are of another number of processes or another DeepSpeed configuration."""
    mark = steps / "layout.json"
    layout = json.dumps({"processes": config.world_size, "deepspeed": _contents(config.deepspeed)}, sort_keys=True)
    process = PartialState()
    if process.is_main_process:
        if mark.exists() and mark.read_text(encoding="utf-8") != layout:
            logger.info("steps were saved on other processes or DeepSpeed settings; this stage begins again")
            shutil.rmtree(steps)
        steps.mkdir(exist_ok=True)
        mark.write_text(layout, encoding="utf-8")
    process.wait_for_everyone()


def _contents(configuration: str | dict[str, object] | None) -> object:
    if isinstance(configuration, str):
        return json.loads(Path(configuration).read_text(encoding="utf-8"))
    return configuration


@contextmanager
def _given_back(frozen: Sampler | None) -> Iterator[None]:
    """What training holds is let go: later models are not partitioned, and GPU memory is free for the next stage."""
    try:
        yield
    finally:
        if isinstance(frozen, SharedSampler):
            frozen.give_back()
        unset_hf_deepspeed_config()
        gc.collect()
        torch.cuda.empty_cache()


@contextmanager
def _known_warnings_hidden() -> Iterator[None]:
    """On a CPU DeepSpeed, if it is installed, is also told so for good: it would warn that it found nothing else."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)  # hence TRL's upper bound
        # A frozen vision tower has no gradient, as it should.
        warnings.filterwarnings("ignore", "None of the inputs have requires_grad", UserWarning)
        # TRL's use of it.
        warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing(_\w+)?` is deprecated", FutureWarning)
        yield
