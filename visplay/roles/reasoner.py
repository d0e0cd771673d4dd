"""The Reasoner: sees one image and one question, thinks, and answers in a box."""

from __future__ import annotations

from visplay.records import Question

PROMPT = """{question}

Think step by step between <think> and </think>, then give the final answer in \\boxed{}: the letter of an option, \
yes or no, a number, or a few words. If the question cannot be answered from the image, answer \\boxed{unanswerable}."""


def render(question: Question, prompt: str | None = None) -> str:
    """The user text that goes with the image; `prompt` is the recipe's, with `{question}` in it."""
    return (prompt or PROMPT).replace("{question}", question.text)
