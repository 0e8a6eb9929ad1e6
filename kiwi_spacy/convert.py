"""Convert annotations from one format to another, by way of Docs; what gets lost is reported."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .errors import KiwiError

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
    """Read `source`, write `output`; a note that cannot be written does not stop the others.

    source, output (Path): Folders for brat and bio, files for jsonl and docbin.
    text_dir (Path | None): The texts of brat annotations, where they are elsewhere.
    schema (str | None): A schema file; the packaged schema by default.
    RAISES (KiwiError): `source` is missing or cannot be read as `from_`.
    """
    import spacy
    from spacy.tokens import Doc, DocBin

    from .formats import brat, docs, tables
    from .schema import load_schema

    if not source.exists():
        raise KiwiError(f"'{source}' does not exist.")
    if "bio" in (from_, to):
        from .formats import bio
    nlp = spacy.blank("en")
    labels = load_schema(schema)
    done = 0
    problems: list[str] = []
    failed: list[str] = []
    named: list[tuple[str, Doc]] = []
    if from_ == "docbin":
        for number, doc in enumerate(DocBin(store_user_data=True).from_disk(source).get_docs(nlp.vocab), start=1):
            named.append((str(doc.user_data.get("kiwi_note", f"{source.stem}-{number:06d}")), doc))
    else:
        notes = {
            "brat": lambda: brat.read_folder(source, text_dir),
            "jsonl": lambda: tables.read_jsonl(source),
            "bio": lambda: bio.read_folder(source),
        }[from_]()
        for note in notes:
            problems += [f"{note.name}: {problem}" for problem in note.problems]
            try:
                named.append((note.name, docs.note_to_doc(nlp, note, labels)))
            except KiwiError as error:
                failed.append(f"{note.name}: {error}")
    for name, doc in named:
        problems += [f"{name}: {times} x {kind}" for kind, times in doc._.problems.items()]
    if to in ("brat", "bio"):
        write = brat.write_brat if to == "brat" else bio.write_bio
        for name, doc in named:
            path = output / f"{name}.{'ann' if to == 'brat' else 'bio'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write(doc, path)
                done += 1
            except KiwiError as error:
                failed.append(f"{name}: {error}")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        if to == "jsonl":
            with output.open("w", encoding="utf-8", newline="\n") as file:
                for name, doc in named:
                    file.write(json.dumps({**docs.doc_to_record(doc), "id": name}, ensure_ascii=False) + "\n")
        else:
            store = DocBin(store_user_data=True)
            for name, doc in named:
                doc.user_data["kiwi_note"] = name
                store.add(doc)
            store.to_disk(output)
        done = len(named)
    return Converted(done, problems, failed)
