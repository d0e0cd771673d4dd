"""The words by which a response announces its answer ("the answer is"), concludes ("so"), or takes something back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from visplay.evaluation.reading.sentences import first_sentence

_MOST = 20  # cues, from the end; a response that goes round in circles is not followed further
_REACH = 600  # characters after a cue

_ANSWER = (
    r"\b(?:answers?|conclusion(?= ?:)"
    r"|(?:correct|right|best|final|my|suitable|matching) (?:option|choice|letter|solution|result|value))\b"
    r"(?: (?:to|for|of|in|from|here|choice|option|letter|would|should|must|will|that|I|we|therefore|thus|then|hence"
    r"|most|clearly|probably|likely|now)\b[^.\n:;?!]{0,80}?)?"
    r"(?: (?:is|are|be|was|seems|becomes)\b|[\"'*_) ]*[:=]| ->? | ?→|\n)"
)
_CHOOSE = (
    r"\b(?:I|we|let's|I'd|I'll|we'll|but|so|to)(?: (?:would|will|must|should|can|therefore|thus|hence|have to))*"
    r" (?:choose|pick|select|go with|go for|opt for|lean towards?|answer|conclude)\b(?: that)?"
)
_LIKELY = (
    r"\b(?:most (?:likely|probable|appropriate|suitable|accurate)(?: [\w'’/-]+){1,15}? (?:is|are)"
    r"|correct(?: [\w'’/-]+){1,3}? is|most likely (?:to be|due to|caused by|associated with))\b"
)
_FOREIGN = (
    r"\b(?:respuesta|réponse|risposta|resposta|antwort)(?: (?:correcta|correcte|corretta|correta|finale?))?"
    r"(?: (?:es|est|è|é|ist|lautet)\b| ?:)(?: (?:la|a|o|il|die|der)\b)?"
    r"(?: (?:letra|lettre|lettera|opción|opção|option)\b)?"
    r"|(?:答案|故选|选择|选项?|正解|答え|정답)(?:是|为|选|は|은)?"
)
_BEFORE_ANSWER = re.compile(rf"(?:{_ANSWER}|{_CHOOSE}|{_LIKELY}|{_FOREIGN})[\s:=\"'`>]*(?:that\b)? ?", re.IGNORECASE)
_AFTER_ANSWER = re.compile(
    r" (?:is|are|must be|would be|should be) (?:(?:the|our|my|therefore|thus|clearly|indeed|most|only|then) )*"
    r"(?:(?:final|correct|right|better|best|suitable|appropriate|accurate) (?:answers?|options?|choices?|one)"
    r"|answers?|correct|right|best)\b(?! (?:if|unless|only if|to|for|because|here)\b)",
    re.IGNORECASE,
)
_UNREAL, _CONDITION = re.compile(r"\b(?:would|might|could)\b", re.IGNORECASE), re.compile(r"\b(?:if|unless|had)\b")
_CLAUSE_END = re.compile(r"[.\n;:!?]|,? \b(?:but|so|while) ")
_NOT_MEANT = re.compile(
    r"(?:\b(?:if|suppose|assume|assuming|whether|had|doubt|unlikely|students?(?:'s)?)\b[^.\n]*"
    r"|\b(?:some|many|most|one|you) (?:\w+ )?(?:may|might|would|could) (?:say|think|answer)\b[^.\n]*"
    r"|(?:\b(?:not|never|no longer)|n['’]t)\b (?:\w+ ){0,3}(?:think|believe|say|true|sure|agree|conclude|mean|case)\b"
    r"[^.\n,]*"
    r"|\b(?:an|each|every|any|no|wrong|incorrect|possible|other|first|initial|original) )$",
    re.IGNORECASE,
)

_SO = re.compile(
    r"(?:(?:^|[.,;:!?\n(—-] ?|\b(?:and|but) )(?:so|thus|therefore|hence|consequently|accordingly|finally|overall"
    r"|however|altogether|final|in (?:total|conclusion|summary|all)"
    r"|based on (?:this|the|these|my|all)\b[^,.\n]{0,40},)"
    r"|\b(?:therefore|thus|leaving|(?:which|this|that) (?:means|gives|makes|leaves)|(?:we|I) (?:get|find|obtain)"
    r"|(?:it|this|that|there) must be|but (?:it|this|that) is|total:"
    r"|(?:total|together)\b[^.\n]{0,40}? (?:is|are|gives?|makes|comes to)"
    r"|(?:add|summ|count|comput|multiply|divid|subtract|calculat)ing\b[^.\n]{0,60}? (?:gives?|yields?|makes|is|are)"
    r"|(?:I|we) (?:think|believe|guess|would say)|I'd say)|⇒|\\Rightarrow|\\implies|\\therefore|∴)(?!\w)",
    re.IGNORECASE | re.MULTILINE,
)
_RESULT = re.compile(
    r"(?:[^,.]{0,60}, )?(?:the|its|their|our|my|this|that|there|(?-i:[A-Z]{1,4}))\b.* ?"
    r"\b(?:is|are|was|were|equals|measures|must be|=) ",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"\b(?:wait|actually|correction|on second thought|hold on|scratch that|let me (?:re|double|check)|hmm|sorry|oops"
    r"|(?:I|we) made an? (?:mistake|error))\b[ ,.:;!—\n]*",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"(?:(?:no|but),? )?(?:that|this|it)(?:(?: is|['’]s| was) (?:wrong|incorrect|false|a mistake|not (?:right|correct))"
    r"|(?: is| was)n['’]t (?:right|correct)|(?: does not| doesn['’]t) (?:seem|look|sound|make|match|add|fit)"
    r"|(?: cannot| can['’]t) be (?:right|correct))\b",
    re.IGNORECASE,
)

_LEAD_IN = re.compile(
    r"^(?:[\s,:;\"'—→]|-(?![0-9.$\\])|=?>)*"
    r"(?:(?:and|so|that|then|therefore|thus|hence|clearly|simply|just|most likely|likely|probably|definitely|indeed"
    r"|actually|well|okay|ok|final|it must be|I would say|I'd say|I think|I believe|I mean|I meant)\b[\s,:]*)*",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"[ ,;:(—-]*\b(?:because|since|as (?:it|the|there|this|that|shown|can)|while|whereas|given that|due to|although"
    r"|even though|which|where|for the reason)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_REASON_FIRST = re.compile(r"(?:since|because|as|given that|although|while) [^,]*, ", re.IGNORECASE)
_ASIDE = re.compile(r"(?<=\S) \((?![A-Za-z]\)|or\b|and\b|[-+0-9.]+ ?, ?[-+0-9.]+ ?\))[^()]*\)")  # no point


def announced(text: str) -> Iterator[tuple[str, str]]:
    """For each cue, the last first: the line and the sentence after it; twice what stands before "is correct"."""
    cues = [*_BEFORE_ANSWER.finditer(text), *_AFTER_ANSWER.finditer(text)]
    for cue in sorted(cues, key=lambda match: match.start(), reverse=True)[:_MOST]:
        before = _CLAUSE_END.split(text[max(0, cue.start() - 200) : cue.start()])[-1]
        if _NOT_MEANT.search(before):
            continue
        after = text[cue.end() : cue.end() + _REACH]
        if cue.re is _AFTER_ANSWER:
            yield before, before
        elif (first := first_sentence(after)) and not (_UNREAL.search(cue[0]) and _CONDITION.search(first)):
            yield after.partition("\n")[0], first


def concluded(text: str) -> Iterator[str]:
    """What follows "so", "therefore", "we get", the last first."""
    for match in reversed(list(_SO.finditer(text))[-_MOST:]):
        yield first_sentence(text[match.end() : match.end() + _REACH])


def is_result(last: str, before: str) -> bool:
    """Whether a last sentence says what something comes to.

    "The difference is 5.", "10/2 = 5", and "x = 5" after "3x = 15".
    """
    left, name = last.rpartition("=")[0], last.partition("=")[0].strip().rpartition(" ")[2]
    solved = name and name in before.partition("=")[0] and name != before.partition("=")[0].strip()
    return bool(_RESULT.match(last) or (left and (solved or re.search("[-+*/×÷^−]", left))))


def corrected(text: str) -> str:
    """What is said after the last "wait" or "actually" behind every cue; "" where nothing is taken back."""
    last = max((match.end() for match in _BEFORE_ANSWER.finditer(text)), default=0)
    withdrawn = [match.end() for match in _WITHDRAWN.finditer(text, last)]
    return text[withdrawn[-1] :] if withdrawn else ""


def retracted(later: str) -> str | None:
    """What follows "that is wrong" at the beginning of second thoughts; None where they do not begin so."""
    found = _RETRACTED.match(later)
    return later[found.end() :] if found else None


def without_reason(passage: str) -> str:
    """A passage without its lead-in ("so", "that"), its asides in brackets and the reasons after "because"."""
    text = _LEAD_IN.sub("", passage)
    if reason := _REASON_FIRST.match(text):
        text = text[reason.end() :]
    return _ASIDE.sub("", _REASON.sub("", text) or text).strip()
