"""Notes without annotations: text files, folders of them, JSON, JSON Lines, standard input; each is read when asked for."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FormatError, KiwiError
from .decode import check_encoding, decode
from .names import printable
from .records import Chosen, Columns, Plain, Row, date_of, name_of, plain
from .sources import Source, find_sources, read_lines
from .table_notes import Tables
from .tables import Type


@dataclass(frozen=True)
class Note:
    """One note to read; `read` raises FormatError or OSError where it cannot be. `place` says where it stands.

    date: As its table has it, None without one. columns: Values of the table that are carried along.
    """

    name: str
    place: str
    read: Callable[[], str]
    date: str | None = None
    columns: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What the inputs hold. `left_out` names each file that is no note, with the reason; `carried` the tables' other columns."""

    left_out: tuple[tuple[str, str], ...]
    total: int | None  # notes; None where standard input is among them
    names: frozenset[str]
    files: Callable[[], Iterator[Note]]  # the notes of files, as often as asked for
    stream: Callable[[], Iterator[Note]]  # those of standard input, once
    carried: Mapping[str, Type] = field(default_factory=dict)


def plan_notes(
    inputs: list[str], stdin: BinaryIO, encoding: str | None = None, *, columns: Columns | None = None
) -> Plan:
    """Return what the inputs hold; standard input is read last, and not yet. Of a note nothing is kept but its name.

    A second note of one name in the same input cannot be read: it is named by its place.

    encoding (str | None): What files that are not UTF-8 are in.
    columns (Columns | None): Which columns of CSV, parquet and JSON hold what. None reads "text" and "id"; of JSON it carries
        nothing along.
    RAISES (KiwiError): An input is missing or holds no note, lacks a column, or two inputs hold notes of one name.
    """
    if not inputs:
        raise KiwiError("There is nothing to read: name files, folders, or '-' for standard input.")
    if inputs.count("-") > 1:
        raise KiwiError("'-' stands among the inputs twice; standard input can be read once.")
    if encoding is not None:
        check_encoding(encoding)
    found = [(item, find_sources(item, tables=columns is not None)) for item in inputs if item != "-"]
    tables = Tables(columns, encoding, [source for _, sources in found for source in sources])

    again: set[str] = set()  # names that come twice: to look at all of them in each pass would take memory for each note

    def notes(sources: list[Source], *, first: bool = False) -> Iterator[Note]:
        read = [source for source in sources if source.kind != "left out"]
        found = chain.from_iterable(_notes(source, encoding, tables, names_only=first) for source in read)
        return _unique(found, again=again) if first else _unique(found, only=again)

    home: dict[str, str] = {}  # name > the input that it comes from
    for item, sources in found:
        mine = Counter(note.name for note in notes(sources, first=True))
        for name in mine:
            if name in home:
                raise KiwiError(
                    f"Two notes are named '{name}', from '{printable(home[name])}' and '{printable(item)}'. "
                    "Rename one, or extract into two output folders."
                )
        home.update(dict.fromkeys(mine, item))
    return Plan(
        left_out=tuple((s.place, s.reason) for _, sources in found for s in sources if s.kind == "left out"),
        total=None if "-" in inputs else len(home),
        names=frozenset(home),
        files=lambda: chain.from_iterable(notes(sources) for _, sources in found),
        stream=lambda: _from_stdin(stdin, home, encoding, tables) if "-" in inputs else iter(()),
        carried=tables.carried,
    )


def read_texts(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each note of a file or folder; raises as `Note.read` and `plan_notes` do."""
    for note in plan_notes([str(path)], sys.stdin.buffer).files():
        yield note.name, note.read()


def unreadable(name: str, place: str, reason: str) -> Note:
    """Return a note that cannot be read, for a reason that is known before it is tried."""

    def read() -> str:
        raise FormatError(reason)

    return Note(name, place, read)


def _unique(
    notes: Iterable[Note], taken: dict[str, str] | None = None, *, only: Set[str] | None = None, again: set[str] | None = None
) -> Iterator[Note]:
    """Yield notes; one whose name was there before as a note that cannot be read, named by its place.

    only (Set[str] | None): The names that come twice, if they are known. again (set[str] | None): Takes them where they are not.
    """
    taken = {} if taken is None else taken  # name > place
    for note in notes:
        if only is not None and note.name not in only:
            yield note
            continue
        if note.name in taken:
            if again is not None:
                again |= {note.name, note.place, f"{note.place} (2)"}
            reason = f"a second note named '{note.name}', after {taken[note.name]}; it was not read. Rename one"
            note = unreadable(note.place if note.place not in taken else f"{note.place} (2)", note.place, reason)
        taken[note.name] = note.place
        yield note


def _notes(source: Source, encoding: str | None, tables: Tables, *, names_only: bool) -> Iterator[Note]:
    if source.kind == "unreadable":
        yield unreadable(source.name, source.place, source.reason)
    elif source.kind == "text":
        yield Note(source.name, source.place, partial(_read_file, source.path, encoding))
    else:
        chosen = tables.chosen(source)
        for row in tables.rows(source, names_only=names_only):
            yield _from_row(row, chosen)


def _read_file(path: Path, encoding: str | None) -> str:
    # Bytes, not read_text, which would turn \r\n into \n and shift offsets.
    return decode(b"".join(read_lines(path)), encoding)


def _from_row(row: Row, chosen: Chosen) -> Note:
    if row.wrong:
        return unreadable(row.fallback, row.place, row.wrong)
    values = row.values
    try:
        name = name_of(values.get(chosen.id), chosen.id) if chosen.id is not None else None
    except FormatError as error:
        return unreadable(row.fallback, row.place, str(error))
    return Note(
        row.fallback if name is None else name, row.place, partial(_text_of, values.get(chosen.text), chosen.text),
        date_of(values.get(chosen.date)) if chosen.date is not None else None,
        {name: plain(values.get(name), kind) for name, kind in chosen.carried.items()},
    )


def _text_of(value: Any, column: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"no \"{column}\" that is a string")
    return value


def _from_stdin(stdin: BinaryIO, seen: Iterable[str], encoding: str | None, tables: Tables) -> Iterator[Note]:
    """Yield the notes of standard input; a name that was there before cannot be read, as nothing can be read ahead."""
    head = []
    for line in stdin:
        head.append(line)
        if line.strip():
            break
    if not head:
        return
    if _is_record(head[-1]):
        rows = tables.json_lines(chain(head, stdin), "stdin", "standard input")
        notes: Iterator[Note] = (_from_row(row, chosen) for row, chosen in rows)
    else:
        data = b"".join([*head, stdin.read()])
        notes = iter([Note("stdin", "standard input", lambda: decode(data, encoding))])
    yield from _unique(notes, dict.fromkeys(seen, "a file"))


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
