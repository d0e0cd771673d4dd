"""A response as a text: what is said outside the thinking, what an <answer> or a box holds, its sentences.

Knows neither answers nor cues.
"""

from __future__ import annotations

import re

from visplay.labels.answers import after_thinking, boxed, undressed

_OPENS = r"<(?:final_)?answer>|\[answer\]|<\|begin_of_box\|>"
_CLOSES = r"</(?:final_)?answer>|\[/answer\]|<\|end_of_box\|>"
_TAG = re.compile(rf"(?:{_OPENS})(.*?)(?:{_CLOSES}|\Z)", re.IGNORECASE | re.DOTALL)
_INLINE = re.compile(r"</?(?:b|strong|i|em|u|span|mark|center)>|<\|[a-z_]+\|>", re.IGNORECASE)
_BLOCK = re.compile(r"</?(?:p|div|summary|caption|reasoning|conclusion)>|<br ?/?>", re.IGNORECASE)

_BLANKS, _LINES = re.compile(r"[^\S\n]+"), re.compile(r" ?\n\s*")
_MARKUP = re.compile(
    r"\*\*|__|```\w*|^ ?(?:#+|>+|[-*•]|\|) |(?<!\w)[*_](?=\w)|(?<=[\w.!)])[*_](?!\w)"
    r"|^[\u2600-\u2715\u2719-\u274b\u274d-\u27bf\U0001f300-\U0001faff\ufe0f]+ ?",  # an emoji that is no cross
    re.MULTILINE,
)

_NEXT_TURN = re.compile(r"(?<=\S)\s*\n\s*(?:human|user) ?:.*", re.IGNORECASE | re.DOTALL)
_COURTESY = re.compile(r"(?:certainly|absolutely|of course|definitely|sure)! (?=[A-Z])", re.IGNORECASE)
_HEADING = re.compile(
    r"^(?:(?:detailed|step[- ]by[- ]step) )?(?:solution|analysis|explanation|reasoning|approach|overview|observations?"
    r"|step [0-9]+) ?:?\n",
    re.IGNORECASE | re.MULTILINE,
)

_STOP = re.compile(r"[.!?;]+[\"')\]]*(?=\s|$)|\n+")
_NO_STOP = re.compile(r"(?:(?:^|[A-Z]\w{0,15}\.? )[A-Z]|\b(?:approx|ca|vs|e\.g|i\.e|etc|Dr|Mr|Mrs|Ms|St|Fig|Eq|sq))\.$")
_OPEN_END = re.compile(
    r"\w[^\n]* (?:is|are|was|were|be|the|an|of|at|in|on|to|and|or|with|for|by|from|that|which|we|as|so|because|since"
    r"|then|between|than|but|=|\+)$"
)
_CLOSED_END = re.compile(r"[.!?:)\]}\"'’”°%]$")
_REFUSAL = re.compile(
    r"(?:\b(?:can't|cannot|can not|couldn't|could not|unable to|(?:not|im)possible to|not able to|hard to|difficult to)"
    r" (?:be )?(?:accurately |reliably |definitively )?(?:determined?|answer(?:ed)?|tell|say|see|identif(?:y|ied)|read"
    r"|know|help|assist)\b"
    r"|\b(?:is|it's|seems|remains) (?:unclear|unknown|undetermined|unanswerable|uncertain)\b|\b(?:don't|do not) know\b"
    r"|\b(?:not |un)(?:sure|certain)\b|\bno (?:idea|clue|conclusion|way (?:to|of))\b"
    r"|\bnot enough (?:information|data)\b|\b(?:have|need) to (?:see|know)\b|\bnot (?:visible|shown|provided)\b)",
    re.IGNORECASE,
)


def spoken(response: str) -> str:
    """What a response says outside <think>, without markup, one blank between words, lines kept."""
    text = _BLOCK.sub("\n", _INLINE.sub("", _said(response)))
    text = _LINES.sub("\n", _BLANKS.sub(" ", text.replace("。", ". ")))
    text = _COURTESY.sub("", _MARKUP.sub("", undressed(text)).strip(), count=1)
    return _HEADING.sub("", text)


def wrapped(response: str) -> str | None:
    """What the last <answer> or its like holds, or a box in it, else the last box; None when there is neither."""
    said = _said(response)
    if not (tags := _TAG.findall(said)):
        return boxed(said)
    inside = re.split(_OPENS, tags[-1], flags=re.IGNORECASE)[-1]
    return boxed(inside) or _INLINE.sub("", inside)


def _said(response: str) -> str:
    """What is said outside <think>, up to a next turn of the talk, which a model has made up."""
    return _NEXT_TURN.sub("", after_thinking(response))


def sentences(text: str) -> list[str]:
    """The sentences of a text, cut at lines and full stops, not at initials or abbreviations; "" for a question."""
    found, start = [], 0
    for stop in _STOP.finditer(text):
        end = stop.end()
        if stop[0] == "." and text[end : end + 1] == " " and _NO_STOP.search(text[max(start, end - 20) : end]):
            continue
        if sentence := text[start:end].strip(" \n;"):
            found.append("" if "?" in stop[0] else sentence)
        start = end
    return [*found, last] if (last := text[start:].strip()) else found


def first_sentence(text: str) -> str:
    """The first sentence; "" for a question and for nothing."""
    return next(iter(sentences(text)), "")


def breaks_off(sentence: str) -> bool:
    """Whether a last sentence ends on a word that asks for more."""
    return bool(_OPEN_END.fullmatch(sentence))


def is_unclosed(parts: list[str]) -> bool:
    """Whether a text in full sentences ends in the middle of one: it may have been cut off."""
    return (
        len(parts) > 1 and parts[-2].endswith(".") and len(parts[-1].split()) > 3 and not _CLOSED_END.search(parts[-1])
    )


def refuses(sentence: str) -> bool:
    """Whether a sentence says that there is no answer to give."""
    return bool(_REFUSAL.search(sentence))
