"""Times: settings, not guesses."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwi_spacy.components.values import parse_time

NOTE = date(2024, 3, 15)


def test_the_order_of_day_and_month_is_a_setting():
    assert parse_time("3/4/21").edtf == "2021-03-04"
    assert parse_time("3/4/21", order="dmy").edtf == "2021-04-03"
    assert parse_time("3/4/21", order=None).readings == ("2021-03-04", "2021-04-03")


def test_a_date_that_contradicts_the_order_is_not_turned_round():
    assert parse_time("13/4/21") is None
    assert parse_time("13/4/21", order=None).edtf == "2021-04-13"


def test_a_year_that_is_not_written_is_not_filled_in():
    assert parse_time("July 20", anchor=NOTE).edtf == "XXXX-07-20"


def test_a_weekday_must_be_that_of_the_date():
    assert parse_time("Friday, March 15, 2024").edtf == "2024-03-15"
    assert parse_time("Monday, March 15, 2024") is None


@pytest.mark.parametrize(
    ("words", "readings"),
    [
        ("9/02", ("XXXX-09-02", "2002-09")),
        ("May 05", ("XXXX-05-05", "2005-05")),
        ("1930", ("1930", "T19:30")),
        ("5:57", ("T05:57", "T17:57")),
        ("3.4.21", ("2021-03-04", "2021-04-03")),
    ],
)
def test_both_readings_of_an_ambiguous_time_are_kept(words, readings):
    value = parse_time(words)
    assert (value.kind, value.readings, value.edtf) == ("ambiguous", readings, None)


@pytest.mark.parametrize(
    ("year", "anchor", "expected"),
    [("45", NOTE, "1945"), ("34", NOTE, "2034"), ("35", NOTE, "1935"), ("30", None, "2030"), ("31", None, "1931")],
)
def test_the_century_of_a_two_digit_year(year, anchor, expected):
    assert parse_time(f"6/1/{year}", anchor=anchor).edtf == f"{expected}-06-01"


@pytest.mark.parametrize(
    "words",
    ["recently", "several days ago", "90s", "2/30/2019", "25:10", "mid-August", "11-16", "at 8", "the other day",
     "day before yesterday", "[**Hospital 1234**]", "12/30 to 1/2", "1.5 years ago",
     "over a year ago", "x2", "prn", "200 years old"],
)  # fmt: skip
def test_what_is_vague_or_impossible_stays_words(words):
    assert parse_time(words, anchor=NOTE) is None


def test_hours_ago_have_no_date():
    value = parse_time("6 hours ago", anchor=NOTE)
    assert (value.offset, value.edtf) == ("-PT6H", None)


@pytest.mark.parametrize("words", ["3000 years ago", "999 years ago", "yesterday", "last Thursday", "the past 999 months"])
def test_before_the_first_year_there_is_no_date(words):
    assert parse_time(words, anchor=date.min) is None or parse_time(words, anchor=date.min).edtf is None


@given(st.dates(min_value=date(1000, 1, 1), max_value=date(9000, 1, 1)), st.integers(1, 300))
def test_days_ago_are_counted_on_the_calendar(anchor, days):
    assert parse_time(f"{days} days ago", anchor=anchor).edtf == str(anchor - timedelta(days=days))


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_written_date_is_that_date(day):
    assert parse_time(f"{day.month}/{day.day}/{day.year}").edtf == str(day)
    assert parse_time(f"{day:%d%b%Y}").edtf == str(day)
    assert parse_time(f"{day.day}/{day.month}/{day.year}", order="dmy").edtf == str(day)
