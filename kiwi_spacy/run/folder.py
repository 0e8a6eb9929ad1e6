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
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from spacy.vocab import Vocab

from ..errors import FormatError, OutputError
from ..formats.names import raw_name
from ..formats.outputs import Output, Shards
from .files import edited, find_whole, flush, hash_file, open_at, read_result, refuse_foreign, remove, write_whole
from .lock import LOCK, hold
from .manifest import MANIFEST, Entry, Head, listed, output_for, parse, render, render_entry
from .pages import index_files, index_of

PART, NEW, COMMIT, REMOVE = ".kiwi-part", ".kiwi-new", ".kiwi-commit", "remove.json"
JOURNAL = ".kiwi-docs-"  # and a number: results that do not yet fill a file of many
OURS = (LOCK, PART, NEW, COMMIT, MANIFEST)

_NOTE_AT_FAULT = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EXDEV, errno.EINVAL)


@contextmanager
def open_folder(path: Path, output: Output, vocab: Vocab) -> Iterator["Folder"]:
    """Give an output folder, made where there is none, while no other run writes to it.

    RAISES (OutputError): It holds what no run of this command made, or what was changed since.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"'{path}' is no folder. Name another output.")
    if path.is_dir() and not any((path / name).exists() for name in (MANIFEST, COMMIT, LOCK)):
        refuse_foreign(path, None, OURS)  # before a lock is written there
    path.mkdir(parents=True, exist_ok=True)
    with hold(path):
        folder = Folder(path, output, vocab)
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
        self._shard, self._in_journal = 1, 0  # the number of the DocBin that is next made, and its Docs so far
        self._unpacked: tuple[str, Callable[[int, int], bytes]] | None = None  # the file of many that was read last
        self._file: BinaryIO | None = None
        self._manifest: BinaryIO | None = None
        self._recover()
        manifest = path / MANIFEST
        entries: list[Entry] = []
        if manifest.exists():
            self.head, entries = parse(manifest.read_bytes(), str(manifest))
            self._known = {entry.file for entry in entries if entry.file} | self._started(self.head)
        refuse_foreign(path, self._known if self.head else None, OURS)
        if self.head is not None:
            self._verify(entries, output_for(self.head.settings))

    def begin(self, head: Head, drop: Collection[str]) -> None:
        """Take the results of some notes away, and open what is appended to.

        RAISES (OutputError): Others have changed one of those results since.
        """
        same = self.head is None or replace(self.head.settings, thresholds={}) == replace(head.settings, thresholds={})
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
        if self.output.layout == "one file":
            self._open(self.output.file)
        elif self.output.layout == "shards":
            self._open(self._journal())

    def write(self, entry: Entry, data: bytes) -> None:
        """Write a note's result, in the place of an earlier one; it can be read at once.

        RAISES (FormatError): The note's name can be no file here.
        """
        entry = replace(entry, written=hashlib.sha256(data).hexdigest())
        if self._file is None:
            entry = replace(entry, file=f"{self.output.folder}{entry.note}{self.output.file}", start=0, end=len(data))
            self._write_file(entry, data)
        else:
            name = self.output.file if self.output.layout == "one file" else self._journal()
            entry = replace(entry, file=name, start=self._end, end=self._end + len(data))
            self._say(entry)
            self._file.write(data)
            self._file.flush()
            self._end = entry.end
        self.live[entry.note] = entry
        if self.output.layout == "shards":
            self._in_journal += 1
            if self._in_journal >= shard_size(self.output):
                self._end_shard()

    def fail(self, entry: Entry) -> None:
        """Say that a note has no result; an earlier one is taken away."""
        before = self.live.get(entry.note)
        self._say(entry)
        if before is not None and before.file and self.output.layout == "file a note":
            remove(self.path, before.file)
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
        if self.head.settings.format == "html":
            for name, page in index_of(map(listed, self.live.values())).items():
                self._replace(name, page)

    def close(self) -> None:
        """Close the files."""
        for file in (self._file, self._manifest):
            if file is not None:
                file.close()
        self._file = self._manifest = None

    def _open(self, name: str) -> None:
        self._file = open_at(self.path / name, self._end)
        if self._end == 0:
            self._file.write(self.output.head)
            self._file.flush()
            self._end = len(self.output.head)

    def _journal(self) -> str:
        return f"{JOURNAL}{self._shard:05d}"

    def _end_shard(self) -> None:
        """Make a file of the results in the journal, and begin another."""
        assert self._file is not None
        journal, name = self._journal(), self._shard_name(self._shard)
        mine = sorted((entry for entry in self.live.values() if entry.file == journal), key=lambda entry: entry.start)
        placed = self._pack(mine, self.path / PART, name)
        for entry in placed:
            self.live[entry.note] = entry
            self._say(entry)
        os.replace(self.path / PART, self.path / name)  # until here the journal counts
        self._known.add(name)
        self._file.close()
        (self.path / journal).unlink()
        self._shard, self._end, self._in_journal = self._shard + 1, 0, 0
        self._open(self._journal())

    def _pack(self, entries: Sequence[Entry], path: Path, name: str) -> list[Entry]:
        """Write the results of entries as one file at `path`; return the entries with their places in it, by its later name."""
        shards, ends = _shards(self.output), [0]

        def results() -> Iterator[bytes]:
            for entry in entries:
                data = self._result(entry)
                ends.append(ends[-1] + shards.width(data))
                yield data

        shards.pack(results(), path)
        flush(path)
        written = hash_file(path)
        return [
            replace(entry, file=name, start=start, end=end, written=written)
            for entry, start, end in zip(entries, ends, ends[1:])
        ]

    def _result(self, entry: Entry) -> bytes:
        """Return a result that stands in a journal, or in a file of many, of which the last is kept open."""
        path = self.path / entry.file
        if entry.file.startswith(JOURNAL):
            return read_result(path, entry)
        if self._unpacked is None or self._unpacked[0] != entry.file:
            self._unpacked = (entry.file, _shards(self.output).unpack(path, self.vocab))
        return self._unpacked[1](entry.start, entry.end)

    def _started(self, head: Head) -> set[str]:
        """Return the files of a run that are no note's: what it makes before its first note, and lists of its notes."""
        output = output_for(head.settings)
        if head.settings.format == "html":
            return index_files(self.path)
        return {output.file} if output.layout == "one file" else set()

    def _shard_name(self, number: int) -> str:
        return f"extracted-{number:05d}{self.output.file}"

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
            write_whole(part, data)
            self._say(entry)
            os.replace(part, path)
        except OSError as error:  # such as a file where the note's folder must be
            part.unlink(missing_ok=True)
            if error.errno not in _NOTE_AT_FAULT:
                raise
            raise FormatError(f"its file cannot be written: {error.strerror}") from None

    def _replace(self, name: str, data: bytes) -> None:
        write_whole(self.path / PART, data)
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
        ends: dict[str, int] = {}
        by_file: dict[str, list[Entry]] = {output.file: []} if output.layout == "one file" else {}
        for entry in entries:
            if entry.file:
                by_file.setdefault(entry.file, []).append(entry)
        for name, mine in by_file.items():
            if name == output.file or name.startswith(JOURNAL):
                good, ends[name] = find_whole(self.path / name, mine, output.head if name == output.file else b"")
                whole += good
            elif (self.path / name).exists():
                found = hash_file(self.path / name)
                good = [entry for entry in mine if entry.written == found]
                if not good:
                    raise edited(self.path / name)
                whole += good
        places = {id(entry): i for i, entry in enumerate(entries)}
        self.live = {entry.note: entry for entry in sorted(whole, key=lambda entry: places[id(entry)])}
        if output.layout == "one file":
            self._end = ends[output.file]
        elif output.layout == "shards":
            self._find_journal(ends)

    def _find_journal(self, ends: dict[str, int]) -> None:
        """Find the journal to go on with, and take away one whose Docs stand in a file already."""
        held = Counter(entry.file for entry in self.live.values())
        for path in self._journals():
            if not held[path.name]:
                path.unlink()
        while (self.path / self._shard_name(self._shard)).exists():
            self._shard += 1
        self._end, self._in_journal = ends.get(self._journal(), 0), held[self._journal()]

    def _journals(self) -> list[Path]:
        return sorted(self.path.glob(f"{JOURNAL}*"))

    def _verify_note(self, versions: list[Entry]) -> None:
        last = versions[-1]
        file = next((entry.file for entry in versions if entry.file), "")
        path = self.path / raw_name(file)
        found = hash_file(path) if file and path.is_file() else None
        known = [entry for entry in versions if entry.file and entry.written == found]
        if last.file and found is not None:
            self.live[last.note] = known[-1] if known else last
            if not known:
                self.edited.add(last.note)
        elif not last.file:
            self.live[last.note] = last
            if known:  # killed before it was taken away
                remove(self.path, file)
            elif found is not None:
                raise edited(path)

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
        journals = {path.name for path in self._journals()}
        gone = sorted((self._known | {entry.file for entry in self.live.values()} | journals) - kept - {""})
        write_whole(self.path / NEW / REMOVE, json.dumps(gone).encode())
        write_whole(self.path / NEW / MANIFEST, render(self.head, entries, left_out))
        os.rename(self.path / NEW, self.path / COMMIT)
        self._apply()
        self._known = kept - {""}
        self.live = {entry.note: entry for entry in entries}

    def _apply(self) -> None:
        commit = self.path / COMMIT
        listed = commit / REMOVE
        for name in json.loads(listed.read_bytes()) if listed.exists() else ():
            remove(self.path, name)
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
                new.write(read_result(old, entry))
                placed[entry.note] = replace(entry, start=start, end=new.tell())
            new.flush()
            os.fsync(new.fileno())
            self._end = new.tell()
        return [placed.get(entry.note, entry) for entry in entries]

    def _settle_shards(self, entries: list[Entry]) -> list[Entry]:
        self._end = self._in_journal = 0  # the journal goes
        results, size = [entry for entry in entries if entry.file], shard_size(self.output)
        self._shard = -(-len(results) // size) + 1
        held = Counter(entry.file for entry in self.live.values())
        placed: dict[str, Entry] = {}
        for number, first in enumerate(range(0, len(results), size), start=1):
            mine, name = results[first : first + size], self._shard_name(number)
            edges = [0, *(entry.end for entry in mine)]
            stands = [(entry.file, entry.start) for entry in mine] == [(name, edge) for edge in edges[:-1]]
            if not stands or held[name] != len(mine):
                placed.update((entry.note, entry) for entry in self._pack(mine, self.path / NEW / name, name))
        self._unpacked = None
        return [placed.get(entry.note, entry) for entry in entries]


def shard_size(output: Output) -> int:
    """Return how many notes a file of many holds."""
    return _shards(output).notes


def _shards(output: Output) -> Shards:
    assert output.shards is not None
    return output.shards
