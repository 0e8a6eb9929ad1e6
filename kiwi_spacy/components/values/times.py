"""Time: dates, durations, ages and relative expressions, as ISO 8601 and EDTF."""

import re
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

from .dates import Order, read_clock, read_date
from .frequencies import Timing, parse_frequency
from .numbers import figures
from .records import Record
from .tables import Tables, default_tables, normalise

_ISO = {"s": "PT{}S", "min": "PT{}M", "h": "PT{}H", "d": "P{}D", "wk": "P{}W", "mo": "P{}M", "a": "P{}Y"}
_SEASON_MONTHS = {"21": 3, "22": 6, "23": 9, "24": 12}


@dataclass(frozen=True)
class TimeValue(Record):
    """A time with its words.

    kind: "date", "partial_date", "time", "duration", "age", "relative", "interval", "set" or "ambiguous".
    edtf: Set where the words and the note's date say it; "XXXX" is a year that is not said, "~" about, "?" doubtful.
    time: "HH:MM". part: A part of the day, as FHIR's code. iso, iso_high: A length as ISO 8601.
    offset, offset_high: Signed ISO 8601, from the note's date or from `event`. day: Number of the day after `event` (POD 2).
    which, target: "last" and "XXXX-03" for "last March". timing: Of a set. readings: Of an ambiguous expression.
    """

    words: str
    kind: str
    edtf: str | None = None
    time: str | None = None
    part: str | None = None
    iso: str | None = None
    iso_high: str | None = None
    comparator: str | None = None
    approximate: bool = False
    offset: str | None = None
    offset_high: str | None = None
    event: str | None = None
    day: int | None = None
    which: str | None = None
    target: str | None = None
    timing: Timing | None = None
    readings: tuple[str, ...] = ()


def parse_time(words: str, *, anchor: date | None = None, order: Order = "mdy", tables: Tables | None = None) -> TimeValue | None:
    """Return what the words of a time say, None where it cannot be read for sure.

    words (str): "3 weeks ago", "POD 2", "04/02/2019".
    anchor (date | None): The note's date. Without it relative expressions have no `edtf`.
    order ("mdy" | "dmy" | None): How figures are read. American charts write the month first. With None, 3/4/21 is ambiguous
        and keeps both readings; with an order, a date that contradicts it is not read.
    RETURNS (TimeValue | None): A year that is not written is never filled in.

    >>> parse_time("3 weeks ago", anchor=date(2024, 3, 15)).edtf
    '2024-02-23~'
    >>> parse_time("3/4/21", order=None).readings
    ('2021-03-04', '2021-04-03')
    """
    tables = tables or default_tables()
    text = normalise(words)
    if not text:
        return None
    value = _read(text, anchor, order, tables)
    return replace(value, words=words) if value else None


def _read(text: str, anchor: date | None, order: Order, tables: Tables) -> TimeValue | None:
    plain = figures(text.lower(), tables=tables)
    for value in (
        _named_day(text, anchor, tables),
        _calendar(text, anchor, order, tables),
        _interval(text, anchor, order, tables),
        _age(plain, tables),
        _offset(plain, anchor, tables),
        _event_day(plain, tables),
        _named(plain, anchor, tables),
        _duration(plain, tables),
    ):
        if value:
            return value
    timing = parse_frequency(text, tables=tables)
    # "x 4" is a number of doses, not of times.
    return TimeValue(text, "set", timing=timing) if timing and (timing.frequency or timing.day_of_week) else None


def _named_day(text: str, anchor: date | None, tables: Tables) -> TimeValue | None:
    """ "yesterday", "last night", "the next day", and with a clock time: "yesterday at noon"."""
    if both := tables.code("context_days", text):
        number, named = both.split()
        offset = _signed(int(number), "d")
        return TimeValue(text, "relative", offset=offset, part=None if named == "-" else named, event="context")
    days, part, time = tables.code("days", text), None, None
    if both := tables.code("days_with_part", text):
        days, part = both.split()
    elif days is None and (match := re.fullmatch(r"(.+?),? at (.+)", text)):
        days, time = tables.code("days", match[1]), read_clock(match[2], tables=tables, after_date=True)
        days = days if time else None
    if days is None:
        return None
    offset = _signed(int(days), "d")
    return TimeValue(text, "relative", offset=offset, part=part, time=time, edtf=_moved(anchor, int(days), "d"))


def _calendar(text: str, anchor: date | None, order: Order, tables: Tables) -> TimeValue | None:
    about = re.fullmatch(
        r"(?:around|about|approximately|approx|circa|ca|~|early|mid|late|since around)?[ -]?(.+)", text, re.IGNORECASE
    )
    if reading := read_date(text, anchor=anchor, order=order, tables=tables):
        return _dated(text, reading.edtf, reading.time)
    if about and about[1] != text and (reading := read_date(about[1], anchor=anchor, order=order, tables=tables)):
        # "mid-August" is narrower than a month: EDTF has no sign for it, and "about" would be wider.
        if len(reading.edtf) > 1 or reading.time or re.match(r"early|mid|late|since", text, re.IGNORECASE):
            return None
        return replace(_dated(text, (reading.edtf[0] + "~",), None), approximate=False)
    if time := read_clock(text, tables=tables):
        return TimeValue(text, "time", time=time)
    if match := re.fullmatch(r"(?:at )?([1-9]):([0-5]\d)", text):
        return TimeValue(text, "ambiguous", readings=(f"T0{match[1]}:{match[2]}", f"T{int(match[1]) + 12}:{match[2]}"))
    if part := tables.code("parts", text):
        return TimeValue(text, "time", part=part)
    return None


def _dated(text: str, readings: tuple[str, ...], time: str | None) -> TimeValue:
    if len(readings) > 1:
        return TimeValue(text, "ambiguous", readings=readings, time=time)
    whole = re.fullmatch(r"\d{4}-\d\d-\d\d", readings[0])
    return TimeValue(text, "date" if whole else "partial_date", edtf=readings[0], time=time)


def _interval(text: str, anchor: date | None, order: Order, tables: Tables) -> TimeValue | None:
    """ "since 2016", "until 7/13/04", "from 3/4 to 3/9", "the past 2 weeks"."""
    if match := re.fullmatch(r"(since|from|until|till|through|thru) (.+)", text, re.IGNORECASE):
        point = _point(match[2], anchor, order, tables)
        if point:
            return TimeValue(text, "interval", edtf=f"{point}/.." if match[1].lower() in ("since", "from") else f"../{point}")
    if match := re.fullmatch(r"(?:from |between )?(.+?)(?: (?:to|until|through|thru|and) | ?- ?)(.+)", text, re.IGNORECASE):
        if re.search(r" and ", text) and not re.match(r"between ", text, re.IGNORECASE):
            return None
        start, end = _point(match[1], anchor, order, tables), _point(match[2], anchor, order, tables)
        # "9 January to 17 January 2020": the year stands once.
        if (
            start
            and end
            and start.startswith("XXXX")
            and not end.startswith("XXXX")
            and len(start) == len(end)
            and start[4:] <= end[4:]
        ):
            start = end[:4] + start[4:]
        same = start and end and start.startswith("XXXX") == end.startswith("XXXX")
        # Two bare years with a hyphen may be a number; two days without a year may run over its end.
        if start and end and same and (start < end) and not re.fullmatch(r"\d\d?-\d\d?", text):
            return TimeValue(text, "interval", edtf=f"{start}/{end}")
        return None
    plain = figures(text.lower(), tables=tables)
    match = re.fullmatch(
        rf"(?:for |over |in |within |during )?(?:the )?(?:past|last|preceding|previous) (?:(\d{{1,3}}) )?({_periods(tables)})",
        plain,
    )
    if match and (match[1] or re.search(r"past|for |over |during ", plain)):
        number, unit = int(match[1] or 1), tables.code("periods", match[2])
        if unit and number:
            start = _moved(anchor, -number, unit, day=True)
            return TimeValue(text, "interval", offset=_signed(-number, unit), edtf=f"{start}/{anchor}" if start else None)
    return None


def _point(text: str, anchor: date | None, order: Order, tables: Tables) -> str | None:
    reading = read_date(text, anchor=anchor, order=order, tables=tables)
    if reading:
        return reading.edtf[0] if len(reading.edtf) == 1 and not reading.time else None
    named = _named_day(text, anchor, tables)
    return named.edtf if named and not named.part and not named.time else None


def _age(text: str, tables: Tables) -> TimeValue | None:
    """ "67-year-old", "age 9", "in his 60s"."""
    if match := re.fullmatch(
        r"(?:a |an |the )?(\d{1,3})(?:[ -]?(?:year|yr)s?[ -]?(?:old|of age)|[ -]?y[/. ]?o\.?|[ -]?yrs? old)", text
    ):
        return TimeValue(text, "age", iso=f"P{int(match[1])}Y") if int(match[1]) <= 130 else None
    if match := re.fullmatch(r"(?:a |an |the )?(\d{1,3})[ -]?(month|mo|week|wk|day)s?[ -](?:old|of age)", text):
        return TimeValue(text, "age", iso=_ISO[tables.code("periods", match[2]) or ""].format(int(match[1])))
    if match := re.fullmatch(
        r"(?:at )?(?:the )?age[d]?(?: of)? (about |around |approximately )?(\d{1,3})(?: (years?|months?|weeks?|days?))?", text
    ):
        number, unit = int(match[2]), tables.code("periods", match[3]) if match[3] else "a"
        if number > 130 and unit == "a":
            return None
        return TimeValue(text, "age", iso=_ISO[unit or "a"].format(number), approximate=bool(match[1]))
    if match := re.fullmatch(r"(?:in )?(?:his|her|their|the patient's) ([2-9]0)'?s", text):
        return TimeValue(text, "age", iso=f"P{match[1]}Y", iso_high=f"P{int(match[1]) + 9}Y", approximate=True)
    return None


def _offset(text: str, anchor: date | None, tables: Tables) -> TimeValue | None:
    """ "3 weeks ago", "in 2 weeks", "last month", "2 days prior to admission", "3 hours later"."""
    periods = _periods(tables)
    if match := re.fullmatch(r"(last|next|this) (week|month|year)", text):
        return _calendar_period(match[1], match[2], anchor)
    number = r"(?:(?P<low>\d{1,3})(?: ?(?:-|to|or) ?(?P<high>\d{1,3}))?|an?)"
    length = rf"(?P<about>{tables.either('approximations')} ?)?{number}[ -]?(?P<unit>{periods})"
    events, adverbs = tables.either("events"), tables.either("event_adverbs")
    side = rf"(?P<side>before|prior to|after|following|post|from) (?:the |her |his )?(?P<event>{events})"
    prior = r"(?P<prior>prior|before|earlier|beforehand|previously)"
    tail = rf"(?P<ago>ago|back)|(?:from now|hence)|{side}|{prior}|(?P<adverb>{adverbs})"
    match = re.fullmatch(rf"{length},? (?:{tail})", text) or re.fullmatch(f"in {length}", text)
    if not match:
        return None
    said = match.groupdict()
    unit = tables.code("periods", said["unit"])
    low, high = int(said["low"] or 1), int(said["high"]) if said["high"] else None
    if unit is None or not low or (high is not None and high <= low):
        return None
    sign = -1 if said.get("ago") or said.get("prior") or said.get("side") in ("before", "prior to") else 1
    event = tables.code("events", said["event"]) if said.get("event") else "context" if said.get("prior") else None
    if said.get("adverb"):
        event = tables.code("event_adverbs", said["adverb"])
    edtf = None if event or high is not None else _moved(anchor, sign * low, unit)
    about = bool(said["about"])
    if edtf and about and not edtf.endswith("~"):
        edtf += "~"
    offset_high = _signed(sign * high, unit) if high is not None else None
    return TimeValue(
        text, "relative", offset=_signed(sign * low, unit), offset_high=offset_high, event=event, approximate=about, edtf=edtf
    )


def _calendar_period(which: str, period: str, anchor: date | None) -> TimeValue | None:
    number = {"last": -1, "next": 1, "this": 0}[which]
    unit = {"week": "wk", "month": "mo", "year": "a"}[period]
    edtf = _moved(anchor, number, unit)
    if edtf and period != "week":
        edtf = edtf.rstrip("~")
    return TimeValue("", "relative", offset=_signed(number, unit), edtf=None if period == "week" and not number else edtf)


def _event_day(text: str, tables: Tables) -> TimeValue | None:
    """ "POD 2", "hospital day 3", "day 5", "at the time of admission"."""
    names = tables.either("event_days")
    if match := re.fullmatch(rf"(?:on |the )*({names}) ?(?:#|no\.?|number)? ?(\d{{1,3}})", text.replace("s #", " #")):
        event = tables.code("event_days", match[1])
        return TimeValue(text, "relative", event=None if event == "none" else event, day=int(match[2]))
    events = tables.either("events")
    if match := re.fullmatch(rf"(?:at|on|upon) (?:the )?(?:time of )?({events})|(?:the )?(?:day|time) of ({events})", text):
        return TimeValue(text, "relative", event=tables.code("events", match[1] or match[2]), offset="P0D")
    return None


def _named(text: str, anchor: date | None, tables: Tables) -> TimeValue | None:
    """ "last March", "next Tuesday", "Monday", "last fall", "Tuesday night"."""
    text = re.sub(r"^(?:on|in|since|during) ", "", text) if not text.startswith("since") else text
    match = re.fullmatch(r"(?:(last|next|this|this past|this coming) )?([a-z]+)(?: (morning|afternoon|evening|night))?", text)
    if not match:
        return None
    which = {"this past": "last", "this coming": "next"}.get(match[1] or "", match[1])
    part = tables.code("parts", match[3]) if match[3] else None
    if day := tables.code("weekdays", match[2]):
        edtf = None
        if which == "last" and anchor:
            number = list(dict.fromkeys(tables.sections["weekdays"].values())).index(day)
            back = (anchor.weekday() - number) % 7 or 7
            edtf = f"{anchor - timedelta(days=back)}?" if (anchor - date.min).days > 7 else None
        return TimeValue(text, "relative", which=which, target=day, part=part, edtf=edtf)
    code = tables.code("months", match[2]) or tables.code("seasons", match[2])
    if not which or not code or part:
        return None
    edtf = None
    if which == "last" and anchor:
        first = _SEASON_MONTHS.get(code, int(code))
        year = anchor.year if (first + (2 if code in _SEASON_MONTHS else 0)) < anchor.month else anchor.year - 1
        # Winter ends in the year after the one it began in; EDTF does not say which of the two names it.
        edtf = None if code == "24" else f"{year:04}-{code}"
    return TimeValue(text, "relative", which=which, target=f"XXXX-{code}", edtf=edtf)


def _duration(text: str, tables: Tables) -> TimeValue | None:
    """ "six weeks", "within 24 hours", "about a week", "x 4 days"."""
    comparator = None
    text = re.sub(r"^(?:for|over|x|lasting|a total of|the first|first|the next|a period of) ?(?=[\d a~<>m])", "", text).strip()
    if match := re.match(rf"(within|{tables.either('comparators')})(?: the)? ?(?=[\da~])", text):
        comparator = "<=" if match[1] == "within" else tables.code("comparators", match[1])
        text = text[match.end() :]
    number = r"(?:(?P<low>\d{1,4})(?: ?(?:-|to|or) ?(?P<high>\d{1,4}))?|an?)"
    about = rf"(?P<about>{tables.either('approximations')} ?)?"
    match = re.fullmatch(rf"{about}{number}[ -]?(?:(?:more|full) )?(?P<unit>{_periods(tables)})", text)
    if not match:
        return None
    unit = tables.code("periods", match["unit"])
    low, high = int(match["low"] or 1), int(match["high"]) if match["high"] else None
    # "90s" are years, or an age.
    if unit is None or re.search(r"0s$", text) or not low or (high is not None and (high <= low or comparator)):
        return None
    return TimeValue(
        text,
        "duration",
        iso=_ISO[unit].format(low),
        iso_high=_ISO[unit].format(high) if high else None,
        comparator=comparator,
        approximate=bool(match["about"]),
    )


@lru_cache(maxsize=8)
def _periods(tables: Tables) -> str:
    return "(?:" + "|".join(re.escape(word) for word in tables.words("periods") if not word.endswith("ly")) + ")"


def _signed(number: int, unit: str) -> str:
    return ("-" if number < 0 else "") + _ISO[unit].format(abs(number))


def _moved(anchor: date | None, number: int, unit: str, *, day: bool = False) -> str | None:
    """The anchor moved, as precise as the unit is: weeks "about", months without a day. `day` keeps the day. None for hours."""
    if anchor is None or unit not in ("d", "wk", "mo", "a"):
        return None
    try:
        if unit in ("d", "wk"):
            moved = anchor + timedelta(days=number * (7 if unit == "wk" else 1))
            return str(moved) + ("~" if unit == "wk" else "")
        months = anchor.year * 12 + anchor.month - 1 + number * (12 if unit == "a" else 1)
        year, month = divmod(months, 12)
        last = monthrange(year, month + 1)[1]
        moved = date(year, month + 1, min(anchor.day, last))
    except (ValueError, OverflowError):
        return None
    if day:
        return f"{moved}~"
    return f"{moved.year:04}~" if unit == "a" else f"{moved.year:04}-{moved.month:02}~"
