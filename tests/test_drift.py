"""How far a role has moved: log-probabilities as transformers has them, KL by hand, and the figures of a loop."""

from __future__ import annotations

import json
import shutil
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_loop import small

from visplay.engine import models
from visplay.engine.likelihood import divergence, log_probs
from visplay.engine.prompts import Request
from visplay.engine.sampling import Completion
from visplay.evolve import evolve
from visplay.recipe import PoolSettings

POOL = PoolSettings(min_tokens=4, max_tokens=64)


def picture(seed: int, width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


COMPLETED: list[tuple[Request, Completion]] = [
    (
        (picture(1, 84, 84), "What color is the large thing on the left of the small square?"),
        Completion("red", truncated=False),
    ),
    ((picture(2, 56, 112), "How many?"), Completion("There are three red things and a blue one, so 4", truncated=True)),
    ((picture(3, 56, 56), "How many?"), Completion("", truncated=False)),
]


def test_log_probabilities_are_those_of_the_model_alone_whatever_is_read_beside(base: Path) -> None:
    model, processor = models.load_model(base), models.load_processor(base, 4, 64)
    end = models.end_tokens(model, processor)[0]
    for ((image, text), completion), found in zip(COMPLETED, log_probs(base, POOL, COMPLETED), strict=True):
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        whole = prompt + completion.text + ("" if completion.truncated else processor.tokenizer.decode([end]))
        inputs = processor(text=[whole], images=[image], return_tensors="pt")
        with torch.inference_mode():
            spread = model(**inputs).logits[0].log_softmax(-1)
        ids = inputs["input_ids"][0]
        expected = torch.stack([spread[at - 1, ids[at]] for at in range(len(ids) - len(found), len(ids))])
        assert len(found) == len(processor.tokenizer(completion.text).input_ids) + (not completion.truncated)
        assert torch.allclose(found, expected, atol=1e-4)


def test_a_completion_ends_as_the_model_ends_its_turn_where_other_tokens_end_it_too(base: Path, tmp_path: Path) -> None:
    several = Path(shutil.copytree(base, tmp_path / "several"))
    settings = json.loads((several / "generation_config.json").read_text())
    tokenizer = models.load_processor(base, 4, 64).tokenizer
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    (several / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": ends}))
    for one, other in zip(log_probs(several, POOL, COMPLETED), log_probs(base, POOL, COMPLETED), strict=True):
        assert torch.equal(one, other)


def test_of_a_completion_that_was_cut_off_before_its_first_letter_nothing_is_read(base: Path) -> None:
    nothing = [(COMPLETED[0][0], Completion("", truncated=True))]
    assert [len(found) for found in log_probs(base, POOL, nothing)] == [0]
    beside = log_probs(base, POOL, [*nothing, *COMPLETED])
    assert len(beside[0]) == 0
    for one, other in zip(beside[1:], log_probs(base, POOL, COMPLETED), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_estimate_averages_to_the_divergence() -> None:
    role, other = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    estimates = divergence([role.log()[:1], role.log()[1:]], [other.log()])
    # .5 - 1 - log .5 and 1.5 - 1 - log 1.5
    assert estimates.tolist() == pytest.approx([0.19315, 0.09453], abs=1e-5)
    assert (role * estimates).sum().item() == pytest.approx(0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75))
    assert divergence([role.log()], [role.log()]).tolist() == [0, 0]


def test_a_loop_says_how_far_its_roles_have_moved_since_they_began_and_from_the_base(tmp_path: Path) -> None:
    unmeasured = ("evaluation.world=null", "evaluation.benchmarks=[]", "questioner.train=false")
    evolve(small("evaluation.kl_samples=4", *unmeasured), tmp_path / "run")
    first, second = (
        json.loads((tmp_path / "run" / f"iter_0{k}" / "drift" / "summary.json").read_text()) for k in (1, 2)
    )
    assert "questioner" not in first  # it has not moved
    assert first["reasoner"]["kl_start"] == first["reasoner"]["kl_base"] > 0
    assert 0 < second["reasoner"]["kl_start"] != second["reasoner"]["kl_base"] > 0
    rows = json.loads((tmp_path / "run" / "scores.json").read_text())["rows"]
    assert [row["health"]["reasoner"]["kl_base"] for row in rows[1:]] == [
        first["reasoner"]["kl_base"],
        second["reasoner"]["kl_base"],
    ]
