"""Facts on a Doc: an entity with its status, section, attributes and codes as one record, kept as plain rows."""

import types
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from spacy.tokens import Doc, Span

from ..errors import KiwiError
from .status import Evidence, Status

FACTS = "kiwi_facts"  # the key in doc.user_data: a list of Fact's fields, one dict a fact


@dataclass(frozen=True)
class Attribute:
    """A modifier that is linked to the entity. `value` is what its words come to, a number with its unit or a date, if read."""

    label: str
    text: str
    start_char: int
    end_char: int
    score: float | None = None
    value: dict[str, Any] | None = None


@dataclass(frozen=True)
class OtherCode:
    """A code that came next: how like the entity's words its term is, 0 to 1."""

    code: str
    name: str
    score: float


@dataclass(frozen=True)
class Code:
    """A code of a terminology for the entity; `system` is the terminology, such as "http://snomed.info/sct".

    `how` its `term` was found: the same words, an abbreviation spelt out, a drug by its parts, or like words. `others` are the
    next codes, best first; `omop` is the concept's number in OMOP where the vocabulary has it.
    """

    system: str
    code: str
    name: str
    score: float | None = None
    how: Literal["exact", "abbreviation", "parts", "fuzzy"] | None = None
    term: str | None = None
    omop: int | None = None
    others: tuple[OtherCode, ...] = ()


@dataclass(frozen=True)
class FactSection:
    """Where in the note a fact stands: the section's key, its title there, its LOINC code, and the section that it divides."""

    key: str | None
    title: str
    loinc: str | None
    parent: str | None = None


@dataclass(frozen=True)
class Fact:
    """One entity and all that is known of it; characters of `doc.text`, half-open.

    `attributes` are {modifier type: attributes}, in reading order. `daily` is the amount of a drug a day, where it follows from
    them: {"parts": an amount for each ingredient, "from": the modifier types that it follows from}.
    """

    type: str
    text: str
    start_char: int
    end_char: int
    score: float | None
    status: Status
    section: FactSection | None = None
    attributes: Mapping[str, tuple[Attribute, ...]] = field(default_factory=dict)
    codes: tuple[Code, ...] = ()
    daily: dict[str, Any] | None = None

    def span(self, doc: Doc) -> Span:
        """Return the entity as a span of a Doc of the fact's note, widened to its tokens.

        RAISES (KiwiError): The Doc's text is too short to be the fact's note.
        """
        span = doc.char_span(self.start_char, self.end_char, label=self.type, alignment_mode="expand")
        if span is None:
            raise KiwiError(f"The fact's place {self.start_char}-{self.end_char} is not in this Doc. Take the Doc of its note.")
        return span


def fact_to_row(fact: Fact) -> dict[str, Any]:
    """Return a fact as plain data: dicts, lists, strings and numbers.

    >>> row = fact_to_row(Fact("problem", "gout", 4, 8, None, Status()))
    >>> row["type"], row["status"]["summary"], fact_from_row(row).start_char
    ('problem', 'present', 4)
    """
    head = {one.name: getattr(fact, one.name) for one in fields(fact)}
    head["attributes"] = {label: [asdict(each) for each in group] for label, group in fact.attributes.items()}
    head["status"] = asdict(fact.status)
    head["section"] = asdict(fact.section) if fact.section else None
    head["codes"] = [{**asdict(code), "others": [asdict(other) for other in code.others]} for code in fact.codes]
    head["status"]["evidence"] = list(head["status"]["evidence"])
    head["status"]["conflicts"] = list(head["status"]["conflicts"])
    return head


def fact_from_row(row: Mapping[str, Any]) -> Fact:
    """Return the fact of a row that `fact_to_row` made."""
    said = row["status"]
    status = Status(**{
        **said,
        "evidence": tuple(Evidence(**each) for each in said["evidence"]),
        "conflicts": tuple(Evidence(**each) for each in said["conflicts"]),
    })
    return Fact(**{
        **row,
        "status": status,
        "section": FactSection(**row["section"]) if row["section"] else None,
        "attributes": {label: tuple(map(_attribute, group)) for label, group in row["attributes"].items()},
        "codes": tuple(map(_code, row["codes"])),
        "daily": _lists(row.get("daily")),
    })


def _code(row: Mapping[str, Any]) -> Code:
    return Code(**{**row, "others": tuple(OtherCode(**each) for each in row.get("others", ()))})


def _attribute(row: Mapping[str, Any]) -> Attribute:
    return Attribute(**{**row, "value": _lists(row["value"])})


def _lists(value: Any) -> Any:
    """Return plain data with lists where reading a Doc's bytes gave tuples."""
    if isinstance(value, Mapping):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, list | tuple) else value


def set_facts(doc: Doc, facts: Iterable[Fact]) -> None:
    """Keep a Doc's facts, as plain rows, in reading order."""
    doc.user_data[FACTS] = [fact_to_row(fact) for fact in sorted(facts, key=lambda fact: (fact.start_char, fact.end_char))]


def get_facts(doc: Doc) -> list[Fact]:
    """Return the facts that are kept on a Doc; empty where `kiwi_facts` has not run."""
    return [fact_from_row(row) for row in doc.user_data.get(FACTS, ())]


def plays_role(ent: Span, role: str) -> bool | None:
    """Whether an entity's kept fact says what a role says ("negated": it is absent), None where no fact of it is kept."""
    row = _row_of(ent)
    if row is None:
        return None
    said = row["status"]
    says: dict[str, bool] = {
        "negated": said["certainty"] == "absent",
        "uncertain": said["certainty"] == "possible",
        "conditional": said["condition"] is not None,
        "somebody_else": said["experiencer"] != "patient",
    }
    return says[role]


def _row_of(ent: Span) -> Mapping[str, Any] | None:
    """Return the kept row of an entity; the cost does not grow with the note."""
    rows: Sequence[Mapping[str, Any]] = ent.doc.user_data.get(FACTS, ())
    place = ent.start_char, ent.end_char
    i = bisect_left(rows, place, key=lambda row: (row["start_char"], row["end_char"]))
    found = i < len(rows) and (rows[i]["start_char"], rows[i]["end_char"], rows[i]["type"]) == (*place, ent.label_)
    return rows[i] if found else None


def fact_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a fact's row, made of the record itself.

    >>> fact_schema()["properties"]["start_char"]
    {'type': 'integer'}
    """
    schema = _schema_of(Fact)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fact", **schema}


def _schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a type: a record, a closed choice, a list, a mapping, or a plain value."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return {
            "type": "object",
            "properties": {one.name: _schema_of(hints[one.name]) for one in fields(kind)},
            "required": [one.name for one in fields(kind)],
            "additionalProperties": False,
        }
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        kinds = [_schema_of(arg) for arg in args if arg is not type(None)]
        return {"anyOf": [*kinds, {"type": "null"}]} if type(None) in args else {"anyOf": kinds}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema_of(args[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema_of(args[1])}
    return {} if kind is Any else {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[kind]}
