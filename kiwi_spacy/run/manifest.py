"""What a run keeps of itself: which pipeline with which settings made what of which note. It holds no note text."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language

from .. import __version__
from ..contract import name_pipeline
from ..errors import OutputError
from ..formats.fhir import FhirOptions
from ..formats.names import raw_name
from ..formats.outputs import Output, output_of
from ..formats.sources import MANIFEST
from ..formats.tables import Type
from ..show.index import Listed
from .pages import PAGES

__all__ = [
    "MANIFEST", "Entry", "Head", "Outcome", "Settings", "differences", "hash_note", "hash_text", "listed", "output_for", "parse",
    "pipeline_identity", "render",
]

Outcome = Literal["done", "incomplete", "failed"]


@dataclass(frozen=True)
class Settings:
    """Options of a run that change its results. What only changes how fast they come is none of them."""

    format: str
    thresholds: Mapping[str, float] = field(default_factory=dict)  # label > score below which nothing is kept
    facts: bool = False  # whether sections and facts were added to what the pipeline finds
    columns: Mapping[str, Type] = field(default_factory=dict)  # carried along from the input > their types
    table: str = ""  # which is written, of formats that hold one
    fhir: Mapping[str, str] = field(default_factory=dict)  # what was said of FHIR's bundles


def output_for(settings: Settings, fhir: FhirOptions | None = None) -> Output:
    """Return how results of these settings lie in a folder.

    fhir (FhirOptions | None): What is said of FHIR's bundles.
    RAISES (KiwiError): There is no format, or no table, of this name.
    """
    if settings.format == "html":
        return PAGES
    return output_of(settings.format, facts=settings.facts, table=settings.table, carried=settings.columns, fhir=fhir)


@dataclass(frozen=True)
class Head:
    """The first record: what made all the results of a folder.

    pipeline: name, version, weights (a hash of all that was loaded), kiwi_spacy (the version of the code).
    redo: "all" while a run that was told to do all again is not yet at its end; one that is killed then goes on.
    """

    pipeline: Mapping[str, str]
    settings: Settings
    redo: str = ""


@dataclass(frozen=True, slots=True)  # a run holds one of each of its notes
class Entry:
    """What became of one note.

    sha256: Of its text in UTF-8, see `hash_note`; empty where it could not be read.
    failures: Parts of an incomplete note that have no answer, (start_char, end_char, reason), half-open.
    reason: Why a note failed: place and kind of the error.
    file, start, end, written: Where its result stands: a file of the output folder, the bytes or the number of the Doc in
        it, and the SHA-256 of the bytes, of a DocBin of the whole file. Failed notes have none.
    """

    note: str
    outcome: Outcome
    sha256: str
    problems: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[tuple[int, int, str], ...] = ()
    reason: str = ""
    file: str = ""
    start: int = 0
    end: int = 0
    written: str = ""


def listed(entry: Entry) -> Listed:
    """Return a note as a list of pages shows it: one that failed, or is incomplete, with the reason."""
    return Listed(entry.note, raw_name(entry.file), entry.reason or ("incomplete" if entry.failures else ""))


def hash_text(text: str) -> str:
    """Return the SHA-256 of a note's text.

    >>> hash_text("fever")[:8]
    '1e44a1c4'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash_note(text: str, date: str | None = None, columns: Mapping[str, Any] | None = None) -> str:
    """Return the SHA-256 of all of a note that its result depends on: its text, and its date and other columns if it has them.

    >>> hash_note("fever") == hash_text("fever"), hash_note("fever", "2024-03-15") == hash_text("fever")
    (True, False)
    """
    if date is None and not columns:
        return hash_text(text)
    return hash_text(json.dumps([text, date, dict(columns or {})]))


def pipeline_identity(nlp: Language) -> dict[str, str]:
    """Return what tells a pipeline from another: name, version, a hash of its config and weights, and the code's version.

    Of a pipeline that was loaded its files are hashed; of one made in Python what it would save, but for the vocabulary,
    which grows while notes are read. Weights outside a pipeline's folder count by the names and sizes of their files.
    """
    digest = hashlib.sha256()
    folder = nlp.path
    digest.update(nlp.config.to_str().encode())
    if folder is not None and Path(folder).is_dir():
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as data:
                while part := data.read(1 << 20):
                    digest.update(part)
    else:
        digest.update(nlp.to_bytes(exclude=["vocab"]))
    for name, pipe in nlp.pipeline:
        for path in getattr(pipe, "base_files", ()):
            digest.update(f"\0{name}\0{path.name}\0{path.stat().st_size}".encode())
    return {**name_pipeline(nlp.meta), "weights": digest.hexdigest(), "kiwi_spacy": __version__}


def render(head: Head, entries: Iterable[Entry], left_out: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return a manifest: the head, a line a note, a line a file that was left out."""
    about: dict[str, Any] = {"kiwi_manifest": 1, "pipeline": dict(head.pipeline), "settings": asdict(head.settings)}
    if head.redo:
        about["redo"] = head.redo
    lines = [about, *map(_record, entries), *({"left_out": place, "reason": reason} for place, reason in left_out)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def render_entry(entry: Entry) -> bytes:
    """Return one line of a manifest."""
    return json.dumps(_record(entry)).encode() + b"\n"


def _record(entry: Entry) -> dict[str, Any]:
    record = {key: value for key, value in asdict(entry).items() if value or key in ("note", "outcome", "sha256")}
    if entry.file:
        record |= {"start": entry.start, "end": entry.end}
    return record


def parse(data: bytes, where: str) -> tuple[Head, list[Entry]]:
    """Return the head of a manifest and its entries, in order, those that a later one of the same note replaces among them.

    A last line without an end is what a killed run was writing, and is left out.

    RAISES (OutputError): A line is none of a manifest's.
    """
    head = None
    entries: list[Entry] = []
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            if head is None:
                if record["kiwi_manifest"] != 1:
                    raise ValueError
                head = Head(record["pipeline"], Settings(**record["settings"]), record.get("redo", ""))
            elif "note" in record:
                entries.append(_entry(record))
            elif "left_out" not in record:
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise OutputError(
                f"{where}, line {number}: not a line of a manifest of this version. Write to another folder."
            ) from None
    if head is None:
        raise OutputError(f"{where} is empty. Write to another folder.")
    return head, entries


def _entry(record: dict[str, Any]) -> Entry:
    known = {each.name for each in fields(Entry)}
    if set(record) - known or record["outcome"] not in ("done", "incomplete", "failed"):
        raise ValueError
    failures = tuple((int(start), int(end), str(why)) for start, end, why in record.pop("failures", ()))
    return Entry(**record, failures=failures)


def differences(old: Head, new: Head) -> list[str]:
    """Return what differs between two runs, "what: before > now" each.

    >>> a, b = (Head({"version": version}, Settings("brat")) for version in ("1", "2"))
    >>> differences(a, b)
    ['version: 1 > 2']
    """
    before = {**old.pipeline, **asdict(old.settings)}
    now = {**new.pipeline, **asdict(new.settings)}
    return [
        f"{key}: {_short(before.get(key, 'none'))} > {_short(now.get(key, 'none'))}"
        for key in dict.fromkeys([*now, *before]) if before.get(key) != now.get(key)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text  # a hash
