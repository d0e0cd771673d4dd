"""Servers under several processes: process 0 alone asks them, all get what it drew, and its errors are everybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chat_server import running
from PIL import Image
from together import together
from vllm_dialect import BASE, POOL, VllmServer, understood

from visplay.endpoint import EndpointError
from visplay.engine.processes import connected
from visplay.engine.servers import open_sampler
from visplay.recipe import Recipe, SamplingSettings
from visplay.runs.processes import EndedElsewhere


def echo(body: dict[str, Any], _: int) -> list[str]:
    """n choices that name their question and number."""
    return [f"{understood(body)[0][1]} {number}" for number in range(body["n"])]


def draw(url: str, folder: Path) -> tuple[list[list[str]], int]:
    settings = SamplingSettings(engine="vllm", servers=[url], max_unanswered=0.5)
    with (
        connected(Recipe(model=str(BASE), pool=POOL)) as processes,
        open_sampler(BASE, POOL, settings, folder, processes) as sampler,
    ):
        requests = [(Image.new("RGB", (84, 84)), f"Is it {number}?") for number in range(3)]
        drawn = sampler.sample(requests, n=2, max_new_tokens=8, seed=0, progress="votes")
        return [[one.text for one in some] for some in drawn], sampler.unanswered


def test_one_process_asks_and_all_have_the_answers(tmp_path: Path) -> None:
    with running(server := VllmServer(echo)):
        found = together(draw, server.url, tmp_path)
    assert found == [([[f"Is it {i}? {n}" for n in range(2)] for i in range(3)], 0)] * 2
    assert len(server.bodies) == 3


def test_what_stays_unanswered_is_known_to_all(tmp_path: Path) -> None:
    with running(server := VllmServer(lambda body, before: echo(body, before)[:1])):
        (drawn, first), (_, second) = together(draw, server.url, tmp_path)
    assert drawn == [[f"Is it {i}? 0"] for i in range(3)]
    assert (first, second) == (3, 3)


def test_a_server_that_is_not_fit_ends_all(tmp_path: Path) -> None:
    with running(server := VllmServer(echo, names=["another"])):
        first, second = together(draw, server.url, tmp_path)
    assert (type(first), type(second)) == (EndpointError, EndedElsewhere)
