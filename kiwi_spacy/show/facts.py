"""Facts as the lists that a reader of notes knows: problems, medications, results."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..contract.facts import Attribute, Fact
from .words import aligned, flat

PROBLEMS = ("problem", "status", "section", "where and how", "codes")
MEDICATIONS = ("drug", "status", "strength", "dose", "form", "route", "frequency", "duration")
RESULTS = ("test", "result", "flag", "reference range", "time")


def problem_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `PROBLEMS` for each problem, in reading order."""
    return [
        (flat(fact.text), _status(fact), flat(fact.section.title) if fact.section else "",
         _words(fact, "severity", "bodyloc", "course", "temporal"), ", ".join(code.code for code in fact.codes))
        for fact in facts if fact.type == "problem"
    ]


def medication_list(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `MEDICATIONS` for each drug, in reading order; a frequency with what it comes to, if it was read."""
    return [
        (flat(fact.text), _status(fact), *(_words(fact, label) for label in ("strength", "dosage", "form", "route")),
         "; ".join(map(_frequency, fact.attributes.get("frequency", ()))), _words(fact, "duration"))
        for fact in facts if fact.type == "drug"
    ]


def result_table(facts: Iterable[Fact]) -> list[tuple[str, ...]]:
    """Return a row of `RESULTS` for each result of a test, in reading order; tests without a result are left out."""
    return [
        (flat(fact.text), _result(found), str((found.value or {}).get("interpretation", "")),
         _words(fact, "reference_range"), _words(fact, "temporal"))
        for fact in facts if fact.type == "test" for found in fact.attributes.get("labvalue", ())
    ]


def fact_tables(facts: Sequence[Fact]) -> str:
    """Return the three lists as plain text, each under its name; one without a row says so."""
    lists = (
        ("Problems", PROBLEMS, problem_list(facts)), ("Medications", MEDICATIONS, medication_list(facts)),
        ("Results", RESULTS, result_table(facts)),
    )
    return "\n\n".join(f"{name}\n\n{aligned([heads, *rows]) if rows else 'none found'}" for name, heads, rows in lists)


def _status(fact: Fact) -> str:
    relative = fact.status.relative
    return f"{fact.status.summary} ({relative})" if relative else fact.status.summary


def _words(fact: Fact, *labels: str) -> str:
    return "; ".join(flat(found.text) for label in labels for found in fact.attributes.get(label, ()))


def _frequency(found: Attribute) -> str:
    value = found.value or {}
    if not {"frequency", "period", "periodUnit"} <= value.keys():
        return flat(found.text)
    return f"{flat(found.text)} = {value['frequency']} per {value['period']} {value['periodUnit']}"


def _result(found: Attribute) -> str:
    """Return a quantity as number and UCUM unit; any other result in the note's words."""
    value: dict[str, Any] = found.value or {}
    if value.get("type") != "quantity" or "value" not in value:
        return flat(found.text)
    return f"{value.get('comparator', '')}{value['value']} {value.get('unit', '')}".strip()
