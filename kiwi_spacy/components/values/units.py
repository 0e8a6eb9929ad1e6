"""Amounts with their units: what a number, a range or a limit says, and its unit as UCUM."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from .numbers import NUMBER, parse_number
from .records import Record
from .tables import Tables, default_tables, key

Of = Literal["result", "drug"]
# What the words of a unit mean depends on what is measured: U is the enzyme unit of a result, but whatever a drug is measured in.
SECTIONS: dict[Of, tuple[str, ...]] = {"result": ("units", "litres", "lab_units"), "drug": ("units", "litres", "drug_units")}


@dataclass(frozen=True)
class Amount(Record):
    """A number, or a range from `value` to `high`, both included.

    comparator: "<", "<=", ">" or ">=" where the words give a limit. unit: UCUM, None where no unit is written.
    unit_words: The unit as written. approximate: "about", or a decade ("110s" is 110 to 119).
    """

    value: float
    high: float | None = None
    comparator: str | None = None
    approximate: bool = False
    unit: str | None = None
    unit_words: str = ""


def read_unit(words: str, of: Of, *, tables: Tables | None = None) -> str | None:
    """Return a unit as UCUM, None where the tables do not know it.

    >>> read_unit("mcg per kg/min", "drug"), read_unit("units/L", "result"), read_unit("flurbs", "drug")
    ('ug/kg/min', 'U/L', None)
    """
    tables = tables or default_tables()
    for section in reversed(SECTIONS[of]):
        if code := tables.code(section, words):
            return code
    first, *rest = re.split(r" ?/ ?| per | an? (?=hour$|minute$|day$)", key(words))
    numerators = ("lab_numerators", *SECTIONS[of]) if of == "result" else SECTIONS[of]
    parts = [next((code for section in reversed(numerators) if (code := tables.code(section, first))), None)]
    parts += [tables.code("denominators", part) for part in rest]
    if not 2 <= len(parts) <= 3:
        return None
    codes = [part for part in parts if part]
    # "mg/dL" joins; "/min" and "10*3/uL" are whole units, to which nothing can be joined.
    return "/".join(codes) if len(codes) == len(parts) and "/" not in codes[0] else None


def parse_amount(text: str, of: Of, *, tables: Tables | None = None) -> Amount | None:
    """Return the amount that normalised text says from its first to its last character, else None.

    >>> parse_amount("< 0.01 ng/ml", "result")
    Amount(value=0.01, high=None, comparator='<', approximate=False, unit='ng/mL', unit_words='ng/ml')
    """
    tables = tables or default_tables()
    if of == "result" and (sum_ := _feet_or_pounds(text, tables)):
        return sum_
    if limit := re.fullmatch(r"(.*[^ ]) or (below|less|lower|under|above|more|greater|higher)", text, re.IGNORECASE):
        found = parse_amount(limit[1], of, tables=tables)
        below = limit[2].lower() in ("below", "less", "lower", "under")
        plain = found and found.high is None and not found.comparator and not found.approximate
        return replace(found, comparator="<=" if below else ">=") if found and plain else None
    match = re.fullmatch(rf"(?P<before>[^\d.]*?)(?P<sign>(?:(?<![^\s<>=~])[+-] ?)?)(?P<number>{NUMBER})(?P<rest>(?!\d).*)", text)
    if not match:
        return None
    number = parse_number(match["number"])
    before = _before(match["before"], tables)
    if number is None or before is None:
        return None
    comparator, about = before
    negative = match["sign"].startswith("-")
    rest = match["rest"]
    found = _single(number, rest, of, tables)
    if found:
        found = replace(found, value=-found.value) if negative else found
        if found.high is not None and (negative or comparator):
            return None
    elif not match["sign"] and not comparator:
        found = _range(number, rest, of, tables)
    if found is None:
        return None
    return replace(found, comparator=comparator, approximate=found.approximate or about)


def _feet_or_pounds(text: str, tables: Tables) -> Amount | None:
    """Feet with inches, or pounds with ounces, in the smaller unit."""
    match = re.fullmatch(rf"(\d+) ?([a-zA-Z']+)\.?,? ?(?:and )?({NUMBER}) ?([a-zA-Z]+|\"|'')?\.?", text)
    if not match:
        return None
    large, small = (tables.code("lab_units", words or "") for words in match.group(2, 4))
    # 5'10 is written without the inches' own sign.
    small = small or ("[in_i]" if match[2] == "'" and match[4] in (None, "''") else None)
    number = parse_number(match[3])
    for pair, many in ((("[ft_i]", "[in_i]"), 12), (("[lb_av]", "[oz_av]"), 16)):
        if (large, small) == pair and number is not None and number < many:
            return Amount(int(match[1]) * many + number, unit=pair[1], unit_words=text)
    return None


def _before(words: str, tables: Tables) -> tuple[str | None, bool] | None:
    words = words.strip()
    about = _about(tables).match(words)
    if about:
        words = words[about.end() :].strip()
    if not words:
        return None, bool(about)
    comparator = tables.code("comparators", words)
    return (comparator, bool(about)) if comparator else None


@lru_cache(maxsize=8)
def _about(tables: Tables) -> re.Pattern[str]:
    return re.compile(rf"(?i){tables.either('approximations')}(?![a-z])")


def _single(number: float, rest: str, of: Of, tables: Tables) -> Amount | None:
    """A number with its unit, or a decade."""
    decade = re.match(r"'?s(?![a-z/])", rest)
    if decade and number % 10 == 0 and number > 10:
        unit = _unit(rest[decade.end() :], of, tables)
        # In "200s" ten or a hundred numbers may be meant.
        if unit is None or number % 100 == 0:
            return None
        return Amount(number, number + 9, approximate=True, unit=unit[0], unit_words=unit[1])
    if decade and number == 10:
        return None
    unit = _unit(rest, of, tables)
    if unit is None:
        return None
    if limits := tables.code("temperatures", unit[1]):
        low, high = map(float, limits.split())
        if not low <= number <= high:
            return None
    return Amount(number, unit=unit[0], unit_words=unit[1])


def _range(low: float, rest: str, of: Of, tables: Tables) -> Amount | None:
    """The rest of a range: "-5 mg", "% to 94%", "s-140s"."""
    match = re.fullmatch(rf"(?P<unit>[^\d]*?) ?(?:-|to\b|or\b) ?(?P<number>{NUMBER})(?P<rest>(?!\d).*)", rest)
    number = parse_number(match["number"]) if match else None
    if match is None or number is None:
        return None
    first, second = _single(low, match["unit"], of, tables), _single(number, match["rest"], of, tables)
    if first is None or second is None:
        return None
    if first.approximate != second.approximate or (first.unit and second.unit and first.unit != second.unit):
        return None
    high = second.high if second.high is not None else second.value
    if high <= first.value or second.value <= first.value:
        return None
    unit = second if second.unit else first
    return Amount(first.value, high, approximate=first.approximate, unit=unit.unit, unit_words=unit.unit_words)


def _unit(words: str, of: Of, tables: Tables) -> tuple[str | None, str] | None:
    """The unit with its words, (None, "") where none is written, None where it is unknown."""
    words = words.strip()
    if not words:
        return None, ""
    unit = read_unit(words, of, tables=tables)
    return (unit, words) if unit else None
