"""Files of an output folder: written whole, appended to, checked against what was written, taken away; and those of others."""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError
from ..formats.names import printable, raw_name
from .manifest import MANIFEST, Entry

_ANNOTATIONS = (".ann", ".jsonl", ".ndjson", ".csv", ".parquet", ".spacy", ".bio", ".conll", ".json", ".xmi", ".xml")
_TEXTS = (".txt", ".text")


def find_whole(path: Path, entries: list[Entry], head: bytes) -> tuple[list[Entry], int]:
    """Return the entries of a file whose bytes stand in it, and where the last of them ends; what follows is half a result.

    RAISES (OutputError): The file holds other bytes than were written.
    """
    if not path.exists():
        return [], 0
    size = path.stat().st_size
    good, end, short = [], len(head), False
    with path.open("rb") as file:
        if file.read(len(head)) != head[:size]:
            raise edited(path)
        if size < len(head):
            return [], 0
        for entry in entries:
            if entry.end > size:
                short = True
                continue
            file.seek(entry.start)
            if hashlib.sha256(file.read(entry.end - entry.start)).hexdigest() != entry.written:
                raise edited(path)
            good.append(entry)
            end = max(end, entry.end)
    if size > end and not short:
        raise edited(path)
    return good, end


def edited(path: Path) -> OutputError:
    return OutputError(f"'{path}' was changed since it was written, so the run cannot go on. Move it, or write elsewhere.")


def read_result(path: Path, entry: Entry) -> bytes:
    with path.open("rb") as file:
        file.seek(entry.start)
        return file.read(entry.end - entry.start)


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush(path: Path) -> None:
    """See that a file outlives the machine's going down."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def open_at(path: Path, size: int) -> BinaryIO:
    """Open a file for appending after its first `size` bytes; what follows them is cut off."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def remove(root: Path, name: str) -> None:
    """Take a file away, and the folders that it leaves empty."""
    path = root / raw_name(name)
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def refuse_foreign(path: Path, known: Collection[str] | None, ours: Collection[str]) -> None:
    """Refuse a folder of others' files: of annotations that a manifest does not name, and without one of anything but texts.

    known: The files that a manifest names; None without one.
    ours: What a run itself makes there.
    """
    foreign = sorted(_foreign(path, known, ours))
    if not foreign:
        return
    more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    why = (
        f"and no {MANIFEST}, so this command did not make it, or kiwi 0.6 did" if known is None
        else f"which its {MANIFEST} does not name"
    )
    raise OutputError(f"'{path}' holds {foreign[0]}{more}, {why}. Nothing was written. Write to another folder.")


def _foreign(path: Path, known: Collection[str] | None, ours: Collection[str]) -> Iterator[str]:
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name not in ours]
        for file in files:
            relative = Path(folder, file).relative_to(path)
            shown, suffix = printable(relative.as_posix()), relative.suffix.lower()
            if file in ours or shown in (known or ()):
                continue
            if suffix in _ANNOTATIONS or (
                known is None and not file.startswith(".") and Path(file.lower().removesuffix(".gz")).suffix not in _TEXTS
            ):
                yield shown
