"""Every format of annotations, an entry each: what `kiwi convert`, `kiwi extract`, corpus reading and the study know of it.

Adding a format is adding an entry to `FORMATS`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spacy.language import Language
from spacy.tokens import Doc

from ..contract import LAYERS, NOTE, get_modifiers, get_relations, span_key
from ..errors import FormatError
from ..schema import Schema
from .bio import encode_bio, lost_in_bio, read_bio
from .brat import brat_lines, read_folder
from .docbin import encode_docbin, read_docbin
from .doccano import encode_doccano, read_doccano
from .docs import note_to_doc
from .failure import Failure
from .fhir import FhirOptions, bundle_bytes, now
from .inception import encode_inception, read_inception, type_system
from .jsonl import doc_to_record, json_line, lost_in_jsonl, read_jsonl
from .label_studio import encode_label_studio, labelling_config, lost_in_label_studio, read_label_studio
from .prodigy import encode_prodigy, read_prodigy
from .rows import WHOLE_NOTE

# notes: a folder with files of each note. lines: one file of a stretch of bytes a note, which another can follow at any time.
# array: one file with something before, between and after the notes. docbin: one file that is made at the end.
Layout = Literal["notes", "lines", "array", "docbin"]
ALL = frozenset(layer.name for layer in LAYERS)
# What stands on a Doc for readers of the Doc alone: of no loss to anybody who reads a file.
_NEVER_LOST = frozenset({"roles", "note"})


@dataclass(frozen=True)
class Read:
    """A note as read, with what did not fit, a line each."""

    doc: Doc
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What is to be read: a folder or file, the pipeline that tokenizes, the schema, and where texts are, if elsewhere."""

    path: Path
    nlp: Language
    schema: Schema
    text_dir: Path | None = None


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    about (str): One line for people.
    suffixes: Of its file, or in a folder of a note's file; the first is written.
    carries: The layers that it holds, of `contract.LAYERS`; others are reported as lost.
    read: Yields the notes of a source, None where it is written alone.
    encode: One note as bytes, under a schema; None where it is read alone.
    lost: What it loses besides layers > how often.
    around: What stands before, between and after the notes of an "array".
    beside: Files of the whole folder, such as a type system: name > bytes.
    holds_text: Whether a note's text stands in it. Where it does not, converting writes NAME.txt too.
    is_it: Whether a file of its suffix is of this format, where several share a suffix.
    extra: Of setup.cfg, which must be installed.
    """

    name: str
    about: str
    layout: Layout
    suffixes: tuple[str, ...]
    carries: frozenset[str]
    read: Callable[[Source], Iterator[Read | Failure]] | None
    encode: Callable[[Doc, Schema], bytes] | None
    lost: Callable[[Doc], dict[str, int]] = lambda doc: {}
    around: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    beside: Callable[[Schema], dict[str, bytes]] = field(default=lambda schema: {})
    holds_text: bool = True
    is_it: Callable[[Path], bool] = lambda path: True
    extra: str = ""


def lost_in(format: Format, doc: Doc) -> dict[str, int]:
    """Return what a Doc carries and the format cannot hold > how often."""
    counts: dict[str, int] = {}
    for layer in LAYERS:
        if layer.name in format.carries or layer.name in _NEVER_LOST:
            continue
        rows = layer.read(doc)
        if rows:
            counts[f"{layer.name} that {format.name} cannot hold"] = len(rows) if isinstance(rows, list) else 1
    return counts | format.lost(doc)


def _docs(read: Callable[[Path, Language, Schema], Iterator[Doc | Failure]]) -> Callable[[Source], Iterator[Read | Failure]]:
    """Return the reader of a format whose problems are all counted on the Doc."""

    def items(source: Source) -> Iterator[Read | Failure]:
        for item in read(source.path, source.nlp, source.schema):
            yield item if isinstance(item, Failure) else Read(item)

    return items


def _read_brat(source: Source) -> Iterator[Read | Failure]:
    for note in read_folder(source.path, source.text_dir, schema=source.schema):
        if isinstance(note, Failure):
            yield note
        else:
            yield Read(note_to_doc(source.nlp, note, source.schema), tuple(note.problems))


def _encode_brat(doc: Doc, schema: Schema) -> bytes:
    return "".join(line + "\n" for line in brat_lines(doc)).encode("utf-8")


def _modifiers_alone(doc: Doc) -> dict[str, int]:
    """Return the modifiers of no entity, which are in no fact."""
    linked = {relation.key[1] for relation in get_relations(doc)}
    alone = sum(span_key(modifier) not in linked for modifier in get_modifiers(doc))
    return {"modifiers of no entity that fhir cannot hold": alone} if alone else {}


def _lines_of(path: Path) -> str:
    """Return which format of JSON lines a file is, by the fields of its first object; ours where they do not say."""
    try:
        with path.open("rb") as file:
            found = json.loads(next((raw for raw in file if raw.strip()), b"").decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return "jsonl"
    if not isinstance(found, dict) or "modifiers" in found:
        return "jsonl"
    if "spans" in found:
        return "prodigy"
    entities = found.get("entities")
    first = entities[0] if isinstance(entities, list) and entities else None
    has_offsets = isinstance(first, dict) and "start_offset" in first
    return "doccano" if has_offsets or "label" in found or "note" in found else "jsonl"


_SPANS = frozenset({"entities", "modifiers", "note"})
_LINKED = _SPANS | {"relations"}
_NOTE_LEVEL = frozenset(WHOLE_NOTE)

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format(
            "brat", "brat standoff: a folder of NAME.txt and NAME.ann", "notes", (".ann",),
            _LINKED | _NOTE_LEVEL | {"remarks"}, _read_brat, _encode_brat, holds_text=False,
        ),
        Format(
            "jsonl", "our JSON lines: all that a note carries, an object a line", "lines", (".jsonl", ".ndjson"), ALL,
            _docs(read_jsonl), lambda doc, schema: json_line(doc_to_record(doc)), lost=lost_in_jsonl,
            is_it=lambda path: _lines_of(path) == "jsonl",
        ),
        Format(
            "docbin", "spaCy's DocBin: all that a note carries", "docbin", (".spacy",), ALL,
            _docs(lambda path, nlp, schema: read_docbin(path, nlp)), lambda doc, schema: encode_docbin([doc]),
        ),
        Format(
            "bio", "BIO tags: a word and its tag a line, an empty line after a sentence", "lines", (".bio",), _SPANS,
            _docs(read_bio), lambda doc, schema: encode_bio(doc), lost=lost_in_bio,
        ),
        Format(
            "label-studio", "Label Studio's JSON, with predictions or annotations, relations and choices", "array", (".json",),
            _LINKED | _NOTE_LEVEL | {"scores", "remarks"}, _docs(read_label_studio), encode_label_studio,
            lost=lost_in_label_studio, around=(b"[\n", b",\n", b"\n]\n"),
            beside=lambda schema: {"label-config.xml": labelling_config(schema)},
        ),
        Format(
            "doccano", "doccano's JSON lines, with relations", "lines", (".jsonl",), _LINKED | _NOTE_LEVEL, _docs(read_doccano),
            encode_doccano, is_it=lambda path: _lines_of(path) == "doccano",
        ),
        Format(
            "prodigy", "Prodigy's JSON lines, with tokens, spans and relations", "lines", (".jsonl",), _LINKED | _NOTE_LEVEL,
            _docs(read_prodigy), encode_prodigy, is_it=lambda path: _lines_of(path) == "prodigy",
        ),
        Format(
            "fhir", "FHIR R4: a Bundle of each note's facts; it is written alone", "notes", (".json",),
            _LINKED | {"scores", "facts", "provenance", "problems", "failures", "note_date"}, None,
            lambda doc, schema: bundle_bytes(doc, FhirOptions(recorded=now())), lost=_modifiers_alone, holds_text=False,
        ),
        Format(
            "inception", "INCEpTION: a folder of UIMA CAS XMI, by dkpro-cassis", "notes", (".xmi",),
            _LINKED | _NOTE_LEVEL | {"scores"}, _docs(read_inception), encode_inception, beside=type_system, extra="inception",
        ),
    )
}


def get_format(name: str) -> Format:
    """Return a format by its name.

    RAISES (FormatError): There is none of this name; the message names those that there are.
    """
    if name not in FORMATS:
        raise FormatError(f"'{name}' is not a format; these are: {', '.join(FORMATS)}.")
    return FORMATS[name]


def describe() -> str:
    """Return the formats for a help text, one a line."""
    return "\n".join(f"{format.name}: {format.about}" for format in FORMATS.values())


def recognise(path: Path) -> Format:
    """Return the format of a folder or file: by its suffix, or those of the files in it, then by how it begins.

    RAISES (FormatError): Nothing is there, or it is of no format that can be read.
    """
    if not path.exists():
        raise FormatError(f"No notes at '{path}': neither a folder nor a file of annotations.")
    readable = [format for format in FORMATS.values() if format.read]
    if path.is_dir():
        folders = [format for format in readable if format.layout == "notes"]
        for format in folders:
            if any(next(path.rglob(f"*{suffix}"), None) for suffix in format.suffixes):
                return format
        return FORMATS["brat"]  # which says what is missing
    for format in readable:
        if format.layout != "notes" and path.suffix.lower() in format.suffixes and format.is_it(path):
            return format
    known = ", ".join(sorted({suffix for format in readable if format.layout != "notes" for suffix in format.suffixes}))
    raise FormatError(f"'{path}' is of no known format: a folder of brat is, or a file that ends in {known}.")


def note_name(doc: Doc) -> str:
    """Return a note's name, empty where it has none."""
    return str(doc.user_data.get(NOTE) or "")
