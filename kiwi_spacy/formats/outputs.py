"""What a run over notes writes: brat, JSONL, CSV or DocBin, each so that a killed run can go on."""

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, Protocol

import srsly
from spacy.tokens import Doc, DocBin

from ..contract import NOTE, Relation, SpanKey, get_modifiers, get_relations, get_score, has_role, span_key
from ..errors import FormatError, KiwiError
from ..schema import ROLES
from .brat import write_brat
from .docbin import open_docbin
from .jsonl import doc_to_record

Format = Literal["brat", "jsonl", "docbin", "csv"]

SHARD = 500  # notes in a DocBin; a killed run does at most these again
CSV_COLUMNS = (
    "note", "start_char", "end_char", "label", "text", "score", *ROLES,
    "modifier", "modifier_start_char", "modifier_end_char", "modifier_text", "modifier_score", "link_score",
)


class Writer(Protocol):
    """Where the Docs of a run go; `has` says which notes an earlier run has written whole."""

    def has(self, name: str) -> bool: ...

    def write(self, name: str, doc: Doc) -> None: ...

    def close(self) -> None: ...


def check_name(name: str) -> str:
    """Return a note's name, which is a path below the output folder, without suffix.

    RAISES (FormatError): A note's id would name a file outside the output folder, or none.
    """
    path = PurePosixPath(name)
    # "a//b" would be a second note of the file "a/b".
    if path.is_absolute() or ".." in path.parts or not path.name or str(path) != name or "\0" in name or "\\" in name:
        raise FormatError("its id cannot be a file name below the output folder")
    return name


def open_writer(output: Path, format: Format, overwrite: bool) -> Writer:
    if format == "brat":
        return _BratWriter(output)
    if format == "jsonl":
        return _JsonlWriter(output / "extracted.jsonl", overwrite)
    if format == "csv":
        return _CsvWriter(output / "extracted.csv", overwrite)
    if format == "docbin":
        return _DocBinWriter(output, overwrite)
    raise KiwiError(f"'{format}' is not a format to write; these are: brat, jsonl, docbin, csv.")


class _BratWriter:
    """NAME.ann, renamed into place when whole, so that where it stands the note is done."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def _path(self, name: str) -> Path:
        return self.output / f"{name}.ann"  # not with_suffix: a name may hold dots

    def has(self, name: str) -> bool:
        return self._path(name).exists()

    def write(self, name: str, doc: Doc) -> None:
        path = self._path(name)
        # Not an .ann: what a killed run leaves must not be taken for annotations.
        temporary = path.with_name(f".kiwi-{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_brat(doc, temporary)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:  # such as a file where the note's folder must be
            raise FormatError(f"its file cannot be written: {error.strerror}") from None

    def close(self) -> None:
        pass


class _JsonlWriter:
    """One line per note; a line that a killed run left half is taken away."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.names: set[str] = set()
        whole = 0
        if path.exists() and not overwrite:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.endswith(b"\n"):
                        break
                    self.names.add(_id_of(line, path, number))
                    whole += len(line)
        self.file = _open_at(path, whole)

    def has(self, name: str) -> bool:
        return name in self.names

    def write(self, name: str, doc: Doc) -> None:
        record = {**doc_to_record(doc), "id": name}
        self.file.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def _id_of(line: bytes, path: Path, number: int) -> str:
    try:
        return str(json.loads(line)["id"])
    except (ValueError, KeyError, TypeError):
        raise FormatError(f'{path}, line {number}: not a record with an "id". Move it, or overwrite.') from None


class _CsvWriter:
    """One row per link, per entity without links, and per modifier without an entity.

    A note may have no row at all, so a file beside it, extracted.csv.done, says which are done.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.names: set[str] = set()
        log = path.with_name(path.name + ".done")
        whole, logged = 0, 0
        if path.exists() and not overwrite:
            if not log.exists():
                raise FormatError(f"{path} lacks {log.name}, which says what is done. Move it, or overwrite.")
            size = path.stat().st_size
            with log.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.endswith(b"\n"):
                        break
                    name, end = _entry_of(line, log, number)
                    if end > size:  # its rows are gone: the machine went down, or the file was cut
                        break
                    self.names.add(name)
                    whole, logged = end, logged + len(line)
        # The log first: a run killed between the two must not leave rows without one.
        self.log, self.file = _open_at(log, logged), _open_at(path, whole)
        if whole == 0:
            self.file.write(_csv([CSV_COLUMNS]))

    def has(self, name: str) -> bool:
        return name in self.names

    def write(self, name: str, doc: Doc) -> None:
        self.file.write(_csv([name, *row] for row in csv_rows(doc)))
        self.file.flush()
        self.log.write(json.dumps([name, self.file.tell()]).encode() + b"\n")
        self.log.flush()

    def close(self) -> None:
        self.file.close()
        self.log.close()


def _entry_of(line: bytes, log: Path, number: int) -> tuple[str, int]:
    try:
        name, end = json.loads(line)
        return str(name), int(end)
    except (ValueError, TypeError):
        raise FormatError(f"{log}, line {number}: not a note and an offset. Move it and its .csv, or overwrite.") from None


def csv_rows(doc: Doc) -> list[list[Any]]:
    """Return the rows of a Doc, without the note's name: the columns after it of `CSV_COLUMNS`."""
    relations = get_relations(doc)
    linked = {relation.key[1] for relation in relations}
    by_head: dict[SpanKey, list[Relation]] = {}
    for relation in relations:
        by_head.setdefault(relation.key[0], []).append(relation)
    rows = []
    for ent in doc.ents:
        left = [*span_key(ent), ent.text, get_score(ent), *(int(has_role(ent, role)) for role in ROLES)]
        mine = by_head.get(span_key(ent), [])
        rows += [[*left, *_modifier_cells(r.modifier), r.score] for r in mine] or [[*left, *[None] * 6]]
    for modifier in get_modifiers(doc):
        if span_key(modifier) not in linked:
            rows.append([*[None] * (5 + len(ROLES)), *_modifier_cells(modifier), None])
    return rows


def _modifier_cells(modifier: Any) -> list[Any]:
    return [modifier.label_, modifier.start_char, modifier.end_char, modifier.text, get_score(modifier)]


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue().encode("utf-8")


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open a file for appending after its first `size` bytes; what follows them is cut off."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


class _DocBinWriter:
    """Numbered files of `SHARD` Docs each, user data included, every one named by `user_data["kiwi_note"]`."""

    def __init__(self, output: Path, overwrite: bool) -> None:
        self.output = output
        self.names: set[str] = set()
        self.number = 0
        self.bin = DocBin(store_user_data=True)
        for path in sorted(output.glob("extracted-*.spacy")):
            if overwrite:
                path.unlink()
                continue
            number = path.stem.removeprefix("extracted-")
            if not number.isdecimal():
                raise FormatError(f"{path} is not this command's. Move it, or overwrite.")
            self.number = max(self.number, int(number))
            self.names |= {_note_name(data, path) for data in open_docbin(path).user_data}

    def has(self, name: str) -> bool:
        return name in self.names

    def write(self, name: str, doc: Doc) -> None:
        doc.user_data[NOTE] = name
        # By way of a bin of its own: where a Doc cannot be added, `add` leaves the bin half filled.
        self.bin.merge(DocBin(docs=[doc], store_user_data=True))  # plain strings: the Doc's memory zone may close
        if len(self.bin) >= SHARD:
            self._flush()

    def _flush(self) -> None:
        self.number += 1
        path = self.output / f"extracted-{self.number:05d}.spacy"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self.bin.to_disk(temporary)
        os.replace(temporary, path)
        self.bin = DocBin(store_user_data=True)

    def close(self) -> None:
        if len(self.bin):
            self._flush()


def _note_name(user_data: bytes | None, path: Path) -> str:
    """Return the name of a Doc of a DocBin without building the Doc."""
    data = srsly.msgpack_loads(user_data, use_list=False) if user_data else {}
    if NOTE not in data:
        raise FormatError(f"{path} is not this command's: a Doc in it has no name. Move it, or overwrite.")
    return str(data[NOTE])
