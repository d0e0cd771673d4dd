"""The truth about scenes a second time: pixels -> a table -> SQL. Shares no code with `visplay.worlds.grammar`.

What is occupied, its colour and its size are measured in the rendered picture; only what a thing is comes from the
layout, since handwriting cannot be read exactly. A question is taken apart word by word and answered by SQLite.
"""

import sqlite3
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from visplay.worlds import scenes

ILL_POSED = "unanswerable"

_DOWN, _ACROSS = ("north", "", "south"), ("west", "", "east")
_PALETTE = {
    "red": (225, 60, 55),
    "green": (60, 185, 75),
    "blue": (75, 120, 245),
    "yellow": (240, 215, 60),
    "white": (240, 240, 240),
}
_DARK = 105  # between the lightest background and the dimmest ink, in 0..255 of the strongest channel
_LARGE = 18  # pixels across: small things measure up to 16, large ones 20 and more


def seen(picture: NDArray[np.uint8]) -> dict[tuple[int, int], tuple[str, str]]:
    """(row, column) -> (size, color) of whatever stands out in the cells of an (84, 84, 3) picture."""
    cells = {(row, column): picture[28 * row :, 28 * column :][:28, :28] for row in range(3) for column in range(3)}
    return {place: (_size(cell), _color(cell)) for place, cell in cells.items() if cell.max() > _DARK}


def _size(cell: NDArray[np.uint8]) -> str:
    light = cell.max(axis=-1).astype(float)
    ink = light > np.percentile(light, 10) + 0.35 * (light.max() - np.percentile(light, 10))
    across = max(np.ptp(axis) + 1 for axis in np.nonzero(ink))
    return "large" if across > _LARGE else "small"


def _color(cell: NDArray[np.uint8]) -> str:
    """The palette colour in whose direction the brightest pixels lie."""
    brightest = np.argsort(cell.max(axis=-1), axis=None)[-8:]
    mean = cell.reshape(-1, 3)[brightest].mean(axis=0)
    return max(_PALETTE, key=lambda name: float(mean @ _PALETTE[name] / np.linalg.norm(_PALETTE[name])))


def table(scene: scenes.Scene) -> sqlite3.Connection:
    """The scene's picture as a table `thing` (y, x, place, size, color, kind)."""
    kinds = {(thing.row, thing.column): thing.kind for thing in scene.things}
    found = seen(np.asarray(scenes.render(scene)))
    assert found.keys() == kinds.keys(), f"{scene}: ink in cells {sorted(found)}"
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE thing (y INT, x INT, place TEXT, size TEXT, color TEXT, kind TEXT)")
    rows = [(y, x, _DOWN[y] + _ACROSS[x] or "center", *look, kinds[y, x]) for (y, x), look in found.items()]
    base.executemany("INSERT INTO thing VALUES (?, ?, ?, ?, ?, ?)", rows)
    return base


def answer(base: sqlite3.Connection, question: str) -> str:
    """The answer to a question's English text; ILL_POSED where SQL finds none, or more than one."""
    asked, _, options = question.partition("?")
    (value,) = base.execute(_sql(asked)).fetchone()
    if not options:
        return ILL_POSED if value is None else str(value)
    letters = {text: letter for letter, text in _options(options)}
    return letters.get(value, ILL_POSED)


def _sql(asked: str) -> str:
    match asked.split():
        case ["What", "is", "in", "the", place]:
            return _only("kind", f"place = '{place}'")
        case ["What", "is", "the", "sum", "of", "the", *what]:
            return f"SELECT SUM(CAST(kind AS INTEGER)) FROM thing WHERE {_where(what)}"
        case ["What", "color", "is", "the", ("largest" | "smallest") as end, "digit"]:
            value = f"SELECT {'MAX' if end == 'largest' else 'MIN'}(kind) FROM thing WHERE {_where(['digit'])}"
            return _only("color", f"kind = ({value})")
        case ["What", "color", "is", "the", *what]:
            return _only("color", _where(what))
        case ["Where", "is", "the", *what]:
            return _only("place", _where(what))
        case ["What", "is", "the", ("largest" | "smallest") as end, *what]:
            return f"SELECT {'MAX' if end == 'largest' else 'MIN'}(kind) FROM thing WHERE {_where(what)}"
        case ["Is", "there", "a", *what]:
            return f"SELECT {_yes(f'EXISTS (SELECT 1 FROM thing WHERE {_where(what)})')}"
        case ["How", "many", *what, "are", "there"]:
            return _count(what)
        case ["Are", "there", "more", *both]:
            split = both.index("than")
            return f"SELECT {_yes(f'({_count(both[:split])}) > ({_count(both[split + 1 :])})')}"
        case ["Is", "a", *both]:
            split = both.index("a")
            relation = {"left": "a.x < b.x", "right": "a.x > b.x", "above": "a.y < b.y", "below": "a.y > b.y"}
            word = both[split - 1] if both[split - 1] != "of" else both[split - 2]
            first, second = _where(both[: both.index(word)], "a."), _where(both[split + 1 :], "b.")
            return f"SELECT {_yes(f'MAX({relation[word]})')} FROM thing a, thing b WHERE {first} AND {second}"
    raise ValueError(f"not a question of this world: {asked!r}")


def _only(column: str, where: str) -> str:
    """NULL unless exactly one thing fits."""
    return f"SELECT CASE COUNT(*) WHEN 1 THEN MAX({column}) END FROM thing WHERE {where}"


def _count(what: list[str]) -> str:
    return f"SELECT COUNT(*) FROM thing WHERE {_where(what)}"


def _yes(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 'yes' ELSE 'no' END"


def _where(words: list[str], prefix: str = "") -> str:
    return " AND ".join(f"{prefix}{_condition(word)}" for word in words)


def _condition(word: str) -> str:
    if word in _PALETTE:
        return f"color = '{word}'"
    if word in ("small", "large"):
        return f"size = '{word}'"
    if word.startswith("object"):
        return "kind <> ''"
    if word.startswith("digit"):
        return "kind GLOB '[0-9]'"
    return f"kind = '{'cross' if word.startswith('cross') else word.rstrip('s')}'"


def _options(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("(")[1:]:
        letter, _, option = part.partition(")")
        yield letter, option.strip()
