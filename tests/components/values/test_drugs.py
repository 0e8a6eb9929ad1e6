"""Strengths, doses, frequencies, durations and steps: the readings that were easy to get wrong."""

import pytest

from kiwi_spacy.components.values import (
    daily_amount,
    parse_dose,
    parse_duration,
    parse_frequency,
    parse_route,
    parse_steps,
    parse_strength,
)


@pytest.mark.parametrize(
    "words", ["5-325 mg", "10-20 mg", "800-160 mg", "1:1000", "10 mg/mL/h", "5 mg/325", "10 m", "0.9% 1000 mL"]
)
def test_a_strength_with_two_readings_stays_words(words):
    assert parse_strength(words) is None


def test_after_the_slash_a_mass_is_an_ingredient_and_a_volume_holds_it():
    assert len(parse_strength("100 mg/25 mg").parts) == 2
    assert parse_strength("100 mg/5 mL").per.unit == "mL"


@pytest.mark.parametrize(
    ("words", "value", "high", "unit"),
    [
        ("two (2) tablets", 2, None, "{tablet}"),
        ("a tablet", 1, None, "{tablet}"),
        ("half to one tablet", 0.5, 1, "{tablet}"),
        ("10 U", 10, None, "{unit}"),
        ("2.5 million units", 2_500_000, None, "{unit}"),
        ("20 mEq per liter", 20, None, "meq/L"),
    ],
)
def test_doses(words, value, high, unit):
    dose = parse_dose(words)
    assert (dose.value, dose.high, dose.unit) == (value, high, unit)


@pytest.mark.parametrize(
    "words", ["two (3) tablets", "1-1/2 tabs", "1,5 mg", "20 mg daily", "5 gr", "-5 mg", "1 unit PRBC", "a few drops"]
)
def test_a_dose_that_is_not_sure_stays_words(words):
    assert parse_dose(words) is None


@pytest.mark.parametrize(
    "words",
    [
        "x2 daily",  # two days or twice a day
        "2 daily",
        "daily bid",
        "bid or tid",
        "tid in the morning",
        "3 times",
        "q5m",
        "9:30",
        "prn pain q4h",
        "q4h prn max 6/day",
        "q0h",
        "od",
        "biweekly",
        "MWF after dialysis",
    ],
)
def test_a_frequency_that_is_not_sure_stays_words(words):
    assert parse_frequency(words) is None


def test_the_reason_of_as_needed_is_kept():
    timing = parse_frequency("q6h PRN temp > 101")
    assert (timing.period, timing.as_needed, timing.as_needed_for) == (6, True, "temp > 101")


def test_fhir_has_no_keys_of_ours_and_codes_a_bound():
    assert parse_frequency("BID prn x 7 days").to_fhir() == {
        "repeat": {
            "frequency": 2,
            "period": 1,
            "periodUnit": "d",
            "boundsDuration": {"value": 7, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"},
        },
        "code": {"text": "BID prn x 7 days"},
    }
    assert parse_frequency("stat").to_fhir() == {"code": {"text": "stat"}}


def test_a_clock_time_excludes_a_frequency_as_fhir_says():
    assert parse_frequency("at 8 am and 8 pm").time_of_day == ("08:00:00", "20:00:00")
    assert parse_frequency("bid at 8 am and 8 pm") is None


def test_months_have_no_days():
    assert (parse_duration("2 months").days, parse_duration("2 weeks").days, parse_duration("1 hour").days) == (None, 14, None)


@pytest.mark.parametrize("words", ["drip", "infusion"])
def test_a_drip_is_a_method_of_no_known_route(words):
    assert (parse_route(words).codes, parse_route(words).method) == ((), "infusion")


@pytest.mark.parametrize(
    ("dose", "frequency", "strength"),
    [
        ("2 tabs", "bid", "5/325"),  # no unit
        ("2 puffs", "bid", "44 mcg"),  # a puff's amount is not said
        ("5 mL", "bid", "500 mg"),
        ("up to 2 tabs", "bid", "5 mg"),
        ("20 mg", "with meals", "20 mg"),
        ("20 mg", "q5h", "20 mg"),
        ("10 units/hr", "bid", "100 units/mL"),
        ("sliding scale", "bid", "5 mg"),
    ],
)
def test_the_amount_a_day_is_not_guessed(dose, frequency, strength):
    assert daily_amount(parse_dose(dose), parse_frequency(frequency), strength=parse_strength(strength)) is None


@pytest.mark.parametrize("words", ["40 mg x 5 days, then stop", "10 mg and 20 mg", "5 mg, 10 mg", "20 mg -> 2 tabs po"])
def test_steps_that_are_not_sure_stay_words(words):
    assert parse_steps(words) is None
