"""BIO: `token TAB tag` a line, a line of the note a sentence; no links, no overlaps."""

from collections.abc import Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from ..contract import NOTE, count_problem, get_failures, get_modifiers, set_modifiers, set_relations
from ..schema import Schema
from .brat import BOM
from .failure import Failure

INCOMPLETE = "# incomplete"  # a line before a note of which some stretch has no answer


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
    first, marked = 1, False
    for number, raw in enumerate([*path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), b""], 1):
        try:
            line = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            yield Failure(name, f"{path.name}, line {number}: not UTF-8 at byte {error.start}. Line skipped.")
            continue
        if line.rstrip() == INCOMPLETE and not words:
            marked, first = True, number + 1
        elif line.strip():
            # Not split(): a token may hold a no-break space.
            fields = [f for f in (f.strip(" ") for f in line.split("\t" if "\t" in line else " ")) if f]
            if len(fields) < 2:
                yield Failure(name, f"{path.name}, line {number}: needs a token and a tag. Line skipped.")
                continue
            words.append(fields[0])
            tags.append(fields[-1])
        elif words:
            doc = _bio_doc(nlp, words, tags, labels, schema, f"{name}:{first}")
            if marked:
                count_problem(doc, "note marked as incomplete")
            yield doc
            words, tags, marked = [], [], False
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


def encode_bio(doc: Doc) -> bytes:
    """Return a Doc's entities, and modifiers outside them, as BIO, a line of the note a sentence, with an empty line at the end.

    BIO holds neither links nor overlaps; `lost_in_bio` says what is left out. A note that is incomplete begins with a comment.
    """
    lines = [INCOMPLETE] if get_failures(doc) else []
    tags, _ = _bio_tags(doc)
    for token, tag in zip(doc, tags):
        if _is_word(token):
            lines.append(f"{token.text}\t{tag}")
        elif tag == "O" and "\n" in token.text:  # a span that goes on over a line end stays one
            lines.append("")
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _is_word(token: Token) -> bool:
    return not token.is_space and token.text != BOM  # which at the start of a file would be the file's own


def lost_in_bio(doc: Doc) -> dict[str, int]:
    """Return what a Doc's spans lose in BIO > how often."""
    left_out = _bio_tags(doc)[1]
    return {"span without words of its own, or overlapping another, that BIO cannot hold": left_out} if left_out else {}


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
