"""Facts as the lists that a reader of notes knows: problems, medications, results."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..contract.facts import Attribute, Fact
from ..contract.views import DRUG, PROBLEM, TEST, flat, results_of, words
from .words import aligned, status_words

PROBLEMS = ("problem", "status", "section", "where and how", "codes")
MEDICATIONS = ("drug", "status", "strength", "dose", "form", "route", "frequency", "duration", "codes")
RESULTS = ("test", "result", "flag", "reference range", "time", "codes")
_NO_BRACES = str.maketrans("", "", "{}")


def problem_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `PROBLEMS` for each problem, in reading order."""
    return [
        (flat(fact.text), status_words(fact), flat(fact.section.title) if fact.section else "",
         words(fact, "severity", "bodyloc", "course", "temporal"), _codes(fact))
        for fact in facts if fact.type == PROBLEM
    ]


def medication_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `MEDICATIONS` for each drug, in reading order; a frequency with what it comes to, if it was read."""
    return [
        (flat(fact.text), status_words(fact), *(words(fact, label) for label in ("strength", "dosage", "form", "route")),
         "; ".join(map(_frequency, fact.attributes.get("frequency", ()))), words(fact, "duration"), _codes(fact))
        for fact in facts if fact.type == DRUG
    ]


def result_table(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `RESULTS` for each result of a test, in reading order; tests without a result are left out."""
    return [
        (flat(fact.text), _result(found), str((found.value or {}).get("interpretation", "")),
         words(fact, "reference_range"), words(fact, "temporal"), _codes(fact))
        for fact in facts for found in results_of(fact)
    ]


LISTS: tuple[tuple[str, tuple[str, ...], Callable[[Iterable[Fact]], list[tuple[str, ...]]]], ...] = (
    ("Problems", PROBLEMS, problem_list), ("Medications", MEDICATIONS, medication_list), ("Results", RESULTS, result_table),
)


def fact_tables(facts: Sequence[Fact]) -> str:
    """Return the three lists as plain text, each under its name; one without a row says so."""
    found = [(name, heads, rows_of(facts)) for name, heads, rows_of in LISTS]
    return "\n\n".join(f"{name}\n\n{aligned([heads, *rows]) if rows else 'none found'}" for name, heads, rows in found)


def _codes(fact: Fact) -> str:
    return ", ".join(code.code for code in fact.codes)


def value_words(fact: Fact) -> str:
    """Return in short what the modifiers of a drug or a test come to, in the note's words where they were not read.

    >>> from kiwi_spacy.contract.status import Status
    >>> twice = Attribute("frequency", "b.i.d.", 6, 12, value={"frequency": 2, "period": 1, "periodUnit": "d"})
    >>> strength = Attribute("strength", "20mg", 0, 4, value={"parts": [{"value": 20, "unit": "mg"}]})
    >>> value_words(Fact("drug", "Lasix", 13, 18, None, Status(), None, {"strength": (strength,), "frequency": (twice,)}))
    '20 mg, 2 per 1 d'
    """
    if fact.type == TEST:
        return "; ".join(" ".join(filter(None, row[1:3])) for row in result_table([fact]))
    if fact.type != DRUG:
        return ""
    amounts = [*map(_amounts, fact.attributes.get("strength", ()))]
    for found in fact.attributes.get("dosage", ()):
        bare = "value" in (found.value or {}) and "unit" not in (found.value or {})  # the "1" of "1 tablet"
        amounts.append(f"{_amounts(found)} {words(fact, 'form') or 'at a time'}" if bare else _amounts(found))
    times = [_timing(found.value or {}) or flat(found.text) for found in fact.attributes.get("frequency", ())]
    return ", ".join([*amounts, *times])


def _frequency(found: Attribute) -> str:
    """Return the note's words and what they come to."""
    timing = _timing(found.value or {})
    return f"{flat(found.text)} = {timing}" if timing else flat(found.text)


def _timing(value: dict[str, Any]) -> str:
    """Return how often, with both ends of a range, times of day, the count and "as needed"; empty where no rate is said."""
    if not {"frequency", "period", "periodUnit"} <= value.keys():
        return ""
    times, period = _span(value, "frequency", "frequencyMax"), _span(value, "period", "periodMax")
    parts = [f"{times} per {period} {value['periodUnit']}"]
    parts += [" ".join(value[key]) for key in ("when", "timeOfDay", "dayOfWeek") if key in value]
    if "count" in value:
        parts.append(f"{value['count']} in all")
    if value.get("asNeeded"):
        reason = flat(value.get("asNeededFor", ""))
        parts.append(f"as needed for {reason}" if reason else "as needed")
    return ", ".join(parts)


def _result(found: Attribute) -> str:
    """Return a quantity as number, or range, and UCUM unit; any other result in the note's words."""
    value: dict[str, Any] = found.value or {}
    return _quantity(value) if value.get("type") == "quantity" and "value" in value else flat(found.text)


def _amounts(found: Attribute) -> str:
    """Return a strength or a dose: each ingredient, and what it is in. Others, such as a sliding scale, stay words."""
    value = found.value or {}
    parts = value.get("parts") or ([value] if "value" in value else [])
    within = f" per {_quantity(value['per'])}" if "per" in value else ""
    return " + ".join(map(_quantity, parts)) + within if parts else flat(found.text)


def _quantity(value: dict[str, Any]) -> str:
    about = "about " if value.get("approximate") else ""
    unit = (value.get("unit") or "").translate(_NO_BRACES)  # UCUM has braces about what is only counted, as {tablet}
    return f"{about}{value.get('comparator', '')}{_span(value, 'value', 'high')} {unit}".strip()


def _span(value: dict[str, Any], low: str, high: str) -> str:
    """Return a number, or a range where the upper end is known: to show the lower end alone would mislead."""
    return f"{value[low]}-{value[high]}" if high in value else str(value[low])
