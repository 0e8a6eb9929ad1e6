"""How much of a drug: strength, dose, form, route, and the amount a day that follows."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from .frequencies import Timing
from .numbers import NUMBER, figures, parse_number, written
from .records import Record
from .tables import Tables, default_tables, normalise
from .units import Amount, parse_amount

# One of these is as much of a drug as its strength says.
_COUNTED = (None, "{tablet}", "{capsule}", "{pill}", "{suppository}", "{lozenge}")
_PUFFS = ("{puff}", "{actuation}", "{spray}")
_HOURS = {"min": 60.0, "h": 1.0}


@dataclass(frozen=True)
class Strength(Record):
    """An amount for each ingredient; `per` is the amount that holds them (5 mL, one actuation, a kilogram of the patient)."""

    words: str
    parts: tuple[Amount, ...]
    per: Amount | None = None


@dataclass(frozen=True)
class Dose(Record):
    """The amount taken at once, or a rate (then the unit has a time in it).

    per: The amount it is in where its number is not 1 (10 mEq per 1000 mL).
    code: "sliding_scale", "bolus" …, beside the amount or in its place.
    """

    words: str
    value: float | None = None
    high: float | None = None
    comparator: str | None = None
    approximate: bool = False
    unit: str | None = None
    per: Amount | None = None
    code: str | None = None


@dataclass(frozen=True)
class Form(Record):
    """A form's code; `count` is the number to dispense ("#30 tabs")."""

    words: str
    code: str
    count: int | None = None


@dataclass(frozen=True)
class Route(Record):
    """The codes of one or more routes; `method` is how ("push", "infusion" …), which may stand alone ("drip")."""

    words: str
    codes: tuple[str, ...] = ()
    method: str | None = None


@dataclass(frozen=True)
class DailyAmount(Record):
    """The amount a day of each ingredient; a range where dose, interval or need leave it open."""

    parts: tuple[Amount, ...]


def parse_strength(words: str, *, tables: Tables | None = None) -> Strength | None:
    """Return the amount of each ingredient, None where it cannot be read for sure.

    >>> [part.value for part in parse_strength("5/325 mg").parts]
    [5.0, 325.0]
    >>> parse_strength("10 mg/5 mL").per
    Amount(value=5.0, high=None, comparator=None, approximate=False, unit='mL', unit_words='mL')
    """
    tables = tables or default_tables()
    text = _millions(figures(normalise(words), tables=tables))
    if not text:
        return None
    # "5-325 mg" is two ingredients, "25-50 mg" a range: the words alone do not tell.
    if re.search(r"\d-\d", text):
        return None
    if found := _concentration(text, tables):
        return Strength(words, (found[0],), found[1])
    parts = [_amount(part, tables) for part in text.split("/")]
    # "200 mg/40 mg/5 mL": what is measured by volume holds the ingredients.
    per = parts.pop() if len(parts) > 2 and parts[-1] and parts[-1].unit in ("mL", "L") else None
    read = tuple(part for part in parts if part is not None)
    if len(read) < len(parts) or len(parts) > 4 or any(part.comparator or part.approximate for part in read):
        return None
    if len(read) == 1:
        return Strength(words, read)
    # "5/325 mg" is two numbers in one unit. Only the last may lend its unit: in "5 mg/325" the second is unclear.
    units = [part.unit for part in read]
    if any(part.high is not None for part in read) or any(unit and unit.startswith("{") and unit != "{unit}" for unit in units):
        return None
    if not all(units) and (units[-1] is None) != (not any(units)):
        return None
    if all(unit is None for unit in units[:-1]):
        read = tuple(replace(part, unit=units[-1]) for part in read)
    elif not all(units):
        return None
    # Every ingredient beside a volume must have its own unit, and none may be a volume itself.
    if per and (per.high is not None or any(part.unit in (None, "mL", "L") for part in read)):
        return None
    return Strength(words, read, per)


def parse_dose(words: str, *, tables: Tables | None = None) -> Dose | None:
    """Return the amount taken at once or the rate, None where it cannot be read for sure.

    >>> parse_dose("one to two tabs").to_dict()
    {'words': 'one to two tabs', 'value': 1, 'high': 2, 'unit': '{tablet}'}
    >>> parse_dose("0.05 mcg/kg/min").unit, parse_dose("sliding scale").code
    ('ug/kg/min', 'sliding_scale')
    """
    tables = tables or default_tables()
    text = normalise(words)
    if not text:
        return None
    if code := tables.code("dose_codes", text):
        return Dose(words, code=code)
    code = None
    if match := _dose_code(tables).search(text):
        code, text = tables.code("dose_codes", match[1]), text[: match.start()]
    text = re.sub(r"^an? (?=[a-z])", "1 ", figures(text, fractions=True, tables=tables))
    text = _millions(text)
    per = None
    found = _amount(text, tables)
    if found is None and (concentration := _concentration(text, tables)):
        found, per = concentration
    if found is None:
        return None
    return Dose(words, found.value, found.high, found.comparator, found.approximate, found.unit, per, code)


def parse_form(words: str, *, tables: Tables | None = None) -> Form | None:
    """Return a form's code, None where the tables do not know it.

    >>> parse_form("#30 tabs")
    Form(words='#30 tabs', code='tablet', count=30)
    """
    tables = tables or default_tables()
    text = normalise(words)
    count = re.match(r"# ?(\d{1,5}) ", text)
    code = tables.code("forms", text[count.end() :] if count else text)
    return Form(words, code, int(count[1]) if count else None) if code else None


def parse_route(words: str, *, tables: Tables | None = None) -> Route | None:
    """Return the routes' codes and the method, None where a word is unknown.

    >>> parse_route("PO or PR").codes, parse_route("IV push").method
    (('oral', 'rectal'), 'push')
    """
    tables = tables or default_tables()
    text = normalise(words)
    if method := tables.code("methods", text):
        return Route(words, method=method)
    if both := tables.code("routes_with_method", text):
        code, method = both.split()
        return Route(words, (code,), method)
    whole = tables.code("routes", text)
    codes = [whole] if whole else [tables.code("routes", part) for part in re.split(r" ?/ ?| or | and | & |, ?", text)]
    known = tuple(dict.fromkeys(code for code in codes if code))
    return Route(words, known) if all(codes) and known else None


def daily_amount(dose: Dose | None, timing: Timing | None, *, strength: Strength | None = None) -> DailyAmount | None:
    """Return the amount a day, None where it does not follow from the three.

    A dose in tablets needs a strength in one unit, one in mL a concentration. As needed means from nothing to the most allowed.
    Nothing follows from less than daily, a counted number of times, or a dose by weight.

    >>> from kiwi_spacy.components.values import parse_frequency
    >>> daily_amount(parse_dose("2 tabs"), parse_frequency("bid"), strength=parse_strength("500 mg")).to_dict()
    {'parts': [{'value': 2000, 'unit': 'mg'}]}
    """
    if dose is None or timing is None or dose.value is None or dose.comparator or dose.approximate or dose.code or dose.per:
        return None
    if timing.continuous:
        match = re.fullmatch(r"([^/]+)/(min|h)", dose.unit or "")
        if not match or timing != Timing(timing.words, continuous=True):
            return None
        factor = 24 * _HOURS[match[2]]
        return DailyAmount((_scaled(Amount(dose.value, dose.high, unit=match[1]), factor, factor),))
    times = timing.times_a_day()
    once = _once(dose, strength)
    if times is None or once is None:
        return None
    fewest, most = (0.0, times[1]) if timing.as_needed else times
    return DailyAmount(tuple(_scaled(amount, fewest, most) for amount in once))


def _once(dose: Dose, strength: Strength | None) -> tuple[Amount, ...] | None:
    """The amounts of one dose in units of mass, volume or activity."""
    assert dose.value is not None
    taken = Amount(dose.value, dose.high, unit=dose.unit)
    counted = dose.unit in (*_COUNTED, *_PUFFS)
    if strength is None or (not counted and dose.unit not in ("mL", "L")):
        plain = dose.unit is not None and "/" not in dose.unit and (dose.unit == "{unit}" or not dose.unit.startswith("{"))
        return (taken,) if plain else None
    per = strength.per
    units = [part.unit for part in strength.parts]
    if any(unit is None or "%" in unit or "/" in unit for unit in units) or any(part.high is not None for part in strength.parts):
        return None
    if dose.unit in _COUNTED and per is None:
        shares = 1.0
    elif per and per.unit and ((dose.unit == per.unit) or (dose.unit in _PUFFS and per.unit in _PUFFS)):
        shares = per.value
    else:
        return None
    return tuple(
        _scaled(
            Amount(taken.value / shares, None if taken.high is None else taken.high / shares, unit=part.unit),
            part.value,
            part.value,
        )
        for part in strength.parts
    )


def _scaled(amount: Amount, fewest: float, most: float) -> Amount:
    low = round(amount.value * fewest, 6)
    high = round((amount.value if amount.high is None else amount.high) * most, 6)
    return Amount(low, high if high > low else None, unit=amount.unit)


def _amount(text: str, tables: Tables) -> Amount | None:
    amount = parse_amount(text, "drug", tables=tables)
    return amount if amount and amount.value >= 0 and not text.startswith(("+", "-")) else None


@lru_cache(maxsize=8)
def _dose_code(tables: Tables) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<=[^ ]) ({tables.either('dose_codes')})$")


@lru_cache(maxsize=8)
def _holders(tables: Tables) -> frozenset[str]:
    """What holds a drug: all denominators that are no mass, which would be a second ingredient."""
    return frozenset(set(tables.sections["denominators"].values()) - {"mg", "g", "mmol"}) | {
        "{actuation}",
        "{puff}",
        "{spray}",
        "{dose}",
        "{tablet}",
    }


def _concentration(text: str, tables: Tables) -> tuple[Amount, Amount] | None:
    """An amount in another: "10 mg/5 mL", "40 mg in 0.4 mL", "100 units/mL"."""
    match = re.fullmatch(r"(.+?)(?: ?/ ?| per | in )(.+)", text)
    amount = _amount(match[1], tables) if match else None
    if match is None or amount is None or amount.unit is None or amount.comparator:
        return None
    number = re.match(rf"{NUMBER}(?!\d)", match[2])
    unit_words = match[2][number.end() if number else 0 :].strip()
    unit = tables.code("denominators", unit_words) or (tables.code("units", unit_words) if number else None)
    value = parse_number(number[0]) if number else 1.0
    if unit not in _holders(tables) or not value or "/" in amount.unit or unit == amount.unit:
        return None
    return amount, Amount(value, unit=unit, unit_words=unit_words)


def _millions(text: str) -> str:
    return re.sub(rf"({NUMBER}) million(?= )", lambda match: written(float(match[1].replace(",", "")) * 1e6), text)
