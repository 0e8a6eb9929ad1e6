"""Show a Doc as an HTML page that needs no network."""

import base64
import hashlib
import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from html import escape
from itertools import pairwise
from pathlib import Path

from spacy.tokens import Doc, Span

from ..contract import get_modifiers, get_provenance, get_relations, get_score, span_key
from ..contract.views import flat
from ..schema import Schema, load_schema
from .words import described, flags

_GREY = "#cccccc"
_TEXT = 20  # px: a line of the note without what stands above and below it
_LANE = 13  # px: one underline and the small label below it
_ROW = 10  # px: one row of the small labels above entities
_CURVES = 22  # px: room for the curves of a line
_TAG_WIDTH = 0.62  # width of a character of a small label, as a share of one of the note

_SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def render_html(doc: Doc, title: str = "", schema: Schema | None = None) -> str:
    """Return a page that shows the note, its entities, modifiers and links.

    The page needs no network, and its content security policy forbids any. Entities have coloured
    backgrounds, modifiers coloured underlines with small labels, dotted where linked to nothing;
    links are curves above the text, which leave one line at the right and enter another at the
    left. A link to an entity around the modifier has no curve: the underline within the entity shows it.

    doc (Doc): What a pipeline returned, or a Doc made by hand.
    title (str): Heading, such as the note's id.
    schema (Schema | None): Colours and the order of the legend; the packaged one by default.
        Labels that it lacks are grey.
    RETURNS (str): HTML. All text is escaped, so `<script>` in a note stays text.
    """
    schema = schema or load_schema()
    ents, modifiers, relations = list(doc.ents), get_modifiers(doc), get_relations(doc)
    ent_keys = {span_key(ent): f"e{i}" for i, ent in enumerate(ents)}
    modifier_keys = {span_key(modifier): f"m{i}" for i, modifier in enumerate(modifiers)}
    heads: dict[str, list[Span]] = {}
    curves: list[str] = []
    curved: set[str] = set()  # keys of spans that a curve reaches; their lines need room for it
    for relation in relations:
        head, modifier = ent_keys.get(span_key(relation.head)), modifier_keys.get(span_key(relation.modifier))
        if head is None or modifier is None:  # spans taken away after the links were set
            continue
        heads.setdefault(modifier, []).append(relation.head)
        if not (relation.head.start <= relation.modifier.start and relation.modifier.end <= relation.head.end):
            curved |= {head, modifier}
            curves.append(f'<path data-head="{head}" data-modifier="{modifier}" style="{_style(schema, relation.label)}"/>')
    name = _text(title or "Note")
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">',
        f'<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title><style>{_STYLE}</style></head>",
        f"<body><h1>{name}</h1>",
        f'<section aria-label="Legend">{_legend(ents, modifiers, schema)}</section>',
        '<section class="note" aria-label="Note">',
        *_lines(doc, ents, modifiers, heads, curved, schema),
        f'<svg id="links" data-row="{_ROW}" aria-hidden="true">{"".join(curves)}</svg>',
        "</section>",
        "<noscript><p class=empty>Links are drawn by a small script in this page. Without it, point at a "
        "modifier, or read the table.</p></noscript>",
        "<h2>Entities</h2>",
        _table(ents),
        _footer(doc),
        f"<script>{_SCRIPT}</script></body></html>",
        "",
    ])


def render_frame(doc: Doc, title: str = "", schema: Schema | None = None, *, height: int = 600) -> str:
    """Return the page of `render_html` in a frame, for a notebook: `IPython.display.HTML(render_frame(doc))`.

    height (int): In px; a longer page scrolls.
    """
    page = escape(render_html(doc, title, schema), quote=True)
    return f'<div><iframe sandbox="allow-scripts" srcdoc="{page}" style="width:100%;height:{height}px;border:0"></iframe></div>'


def _text(text: str) -> str:
    """Escape for HTML; control characters and lone surrogates, which HTML forbids, show as the replacement character."""
    return escape(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text), quote=True)


def _colours(colour: str) -> tuple[str, str]:
    """Return the colour and a darker one, for lines on white; grey for what is not #rrggbb."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        colour = _GREY
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    mean = sum(channels) / 3  # pastels keep their hue when what sets them apart from grey is doubled
    darker = [min(255, max(0, round(0.62 * (mean + 2 * (c - mean))))) for c in channels]
    return colour, "#" + "".join(f"{c:02x}" for c in darker)


def _style(schema: Schema, label: str) -> str:
    light, dark = _colours(schema.colours.get(label, _GREY))
    return f"--light:{light};--dark:{dark}"


def _lanes(spans: list[Span], tags: list[str]) -> list[int]:
    """Return a lane for each span, 0 nearest to the text, so that underlines and small labels stay apart."""
    ends: list[float] = []
    lanes = []
    for span, tag in zip(spans, tags):
        width = max(span.end_char - span.start_char, _TAG_WIDTH * len(tag) + 1)
        lane = next((i for i, end in enumerate(ends) if end <= span.start_char), len(ends))
        ends[lane:lane + 1] = [span.start_char + width]
        lanes.append(lane)
    return lanes


def _lines(
    doc: Doc, ents: list[Span], modifiers: list[Span], heads: dict[str, list[Span]], curved: set[str], schema: Schema
) -> list[str]:
    """Return one <div> for each line of the note; a span over a line break goes on in the next."""
    text = doc.text
    breaks = [(m.start(), m.end()) for m in re.finditer(r"\r\n|\r|\n", text)]
    borders = list(zip([0, *(end for _, end in breaks)], [*(start for start, _ in breaks), len(text)]))
    ents_in, modifiers_in = _by_line(ents, borders), _by_line(modifiers, borders)
    rows = []
    for (start, end), in_line, held in zip(borders, ents_in, modifiers_in):
        lanes = _lanes([m for _, m in held], [m.label_ for _, m in held])
        tags = [", ".join([ent.label_, *flags(ent)]) for _, ent in in_line]
        tag_rows = _lanes([ent for _, ent in in_line], tags)
        stack = sorted((lane, i, m) for lane, (i, m) in zip(lanes, held))
        pieces = _pieces(text, (start, end), stack, [ent for _, ent in in_line], heads, schema)
        html = []
        for (i, ent), tag, row in zip(in_line, tags, tag_rows):
            low, high = max(ent.start_char, start), min(ent.end_char, end)
            html.append("".join(_until(pieces, low)))
            shown = f' data-tag="{_text(tag)}"' if low == ent.start_char else ""
            title = "; ".join([tag, *described(ent)])
            html.append(
                f'<span class="ent" data-key="e{i}"{shown} title="{_text(title)}" '
                f'style="{_style(schema, ent.label_)};--up:{_ROW * row}px">{"".join(_until(pieces, high))}</span>'
            )
        html.append("".join(_until(pieces, end)))
        keys = {f"e{i}" for i, _ in in_line} | {f"m{i}" for i, _ in held}
        tops = 1 + max(tag_rows, default=-1)
        above = _ROW * tops + (_CURVES if keys & curved else 0)
        below = 6 + _LANE * (1 + max(lanes, default=-1))
        # A browser puts half of a line's spare height above the text, so the text moves by half of the difference.
        rows.append(
            f'<div class="line" data-rows="{tops}" style="line-height:{_TEXT + above + below}px;'
            f'top:{(above - below) / 2:g}px">{"".join(html) or "<br>"}</div>'
        )
    return rows


def _by_line(spans: list[Span], borders: list[tuple[int, int]]) -> list[list[tuple[int, Span]]]:
    """Return for each line the spans with characters in it, numbered; the cost does not grow with lines times spans."""
    starts = [start for start, _ in borders]
    found: list[list[tuple[int, Span]]] = [[] for _ in borders]
    for i, span in enumerate(spans):
        for line in range(bisect_right(starts, span.start_char) - 1, bisect_left(starts, span.end_char)):
            if span.start_char < borders[line][1]:  # else it is the line's break
                found[line].append((i, span))
    return found


def _pieces(
    text: str, line: tuple[int, int], stack: list[tuple[int, int, Span]], ents: list[Span], heads: dict[str, list[Span]],
    schema: Schema,
) -> deque[tuple[int, str]]:
    """Return a line cut where a span begins or ends, underlined by lane, as (end, HTML)."""
    begins: dict[int, list[tuple[int, int, Span]]] = {}
    for entry in stack:
        begins.setdefault(max(line[0], entry[2].start_char), []).append(entry)
    spans = [*ents, *(modifier for _, _, modifier in stack)]
    cuts = {c for span in spans for c in (span.start_char, span.end_char) if line[0] < c < line[1]}
    over: list[tuple[int, int, Span]] = []  # the modifiers over a piece, lowest lane first
    html: deque[tuple[int, str]] = deque()
    for low, high in pairwise(sorted({*line, *cuts})):
        over = sorted([entry for entry in over if entry[2].end_char > low] + begins.get(low, []), key=lambda e: e[:2])
        piece = _text(text[low:high])
        for lane, i, modifier in over:
            owners = ", ".join(f"{head.label_} '{flat(head.text)}'" for head in heads.get(f"m{i}", []))
            title = f"{modifier.label_} of {owners}" if owners else f"{modifier.label_}, linked to nothing"
            shown = f' data-tag="{_text(modifier.label_)}"' if low == modifier.start_char else ""
            depth = 2 + _LANE * lane
            piece = (
                f'<span class="mod{"" if owners else " loose"}" data-key="m{i}"{shown} title="{_text(title)}" '
                f'style="{_style(schema, modifier.label_)};--depth:{depth}px;padding-bottom:{depth}px">{piece}</span>'
            )
        html.append((high, piece))
    return html


def _until(pieces: deque[tuple[int, str]], end: int) -> Iterator[str]:
    """Take the pieces up to a character."""
    while pieces and pieces[0][0] <= end:
        yield pieces.popleft()[1]


def _legend(ents: list[Span], modifiers: list[Span], schema: Schema) -> str:
    used = {span.label_ for span in ents} | {span.label_ for span in modifiers}
    keys = []
    for kind, labels, spans in (("ent", schema.entities, ents), ("mod", schema.modifiers, modifiers)):
        unknown = sorted({span.label_ for span in spans} - set(labels))
        for name in [label for label in labels if label in used] + unknown:
            title = labels[name].definition if name in labels else "not in the schema"
            keys.append(
                f'<span class="key" title="{_text(title)}"><span class="{kind}" style="{_style(schema, name)}">'
                f"{_text(name)}</span></span>"
            )
    if not keys:
        return '<p class="empty">Nothing was found in this note.</p>'
    return "".join(keys) + (
        '<p class="empty">Coloured: entities. Underlined: modifiers, dotted where linked to nothing. Lines above the '
        "text: links from modifiers outside an entity. Point at a word for its links.</p>"
    )


def _table(ents: list[Span]) -> str:
    if not ents:
        return '<p class="empty">None.</p>'
    rows = []
    for ent in ents:
        score = get_score(ent)
        cells = [
            _text(flat(ent.text)), _text(ent.label_), _text(", ".join(flags(ent))), "<br>".join(map(_text, described(ent))),
            f"{ent.start_char}–{ent.end_char}", "" if score is None else f"{score:.2f}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("Entity", "Label", "Flags", "Modifiers", "Characters", "Score"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"


def _footer(doc: Doc) -> str:
    parts = [f"{key}: {value}" for key, value in get_provenance(doc).items()]
    parts += [f"{kind}: {times}" for kind, times in doc._.problems.items()]
    return f"<footer>{_text('; '.join(parts))}</footer>" if parts else ""
