"""Tables of what Docs carry: facts, entities, modifiers, links, and the lists of problems, medications and results.

Every column and its type are written here and never inferred, so that the rows are the same of any Docs, in Arrow as in a
database. docs/tables.md lists them. A change of a column raises `VERSION`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from spacy.tokens import Doc, Span

from ..contract import NOTE, get_columns, get_modifiers, get_note_date, get_provenance, get_relations, get_score
from ..contract.annotations import is_said
from ..contract.facts import Fact
from ..contract.views import DRUG, PROBLEM, results_of, value, words
from ..errors import KiwiError
from ..schema import ROLES

VERSION = 1
_SURROGATE = re.compile("[\ud800-\udfff]")

Row = dict[str, Any]
Type = Literal["string", "int32", "int64", "double", "bool", "date32", "timestamp[us]"]  # by Arrow's names


@dataclass(frozen=True)
class Column:
    """A column, and what it holds; one that can be null says when. With `fields` it is a list of records of these."""

    name: str
    type: Type
    about: str
    fields: tuple[tuple[str, Type], ...] = ()


@dataclass(frozen=True)
class Table:
    """A table: what one row is, its columns, and what gives the rows of a Doc, without the columns of every table."""

    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Doc], Iterator[Row]]
    of_facts: bool = True


_TEXT: Type = "string"
_INT: Type = "int32"
_FLOAT: Type = "double"
_BOOL: Type = "bool"

_NOTE = (
    Column("note", _TEXT, "The note's name; null where the Doc has none."),
    Column("note_date", "date32", "The note's date, doc._.note_date; null where none was given."),
)
_ABOUT = (
    Column("pipeline", _TEXT, "The pipeline's name; null of a Doc made by hand, as are the next three."),
    Column("version", _TEXT, "The pipeline's version."),
    Column("engine", _TEXT, "bert or llama."),
    Column("weights", _TEXT, "The hash of its weights."),
)


def _span(prefix: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}text", _TEXT, f"The words of the {what}, as in the note."),
        Column(f"{prefix}start_char", _INT, f"The first character of the {what}, from 0."),
        Column(f"{prefix}end_char", _INT, f"The character after the last of the {what}."),
        Column(f"{prefix}score", _FLOAT, f"The score of the {what}, 0 to 1; null where the engine gave none."),
    )


_FACT = (
    *_span("", "entity"),
    Column("status", _TEXT, "One word for the status, such as present, absent or taking."),
    Column("certainty", _TEXT, "present, possible or absent."),
    Column("time", _TEXT, "current or historical."),
    Column("experiencer", _TEXT, "patient, family or other."),
    Column("relative", _TEXT, "The words for the relative; null where none is named."),
    Column("condition", _TEXT, "conditional or hypothetical; null where neither holds."),
    Column("use", _TEXT, "taking, stopped, planned, refused or allergy; null where nothing is said."),
    Column("section", _TEXT, "The key of the section; null before the first heading and under an unknown one."),
    Column("section_title", _TEXT, "The section's title in the note; null before the first heading."),
    Column("section_loinc", _TEXT, "The section's LOINC code; null where it has none."),
    Column("code_system", _TEXT, "The terminology of the first code; null without codes, as are the next three."),
    Column("code", _TEXT, "The first code."),
    Column("code_name", _TEXT, "Its name in the terminology."),
    Column("code_score", _FLOAT, "How like the entity's words its term is, 0 to 1."),
)
_ATTRIBUTE: tuple[tuple[str, Type], ...] = (
    ("label", _TEXT), ("text", _TEXT), ("start_char", _INT), ("end_char", _INT), ("score", _FLOAT), ("value", _TEXT),
)
_CODE: tuple[tuple[str, Type], ...] = (
    ("system", _TEXT), ("code", _TEXT), ("name", _TEXT), ("score", _FLOAT), ("how", _TEXT), ("term", _TEXT), ("omop", "int64"),
)


def _fact_row(fact: Fact) -> Row:
    status, section, code = fact.status, fact.section, fact.codes[0] if fact.codes else None
    return {
        "text": fact.text, "start_char": fact.start_char, "end_char": fact.end_char, "score": fact.score,
        "status": status.summary, "certainty": status.certainty, "time": status.time, "experiencer": status.experiencer,
        "relative": status.relative, "condition": status.condition, "use": status.use,
        "section": section and section.key, "section_title": section and section.title,
        "section_loinc": section and section.loinc,
        "code_system": code and code.system, "code": code and code.code, "code_name": code and code.name,
        "code_score": code and code.score,
    }


def _facts(doc: Doc) -> Iterator[Row]:
    for fact in doc._.facts:
        yield {
            "type": fact.type, **_fact_row(fact),
            "attributes": [
                {**vars(each), "value": None if each.value is None else json.dumps(each.value)}
                for group in fact.attributes.values() for each in group
            ],
            "codes": [{name: getattr(code, name) for name, _ in _CODE} for code in fact.codes],
            "daily": None if fact.daily is None else json.dumps(fact.daily),
        }


def _span_row(span: Span, prefix: str = "") -> Row:
    return {
        f"{prefix}text": span.text, f"{prefix}start_char": span.start_char, f"{prefix}end_char": span.end_char,
        f"{prefix}score": get_score(span),
    }


def _entities(doc: Doc) -> Iterator[Row]:
    for ent in doc.ents:
        yield {"label": ent.label_, **_span_row(ent), **{role: is_said(ent, role) for role in ROLES}}


def _modifiers(doc: Doc) -> Iterator[Row]:
    for modifier in get_modifiers(doc):
        yield {"label": modifier.label_, **_span_row(modifier)}


def _relations(doc: Doc) -> Iterator[Row]:
    for link in get_relations(doc):
        yield {
            "label": link.label, "score": link.score, "head_label": link.head.label_,
            **_span_row(link.head, "head_"), **_span_row(link.modifier, "modifier_"),
        }


def _problems(doc: Doc) -> Iterator[Row]:
    for fact in doc._.facts:
        if fact.type == PROBLEM:
            yield {
                **_fact_row(fact),
                **{label: words(fact, label) or None for label in ("severity", "bodyloc", "course", "temporal")},
                "date": value(fact, "temporal").get("edtf"),
            }


def _medications(doc: Doc) -> Iterator[Row]:
    for fact in doc._.facts:
        if fact.type != DRUG:
            continue
        strength, dose, often, length = (value(fact, label) for label in ("strength", "dosage", "frequency", "duration"))
        # Of several ingredients ("200 mg/40 mg"), of a range, or of a limit, one number would say something else.
        parts = strength.get("parts", ())
        amount = parts[0] if len(parts) == 1 and "per" not in strength and not {"high", "comparator"} & parts[0].keys() else {}
        given = {} if "per" in dose else dose  # 10 mEq in 1000 mL is more than one number
        daily = (fact.daily or {}).get("parts", ())
        a_day = daily[0] if len(daily) == 1 else {}
        routes = value(fact, "route").get("codes", ())
        yield {
            **_fact_row(fact), "strength": words(fact, "strength") or None,
            "strength_value": amount.get("value"), "strength_unit": amount.get("unit"),
            "dose": words(fact, "dosage") or None,
            **{f"dose_{key}": given.get(key) for key in ("comparator", "value", "high", "unit")},
            "dose_approximate": _about(given),
            "form": words(fact, "form") or None, "form_code": value(fact, "form").get("code"),
            "route": words(fact, "route") or None, "route_code": routes[0] if len(routes) == 1 else None,
            "frequency": words(fact, "frequency") or None,
            "times": often.get("frequency"), "times_max": often.get("frequencyMax"),
            "period": often.get("period"), "period_max": often.get("periodMax"), "period_unit": often.get("periodUnit"),
            "as_needed": often.get("asNeeded", False) if often else None,
            "duration": words(fact, "duration") or None, "duration_days": length.get("days"),
            "duration_days_high": length.get("days_high"), "duration_comparator": length.get("comparator"),
            **{f"daily_{key}": a_day.get(key) for key in ("value", "high", "unit")},
            "daily": None if fact.daily is None else json.dumps(fact.daily),
        }


def _about(found: Mapping[str, Any]) -> bool | None:
    """Whether the words of a number say "about", None without a number."""
    return bool(found.get("approximate")) if "value" in found else None


def _results(doc: Doc) -> Iterator[Row]:
    for fact in doc._.facts:
        for found in results_of(fact):
            read: Mapping[str, Any] = found.value or {}
            quantity = read if read.get("type") == "quantity" else {}
            limits = read.get("reference") or value(fact, "reference_range")
            yield {
                **_fact_row(fact), "result": found.text, "result_start_char": found.start_char,
                "result_end_char": found.end_char, "result_score": found.score, "result_kind": read.get("type"),
                **{key: quantity.get(key) for key in ("comparator", "value", "high", "unit")},
                "approximate": _about(quantity),
                "result_code": read.get("code") if read.get("type") == "qualitative" else None,
                "result_value": None if found.value is None else json.dumps(found.value),
                "reference_range": words(fact, "reference_range") or None, "reference_low": limits.get("low"),
                "reference_high": limits.get("high"), "interpretation": read.get("interpretation"),
                "temporal": words(fact, "temporal") or None, "date": value(fact, "temporal").get("edtf"),
            }


_WORDS = "the words, several joined by \"; \"; null where nothing is linked"
_ONE = "null where the words are several or were not read for sure"
_WHEN = (
    Column("temporal", _TEXT, f"When: {_WORDS}."),
    Column("date", _TEXT, f"The date as EDTF; {_ONE}, or give no date."),
)

TABLES: Mapping[str, Table] = {
    "facts": Table("An entity with its status, section, attributes and codes.", (
        Column("type", _TEXT, "The entity's type."), *_FACT,
        Column("attributes", _TEXT, "Its modifiers; `value` is JSON, what the words come to.", _ATTRIBUTE),
        Column("codes", _TEXT, "All its codes, best first in each terminology.", _CODE),
        Column("daily", _TEXT, "A drug's amount a day, as JSON; null where it does not follow from its modifiers."),
    ), _facts),
    "entities": Table("An entity as the pipeline found it.", (
        Column("label", _TEXT, "The entity's type."), *_span("", "entity"),
        *(Column(role, _BOOL, f"Whether it is {role.replace('_', ' ')}, by its fact or else its links.") for role in ROLES),
    ), _entities, of_facts=False),
    "modifiers": Table("A modifier, linked or not.", (
        Column("label", _TEXT, "The modifier's type."), *_span("", "modifier"),
    ), _modifiers, of_facts=False),
    "relations": Table("A link from an entity to a modifier.", (
        Column("label", _TEXT, "The link's type, which is the modifier's."),
        Column("score", _FLOAT, "The link's score, 0 to 1."),
        Column("head_label", _TEXT, "The entity's type."), *_span("head_", "entity"), *_span("modifier_", "modifier"),
    ), _relations, of_facts=False),
    "problems": Table("A problem.", (
        *_FACT, *(Column(name, _TEXT, f"{what}: {_WORDS}.") for name, what in (
            ("severity", "How bad"), ("bodyloc", "Where in the body"), ("course", "How it goes"),
        )), *_WHEN,
    ), _problems),
    "medications": Table("A drug.", (
        *_FACT,
        Column("strength", _TEXT, f"Strength: {_WORDS}."),
        Column("strength_value", _FLOAT, f"Its number; {_ONE}, or give no single number."),
        Column("strength_unit", _TEXT, f"Its unit, UCUM; {_ONE}."),
        Column("dose", _TEXT, f"Dose: {_WORDS}."),
        Column("dose_comparator", _TEXT, "<, <=, > or >= where the dose is a limit, else null."),
        Column("dose_approximate", _BOOL, "Whether the words say \"about\"; null where `dose_value` is."),
        Column("dose_value", _FLOAT, f"Its number, or the lower end; {_ONE}, or give an amount in another."),
        Column("dose_high", _FLOAT, "The upper end of a range, else null."),
        Column("dose_unit", _TEXT, f"Its unit, UCUM; {_ONE}."),
        Column("form", _TEXT, f"Form: {_WORDS}."), Column("form_code", _TEXT, f"Form as one code; {_ONE}."),
        Column("route", _TEXT, f"Route: {_WORDS}."), Column("route_code", _TEXT, f"Route as one code; {_ONE}."),
        Column("frequency", _TEXT, f"How often: {_WORDS}."),
        Column("times", _INT, f"How often in a period; {_ONE}."),
        Column("times_max", _INT, "The upper end of a range of times, else null."),
        Column("period", _FLOAT, f"The period's length; {_ONE}."),
        Column("period_max", _FLOAT, "The upper end of a range of lengths, else null."),
        Column("period_unit", _TEXT, f"The period's unit, UCUM; {_ONE}."),
        Column("as_needed", _BOOL, f"Whether as needed; {_ONE}."),
        Column("duration", _TEXT, f"How long: {_WORDS}."), Column("duration_days", _FLOAT, f"In days; {_ONE}."),
        Column("duration_days_high", _FLOAT, "The upper end of a range of days, else null."),
        Column("duration_comparator", _TEXT, "<, <=, > or >= where the length is a limit, else null."),
        Column("daily_value", _FLOAT, "The amount a day, or the lower end; null where it does not follow or has several parts."),
        Column("daily_high", _FLOAT, "The upper end of a range, such as of what is taken as needed, from 0; else null."),
        Column("daily_unit", _TEXT, "Its unit, UCUM; null where `daily_value` is."),
        Column("daily", _TEXT, "The amounts a day, and the modifiers they follow from, as JSON; null where none follows."),
    ), _medications),
    "results": Table("A result of a test; the first columns are those of the test.", (
        *_FACT, *_span("result_", "result")[1:3], *(Column("result", _TEXT, "The words of the result, as in the note."),),
        Column("result_score", _FLOAT, "The result's score, 0 to 1; null where the engine gave none."),
        Column("result_kind", _TEXT, "quantity, ratio, qualitative, trend or no_value; null where it was not read."),
        Column("comparator", _TEXT, "<, <=, > or >= where the result is a limit, else null."),
        Column("approximate", _BOOL, "Whether the words say \"about\"; null where `value` is."),
        Column("value", _FLOAT, "A quantity's number, or the lower end of a range; null of any other kind."),
        Column("high", _FLOAT, "The upper end of a range, else null."),
        Column("unit", _TEXT, "A quantity's unit, UCUM; null where none is written."),
        Column("result_code", _TEXT, "A qualitative result as a code, else null."),
        Column("result_value", _TEXT, "All that the words come to, as JSON; null where they were not read."),
        Column("reference_range", _TEXT, f"Reference range: {_WORDS}."),
        Column("reference_low", _FLOAT, f"Its lower end; {_ONE}, or have none."),
        Column("reference_high", _FLOAT, f"Its upper end; {_ONE}, or have none."),
        Column("interpretation", _TEXT, "H, L, HH, LL, N or A, by a flag or else the range; null where neither says."),
        *_WHEN,
    ), _results),
}


def columns_of(table: str, carried: Mapping[str, Type] | None = None) -> tuple[Column, ...]:
    """Return the columns of a table: its own, those that every table has, and those that are carried along from the input.

    carried (Mapping[str, Type] | None): The input's columns > their types. One whose name the table has is called input_NAME.
    RAISES (KiwiError): There is no table of this name.

    >>> [column.name for column in columns_of("modifiers", {"ward": "string", "text": "string"})][-2:]
    ['ward', 'input_text']
    """
    if table not in TABLES:
        raise KiwiError(f"'{table}' is not a table; these are: {', '.join(TABLES)}.")
    own = (*_NOTE, *TABLES[table].columns, *_ABOUT)
    names = carried_names((column.name for column in own), carried or {})
    return (*own, *(
        Column(names[name], kind, f"The column {name} of the input.") for name, kind in (carried or {}).items()
    ))


def carried_names(own: Iterable[str], carried: Iterable[str]) -> dict[str, str]:
    """Return what the input's columns are called in an output that has columns of its own.

    >>> carried_names(["text"], ["ward", "text"])
    {'ward': 'ward', 'text': 'input_text'}
    """
    taken = set(own)
    return {name: f"input_{name}" if name in taken else name for name in carried}


def rows_of_doc(doc: Doc, table: str, carried: Mapping[str, Type] | None = None) -> Iterator[Row]:
    """Yield the rows of a Doc in one table, in reading order: a value for each of `columns_of`.

    Facts are those that `kiwi_facts` kept, else they are derived. Half a surrogate pair, which UTF-8 cannot hold, becomes
    U+FFFD: offsets stay. Values that are carried along are those of `get_columns`, null where it has none.

    RAISES (KiwiError): There is no table of this name.
    """
    columns = columns_of(table, carried)
    about, found = get_provenance(doc), get_columns(doc)
    same = {
        "note": doc.user_data.get(NOTE) or None, "note_date": get_note_date(doc),
        **{column.name: about.get(column.name) for column in _ABOUT},
    }
    for column, (name, kind) in zip(columns[len(columns) - len(carried or {}) :], (carried or {}).items()):
        same[column.name] = typed(found.get(name), kind)
    for row in TABLES[table].rows(doc):
        yield _clean({**same, **row})


def typed(value: Any, kind: Type) -> Any:
    """Return a value that `get_columns` keeps as plain data as its column's type has it.

    >>> typed("2024-03-15", "date32")
    datetime.date(2024, 3, 15)
    """
    if value is None or kind not in ("date32", "timestamp[us]"):
        return value
    return date.fromisoformat(value) if kind == "date32" else datetime.fromisoformat(value)


def _clean(found: Any) -> Any:
    if isinstance(found, str):
        return found if found.isascii() else _SURROGATE.sub("\ufffd", found)
    if isinstance(found, dict):
        return {key: _clean(each) for key, each in found.items()}
    return [_clean(each) for each in found] if isinstance(found, list) else found


def describe() -> str:
    """Return what docs/tables.md says of each table's columns, as Markdown."""
    parts = []
    for name, table in TABLES.items():
        lines = [f"| {c.name} | {_named(c)} | {c.about} |" for c in columns_of(name)]
        parts.append("\n".join([f"## {name}", "", table.about, "", "| column | type | |", "| --- | --- | --- |", *lines]))
    return "\n\n".join(parts) + "\n"


def _named(column: Column) -> str:
    return f"list of {', '.join(name for name, _ in column.fields)}" if column.fields else column.type
