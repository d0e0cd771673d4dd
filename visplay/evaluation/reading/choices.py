"""Which option does a passage choose? By letter, by the option's text, or by its number.

- A letter comes before a text: where the options are "B" and "A", "A" is the letter.
- What is denied is not chosen: "not B", "B is wrong", "neither A nor B", "rather than a cat".
- A letter with the text of another option contradicts itself and chooses both, that is none.
- "The second option" is a letter too. "<image 2>" among the options is "image 2".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from visplay.evaluation.items import LETTERS
from visplay.evaluation.reading.amounts import same_number
from visplay.evaluation.reading.cues import without_reason
from visplay.evaluation.reading.formulas import is_formula, mathematical
from visplay.evaluation.reading.letters import Lead, affirmed, lead, mentions
from visplay.evaluation.reading.numbers import NUMBERS, VERB
from visplay.evaluation.reading.passages import Reader
from visplay.labels.answers import folded, plain_text

_UNKNOWN = LETTERS[:8]  # the letters of a question whose options stand in its picture or text

_IMAGE = re.compile(r"<(image [0-9])>")
_ORDINAL = re.compile(r"\b(first|second|third|fourth|fifth|last) (?:option|choice)\b", re.IGNORECASE)
_PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
_LETTER_A = re.compile(r"[(\[]?a[)\].:]", re.IGNORECASE)  # no article, which folding would drop
_COMPOUND = re.compile(r"[(\[].*,.*[)\]]|[=<>]|\\[lg]eq?\b|[0-9][a-z]\b")
_TICK = re.compile(
    r"[\s:;,(—–=-]*(?:(?P<right>[✅✓✔☑]|(?:yes|correct|true)\b)|[❌✗✘✖]|(?:no|not|incorrect|false|wrong)\b)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;.] |\bbut\b")
_DENIED = re.compile(
    r"(?:^| )(?:not|no|never|cannot|neither|nor|rather than|instead of|than|except|unlike|without"
    r"|(?:is|are|was|were|do|does|did|has|have|ca|wo|would|could|should|must)nt)"
    r"(?: (?:be|of|by|in|at|from|to|for|like|quite|really|exactly|necessarily|actually|just|strictly|typical))* $"
    r"|(?:^| )(?:unlikely to be|rul(?:e[sd]?|ing) out|(?:exclud|eliminat)(?:e[sd]?|ing)|reject(?:s|ed|ing)?"
    r"|(?:any|every)thing but|hardly|differ(?:s|ent) from|far from|opposite of|contrary to"
    r"|(?:lacks?|no|not) (?:\w+ ){0,3}(?:signs?|features?|evidence|traces?|characteristics) of) $"
)
_DENIED_AFTER = re.compile(
    r" (?:(?:is|are|was|were|seems?|looks?|(?:would|can|could|must|should|may) be)(?: \w+ly| also| thus)?"
    r" (?:not|(?:the )?(?:wrong|incorrect)|false|inaccurate|impossible|invalid|unlikely|ruled out|excluded|eliminated"
    r"|rejected|discarded)\b"
    r"|(?:(?:is|are|was|were|do|does|did|ca|wo|would|could|should)nt"
    r"|(?:can|do|does|did|will|would|could|should|must) ?not|fails?)\b"
    r"|(?:wrong|incorrect|false) *$)"
)


@functools.lru_cache(maxsize=64)
def choice_reader(choices: tuple[str, ...]) -> Reader:
    """Reads letters of these options; of any from A to H where the options are not known."""
    options = _Options(choices)
    return Reader(options.terse, options.phrase, options.sentence, options.whole, last_is_result=True)


class _Options:
    """The options of one question, as they are looked for."""

    def __init__(self, choices: Sequence[str]) -> None:
        self._letters = LETTERS[: len(choices)] if choices else _UNKNOWN
        plain = [plain_text(_IMAGE.sub(r"\1", choice)) for choice in choices]
        self._spelled = dict(zip(self._letters, plain, strict=False))
        self._texts = dict(zip(self._letters, map(folded, plain), strict=False))
        self._numbers = dict(zip(self._letters, map(NUMBERS.terse, plain), strict=False))
        formulas = dict(zip(self._letters, map(mathematical, plain), strict=False))
        self._formulas = {
            letter: _written_as(formula)
            for letter, formula in formulas.items()
            if _COMPOUND.search(formula) and is_formula(formula)
        }

    def whole(self, passage: str) -> list[str]:
        """The letter of a response that is an option's text, with its letter or without, whatever marks are in it."""
        text = plain_text(self._named(passage))
        if len(text) == 1:
            return []
        if ticked := self._ticked(passage):
            return ticked
        first = lead(text)
        both = first is not None and first.letter in self._exact_text(first.tail)
        return [first.letter] if first and both else self._exact_text(text)

    def terse(self, passage: str) -> list[str]:
        """The letter of a passage that is an option's letter or text, or begins with a letter that stands apart."""
        text = plain_text(self._named(passage))
        if exact := self._exact(text):
            return exact
        first = lead(text)
        if first is None or first.letter not in self._letters or self._lists_all(text):
            return []
        told = self._exact(first.tail)
        if first.letter in told:
            return [first.letter]
        stands = first.apart and (not first.denied or self._begins_alike(first))
        return [first.letter, *told] if stands else []

    def _ticked(self, passage: str) -> list[str]:
        """The one option that is called right where all have a line with a verdict: "A: Red - No / B: Blue - Yes"."""
        verdicts = {}
        for line in passage.splitlines():
            if (first := lead(line.strip())) and first.letter in self._letters:
                said = first.tail.removeprefix(self._spelled.get(first.letter, "")) if self._spelled else ""
                if said != first.tail and (verdict := _TICK.match(said)):
                    verdicts[first.letter] = bool(verdict["right"])
        right = [letter for letter, is_right in verdicts.items() if is_right]
        return right if len(verdicts) == len(self._letters) and len(right) == 1 else []

    def _lists_all(self, text: str) -> bool:
        """Whether a text goes through all options, each letter with its text: then the first is not chosen."""
        words = f" {folded(text)} "
        others = [f" {letter.lower()} {option} " in words for letter, option in list(self._texts.items())[1:]]
        return len(others) > 1 and all(others)

    def phrase(self, passage: str) -> list[str]:
        """The letters of a passage that was announced as the answer."""
        short = without_reason(passage)
        return self.terse(short) or self.sentence(short) or affirmed(mentions(passage, self._letters), passage)

    def sentence(self, passage: str) -> list[str]:
        """The letters that a sentence mentions and does not deny; else the options whose text or number it states."""
        passage = self._named(passage)
        found = mentions(passage, self._letters)
        if not found:
            return self._told(passage)
        if chosen := affirmed(found, passage):
            return chosen
        rest = _CLAUSE.search(passage, found[-1].end())
        return self._told(passage[rest.end() :]) if rest else []

    def _exact(self, text: str) -> list[str]:
        """The options that are this text and nothing else; the letter itself for a bare letter."""
        if len(text) == 1 and text.upper() in self._letters:
            return [text.upper()]
        return self._exact_text(text) or self._numbered(NUMBERS.terse(text))

    def _exact_text(self, text: str) -> list[str]:
        if spelled := [letter for letter, option in self._spelled.items() if option and option == text]:
            return spelled  # "XAXa" is not "XAXA", though they are when folded
        words = f"a {folded(text[2:])}" if _LETTER_A.match(text) else folded(text)
        if same := [letter for letter, option in self._texts.items() if option and option == words]:
            return same
        joined = "".join(text.casefold().split())  # "AB=CD" is "AB = CD"
        return [one for one, option in self._spelled.items() if option and joined == "".join(option.casefold().split())]

    def _named(self, passage: str) -> str:
        """The passage with letters for "the second option", and without the brackets of "<image 2>"."""
        return _ORDINAL.sub(self._lettered, _IMAGE.sub(r"\1", passage))

    def _lettered(self, ordinal: re.Match[str]) -> str:
        place = _PLACES[ordinal[1].lower()]
        return f"option {self._letters[place]}" if place < len(self._texts) else ordinal[0]

    def _begins_alike(self, first: Lead) -> bool:
        """Whether what follows the letter begins as the option's text does: "(A) No, ..." may deny nothing."""
        words, text = folded(first.tail).split(" "), self._texts.get(first.letter, "").split(" ")
        return words[0] == text[0]

    def _told(self, passage: str) -> list[str]:
        """The options whose number the sentence states; else those whose whole text it holds and does not deny."""
        return self._written(passage) or self._numbered(NUMBERS.sentence(passage)) or list(self._held(passage))

    def _written(self, passage: str) -> list[str]:
        """The options that are points, relations or terms with letters and stand behind the last verb with any."""
        if not self._formulas:
            return []
        text = _same_signs(mathematical(without_reason(passage)))
        for start in [*reversed([verb.end() for verb in VERB.finditer(text)]), 0]:
            if found := [one for one, formula in self._formulas.items() if formula.search(text, start)]:
                return found
        return []

    def _numbered(self, stated: Sequence[str]) -> list[str]:
        return [
            letter
            for letter, numbers in self._numbers.items()
            if any(same_number(one, other) for one in stated for other in numbers)
        ]

    def _held(self, passage: str) -> Iterator[str]:
        """Options by text, the longest first, so that "cat" is not found again in "black cat"."""
        words = f" {folded(passage)} "
        for letter, text in sorted(self._texts.items(), key=lambda option: -len(option[1])):
            if not text or self._numbers[letter]:
                continue
            pieces = words.split(f" {text} ")
            if any(not _denied(before, after) for before, after in pairwise(pieces)):
                yield letter
            words = " \n ".join(pieces)


def _denied(before: str, after: str) -> bool:
    """Whether a text of an option is denied by the folded words that stand before and after it."""
    return bool(_DENIED.search(f"{before} ") or _DENIED_AFTER.match(f" {after} "))


def _written_as(formula: str) -> re.Pattern[str]:
    """Finds a formula whatever its blanks, where it is no part of a longer one."""
    signs = " ?".join(map(re.escape, _same_signs(formula).replace(" ", "")))
    return re.compile(rf"(?<![\w.^\\=+*/-])(?<![=+*/-] ){signs}(?![\w^=+*/-])(?! [=+*/-])")


def _same_signs(formula: str) -> str:
    """A formula with one spelling of its relation signs."""
    return re.sub(r"\\([lg]e)q?(?![a-z])", r"\\\1", formula)
