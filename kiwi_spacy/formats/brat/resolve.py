"""The lines of an .ann file against their note, the schema and each other."""

import json
from collections.abc import Callable
from dataclasses import replace

from ...schema import Schema, load_schema
from ..label_map import LabelMap
from ..rows import BAD_ROWS, WHOLE_NOTE, check_rows
from .lines import Binary, Event, LeftOut, Said, TextBound, Unreadable, parse_line
from .note import BratLink, BratNote, BratRemark, BratSpan, Problem, ProblemKind

OURS = "Kiwi"  # begins the names of comments that this package writes of the whole note


def parse_ann(
    name: str, text: str, ann: str, *, schema: Schema | None = None, file: str | None = None,
    label_map: LabelMap | None = None,
) -> BratNote:
    """Read the lines of an .ann file against their note.

    Links may stand either way round, under any relation name, or in events. Attributes, comments and normalisations
    become remarks, and an attribute that the schema names a modifier too. What is skipped is in `problems`. Under a label
    map, what the map leaves out, or what our schema cannot link, is no problem and is passed over.
    """
    reader = _Reader(BratNote(name, text), schema or load_schema(), file or f"{name}.ann", label_map)
    # Not splitlines: a note may quote U+2028. An old Mac's file has \r alone.
    for number, raw in enumerate(ann.split("\n" if "\n" in ann else "\r"), 1):
        line = raw.rstrip("\r")
        if line.strip():
            reader.read(number, line)
    return reader.finish()


class _Reader:
    """What has been read of one file; `finish` joins what points to other lines, as these may stand anywhere."""

    def __init__(self, note: BratNote, schema: Schema, file: str, label_map: LabelMap | None) -> None:
        self.note, self.schema, self.file, self.label_map = note, schema, file, label_map
        self.labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
        self.spans: dict[str, BratSpan] = {}  # of an empty label where the schema lacks theirs
        self.theirs: dict[str, str] = {}  # id > label under the other scheme
        self.events: dict[str, tuple[int, Event]] = {}
        self.relations: list[tuple[int, Binary]] = []
        self.said: list[tuple[int, Said]] = []
        self.unknown: dict[str, list[int]] = {}  # label outside the schema > where it stands
        self.first_line: dict[str, int] = {}  # id > where it stands

    def report(self, kind: ProblemKind, number: int, what: str, start: int | None = None, end: int | None = None) -> None:
        self.note.reported.append(Problem(kind, self.file, number, what, start, end))

    def read(self, number: int, line: str) -> None:
        """Take in one line."""
        parsed = parse_line(line)
        if isinstance(parsed, Unreadable):
            self.report("unreadable-line", number, parsed.what)
        elif isinstance(parsed, LeftOut):
            if self.label_map is None:
                self.report("left-out", number, f"{parsed.id} is {parsed.what}")
        elif isinstance(parsed, TextBound):
            self.read_span(number, parsed)
        elif isinstance(parsed, Event):
            if not self.is_repeated(number, parsed.id, "The second is skipped."):
                self.events[parsed.id] = number, parsed
        elif isinstance(parsed, Said):
            self.read_said(number, parsed)
        elif self.label_map is None or self.label_map.links is None or parsed.name in self.label_map.links:
            self.is_repeated(number, parsed.id, "Both are read.")
            self.relations.append((number, parsed))

    def is_repeated(self, number: int, id_: str, then: str) -> bool:
        """Whether an id stood before; reported with what is done about it."""
        repeated = self.first_line.setdefault(id_, number) != number
        if repeated:
            self.report("repeated-id", number, f"{id_} stands twice. {then}")
        return repeated

    def read_span(self, number: int, found: TextBound) -> None:
        length = len(self.note.text)
        outside = [f"{a}-{b}" for a, b in found.pieces if not a < b <= length]
        if outside:
            what = f"{found.id} is at {', '.join(outside)}, but the note has {length} characters. Skipped."
            self.report("outside-note", number, what)
        elif not self.is_repeated(number, found.id, "The second is skipped."):
            label = self.label_of(number, found)
            start, end = min(a for a, _ in found.pieces), max(b for _, b in found.pieces)
            self.spans[found.id] = BratSpan(found.id, start, end, label, number, len(found.pieces) if label else 1)
            if label:
                self.check_words(number, found, start, end)

    def label_of(self, number: int, found: TextBound) -> str:
        """Return a span's label in our schema; empty where it has none."""
        if self.label_map is not None:
            self.theirs[found.id] = found.label
            return self.labels.get(self.label_map.spans.get(found.label, "").lower(), "")
        if found.label.lower() not in self.labels:
            self.unknown.setdefault(found.label, []).append(number)
        return self.labels.get(found.label.lower(), "")

    def check_words(self, number: int, found: TextBound, start: int, end: int) -> None:
        if len(found.pieces) > 1:
            what = f"{found.id} has {len(found.pieces)} pieces; it is kept as one span, {start}-{end}."
            self.report("pieces", number, what, start, end)
        there = " ".join(self.note.text[a:b] for a, b in found.pieces)
        if not found.words:
            what = f"{found.id} comes without its words, so {start}-{end} cannot be checked. The offsets are kept."
            self.report("no-words", number, what, start, end)
        elif found.words.split() != there.split():
            what = f"{found.id}: the words differ from the note's at {start}-{end}. The offsets are kept."
            self.report("other-words", number, what, start, end)

    def read_said(self, number: int, said: Said) -> None:
        layer = said.name.removeprefix(OURS).lower() if said.kind == "comment" and said.name.startswith(OURS) else ""
        if layer not in WHOLE_NOTE:
            self.is_repeated(number, said.id, "Both are read.")
            self.said.append((number, said))
            return
        try:
            rows = json.loads(said.value)
            check_rows(layer, rows, len(self.note.text))
        except (*BAD_ROWS, RecursionError):
            what = f"{said.id} is no {said.name} comment as this package writes it. Delete the line, or write the file again."
            self.report("unreadable-line", number, what + " Skipped.")
        else:
            self.note.layers[layer] = rows

    def finish(self) -> BratNote:
        """Return the note, once all lines are read."""
        for label, lines in sorted(self.unknown.items()):
            what = f"label '{label}' is not in the schema ({len(lines)} spans skipped). Add it there, or leave it."
            self.report("unknown-label", lines[0], what)
        for id_, (number, event) in self.events.items():
            if event.trigger not in self.spans:
                self.report("missing-end", number, f"{id_} points to {event.trigger}, which is not there. Skipped.")
        links = self.links()
        if self.label_map is not None:
            self.relabel(links, self.label_map)
        for number, id_, first, second in links:
            self.add_link(number, id_, first, second)
        self.add_remarks()
        self.note.spans = [span for span in self.spans.values() if span.label]
        return self.note

    def span_id(self, id_: str) -> str:
        """Return the id of the span that an id stands for: an event's is its trigger's."""
        return self.events[id_][1].trigger if id_ in self.events else id_

    def links(self) -> list[tuple[int, str, str, str]]:
        """Return (line, id, ids of two spans) of each relation, and of each argument of an event."""
        found = [(number, one.id, self.span_id(one.first), self.span_id(one.second)) for number, one in self.relations]
        for id_, (number, event) in self.events.items():
            if event.trigger in self.spans:
                found += [(number, id_, event.trigger, self.span_id(other)) for other in event.arguments]
        return found

    def relabel(self, links: list[tuple[int, str, str, str]], label_map: LabelMap) -> None:
        """Give spans the label that one of their links says: all links first, as it then holds for all."""
        for one, other in [pair for _, _, head, tail in links for pair in ((head, tail), (tail, head))]:
            if one in self.spans and (mapped := label_map.linked.get((self.theirs.get(other, ""), self.spans[one].label))):
                self.spans[other] = replace(self.spans[other], label=mapped)

    def add_link(self, number: int, id_: str, first: str, second: str) -> None:
        absent = [one for one in (first, second) if one not in self.spans]
        if absent:
            self.report("missing-end", number, f"{id_} points to {', '.join(absent)}, which is not there. Skipped.")
            return
        a, b = self.spans[first], self.spans[second]
        turned = a.label in self.schema.modifiers and b.label in self.schema.entities
        if turned:
            a, b = b, a
        if not a.label or not b.label:
            return  # its span is of a label outside the schema, which is reported once
        if self.label_map is not None and not self.schema.allows(a.label, b.label):
            return
        if a.label not in self.schema.entities or b.label not in self.schema.modifiers:
            what = f"{id_} joins '{a.label}' and '{b.label}'; a link joins an entity and a modifier. Skipped."
            self.report("wrong-ends", number, what)
        elif not self.schema.allows(a.label, b.label):
            what = f"{id_}: {self.refusal(a.label, b.label)} Correct {id_}, or allow the pair in the schema. Skipped."
            self.report("pair", number, what)
        else:
            self.note.written.append(BratLink(id_, a.id, b.id, number, turned))

    def refusal(self, head: str, modifier: str) -> str:
        return f"'{head}' cannot take '{modifier}'. A {head} takes: {', '.join(self.schema.allowed(head))}."

    def add_remarks(self) -> None:
        """Keep what is said of spans; of other annotations nothing can be kept."""
        unknown: dict[str, list[int]] = {}
        for number, said in self.said:
            target = self.span_id(said.target)
            if target not in self.spans:
                if target in self.first_line:
                    what = f"{said.id} belongs to {said.target}, which is no span, so a Doc cannot hold it. Skipped."
                    self.report("left-out", number, what)
                else:
                    self.report("missing-end", number, f"{said.id} points to {said.target}, which is not there. Skipped.")
            elif self.spans[target].label:
                modifier = self.modifier_of(number, said, self.spans[target].label, unknown.setdefault)
                self.note.remarks.append(BratRemark(said.id, target, said.kind, said.name, said.value, number, modifier))
        for name, lines in sorted(unknown.items()):
            what = f"attribute '{name}' is no modifier by the schema ({len(lines)} lines kept as remarks alone). "
            self.report("unknown-attribute", lines[0], what + "Name it under 'attributes' of the schema, or leave it.")

    def modifier_of(self, number: int, said: Said, head: str, lines_of: Callable[[str, list[int]], list[int]]) -> str:
        """Return the modifier that an attribute of a span labelled `head` says; empty where it says none that can be kept."""
        if said.kind != "attribute":
            return ""
        modifier = self.schema.attribute(said.name, said.value or None)
        if modifier is None and self.label_map is None:
            lines_of(f"{said.name}={said.value}" if said.value else said.name, []).append(number)
        if not modifier or self.schema.allows(head, modifier):
            return modifier or ""
        if self.label_map is None:
            is_entity = head in self.schema.entities
            why = self.refusal(head, modifier) if is_entity else f"'{head}' is no entity, so it takes no '{modifier}'."
            what = f"{said.id}: {why} Correct {said.id}, or change 'attributes' of the schema. Kept as a remark alone."
            self.report("pair", number, what)
        return ""
