"""The output folder of a run: what stands in it is what the manifest says, whenever the run is killed.

The manifest says first what will be written, then it is written; at the next start what was not written whole is taken
away. Whole files are exchanged in one step: they are made in a folder of their own, whose renaming is the step, and put in
place from there, again if need be. So a run that goes on ends as one that was never stopped.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from spacy.vocab import Vocab

from ..errors import FormatError, OutputError
from ..formats.names import printable, raw_name
from ..formats.outputs import SHARD, Output, join_docbins, output_of, split_docbin
from .lock import LOCK, hold
from .manifest import MANIFEST, Entry, Head, parse, render, render_entry

PART, NEW, COMMIT, REMOVE = ".kiwi-part", ".kiwi-new", ".kiwi-commit", "remove.json"
JOURNAL = ".kiwi-docs"  # the Docs of a run that is not at its end, each a DocBin of its own
OURS = (LOCK, PART, NEW, COMMIT, JOURNAL, MANIFEST)

_ANNOTATIONS = (".ann", ".jsonl", ".ndjson", ".csv", ".spacy", ".bio", ".conll", ".json", ".xmi", ".xml")
_TEXTS = (".txt", ".text")
_NOTE_AT_FAULT = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EXDEV, errno.EINVAL)


@contextmanager
def open_folder(path: Path, format: str, vocab: Vocab) -> Iterator["Folder"]:
    """Give an output folder, made where there is none, while no other run writes to it.

    RAISES (OutputError): It holds what no run of this command made, or what was changed since.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"'{path}' is no folder. Name another output.")
    if path.is_dir() and not any((path / name).exists() for name in (MANIFEST, COMMIT, LOCK)):
        _refuse_foreign(path, None)  # before a lock is written there
    path.mkdir(parents=True, exist_ok=True)
    with hold(path):
        folder = Folder(path, output_of(format), vocab)
        try:
            yield folder
        finally:
            folder.close()


class Folder:
    """`head` is the manifest's, None in a new folder; `live` the last entry of each note whose result stands there whole.

    `edited` names the notes whose file was changed by others since it was written.
    """

    def __init__(self, path: Path, output: Output, vocab: Vocab) -> None:
        self.path, self.output, self.vocab = path, output, vocab
        self.head: Head | None = None
        self.live: dict[str, Entry] = {}
        self.edited: set[str] = set()
        self._known: set[str] = set()  # every file that the manifest names
        self._end = 0  # of what stands whole in the file that is appended to
        self._file: BinaryIO | None = None
        self._manifest: BinaryIO | None = None
        self._recover()
        manifest = path / MANIFEST
        entries: list[Entry] = []
        if manifest.exists():
            self.head, entries = parse(manifest.read_bytes(), str(manifest))
            self._known = {entry.file for entry in entries if entry.file} | _started(self.head)
        _refuse_foreign(path, self._known if self.head else None)
        if self.head is not None:
            self._verify(entries, output_of(self.head.settings.format))

    def begin(self, head: Head, drop: Collection[str]) -> None:
        """Take the results of some notes away, and open what is appended to.

        RAISES (OutputError): Others have changed one of those results since.
        """
        same = self.head is None or self.head.settings.format == head.settings.format
        kept = [entry for name, entry in self.live.items() if name not in drop]
        mine = sorted(self.edited & set(drop))
        if mine:
            raise OutputError(
                f"'{self.path}' holds {len(mine)} files that were changed since they were written, such as "
                f"{self.live[mine[0]].file}, and they would be replaced. Move them, or write to another folder."
            )
        self.head = head
        if drop or not same:
            self._settle(kept, ())
        else:
            self._replace(MANIFEST, render(head, kept))
            self.live = {entry.note: entry for entry in kept}
        self._manifest = (self.path / MANIFEST).open("ab")
        if self.output.layout != "file a note":
            name = self.output.file if self.output.layout == "one file" else JOURNAL
            self._file = _open_at(self.path / name, self._end)
            if self._end == 0:
                self._file.write(self.output.head)
                self._file.flush()
                self._end = len(self.output.head)

    def write(self, entry: Entry, data: bytes) -> None:
        """Write a note's result, in the place of an earlier one; it can be read at once.

        RAISES (FormatError): The note's name can be no file here.
        """
        entry = replace(entry, written=hashlib.sha256(data).hexdigest())
        if self._file is None:
            entry = replace(entry, file=f"{entry.note}{self.output.file}", start=0, end=len(data))
            self._write_file(entry, data)
        else:
            name = self.output.file if self.output.layout == "one file" else JOURNAL
            entry = replace(entry, file=name, start=self._end, end=self._end + len(data))
            self._say(entry)
            self._file.write(data)
            self._file.flush()
            self._end = entry.end
        self.live[entry.note] = entry

    def fail(self, entry: Entry) -> None:
        """Say that a note has no result; an earlier one is taken away."""
        before = self.live.get(entry.note)
        self._say(entry)
        if before is not None and before.file and self.output.layout == "file a note":
            _remove(self.path, before.file)
        self.live[entry.note] = entry

    def sync(self) -> None:
        """See that what is written outlives the machine's going down."""
        for file in (self._file, self._manifest):
            if file is not None:
                os.fsync(file.fileno())

    def finish(self, order: Iterable[str], left_out: Iterable[tuple[str, str]]) -> None:
        """Bring results and manifest into the order of the notes; then nothing tells how often the run was stopped."""
        assert self.head is not None
        self.head = replace(self.head, redo="")
        self.sync()
        self.close()
        self._settle([self.live[name] for name in order if name in self.live], left_out)

    def close(self) -> None:
        """Close the files."""
        for file in (self._file, self._manifest):
            if file is not None:
                file.close()
        self._file = self._manifest = None

    def _recover(self) -> None:
        if (self.path / COMMIT).exists():
            self._apply()
        shutil.rmtree(self.path / NEW, ignore_errors=True)
        (self.path / PART).unlink(missing_ok=True)

    def _say(self, entry: Entry) -> None:
        assert self._manifest is not None
        self._manifest.write(render_entry(entry))
        self._manifest.flush()

    def _write_file(self, entry: Entry, data: bytes) -> None:
        path, part = self.path / raw_name(entry.file), self.path / PART
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(part, data)
            self._say(entry)
            os.replace(part, path)
        except OSError as error:  # such as a file where the note's folder must be
            part.unlink(missing_ok=True)
            if error.errno not in _NOTE_AT_FAULT:
                raise
            raise FormatError(f"its file cannot be written: {error.strerror}") from None

    def _replace(self, name: str, data: bytes) -> None:
        _write(self.path / PART, data)
        os.replace(self.path / PART, self.path / name)

    def _verify(self, entries: list[Entry], output: Output) -> None:
        """Find which entries' results stand whole, and what a killed run left."""
        if output.layout == "file a note":
            by_note: dict[str, list[Entry]] = {}
            for entry in entries:
                by_note.setdefault(entry.note, []).append(entry)
            for versions in by_note.values():
                self._verify_note(versions)
            return
        whole = [entry for entry in entries if not entry.file]
        by_file: dict[str, list[Entry]] = {output.file: []} if output.layout == "one file" else {}
        for entry in entries:
            if entry.file:
                by_file.setdefault(entry.file, []).append(entry)
        for name, mine in by_file.items():
            if name in (output.file, JOURNAL):
                good, self._end = _whole(self.path / name, mine, output.head if name == output.file else b"")
                whole += good
            elif not (self.path / name).exists():
                continue
            elif _hash(self.path / name) == mine[0].written:
                whole += mine
            else:
                raise _edited(self.path / name)
        places = {id(entry): i for i, entry in enumerate(entries)}
        self.live = {entry.note: entry for entry in sorted(whole, key=lambda entry: places[id(entry)])}

    def _verify_note(self, versions: list[Entry]) -> None:
        last = versions[-1]
        file = next((entry.file for entry in versions if entry.file), "")
        path = self.path / raw_name(file)
        found = _hash(path) if file and path.is_file() else None
        known = [entry for entry in versions if entry.file and entry.written == found]
        if last.file and found is not None:
            self.live[last.note] = known[-1] if known else last
            if not known:
                self.edited.add(last.note)
        elif not last.file:
            self.live[last.note] = last
            if known:  # killed before it was taken away
                _remove(self.path, file)
            elif found is not None:
                raise _edited(path)

    def _settle(self, entries: list[Entry], left_out: Iterable[tuple[str, str]]) -> None:
        """Leave the results of these entries alone, in this order, and a manifest that says so."""
        assert self.head is not None
        shutil.rmtree(self.path / NEW, ignore_errors=True)
        (self.path / NEW).mkdir()
        if self.output.layout == "one file":
            entries = self._settle_file(entries)
        elif self.output.layout == "shards":
            entries = self._settle_shards(entries)
        kept = {entry.file for entry in entries}
        if self.output.layout == "one file":
            kept.add(self.output.file)
        gone = sorted((self._known | {entry.file for entry in self.live.values()} | {JOURNAL}) - kept - {""})
        _write(self.path / NEW / REMOVE, json.dumps(gone).encode())
        _write(self.path / NEW / MANIFEST, render(self.head, entries, left_out))
        os.rename(self.path / NEW, self.path / COMMIT)
        self._apply()
        self._known = kept - {""}
        self.live = {entry.note: entry for entry in entries}

    def _apply(self) -> None:
        commit = self.path / COMMIT
        remove = commit / REMOVE
        for name in json.loads(remove.read_bytes()) if remove.exists() else ():
            _remove(self.path, name)
        made = sorted(commit.iterdir(), key=lambda path: (path.name == REMOVE, path.name == MANIFEST))
        for path in made:  # the manifest after the files that it names
            if path.name == REMOVE:
                path.unlink()
            else:
                os.replace(path, self.path / path.name)
        commit.rmdir()

    def _settle_file(self, entries: list[Entry]) -> list[Entry]:
        old, head = self.path / self.output.file, self.output.head
        results = [entry for entry in entries if entry.file]
        edges = [len(head), *(entry.end for entry in results)]
        size = old.stat().st_size if old.exists() else -1
        if [entry.start for entry in results] == edges[:-1] and size == edges[-1]:
            self._end = size
            return entries
        placed: dict[str, Entry] = {}
        with (self.path / NEW / self.output.file).open("wb") as new:
            new.write(head)
            for entry in results:
                start = new.tell()
                new.write(_read(old, entry))
                placed[entry.note] = replace(entry, start=start, end=new.tell())
            new.flush()
            os.fsync(new.fileno())
            self._end = new.tell()
        return [placed.get(entry.note, entry) for entry in entries]

    def _settle_shards(self, entries: list[Entry]) -> list[Entry]:
        self._end = 0  # the journal goes
        results = [entry for entry in entries if entry.file]
        held = [entry.file for entry in self.live.values()]
        placed: dict[str, Entry] = {}
        parts: dict[str, list[bytes]] = {}  # the Docs of the shard read last
        for number, first in enumerate(range(0, len(results), SHARD), start=1):
            mine, name = results[first : first + SHARD], f"extracted-{number:05d}{self.output.file}"
            stands = [(entry.file, entry.start) for entry in mine] == [(name, i) for i in range(len(mine))]
            if stands and held.count(name) == len(mine):
                continue
            data = join_docbins(self._doc(entry, parts) for entry in mine)
            _write(self.path / NEW / name, data)
            written = hashlib.sha256(data).hexdigest()
            for i, entry in enumerate(mine):
                placed[entry.note] = replace(entry, file=name, start=i, end=i + 1, written=written)
        return [placed.get(entry.note, entry) for entry in entries]

    def _doc(self, entry: Entry, parts: dict[str, list[bytes]]) -> bytes:
        if entry.file == JOURNAL:
            return _read(self.path / JOURNAL, entry)
        if entry.file not in parts:
            parts.clear()
            parts[entry.file] = split_docbin((self.path / entry.file).read_bytes(), self.vocab)
        return parts[entry.file][entry.start]


def _whole(path: Path, entries: list[Entry], head: bytes) -> tuple[list[Entry], int]:
    """Return the entries of a file whose bytes stand in it, and where the last of them ends; what follows is half a result.

    RAISES (OutputError): The file holds other bytes than were written.
    """
    if not path.exists():
        return [], 0
    size = path.stat().st_size
    good, end, short = [], len(head), False
    with path.open("rb") as file:
        if file.read(len(head)) != head[:size]:
            raise _edited(path)
        if size < len(head):
            return [], 0
        for entry in entries:
            if entry.end > size:
                short = True
                continue
            file.seek(entry.start)
            if hashlib.sha256(file.read(entry.end - entry.start)).hexdigest() != entry.written:
                raise _edited(path)
            good.append(entry)
            end = max(end, entry.end)
    if size > end and not short:
        raise _edited(path)
    return good, end


def _started(head: Head) -> set[str]:
    """Return the file that a run makes before its first note is done."""
    output = output_of(head.settings.format)
    return {output.file} if output.layout == "one file" else set()


def _edited(path: Path) -> OutputError:
    return OutputError(f"'{path}' was changed since it was written, so the run cannot go on. Move it, or write elsewhere.")


def _read(path: Path, entry: Entry) -> bytes:
    with path.open("rb") as file:
        file.seek(entry.start)
        return file.read(entry.end - entry.start)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open a file for appending after its first `size` bytes; what follows them is cut off."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def _remove(root: Path, name: str) -> None:
    """Take a file away, and the folders that it leaves empty."""
    path = root / raw_name(name)
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _refuse_foreign(path: Path, known: Collection[str] | None) -> None:
    """Refuse a folder of others' files: of annotations that a manifest does not name, and without one of anything but texts.

    known: The files that a manifest names; None without one.
    """
    foreign = sorted(_foreign(path, known))
    if not foreign:
        return
    more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    why = (
        f"and no {MANIFEST}, so this command did not make it, or kiwi 0.6 did" if known is None
        else f"which its {MANIFEST} does not name"
    )
    raise OutputError(f"'{path}' holds {foreign[0]}{more}, {why}. Nothing was written. Write to another folder.")


def _foreign(path: Path, known: Collection[str] | None) -> Iterator[str]:
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name not in OURS]
        for file in files:
            relative = Path(folder, file).relative_to(path)
            shown, suffix = printable(relative.as_posix()), relative.suffix.lower()
            if file in OURS or shown in (known or ()):
                continue
            if suffix in _ANNOTATIONS or (
                known is None and not file.startswith(".") and Path(file.lower().removesuffix(".gz")).suffix not in _TEXTS
            ):
                yield shown
