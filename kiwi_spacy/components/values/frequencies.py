"""How often a drug is taken, as FHIR R4 says it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from ...errors import FormatError
from .numbers import NUMBER, figures, parse_number
from .records import Record
from .tables import Tables, default_tables, normalise
from .units import Amount

_DAYS = {"s": 1 / 86400, "min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0}


@dataclass(frozen=True)
class Timing(Record):
    """When a drug is taken; the keys of the plain data are those of FHIR R4's Timing.repeat.

    `frequency` times (at most `frequency_max`) in `period` (at most `period_max`) `period_unit`s. count: How many times in all.
    when: FHIR's codes of events, `offset` minutes before or after. bounds: For how long.
    Beside FHIR's: as_needed with its reason, now, continuous, instruction.
    """

    keys: ClassVar[Mapping[str, str]] = {
        "frequency_max": "frequencyMax",
        "period_max": "periodMax",
        "period_unit": "periodUnit",
        "time_of_day": "timeOfDay",
        "day_of_week": "dayOfWeek",
        "bounds": "boundsDuration",
        "as_needed": "asNeeded",
        "as_needed_for": "asNeededFor",
    }
    words: str = ""
    frequency: int | None = None
    frequency_max: int | None = None
    period: float | None = None
    period_max: float | None = None
    period_unit: str | None = None
    count: int | None = None
    when: tuple[str, ...] = ()
    offset: int | None = None
    time_of_day: tuple[str, ...] = ()
    day_of_week: tuple[str, ...] = ()
    bounds: Amount | None = None
    as_needed: bool = False
    as_needed_for: str = ""
    now: bool = False
    continuous: bool = False
    instruction: str = ""

    def to_fhir(self) -> dict[str, Any]:
        """Return a FHIR R4 Timing. As-needed belongs to a Dosage, beside the timing: it is in `as_needed` and `as_needed_for`.

        >>> parse_frequency("q4-6h prn pain").to_fhir()
        {'repeat': {'frequency': 1, 'period': 4, 'periodMax': 6, 'periodUnit': 'h'}, 'code': {'text': 'q4-6h prn pain'}}
        """
        beside = ("words", "asNeeded", "asNeededFor", "now", "continuous", "instruction")
        repeat = {name: value for name, value in self.to_dict().items() if name not in beside}
        if self.bounds:
            repeat["boundsDuration"] = {
                "value": repeat["boundsDuration"]["value"],
                "unit": self.bounds.unit,
                "system": "http://unitsofmeasure.org",
                "code": self.bounds.unit,
            }
        return {**({"repeat": repeat} if repeat else {}), "code": {"text": self.words}}

    def times_a_day(self) -> tuple[float, float] | None:
        """Return the fewest and the most times a day, None for less than daily, a counted number of times or an unsaid number.

        >>> parse_frequency("q4-6h").times_a_day()
        (4.0, 6.0)
        """
        if self.count or self.now or self.day_of_week:
            return None
        if self.time_of_day:
            return float(len(self.time_of_day)), float(len(self.time_of_day))
        if self.frequency is None or not self.period or self.period_unit not in _DAYS:
            return None
        days, days_max = (period * _DAYS[self.period_unit] for period in (self.period, self.period_max or self.period))
        fewest, most = round(self.frequency / days_max, 9), round((self.frequency_max or self.frequency) / days, 9)
        # Every 5 hours is no whole number of times a day.
        return (fewest, most) if days_max <= 1 and fewest.is_integer() and most.is_integer() else None


def parse_frequency(words: str, *, tables: Tables | None = None) -> Timing | None:
    """Return when a drug is taken, None where a word is unknown or two readings are left (biweekly, OD).

    >>> parse_frequency("b.i.d.").to_dict()
    {'words': 'b.i.d.', 'frequency': 2, 'period': 1, 'periodUnit': 'd'}
    >>> parse_frequency("qAM and qPM").when
    ('MORN', 'EVE')
    """
    tables = tables or default_tables()
    text = figures(re.sub(r"(?<!\d)\.|\.(?!\d)", "", normalise(words).lower()), tables=tables)
    text = _times_words(tables).sub(lambda match: tables.code("times_words", match[0]) or "", re.sub(r"\s+", " ", text).strip())
    if not text:
        return None
    needed = _needed(tables).search(text)
    timing = _parts(Timing(), text, tables)
    if timing is None and needed:
        before, after = text[: needed.start()], text[needed.end() :].strip(" ,")
        reason = re.sub(r"^(?:for|if) ", "", after).strip()
        # A limit or a count is no part of a reason.
        if re.search(r"\bmax|exceed|\bx ?\d|;|\bup to\b|\bno more\b", reason) or not re.match(r"[a-z]", reason):
            return None
        # "prn pain q4h": what says how often is no part of it either.
        if any(_part(reason, start.start(), tables) for start in re.finditer(r"\b\w", reason)):
            return None
        timing = _parts(Timing(), before, tables) if before.strip(" ,(") else Timing()
        timing = timing and replace(timing, as_needed=True, as_needed_for=reason.rstrip(" )"))
    return replace(timing, words=words) if timing else None


def _parts(timing: Timing, text: str, tables: Tables) -> Timing | None:
    """Read text from left to right, each part one thing; None where a part is unknown or contradicts another."""
    at, found = 0, timing
    while at < len(text):
        if gap := re.compile(r"[ ,;&()/]+|and\b|or\b").match(text, at):
            at = gap.end()
            continue
        part = _part(text, at, tables)
        merged = _merge(found, part[0]) if part else None
        if part is None or merged is None:
            return None
        found, at = merged, part[1]
    if found == Timing():
        return None
    once_a_day = tuple(code for code in found.when if code not in ("C", "AC", "PC"))
    if not once_a_day:
        return found
    if len(once_a_day) < len(found.when):
        # "before meals and at bedtime": how often is not said for the meals.
        return found if found.frequency is None else None
    daily = (found.period, found.period_max, found.period_unit, found.frequency_max)
    if found.frequency is None:
        return (
            replace(found, frequency=len(once_a_day), period=1.0, period_unit="d") if not found.count and not found.now else found
        )
    return found if found.frequency == len(once_a_day) and daily in ((1.0, None, "d", None),) else None


def _merge(timing: Timing, part: Timing) -> Timing | None:
    """Both together, None where both say how often."""
    changes: dict[str, Any] = {}
    for name in ("frequency", "count", "offset", "bounds", "instruction", "as_needed", "now", "continuous"):
        if getattr(part, name):
            if getattr(timing, name):
                return None
            changes[name] = getattr(part, name)
    if part.frequency:
        changes |= {name: getattr(part, name) for name in ("frequency_max", "period", "period_max", "period_unit")}
    for name in ("when", "time_of_day", "day_of_week"):
        both = getattr(timing, name) + getattr(part, name)
        if len(set(both)) < len(both):
            return None
        changes[name] = both
    merged = replace(timing, **changes)
    # FHIR: a clock time excludes named times and a frequency.
    if merged.time_of_day and (merged.when or merged.frequency):
        return None
    return merged


def _part(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    for read in (_repeats, _phrase, _meal, _weekday, _clock, _bounds):
        if found := read(text, at, tables):
            return found
    return None


def _repeats(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    """ "q4-6h", "every 3 days", "2-3 times a day", "3x/week", "x3/day", "bid-tid"."""
    every, times = _repeat_patterns(tables)
    if match := every.match(text, at):
        low, high = parse_number(match["low"]), parse_number(match["high"]) if match["high"] else None
        if not low or (high is not None and high <= low):
            return None
        return Timing(frequency=1, period=low, period_max=high, period_unit=tables.code("periods", match["unit"])), match.end()
    if match := _between(tables).match(text, at):
        low_, high_ = (_frequency(tables.code("frequencies", words) or "") for words in match.group(1, 2))
        alike = (low_.period, low_.period_unit) == (high_.period, high_.period_unit)
        if not alike or not low_.frequency or not high_.frequency or low_.frequency >= high_.frequency:
            return None
        return replace(low_, frequency_max=high_.frequency), match.end()
    if match := times.match(text, at):
        fewest, most = int(match["low"]), int(match["high"]) if match["high"] else None
        if not fewest or (most is not None and most <= fewest):
            return None
        unit = "d" if match["unit"] in ("night", "nightly") else tables.code("periods", match["unit"])
        return Timing(frequency=fewest, frequency_max=most, period=float(match["many"] or 1), period_unit=unit), match.end()
    return None


@lru_cache(maxsize=8)
def _times_words(tables: Tables) -> re.Pattern[str]:
    return re.compile(rf"\b{tables.either('times_words')}\b(?= ?(?:an? |per |each |every |in |/|daily|weekly|monthly|yearly))")


@lru_cache(maxsize=8)
def _between(tables: Tables) -> re.Pattern[str]:
    """ "bid-tid", "b.i.d. to t.i.d.": two phrases that say how often."""
    often = tables.either("frequencies")
    return re.compile(rf"({often}) ?(?:-|to) ?({often})(?![a-z\d])")


@lru_cache(maxsize=8)
def _repeat_patterns(tables: Tables) -> tuple[re.Pattern[str], re.Pattern[str]]:
    periods = tables.either("periods")
    every = rf"(?:q|every|each) ?(?P<low>{NUMBER})(?: ?(?:-|to|or) ?(?P<high>{NUMBER}))? ?-?(?P<unit>{periods})(?![a-z\d])"
    per = r"(?:an?|per|each|every|/|in an?|in) ?(?:(?P<many>\d{1,3}) )?"
    number = r"(?P<low>\d{1,2})(?: ?(?:-|to|or) ?(?P<high>\d{1,2}))?"
    times = rf"(?:x ?)?{number} ?(?:times?(?![a-z])|x)? ?(?:{per})?(?P<unit>{periods})(?![a-z\d])"
    # A bare "3 days" is no frequency, and "2 daily" may be two tablets: there must be "times", "x" or "/" in it. "x3" is a number
    # of doses unless a period follows: "x3/day".
    several = r"\d{1,2}(?: ?(?:-|to|or) ?\d{1,2})?"
    times = rf"(?={several} ?(?:times?|x|/)|x ?{several} ?(?:/|per\b|an?\b)){times}"
    return re.compile(every), re.compile(times)


def _phrase(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    """The longest phrase of the tables that stands here."""
    pattern, meanings = _phrases(tables)
    match = pattern.match(text, at)
    return (meanings[match[0]], match.end()) if match else None


@lru_cache(maxsize=8)
def _phrases(tables: Tables) -> tuple[re.Pattern[str], dict[str, Timing]]:
    """All phrases as they stand in text, where number words are figures, with what each says."""
    sections: dict[str, Callable[[str], Timing]] = {
        "frequencies": _frequency,
        "day_times": lambda code: Timing(when=(code,)),
        "meal_codes": lambda code: Timing(when=tuple(code.split())),
        "weekday_groups": lambda code: Timing(day_of_week=tuple(code.split())),
        "once": lambda code: Timing(count=1),
        "needed": lambda code: Timing(as_needed=True),
        "now": lambda code: Timing(now=True),
        "continuous": lambda code: Timing(continuous=True),
        "instructions": lambda code: Timing(instruction=code),
    }
    meanings: dict[str, Timing] = {}
    for section, meaning in sections.items():
        for words, code in tables.sections[section].items():
            for spelling in (words, figures(words, tables=tables)):
                meanings.setdefault(spelling, meaning(code))
    return re.compile("(?:" + "|".join(map(re.escape, sorted(meanings, key=len, reverse=True))) + r")(?![a-z\d])"), meanings


def _frequency(code: str) -> Timing:
    """The timing of a code of the tables: "2/1d" is twice in one day."""
    match = re.fullmatch(r"(\d+)/(\d+)([a-z]+)", code)
    if not match:
        raise FormatError(f"frequencies.yml: '{code}' is no frequency. Write times/number unit, as in 2/1d.")
    return Timing(frequency=int(match[1]), period=float(match[2]), period_unit=match[3])


@lru_cache(maxsize=8)
def _needed(tables: Tables) -> re.Pattern[str]:
    return re.compile(rf"\b{tables.either('needed')}\b")


def _meal(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    """ "with breakfast and dinner", "30 minutes before meals"."""
    match = _meal_pattern(tables).match(text, at)
    if not match:
        return None
    time, minutes = tables.code("meal_times", match["time"]), None
    if match["number"]:
        unit = tables.code("periods", match["unit"])
        minutes = float(match["number"]) * {"min": 1, "h": 60}.get(unit or "", 0)
        if time == "C" or not minutes or minutes % 1:
            return None
    codes = []
    for meal in re.split(r" and | & |, ?| or ", match["meals"]):
        letter = tables.code("meals", meal)
        codes.append({"A": "AC", "P": "PC", "C": "C"}[time or "C"] + ("" if letter == "any" else letter or ""))
    return Timing(when=tuple(codes), offset=int(minutes) if minutes else None), match.end()


@lru_cache(maxsize=8)
def _meal_pattern(tables: Tables) -> re.Pattern[str]:
    meals, times = tables.either("meals"), tables.either("meal_times")
    return re.compile(
        rf"(?:(?P<number>\d{{1,3}}) ?(?P<unit>min|mins|minutes?|h|hrs?|hours?) )?(?P<time>{times}) (?:each |every |the |a )?"
        rf"(?P<meals>{meals}(?:(?: and | & |, ?){meals})*)(?![a-z\d])"
    )


def _weekday(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    match = re.compile(rf"(?:(?:on|every|each|q) ?)?({tables.either('weekdays')})(?![a-z\d])").match(text, at)
    day = tables.code("weekdays", match[1]) if match else None
    return (Timing(day_of_week=(day,)), match.end()) if match and day else None


def _clock(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    match = re.compile(
        # "9:30" without am or pm is of no known half of the day.
        r"(?:at |@ ?|q ?)?(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>[ap])m|(?P<hour24>\d\d):(?P<minute24>\d\d)|"
        r"(?<=at )(?P<military>[012]\d[0-5]\d)|(?P<military2>[012]\d[0-5]\d)(?= ?h(?:ou)?rs?\b))(?: ?h(?:ou)?rs?)?(?![a-z\d:])"
    ).match(text, at)
    if not match:
        return None
    figures_ = match["military"] or match["military2"]
    hour = int(figures_[:2] if figures_ else match["hour24"] or match["hour"])
    minute = int(figures_[2:] if figures_ else match["minute24"] or match["minute"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] == "p" else 0)
    if hour > 23 or minute > 59:
        return None
    return Timing(time_of_day=(f"{hour:02}:{minute:02}:00",)), match.end()


def _bounds(text: str, at: int, tables: Tables) -> tuple[Timing, int] | None:
    """ "x 3 doses", "x1", "x 7 days", "for 10 days"."""
    doses = r"(?:x ?|for |times )?(\d{1,3}) ?doses?\b"
    times = r"x ?(\d{1,3})(?: times)?(?! ?[a-z\d-])|x ?(\d{1,3})(?= (?:now|then|prn|today|stat)\b)"
    if match := re.compile(f"{doses}|{times}").match(text, at):
        count = int(match[1] or match[2] or match[3])
        return (Timing(count=count), match.end()) if count else None
    match = re.compile(rf"(?:x|for) ?({NUMBER}) ?(?:more )?({tables.either('periods')}|nights?)(?<!ly)(?![a-z\d])").match(
        text, at
    )
    number = parse_number(match[1]) if match else None
    if not match or not number:
        return None
    unit = "d" if match[2].startswith("night") else tables.code("periods", match[2])
    return Timing(bounds=Amount(number, unit=unit)), match.end()
