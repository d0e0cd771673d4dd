from fractions import Fraction

import pytest

from visplay.labels.measures import Measure, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("+12", 12),
        ("- 12.50", Fraction(-25, 2)),
        (".5", Fraction(1, 2)),
        ("1,234,567", 1234567),
        ("1.000", 1),
        ("3/4", Fraction(3, 4)),
        ("-3 / 4", Fraction(-3, 4)),
        ("11/64", Fraction(11, 64)),
        ("1 1/64", Fraction(65, 64)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"\dfrac34", Fraction(3, 4)),
        (r"1\frac{1}{64}", Fraction(65, 64)),
        ("1.5e3", 1500),
        ("2e-2", Fraction(1, 50)),
        (r"3 \times 10^{-2}", Fraction(3, 100)),
        ("zero", 0),
        ("nineteen", 19),
        ("twenty-one", 21),
        ("minus five", -5),
        ("5 million", 5_000_000),
        ("2.5k", 2500),
        ("two hundred thousand", 200_000),
        ("a dozen", 12),
        ("two thirds", Fraction(2, 3)),
        ("half", Fraction(1, 2)),
        ("about 12", 12),
        ("x = 12", 12),
        ("none", 0),
    ],
)
def test_a_number_has_one_exact_value(text: str, value: Fraction) -> None:
    assert read(text) == Measure(Fraction(value), "")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("12 cm", "cm"),
        ("12cm", "cm"),
        ("12 Centimetres", "cm"),
        ("12 m^{2}", "m2"),
        ("12 square meters", "m2"),
        ("12%", "%"),
        ("12 percent", "%"),
        ("$12", "$"),
        ("12 dollars", "$"),
        ("$12 USD", "$"),
        ("12°", "°"),
        ("12 degrees Celsius", "°c"),
        ("12 ° C", "°c"),
        ("12 km/h", "km/h"),
        ("12 inches", "in"),
        ("12 sq. m", "m2"),
        ("12 meters squared", "m2"),
        ("12 cubic feet", "ft3"),
        ("12 kilometers per hour", "km/h"),
        ("12° T", "°"),
        ("12 units", ""),
        ("12 square units", ""),
        ("12 volts", "V"),
        ("twelve apples", "apple"),
    ],
)
def test_a_unit_has_one_name(text: str, unit: str) -> None:
    assert read(text) == Measure(Fraction(12), unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "red",
        "not 10",
        "10 or 11",
        "12-15",
        "10:30",
        "1,5",
        "1,0000",
        "1 000",
        "1.2.3",
        "1/2/3",
        "1/0",
        "5!",
        "(1, 2)",
    ]
    + ["3 x 104", "one hundred twenty", "twenty 1", "$5 euros", "1e100", "9" * 201, "2^10", r"2^\frac{1}{2}", "> 12"],
)
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("12.0", "12"), ("6/8", "0.75"), ("2/6", "1/3"), ("-1/8 cm", "-0.125 cm"), ("$1.5 million", "1500000 $")],
)
def test_the_spelling_of_a_measure_reads_as_the_same_measure(text: str, spelling: str) -> None:
    measure = read(text)
    assert str(measure) == spelling
    assert read(spelling) == measure


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("50 mm", "5 cm", True),
        ("5 km", "5 cm", False),
        ("1.5 hours", "90 minutes", True),
        ("2 m^2", "20,000 square centimeters", True),
        ("2 m^2", "200 cm^2", False),
        ("36 km/h", "10 m/s", True),
        ("10 km/h", "10 m/s", False),
        ("1 foot", "12 inches", True),
        ("3 kg", "3000 g", True),
        ("3 kg", "3 m", False),
        ("90 degrees", "90 percent", False),
        ("2 apples/box", "2 apples/box", True),
    ],
)
def test_an_amount_is_the_same_in_any_of_its_units(one: str, other: str, same: bool) -> None:
    left, right = read(one), read(other)
    assert left and right
    assert left.agrees(right) is right.agrees(left) is same


def test_a_missing_unit_agrees_with_every_unit_and_two_units_do_not() -> None:
    bare, centimetres, metres = (Measure(Fraction(12), unit) for unit in ("", "cm", "m"))
    assert bare.agrees(centimetres)
    assert metres.agrees(bare)
    assert not centimetres.agrees(metres)
    assert not bare.agrees(Measure(Fraction(13), ""))
