r"""What is a formula, what is its value, and are two the same mathematics?

Algebra is left to `visplay.labels.latex`, which can be killed. Almost all pairs are spared it: where both formulas have
a value ("\frac{5\sqrt{2}}{2}") and these lie apart, they differ.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable

from visplay.labels import latex, measures
from visplay.labels.answers import plain_text

_LONGEST = 120  # characters; what is longer is a derivation, not an answer

_MINUS = re.compile(r"(?<![0-9] )\b(?:minus|negative) (?=[0-9.$\\])", re.IGNORECASE)
_HUNDREDS = re.compile(
    rf"\b({measures.NUMBER_WORD}|[1-9]) hundred (?:and )?({measures.NUMBER_WORD}|[1-9][0-9]?)\b", re.IGNORECASE
)
_ROOT = re.compile(r"(?:√|(?<![a-z\\])sqrt) ?(?:\(([^()]*)\)|\{([^{}]*)\}|([0-9]+|[a-z]\b))")
_PI = re.compile(r"(?<![A-Za-z\\])pi(?![A-Za-z])")
_SYMBOLS = {"π": "\\pi ", "∞": "\\infty ", "≤": "\\le ", "≥": "\\ge ", "∪": "\\cup ", "±": "\\pm ", "θ": "\\theta "}
_SYMBOL = re.compile(f"[{''.join(_SYMBOLS)}]")

_SIGN = re.compile(r"\\[a-z]|[0-9]|[+*/^=<>]", re.IGNORECASE)
_RANGE = re.compile(r"[0-9.]+ ?- ?[0-9.]+")
_SENTENCE = re.compile(r"[?!]|[.:]\s|[0-9] \(|^[A-Za-z]{2,} ")
_NUMBERS_IN_A_ROW = re.compile(r"(?<![\w\\^{])[0-9.]+ +[0-9]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NAMES = (
    "sin cos tan cot sec csc log ln exp sqrt frac dfrac tfrac pi alpha beta gamma theta left right cdot times div circ"
    " pm leq geq le ge infty cup cap in overline angle"
)
_KNOWN = measures.UNITS.union(_NAMES.split(), ["square", "cubic", "sq", "cu", "squared", "cubed"])

_LETTERS = "|".join(sorted(measures.UNITS, key=len, reverse=True))
_UNIT = re.compile(
    rf"(?<=[0-9}})a-z ]) ?(?<![a-zA-Z\\])(?:(?:square|cubic|sq\.?|cu\.?) )?(?:{_LETTERS})(?:\^?\{{?[23]\}}?)?$|°$"
)

_BOUND = re.compile(r"[<>]|\\[lg]e(?:q|qslant)?(?![a-z])")

_PLAIN = r"([^{}]*)"
_TO_PYTHON = [
    (re.compile(r"\\times|\\cdot|×|·"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"\\pi(?![a-z])"), f"({math.pi})"),
    (re.compile(r"\\left|\\right|\s"), ""),
    (re.compile(r"\\[dt]?frac([0-9])([0-9])"), r"((\1)/(\2))"),
    (re.compile(r"\\sqrt([0-9])"), r"((\1)**.5)"),
]
_NESTED = [
    (re.compile(rf"\\[dt]?frac\{{{_PLAIN}\}}\{{{_PLAIN}\}}"), r"((\1)/(\2))"),
    (re.compile(rf"\\sqrt\{{{_PLAIN}\}}"), r"((\1)**.5)"),
    (re.compile(rf"\^\{{{_PLAIN}\}}"), r"**(\1)"),
]
_INTEGER = re.compile(r"(?<![0-9.])([0-9]+)(?![0-9.])")
_JUXTAPOSED = re.compile(r"(?<=[0-9.)])(?=\()|(?<=\))(?=[0-9.])")
_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def mathematical(passage: str) -> str:
    """A passage in plain text, its symbols and roots in LaTeX, "minus 5" as -5, "one hundred and twenty" as 120."""
    text = _MINUS.sub("-", _SYMBOL.sub(lambda match: _SYMBOLS[match[0]], plain_text(passage)))
    text = _ROOT.sub(lambda match: rf"\sqrt{{{match[1] or match[2] or match[3]}}}", text)
    return _HUNDREDS.sub(_summed, _PI.sub(r"\\pi ", text)).strip()


def is_formula(text: str) -> bool:
    """Mathematics and nothing else: no words but units and functions, no range, no numbers in a row."""
    if len(text) > _LONGEST or text.count("{") != text.count("}") or not _SIGN.search(text):
        return False
    if _RANGE.fullmatch(text) or _SENTENCE.search(text) or _NUMBERS_IN_A_ROW.search(text):
        return False
    return all(word.lower() in _KNOWN for word in _WORD.findall(text))


def same_formula(one: str, other: str) -> bool:
    """Whether two formulas are equal and their units do not differ; a missing unit agrees with every unit."""
    if not (is_formula(one) and is_formula(other)) or one.count(",") != other.count(","):
        return False
    if _kind(one) != _kind(other):
        return False
    (one, unit), (other, other_unit) = without_unit(one), without_unit(other)
    if unit and other_unit and unit != other_unit:
        return False
    value, other_value = approximate(one), approximate(other)
    if value is not None and other_value is not None and not math.isclose(value, other_value, abs_tol=1e-12):
        return False
    return latex.equivalent(one, other) is True


def without_unit(formula: str) -> tuple[str, str]:
    """The formula, and the normal form of the unit behind it, "" where there is none."""
    unit = _UNIT.search(formula)
    return (formula[: unit.start()].strip(), measures.unit(unit[0].strip()) or "") if unit else (formula, "")


def approximate(formula: str) -> float | None:
    """The value of a formula of numbers, roots, powers and pi, without a unit; None for any other, or none."""
    text = formula
    for pattern, replacement in _TO_PYTHON:
        text = pattern.sub(replacement, text)
    before = ""
    while before != text:
        before = text
        for pattern, replacement in _NESTED:
            text = pattern.sub(replacement, text)
    text = _INTEGER.sub(r"\1.", text.replace("^", "**"))  # floats: whole powers of whole numbers know no bound
    try:
        value = _computed(ast.parse(_JUXTAPOSED.sub("*", text), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _computed(node: ast.AST) -> float:
    match node:
        case ast.Constant(value=float(value)):
            return value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_computed(node.left), _computed(node.right))
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_computed(node.operand))
    raise ValueError(f"no number: {ast.dump(node)}")


def _summed(match: re.Match[str]) -> str:
    hundreds, rest = (int(measures.words_as_digits(part)) for part in match.groups())
    return str(100 * hundreds + rest)


def _kind(formula: str) -> tuple[bool, bool]:
    """Whether it is a bound, and whether it is a ratio or a fraction: "> 5" and "5:1" are not 5."""
    return bool(_BOUND.search(formula)), ":" in formula
