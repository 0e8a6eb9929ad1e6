"""The files behind an input: each is read, left out with the reason, or named as what cannot be read."""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import FormatError, KiwiError
from .names import printable

MANIFEST = "kiwi-manifest.jsonl"  # what `kiwi extract` keeps in an output folder

Kind = Literal["text", "lines", "json", "csv", "parquet", "database", "unreadable", "left out"]

_TEXT, _LINES, _CSV, _PARQUET = (".txt", ".text"), (".jsonl", ".ndjson"), (".csv", ".tsv"), (".parquet", ".pq")
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class Source:
    """One file. `place` is its path as shown; `name` that of its note, or what names its lines; `reason` why it is not read."""

    path: Path
    place: str
    name: str
    kind: Kind
    reason: str = ""
    url: str = ""  # of a database


def find_sources(item: str, *, tables: bool = False) -> list[Source]:
    """Return what stands at a path, in the order of names; nothing but regular files is ever opened.

    tables (bool): Whether tables in a folder are read too, as their columns are known; one that is named itself always is.
    RAISES (KiwiError): Nothing is there, or a folder that holds no notes.
    """
    if is_url(item):
        from .database import shown  # SQLAlchemy is an extra

        return [Source(Path(), shown(item), shown(item), "database", url=item)]
    path = Path(item)
    if path.is_dir():
        return _in_folder(path, printable(item), tables)
    if not os.path.lexists(path):
        raise KiwiError(f"'{printable(item)}' does not exist.")
    kind, name = _kind_of(path.name)
    return [_checked(Source(path, printable(item), printable(name), kind if kind != "left out" else "text"))]


def is_url(item: str) -> bool:
    """Whether an input or output is a database.

    >>> is_url("sqlite:///notes.db"), is_url("notes.db")
    (True, False)
    """
    return re.match(r"[a-z]\w*(\+\w+)?://", item) is not None


def is_packed(path: Path) -> bool:
    """Whether a file is packed with gzip, by its name."""
    return path.suffix.lower() == ".gz"


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked.

    RAISES (FormatError): It is packed, and cut short or no gzip file. RAISES (OSError): It cannot be read.
    """
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"not a whole gzip file ({type(error).__name__}). Pack it again") from None


def _kind_of(file: str) -> tuple[Kind, str]:
    """Return the kind of a file by its name, and the name without what tells it.

    >>> _kind_of("b.v2.TXT"), _kind_of("ward/a.txt.gz"), _kind_of("a.ann")
    (('text', 'b.v2'), ('text', 'ward/a'), ('left out', 'a'))
    """
    bare = file[:-3] if file.lower().endswith(".gz") else file
    name, suffix = os.path.splitext(bare)
    kinds: dict[str, Kind] = {
        **dict.fromkeys(_TEXT, "text"), **dict.fromkeys(_LINES, "lines"), **dict.fromkeys(_CSV, "csv"),
        **dict.fromkeys(_PARQUET, "parquet"), ".json": "json",
    }
    return kinds.get(suffix.lower(), "left out"), name


def _checked(source: Source) -> Source:
    """Return a source that would be read as it is, or as unreadable where it is no regular file."""
    try:
        mode = source.path.stat().st_mode
    except OSError as error:  # a link that leads nowhere, or to itself
        return Source(source.path, source.place, source.name, "unreadable", error.strerror or "it cannot be opened")
    if stat.S_ISREG(mode):
        return source
    what = next((what for test, what in _SPECIAL if test(mode)), "no regular file")
    return Source(
        source.path, source.place, source.name, "unreadable", f"{what}; it was not opened. Send it to standard input: -"
    )


def _in_folder(root: Path, shown: str, tables: bool) -> list[Source]:
    found = sorted(_walk(root, tables), key=lambda source: source.path.relative_to(root).parts)
    if all(source.kind == "left out" for source in found):
        left = f" {len(found)} files are left out, such as {found[0].place}: {found[0].reason}." if found else ""
        raise KiwiError(f"'{shown}' holds no .txt, .text or .jsonl file.{left}")
    return found


def _walk(root: Path, tables: bool) -> Iterator[Source]:
    """Yield the files below a folder. Each folder is gone through once; links to folders come last, so that a loop ends."""
    seen: set[tuple[int, int]] = set()
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        name = printable(folder.relative_to(root).as_posix())
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                yield Source(folder, name, name, "left out", "a link to a folder that is read already")
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(folder.iterdir())
        except OSError as error:
            yield Source(folder, name, name, "unreadable", f"a folder: {error.strerror}")
            continue
        ours = any(entry.name == MANIFEST for entry in entries)
        if ours and folder != root:
            yield Source(folder, name, name, "left out", "an output folder of kiwi extract")
            continue
        for entry in entries:
            if os.path.isdir(entry) and not entry.name.startswith("."):
                (links if entry.is_symlink() else folders).append(entry)
                if _kind_of(entry.name)[0] == "text":
                    place = printable(entry.relative_to(root).as_posix())
                    yield Source(entry, place, place, "left out", "a folder, not a note; what it holds is gone through")
            else:
                yield _file(entry, root, ours, tables)


def _file(entry: Path, root: Path, ours: bool, tables: bool) -> Source:
    relative = entry.relative_to(root).as_posix()
    place = printable(relative)
    kind, name = _kind_of(relative)
    if entry.name.startswith("."):
        return Source(entry, place, place, "left out", "hidden")
    if ours and (entry.name == MANIFEST or entry.name.startswith("extracted")):
        return Source(entry, place, place, "left out", "written by kiwi extract")
    if kind == "json":
        return Source(entry, place, place, "left out", "JSON in a folder may be anything; name the file itself to read it")
    if kind in ("csv", "parquet") and not tables:
        return Source(entry, place, place, "left out", "a table in a folder is read where --text names its column of notes")
    if kind == "left out":
        suffix = printable(entry.suffix.lower())
        return Source(entry, place, place, "left out", f"{suffix or 'no suffix'} is not .txt, .text, .jsonl or these with .gz")
    return _checked(Source(entry, place, printable(name), kind))
