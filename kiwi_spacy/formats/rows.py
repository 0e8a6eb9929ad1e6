"""Layers of a Doc as plain rows in files: checking rows that a file gives, and putting them on a Doc."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from spacy.tokens import Doc

from ..contract import LAYERS, Layer, Part
from ..contract.facts import fact_from_row
from ..contract.sections import Section
from ..errors import FormatError

# Layers of the whole note, which a format may write at one place of it.
WHOLE_NOTE = ("provenance", "problems", "failures", "note_date", "columns")
BAD_ROWS = (ValueError, KeyError, TypeError, IndexError, AttributeError)  # what rows of another form raise
LAYER: Mapping[str, Layer] = {layer.name: layer for layer in LAYERS}


def check_rows(name: str, rows: Any, length: int) -> None:
    """Check rows of the layer `name` that come from a file.

    length (int): Characters of the note.
    RAISES (ValueError, or another of Python's): They are of another form, or lie outside the note.

    >>> check_rows("failures", [[0, 900, "out of memory"]], 10)
    Traceback (most recent call last):
    ValueError: 'failures' lies outside the note
    """
    layer = LAYER[name]
    if not _FORMS.get(name, _is_plain)(rows):
        raise ValueError(f"'{name}' is of another form")
    if layer.restrict(rows, Part(0, length))[0] != rows:
        raise ValueError(f"'{name}' lies outside the note")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_row(row: Any, *kinds: type) -> bool:
    return isinstance(row, list) and len(row) == len(kinds) and all(
        _is_int(value) if kind is int else isinstance(value, kind) for value, kind in zip(row, kinds)
    )


def _are_rows(*kinds: type) -> Callable[[Any], bool]:
    return lambda rows: isinstance(rows, list) and all(_is_row(row, *kinds) for row in rows)


def _is_plain(rows: Any) -> bool:
    return isinstance(rows, list | dict)


def _is_map(rows: Any, kind: type) -> bool:
    values = rows.values() if isinstance(rows, dict) else [None]
    return all(_is_int(value) if kind is int else isinstance(value, kind) for value in values)


def _are_groups(rows: Any) -> bool:
    return _is_map(rows, list) and all(
        isinstance(row, list) and len(row) == 4 and _is_int(row[0]) and _is_int(row[1])
        for group in rows.values() for row in group
    )


_FORMS: dict[str, Callable[[Any], bool]] = {
    "failures": _are_rows(int, int, str),
    "remarks": _are_rows(int, int, str, str, str, str, str),
    "provenance": lambda rows: _is_map(rows, str),
    "problems": lambda rows: _is_map(rows, int),
    "roles": lambda rows: _is_map(rows, list),
    "note_date": lambda rows: isinstance(rows, str) and bool(date.fromisoformat(rows)),
    "columns": lambda rows: isinstance(rows, dict) and all(
        isinstance(name, str) and (value is None or isinstance(value, str | int | float)) for name, value in rows.items()
    ),
    "groups": _are_groups,
    "sections": lambda rows: isinstance(rows, list) and bool([Section(*row) for row in rows] or True),
    "facts": lambda rows: isinstance(rows, list) and bool([fact_from_row(row) for row in rows] or True),
    "user_data": lambda rows: isinstance(rows, list) and all(isinstance(row, list) and len(row) in (2, 4) for row in rows),
}


def add_rows(doc: Doc, name: str, rows: Any) -> None:
    """Put rows of the layer `name` on a Doc, beside what it has of them.

    RAISES (FormatError): There is no such layer, or the rows do not fit the Doc.
    """
    try:
        check_rows(name, rows, len(doc.text))
        layer = LAYER[name]
        if name == "user_data":
            rows = [[tuple(row[0]) if isinstance(row[0], list) and len(row) == 2 else row[0], *row[1:]] for row in rows]
        own = layer.read(doc)
        layer.write(doc, layer.join([own, rows]) if own else rows)
    except BAD_ROWS as error:
        why = str(error) if type(error) is ValueError else type(error).__name__
        raise FormatError(f"its '{name}' cannot be read: {why}") from None


def plain_rows(doc: Doc, layer: Layer) -> tuple[Any, int]:
    """Return a layer's rows as JSON can hold them, and how many it cannot; empty where the Doc has none."""
    rows = layer.read(doc)
    if layer.name != "user_data":
        return rows, 0
    kept = [row for row in rows if _is_json(row)]
    return kept, len(rows) - len(kept)


def _is_json(row: Any) -> bool:
    """Whether JSON gives a value back as it is."""
    try:
        return bool(_lists(json.loads(json.dumps(row, allow_nan=False))) == _lists(row))
    except (TypeError, ValueError, RecursionError):
        return False


def _lists(value: Any) -> Any:
    """Return plain data with lists for tuples."""
    if isinstance(value, Mapping):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, list | tuple) else value


def note_rows(doc: Doc) -> dict[str, Any]:
    """Return what holds of the whole note, {layer: rows}, for formats that have a place for other programs' data."""
    return {name: rows for name in WHOLE_NOTE if (rows := LAYER[name].read(doc))}


def add_note_rows(doc: Doc, found: Any) -> None:
    """Put on a Doc what `note_rows` gave; nothing where it is absent.

    RAISES (FormatError): It is of another form.
    """
    if found is None:
        return
    if not isinstance(found, dict) or any(name not in WHOLE_NOTE for name in found):
        raise FormatError(f"'kiwi' must be an object with some of: {', '.join(WHOLE_NOTE)}")
    for name, rows in found.items():
        add_rows(doc, name, rows)
