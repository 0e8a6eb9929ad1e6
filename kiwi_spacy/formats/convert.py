"""Convert annotations from one format to another, by way of Docs; what gets lost is reported."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import spacy
from spacy.tokens import Doc

from ..contract import NOTE
from ..errors import FormatError, KiwiError
from ..schema import Schema, load_schema
from ..tokenizer import create_tokenizer
from .docbin import encode_docbin
from .failure import Failure
from .outputs import check_name
from .registry import Format, Read, Source, get_format, lost_in, note_name, recognise


@dataclass(frozen=True)
class Converted:
    """What a conversion did: notes done; lines on what was lost; lines on what could not be converted."""

    done: int = 0
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def convert(
    source: Path, output: Path, from_: str | None, to: str, *, text_dir: Path | None = None, schema: str | None = None
) -> Converted:
    """Read `source`, write `output`; a note that cannot be read or written does not stop the others.

    source, output (Path): Folders for formats of a file a note; files for the others.
    from_, to (str): Names of `registry.FORMATS`; None for `from_` recognises what `source` is.
    text_dir (Path | None): The texts of brat annotations, where they are elsewhere.
    schema (str | None): A schema file; the packaged schema by default.
    RAISES (KiwiError): `source` is missing or cannot be read as `from_`.
    """
    if not source.exists():
        raise KiwiError(f"'{source}' does not exist.")
    if source.resolve() == output.resolve():
        raise KiwiError(f"'{source}' is both input and output. Name another output.")
    reader, writer = get_format(from_) if from_ else recognise(source), get_format(to)
    if reader.read is None or writer.encode is None:
        one, what = (reader, "read") if reader.read is None else (writer, "written")
        raise KiwiError(f"'{one.name}' cannot be {what} here. Name another format.")
    nlp = spacy.blank("en")
    nlp.tokenizer = create_tokenizer()(nlp)
    known = load_schema(schema)
    done = Converted()
    docs = _readable(reader.read(Source(source, nlp, known, text_dir)), source, writer, done)
    return _write(docs, output, writer, known, done)


def write_docs(docs: Iterable[Doc], output: Path, to: str, schema: Schema | None = None) -> Converted:
    """Write Docs as a format: a folder or a file, as `convert` does; a note that cannot be written does not stop the others."""
    return _write(iter(docs), output, get_format(to), schema or load_schema(), Converted())


def _write(docs: Iterator[Doc], output: Path, writer: Format, schema: Schema, done: Converted) -> Converted:
    write = _write_folder if writer.layout == "notes" else _write_file
    return Converted(write(docs, output, writer, schema, done), done.problems, done.failed)


def _readable(items: Iterator[Read | Failure], source: Path, writer: Format, done: Converted) -> Iterator[Doc]:
    """Yield the Docs, each with a name; what could not be read, and what did not fit or gets lost, goes to `done`."""
    number = 0
    for item in items:
        if isinstance(item, Failure):
            done.failed.append(item.reason)
            continue
        doc = item.doc
        number += 1
        name = note_name(doc) or f"{source.stem}-{number:06d}"
        doc.user_data[NOTE] = name
        done.problems.extend(item.problems)
        counted = {**doc._.problems, **lost_in(writer, doc)}
        done.problems.extend(f"{name}: {times} x {kind}" for kind, times in counted.items())
        yield doc


def _write_file(docs: Iterator[Doc], output: Path, writer: Format, schema: Schema, done: Converted) -> int:
    """Write the notes into one file; return how many."""
    assert writer.encode is not None
    output.parent.mkdir(parents=True, exist_ok=True)
    if writer.layout == "docbin":
        kept = list(docs)
        output.write_bytes(encode_docbin(kept))
        return len(kept)
    before, between, after = writer.around
    count = 0
    with output.open("wb") as file:
        file.write(before)
        for doc in docs:
            try:
                encoded = writer.encode(doc, schema)
            except FormatError as error:
                done.failed.append(f"{note_name(doc)}: {error}")
                continue
            file.write((between if count else b"") + encoded)
            count += 1
        file.write(after)
    for name, data in writer.beside(schema).items():
        (output.parent / f"{output.stem}.{name}").write_bytes(data)
    return count


def _write_folder(docs: Iterator[Doc], output: Path, writer: Format, schema: Schema, done: Converted) -> int:
    """Write a file a note, and the note's text beside it where the format does not hold it; return how many notes."""
    assert writer.encode is not None
    written: set[str] = set()
    output.mkdir(parents=True, exist_ok=True)
    for name, data in writer.beside(schema).items():
        (output / name).write_bytes(data)
    for doc in docs:
        try:
            name = check_name(note_name(doc))
            if name in written:  # two notes of one name would be one file
                raise FormatError("a second note of this name; it was not written")
            path = output / f"{name}{writer.suffixes[0]}"
            encoded = writer.encode(doc, schema)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not writer.holds_text:
                (output / f"{name}.txt").write_bytes(doc.text.encode("utf-8"))
            path.write_bytes(encoded)
            written.add(name)
        except (FormatError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            done.failed.append(f"{note_name(doc)}: {reason}")
    return len(written)
