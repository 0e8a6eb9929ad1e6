"""Text that no clinician would write, and what must hold of it through a pipeline and through every writer."""

import random
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span

from kiwi_spacy.contract import NOTE, get_modifiers, get_relations, set_modifiers, set_relations, set_scores, span_key
from kiwi_spacy.formats.convert import write_docs
from kiwi_spacy.formats.failure import Failure
from kiwi_spacy.formats.registry import Format, Source
from kiwi_spacy.schema import load_schema
from kiwi_spacy.tokenizer import SURROGATE

NOTES = Path(__file__).parents[1] / "corpus" / "test"
RUNS = ("-", "\0", "\u0301", "7", ".", "a", "\U0001f600", "/", "+-", "a.", "\n", " ", "\u4e00", "&", "<", "\u202e", "\ud800")
MARKUP = (
    '<span class="problem">', "</span>", "&lt;&amp;", "<!--", "]]>", "T1\tproblem 0 5\tfever\n", "#1\tAnnotatorNotes T1\tno\n",
    "R1\thasAttr Arg1:T1 Arg2:T2\n", '{"text": "x"}\n', '"\r\n,', "=1+1", "<|im_end|>", "\ufeff",
)
_LONGEST = 400  # characters of a string: as long as a short note, so that thousands take minutes


def clinical_text(size: int) -> str:
    """Return notes of the test set, joined and repeated to a number of characters."""
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(NOTES.glob("*.txt")))
    return (text * (size // len(text) + 1))[:size]


def categories() -> dict[str, list[int]]:
    """Return code points by their Unicode category, lone surrogates (Cs) and unassigned ones (Cn) among them."""
    found: dict[str, list[int]] = {}
    for code in range(0x110000):
        found.setdefault(unicodedata.category(chr(code)), []).append(code)
    return found


def hostile_strings(number: int, seed: int) -> Iterator[str]:
    """Yield strings of up to 400 characters: a category each, then mixtures with runs, markup look-alikes and clinical words."""
    rng = random.Random(seed)
    known = categories()
    names = sorted(known)
    words = clinical_text(20_000).split()
    for i in range(number):
        if i < len(names):
            yield "".join(chr(code) for code in rng.choices(known[names[i]], k=_LONGEST))
            continue
        parts: list[str] = []
        for _ in range(rng.randint(1, 20)):
            parts.append(rng.choice([
                chr(rng.choice(known[rng.choice(names)])) * rng.randint(1, 8), rng.choice(MARKUP),
                rng.choice(RUNS) * rng.randint(1, 12), " ".join(rng.choices(words, k=3)), " ", chr(rng.randrange(0xD800, 0xE000)),
            ]))
        yield "".join(parts)[:_LONGEST]


def wrong_in(text: str, doc: Doc) -> list[str]:
    """Return what is wrong with the Doc of a text: "changed text", "uncounted surrogate" or "wrong offset", once a place.

    A lone surrogate, which UTF-8 cannot hold, must be read as U+FFFD, one for one, and be counted.
    """
    lone = sum("\ud800" <= c <= "\udfff" for c in text)
    wrong = ["changed text"] if doc.text != "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text) else []
    wrong += ["uncounted surrogate"] if doc._.problems.get(SURROGATE, 0) != lone else []
    read = doc.text  # put together at each call
    wrong += ["wrong offset" for token in doc if read[token.idx : token.idx + len(token)] != token.text]
    spans = [*doc.ents, *get_modifiers(doc)]
    return wrong + ["wrong offset" for span in spans if read[span.start_char : span.end_char] != span.text]


def mark_words(doc: Doc, every: int = 6) -> None:
    """Put an entity and a modifier linked to it on each `every` words, in place of what the Doc has.

    Six words are as dense as clinical notes are.
    """
    schema = load_schema()
    label = next(iter(schema.entities))
    modifier = schema.allowed(label)[0]
    words = [token.i for token in doc if not token.is_space]
    ents = [Span(doc, i, i + 1, label=label) for i in words[::every]]
    modifiers = [Span(doc, i, i + 1, label=modifier) for i in words[every // 2 :: every]]
    doc.set_ents(ents)
    set_modifiers(doc, modifiers)
    set_relations(doc, [(head, tail, 0.9) for head, tail in zip(ents, modifiers)])
    set_scores(doc, [(span, 0.8) for span in [*ents, *modifiers]])


def round_trip(docs: Sequence[Doc], nlp: Language, format: Format, folder: Path) -> Counter[str]:
    """Write Docs that have names as a format, read them again, and count what came of them.

    "equal": the same text, spans and links; of BIO, which holds neither texts nor overlaps, as many spans as it says it keeps.
    "refused": not written, with the reason. "unreadable", "changed", "missing": faults.
    """
    assert format.read
    path = folder / (format.name if format.layout == "notes" else f"notes{format.suffixes[0]}")
    written = write_docs(docs, path, format.name)
    counts = Counter({"refused": len(written.failed)})
    left = len(docs) - counts["refused"]
    back = list(format.read(Source(path, nlp, load_schema())))
    counts["unreadable"] = sum(isinstance(item, Failure) for item in back)
    read = [item.doc for item in back if not isinstance(item, Failure)]
    if format.name == "bio":
        kept = sum(len(_said(doc)[1]) - sum(format.lost(doc).values()) for doc in docs)
        counts["changed"] = abs(kept - sum(len(_said(doc)[1]) for doc in read))
        counts["equal"] = left - counts["changed"] - counts["unreadable"]
        return +counts
    names = {str(doc.user_data.get(NOTE)): _said(doc) for doc in read}
    refused = {line.split(": ")[0] for line in written.failed}
    for doc in docs:
        name = str(doc.user_data[NOTE])
        if name not in refused:
            counts["missing" if name not in names else "equal" if names[name] == _said(doc) else "changed"] += 1
    return +counts


def _said(doc: Doc) -> tuple[str, list[tuple[int, int, str]], list[tuple[object, object]]]:
    spans = sorted(span_key(span) for span in [*doc.ents, *get_modifiers(doc)])
    return doc.text, spans, sorted(relation.key for relation in get_relations(doc))


class _Note(HTMLParser):
    """Collects the text of the page's note, a line each."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "div" and ("class", "line") in attrs:
            self.lines.append("")
            self.open = []
        if tag not in ("br", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if self.open[:1] == ["div"]:
            self.lines[-1] += data


def page_lines(page: str) -> list[str]:
    """Return the lines of the note that a page shows, as a browser reads them."""
    parser = _Note()
    parser.feed(page)
    return parser.lines
