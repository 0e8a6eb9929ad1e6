"""Calendar dates, times of the day and seasons, as EDTF and as clock times."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from .tables import Tables

Order = Literal["mdy", "dmy"] | None


@dataclass(frozen=True)
class Reading:
    """What words of the calendar say: one EDTF string, or more where they can be read in several ways; `time` beside a date."""

    edtf: tuple[str, ...]
    time: str | None = None


def read_date(text: str, *, anchor: date | None, order: Order, tables: Tables) -> Reading | None:
    """Return the readings of a whole normalised text as a date, in any precision; None where it is none or contradicts the order.

    >>> from kiwi_spacy.components.values.tables import default_tables
    >>> read_date("3/4/2021", anchor=None, order=None, tables=default_tables()).edtf
    ('2021-03-04', '2021-04-03')
    """
    text = re.sub(r"^(?:on |in |the |at |overnight |during |of )+(?=\S)", "", text.lower())
    weekday = re.match(rf"({tables.either('weekdays')}),? (?=.*\d)", text)
    text = text[weekday.end() :] if weekday else text
    for read in (_numbers, _named_month, _partial):
        if found := read(text, anchor, order, tables):
            return Reading(found) if not weekday or _falls_on(found, tables.code("weekdays", weekday[1]) or "") else None
    # "04/02/2019 at 2:15 p.m.", "11/8, 0730"
    clock = r"\d{1,2}(?::\d\d){0,2} ?[ap]\.?m\.?|\d{1,2}:\d\d(?::\d\d)?|[012]\d[0-5]\d(?: ?h(?:ou)?rs?)?"
    if match := re.fullmatch(rf"(.+?)(?:,? at |, ?| @ ?| )({clock})", text):
        day = read_date(match[1], anchor=anchor, order=order, tables=tables) if len(match[1]) >= 3 else None
        time = read_clock(match[2], tables=tables, after_date=True)
        if day and time and day.time is None and all(len(edtf) >= 10 for edtf in day.edtf):
            return Reading(day.edtf, time)
    return None


def _falls_on(readings: tuple[str, ...], weekday: str) -> bool:
    """Whether a date is the day of the week that is written beside it; a date without a year may be."""
    if len(readings) > 1 or not re.fullmatch(r"(?:\d{4}|XXXX)-\d\d-\d\d", readings[0]):
        return False
    return readings[0].startswith("XXXX") or f"{date.fromisoformat(readings[0]):%a}".lower() == weekday


def read_clock(text: str, *, tables: Tables, after_date: bool = False) -> str | None:
    """Return a time of the day as "HH:MM" or "HH:MM:SS" of 24 hours, None where the text is none or may be a year.

    >>> from kiwi_spacy.components.values.tables import default_tables
    >>> read_clock("7:45 p.m.", tables=default_tables())
    '19:45'
    """
    if time := tables.code("clock_words", text):
        return time
    text = re.sub(r"^(?:at|@) ?", "", text.lower())
    match = re.fullmatch(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?(?: ?([ap])\.?m\.?| ?(o'clock))?(?: ?h(?:ou)?rs?)?", text)
    if match and (match[2] or match[4]):
        hour, minute, second = (int(number or 0) for number in match.group(1, 2, 3))
        if match[4]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if match[4] == "p" else 0)
        elif len(match[1]) == 1:
            # 5:57 may be before or after noon; 05:57 and 17:57 are of 24 hours.
            return None
    elif match := re.fullmatch(r"([012]\d)([0-5]\d)( ?h(?:ou)?rs?)?", text):
        hour, minute, second = int(match[1]), int(match[2]), 0
        # 1900 to 2059 without more may be a year.
        if hour in (19, 20) and not (match[3] or after_date):
            return None
    else:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def _numbers(text: str, anchor: date | None, order: Order, tables: Tables) -> tuple[str, ...] | None:
    """Dates in figures."""
    if placeholder := re.fullmatch(r"\[\*\*(?:(\d{4})-)?(\d{1,2})-(\d{1,2})\*\*\]|\[\*\*(\d{4})\*\*\]", text):
        if placeholder[4]:
            return (placeholder[4],)
        return _valid(placeholder[1], int(placeholder[2]), int(placeholder[3]))
    if match := re.fullmatch(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})|((?:19|20)\d\d)(\d\d)(\d\d)", text):
        year, month, day = (match[1], match[3], match[4]) if match[1] else (match[5], match[6], match[7])
        return _valid(year, int(month), int(day))
    if match := re.fullmatch(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)", text):
        year = match[4] if len(match[4]) == 4 else _century(int(match[4]), anchor, tables)
        # With points the day comes first wherever such dates are written, but a site may say otherwise.
        return _ordered(year, match[1], match[3], None if match[2] == "." else order)
    if match := re.fullmatch(r"(\d{1,2})/(\d{4})", text):
        month = int(match[1])
        return (f"{match[2]}-{month:02}",) if 1 <= month <= 12 and 1800 <= int(match[2]) <= 2200 else None
    if match := re.fullmatch(r"(\d{1,2})/(\d{1,2})", text):
        return _two(match[1], match[2], anchor, order, tables)
    return None


def _two(first: str, second: str, anchor: date | None, order: Order, tables: Tables) -> tuple[str, ...] | None:
    """Month and day, or month and year: "9/02" is either, "5/98" only the second."""
    if int(second) > 31:
        return (f"{_century(int(second), anchor, tables)}-{int(first):02}",) if 1 <= int(first) <= 12 else None
    readings = _ordered(None, first, second, order)
    if len(first) == 1 and second.startswith("0") and int(first) >= 1:
        return (*(readings or ()), f"{_century(int(second), anchor, tables)}-{int(first):02}")
    return readings


def _ordered(year: str | None, first: str, second: str, order: Order) -> tuple[str, ...] | None:
    month_first, day_first = _valid(year, int(first), int(second)), _valid(year, int(second), int(first))
    if order == "mdy":
        return month_first
    if order == "dmy":
        return day_first
    return tuple(dict.fromkeys([*(month_first or ()), *(day_first or ())])) or None


def _valid(year: str | None, month: int, day: int) -> tuple[str, ...] | None:
    """The date if there is one; without a year, a day that some year has."""
    try:
        date(int(year) if year else 2000, month, day)
    except ValueError:
        return None
    return (f"{year or 'XXXX'}-{month:02}-{day:02}",)


def _century(year: int, anchor: date | None, tables: Tables) -> str:
    settings = tables.sections["settings"]
    if anchor is None:
        return str(2000 + year if year <= int(settings["last_two_digit_year"]) else 1900 + year)
    last = anchor.year + int(settings["future_years"])
    return str(last - (last - year) % 100)


def _named_month(text: str, anchor: date | None, order: Order, tables: Tables) -> tuple[str, ...] | None:
    """Dates with the month's name."""
    month = tables.either("months")
    patterns = (
        rf"(?P<month>{month})\.?[ -]?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:(?:, ?| |-| of )(?P<year>\d{{4}}))?",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ -]?(?:of )?(?P<month>{month})\.?(?:(?:, ?| ?|-| of )(?P<year>\d{{4}}))?",
    )
    for pattern in patterns:
        if match := re.fullmatch(pattern, text):
            number = tables.code("months", match["month"]) or ""
            found = _valid(match["year"], int(number), int(match["day"]))
            # "Aug 08" is a day or a year.
            if found and not match["year"] and match["day"].startswith("0") and text.startswith(match["month"]):
                return (*found, f"{_century(int(match['day']), anchor, tables)}-{number}")
            return found
    # "14-Mar-24" as laboratory systems print it; with spaces the last number may be a time.
    if match := re.fullmatch(rf"(\d{{1,2}})-({month})-(\d\d)", text):
        return _valid(_century(int(match[3]), anchor, tables), int(tables.code("months", match[2]) or ""), int(match[1]))
    if match := re.fullmatch(rf"(?:month of )?({month})\.?(?:,? (?:of )?(\d{{4}}))?", text):
        return (f"{match[2] or 'XXXX'}-{tables.code('months', match[1])}",)
    return None


def _partial(text: str, anchor: date | None, order: Order, tables: Tables) -> tuple[str, ...] | None:
    """Years, decades and seasons."""
    seasons = tables.either("seasons")
    if match := re.fullmatch(rf"({seasons})(?: of|,)? (\d{{4}})", text):
        return (f"{match[2]}-{tables.code('seasons', match[1])}",)
    if match := re.fullmatch(r"(1[89]\d|20\d)0'?s", text):
        return (f"{match[1]}X",)
    if match := re.fullmatch(r"(?:year )?((?:19|20)\d\d)(\?)?", text):
        year = int(match[1])
        # A year to come reads as a time as well, and so does every year up to 1959.
        latest = anchor.year + 1 if anchor else 2000 + int(tables.sections["settings"]["last_two_digit_year"])
        if year % 100 < 60 and not match[2] and (year < 1960 or year > latest):
            return (match[1], f"T{match[1][:2]}:{match[1][2:]}")
        return (match[1] + (match[2] or ""),)
    return None
