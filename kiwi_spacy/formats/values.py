"""Values of records that other programs wrote: of the right kind, or refused with the field's name; nothing is cut or guessed."""

import math
from typing import Any

from ..errors import FormatError


def as_text(record: dict[str, Any], key: str) -> str:
    """Return a field that must be text, without half surrogate pairs.

    >>> as_text({"label": "drug"}, "label")
    'drug'
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise FormatError(f"{_found(record, key)}; it must be text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError(f"'{key}' holds half a surrogate pair at character {error.start}") from None
    return value


def as_place(record: dict[str, Any], key: str) -> int:
    """Return a field that must be a whole number from 0: 3.9 is refused, not cut.

    >>> as_place({"start": 3.9}, "start")
    Traceback (most recent call last):
    kiwi_spacy.errors.FormatError: 'start' is a number with a fraction; it must be a whole number from 0
    """
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormatError(f"{_found(record, key)}; it must be a whole number from 0")
    return value


def as_number(record: dict[str, Any], key: str, default: float | None = None) -> float:
    """Return a field that must be a number; `default` where it is absent or null."""
    value = record.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FormatError(f"{_found(record, key)}; it must be a number")
    return float(value)


def objects(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a field that must be a list of objects; empty where it is absent or null."""
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise FormatError(f"{_found(record, key)}; it must be a list of objects")
    return value


_KINDS = {
    bool: "true or false", int: "a number", float: "a number with a fraction", str: "text", list: "a list", dict: "an object",
}


def _found(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if key not in record or value is None:
        return f"'{key}' is missing"
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return f"'{key}' is below 0"
    return f"'{key}' is {_KINDS.get(type(value), 'of another kind')}"
