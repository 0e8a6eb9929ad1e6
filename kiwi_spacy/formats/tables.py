"""JSONL, DocBin and BIO sentence files."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from ..errors import FormatError
from ..relations import count_problem, get_modifiers, set_modifiers, set_relations
from ..schema import Schema
from .brat import Failure
from .docs import doc_to_record, record_to_doc


def read_jsonl(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Yield the Docs of a JSONL file; a line that cannot be read becomes a `Failure`."""
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            if not raw.strip():
                continue
            where = f"{path.name}, line {number}"
            try:
                record = json.loads(raw.decode("utf-8-sig"))
                if not isinstance(record, dict):
                    raise FormatError(f"{where}: not an object.")
                yield record_to_doc(nlp, record, schema, where)
            except UnicodeDecodeError as error:
                yield Failure(where, f"{where}: not UTF-8 at byte {error.start} of the line.")
            except json.JSONDecodeError as error:
                yield Failure(where, f"{where}: not JSON at column {error.colno}.")
            except FormatError as error:
                yield Failure(where, str(error))


def write_jsonl(docs: Iterable[Doc], path: Path) -> int:
    """Write one object a Doc; return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for doc in docs:
            file.write(json.dumps(doc_to_record(doc), ensure_ascii=False) + "\n")
            written += 1
    return written


def read_docbin(path: Path, nlp: Language) -> Iterator[Doc]:
    """Yield the Docs of a DocBin, links and scores among them."""
    yield from DocBin(store_user_data=True).from_disk(path).get_docs(nlp.vocab)


def write_docbin(docs: Iterable[Doc], path: Path) -> int:
    """Write a DocBin that keeps links, scores and provenance; return how many Docs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    docbin = DocBin(store_user_data=True)
    for doc in docs:
        docbin.add(doc)
    docbin.to_disk(path)
    return len(docbin)


def read_bio(path: Path, nlp: Language, schema: Schema) -> Iterator[Doc | Failure]:
    """Yield a Doc a sentence of a BIO file: `token TAB tag` a line, sentences divided by empty lines.

    More columns may stand between: the first is the token, the last the tag. A tag that goes on
    from nothing begins a span, and is counted in `doc._.problems`.
    """
    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    words: list[str] = []
    tags: list[str] = []
    name = path.stem
    first = 1
    for number, raw in enumerate([*path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), b""], 1):
        try:
            line = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            yield Failure(name, f"{path.name}, line {number}: not UTF-8 at byte {error.start}. Line skipped.")
            continue
        if line.strip():
            fields = line.split("\t") if "\t" in line else line.split()
            if len(fields) < 2:
                yield Failure(name, f"{path.name}, line {number}: needs a token and a tag. Line skipped.")
                continue
            words.append(fields[0])
            tags.append(fields[-1])
        elif words:
            yield _bio_doc(nlp, words, tags, labels, schema, f"{name}:{first}")
            words, tags = [], []
        if not line.strip():
            first = number + 1


def _bio_doc(
    nlp: Language, words: list[str], tags: list[str], labels: dict[str, str], schema: Schema, name: str
) -> Doc:
    doc = Doc(nlp.vocab, words=words)
    doc.user_data["kiwi_note"] = name
    spans: list[Span] = []
    start, current = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.partition("-")
        goes_on = prefix in ("I", "E", "L") and label == current and current
        if not goes_on:
            if current:
                known = labels.get(current.lower())
                if known is None:
                    count_problem(doc, "span of an unknown label dropped")
                else:
                    spans.append(Span(doc, start, i, label=known))
            if prefix in ("I", "E", "L"):
                count_problem(doc, "tag without a beginning repaired")
            current, start = (label if prefix != "O" else ""), i
    doc.set_ents([s for s in spans if s.label_ in schema.entities])
    set_modifiers(doc, [s for s in spans if s.label_ in schema.modifiers])
    set_relations(doc, [], schema)
    return doc


def write_bio(docs: Iterable[Doc], path: Path) -> int:
    """Write the Docs' entities, and modifiers outside them, as BIO, a line of the note a sentence; return how many.

    BIO holds neither links nor overlaps: modifiers inside entities are left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for doc in docs:
            tags = ["O"] * len(doc)
            for span in [*doc.ents, *get_modifiers(doc)]:
                if all(tag == "O" for tag in tags[span.start : span.end]):
                    tags[span.start : span.end] = [f"B-{span.label_}", *[f"I-{span.label_}"] * (len(span) - 1)]
            for token, tag in zip(doc, tags):
                if token.is_space:
                    file.write("\n" if "\n" in token.text else "")
                else:
                    file.write(f"{token.text}\t{tag}\n")
            file.write("\n")
            written += 1
    return written
