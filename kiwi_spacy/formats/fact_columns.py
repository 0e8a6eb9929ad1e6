"""Columns of a CSV that say what the facts say: status, section and codes of an entity, the value of a modifier."""

import json
from collections.abc import Mapping
from typing import Any

from ..contract.facts import Attribute, Fact

STATUS = ("summary", "certainty", "time", "experiencer", "relative", "condition", "use")
SECTION = ("key", "title", "loinc")
CODE = ("system", "code", "name", "score")
NUMBER = ("number", "unit", "comparator", "interpretation")

FACT_COLUMNS = (
    *(f"status_{axis}" for axis in STATUS), *(f"section_{part}" for part in SECTION),
    "code_system", "code", "code_name", "code_score", "codes",
    *(f"value_{part}" for part in NUMBER), "value", "daily",
)

# A range, a ratio and a concentration are more than one number: they stand in the JSON alone, so that no one reads half of them.
_NOT_ONE_NUMBER = ("high", "low", "per", "values")


def fact_cells(fact: Fact | None, attribute: Attribute | None) -> list[Any]:
    """Return the cells of `FACT_COLUMNS` in a row of an entity, or of a modifier without one; None where nothing is known.

    >>> from kiwi_spacy.contract.status import Status
    >>> fact_cells(Fact("problem", "gout", 4, 8, None, Status()), None)[:4]
    ['present', 'present', 'current', 'patient']
    """
    if fact is None:
        return [None] * len(FACT_COLUMNS)
    best = fact.codes[0] if fact.codes else None
    codes = [{key: getattr(code, key) for key in CODE} for code in fact.codes]
    return [
        *(getattr(fact.status, axis) for axis in STATUS),
        *(getattr(fact.section, part) if fact.section else None for part in SECTION),
        *(getattr(best, key) if best else None for key in CODE),
        _json(codes) if codes else None,
        *_value_cells(attribute.value if attribute else None),
        None if fact.daily is None else _json(fact.daily),
    ]


def _value_cells(value: Mapping[str, Any] | None) -> list[Any]:
    """Return number, unit, comparator, interpretation and the whole as JSON.

    >>> _value_cells({"type": "quantity", "value": 5.9, "unit": "mmol/L", "interpretation": "H"})[:4]
    [5.9, 'mmol/L', None, 'H']
    >>> _value_cells({"value": 1, "high": 2, "unit": "{tablet}"})[:4]
    [None, None, None, None]
    """
    if value is None:
        return [None] * 5
    parts = value.get("parts", ())
    one = {**value, **parts[0]} if len(parts) == 1 else value
    single = "value" in one and not any(key in one for key in _NOT_ONE_NUMBER)
    number = [one.get("value"), one.get("unit"), one.get("comparator")] if single else [None] * 3
    return [*number, value.get("interpretation"), _json(value)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
