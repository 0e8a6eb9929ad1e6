"""Run a pipeline over files and write what it finds; a run can be stopped and started again."""

import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, Protocol

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from tqdm import tqdm

from .errors import FormatError, KiwiError
from .formats.brat import write_brat
from .formats.docs import NOTE, doc_to_record
from .relations import get_modifiers, get_relations, get_score, has_role, span_key
from .schema import ROLES

Format = Literal["brat", "jsonl", "docbin", "csv"]

SHARD = 500  # notes in a DocBin; a killed run does at most these again
CSV_COLUMNS = (
    "note", "start_char", "end_char", "label", "text", "score", *ROLES,
    "modifier", "modifier_start_char", "modifier_end_char", "modifier_text", "modifier_score", "link_score",
)


@dataclass(frozen=True)
class Summary:
    """What a run did. `failed` holds (note's name, reason); `problems` sums `doc._.problems`."""

    done: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Note:
    """One note to read; `read` raises FormatError where it cannot be."""

    name: str
    read: Callable[[], str]


class _Writer(Protocol):
    def has(self, name: str) -> bool: ...

    def write(self, name: str, doc: Doc) -> None: ...

    def close(self) -> None: ...


def extract(
    inputs: list[str], nlp: Language, output: Path, format: Format = "brat", *, batch_size: int = 32,
    overwrite: bool = False, stdin: BinaryIO | None = None,
) -> Summary:
    """Write what `nlp` finds in the notes into the folder `output`; one bad note never stops the others.

    Notes already written are skipped, so a killed run goes on where it stopped. Notes are read as
    the pipeline asks for them and nothing of them is kept.

    inputs (list[str]): Text files; folders of *.txt, whose tree is kept below `output`; .jsonl
        files of {"id", "text"}; "-" for standard input, JSONL or one plain note named "stdin".
    nlp (Language): The pipeline. Its `max_length` is raised where a note is longer, for this run.
    output (Path): "brat" writes NAME.ann per note, not the text; "jsonl" and "csv" write one file,
        extracted.jsonl or .csv; "docbin" writes extracted-00001.spacy and so on.
    batch_size (int): Notes that the pipeline gets at a time.
    overwrite (bool): Do notes again that are already written.
    stdin (BinaryIO | None): What "-" reads; the process's standard input by default.
    RETURNS (Summary): Counts, and the reasons why notes failed, which never hold note text.
    RAISES (KiwiError): An input is missing or empty, or two inputs give notes of one name.
    """
    if batch_size < 1:
        raise KiwiError(f"batch_size is {batch_size}; it must be 1 or more.")
    notes, total = _plan(inputs, stdin if stdin is not None else sys.stdin.buffer)
    output.mkdir(parents=True, exist_ok=True)
    writer = _open_writer(output, format, overwrite)
    counts = {"done": 0, "skipped": 0}
    failed: list[tuple[str, str]] = []
    problems: Counter[str] = Counter()
    max_length = nlp.max_length
    try:
        with tqdm(total=total, unit="note", file=sys.stderr) as progress:

            def readable() -> Iterator[tuple[str, str]]:
                for note in notes:
                    try:
                        if format == "brat":
                            check_name(note.name)
                        if not overwrite and writer.has(note.name):
                            counts["skipped"] += 1
                        else:
                            text = note.read()
                            nlp.max_length = max(nlp.max_length, len(text))
                            yield text, note.name
                            continue
                    except (FormatError, OSError) as error:
                        failed.append((note.name, _reason(error)))
                    progress.update()

            stream = readable()
            while batch := list(islice(stream, batch_size)):
                # Every new word stays in the vocabulary for good otherwise. The zone is closed before
                # the next batch and no Doc outlives it; see DocBin below, which keeps plain strings.
                with nlp.memory_zone():
                    for name, result in _annotate(nlp, batch):
                        if isinstance(result, Doc):
                            try:
                                writer.write(name, result)
                                counts["done"] += 1
                                problems.update(result._.problems)
                            except KiwiError as error:
                                failed.append((name, _reason(error)))
                        else:
                            failed.append((name, result))
                        progress.update()
    finally:
        nlp.max_length = max_length
        writer.close()
    return Summary(counts["done"], counts["skipped"], failed, dict(sorted(problems.items())))


def _annotate(nlp: Language, batch: list[tuple[str, str]]) -> Iterator[tuple[str, Doc | str]]:
    """Yield (name, Doc or reason of failure), in order; after an exception the notes go one by one."""
    docs: dict[str, Doc] = {}
    try:
        docs = {name: doc for doc, name in nlp.pipe(batch, as_tuples=True, batch_size=len(batch))}
    except Exception:  # whatever a component raises; the note that did it is found below
        docs = {}
    for text, name in batch:
        if name in docs:
            yield name, docs[name]
            continue
        # Also where an error handler of the pipeline's own left a note out of the batch.
        try:
            yield name, nlp(text)
        except Exception as error:
            yield name, _reason(error)


def _reason(error: Exception) -> str:
    """Say why, without note text: only the messages of this package and of the system are free of it."""
    if isinstance(error, KiwiError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the pipeline raised {type(error).__name__}"


# -- Reading --------------------------------------------------------------------------------------


def _plan(inputs: list[str], stdin: BinaryIO) -> tuple[Iterator[_Note], int | None]:
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


def _names(item: str) -> Iterator[str]:
    if item == "-":
        return
    path = Path(item)
    if path.is_dir() and not _text_files(path):
        raise KiwiError(f"'{item}' holds no .txt file.")
    if not path.exists():
        raise KiwiError(f"'{item}' does not exist.")
    yield from (note.name for note in _notes(item))


def _notes(item: str) -> Iterator[_Note]:
    path = Path(item)
    if path.is_dir():
        for file in _text_files(path):
            yield _Note(file.relative_to(path).with_suffix("").as_posix(), partial(_read_file, file))
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        with path.open("rb") as lines:
            yield from _from_lines(lines, path.stem)
    else:
        yield _Note(path.stem, partial(_read_file, path))


def _text_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.txt") if file.is_file())


def _read_file(file: Path) -> str:
    return _decode(file.read_bytes())  # not read_text, which would turn \r\n into \n and shift offsets


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start}") from None


def _from_lines(lines: Iterable[bytes], stem: str) -> Iterator[_Note]:
    """Yield a note for each line that is not blank; one that cannot be read is named by its line."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _from_line(line, f"{stem}-{number:06d}")


def _from_line(line: bytes, fallback: str) -> _Note:
    def unreadable(reason: str) -> _Note:
        def read() -> str:
            raise FormatError(reason)

        return _Note(fallback, read)

    try:
        record = json.loads(_decode(line))
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
    return _Note(fallback if name is None else str(name), lambda: text)


def _from_stdin(stdin: BinaryIO, seen: Iterable[str]) -> Iterator[_Note]:
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
        notes = iter([_Note("stdin", lambda: _decode(data))])
    for note in notes:
        if note.name in names:
            note = _Note(note.name, _twice)
        names.add(note.name)
        yield note


def _twice() -> str:
    raise FormatError("a second note of this name; it was not read")


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def check_name(name: str) -> str:
    """Return a note's name, which is a path below the output folder, without suffix.

    RAISES (FormatError): A note's id would name a file outside the output folder, or none.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name or "\\" in name:
        raise FormatError("its id cannot be a file name below the output folder")
    return name


# -- Writing --------------------------------------------------------------------------------------


def _open_writer(output: Path, format: Format, overwrite: bool) -> _Writer:
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
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.ann")
        try:
            write_brat(doc, temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

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
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f'{path}, line {number}: not a record with an "id". Move it, or overwrite.') from error


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
            with log.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    name, whole = json.loads(line)
                    self.names.add(name)
                    logged += len(line)
        self.file, self.log = _open_at(path, whole), _open_at(log, logged)
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


def csv_rows(doc: Doc) -> list[list[Any]]:
    """Return the rows of a Doc, without the note's name: the columns after it of `CSV_COLUMNS`."""
    relations = get_relations(doc)
    linked = {relation.key[1] for relation in relations}
    rows = []
    for ent in doc.ents:
        left = [*span_key(ent), ent.text, get_score(ent), *(int(has_role(ent, role)) for role in ROLES)]
        mine = [relation for relation in relations if span_key(relation.head) == span_key(ent)]
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
            self.number = max(self.number, int(path.stem.rpartition("-")[2]))
            self.names |= {_note_name(data) for data in DocBin(store_user_data=True).from_disk(path).user_data}

    def has(self, name: str) -> bool:
        return name in self.names

    def write(self, name: str, doc: Doc) -> None:
        doc.user_data[NOTE] = name
        self.bin.add(doc)  # holds arrays and plain strings, so the Doc's memory zone may close
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


def _note_name(user_data: bytes | None) -> str:
    """Return the name of a Doc of a DocBin without building the Doc."""
    data = srsly.msgpack_loads(user_data, use_list=False) if user_data else {}
    if NOTE not in data:
        raise FormatError("A file extracted-*.spacy in the output folder is not this command's. Move it, or overwrite.")
    return str(data[NOTE])
