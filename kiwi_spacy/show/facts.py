"""Facts as the lists that a reader of notes knows: problems, medications, results."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..contract.facts import Attribute, Fact
from ..contract.views import DRUG, PROBLEM, flat, results_of, words
from .words import aligned

PROBLEMS = ("problem", "status", "section", "where and how", "codes")
MEDICATIONS = ("drug", "status", "strength", "dose", "form", "route", "frequency", "duration")
RESULTS = ("test", "result", "flag", "reference range", "time")


def problem_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `PROBLEMS` for each problem, in reading order."""
    return [
        (flat(fact.text), status_words(fact), flat(fact.section.title) if fact.section else "",
         words(fact, "severity", "bodyloc", "course", "temporal"), ", ".join(code.code for code in fact.codes))
        for fact in facts if fact.type == PROBLEM
    ]


def medication_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `MEDICATIONS` for each drug, in reading order; a frequency with what it comes to, if it was read."""
    return [
        (flat(fact.text), status_words(fact), *(words(fact, label) for label in ("strength", "dosage", "form", "route")),
         "; ".join(map(_frequency, fact.attributes.get("frequency", ()))), words(fact, "duration"))
        for fact in facts if fact.type == DRUG
    ]


def result_table(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `RESULTS` for each result of a test, in reading order; tests without a result are left out."""
    return [
        (flat(fact.text), _result(found), str((found.value or {}).get("interpretation", "")),
         words(fact, "reference_range"), words(fact, "temporal"))
        for fact in facts for found in results_of(fact)
    ]


def fact_tables(facts: Sequence[Fact]) -> str:
    """Return the three lists as plain text, each under its name; one without a row says so."""
    lists = (
        ("Problems", PROBLEMS, problem_list(facts)), ("Medications", MEDICATIONS, medication_list(facts)),
        ("Results", RESULTS, result_table(facts)),
    )
    return "\n\n".join(f"{name}\n\n{aligned([heads, *rows]) if rows else 'none found'}" for name, heads, rows in lists)


def status_words(fact: Fact) -> str:
    """Return the status in a word, and whose it is: "family (father)"."""
    relative = fact.status.relative
    return f"{fact.status.summary} ({relative})" if relative else fact.status.summary


def _frequency(found: Attribute) -> str:
    """Return the note's words and what they come to, both ends of a range, the count and "as needed" included."""
    value = found.value or {}
    if not {"frequency", "period", "periodUnit"} <= value.keys():
        return flat(found.text)
    times, period = _span(value, "frequency", "frequencyMax"), _span(value, "period", "periodMax")
    parts = [f"{times} per {period} {value['periodUnit']}"]
    if "count" in value:
        parts.append(f"{value['count']} in all")
    if value.get("asNeeded"):
        reason = flat(value.get("asNeededFor", ""))
        parts.append(f"as needed for {reason}" if reason else "as needed")
    return f"{flat(found.text)} = {', '.join(parts)}"


def _result(found: Attribute) -> str:
    """Return a quantity as number, or range, and UCUM unit; any other result in the note's words."""
    value: dict[str, Any] = found.value or {}
    if value.get("type") != "quantity" or "value" not in value:
        return flat(found.text)
    about = "about " if value.get("approximate") else ""
    return f"{about}{value.get('comparator', '')}{_span(value, 'value', 'high')} {value.get('unit', '')}".strip()


def _span(value: dict[str, Any], low: str, high: str) -> str:
    """Return a number, or a range where the upper end is known: to show the lower end alone would mislead."""
    return f"{value[low]}-{value[high]}" if high in value else str(value[low])
