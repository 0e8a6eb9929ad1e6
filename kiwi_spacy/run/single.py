"""One parquet file as the output of a run: made at the end of the parts in the run's folder, which stands beside it."""

import json
import os
from pathlib import Path

from ..errors import OutputError
from .files import flush, hash_file, write_whole
from .folder import Folder

RECORD, WHOLE = ".kiwi-single", ".kiwi-whole"


def folder_of(file: Path) -> Path:
    """Return the folder of a run that writes one file.

    >>> folder_of(Path("out/facts.parquet")).as_posix()
    'out/facts.parquet.kiwi'
    """
    return file.with_name(f"{file.name}.kiwi")


def refuse_foreign_file(file: Path) -> None:
    """Refuse to replace a file that no run has made, or that somebody has changed since.

    RAISES (OutputError): The file is such a one.
    """
    if os.path.lexists(file) and (not file.is_file() or hash_file(file) not in _recorded(file).get("hashes", ())):
        raise OutputError(f"'{file}' is there, and this command did not make it or it was changed since. Name another output.")


def write_single(file: Path, folder: Folder) -> None:
    """Make the file of the parts in a run's folder, a row group at a time, where they are not those that it was made of."""
    from ..formats.arrow import join_parquet  # pyarrow is an extra

    assert folder.head is not None
    entries = [entry for entry in folder.live.values() if entry.file]
    made_of = list(dict.fromkeys(f"{entry.file} {entry.written}" for entry in entries))
    before = _recorded(file)
    settings = folder.head.settings
    if before.get("made_of") == made_of and file.exists():
        return
    parts = dict.fromkeys(folder.path / entry.file for entry in entries)
    whole = folder.path / WHOLE
    join_parquet(list(parts), settings.table, settings.columns, whole)
    flush(whole)
    # Both are ours: the one that stands there while this is written, and the one that comes.
    hashes = [*before.get("hashes", ())[-1:], hash_file(whole)]
    write_whole(folder.path / RECORD, json.dumps({"hashes": hashes, "made_of": made_of}).encode())
    os.replace(whole, file)


def _recorded(file: Path) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((folder_of(file) / RECORD).read_bytes())
        return found
    except (OSError, ValueError):
        return {}
