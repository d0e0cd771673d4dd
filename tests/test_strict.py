"""The strict protocol against a careful human reader: each line is a response and what such a reader takes from it."""

import subprocess
import sys

import pytest

from visplay.evaluation.strict import judge_strictly

NUMBERS = ("5", "7", "12", "20")
ANIMALS = ("dog", "cat", "a red bird", "black cat")
LENGTHS = (r"$\frac{1}{2}$ cm", r"$5\sqrt{2}$ cm", "30°", "$7")
POINTS = ("B", "A", "Both", "Neither")


def chosen(response: str, choices: tuple[str, ...] = NUMBERS) -> str | None:
    return judge_strictly(response, ["A"], "choice", choices).answer


def yes_or_no(response: str) -> str | None:
    return judge_strictly(response, ["yes"], "yes_no").answer


def number_is(response: str, gold: str) -> bool | None:
    """None when the response states no number."""
    verdict = judge_strictly(response, [gold], "number")
    return verdict.correct if verdict.answer is not None else None


def text_is(response: str, gold: str) -> bool | None:
    verdict = judge_strictly(response, [gold], "text")
    return verdict.correct if verdict.answer is not None else None


@pytest.mark.parametrize(
    "response",
    [
        "B",
        "b",
        "B.",
        "(B)",
        "(b)",
        "b)",
        "[B]",
        "B)",
        "B:",
        "**B**",
        "*B*",
        "`B`",
        '"B"',
        "__B__",
        "$B$",
        "Option B",
        "choice b",
    ]
    + ["**(B)**", "**B.**", "# B", "> B", "- B", "B\n", "B) 7", "B. 7", "(B) 7", "B: 7", "B - 7", "**B) 7**", "B) 9"]
    + ["7", "seven", "7.0", "**7**", "It is 7.", "There are 7 apples.", "The picture shows seven apples."]
    + [r"\boxed{B}", r"\boxed{\text{B}}", r"\boxed{\textbf{(B)}\ 7}", r"\boxed{7}", r"$\boxed{B}$", r"\boxed{B) 7}"]
    + ["<answer>B</answer>", "<ANSWER> (B) 7 </ANSWER>", r"<answer>\boxed{B}</answer>", "<answer>Option B</answer>"]
    + [
        r"A has \boxed{12}, so \boxed{B}",
        "<answer>A</answer> no, <answer>B</answer>",
        "The answer is A. <answer>B</answer>",
    ]
    + ["<think>A \\boxed{A}</think>B", "<think>So A.</think>\n\nThe answer is B."],
)
def test_a_letter_is_read_in_any_dress(response: str) -> None:
    assert chosen(response) == "B"


@pytest.mark.parametrize(
    "response",
    [
        "The answer is B",
        "The answer is b.",
        "Answer: B",
        "answer = B",
        "**Answer:** B",
        "**Answer**: **B**",
        "Answer - B",
    ]
    + ["### Answer\n\nB", "## Final Answer:\n**(B) 7**", "Final answer: B\n\nA is too small.", 'So: {"answer": "B"}']
    + [
        "The correct option is (B).",
        "The correct answer choice is B",
        "The answer would be: B",
        "I choose B.",
        "I'd go with B",
    ]
    + [
        "The answer to the question is therefore B.",
        "My answer is B because A is too small.",
        "B is the correct answer.",
    ]
    + [
        "B is correct.",
        "(B) is right; (A) is not.",
        "Option B is the best choice",
        "So 7 is the answer.",
        "The answer is 7.",
    ]
    + ["The answer is option B, not A.", "The answer is not A but B.", "The answer is not A; the answer is B."]
    + ["A: too few. C: too many. Thus, the answer is B.", "The answer is A. Wait, I miscounted. The answer is B."]
    + ["The answer is A. Wait, that is wrong: it is B.", "I choose A. Hmm, that doesn't match. I will go with B."]
    + ["Is the answer A? No. The answer is B.", "If the answer were A, there would be 5. The answer is B."]
    + [
        "I first thought A, then C, therefore B.",
        "A is 5 and C is 12, so it must be B.",
        "We select (B).",
        "The answer is B. If the answer is A, a row is too short.",
    ],
)
def test_an_explicit_cue_names_the_answer(response: str) -> None:
    assert chosen(response) == "B"


@pytest.mark.parametrize(
    "response",
    [
        "Not A, but B.",
        "It is B, not A.",
        "A is wrong. C is wrong. D is wrong. B.",
        "A is too small, B fits.",
        "A and C are wrong, B fits.",
    ]
    + ["B. A is too small and C is too large.", "B, because A is too small.", "B (A is too small)", "B, not C"]
    + ["B\n\nExplanation: option A counts only the red ones.", "Neither A nor C. B.", "A isn't right, so B."]
    + ["I think B.", "I would say B", "A quick look at the picture shows 7.", "Counting a row at a time, I get 7."]
    + ["It's not A, it's B.", "It's definitely not A or C; D is wrong too, leaving B.", "B rather than C", "D? No, B."]
    + [
        "I'm torn between A and C but choose B.",
        "A. No\nB. Yes\nC. No",
        "A: no. B: yes. C: no. D: no.",
        "Maybe B",
        "B?",
    ]
    + ["A. 5\nB. 7\nC. 12\nD. 20\n\nB", "A is incorrect because... C is incorrect because... B is correct because ..."]
    + ["3 + 4 = 7", "There are 3 red ones and 4 green ones, so 7.", "It can't be A, C or D. It is B."],
)
def test_negations_articles_and_explanations_do_not_hide_the_letter(response: str) -> None:
    assert chosen(response) == "B"


@pytest.mark.parametrize(
    "response",
    [
        "",
        " ",
        "...",
        "not B",
        "It is not B.",
        "The answer is not B.",
        "A or B",
        "A and B",
        "A, B",
        "Either A or B.",
        "A/B",
    ]
    + ["The answer is A or B.", "The answer is either (A) or (B)", r"\boxed{A, B}", r"\boxed{\text{A and B}}", "(A)(B)"]
    + [
        "I do not know.",
        "I cannot tell.",
        "A picture of a dog.",
        "I see a dog.",
        "Options: A, B, C, D",
        "E",
        "(E)",
        "8",
    ]
    + [r"\boxed{B) 12}", r"\boxed{E}", "<answer>I do not know</answer>", "<think>The answer is B", "<think>B</think>"]
    + ["neither", "None of the above", "Both A and B are correct.", "not (B) 7", "It is 5 or 7.", r"\boxed{not B}"]
    + ["A: five\nB: seven\nC: twelve", "It could be A. It could be B.", "The answer is unclear."]
    + ["B or maybe C", "B (or C)", "A\nB", "B is not correct"]
    + ["Option B is tempting, but it ignores the 3.", "B would be correct if the angle were 90°.", "Anything but B."]
    + ["I was going to say B.", "The probability P(B) is 3/8."]
    + ["The answer is B. Hmm, that is not right.", "**Answer: B**\n\nWait, that can't be right, since"],
)
def test_no_letter_or_several_is_unparsed(response: str) -> None:
    assert chosen(response) is None


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("A", "A"),
        ("a", "A"),
        ("A cat", "B"),
        ("a dog", "A"),
        ("It is a cat.", "B"),
        ("The answer is a cat.", "B"),
        ("The animal in the picture is a black cat.", "D"),
        ("A red bird", "C"),
        ("the red bird", "C"),
        ("It is not a dog. It is a cat.", "B"),
        ("It's a cat, not a dog.", "B"),
        ("I see a dog.", "A"),
        ("A bird is red. A red bird is shown.", "C"),
        ("A dog and a cat.", None),
        ("category", None),
        ("A) dog", "A"),
        ("A) cat", None),
    ],
)
def test_the_text_of_an_option_names_it(response: str, letter: str | None) -> None:
    assert chosen(response, ANIMALS) == letter


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        (r"\boxed{\frac{1}{2}}", "A"),
        ("The length is 0.5 cm.", "A"),
        (r"The length is $5\sqrt{2}$.", "B"),
        (r"\boxed{\text{B. } 5\sqrt{2}\text{ cm}}", "B"),
        ("30 degrees", "C"),
        (r"Angle B is $30^\circ$.", "C"),
        ("D. $7", "D"),
        ("It costs 7 dollars", "D"),
        ("2", None),
    ],
)
def test_options_are_numbers_with_units_too(response: str, letter: str | None) -> None:
    assert chosen(response, LENGTHS) == letter


def test_a_letter_is_the_option_before_it_is_an_options_text() -> None:
    assert chosen("A", POINTS) == "A"
    assert chosen("The answer is B.", POINTS) == "B"
    assert chosen("Neither", POINTS) == "D"


@pytest.mark.parametrize("dress", ["{}", "\\boxed{{{}}}", "<answer>{}</answer>", "The answer is {} because it is."])
def test_a_minus_belongs_to_its_option(dress: str) -> None:
    signed = ["-5", "5", "10", "-10"]
    assert [chosen(dress.format(text), signed) for text in signed] == ["A", "B", "C", "D"]
    assert chosen(dress.format("(A) -5"), signed) == "A"


def test_a_whole_option_in_a_box_is_read_as_it_stands() -> None:
    books = ["Moby-Dick by Herman Melville (1851)", "Emma", "All of (1), (2) and (3)"]
    assert [chosen(f"\\boxed{{{book}}}", books) for book in books] == ["A", "B", "C"]


def test_a_turn_that_the_model_has_made_up_is_not_read() -> None:
    assert chosen("The answer is B.\n\nHuman: And this one?\nAssistant: The answer is A.", ["one", "two"]) == "B"


def test_without_options_letters_are_read_all_the_same() -> None:
    assert judge_strictly("So the answer is (D).", ["D"], "choice").correct
    assert judge_strictly("I think so.", ["I"], "choice").answer is None
    assert judge_strictly("7", ["A"], "choice").answer is None


def test_the_letter_i_is_no_pronoun_where_it_stands_alone() -> None:
    nine = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert chosen("I", nine) == "I"
    assert chosen("(I)", nine) == "I"
    assert chosen("The answer is I.", nine) == "I"
    assert chosen("I am sure it is C.", nine) == "C"


@pytest.mark.parametrize(
    "response",
    [
        "Yes",
        "yes.",
        "YES",
        "**Yes**",
        "Yes, there is a cat.",
        "Yes there is",
        "True",
        r"\boxed{\text{Yes}}",
        "The answer is yes.",
    ]
    + ["<answer>yes</answer>", "Answer: Yes, because no line is bent.", "No line is bent. So the answer is yes."]
    + ["Is there a cat, yes or no? Yes.", "The statement is true.", "That is correct.", "Yes, there is no dog."]
    + ["I would say yes.", "No... wait, the left one is longer. Yes.", "It is not false."]
    + [
        "Yes — it is.",
        "That's correct",
        "It's true that the left line is longer.",
        "Of course",
        "Yes, but no one knows why.",
    ],
)
def test_yes(response: str) -> None:
    assert yes_or_no(response) == "yes"


@pytest.mark.parametrize(
    "response",
    [
        "No",
        "no.",
        "**No**.",
        "No, there is none.",
        "False",
        "Nope",
        r"\boxed{no}",
        "The answer is no.",
        "There is no cat.",
    ]
    + [
        "The statement is false.",
        "This is not correct.",
        "It is not true.",
        "No, yesterday it was longer.",
        "Answer: no",
    ]
    + [
        "Not really",
        "Definitely not.",
        "There isn't a cat.",
        "There's no sign of it.",
        "Well, no.",
        "The claim is wrong.",
    ]
    + ["No cat is visible.", "Yes... wait, they are equal. So the answer is no."],
)
def test_no(response: str) -> None:
    assert yes_or_no(response) == "no"


@pytest.mark.parametrize(
    "response",
    [
        "",
        "Maybe",
        "yes and no",
        "Yes or no?",
        "I know this.",
        "No idea.",
        "I have no idea",
        "not sure",
        "It is unclear.",
    ]
    + ["The left line.", "Now we look at the notes.", "A", "<think>yes</think>", "eyes"]
    + ["Yes\nNo", "No. Yes.", "There is not enough information.", "yes/no", "I doubt that it is true."],
)
def test_neither_yes_nor_no(response: str) -> None:
    assert yes_or_no(response) is None


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("12", "12"),
        ("12.0", "12"),
        ("twelve", "12"),
        ("**12**", "12"),
        ("12 cm", "12"),
        ("12", "12 cm"),
        ("12 centimeters", "12 cm"),
        ("2 million", "2000000"),
        ("2,000,000", "2 million"),
        (".12", "0.12"),
        ("0.12", ".12"),
        ("12%", "12"),
        ("12 percent", "12%"),
        ("0.12", "12%"),
        ("12%", "0.12"),
        (r"\boxed{\frac{1}{64}}", "1/64"),
        ("1/64", r"\frac{1}{64}"),
        ("1/64", r"$\dfrac{1}{64}$"),
        ("−5", "-5"),
        ("x = -5", "-5"),
        ("½", "0.5"),
        ("45°", r"45^{\circ}"),
        ("45 degrees", "45°"),
        ("45", r"$45^\circ$"),
        ("090° T", r"090^\circ T"),
        ("90 degrees", r"090^\circ T"),
        ("113.1 cm²", r"Area $=113.1 \mathrm{~cm}^{2}$"),
        ("The area is 113.1 square centimeters.", r"Area $=113.1 \mathrm{~cm}^{2}$"),
        ("The area is about 113.097 cm².", "113.1"),
        (r"5\sqrt{2}", r"5\sqrt{2}"),
        ("5√2", r"5\sqrt{2}"),
        (r"\boxed{\sqrt{50} \text{ cm}}", r"5\sqrt{2}"),
        ("16π", r"16\pi"),
        ("16*pi", r"16 \pi"),
        ("$5", "5"),
        ("5 dollars", "$5"),
        ("There are 12 apples in the picture.", "12"),
        ("There are twelve.", "12"),
        ("The total of the 3 rows is 12.", "12"),
        ("5 + 7 = 12", "12"),
        ("5 + 7 = 12 apples", "12"),
        ("There are 5 red and 7 green ones, so there are 12 in total.", "12"),
        ("First, 5 red ones. Then 7 green ones. Therefore 12.", "12"),
        ("12\n\nI counted 5 red ones and 7 green ones.", "12"),
        ("It is not 10 but 12.", "12"),
        ("It is not 10. It is 12.", "12"),
        ("The answer is 10. Wait, I missed two. The answer is 12.", "12"),
        ("The answer is 10. Wait, that's not right. 5 + 7 = 12.", "12"),
        ("Sales in 2019 reached about 2 million units.", "2000000"),
        ("In 2019 the share rose to 12%.", "12%"),
        (r"Avogadro's number: $6.02 \times 10^{23}$", "6.02e23"),
        ("It carries 1.6 × 10^-19 C of charge.", "1.6e-19"),
        (r"The probability is $\frac{1}{64}$.", "1/64"),
        (r"\[ x = \frac{24}{2} = 12 \]", "12"),
        ("**Answer:** approx. 12 cm", "12"),
        ("The answer is 12 (5 red and 7 green).", "12"),
        ("The answer is 12, since 5 + 7 = 12.", "12"),
        (r"\boxed{x = 12}", "12"),
        ("12", "x = 12"),
        ("1,000", "1000"),
        (r"1{,}000", "1000"),
        ("(3, 4)", "(3,4)"),
        ("3:4", "3:4"),
        (r"\angle ABC = 45^\circ", "45"),
        ("AB = 12", "12"),
        ("12 units", "12 cm"),
        ("So 12 is the answer.", "12"),
        ("1 000", "1000"),
        ("There are no dogs.", "0"),
        ("There are 3 rows of 4 apples each, giving 12 apples.", "12"),
        ("The first row has 5. The second has 7. Adding them gives 12.", "12"),
        ("The first row has 5. The second has 7. 5 + 7 = 12.", "12"),
        ("1/3 ≈ 0.333", "1/3"),
        ("0.125", "0.13"),
        ("1/3 ≈ 0.333", "0.333"),
        (r"\boxed{16\pi}", "50.27"),
        ("The ratio is 3:4.", "3:4"),
        ("In 2015", "2015"),
        ("The 3rd one is 12 cm long.", "12"),
        ("45º", "45"),
        ("5 kilometers per hour", "5 km/h"),
        ("12 cubic centimeters", r"12 \mathrm{~cm}^{3}"),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"),
        (r"x^2+2x+1", "(x+1)^2"),
    ],
)
def test_the_same_number(response: str, gold: str) -> None:
    assert number_is(response, gold) is True


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("11/64", "1/64"),
        (r"\frac{11}{64}", "1/64"),
        ("1/64", "11/64"),
        ("12", "1"),
        ("112", "12"),
        ("12 m", "12 cm"),
        ("12 cm", "12 cm²"),
        ("-12", "12"),
        ("1.2", "12"),
        ("2", "2 million"),
        ("0.12", "12"),
        ("113.2", "113.1"),
        ("3.4", "3"),
        ("0.3", "0.33"),
        ("16", r"16\pi"),
        (r"16\pi", "16"),
        ("There are 12 apples.", "5"),
        ("5 + 7 = 12", "5"),
        ("(4, 3)", "(3, 4)"),
        ("4:3", "3:4"),
        ("$5", "5 cm"),
        ("12 + 1 = 13", "12"),
        ("16.5", "16"),
        ("0.125", "0.12"),
        ("x = 12 m", "12 cm"),
        (r"5\sqrt{2} \text{ m}", r"5\sqrt{2} \text{ cm}"),
        ("9^{9^{9^{9}}}", r"\sqrt{2}"),
    ],
)
def test_another_number(response: str, gold: str) -> None:
    assert number_is(response, gold) is False


@pytest.mark.parametrize(
    "response",
    [
        "",
        "not 10",
        "It is not 10.",
        "The answer is not 10",
        "10 or 12",
        "10-12",
        "between 10 and 12",
        "many",
        "I do not know.",
    ]
    + [
        "The answer is 10 or 12.",
        r"\boxed{\text{unknown}}",
        "<answer></answer>",
        "<think>10</think>",
        "<think>It is 10",
    ]
    + ["10 is wrong", "Over 10", r"$x \neq 10$", "It is below 10."]
    + ["The answer is 10. Wait, that's not right. Let me count again."]
    + ["no one", "5 red ones and 7 green ones", "It could be 10. It could be 12."]
    + ["x = 10 or x = -10", "more than 10", "at least 10", "10 to 12", "There are 10 apples and 12 pears."],
)
def test_no_number_or_several_is_unparsed(response: str) -> None:
    assert number_is(response, "10") is None


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("cat", "cat"),
        ("A cat.", "cat"),
        ("The cat", "cat"),
        (r"\boxed{\text{cat}}", "Cat"),
        ("The animal is a cat.", "cat"),
        ("It's a cat.", "cat"),
        ("The answer is a cat.", "cat"),
        ("Answer: cat", "a cat"),
        ("It is a cat, because of the whiskers.", "cat"),
        ("The picture shows a cat.", "cat"),
        ("The animal shown in the picture is a cat sitting on a mat.", "cat"),
        ("Paris. It is the capital of France.", "Paris"),
        ("Therefore, the city is Paris.", "Paris"),
        ("The walls are thick. So the building is a castle.", "castle"),
        ("St. Louis", "St Louis"),
        ("World War II (1939-1945)", "World War II"),
        ("two dogs", "2 dogs"),
        ("12", "twelve"),
        ("x=3, y=4", "x = 3, y = 4"),
        ("3/4", "3/4"),
        ("U.S.A.", "USA"),
        ("The cat is black", "the cat is black"),
        ("The answer is the Battle of Hastings (1066).", "Battle of Hastings"),
        ("x+1", "x + 1"),
        ("The equation of the line is y = 2x + 1.", "y=2x+1"),
        ("The capital is Paris. It lies on the Seine.", "Paris"),
        ('The sign says "STOP".', "stop"),
        ('The answer is "Mona Lisa" by da Vinci.', "Mona Lisa"),
        ("The landmark is the Eiffel Tower, located in Paris.", "Eiffel Tower"),
    ],
)
def test_the_same_text(response: str, gold: str) -> None:
    assert text_is(response, gold) is True


@pytest.mark.parametrize(
    ("response", "gold"),
    [
        ("category", "cat"),
        ("not a cat", "cat"),
        ("It is not a cat.", "cat"),
        ("no cat", "cat"),
        ("cat or dog", "cat"),
        ("The answer is a cat or a dog.", "cat"),
        ("black cat", "cat"),
        ("cat", "black cat"),
        ("dog", "cat"),
        ("cup of tea", "cup"),
        ("The dog looks at a cat.", "cat"),
        ("x-1", "x+1"),
        ("y = -x", "y = x"),
        ("The cat is chasing the dog.", "dog"),
        ("red, white and blue", "red"),
        ("London, not Paris", "Paris"),
        ("It isn't Paris.", "Paris"),
    ],
)
def test_another_text(response: str, gold: str) -> None:
    assert text_is(response, gold) is not True


@pytest.mark.parametrize(
    "response",
    [
        "",
        "?",
        "I do not know.",
        "I don't know",
        "unknown",
        "It cannot be determined.",
        "N/A",
        "I'm not sure.",
        "Sorry, I can't help.",
    ],
)
def test_no_text_is_unparsed(response: str) -> None:
    assert text_is(response, "cat") is None


def test_any_of_the_golds_is_right() -> None:
    assert judge_strictly("two", ["1", "2"], "number").correct
    assert judge_strictly("automobile", ["car", "automobile"], "text").correct
    assert not judge_strictly("bus", ["car", "automobile"], "text").correct


def test_what_is_unparsed_is_wrong() -> None:
    verdict = judge_strictly("I do not know.", ["A"], "choice", NUMBERS)
    assert (verdict.answer, verdict.correct) == (None, False)


def test_several_letters_are_one_answer_where_the_gold_has_several() -> None:
    for response in ("B and C", r"\boxed{B, C}", "B\nC", "The answers are (B) and (C)."):
        assert judge_strictly(response, ["C\nB"], "choice", NUMBERS) == ("B, C", True)
    assert judge_strictly("B", ["B and C"], "choice", NUMBERS) == ("B", False)
    assert judge_strictly("B and C", ["B"], "choice", NUMBERS) == (None, False)


@pytest.mark.parametrize("ending", ["so the area is", "which is the sum of", "and the other one is 5 plus"])
def test_a_response_that_breaks_off_has_not_concluded(ending: str) -> None:
    assert number_is(f"The radius is 6 cm, {ending}", "6") is None
    assert number_is(f"The answer is 6 cm. It follows from the radius, {ending}", "6") is True


def test_a_gold_letter_may_be_dressed() -> None:
    assert judge_strictly("B", [" (B) "], "choice", NUMBERS).correct
    assert judge_strictly("No", ["False"], "yes_no").correct


def test_hostile_responses_are_read_in_linear_time() -> None:
    for piece in (
        "(",
        "the answer is ",
        "$",
        "\\boxed{",
        "= ",
        "A or ",
        "not ",
        "1,",
        " ",
        "so ",
        "\\frac{",
        "is a ",
        "B ",
    ):
        for kind in ("choice", "yes_no", "number", "text"):
            judge_strictly(piece * (20_000 // len(piece)), ["A"], kind, NUMBERS if kind == "choice" else ())


def test_scoring_loads_no_model_library() -> None:
    code = "import sys, visplay.evaluation.strict; print(sorted({'torch', 'transformers', 'sympy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
