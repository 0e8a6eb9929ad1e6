"""Values of laboratory tests and vital signs, their reference ranges and what they mean."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from .numbers import NUMBER, figures, parse_number
from .records import Record
from .tables import Tables, default_tables, normalise
from .units import Amount, parse_amount, read_unit


@dataclass(frozen=True)
class Quantity(Amount):
    """A number or a range, with its unit."""

    tag: ClassVar[str] = "quantity"


@dataclass(frozen=True)
class Ratio(Record):
    """Two or more numbers that belong together: 120/80, 20/40, 7.33/48/91, 1:320."""

    tag: ClassVar[str] = "ratio"
    values: tuple[float, ...]
    unit: str | None = None
    unit_words: str = ""


@dataclass(frozen=True)
class Qualitative(Record):
    """A result in words, as a code of results.yml."""

    tag: ClassVar[str] = "qualitative"
    code: str


@dataclass(frozen=True)
class NoValue(Record):
    """No result: `reason` is "not-performed", "pending", "refused", "error" or "unknown"."""

    tag: ClassVar[str] = "no_value"
    reason: str


@dataclass(frozen=True)
class Trend(Record):
    """Results in the order in which they were taken."""

    tag: ClassVar[str] = "trend"
    values: tuple[Quantity | Ratio | Qualitative, ...]


@dataclass(frozen=True)
class Range(Record):
    """What counts as normal: from `low` to `high`, a limit itself outside where it is open; `code` where it is a word."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    unit: str | None = None
    code: str | None = None


Value = Quantity | Ratio | Qualitative | NoValue | Trend


@dataclass(frozen=True)
class Result:
    """A result with its words.

    interpretation: "H", "L", "HH", "LL", "N" or "A", from a flag if there is one, else from the reference range.
    qualifier: Words beside the value that do not change it ("room air").
    """

    words: str
    value: Value
    reference: Range | None = None
    interpretation: str | None = None
    qualifier: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data: the value's own keys with those of the result beside them."""
        data = {"words": self.words, **self.value.to_dict()}
        if self.reference:
            data["reference"] = self.reference.to_dict()
        if self.interpretation:
            data["interpretation"] = self.interpretation
        if self.qualifier:
            data["qualifier"] = self.qualifier
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Result":
        """Return the result that `to_dict` wrote."""
        kinds: dict[str, type[Value]] = {kind.tag: kind for kind in (Quantity, Ratio, Qualitative, NoValue, Trend)}
        reference = Range.from_dict(data["reference"]) if "reference" in data else None
        return cls(
            data["words"], kinds[data["type"]].from_dict(data), reference, data.get("interpretation"), data.get("qualifier", "")
        )


def parse_result(
    words: str, *, flag_words: str = "", reference: str = "", test: str = "", tables: Tables | None = None
) -> Result | None:
    """Return the value that the words of a result say, None where it cannot be read for sure.

    words (str): The result ("6.1 mmol/L (3.5-5.1) H").
    flag_words (str): A flag that stands elsewhere ("H").
    reference (str): A reference range that stands elsewhere.
    test (str): The words of the test: they decide whether "2 L" are two litres or a low 2.
    RETURNS (Result | None): None for unknown units, unknown words and everything with two readings.

    >>> parse_result("6.1 mmol/L (3.5-5.1) H").to_dict()["interpretation"]
    'H'
    >>> [value.value for value in parse_result("1.1 -> 1.8 -> 2.4").value.values]
    [1.1, 1.8, 2.4]
    >>> parse_result("7.2 L") is None
    True
    """
    tables = tables or default_tables()
    text = normalise(words)
    if not text:
        return None
    flag = tables.code("flags", normalise(flag_words)) if flag_words.strip() else None
    limits = parse_reference(reference, tables=tables) if reference.strip() else None
    whole = _one(text, tables)
    if whole and not isinstance(whole, Quantity):
        return _result(words, whole, limits, flag, "", tables)
    stripped = _brackets(text, tables)
    if stripped is None:
        return None
    text, inner, inner_flag = stripped
    text, qualifier, oxygen = _qualifiers(text, tables)
    text, written = _flag(text)
    reading = _litre_or_low(text, tables, oxygen=oxygen, limits=limits or inner, test=test)
    if reading is None:
        return None
    text, low = reading
    marks = {mark for mark in (flag, inner_flag, written, "L" if low else None) if mark}
    if len(marks) > 1:
        return None
    value = _trend(text, tables) or _one(text, tables)
    decided = bool(marks or reference.strip() or tables.code("litre_tests", normalise(test)) == "never")
    if value is None or (inner and not decided and not _is_reference(value, inner)):
        return None
    return _result(words, value, limits or inner, next(iter(marks), None), qualifier, tables)


def parse_reference(words: str, *, tables: Tables | None = None) -> Range | None:
    """Return the values that count as normal, None where the words are no range.

    >>> parse_reference("(ref: 3.5-5.1)").to_dict(), parse_reference("<150").to_dict()
    ({'low': 3.5, 'high': 5.1}, {'high': 150, 'high_open': True})
    """
    tables = tables or default_tables()
    text = normalise(words)
    if re.fullmatch(r"\([^()]*\)|\[[^\[\]]*\]", text):
        text = text[1:-1].strip()
    if code := tables.code("results", text):
        return Range(code=code)
    for prefix in tables.words("reference_words"):
        if re.match(re.escape(prefix) + r"[ :=]", text.lower()):
            text = text[len(prefix) :].lstrip(" :=.")
            break
    if match := re.fullmatch(rf"-({NUMBER}) ?(?:to|-) ?([-+]?) ?({NUMBER})", text):
        low, high = -(parse_number(match[1]) or 0), (parse_number(match[3]) or 0) * (-1 if match[2] == "-" else 1)
        return Range(low, high) if low < high else None
    amount = parse_amount(figures(text, tables=tables), "result", tables=tables)
    if amount is None or amount.approximate:
        return Range(code=code) if (code := tables.code("results", text)) else None
    if amount.high is not None:
        return Range(amount.value, amount.high, unit=amount.unit)
    if amount.comparator in ("<", "<="):
        return Range(high=amount.value, high_open=amount.comparator == "<", unit=amount.unit)
    if amount.comparator in (">", ">="):
        return Range(low=amount.value, low_open=amount.comparator == ">", unit=amount.unit)
    return None


def interpret(value: Value, reference: Range | None, flag: str | None = None, *, tables: Tables | None = None) -> str | None:
    """Return "H", "L", "HH", "LL", "N" or "A" for a value, None where neither flag nor range decides.

    A trend is judged by its last value. Units that differ, and a range or limit across a limit of normal, decide nothing.

    >>> interpret(Quantity(6.1), Range(3.5, 5.1)), interpret(Quantity(6.1), Range(3.5, 5.1), "HH")
    ('H', 'HH')
    """
    if flag:
        return flag
    tables = tables or default_tables()
    if isinstance(value, Trend):
        value = value.values[-1]
    if isinstance(value, Qualitative):
        if meaning := tables.code("meanings", value.code):
            return meaning
        if reference and reference.code:
            if reference.code == value.code:
                return "N"
            kinds = tables.code("opposites", reference.code), tables.code("opposites", value.code)
            return "A" if kinds == ("normal", "abnormal") else None
    if not isinstance(value, Quantity) or reference is None or reference.code:
        return None
    if value.unit and reference.unit and value.unit != reference.unit:
        return None
    return _in_range(value, reference)


def _in_range(value: Quantity, normal: Range) -> str | None:
    least = None if value.comparator in ("<", "<=") else value.value
    most = None if value.comparator in (">", ">=") else value.value if value.high is None else value.high
    if least is not None and normal.high is not None and _above(least, normal.high, normal.high_open or value.comparator == ">"):
        return "H"
    if most is not None and normal.low is not None and _above(-most, -normal.low, normal.low_open or value.comparator == "<"):
        return "L"
    # No measure with a limit of normal at or below zero goes below it: "<0.01" with 0 to 0.04 is normal.
    low = (
        normal.low is None
        or (least is not None and not _above(-least, -normal.low, normal.low_open))
        or (least is None and normal.low <= 0)
    )
    high = normal.high is None or (
        most is not None and not _above(most, normal.high, normal.high_open and value.comparator != "<")
    )
    return "N" if low and high else None


def _above(number: float, limit: float, limit_too: bool) -> bool:
    return number >= limit if limit_too else number > limit


def _result(words: str, value: Value, reference: Range | None, flag: str | None, qualifier: str, tables: Tables) -> Result:
    return Result(words, value, reference, interpret(value, reference, flag, tables=tables), qualifier)


def _one(text: str, tables: Tables) -> Value | None:
    """A single value that takes the whole text."""
    if code := tables.code("results", text):
        return Qualitative(code)
    # "mildly elevated" is elevated.
    if match := _degree(tables).fullmatch(text):
        code = tables.code("results", match[1])
        return Qualitative(code) if code and tables.code("meanings", code) in ("H", "L", "A") else None
    if re.fullmatch(r"[1-5][+-]/5", text):
        return Qualitative(text)
    if reason := tables.code("no_value", text):
        return NoValue(reason)
    if ratio := _ratio(text, tables):
        return ratio
    amount = parse_amount(figures(text, tables=tables), "result", tables=tables)
    # "12 H" is high, not twelve hours.
    if amount and amount.unit_words == "H":
        return None
    return (
        Quantity(amount.value, amount.high, amount.comparator, amount.approximate, amount.unit, amount.unit_words)
        if amount
        else None
    )


@lru_cache(maxsize=8)
def _degree(tables: Tables) -> re.Pattern[str]:
    return re.compile(rf"(?i){tables.either('degrees')} (.+)")


def _ratio(text: str, tables: Tables) -> Ratio | None:
    match = re.fullmatch(rf"({NUMBER})((?:(?: ?/ ?| over | of | out of |:)-?{NUMBER})+)(?!\d)(.*)", text)
    if not match:
        return None
    numbers = [match[1], *re.findall(rf"-?{NUMBER}", match[2])]
    values = tuple(-(parse_number(number[1:]) or 0) if number[0] == "-" else parse_number(number) for number in numbers)
    unit_words = match[3].strip()
    unit = read_unit(unit_words, "result", tables=tables) if unit_words else None
    if None in values or (unit_words and unit is None) or (":" in text and match[1] != "1"):
        return None
    # Three numbers are a blood gas, which begins with its pH; else they may be a date. "08/24" is one too.
    if len(values) > 2 and not ("." in match[1] and 6.5 <= float(match[1]) <= 8):
        return None
    if any(number.startswith("0") and number[1:2].isdigit() for number in numbers) or (
        len(values) == 2 and values[1] is not None and values[1] < 0
    ):
        return None
    return Ratio(tuple(value for value in values if value is not None), unit, unit_words)


def _trend(text: str, tables: Tables) -> Trend | None:
    if re.fullmatch(rf"{NUMBER}(?: ?> ?{NUMBER})+.*", text):
        text = re.sub(rf"(?<=\d) ?> ?(?={NUMBER})", " -> ", text)
    if match := re.fullmatch(r"from (.+) to (.+)", text, re.IGNORECASE):
        parts = [match[1], match[2]]
    elif match := re.fullmatch(
        r"([^,]+?),? ((?:trending )?(?:up|down)|increased|decreased|improved|worsened) from (.+)", text, re.IGNORECASE
    ):
        parts = [match[3], match[1]]
        move = {"up": 1, "increased": 1, "down": -1, "decreased": -1}.get(match[2].lower().removeprefix("trending "), 0)
        before, after = (_one(part, tables) for part in parts)
        # "8.1, up from 9.4" contradicts itself.
        if move and isinstance(before, Quantity) and isinstance(after, Quantity) and (after.value - before.value) * move <= 0:
            return None
    else:
        parts = re.split(r" ?[-=]+> ?|,? then ", text)
    values = [_one(part, tables) for part in parts]
    items = tuple(value for value in values if isinstance(value, Quantity | Ratio | Qualitative))
    if len(parts) < 2 or len(items) < len(parts):
        return None
    units = {value.unit for value in items if isinstance(value, Quantity | Ratio) and value.unit}
    if len(units) == 1:
        unit = next(iter(units))
        items = tuple(replace(value, unit=unit) if isinstance(value, Quantity | Ratio) else value for value in items)
    return Trend(items)


def _brackets(text: str, tables: Tables) -> tuple[str, Range | None, str | None] | None:
    """The text without its brackets, with the range and the flag they hold; None where one holds something else."""
    reference, flag = None, None
    for inside in re.findall(r"[(\[]([^()\[\]]*)[)\]]", text):
        found = parse_reference(inside, tables=tables)
        # Upper case, as "(h)" may be an hour or a list's letter.
        mark = tables.code("flags", inside) if inside.isupper() or inside == "*" or len(inside) > 3 else None
        if mark and flag is None:
            flag = mark
        elif found and not found.code and reference is None:
            reference = found
        elif not tables.code("qualifiers", inside):
            return None
    text = re.sub(r" ?[(\[][^()\[\]]*[)\]]", "", text)
    return re.sub(r" +", " ", text).strip(" ,;"), reference, flag


def _is_reference(value: Value, limits: Range) -> bool:
    """Whether a range in brackets is one of normal values.

    Progress notes write the range of the day so: "HR 72 (60-80)", "98.6 (97-99)". A unit that no vital sign has tells them apart,
    and so does a number after the point that is no temperature.
    """
    if isinstance(value, Trend):
        return True
    if not isinstance(value, Quantity):
        return False
    if value.unit is not None:
        return value.unit not in ("/min", "mm[Hg]", "Cel", "[degF]", "%")
    numbers = [number for number in (value.value, limits.low, limits.high) if number is not None]
    return any(number % 1 for number in numbers) and not any(low <= value.value <= high for low, high in ((34, 43), (93, 108)))


def _qualifiers(text: str, tables: Tables) -> tuple[str, str, bool]:
    """The text without the qualifiers at its end, with these, and whether one is a device that gives oxygen."""
    found: list[str] = []
    oxygen = False
    while match := _qualifier(tables).search(text):
        words = match[0].strip(" ,")
        oxygen = oxygen or tables.code("oxygen", words) is not None
        found.insert(0, words)
        text = text[: match.start()].rstrip(" ,")
    return text, " ".join(found), oxygen


@lru_cache(maxsize=8)
def _qualifier(tables: Tables) -> re.Pattern[str]:
    flow = rf"(?:on|with|@) ?{NUMBER} ?(?:l|lpm|liters?|l/min) {tables.either('oxygen')}"
    return re.compile(rf"(?i)(?<=[^ ,])[ ,]+(?:{tables.either('qualifiers', 'oxygen')}|{flow})$")


def _flag(text: str) -> tuple[str, str | None]:
    """The text without the flag before a number, or after it and its unit. A bare L after a number stays: it may be a litre."""
    if match := re.fullmatch(rf"(?P<letter>HH|LL|H|L) (?P<rest>{NUMBER}.*)", text):
        return match["rest"], match["letter"]
    mark = r"[ ,;]*(?P<star>\*)|[ ,;]+(?P<letter>HH|LL|H|L|A|N)|[ ,;]+(?P<word>(?i:high|low|elevated|abnormal|normal))"
    if match := re.fullmatch(rf"(?P<rest>.*\d.*?)(?:{mark})", text):
        if match["star"]:
            return match["rest"], "A"
        if match["word"]:
            return match["rest"], {"h": "H", "e": "H", "l": "L", "a": "A", "n": "N"}[match["word"][0].lower()]
        if match["letter"] != "L" or not re.fullmatch(rf".*?{NUMBER}", match["rest"]):
            return match["rest"], match["letter"]
    return text, None


def _litre_or_low(text: str, tables: Tables, *, oxygen: bool, limits: Range | None, test: str) -> tuple[str, bool] | None:
    """The text, and whether its bare L means low (it is then taken away); None where that cannot be known."""
    if not re.search(r"\d ?[Ll]$", text):
        return text, False
    measured = tables.code("litre_tests", normalise(test)) if test else None
    numbers = [parse_number(part) for part in re.findall(rf"({NUMBER}) ?[Ll](?![a-zA-Z])", text)]
    parts = re.split(r" ?[-=]+> ?", text)
    # A flow of oxygen is changed in whole or half litres; a low potassium is not 1 or 2.
    flow = (
        len(parts) > 1
        and len(numbers) == len(parts)
        and all(number is not None and number <= 15 and number * 2 % 1 == 0 for number in numbers)
    )
    if measured == "measured" or oxygen or flow or text.startswith("+"):
        return text, False
    last = numbers[-1] if numbers else None
    if measured == "never" or (limits and limits.low is not None and last is not None and last < limits.low):
        return text[:-1].rstrip(), True
    return None
