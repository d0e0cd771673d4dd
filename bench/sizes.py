"""What is benched: sizes of the quick run and of the whole one."""

from __future__ import annotations

from dataclasses import dataclass

from sampling_contests import Sampling
from step_contests import GrpoStep


@dataclass(frozen=True)
class Sizes:
    """`model` where none is named; `repeats` pairs of each contest; pair by pair BLEU up to so many questions."""

    model: str
    repeats: int
    steps: tuple[GrpoStep, ...]
    sampling: tuple[Sampling, ...]
    questions: tuple[int, ...]
    pair_by_pair: int
    pools: tuple[int, ...]


QUICK = Sizes(
    model="small",
    repeats=3,
    steps=(GrpoStep(64, 32), GrpoStep(256, 32), GrpoStep(64, 32, prompts=4)),
    sampling=(Sampling(64, 1, 8, 1, 1), Sampling(64, 1, 8, 32, 2), Sampling(64, 4, 8, 32, 2)),
    questions=(256, 4096),
    pair_by_pair=256,
    pools=(1000, 4000),
)
WHOLE = Sizes(
    model="mid",
    repeats=3,
    steps=(GrpoStep(256, 32), GrpoStep(256, 128)),
    sampling=(
        Sampling(256, 1, 8, 1, 1),  # reading alone
        Sampling(256, 1, 8, 32, 1),
        Sampling(256, 1, 8, 32, 4),  # where a token's weights are read for more than one prompt
        Sampling(256, 4, 8, 32, 1),
        *(Sampling(16, questions, 10, 32, 2) for questions in (1, 4, 8)),
        *(Sampling(tokens, questions, 10, 32, 1) for tokens in (256, 1024) for questions in (1, 4, 8)),
    ),
    questions=(256, 1024, 4096, 16384),
    pair_by_pair=1024,
    pools=(1000, 4000, 16000, 64000),
)
