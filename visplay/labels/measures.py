"""Read an answer as one number with an optional unit, exactly, or not at all.

The rules where answers are ambiguous:

- The point is the decimal sign and the comma groups thousands: "1,000" is 1000, "1.000" is 1, "1,5" is no number.
- Values are exact fractions: 1/3 and 0.333 are two numbers, 11/64 and 1/64 are two numbers, 1 1/2 is three halves.
- A percent sign is a unit, not a division: "12%" is 12 with the unit %, and is not 0.12.
- Scale words and chart suffixes multiply: "5 million", "5M" and "5,000,000" are one number, "two thirds" is 2/3.
- A unit is one word after the number (or a currency sign before it). Ranges, lists and sentences are no numbers.

It does no algebra: what needs algebra is left to `visplay.labels.latex`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

_LONGEST = 200  # characters; exact arithmetic on longer numbers could be made to take arbitrarily long

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
_WORDS = {word: value for value, word in enumerate(_ONES + _TEENS)} | _TENS
_WORDS |= {f"{ten} {one}": _TENS[ten] + _WORDS[one] for ten in _TENS for one in _ONES[1:]}
NUMBER_WORD = f"(?:{'|'.join(reversed(_WORDS)).replace(' ', '[ -]')})"  # a pattern for zero to ninety-nine
_WORD = re.compile(rf"\b{NUMBER_WORD}\b", re.IGNORECASE)

_SUFFIXES = {"k": 1000, "K": 1000, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9}
_PARTS = ["half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_SCALES = {name: Fraction(value) for name, value in _SUFFIXES.items()}
_SCALES |= {name: Fraction(1, part) for part, name in enumerate(_PARTS, start=2)} | {"halve": Fraction(1, 2)}
_SCALES |= {"dozen": Fraction(12), "hundred": Fraction(100), "thousand": Fraction(1000)}
_SCALES |= {"million": Fraction(10**6), "billion": Fraction(10**9), "trillion": Fraction(10**12)}
_LONG_SCALES = "|".join(name for name in _SCALES if name not in _SUFFIXES)
_SCALE = re.compile(rf"(?:((?i:{_LONG_SCALES}))s?|({'|'.join(_SUFFIXES)}))(?![^\W_]|[/^]) ?")

_UNITS = {
    "%": "percent pct",
    "$": "dollar usd",
    "€": "euro eur",
    "£": "gbp",
    "": "unit",  # "12 units" names none
    "°": "degree deg °t",  # a bearing: 090° T
    "°c": "celsius °celsius",
    "°f": "fahrenheit °fahrenheit",
    "mm": "millimetre millimeter",
    "cm": "centimetre centimeter",
    "m": "metre meter",
    "km": "kilometre kilometer",
    "in": "inch inche",
    "ft": "foot feet",
    "mi": "mile",
    "g": "gram gramme",
    "kg": "kilogram kilo",
    "lb": "pound",
    "s": "second sec",
    "min": "minute",
    "h": "hour hr",
    "l": "litre liter",
    "ml": "millilitre milliliter",
    "N": "newton",
    "J": "joule",
    "W": "watt",
    "V": "volt",
    "A": "ampere amp",
    "Ω": "ohm",
    "hz": "hertz",
    "pa": "pascal",
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names.split()}
# Units that are so many of another; feet are never metres, as nobody means them to be equal to the last digit.
_SIZES = {"mm": ("m", Fraction(1, 1000)), "cm": ("m", Fraction(1, 100)), "km": ("m", Fraction(1000))}
_SIZES |= {"g": ("kg", Fraction(1, 1000)), "ml": ("l", Fraction(1, 1000)), "ft": ("in", Fraction(12))}
_SIZES |= {"min": ("s", Fraction(60)), "h": ("s", Fraction(3600))}
UNITS = frozenset(name for name in [*_UNITS, *_UNIT_OF, *(f"{name}s" for name in _UNIT_OF)] if name.isalpha())
_EXPONENT = r"(?:\^?\{?[23]\}?)?"
_UNIT = re.compile(
    rf"[%$€£¥₹]|per cent|°(?: ?[CFT])?|(?:degrees?|square|sq\.?|cubic|cu\.?) [a-z]+|[a-z]+ (?:squared|cubed)"
    rf"|[^\W\d_]+{_EXPONENT}(?:(?:/| per )[^\W\d_]+{_EXPONENT})?",
    re.IGNORECASE,
)

_HEDGE = re.compile(r"(?:about|around|approximately|approx\.?|roughly|\\approx|≈|[a-z]? ?=) ?", re.IGNORECASE)
_FRAC = re.compile(r" ?\\[dtc]?frac ?(?:\{ ?([0-9]+) ?\} ?\{ ?([0-9]+) ?\}|([0-9])([0-9]))")
_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_NUMBER = re.compile(
    rf"""(?P<sign>[+-]?)\ ?(?P<currency>[$€£¥₹]?)\ ?
    (?: (?:(?P<whole>{_WHOLE})\ )? (?P<top>{_WHOLE})\ ?/\ ?(?P<bottom>{_WHOLE})
      | (?P<decimal>{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+)
        (?: \ ?(?:[x×*]|\\times|\\cdot)\ ?10\ ?\^\ ?\{{?(?P<power>[+-]?[0-9]{{1,2}})(?![0-9])\}}?
          | [eE](?P<e>[+-]?[0-9]{{1,2}})(?![0-9]) )?
    )\ ?(?P<rest>.*)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Measure:
    """A number and its unit in normal form; the unit is empty where the answer names none."""

    value: Fraction
    unit: str

    def __str__(self) -> str:
        """A spelling that `read` turns back into the same measure: a decimal where it ends, else p/q."""
        with localcontext() as context:
            context.prec = _LONGEST
            decimal = Decimal(self.value.numerator) / self.value.denominator
        ends = self.value.denominator > 1 and Fraction(decimal) == self.value
        return f"{f'{decimal:f}' if ends else self.value} {self.unit}".strip()

    def agrees(self, other: Measure) -> bool:
        """The same amount, as 50 mm and 5 cm, or equal values where one side has no unit.

        Not transitive: 12 agrees with 12 cm and with 12 m.
        """
        if not self.unit or not other.unit:
            return self.value == other.value
        return self._in_base() == other._in_base()

    def _in_base(self) -> Measure:
        value, units = self.value, []
        for part, sign in zip(self.unit.split("/"), (1, -1), strict=False):
            name = part.rstrip("23")
            base, size = _SIZES.get(name, (name, Fraction(1)))
            value *= size ** (sign * int(part[len(name) :] or 1))
            units.append(base + part[len(name) :])
        return Measure(value, "/".join(units))


def read(text: str) -> Measure | None:
    """The whole of `text`, spaces folded, as one measure; None when there is anything more or less in it."""
    match = _NUMBER.fullmatch(_in_digits(text)) if len(text) <= _LONGEST else None
    value = _value(match) if match else None
    if match is None or value is None:
        return None
    rest = match["rest"]
    while scale := _SCALE.match(rest):
        value *= _SCALES[scale[1].lower() if scale[1] else scale[2]]
        rest = rest[scale.end() :]
    name = unit(rest)
    if name is None or (match["currency"] and name not in ("", match["currency"])):
        return None
    measure = Measure(value, name or match["currency"])
    return measure if len(str(measure)) <= _LONGEST else None


def unit(text: str) -> str | None:
    """The normal form of a unit, "" for none; None when the text cannot be a unit."""
    if not text:
        return ""
    if not _UNIT.fullmatch(text):
        return None
    name = text.lower() if len(text) > 1 else text  # one letter keeps its case: C is not c
    name = re.sub(r"^degrees? |^° ", "°", re.sub(r"[\^{}]", "", name.replace("per cent", "%")))
    name = re.sub(r"^(?:square|sq\.?) (.+)|(.+) squared$", r"\1\g<2>2", name)
    name = re.sub(r"^(?:cubic|cu\.?) (.+)|(.+) cubed$", r"\1\g<2>3", name)
    return "/".join(_powered(part) for part in re.split("/| per ", name))


def words_as_digits(text: str) -> str:
    """Number words from zero to ninety-nine replaced by digits, wherever they stand as words of their own."""
    return _WORD.sub(lambda match: str(_WORDS[match[0].lower().replace("-", " ")]), text)


def _in_digits(text: str) -> str:
    hedge = _HEDGE.match(text)
    text = words_as_digits(text[hedge.end() :] if hedge else text)
    text = _FRAC.sub(lambda match: f" {match[1] or match[3]}/{match[2] or match[4]}", text).strip()
    text = re.sub(r"^(?:minus|negative) ", "-", text, flags=re.IGNORECASE)
    text = re.sub(rf"^(?:an? )?(?=(?:{_LONG_SCALES})\b)", "1 ", text, flags=re.IGNORECASE)
    return "0" if text.lower() == "none" else text


def _value(match: re.Match[str]) -> Fraction | None:
    """The signed number in a match of `_NUMBER`; None for a division by zero."""
    whole, top, bottom, decimal = (
        Fraction((match[name] or "0").replace(",", "").removesuffix("."))
        for name in ("whole", "top", "bottom", "decimal")
    )
    if match["decimal"]:
        value = decimal * Fraction(10) ** int(match["power"] or match["e"] or 0)
    elif bottom:
        value = whole + top / bottom
    else:
        return None
    return -value if match["sign"] == "-" else value


def _powered(name: str) -> str:
    """One unit with its power, as "m2"; a power of no unit is none."""
    base = name.rstrip("23")
    unit = _singular(base)
    return unit + name[len(base) :] if unit else ""


def _singular(name: str) -> str:
    plural = len(name) > 2 and name[-1] == "s" and name[-2].isalpha() and name[-2] != "s"
    if plural and name not in _UNIT_OF:
        name = name[:-1]
    return _UNIT_OF.get(name, name)
