"""Notes without annotations: text files, folders of them, JSON, JSON Lines, standard input; each is read when asked for."""

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FormatError, KiwiError
from .decode import check_encoding, decode
from .names import printable
from .sources import Source, find_sources, is_packed


@dataclass(frozen=True)
class Note:
    """One note to read; `read` raises FormatError or OSError where it cannot be. `place` says where it stands."""

    name: str
    place: str
    read: Callable[[], str]


@dataclass(frozen=True)
class Plan:
    """What the inputs hold. `left_out` names each file that is no note, with the reason."""

    left_out: tuple[tuple[str, str], ...]
    total: int | None  # notes; None where standard input is among them
    names: frozenset[str]
    files: Callable[[], Iterator[Note]]  # the notes of files, as often as asked for
    stream: Callable[[], Iterator[Note]]  # those of standard input, once


def plan_notes(inputs: list[str], stdin: BinaryIO, encoding: str | None = None) -> Plan:
    """Return what the inputs hold; standard input is read last, and not yet. Of a note nothing is kept but its name.

    A second note of one name in the same input cannot be read: it is named by its place.

    encoding (str | None): What files that are not UTF-8 are in.
    RAISES (KiwiError): An input is missing or holds no note, or two inputs hold notes of one name.
    """
    if not inputs:
        raise KiwiError("There is nothing to read: name files, folders, or '-' for standard input.")
    if inputs.count("-") > 1:
        raise KiwiError("'-' stands among the inputs twice; standard input can be read once.")
    if encoding is not None:
        check_encoding(encoding)
    found = [(item, find_sources(item)) for item in inputs if item != "-"]

    def notes(sources: list[Source]) -> Iterator[Note]:
        read = [source for source in sources if source.kind != "left out"]
        return _unique(chain.from_iterable(_notes(source, encoding) for source in read))

    home: dict[str, str] = {}  # name > the input that it comes from
    for item, sources in found:
        mine = Counter(note.name for note in notes(sources))
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
        stream=lambda: _from_stdin(stdin, home, encoding) if "-" in inputs else iter(()),
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


def _unique(notes: Iterable[Note], taken: dict[str, str] | None = None) -> Iterator[Note]:
    """Yield notes; one whose name was there before as a note that cannot be read, named by its place."""
    taken = {} if taken is None else taken  # name > place
    for note in notes:
        if note.name in taken:
            reason = f"a second note named '{note.name}', after {taken[note.name]}; it was not read. Rename one"
            note = unreadable(note.place if note.place not in taken else f"{note.place} (2)", note.place, reason)
        taken[note.name] = note.place
        yield note


def _notes(source: Source, encoding: str | None) -> Iterator[Note]:
    if source.kind == "unreadable":
        yield unreadable(source.name, source.place, source.reason)
    elif source.kind == "lines":
        yield from _from_lines(_lines(source.path), source.name, source.place, encoding)
    elif source.kind == "json":
        yield from _from_json(source, encoding)
    else:
        yield Note(source.name, source.place, partial(_read_file, source.path, encoding))


def _read_file(path: Path, encoding: str | None) -> str:
    # Bytes, not read_text, which would turn \r\n into \n and shift offsets.
    return decode(b"".join(_lines(path)), encoding)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"not a whole gzip file ({type(error).__name__}). Pack it again") from None


def _from_lines(lines: Iterable[bytes], stem: str, place: str, encoding: str | None) -> Iterator[Note]:
    """Yield a note for each line that is not blank; what cannot be read is named by its line, or by the file."""
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            if number == 1 and (line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line[:4]):
                yield unreadable(stem, place, "not UTF-8 but UTF-16, as it looks; JSON Lines is UTF-8. Convert it")
                return
            if line.strip():
                yield _from_line(line, f"{stem}-{number:06d}", f"{place}, line {number}", encoding)
    except FormatError as error:
        yield unreadable(place, place, f"{error}; {number} lines of it were read")
    except OSError as error:
        yield unreadable(place, place, error.strerror or "it cannot be read")


def _from_line(line: bytes, fallback: str, place: str, encoding: str | None) -> Note:
    try:
        record = json.loads(decode(line, encoding).removeprefix("\ufeff"))
    except FormatError as error:
        return unreadable(fallback, place, str(error))
    except (ValueError, RecursionError) as error:
        return unreadable(fallback, place, f"not JSON at column {getattr(error, 'colno', 1)}")
    return _from_record(record, fallback, place)


def _from_json(source: Source, encoding: str | None) -> Iterator[Note]:
    """Yield the notes of a JSON file: one object, or a list of them."""
    try:
        data = json.loads(_read_file(source.path, encoding).removeprefix("\ufeff"))
    except FormatError as error:
        yield unreadable(source.name, source.place, str(error))
    except OSError as error:
        yield unreadable(source.name, source.place, error.strerror or "it cannot be read")
    except (ValueError, RecursionError) as error:
        where = f"line {getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
        mend = "; if each line is a record of its own, name the file .jsonl" if "Extra data" in str(error) else ""
        yield unreadable(source.name, source.place, f"not JSON at {where}{mend}")
    else:
        for number, record in enumerate(data if isinstance(data, list) else [data], start=1):
            fallback = f"{source.name}-{number:06d}" if isinstance(data, list) else source.name
            yield _from_record(record, fallback, f"{source.place}, record {number}")


def _from_record(record: Any, fallback: str, place: str) -> Note:
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        return unreadable(fallback, place, "no \"text\" that is a string")
    name = record.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int) or name == ""):
        return unreadable(fallback, place, "its \"id\" is neither a string nor a whole number")
    try:
        str(name).encode("utf-8")
    except UnicodeEncodeError as error:
        return unreadable(fallback, place, f"half a surrogate pair in its \"id\", at character {error.start}")
    except ValueError:  # more digits than Python writes
        return unreadable(fallback, place, "its \"id\" is too long a number")
    return Note(fallback if name is None else str(name), place, lambda: text)


def _from_stdin(stdin: BinaryIO, seen: Iterable[str], encoding: str | None) -> Iterator[Note]:
    """Yield the notes of standard input; a name that was there before cannot be read, as nothing can be read ahead."""
    head = []
    for line in stdin:
        head.append(line)
        if line.strip():
            break
    if not head:
        return
    if _is_record(head[-1]):
        notes = _from_lines(chain(head, stdin), "stdin", "standard input", encoding)
    else:
        data = b"".join([*head, stdin.read()])
        notes = iter([Note("stdin", "standard input", lambda: decode(data, encoding))])
    yield from _unique(notes, dict.fromkeys(seen, "a file"))


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
