"""What a module in benchmarks/ holds.

Its docstring gives title, authors, link, one row as it comes, and where its rule of scoring stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from visplay.evaluation.figures import Figures
from visplay.evaluation.items import Item, Judgement, Prediction
from visplay.evaluation.procedures import Procedure

Row: TypeAlias = Mapping[str, Any]
# A column's name -> the types that its values may have; add type(None) where they may be null.
Columns: TypeAlias = Mapping[str, tuple[type, ...]]


class Benchmark(Protocol):
    """One benchmark: how its rows are read, asked, judged and added up."""

    NAME: str
    SOURCE: str  # HF id of the official data; "" when there is none
    SPLIT: str  # "validation"; several are joined by "+"
    COLUMNS: Columns  # that every row must have
    RULE: str  # what "official" does, in a few words for the report; "" without an official rule

    # Properties, so that a module's tuples may be of any length.
    @property
    def CONFIGS(self) -> tuple[str, ...]:
        """HF configurations that are read one after the other; () for the default one."""
        ...

    @property
    def SIZES(self) -> tuple[int, ...]:
        """Numbers of items that figures are published for, the official data's first; () for data of one's own."""
        ...

    @property
    def IMAGES(self) -> tuple[str, ...]:
        """Columns that hold pictures, where there are any; scoring never reads them."""
        ...

    @property
    def PROTOCOLS(self) -> tuple[str, ...]:
        """Of "official", "strict" and "judge"."""
        ...

    @property
    def official(self) -> Callable[[Item, Prediction], Judgement] | None:
        """The authors' rule to the letter, an ordinary function; None where they have none that needs no judge."""
        ...

    @property
    def by_judge(self) -> Procedure:
        """The procedure of the judge protocol; `extract_and_compare` where the authors have none of their own."""
        ...

    def items(self, rows: Sequence[Row]) -> list[Item]:
        """One item per row, in order; needs no image. Raises VisplayError naming the row that cannot be read."""
        ...

    def images(self, row: Row) -> list[Any]:
        """The row's pictures still encoded, for `data.picture`; the N-th where the prompt says "<image N>"."""
        ...

    def figures(self, items: Sequence[Item], judgements: Sequence[Judgement]) -> Figures:
        """The authors' aggregation, with the figure that they quote under "overall"."""
        ...
