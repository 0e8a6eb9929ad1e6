"""The hand-written expressions, read with the parsers: right, wrong, or left as words."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from kiwi_spacy.components.values import (
    daily_amount,
    parse_dose,
    parse_duration,
    parse_form,
    parse_frequency,
    parse_reference,
    parse_result,
    parse_route,
    parse_steps,
    parse_strength,
    parse_time,
)

FOLDER = Path(__file__).parent
UNCOMPARED = ("words", "unit_words", "qualifier")


@dataclass(frozen=True)
class Expression:
    """A line of a table. `place` is its file and line."""

    place: str
    kind: str
    words: str
    context: dict[str, Any]
    expected: dict[str, Any] | None


def read_expressions(path: Path) -> list[Expression]:
    """Return the lines of a table; README.md says how they are written."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            kind, words, context, expected = line.split("\t")
            found.append(Expression(f"{path.name}:{number}", kind, words, json.loads(context or "{}"), json.loads(expected)))
    return found


def _result(words: str, context: dict[str, Any]) -> Any:
    return parse_result(
        words, flag_words=context.get("flag", ""), reference=context.get("reference", ""), test=context.get("test", "")
    )


def _time(words: str, context: dict[str, Any]) -> Any:
    anchor = date.fromisoformat(context["anchor"]) if context.get("anchor") else None
    return parse_time(words, anchor=anchor, order=context.get("order", "mdy"))


def _daily(words: str, context: dict[str, Any]) -> Any:
    strength = parse_strength(context["strength"]) if "strength" in context else None
    return daily_amount(parse_dose(context.get("dose", "")), parse_frequency(context.get("frequency", "")), strength=strength)


PARSERS: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "result": _result,
    "reference": lambda words, context: parse_reference(words),
    "strength": lambda words, context: parse_strength(words),
    "dose": lambda words, context: parse_dose(words),
    "form": lambda words, context: parse_form(words),
    "route": lambda words, context: parse_route(words),
    "frequency": lambda words, context: parse_frequency(words),
    "duration": lambda words, context: parse_duration(words),
    "daily": _daily,
    "steps": lambda words, context: parse_steps(words),
    "time": _time,
}


def read(expression: Expression) -> dict[str, Any] | None:
    """Return what the parser of its kind says, in the form of the tables."""
    value = PARSERS[expression.kind](expression.words, expression.context)
    return _compared(value.to_dict()) if value is not None else None


def _compared(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _compared(value) for key, value in data.items() if key not in UNCOMPARED}
    return [_compared(item) for item in data] if isinstance(data, list) else data


def units(data: Any) -> list[str]:
    """Return all units of a value, in order."""
    if isinstance(data, dict):
        own = [data[key] for key in ("unit", "periodUnit") if key in data]
        return own + [unit for value in data.values() for unit in units(value)]
    return [unit for item in data for unit in units(item)] if isinstance(data, list) else []
