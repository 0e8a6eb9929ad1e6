"""brat standoff: `NAME.txt` with `NAME.ann` beside it, read leniently and reported strictly.

Offsets count the characters of the file as stored: line ends stay as they are (CRLF is two
characters), and a byte order mark stays in the text as one character.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from spacy.tokens import Doc, Span

from ..contract import get_modifiers, get_relations, span_key
from ..errors import FormatError
from ..schema import Schema, load_schema
from .label_map import LabelMap

BOM = "\ufeff"
ProblemKind = Literal[
    "unreadable-line", "outside-note", "repeated-id", "unknown-label", "pieces", "no-words", "other-words", "missing-end",
    "wrong-ends", "pair",
]
FailureKind = Literal["unreadable-file", "no-text", "no-annotations"]


@dataclass(frozen=True)
class BratSpan:
    """A text-bound annotation; `fragments` counts the pieces of a discontinuous one, kept as its hull."""

    id: str
    start_char: int
    end_char: int
    label: str
    line: int
    fragments: int = 1


@dataclass(frozen=True)
class BratLink:
    """A legal link, by the ids of its ends; `turned` says that the file names the modifier first."""

    id: str
    head: str
    modifier: str
    line: int
    turned: bool


@dataclass(frozen=True)
class Problem:
    """What does not fit note or schema; the offsets are those of its span, where it has one inside the note."""

    kind: ProblemKind
    file: str
    line: int
    what: str
    start_char: int | None = None
    end_char: int | None = None

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}"


@dataclass
class BratNote:
    """One note as read: its spans, its legal links as `written`, and what was `reported`."""

    name: str
    text: str
    spans: list[BratSpan] = field(default_factory=list)
    written: list[BratLink] = field(default_factory=list)
    reported: list[Problem] = field(default_factory=list)

    @property
    def links(self) -> list[tuple[str, str]]:
        """The links as (head id, modifier id), each once."""
        return list(dict.fromkeys((link.head, link.modifier) for link in self.written))

    @property
    def problems(self) -> list[str]:
        """What was reported, with file and line."""
        return [str(problem) for problem in self.reported]


@dataclass(frozen=True)
class Failure:
    """A note that could not be read at all; `line` is 0 where the whole `file` is meant."""

    name: str
    reason: str
    kind: FailureKind = "unreadable-file"
    file: str = ""
    line: int = 0


class _Unreadable(FormatError):
    """A file that is not UTF-8 or cannot be opened."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}, line {line}: {what}" if line else f"{file}: {what}")
        self.file, self.line = file, line


def read_text(path: Path) -> str:
    """Return a note exactly as stored: no line end translated, no mark removed.

    RAISES (UnicodeDecodeError): The file is not UTF-8.
    """
    return path.read_bytes().decode("utf-8")


def read_folder(
    folder: Path, text_dir: Path | None = None, *, schema: Schema | None = None, recursive: bool = True,
    label_map: LabelMap | None = None,
) -> Iterator[BratNote | Failure]:
    """Yield the notes of a folder, in the order of their names; a bad file becomes a `Failure`.

    text_dir (Path | None): Where the texts are, when the annotations came without them; every
        span's words are then checked against the note.
    label_map (LabelMap | None): Of annotations under another scheme.
    RAISES (FormatError): A folder is missing, or holds no note.
    """
    for place in (folder, text_dir or folder):
        if not place.is_dir():
            raise FormatError(f"'{place}' is no folder. Name the folder that holds the files.")
    pattern = "**/*" if recursive else "*"
    anns = {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.glob(pattern + ".ann")}
    texts_root = text_dir or folder
    texts = {p.relative_to(texts_root).with_suffix("").as_posix(): p for p in texts_root.glob(pattern + ".txt")}
    names = sorted(set(anns) | (set() if text_dir else set(texts)))
    if not names:
        raise FormatError(f"'{folder}' holds no .ann file.")
    for name in names:
        if name not in texts:
            reason = f"{name}.ann: no {name}.txt in {texts_root}. Add it, or name --text-dir."
            yield Failure(name, reason, "no-text", f"{name}.ann")
        elif name not in anns:
            reason = f"{name}.txt: no {name}.ann beside it. Add one, empty if nothing is there."
            yield Failure(name, reason, "no-annotations", f"{name}.txt")
        else:
            try:
                yield read_note(texts[name], anns[name], schema=schema, name=name, label_map=label_map)
            except _Unreadable as error:
                yield Failure(name, str(error), "unreadable-file", error.file, error.line)


def read_note(
    text_path: Path, ann_path: Path, *, schema: Schema | None = None, name: str | None = None,
    label_map: LabelMap | None = None,
) -> BratNote:
    """Read one note and report, with file and line, whatever does not fit note or schema.

    RAISES (FormatError): A file cannot be read, or is not UTF-8; the message names file and line.
    """
    name = name or ann_path.stem
    text, ann = (_read(path, f"{name}{path.suffix}") for path in (text_path, ann_path))
    return parse_ann(name, text, ann.removeprefix(BOM), schema=schema, label_map=label_map)


def _read(path: Path, file: str) -> str:
    try:
        return read_text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _Unreadable(file, line, f"not UTF-8 at byte {error.start} of the file. Convert it to UTF-8.") from None
    except OSError as error:
        raise _Unreadable(file, 0, f"{error.strerror}.") from None


def parse_ann(
    name: str, text: str, ann: str, *, schema: Schema | None = None, file: str | None = None,
    label_map: LabelMap | None = None,
) -> BratNote:
    """Read the lines of an .ann file against their note.

    Links may stand either way round, under any relation name, or in events; attributes, notes,
    normalisations and equivalences are passed over. What is skipped is in `problems`. Under a label
    map, what the map leaves out, or what our schema cannot link, is no problem and is passed over.
    """
    schema = schema or load_schema()
    file = file or f"{name}.ann"
    note = BratNote(name, text)
    spans: dict[str, BratSpan] = {}
    pending: list[tuple[int, str, str, str]] = []
    lines_of: dict[str, list[int]] = {}  # label outside the schema > where it stands
    theirs: dict[str, str] = {}  # id > label under the other scheme

    def report(kind: ProblemKind, number: int, what: str, start: int | None = None, end: int | None = None) -> None:
        note.reported.append(Problem(kind, file, number, what, start, end))

    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    events: dict[str, tuple[int, str]] = {}  # id > line, id of the trigger
    event_links: list[tuple[int, str, str, str]] = []
    # Not splitlines: a note may quote U+2028. An old Mac's file has \r alone.
    for number, raw in enumerate(ann.split("\n" if "\n" in ann else "\r"), 1):
        line = raw.rstrip("\r")
        if not line.strip():
            continue
        kind, fields = line[0], line.split("\t")
        if kind == "T":
            parsed = _parse_span(fields)
            if parsed is None:
                report("unreadable-line", number, "not a span: expected ID, TAB, 'label start end', TAB, text.")
                continue
            id_, label, pieces = parsed
            outside = [f"{a}-{b}" for a, b in pieces if not a < b <= len(text)]
            if outside:
                what = f"{id_} is at {', '.join(outside)}, but the note has {len(text)} characters. Skipped."
                report("outside-note", number, what)
                continue
            start, end = min(a for a, _ in pieces), max(b for _, b in pieces)
            if id_ in spans:
                report("repeated-id", number, f"{id_} stands twice. The second is skipped.")
                continue
            if label_map is not None:
                theirs[id_] = label
                label = label_map.spans.get(label, "")
                if not label:
                    spans[id_] = BratSpan(id_, start, end, "", number)
                    continue
            if label.lower() not in labels:
                lines_of.setdefault(label, []).append(number)
                spans[id_] = BratSpan(id_, start, end, "", number)
                continue
            if len(pieces) > 1:
                what = f"{id_} has {len(pieces)} pieces; it is kept as one span, {start}-{end}."
                report("pieces", number, what, start, end)
            words_there = "\t".join(fields[2:])
            if not words_there:
                what = f"{id_} comes without its words, so {start}-{end} cannot be checked. The offsets are kept."
                report("no-words", number, what, start, end)
            elif not _same_words(words_there, " ".join(text[a:b] for a, b in pieces)):
                what = f"{id_}: the words differ from the note's at {start}-{end}. The offsets are kept."
                report("other-words", number, what, start, end)
            spans[id_] = BratSpan(id_, start, end, labels[label.lower()], number, len(pieces))
        elif kind == "R":
            words = fields[1].split() if len(fields) > 1 else []
            if len(words) != 3 or not all(":" in w for w in words[1:]):
                report("unreadable-line", number, "not a link: expected ID, TAB, 'name Arg1:ID Arg2:ID'.")
                continue
            if label_map is not None and label_map.links is not None and words[0] not in label_map.links:
                continue
            pending.append((number, fields[0], words[1].split(":", 1)[1], words[2].split(":", 1)[1]))
        elif kind == "E":
            words = fields[1].split() if len(fields) > 1 else []
            if not words or not all(":" in w for w in words):
                report("unreadable-line", number, "not an event: expected ID, TAB, 'label:ID role:ID ...'.")
                continue
            trigger = words[0].split(":", 1)[1]
            if fields[0] in events:
                report("repeated-id", number, f"{fields[0]} stands twice. The second is skipped.")
                continue
            events[fields[0]] = number, trigger
            event_links += [(number, fields[0], trigger, w.split(":", 1)[1]) for w in words[1:]]
        elif kind == "#" or (kind in "AMN*" and len(fields) > 1 and (kind == "*" or fields[0][1:].isalnum())):
            continue
        else:
            report("unreadable-line", number, "not an annotation. Skipped.")
    for label, lines in sorted(lines_of.items()):
        what = f"label '{label}' is not in the schema ({len(lines)} spans skipped). Add it there, or leave it."
        report("unknown-label", lines[0], what)
    for id_, (number, trigger) in events.items():
        if trigger not in spans:
            report("missing-end", number, f"{id_} points to {trigger}, which is not there. Skipped.")
    joined = [
        (number, id_, events[first][1] if first in events else first, events[second][1] if second in events else second)
        for number, id_, first, second in pending + [link for link in event_links if link[2] in spans]
    ]
    if label_map is not None:  # all labels first: a span's may depend on one of its links and then holds for all
        for one, other in [pair for _, _, head, tail in joined for pair in ((head, tail), (tail, head))]:
            if one in spans and (mapped := label_map.linked.get((theirs.get(other, ""), spans[one].label))):
                spans[other] = replace(spans[other], label=mapped)
    for number, id_, first, second in joined:
        absent = [i for i in (first, second) if i not in spans]
        if absent:
            report("missing-end", number, f"{id_} points to {', '.join(absent)}, which is not there. Skipped.")
            continue
        a, b = spans[first], spans[second]
        if not a.label or not b.label:
            continue  # its span is of a label outside the schema, reported once above
        turned = a.label in schema.modifiers and b.label in schema.entities
        if turned:
            a, b = b, a
        if label_map is not None and not schema.allows(a.label, b.label):
            continue
        if a.label not in schema.entities or b.label not in schema.modifiers:
            what = f"{id_} joins '{a.label}' and '{b.label}'; a link joins an entity and a modifier. Skipped."
            report("wrong-ends", number, what)
        elif not schema.allows(a.label, b.label):
            report(
                "pair", number,
                f"{id_}: '{a.label}' cannot take '{b.label}'. A {a.label} takes: "
                f"{', '.join(schema.allowed(a.label))}. Correct {id_}, or allow the pair in the schema. Skipped.",
            )
        else:
            note.written.append(BratLink(id_, a.id, b.id, number, turned))
    note.spans = [span for span in spans.values() if span.label]
    return note


def _parse_span(fields: list[str]) -> tuple[str, str, list[tuple[int, int]]] | None:
    try:
        label, offsets = fields[1].strip(" ").split(" ", 1)
        pieces = [(int(a), int(b)) for a, b in (piece.split() for piece in offsets.split(";"))]
    except (IndexError, ValueError):
        return None
    if any(a < 0 for a, _ in pieces):
        return None
    return fields[0], label, pieces


def _same_words(a: str, b: str) -> bool:
    return a.split() == b.split()


def brat_lines(doc: Doc) -> list[str]:
    """Return a Doc's annotations as .ann lines: entities and modifiers as `T`, links as `R hasAttr`."""
    spans: dict[tuple[int, int, str], Span] = {span_key(s): s for s in [*doc.ents, *get_modifiers(doc)]}
    ordered = sorted(spans, key=lambda key: (key[0], -key[1], key[2]))
    ids = {key: f"T{i}" for i, key in enumerate(ordered, 1)}
    lines = [
        f"{ids[key]}\t{key[2]} {key[0]} {key[1]}\t" + _one_line(doc.text[key[0] : key[1]]) for key in ordered
    ]
    for i, link in enumerate(get_relations(doc), 1):
        lines.append(f"R{i}\thasAttr Arg1:{ids[span_key(link.head)]} Arg2:{ids[span_key(link.modifier)]}\t")
    return lines


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\t", " ")


def write_brat(doc: Doc, path: Path) -> None:
    """Write a Doc's annotations to `path`, an .ann file; the note itself is not written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + "\n" for line in brat_lines(doc)).encode("utf-8"))


def report_lines(items: Iterable[BratNote | Failure]) -> list[str]:
    """Return all that was reported, in order."""
    return [line for item in items for line in ([item.reason] if isinstance(item, Failure) else item.problems)]
