"""The sampler's parts: what is written together, what is read once, and that neither changes what is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel, ProcessorMixin
from transformers.cache_utils import DynamicLayer

from visplay.engine import models
from visplay.engine.batches import Piece, Size, batches, in_order
from visplay.engine.cache import RoomyLayer
from visplay.engine.decoding import generate
from visplay.engine.drawing import Drawing, luck
from visplay.engine.pixels import Pixels, room_of
from visplay.engine.prefixes import divide
from visplay.engine.prompts import Prompt, Request, encode, prompts
from visplay.engine.sampling import LocalSampler
from visplay.recipe import PoolSettings, SamplingSettings

MARK = 7
QUESTIONS = ("How many?", "What color is the large thing on the left of the small square?", "Is there a red thing?")


def picture(seed: int, width: int = 84, height: int = 84) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


SHOWN = [picture(0), picture(1, 56, 112), picture(2)]
REQUESTS: list[Request] = [(shown, text) for text in QUESTIONS for shown in SHOWN] + [
    (None, "How many?"),
    (None, "What is it?"),
    (SHOWN[:2], "Is <image 2> like <image 1>?"),
    (SHOWN[:2], "Are <image 1> and <image 2> alike?"),
]


@dataclass
class Engine:
    """A model in float64, so that rounding cannot hide an error, and what it is asked with."""

    model: PreTrainedModel
    processor: ProcessorMixin
    patches: list[int] = field(default_factory=list)  # that the vision tower saw, at each call

    def drawing(self, **changes: object) -> Drawing:
        ends, banned = models.end_tokens(self.model, self.processor), models.banned_tokens(self.model)
        return replace(Drawing(12, 1.0, ends, banned), **changes)  # type: ignore[arg-type]

    def write(self, requests: Sequence[Request], drawing: Drawing, copies: int = 1, seed: str = "") -> list[list[int]]:
        pixels = Pixels(self.processor.image_processor)
        asked = prompts(self.processor, requests, pixels)
        seeds = [[f"{seed}/{text}/{copy}" for copy in range(copies)] for _, text in requests]
        found = generate(self.model, self.processor, asked, seeds, drawing, pixels)
        return [ids for each in found for ids in each]


@pytest.fixture(scope="module")
def engine(base: Path) -> Engine:
    made = Engine(models.load_model(base, "cpu", torch.float64), models.load_processor(base, 4, 64))
    tower = models.vision_tower(made.model)
    tower.register_forward_pre_hook(lambda _, given: made.patches.append(len(given[0])))
    return made


def test_greedy_completions_are_those_of_the_stock_way_token_by_token(engine: Engine) -> None:
    written = engine.write(REQUESTS, engine.drawing(temperature=None))
    for request, ids in zip(REQUESTS, written, strict=True):
        inputs = encode(engine.processor, [request])
        inputs.pop("mm_token_type_ids") if request[0] is None else None
        stock = engine.model.generate(
            **inputs, do_sample=False, max_new_tokens=12, suppress_tokens=models.banned_tokens(engine.model)
        )
        assert stock[0, inputs["input_ids"].shape[1] :].tolist() == ids
    assert len(set(map(tuple, written))) > len(REQUESTS) / 2


class Noting(Drawing):
    """Notes the log-probabilities that it draws from, and what it draws."""

    def draw(self, logits: torch.Tensor, luck: torch.Tensor, first: bool) -> torch.Tensor:
        drawn = super().draw(logits, luck, first)
        self.banned.noted.append((logits.log_softmax(-1), drawn))  # type: ignore[attr-defined]
        return drawn


class Notebook(list[int]):
    """Banned ids, and a place to write."""

    noted: list[tuple[torch.Tensor, torch.Tensor]]


def test_what_is_drawn_is_as_likely_as_in_a_reading_of_the_whole(engine: Engine) -> None:
    notebook = Notebook(models.banned_tokens(engine.model))
    notebook.noted = []
    drawing = Noting(8, 1.0, ends=[-1], banned=notebook)  # none ends, so that rows keep their place
    written = engine.write(REQUESTS, drawing, copies=2)
    found = torch.stack([spread.gather(-1, ids[:, None])[:, 0] for spread, ids in notebook.noted], dim=-1)
    for row, ids in enumerate(written):
        inputs = encode(engine.processor, [REQUESTS[row // 2]])
        more = torch.tensor([ids])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], -1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(more)], -1)
        if "pixel_values" not in inputs:
            inputs.pop("mm_token_type_ids")
            inputs["position_ids"] = torch.arange(inputs["input_ids"].shape[1])[None]
        with torch.no_grad():
            whole = engine.model(**inputs, logits_to_keep=9).logits[0, :-1].log_softmax(-1)
        assert torch.allclose(found[row], whole.gather(-1, more[0][:, None])[:, 0], atol=1e-5, rtol=0)


def test_a_completion_depends_on_its_seed_and_not_on_its_neighbours(engine: Engine) -> None:
    drawing = engine.drawing()
    together = engine.write(REQUESTS, drawing, copies=3)
    alone = [ids for request in REQUESTS for ids in engine.write([request], drawing, copies=3)]
    assert together == alone
    assert engine.write(REQUESTS[::-1], drawing)[::-1] == together[::3]
    assert engine.write(REQUESTS, drawing, copies=3, seed="another") != together


def test_the_vision_tower_sees_each_picture_once(engine: Engine) -> None:
    engine.patches.clear()
    engine.write(REQUESTS[:9], engine.drawing(), copies=4)
    assert engine.patches == [36 + 32 + 36]  # for nine questions with four completions each


def operations(way: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        way()
    return int(counter.get_total_flops())


def test_a_prompt_is_paid_for_once_whatever_the_number_of_its_completions(engine: Engine) -> None:
    one, first = REQUESTS[:1], engine.drawing(max_new_tokens=1)
    ours = operations(lambda: engine.write(one, first, copies=8))
    assert ours == operations(lambda: engine.write(one, first))
    copies = encode(engine.processor, [*one] * 8)
    stock = operations(lambda: engine.model.generate(**copies, max_new_tokens=1))
    assert stock / ours > 0.85 * 8


def test_a_picture_is_paid_for_once_whatever_the_number_of_its_questions(engine: Engine) -> None:
    large = picture(9, 448, 448)  # 256 tokens
    first = engine.drawing(max_new_tokens=1)
    apart = operations(lambda: [engine.write([(large, text)], first) for text in QUESTIONS])
    together = operations(lambda: engine.write([(large, text) for text in QUESTIONS], first))
    assert apart / together > 0.75 * len(QUESTIONS)  # of each its own words are read


def prompt(ids: str, *shown: Image.Image) -> Prompt:
    return Prompt(list(map(int, ids)), shown)


def test_prompts_are_divided_where_they_differ_and_a_picture_is_not() -> None:
    one, other = SHOWN[0], SHOWN[2]
    asked = [prompt("1772345", one), prompt("177236", one), prompt("177299", other)]
    split = divide(asked, MARK)
    assert split is not None
    assert [start.ids for start in split.starts] == [[1, 7, 7, 2, 3], [1, 7, 7, 2, 9]]
    assert (split.of, split.rests) == ([0, 0, 1], [[4, 5], [6], [9]])
    assert [start.pictures for start in split.starts] == [(one,), (other,)]
    # the same text twice leaves each a last token to read
    twice = divide([prompt("17723", one), prompt("17723", one)], MARK)
    assert twice is not None and (twice.starts[0].ids, twice.rests) == ([1, 7, 7, 2], [[3], [3]])


def test_prompts_are_left_whole_where_that_takes_no_more_tokens() -> None:
    one, other = SHOWN[0], SHOWN[2]
    assert divide([prompt("17723", one), prompt("17723", other)], MARK) is None
    assert divide([prompt("2177345", one), prompt("3177345", one)], MARK) is None  # differ before the picture
    assert divide([prompt("12"), prompt("34")], MARK) is None


def sizes(*given: tuple[int, int, str]) -> list[Size]:
    return [Size(image, text, tuple(map(ord, shown))) for image, text, shown in given]


def test_similar_lengths_and_the_same_pictures_stand_together() -> None:
    asked = sizes((9, 5, "a"), (4, 8, "b"), (9, 2, "c"), (9, 3, "a"), (9, 4, "d"), (0, 50, ""))
    assert in_order(asked) == [5, 1, 2, 4, 3, 0]


def limits(tokens: int, batch: int = 100) -> SamplingSettings:
    return SamplingSettings(batch_tokens=tokens, batch=batch)


def test_batches_hold_as_many_completions_as_fit() -> None:
    asked = sizes((10, 0, "a"), (10, 5, "b"), (10, 15, "c"))
    # 2 copies each, 5 new tokens: of 15, 20 and 30 tokens each
    found = list(batches(asked, [2, 2, 2], 5, limits(80)))
    assert found == [[Piece(0, 0, 2), Piece(1, 0, 2)], [Piece(2, 0, 2)]]  # 4 x 20; 2 x 30
    assert list(batches(asked, [2, 2, 2], 5, limits(180))) == [[Piece(0, 0, 2), Piece(1, 0, 2), Piece(2, 0, 2)]]
    assert [len(batch) for batch in batches(asked, [2, 2, 2], 5, limits(180, batch=4))] == [2, 1]


def test_more_copies_than_fit_are_cut_and_one_completion_always_fits() -> None:
    asked = sizes((10, 0, "a"))
    assert list(batches(asked, [5], 5, limits(30))) == [[Piece(0, 0, 2)], [Piece(0, 2, 4)], [Piece(0, 4, 5)]]
    assert list(batches(asked, [2], 5, limits(1))) == [[Piece(0, 0, 1)], [Piece(0, 1, 2)]]
    assert list(batches([], [], 5, limits(1))) == []


def test_how_much_is_decoded_together_and_by_how_many_threads_changes_nothing(base: Path) -> None:
    pool = PoolSettings(min_tokens=4, max_tokens=64)
    several = replace(limits(1000, batch=12), threads=4)
    wide, narrow, busy = (LocalSampler(base, pool, one) for one in (limits(10_000), limits(100, batch=2), several))
    expected = wide.sample(REQUESTS, 3, 6, seed=1)
    assert narrow.sample(REQUESTS, 3, 6, seed=1) == expected
    for _ in range(5):
        assert busy.sample(REQUESTS, 3, 6, seed=1) == expected


def test_an_error_in_a_thread_is_raised(base: Path) -> None:
    sampler = LocalSampler(base, PoolSettings(min_tokens=4, max_tokens=64), replace(limits(1000, batch=4), threads=2))
    with pytest.raises(ValueError, match="holds the mark of an image 1 times"):
        sampler.sample([*REQUESTS, (None, "What is <|image_pad|>?")], 1, 4, seed=0)


def test_whatever_breaks_off_leaves_no_thread_at_work(base: Path) -> None:
    sampler = LocalSampler(base, PoolSettings(min_tokens=4, max_tokens=64), replace(limits(10_000, batch=4), threads=2))

    def interrupted(place: int, completions: object) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    started = [0]
    handle = sampler.model.lm_head.register_forward_hook(lambda *_: started.append(1))
    with pytest.raises(KeyboardInterrupt):
        sampler.sample(REQUESTS * 10, 1, 64, seed=0, drawn=interrupted)
    handle.remove()
    assert threading.active_count() == before
    assert len(started) < 64 * 5  # of the batches that were begun, and not of all 65


def test_scores_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(models.ModelError, match="NaN or infinity"):
        Drawing(1, 1.0, ends=[9], banned=[]).draw(torch.tensor([[0.0, torch.nan]]), torch.tensor([0.5]), first=True)


def test_luck_is_spread_evenly_and_belongs_to_its_seed() -> None:
    drawn = luck(["a", "b", "a"], 10_000)
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    assert drawn.min() >= 0 and drawn.max() < 1
    assert torch.histc(drawn[0], bins=10, min=0, max=1).sub(1000).abs().max() < 150  # five standard deviations
    assert torch.equal(luck(["a"], 3)[0], drawn[0][:3])


@pytest.mark.parametrize(("number", "drawn"), [(0.0, 1), (0.24, 1), (0.26, 2), (0.74, 2), (0.76, 4), (1 - 2**-24, 4)])
def test_luck_says_which_token(number: float, drawn: int) -> None:
    logits = torch.tensor([[0.9, 0.25, 0.5, 0.9, 0.25, 0.9]]).log()
    drawing = Drawing(1, 1.0, ends=[9], banned=[0, 3, 5])
    assert drawing.draw(logits, torch.tensor([number]), first=True).tolist() == [drawn]


def test_a_cache_with_room_holds_what_transformers_own_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, stock = RoomyLayer(), DynamicLayer()
    for step, length in enumerate((40, 1, 30, 1, 7, 1)):  # beyond the room, within it, and beyond again
        rows = stock.keys.shape[0] if step else 3
        states = torch.rand(2, rows, 2, length, 4, generator=generator)
        for mine, theirs in zip(ours.update(*states), stock.update(*states), strict=True):
            assert torch.equal(mine, theirs)
        chosen = torch.randint(0, rows, (rows + 1,), generator=generator)
        ours.batch_select_indices(chosen)
        stock.batch_select_indices(chosen)
        assert ours.get_seq_length() == stock.get_seq_length()


class Counted:
    """An image processor that counts."""

    merge_size = 2

    def __init__(self) -> None:
        self.calls = 0

    def get_number_of_image_patches(self, height: int, width: int) -> int:
        return height * width // 14**2

    def __call__(self, images: Sequence[Image.Image], return_tensors: str) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"pixel_values": torch.zeros(4, 100), "image_grid_thw": torch.tensor([[1, 2, 2]])}  # 1,600 bytes


def test_pictures_are_cut_into_patches_once_while_there_is_room() -> None:
    processor = Counted()
    pixels = Pixels(processor, room=3300)  # two pictures
    a, b, c = picture(0), picture(0), picture(0)
    assert pixels.of([a, b, a])["pixel_values"].shape == (12, 100) and processor.calls == 2
    assert pixels.tokens([a, c]) == [9, 9] and processor.calls == 2
    pixels.of([a, c, a])  # b has to go, which was met before a
    assert processor.calls == 3
    pixels.of([b])
    assert processor.calls == 4
    assert pixels.of([]) == {}


def test_the_pictures_of_a_large_step_fit_into_an_eighth_of_the_memory() -> None:
    gib, step = 2**30, 512 * 1024 * 4 * 1176 * 4  # pictures, visual tokens, patches, values, bytes
    assert 9 * gib < step < room_of(memory=128 * gib, processes=1) == 16 * gib
    assert step < 8 * room_of(memory=2048 * gib, processes=8) == 16 * gib
    assert room_of(memory=64 * gib, processes=2) == 4 * gib
    assert room_of(memory=4 * gib, processes=1) == gib


def test_pictures_have_the_room_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = Counted()
    shown = [picture(0) for _ in range(5)]
    monkeypatch.setattr("visplay.engine.pixels._GIB", 1600)  # one picture
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # each has room for four of the sixteen at most
    pixels = Pixels(processor)
    pixels.of([*shown[:4], *shown[:4]])
    assert processor.calls == 4
    pixels.of([*shown, *shown])
    assert processor.calls == 4 + 1 + 5  # they come in turn, and none is there any more
