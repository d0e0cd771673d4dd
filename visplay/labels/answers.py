"""What does a completion say, and do two answers say the same?

One reading of answers for rewards, votes, labels and evaluation. Every answer has a typed normal form (`canonical`),
and two answers are the same when their normal forms are equal or agree as mathematics. Nothing is ever searched for
inside an answer: "no" is not in "no idea", 10 is not in "not 10".

The rules where completions are ambiguous:

- Only what follows the thinking counts: a box inside <think>, finished or cut off, is not an answer.
- The last balanced box is the answer, even when it is empty (then there is none); of nested boxes the innermost.
- An answer of another kind than its question is no answer: not one of the options, neither yes nor no, a numerical
  answer without a number. Like an empty one it has no normal form (None) and counts as unparsed.
- A single letter is the letter of an option before it is anything else, "a" included.
- Numbers and units: see `visplay.labels.measures`. A missing unit agrees with every unit.
- Short text: case, punctuation, spacing and articles do not matter; "two dogs" is "2 dogs". Numbers in it are text,
  so 3/4 (a date?) is not 0.75.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata

from visplay.labels import latex, measures
from visplay.records import Question

UNANSWERABLE = "unanswerable"

_LONGEST = 1000  # characters; what is longer is an essay, not an answer
_BOX_OR_BRACE = re.compile(r"\\boxed\s*\{|\\\\(?!boxed)|\\[{}]|[{}]")

_EDGES = " *_`"
_DEGREES = re.compile("[º˚∘]|Â°|¬∞|(?<=[0-9])掳")  # look-alikes, and encodings gone wrong
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
_DIGIT_THEN_VULGAR = re.compile("(?<=[0-9])(?=[¼-¾⅐-⅞])")
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑‒", "-"),
        **dict.fromkeys("“”„", '"'),
        "‘": "'",
        "’": "'",
        "⁄": "/",
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff"),
    }
)
_TEXT = r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf)|[mf]?box|bm|boldsymbol)\s*"
_WRAPPER = (_TEXT + r"\{([^{}\\]*)\}", r" \1 ")
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[()\[\]]", " "),
        (r"(?<!\\)\$([^$]*)(?<!\\)\$", r"\1"),
        (r"\\([$%#&_])", r"\1"),
        (r"\{,\}", ","),
        (r"(?<=[0-9])\\[,;:! ](?=[0-9]{3})", ""),
        (r"\\[,;:! ]|~|\\q?quad(?![a-z])", " "),
        (r"\\(?:left|right|displaystyle)(?![a-z])", ""),
        (r"\^\s*\{?\s*\\circ(?![a-z])\s*\}?|\\degree(?![a-z])", "°"),
        _WRAPPER,
        _WRAPPER,  # \text{\textbf{...}}
        (_TEXT + r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", r" \1 "),  # with formulas in it
        (r"\s*\^\s*", "^"),
    )
]
_LATEX = re.compile(r"\\[A-Za-z]|\^")
_PREAMBLE = re.compile(r"(?:the )?(?:final |correct )?answer ?(?:is\b|:) ?:?", re.IGNORECASE)

_LETTER = re.compile(r"""(?:(?:option|choice) )?[(\["']?([A-Z])[)\]"']?""", re.IGNORECASE)
_LETTER_AND_TEXT = re.compile(r"(?:(?:option|choice) )?(?:[(\[]([A-Z])[)\]]|([A-Z]) ?[).:-])[:.]?(.+)", re.IGNORECASE)
_YES_NO = dict.fromkeys(["yes", "y", "yeah", "yep", "yup", "true", "correct"], "yes")
_YES_NO |= dict.fromkeys(["no", "n", "nope", "nah", "false", "incorrect"], "no")
_NO_ANSWER = re.compile(
    r"(?:(?:it|this|question|this question) )?(?:is )?"
    r"(?:unanswerable|not answerable|(?:cannot|can not|cant) be (?:answered|determined))"
    r"(?: from (?:this )?(?:image|picture))?"
)

_SILENT = re.compile(r"'|’|(?<=[^\W\d_])\.(?=[^\W\d_])")  # driver's, U.S.A
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_MARK = re.compile(
    r"(?P<kept>(?<=[0-9])[.,:/-](?=[0-9])|(?<![^\W_])-(?=\.?[0-9])|\.(?=[0-9])|[#%])|[^\w\s]|_"  # 10:30, -5, .5, C#
)
_DIGIT_THEN_LETTER = re.compile(r"(?<=[0-9])(?=[^\W\d_])")
_ARTICLE = re.compile(r"\b(?:the|an) (?=\S)|\ba (?=\w\w)")  # not the letter in "vitamin A" or "A B"


def after_thinking(text: str) -> str:
    """What a completion says outside <think>, finished or cut off."""
    return text.rpartition("</think>")[2].partition("<think>")[0]


def boxed(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}` after the thinking; None when there is none or it is empty."""
    final = after_thinking(text)
    opened: list[int | None] = []  # for every open brace: where its box's content starts, None for a plain brace
    last = (0, 0)
    for token in _BOX_OR_BRACE.finditer(final):
        if token[0] == "}" and opened:
            start = opened.pop()
            last = (start, token.start()) if start is not None and start > last[0] else last
        elif token[0] == "{" or token[0].startswith("\\boxed"):
            opened.append(token.end() if token[0] != "{" else None)
    return final[slice(*last)].strip() or None


@functools.lru_cache(maxsize=1 << 14)  # votes are compared pair by pair
def canonical(answer: str, question: Question) -> str | None:
    """The normal form of an answer to `question`; its own normal form again. None when nothing of it is an answer."""
    plain = plain_text(answer) if len(answer) <= _LONGEST else ""
    if question.choices and (letter := _letter(plain, question.choices)):
        return letter
    text = folded(plain)
    if _NO_ANSWER.fullmatch(text):
        return UNANSWERABLE
    if question.type == "multiple_choice":
        return None if question.choices else _YES_NO.get(text)
    if question.type == "numerical" and (measure := measures.read(plain)):
        return str(measure)
    if _LATEX.search(plain):
        return plain
    if question.type == "numerical":
        return plain.casefold() if re.search("[0-9]", text) else None
    return text or None


def compare(a: str, b: str, question: Question) -> bool | None:
    """Whether two answers to `question` are the same, in either order; None when LaTeX could not be graded in time."""
    first, second = canonical(a, question), canonical(b, question)
    if first is None or second is None:
        return False
    if first == second or question.type == "multiple_choice" or UNANSWERABLE in (first, second):
        return first == second
    if question.type == "numerical":
        one, other = measures.read(first), measures.read(second)
        if one and other:
            return one.agrees(other)
    if _LATEX.search(first) or _LATEX.search(second):
        return latex.equivalent(first, second)
    return False


def same(a: str, b: str, question: Question) -> bool:
    """`compare`, where what could not be graded counts as different."""
    return compare(a, b, question) is True


def folded(text: str) -> str:
    """Text without what does not matter in it: case, punctuation, articles, spacing, words for numbers."""
    text = _SILENT.sub("", unicodedata.normalize("NFKC", text).casefold())
    text = _MARK.sub(_kept_mark, _THOUSANDS.sub("", text))
    text = " ".join(_DIGIT_THEN_LETTER.sub(" ", text).split())
    return _ARTICLE.sub("", measures.words_as_digits(text))


def undressed(text: str) -> str:
    """Text of any length without its dress: Unicode variants, LaTeX delimiters and text commands. Lines stay lines."""
    text = _DEGREES.sub("°", text)
    text = _SUPERSCRIPTS.sub(r"^{\g<0>}", _DIGIT_THEN_VULGAR.sub(" ", text))  # NFKC alone: 10² is 102, 1½ is 11/2
    text = unicodedata.normalize("NFKC", text).translate(_CHARACTERS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def plain_text(answer: str) -> str:
    """One answer without its dress, Markdown, outer spaces, closing punctuation and a leading "the answer is"."""
    text = undressed(answer)
    if not _LATEX.search(text):
        text = text.replace("{", "").replace("}", "")
    text = " ".join(text.split()).strip(_EDGES)
    preamble = _PREAMBLE.match(text)
    return text[preamble.end() if preamble else 0 :].strip(_EDGES).rstrip(_EDGES + ".,;:")


def _kept_mark(match: re.Match[str]) -> str:
    """Symbols and accents stay, and punctuation that belongs to a number; the rest of it becomes a space."""
    return match[0] if match["kept"] or unicodedata.category(match[0])[0] in "SM" else " "


def _letter(plain: str, choices: tuple[str, ...]) -> str | None:
    """The letter of the option that the answer names by letter, by text, or by both where they agree."""
    options = dict(zip(string.ascii_uppercase, map(_option_text, map(plain_text, choices)), strict=False))
    bare = _LETTER.fullmatch(plain)
    if bare and bare[1].upper() in options:
        return bare[1].upper()
    both = _LETTER_AND_TEXT.fullmatch(plain)
    if both and (text := _option_text(both[3].strip(_EDGES))) in options.values():
        letter = (both[1] or both[2]).upper()
        return letter if options.get(letter) == text else None
    named = [letter for letter, text in options.items() if text == _option_text(plain)]
    return named[0] if len(named) == 1 else None


def _option_text(plain: str) -> str:
    return plain if _LATEX.search(plain) else folded(plain) or plain
