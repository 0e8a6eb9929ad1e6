"""JSONL, DocBin and BIO sentence files."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, Token

from ..contract import NOTE, count_problem, get_modifiers, get_relations, set_modifiers, set_relations
from ..errors import FormatError
from ..schema import Schema
from .brat import BOM, Failure
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
                doc = record_to_doc(nlp, record, schema, where)
            except FormatError as error:
                yield Failure(where, str(error))
            except UnicodeDecodeError as error:
                yield Failure(where, f"{where}: not UTF-8 at byte {error.start} of the line.")
            except (ValueError, RecursionError) as error:  # besides JSONDecodeError: a number of too many digits
                yield Failure(where, f"{where}: not JSON at column {getattr(error, 'colno', 1)}.")
            else:
                yield doc


def write_jsonl(docs: Iterable[Doc], path: Path) -> int:
    """Write one object a Doc; return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for doc in docs:
            file.write(json.dumps(doc_to_record(doc), ensure_ascii=False) + "\n")
            written += 1
    return written


def open_docbin(path: Path) -> DocBin:
    """Return a DocBin from disk.

    RAISES (FormatError): The file is none, or cut short.
    """
    try:
        return DocBin(store_user_data=True).from_disk(path)
    except OSError:
        raise
    except Exception:  # zlib, msgpack and numpy each have errors of their own
        raise FormatError(f"{path}: not a DocBin, or cut short. Write it again with DocBin.to_disk.") from None


def read_docbin(path: Path, nlp: Language) -> Iterator[Doc]:
    """Yield the Docs of a DocBin, links and scores among them.

    RAISES (FormatError): The file is no DocBin.
    """
    yield from open_docbin(path).get_docs(nlp.vocab)


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

    More columns may stand between: the first is the token, the last the tag; a line without a TAB is
    divided at its spaces. A tag that goes on from nothing begins a span, and a tag that is none of
    BIO or BILOU is read as O; both are counted in `doc._.problems`.
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
            # Not split(): a token may hold a no-break space.
            fields = [f for f in (f.strip(" ") for f in line.split("\t" if "\t" in line else " ")) if f]
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


_BEGIN, _GO_ON = ("b", "s", "u"), ("i", "e", "l")


def _bio_doc(
    nlp: Language, words: list[str], tags: list[str], labels: dict[str, str], schema: Schema, name: str
) -> Doc:
    doc = Doc(nlp.vocab, words=words)
    doc.user_data[NOTE] = name
    spans: list[Span] = []
    start, current = 0, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.lower().partition("-")
        if prefix != "o" and (prefix not in _BEGIN + _GO_ON or not label):
            count_problem(doc, "tag that is no BIO tag read as O")
            prefix, label = "o", ""
        goes_on = prefix in _GO_ON and label == current and current
        if not goes_on:
            if current:
                known = labels.get(current)
                if known is None:
                    count_problem(doc, "span of an unknown label dropped")
                else:
                    spans.append(Span(doc, start, i, label=known))
            if prefix in _GO_ON:
                count_problem(doc, "tag without a beginning repaired")
            current, start = (label if prefix != "o" else ""), i
    doc.set_ents([s for s in spans if s.label_ in schema.entities])
    set_modifiers(doc, [s for s in spans if s.label_ in schema.modifiers])
    set_relations(doc, [], schema)
    return doc


def write_bio(docs: Iterable[Doc], path: Path) -> int:
    """Write the Docs' entities, and modifiers outside them, as BIO, a line of the note a sentence; return how many.

    BIO holds neither links nor overlaps; `lost_in_bio` says what is left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for doc in docs:
            tags, _ = _bio_tags(doc)
            for token, tag in zip(doc, tags):
                if _is_word(token):
                    file.write(f"{token.text}\t{tag}\n")
                elif tag == "O" and "\n" in token.text:  # a span that goes on over a line end stays one
                    file.write("\n")
            file.write("\n")
            written += 1
    return written


def _is_word(token: Token) -> bool:
    return not token.is_space and token.text != BOM  # which at the start of a file would be the file's own


def lost_in_bio(doc: Doc) -> dict[str, int]:
    """Return what `write_bio` leaves out of a Doc > how often."""
    counts = {
        "link that BIO cannot hold": len(get_relations(doc)),
        "overlapping modifier that BIO cannot hold": _bio_tags(doc)[1],
    }
    return {kind: times for kind, times in counts.items() if times}


def _bio_tags(doc: Doc) -> tuple[list[str], int]:
    """Return a tag a token, and how many spans had no room. White space within a span counts as its inside."""
    tags, left_out = ["O"] * len(doc), 0
    for span in [*doc.ents, *get_modifiers(doc)]:
        words = [token.i for token in span if _is_word(token)]
        if not words or any(tag != "O" for tag in tags[span.start : span.end]):
            left_out += 1
            continue
        tags[words[0] : words[-1] + 1] = [f"B-{span.label_}", *[f"I-{span.label_}"] * (words[-1] - words[0])]
    return tags, left_out
