"""Convert annotations from one format to another, by way of Docs; what gets lost is reported."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..contract import NOTE
from ..errors import FormatError, KiwiError
from ..schema import Schema, load_schema
from ..tokenizer import create_tokenizer
from .brat import Failure, read_folder, write_brat
from .docs import note_to_doc
from .outputs import check_name
from .tables import lost_in_bio, read_bio, read_docbin, read_jsonl, write_bio, write_docbin, write_jsonl

Format = Literal["brat", "jsonl", "docbin", "bio"]


@dataclass(frozen=True)
class Converted:
    """What a conversion did: notes done; lines on what was lost; lines on what could not be converted."""

    done: int = 0
    problems: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def convert(
    source: Path, output: Path, from_: Format, to: Format, *, text_dir: Path | None = None, schema: str | None = None
) -> Converted:
    """Read `source`, write `output`; a note that cannot be read does not stop the others.

    source, output (Path): Folders for brat, where the texts are written too; files for the others.
    text_dir (Path | None): The texts of brat annotations, where they are elsewhere.
    schema (str | None): A schema file; the packaged schema by default.
    RAISES (KiwiError): `source` is missing or cannot be read as `from_`.
    """
    if not source.exists():
        raise KiwiError(f"'{source}' does not exist.")
    if source.resolve() == output.resolve():
        raise KiwiError(f"'{source}' is both input and output. Name another output.")
    nlp = spacy.blank("en")
    nlp.tokenizer = create_tokenizer()(nlp)
    done = 0
    problems: list[str] = []
    failed: list[str] = []

    def readable() -> Iterator[Doc]:
        nonlocal done
        for item in _read(source, from_, nlp, load_schema(schema), text_dir):
            if isinstance(item, Failure):
                failed.append(item.reason)
                continue
            doc, lines = item
            name = doc.user_data.get(NOTE) or f"{source.stem}-{done + 1:06d}"
            doc.user_data[NOTE] = name
            problems.extend(lines)
            counted = {**doc._.problems, **(lost_in_bio(doc) if to == "bio" else {})}
            problems.extend(f"{name}: {times} x {kind}" for kind, times in counted.items())
            done += 1
            yield doc

    if to == "brat":
        written: set[str] = set()
        for doc in readable():
            try:
                _write_note(doc, output, written)
            except (FormatError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                failed.append(f"{doc.user_data[NOTE]}: {reason}")
                done -= 1
    else:
        {"jsonl": write_jsonl, "docbin": write_docbin, "bio": write_bio}[to](readable(), output)
    return Converted(done, problems, failed)


def _write_note(doc: Doc, output: Path, written: set[str]) -> None:
    """Write a note's text and annotations; two notes of one name would be one file."""
    name = check_name(doc.user_data[NOTE])
    if name in written:
        raise FormatError("a second note of this name; it was not written")
    path = output / f"{name}.ann"
    path.parent.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.txt").write_bytes(doc.text.encode("utf-8"))
    write_brat(doc, path)
    written.add(name)


def _read(
    source: Path, from_: Format, nlp: Language, schema: Schema, text_dir: Path | None
) -> Iterator[tuple[Doc, list[str]] | Failure]:
    """Yield each Doc with what was reported while it was read."""
    if from_ == "brat":
        for note in read_folder(source, text_dir, schema=schema):
            yield note if isinstance(note, Failure) else (note_to_doc(nlp, note, schema), note.problems)
        return
    readers: dict[str, Callable[[], Iterator[Doc | Failure]]] = {
        "jsonl": lambda: read_jsonl(source, nlp, schema),
        "docbin": lambda: read_docbin(source, nlp),
        "bio": lambda: read_bio(source, nlp, schema),
    }
    for doc in readers[from_]():
        yield doc if isinstance(doc, Failure) else (doc, [])
