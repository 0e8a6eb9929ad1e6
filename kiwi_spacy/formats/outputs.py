"""What a run over notes writes of each note, in each format, as bytes that depend on nothing but the Doc."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from ..contract import (
    NOTE,
    SpanKey,
    get_columns,
    get_failures,
    get_modifiers,
    get_problems,
    get_provenance,
    get_relations,
    get_score,
    span_key,
)
from ..contract.annotations import is_said
from ..contract.facts import get_facts
from ..errors import KiwiError
from ..schema import ROLES
from .brat import brat_lines
from .docbin import encode_docbin
from .fact_columns import FACT_COLUMNS, fact_cells
from .fhir import FhirOptions, bundle_bytes
from .jsonl import doc_to_record, json_line
from .names import check_name
from .tables import Type, carried_names

__all__ = ["CSV_COLUMNS", "OUTPUTS", "Format", "Output", "Shards", "check_name", "csv_rows", "output_of"]

Format = Literal["brat", "jsonl", "csv", "docbin", "parquet", "database", "fhir", "html"]
Layout = Literal["file a note", "one file", "shards", "database"]

_ABOUT = ("pipeline", "version", "engine", "weights")
CSV_COLUMNS = (
    "note", "start_char", "end_char", "label", "text", "score", *ROLES,
    "modifier", "modifier_start_char", "modifier_end_char", "modifier_text", "modifier_score", "link_score",
    "incomplete", "problems", *_ABOUT,
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Shards:
    """How results become files of many notes, and are taken out of them again.

    notes: In a file. width: Of a result, in what places in the file are counted by: Docs, or rows.
    pack: Writes results, in order, as a file. unpack: A file > what gives the result that stands from here to there in it.
    """

    notes: int
    width: Callable[[bytes], int]
    pack: Callable[[Iterable[bytes], Path], None]
    unpack: Callable[[Path, Vocab], Callable[[int, int], bytes]]


@dataclass(frozen=True)
class Output:
    """How a format lies in the output folder.

    layout: "file a note" writes `folder` + NAME + `file`; "one file" appends to `file` after `head`; "shards" numbers files
        before `file`; "database" writes no file.
    render (Callable): A note's name and its Doc > the bytes to write; of `shards` what they pack.
    """

    layout: Layout
    file: str
    render: Callable[[str, Doc], bytes]
    head: bytes = b""
    folder: str = ""
    shards: Shards | None = None


def output_of(
    format: str, *, facts: bool = False, table: str = "", carried: Mapping[str, Type] | None = None,
    fhir: FhirOptions | None = None,
) -> Output:
    """Return how a format is written; with `facts` a CSV has `FACT_COLUMNS` at its end, and after them those of the input.

    table (str): Of `formats.tables`, which parquet writes.
    carried (Mapping[str, Type] | None): Columns of the input that go along > their types.
    fhir (FhirOptions | None): What is said of FHIR's bundles.

    RAISES (KiwiError): There is none of this name.
    """
    if format not in get_args(Format):
        raise KiwiError(f"'{format}' is not a format to write; these are: {', '.join(get_args(Format))}.")
    if format == "csv" and (facts or carried):
        own = (*CSV_COLUMNS, *(FACT_COLUMNS if facts else ()))
        names = carried_names(own, carried or ())
        block = partial(_csv_block, facts=facts, carried=tuple(names))
        return Output("one file", "extracted.csv", block, head=_csv([(*own, *names.values())]))
    if format == "fhir" and fhir:
        return replace(OUTPUTS[format], render=partial(_fhir, options=fhir))
    if format == "parquet":
        from .arrow import parquet_output  # pyarrow is an extra

        return parquet_output(table or "facts", carried)
    if format == "database":
        from .database import database_output  # SQLAlchemy is an extra

        return database_output(table or "facts", carried)
    return OUTPUTS[format]


def _brat(name: str, doc: Doc) -> bytes:
    return _utf8("".join(line + "\n" for line in brat_lines(doc)))


def _jsonl(name: str, doc: Doc) -> bytes:
    return json_line({**doc_to_record(doc), "id": name})


def _csv_block(name: str, doc: Doc, *, facts: bool = False, carried: Sequence[str] = ()) -> bytes:
    found = get_columns(doc)
    along = [found.get(column) for column in carried]
    return _csv([name, *row, *along] for row in csv_rows(doc, facts=facts))


def _docbin(name: str, doc: Doc) -> bytes:
    doc.user_data[NOTE] = name
    return encode_docbin([doc])


def _fhir(name: str, doc: Doc, *, options: FhirOptions | None = None) -> bytes:
    doc.user_data[NOTE] = name
    return bundle_bytes(doc, options)


def csv_rows(doc: Doc, *, facts: bool = False) -> list[list[Any]]:
    """Return the rows of a Doc, without the note's name: the columns after it of `CSV_COLUMNS`, with `facts` `FACT_COLUMNS` too.

    One row per link, per entity without links, and per modifier without an entity; one at least where a part of the note
    has no answer. The last columns say the same of the whole note in each row.
    """
    about = [
        "; ".join(f"{f.start_char}-{f.end_char} {f.reason}" for f in get_failures(doc)),
        "; ".join(f"{times} x {kind}" for kind, times in sorted(get_problems(doc).items())),
        *(get_provenance(doc).get(entry, "") for entry in _ABOUT),
    ]
    links = defaultdict(list)
    linked: set[SpanKey] = set()
    for relation in get_relations(doc):
        head, member, _ = relation.key
        links[head].append(relation)
        linked.add(member)
    rows: list[list[Any]] = []
    for ent in doc.ents:
        left = [*span_key(ent), ent.text, get_score(ent), *(int(is_said(ent, role)) for role in ROLES)]
        rows += [[*left, *_modifier_cells(r.modifier), r.score] for r in links[span_key(ent)]] or [[*left, *[None] * 6]]
    for modifier in get_modifiers(doc):
        if span_key(modifier) not in linked:
            rows.append([*[None] * (5 + len(ROLES)), *_modifier_cells(modifier), None])
    if about[0] and not rows:
        rows.append([None] * (11 + len(ROLES)))
    if not facts:
        return [[*row, *about] for row in rows]
    known = {(fact.start_char, fact.end_char, fact.type): fact for fact in get_facts(doc)}
    first = 5 + len(ROLES)  # where the modifier's label stands; its offsets follow
    made = []
    for row in rows:
        fact = known.get((row[0], row[1], row[2]))
        label, start, end = row[first : first + 3]
        group = fact.attributes.get(label, ()) if fact else ()
        attribute = next((a for a in group if (a.start_char, a.end_char) == (start, end)), None)
        made.append([*row, *about, *fact_cells(fact, attribute)])
    return made


def _modifier_cells(modifier: Span) -> list[Any]:
    return [modifier.label_, modifier.start_char, modifier.end_char, modifier.text, get_score(modifier)]


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return _utf8(written.getvalue())


def _utf8(text: str) -> bytes:
    """Return text in UTF-8; half a surrogate pair, which has no place there, becomes U+FFFD: offsets stay."""
    return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def _pack_docbins(parts: Iterable[bytes], path: Path) -> None:
    joined = DocBin(store_user_data=True)
    for part in parts:
        joined.merge(DocBin(store_user_data=True).from_bytes(part))
    path.write_bytes(joined.to_bytes())


def _unpack_docbins(path: Path, vocab: Vocab) -> Callable[[int, int], bytes]:
    parts = [encode_docbin([doc]) for doc in DocBin(store_user_data=True).from_disk(path).get_docs(vocab)]
    return lambda start, end: parts[start]


OUTPUTS: dict[str, Output] = {
    "brat": Output("file a note", ".ann", _brat),
    "jsonl": Output("one file", "extracted.jsonl", _jsonl),
    "csv": Output("one file", "extracted.csv", _csv_block, head=_csv([CSV_COLUMNS])),
    "docbin": Output("shards", ".spacy", _docbin, shards=Shards(500, lambda data: 1, _pack_docbins, _unpack_docbins)),
    "fhir": Output("file a note", ".json", _fhir),
}
