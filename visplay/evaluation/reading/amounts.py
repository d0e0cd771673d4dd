"""Is a number that a response states the gold?

- A value given to more places than the gold is right when it rounds to it: 113.097 for 113.1. A gold without decimal
  places, with one digit alone, or as a fraction is exact.
- A gold with π may be given as a decimal of three digits or more, rounded, or reckoned with 3.14: 113.1 and 113.04 are
  36π, 113 is not.
- "> 5", "5 or more", "5:1" and "5x" are not 5.
- 12% is 12 where the gold names no unit, and it is 0.12.
"""

from __future__ import annotations

import re
from fractions import Fraction

from visplay.evaluation.reading.formulas import approximate, mathematical, same_formula, without_unit
from visplay.evaluation.reading.numbers import ABOUT, NUMBERS
from visplay.labels import measures
from visplay.labels.measures import Measure

_DECIMAL = re.compile(r"[^0-9.]*0*([0-9,]*)\.([0-9]+)(?![0-9]|e| ?[×x*\\])")  # its digits before and after the point
_PI = "\\pi"


def same_number(answer: str, gold: str) -> bool:
    """Whether a stated number is the gold; see the rules above. Not symmetric: only the answer is rounded."""
    if len(sides := ABOUT.split(answer)) > 1:
        return any(same_number(side.strip(), gold) for side in sides)
    gold = (NUMBERS.terse(gold) or [mathematical(gold)])[0]
    if _squeezed(answer) == _squeezed(gold):
        return True
    one, other = _measure(answer), _measure(gold)
    if one and other:
        return one.agrees(other) or _same_share(one, other) or _rounds(one, other, gold)
    if one and _PI in gold:
        return _gives_pi(one, answer, gold)
    bare, unit = without_unit(answer)
    if other and (value := approximate(bare)) is not None and _rounds(Measure(Fraction(value), unit), other, gold):
        return True
    return same_formula(answer, gold)


def _measure(text: str) -> Measure | None:
    """The measure that a text is; a number before a letter that is no unit is none, as in 5x."""
    measure = measures.read(text)
    if measure and len(measure.unit) == 1 and measure.unit.isalpha() and measure.unit not in measures.UNITS:
        return None
    return measure


def _gives_pi(answer: Measure, spelling: str, gold: str) -> bool:
    """Whether a decimal of three digits or more is the gold with π rounded to its places, or reckoned with 3.14."""
    bare, unit = without_unit(gold)
    exact, in_school = approximate(bare), approximate(bare.replace(_PI, "(3.14)"))
    decimal = _DECIMAL.match(spelling)
    if decimal is None or exact is None or len((decimal[1] + decimal[2]).lstrip("0")) < 3:
        return False
    near = abs(float(answer.value) - exact) <= 0.5 * 10 ** -len(decimal[2]) + 1e-12
    reckoned = in_school is not None and abs(float(answer.value) - in_school) < 1e-9
    return (near or reckoned) and Measure(answer.value, unit).agrees(answer)


def _same_share(answer: Measure, gold: Measure) -> bool:
    """Whether one is the other in percent."""
    one, other = (number.value / 100 if number.unit == "%" else number.value for number in (answer, gold))
    return {answer.unit, gold.unit} == {"%", ""} and one == other


def _rounds(answer: Measure, gold: Measure, spelling: str) -> bool:
    """Whether a value given to more places than the gold is the gold when it is rounded, a half away from zero."""
    decimal = _DECIMAL.match(spelling)
    if decimal is None or len((decimal[1] + decimal[2]).lstrip("0")) < 2 or answer.value * gold.value <= 0:
        return False
    unit = Fraction(1, 10 ** len(decimal[2]))
    finer = (answer.value / unit).denominator > 1
    near = -unit / 2 <= abs(answer.value) - abs(gold.value) < unit / 2
    return finer and near and Measure(gold.value, answer.unit).agrees(gold)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold().replace("\\dfrac", "\\frac")
