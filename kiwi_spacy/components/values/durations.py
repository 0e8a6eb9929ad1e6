"""For how long a drug is taken."""

import re
from dataclasses import dataclass

from .numbers import NUMBER, figures, parse_number
from .records import Record
from .tables import Tables, default_tables, normalise


@dataclass(frozen=True)
class Duration(Record):
    """For how long a drug is taken, as a number or a range of a unit (UCUM).

    days, days_high: Where they follow exactly; months and years have none. doses: A number of doses instead.
    """

    words: str
    value: float | None = None
    high: float | None = None
    unit: str | None = None
    days: float | None = None
    days_high: float | None = None
    comparator: str | None = None
    doses: int | None = None
    indefinite: bool = False


def parse_duration(words: str, *, tables: Tables | None = None) -> Duration | None:
    """Return for how long, None where it cannot be read for sure.

    >>> parse_duration("x 2 weeks").days, parse_duration("for six months").days
    (14.0, None)
    """
    tables = tables or default_tables()
    text = figures(normalise(words).lower(), fractions=True, tables=tables)
    if tables.code("indefinite", text):
        return Duration(words, indefinite=True)
    if match := re.fullmatch(r"(?:for |x ?|times )?(\d{1,3}) (?:more )?doses?", text):
        return Duration(words, doses=int(match[1])) if int(match[1]) else None
    text = re.sub(r"^(?:an? |the )?(?:(?:total|course) of |full )", "", text)
    text = re.sub(
        r"^(?:for |x ?|over |times )?(?:(?:an?|the|another) )?(?:(?:total|course) of |(?:next|full|additional) )?", "", text
    )
    text = re.sub(r"(?: course| total| only| in total)$", "", text)
    comparator = re.match(rf"({tables.either('comparators')}) ?(?=[\d.])", text)
    text = text[comparator.end() :] if comparator else text
    match = re.fullmatch(
        rf"({NUMBER})(?: ?(?:-|to|or) ?({NUMBER}))?[ -]?(?:(?:more|additional|full|consecutive) )?([a-z]+)", text
    )
    if not match:
        match = (
            re.fullmatch(r"()()((?:day|week|month|year|hour|night))", text)
            if re.search(r"\ban? |\bone ", words.lower())
            else None
        )
    if not match:
        return None
    low, high = parse_number(match[1] or "1"), parse_number(match[2]) if match[2] else None
    unit = "d" if match[3] in ("night", "nights") else tables.code("periods", match[3])
    if not low or unit is None or match[3].endswith("ly") or (high is not None and (high <= low or comparator)):
        return None
    per = {"s": 86400, "min": 1440, "h": 24, "d": 1}.get(unit)
    days, days_high = (
        None if number is None else number / per if per else number * 7 if unit == "wk" else None for number in (low, high)
    )
    # A third of a day has no exact figure.
    days, days_high = (number if number is not None and round(number, 4) == number else None for number in (days, days_high))
    return Duration(words, low, high, unit, days, days_high, tables.code("comparators", comparator[1]) if comparator else None)
