"""The note's text as HTML, a line each, with its entities, modifiers, and the words that decided a status."""

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from spacy.tokens import Doc, Span

from ..contract.facts import Fact
from ..contract.views import flat
from ..schema import Schema
from .facts import value_words
from .markup import html_text, label_style
from .words import described, flags, shortened, status_words

ROW = 10  # px: one row of the small labels above entities
_TEXT = 20  # px: a line of the note without what stands above and below it
_LANE = 13  # px: one underline and the small label below it
_CURVES = 22  # px: room for the curves of a line
_TAG_WIDTH = 0.62  # width of a character of a small label, as a share of one of the note

Place = tuple[int, int]  # characters of the note, half-open


@dataclass(frozen=True)
class Entity:
    """An entity, called `key` on the page. `reasons` say why it has its status; `cues` are the keys of the words for it.

    `row` is the id of the table's row to which it leads.
    """

    span: Span
    key: str
    fact: Fact | None = None
    reasons: Sequence[str] = ()
    cues: Sequence[str] = ()
    row: str = ""

    @property
    def tag(self) -> str:
        """Its label, its status where that is not "present", and in short what its modifiers come to."""
        if self.fact is None:
            return ", ".join([self.span.label_, *flags(self.span)])
        status, value = status_words(self.fact), value_words(self.fact)
        return ", ".join([self.span.label_, *([] if status == "present" else [status]), *([shortened(value)] if value else [])])


@dataclass(frozen=True)
class Marked:
    """What is drawn on a note.

    `heads` are {key of a modifier: its entities}, `curved` the keys of spans that a curve reaches,
    `cues` the keys of the words that decided a status.
    """

    entities: Sequence[Entity]
    modifiers: Sequence[Span]
    heads: Mapping[str, Sequence[Span]]
    curved: frozenset[str]
    cues: Mapping[Place, str]


def note_lines(doc: Doc, marked: Marked, schema: Schema) -> list[str]:
    """Return one <div> for each line of the note; a span over a line break goes on in the next."""
    text = doc.text
    breaks = [(m.start(), m.end()) for m in re.finditer(r"\r\n|\r|\n", text)]
    borders = list(zip([0, *(end for _, end in breaks)], [*(start for start, _ in breaks), len(text)]))
    places = list(marked.cues)
    ents_in = _by_line([_place(entity.span) for entity in marked.entities], borders)
    modifiers_in = _by_line([_place(modifier) for modifier in marked.modifiers], borders)
    cues_in = _by_line(places, borders)
    rows = []
    shown: set[str] = set()
    for border, in_line, held, decided in zip(borders, ents_in, modifiers_in, cues_in):
        entities = [marked.entities[i] for i in in_line]
        modifiers = [marked.modifiers[i] for i in held]
        lanes = _lanes(modifiers, [modifier.label_ for modifier in modifiers])
        tags = [entity.tag for entity in entities]
        tag_rows = _lanes([entity.span for entity in entities], tags)
        stack = sorted(zip(lanes, held, modifiers), key=lambda entry: entry[:2])
        pieces = _pieces(text, border, stack, entities, [places[i] for i in decided], marked, schema)
        html = []
        for entity, tag, row in zip(entities, tags, tag_rows):
            low, high = max(entity.span.start_char, border[0]), min(entity.span.end_char, border[1])
            html.append("".join(_until(pieces, low)))
            attributes = _attributes(entity, tag, row=row, first=entity.key not in shown, schema=schema)
            element = "a" if entity.fact and entity.key not in shown else "span"
            html.append(f'<{element} class="ent" {attributes}>{"".join(_until(pieces, high))}</{element}>')
            shown.add(entity.key)
        html.append("".join(_until(pieces, border[1])))
        keys = {entity.key for entity in entities} | {f"m{i}" for i in held}
        tops = 1 + max(tag_rows, default=-1)
        above = ROW * tops + (_CURVES if keys & marked.curved else 0)
        below = 6 + _LANE * (1 + max(lanes, default=-1))
        # A browser puts half of a line's spare height above the text, so the text moves by half of the difference.
        rows.append(
            f'<div class="line" data-rows="{tops}" style="line-height:{_TEXT + above + below}px;'
            f'top:{(above - below) / 2:g}px">{"".join(html) or "<br>"}</div>'
        )
    return rows


def _place(span: Span) -> Place:
    return span.start_char, span.end_char


def _attributes(entity: Entity, tag: str, *, row: int, first: bool, schema: Schema) -> str:
    """Return the attributes of a piece of an entity; the first piece of one with a fact is a link to its row."""
    title = ("\n" if entity.fact else "; ").join([tag, *described(entity.span), *entity.reasons])
    parts = [f'data-key="{entity.key}"']
    if first:
        parts.append(f'data-tag="{html_text(tag)}"')
    if first and entity.fact:
        parts.append(f'id="{entity.key}" href="#{entity.row}" aria-describedby="why-{entity.key}"')
        parts.append(f'data-because="{" ".join(entity.cues)}"')
    return " ".join([
        *parts, f'title="{html_text(title)}"', f'style="{label_style(schema, entity.span.label_)};--up:{ROW * row}px"',
    ])


def _lanes(spans: Sequence[Span], tags: Sequence[str]) -> list[int]:
    """Return a lane for each span, 0 nearest to the text, so that underlines and small labels stay apart."""
    ends: list[float] = []
    lanes = []
    for span, tag in zip(spans, tags):
        width = max(span.end_char - span.start_char, _TAG_WIDTH * len(tag) + 1)
        lane = next((i for i, end in enumerate(ends) if end <= span.start_char), len(ends))
        ends[lane:lane + 1] = [span.start_char + width]
        lanes.append(lane)
    return lanes


def _by_line(places: Sequence[Place], borders: Sequence[Place]) -> list[list[int]]:
    """Return for each line the numbers of the places with characters in it; the cost does not grow with lines times places."""
    starts = [start for start, _ in borders]
    found: list[list[int]] = [[] for _ in borders]
    for i, (start, end) in enumerate(places):
        for line in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
            if start < borders[line][1]:  # else it is the line's break
                found[line].append(i)
    return found


def _pieces(
    text: str, line: Place, stack: Sequence[tuple[int, int, Span]], entities: Sequence[Entity], cues: Sequence[Place],
    marked: Marked, schema: Schema,
) -> deque[tuple[int, str]]:
    """Return a line cut where a span begins or ends, underlined by lane, as (end, HTML)."""
    begins: dict[int, list[tuple[int, int, Span]]] = {}
    for entry in stack:
        begins.setdefault(max(line[0], entry[2].start_char), []).append(entry)
    decided: dict[int, list[Place]] = {}
    for place in cues:
        decided.setdefault(max(line[0], place[0]), []).append(place)
    places = [*(_place(entity.span) for entity in entities), *(_place(modifier) for _, _, modifier in stack), *cues]
    cuts = {c for place in places for c in place if line[0] < c < line[1]}
    over: list[tuple[int, int, Span]] = []  # the modifiers over a piece, lowest lane first
    by: list[Place] = []  # the words over a piece that decided a status
    html: deque[tuple[int, str]] = deque()
    for low, high in pairwise(sorted({*line, *cuts})):
        over = sorted([entry for entry in over if entry[2].end_char > low] + begins.get(low, []), key=lambda e: e[:2])
        by = [place for place in by if place[1] > low] + decided.get(low, [])
        piece = html_text(text[low:high])
        if by:
            piece = f'<span class="cue" data-cues="{" ".join(marked.cues[place] for place in by)}">{piece}</span>'
        for lane, i, modifier in over:
            owners = ", ".join(f"{head.label_} '{flat(head.text)}'" for head in marked.heads.get(f"m{i}", []))
            title = f"{modifier.label_} of {owners}" if owners else f"{modifier.label_}, linked to nothing"
            shown = f' data-tag="{html_text(modifier.label_)}"' if low == modifier.start_char else ""
            depth = 2 + _LANE * lane
            piece = (
                f'<span class="mod{"" if owners else " loose"}" data-key="m{i}"{shown} title="{html_text(title)}" '
                f'style="{label_style(schema, modifier.label_)};--depth:{depth}px;padding-bottom:{depth}px">{piece}</span>'
            )
        html.append((high, piece))
    return html


def _until(pieces: deque[tuple[int, str]], end: int) -> Iterator[str]:
    """Take the pieces up to a character."""
    while pieces and pieces[0][0] <= end:
        yield pieces.popleft()[1]
