"""What the roles are told and what is read from what they write; the prompts as Qwen2.5-VL really gets them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from transformers import AutoProcessor

from visplay.records import QUESTION_TYPES, UNANSWERABLE, Question
from visplay.roles import questioner, reasoner
from visplay.roles.questioner import parse

QUESTION = Question("q", "image", "numerical", "How many dogs are there?")


def written(kind: str, text: str, answer: str = "1") -> str:
    return f"<type>{kind}</type><question>{text}</question><answer>{answer}</answer>"


def rendered(base: Path, text: str) -> str:
    """One image and `text`, through the template that Qwen2.5-VL ships; trl keeps a copy of it."""
    package = find_spec("trl")
    assert package is not None and package.submodule_search_locations
    template = Path(package.submodule_search_locations[0], "chat_templates", "qwen2_5_vl.jinja").read_text()
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}
    processor = AutoProcessor.from_pretrained(base)
    return processor.apply_chat_template([message], chat_template=template, add_generation_prompt=True)


def test_the_questioners_whole_prompt(base: Path) -> None:
    expected = """\
<|im_start|>system
You are a helpful assistant.<|im_end|>
<|im_start|>user
<|vision_start|><|image_pad|><|vision_end|>Look at the image and write one question about it that is hard to answer \
but has a single correct answer that can be checked from the image alone. Do not ask about anything that the image \
does not show.

Choose one type:
- multiple_choice: either a yes/no question, or a question followed by its options as (A) ... (B) ... (C) ... (D) ...
- numerical: the answer is one number
- short_text: the answer is one word or a short phrase

Write exactly this and nothing else:
<type>the type</type><question>the question, with its options if it has any</question><answer>your answer</answer>\
<|im_end|>
<|im_start|>assistant
"""
    assert rendered(base, questioner.PROMPT) == expected


def test_the_reasoners_whole_prompt(base: Path) -> None:
    expected = """\
<|im_start|>system
You are a helpful assistant.<|im_end|>
<|im_start|>user
<|vision_start|><|image_pad|><|vision_end|>How many dogs are there?

Think step by step between <think> and </think>, then give the final answer in \\boxed{}: the letter of an option, \
yes or no, a number, or a few words. If the question cannot be answered from the image, answer \\boxed{unanswerable}.\
<|im_end|>
<|im_start|>assistant
"""
    assert rendered(base, reasoner.render(QUESTION)) == expected


def test_the_prompts_name_every_type_and_the_way_out() -> None:
    assert all(f"- {kind}: " in questioner.PROMPT for kind in QUESTION_TYPES)
    assert f"\\boxed{{{UNANSWERABLE}}}" in reasoner.PROMPT


def test_a_recipes_prompt_replaces_the_reasoners() -> None:
    assert reasoner.render(QUESTION, "{question}") == "How many dogs are there?"
    assert reasoner.render(QUESTION, "Q: {question} {A}") == "Q: How many dogs are there? {A}"


def test_braces_and_backslashes_in_a_question_stay() -> None:
    odd = Question("q", "image", "numerical", r"What is \frac{1}{2} of {question} {0} \1?")
    assert reasoner.render(odd, "{question}") == odd.text


def test_a_question_without_options() -> None:
    assert parse(written("numerical", "How many?", "3"), "image") == Question(
        "28e4679da3837f41", "image", "numerical", "How many?", (), "3"
    )


@pytest.mark.parametrize(
    "text, choices",
    [
        ("Is it red?", ()),
        ("Which? (A) red (B) blue", ("red", "blue")),
        ("Which? (A) red, (B) blue; (C) dark green", ("red", "blue", "dark green")),
        ("Which?(A)1(B)2(C)3(D)4", ("1", "2", "3", "4")),
    ],
)
def test_a_multiple_choice_question_has_no_options_or_two_to_four(text: str, choices: tuple[str, ...]) -> None:
    asked = parse(written("multiple_choice", text), "image")
    assert asked is not None and (asked.text, asked.choices) == (text, choices)


@pytest.mark.parametrize(
    "completion",
    [
        "<type>numerical</type>\n<question>How\n many?\t</question>\n\n<answer> 3 </answer>",
        "Sure: " + written("numerical", "How many?", "3") + "\nDone.",
        "<think>dogs</think>" + written(" numerical ", "How many?", "3"),
    ],
)
def test_spaces_and_what_stands_around_do_not_matter(completion: str) -> None:
    assert parse(completion, "image") == parse(written("numerical", "How many?", "3"), "image") is not None


def test_an_own_answer_may_be_empty() -> None:
    asked = parse(written("short_text", "Who?", " "), "image")
    assert asked is not None and asked.own_answer is None


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "How many dogs are there?",
        questioner.PROMPT,
        "<type>numerical</type><question>How many?</question>",
        "<type>numerical</type><question>How many?</question><answer>3",
        "<question>How many?</question><type>numerical</type><answer>3</answer>",
        "<type>numerical</type>and<question>How many?</question><answer>3</answer>",
        written("numerical", "How many?") * 2,
        written("numerical", "How many?") + "<type>numerical</type><question>And",
        written("numerical", "How many?") + "</answer>",
        written("numerical", "How many?</question> <question>And now?"),
        written("numerical", "How many <question>?"),
        written("numerical", "How many?", "3<answer>"),
    ],
)
def test_a_completion_of_another_shape_holds_no_question(completion: str) -> None:
    assert parse(completion, "image") is None


@pytest.mark.parametrize(
    "kind, text",
    [
        ("number", "How many?"),
        ("Numerical", "How many?"),
        ("", "How many?"),
        ("numerical", "  "),
        ("numerical", "How many? (A) 1 (B) 2"),
        ("short_text", "Which? (A) red (B) blue"),
        ("multiple_choice", "Which? (A) red"),
        ("multiple_choice", "Which? (B) red (C) blue"),
        ("multiple_choice", "Which? (A) red (C) blue"),
        ("multiple_choice", "Which? (B) red (A) blue"),
        ("multiple_choice", "Which? (A) red (B) red"),
        ("multiple_choice", "Which? (A) (B) blue"),
        ("multiple_choice", "Which? (A) red (B) ,"),
        ("multiple_choice", "Which? (A) a (B) b (C) c (D) d (A) e"),
        ("multiple_choice", "(A) red (B) blue"),
        ("numerical", "How many <|image_pad|>?"),
        ("numerical", "How many?<|im_end|>"),
    ],
)
def test_an_ill_shaped_question_is_none(kind: str, text: str) -> None:
    assert parse(written(kind, text), "image") is None


def test_an_id_names_image_type_and_text_whatever_the_own_answer() -> None:
    one = questioner.question("image", "numerical", "How many?", "3")
    same = questioner.question("image", "numerical", "How many?")
    others = [
        questioner.question("other", "numerical", "How many?"),
        questioner.question("image", "short_text", "How many?"),
        questioner.question("image", "numerical", "How much?"),
    ]
    assert one is not None and same is not None and one.id == same.id
    assert len({one.id, *(other.id for other in others if other)}) == 4
