"""Notes without annotations: text files, folders of them, JSONL, standard input; each is read when it is asked for."""

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from ..errors import FormatError, KiwiError


@dataclass(frozen=True)
class Note:
    """One note to read; `read` raises FormatError or OSError where it cannot be."""

    name: str
    read: Callable[[], str]


def plan_notes(inputs: list[str], stdin: BinaryIO) -> tuple[Iterator[Note], int | None]:
    """Return the notes, lazily, and how many there are, None if standard input is among them.

    Names are gone through first, so that two notes of one name stop the run before it starts.
    """
    if not inputs:
        raise KiwiError("There is nothing to read: name files, folders, or '-' for standard input.")
    if inputs.count("-") > 1:
        raise KiwiError("'-' stands among the inputs twice; standard input can be read once.")
    total = 0
    seen: dict[str, int] = {}  # name > number of the input it comes from
    for number, item in enumerate(inputs):
        for name in _names(item):
            if name in seen:
                raise KiwiError(
                    f"Two notes are named '{name}', from '{inputs[seen[name]]}' and '{item}'. "
                    "Rename one, or extract into two output folders."
                )
            seen[name] = number
            total += 1
    notes = chain.from_iterable(_from_stdin(stdin, seen) if item == "-" else _notes(item) for item in inputs)
    return notes, None if "-" in inputs else total


def read_texts(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each note of a file or folder; raises as `Note.read` and `plan_notes` do."""
    for note in plan_notes([str(path)], sys.stdin.buffer)[0]:
        yield note.name, note.read()


def _names(item: str) -> Iterator[str]:
    if item == "-":
        return
    path = Path(item)
    if path.is_dir() and not _text_files(path):
        raise KiwiError(f"'{item}' holds no .txt file.")
    if not path.exists():
        raise KiwiError(f"'{item}' does not exist.")
    yield from (note.name for note in _notes(item))


def _notes(item: str) -> Iterator[Note]:
    path = Path(item)
    if path.is_dir():
        for file in _text_files(path):
            yield Note(file.relative_to(path).with_suffix("").as_posix(), partial(_read_file, file))
    elif _is_lines(path.with_suffix("") if _is_packed(path) else path):
        yield from _from_lines(_lines(path), path.with_suffix("").stem if _is_packed(path) else path.stem)
    else:
        yield Note(path.stem, partial(_read_file, path))


def _is_lines(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson")


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if _is_packed(path) else path.open("rb") as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise KiwiError(f"'{path}' is not a whole gzip file ({type(error).__name__}). Pack it again.") from None


def _text_files(folder: Path) -> list[Path]:
    # A link that leads nowhere is kept, so that the run reports it.
    return sorted(file for file in folder.rglob("*.txt") if file.is_file() or file.is_symlink())


def _read_file(file: Path) -> str:
    return _decode(file.read_bytes())  # not read_text, which would turn \r\n into \n and shift offsets


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start}") from None


def _from_lines(lines: Iterable[bytes], stem: str) -> Iterator[Note]:
    """Yield a note for each line that is not blank; one that cannot be read is named by its line."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _from_line(line, f"{stem}-{number:06d}")


def _from_line(line: bytes, fallback: str) -> Note:
    def unreadable(reason: str) -> Note:
        def read() -> str:
            raise FormatError(reason)

        return Note(fallback, read)

    try:
        record = json.loads(_decode(line).removeprefix("\ufeff"))
    except FormatError as error:
        return unreadable(str(error))
    except (ValueError, RecursionError) as error:
        return unreadable(f"not JSON at column {getattr(error, 'colno', 1)}")
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        return unreadable("no \"text\" that is a string")
    name = record.get("id")
    if name is not None and (isinstance(name, bool) or not isinstance(name, str | int) or name == ""):
        return unreadable("its \"id\" is neither a string nor a whole number")
    try:
        text.encode("utf-8")
        str(name).encode("utf-8")
    except UnicodeEncodeError as error:
        return unreadable(f"half a surrogate pair at character {error.start}")
    return Note(fallback if name is None else str(name), lambda: text)


def _from_stdin(stdin: BinaryIO, seen: Iterable[str]) -> Iterator[Note]:
    """Yield the notes of standard input; a name that was there before fails, as nothing can be read ahead."""
    head = []
    for line in stdin:
        head.append(line)
        if line.strip():
            break
    if not head:
        return
    names = set(seen)
    if _is_record(head[-1]):
        notes = _from_lines(chain(head, stdin), "stdin")
    else:
        data = b"".join([*head, stdin.read()])
        notes = iter([Note("stdin", lambda: _decode(data))])
    for note in notes:
        if note.name in names:
            note = Note(note.name, _twice)
        names.add(note.name)
        yield note


def _twice() -> str:
    raise FormatError("a second note of this name; it was not read")


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
