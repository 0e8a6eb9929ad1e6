"""Results: what has one reading is read, what has two stays words."""

import pytest

from kiwi_spacy.components.values import Quantity, Range, Trend, interpret, parse_reference, parse_result


@pytest.mark.parametrize(
    "words",
    [
        "5 M",  # metres or millions
        "5 beats",
        "8 F",  # a catheter
        "20 torr",
        "250 units",
        "37 degrees",
        "98% on 2L",
        "72 (60-80)",  # the day's range
        "98.6 (97-99)",
        "16.4 kg (50th %ile)",
        "120s/80s",
        "08/24/2007",
        "08:30",
        "1.2.3",
        "1e5",
        "mid 90s",
        "3x4 cm",
        "O positive",
        "2 days ago",
        "12 H, L",
    ],
)
def test_what_has_two_readings_or_none_stays_words(words):
    assert parse_result(words) is None


@pytest.mark.parametrize(
    ("words", "reference", "test", "value", "unit", "interpretation"),
    [
        ("3.1 L", "", "", None, None, None),
        ("3.1 L", "3.5-5.0", "", 3.1, None, "L"),
        ("3.1 L", "", "potassium", 3.1, None, "L"),
        ("3.1 L", "", "urine output", 3.1, "L", None),
        ("3.1 mmol/L L", "", "", 3.1, "mmol/L", "L"),
        ("4 L NC", "", "", 4.0, "L", None),
    ],
    ids=["alone", "with a range", "a test never in litres", "a test in litres", "after a unit", "oxygen"],
)
def test_a_bare_l_is_low_or_litres_only_where_something_tells(words, reference, test, value, unit, interpretation):
    result = parse_result(words, reference=reference, test=test)
    found = (result.value.value, result.value.unit, result.interpretation) if result else (None, None, None)
    assert found == (value, unit, interpretation)


def test_qualifiers_are_kept_beside_the_value():
    assert parse_result("96% on room air").to_dict() == {
        "words": "96% on room air", "type": "quantity", "value": 96, "unit": "%", "unit_words": "%", "qualifier": "on room air",
    }  # fmt: skip


def test_a_flag_in_the_words_must_agree_with_the_flag_beside_them():
    assert parse_result("4.0 H", flag_words="L") is None
    assert parse_result("4.0 H", flag_words="H").interpretation == "H"


def test_a_flag_beats_the_range():
    assert parse_result("4.0 (3.5-5.0) H").interpretation == "H"


@pytest.mark.parametrize(
    ("value", "normal", "meaning"),
    [
        (Quantity(5.0), Range(3.5, 5.0), "N"),
        (Quantity(5.0), Range(high=5.0, high_open=True), "H"),
        (Quantity(40.0), Range(low=40.0, low_open=True), "L"),
        (Quantity(4.0, 6.0), Range(3.5, 5.0), None),
        (Quantity(5.5, 6.0), Range(3.5, 5.0), "H"),
        (Quantity(0.01, comparator="<"), Range(0.0, 0.04), "N"),
        (Quantity(3.0, comparator="<"), Range(3.0, 5.0), "L"),
        (Quantity(4.0, comparator="<"), Range(3.0, 5.0), None),
        (Quantity(5.0, comparator=">"), Range(3.0, 5.0), "H"),
        (Quantity(4.0, comparator=">"), Range(3.0, 5.0), None),
        (Quantity(90.0, unit="mg/dL"), Range(4.0, 6.0, unit="mmol/L"), None),
        (Trend((Quantity(9.0), Quantity(4.0))), Range(3.5, 5.0), "N"),
    ],
    ids=["at the limit", "at an open limit", "at an open lower limit", "across", "range above", "below detection",
         "under the lower limit",
         "limit inside", "over the upper limit", "lower bound inside", "other unit", "trend by its last"],
)  # fmt: skip
def test_interpretation_by_the_range(value, normal, meaning):
    assert interpret(value, normal) == meaning


def test_a_reference_that_falls_or_is_one_number_is_none():
    assert (parse_reference("5.1-3.5"), parse_reference("5")) == (None, None)


def test_a_unit_written_once_holds_for_the_whole_trend():
    assert [value.unit for value in parse_result("1.1 -> 1.8 mg/dL").value.values] == ["mg/dL", "mg/dL"]
