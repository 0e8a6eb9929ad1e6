"""Show a Doc: an offline HTML page, displaCy in a notebook, or a plain-text table."""

import base64
import hashlib
import re
from html import escape
from itertools import pairwise
from typing import Any

from spacy import displacy
from spacy.tokens import Doc, Span

from ..contract import MODIFIERS, entity_modifiers, get_modifiers, get_provenance, get_relations, get_score, has_role, span_key
from ..schema import ROLES, Schema, load_schema

FLAGS = {role: role.replace("_", " ") for role in ROLES}
_GREY = "#cccccc"
_TEXT = 20  # px: a line of the note without what stands above and below it
_LANE = 13  # px: one underline and the small label below it
_ROW = 10  # px: one row of the small labels above entities
_CURVES = 22  # px: room for the curves of a line
_TAG_WIDTH = 0.62  # width of a character of a small label, as a share of one of the note

# Curves need the places of words on the screen, which only the browser knows. Without script, or
# on paper, what they say stands in the titles and in the table.
_SCRIPT = """
(function () {
  var svg = document.getElementById('links'), paths = svg.querySelectorAll('path');
  function first(key) { return document.querySelector('[data-key="' + key + '"]'); }
  function draw() {
    var base = svg.getBoundingClientRect();
    function end(piece, box, edge, rise) {  // from a word up, and along above the small labels to `edge`
      var x = box.left + Math.min(box.width / 2, 14) - base.left, y = box.top - base.top;
      var peak = y - ROW * piece.closest('.line').dataset.rows - 4 - rise;
      var turn = Math.max(-4, Math.min(4, edge - x));
      return ['M', x, y, 'V', peak + 4, 'Q', x, peak, x + turn, peak, 'H', edge].join(' ');
    }
    paths.forEach(function (path) {
      var head = first(path.dataset.head), modifier = first(path.dataset.modifier);
      if (!head || !modifier) { return; }
      var h = head.getClientRects()[0], m = modifier.getClientRects()[0], below = h.top - m.top;
      var middle = (h.left + m.left) / 2 - base.left, rise = Math.min(16, Math.sqrt(Math.abs(h.left - m.left)) * 0.65);
      var level = Math.abs(below) < 9;  // else out at the right of one line, and in at the left of the other
      path.setAttribute('d',
        end(head, h, level ? middle : below > 0 ? 0 : base.width, level ? rise : 16) + ' ' +
        end(modifier, m, level ? middle : below > 0 ? base.width : 0, level ? rise : 16));
    });
  }
  document.addEventListener('mouseover', function (event) {
    for (var keys = [], piece = event.target; piece; piece = piece.parentElement) { keys.push(piece.dataset.key); }
    paths.forEach(function (path) {
      path.classList.toggle('on', keys.includes(path.dataset.head) || keys.includes(path.dataset.modifier));
    });
  });
  window.addEventListener('resize', draw);
  draw();
})();
""".replace("ROW", str(_ROW))

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1a1a1a; --faint: #666666; --rule: #dddddd; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 Arial, Helvetica, sans-serif; } /* fonts of equal height, on which the labels' places rest */
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.note { position: relative; isolation: isolate; padding: 1rem 4rem 1rem 0; }
.line { position: relative; white-space: pre-wrap; overflow-wrap: anywhere; }
#links { position: absolute; z-index: -1; left: 0; top: 0; width: 100%; height: 100%; pointer-events: none; }
#links path { fill: none; stroke: var(--dark); stroke-width: 1.3; }
#links path.on { stroke-width: 3; }
.ent { position: relative; background: var(--light); color: #111111; border-radius: 3px; padding: 1px 0; }
.mod { position: relative; padding-top: 1px; border-bottom: 2px solid var(--dark); }
.loose { border-bottom-style: dotted; }
.ent[data-tag]::before, .mod[data-tag]::after { position: absolute; left: 0; font-size: 9px; line-height: 9px;
  white-space: nowrap; content: attr(data-tag); background: var(--page); color: var(--ink); }
.ent[data-tag]::before { top: calc(-9px - var(--up)); }
.mod[data-tag]::after { top: calc(22px + var(--depth)); }
.key { display: inline-block; margin: 0 .9rem .3rem 0; font-size: .85rem; }
.key .ent, .key .mod { padding: 0 .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
footer, .empty { color: var(--faint); font-size: .8rem; } footer { margin-top: 2rem; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #16181b; --ink: #e6e6e6; --faint: #a0a0a0; --rule: #3a3d42; }
  .mod, #links path { --dark: var(--light) !important; } /* beats the style attribute */
}
@media print {
  :root { color-scheme: light; --ink: #000000; --faint: #444444; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  #links { display: none; } tr, .key { break-inside: avoid; }
}
"""


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
        f'<svg id="links" aria-hidden="true">{"".join(curves)}</svg>',
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
    """Escape for HTML; control characters, which HTML forbids, show as the replacement character."""
    return escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\ufffd", text), quote=True)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _flags(ent: Span) -> list[str]:
    return [name for role, name in FLAGS.items() if has_role(ent, role)]


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
    rows = []
    start = 0
    breaks = [(m.start(), m.end()) for m in re.finditer(r"\r\n|\r|\n", text)]
    for end, following in [*breaks, (len(text), len(text))]:
        held = [(i, m) for i, m in enumerate(modifiers) if m.start_char < end and m.end_char > start]
        lanes = _lanes([m for _, m in held], [m.label_ for _, m in held])
        in_line = [(i, e) for i, e in enumerate(ents) if e.start_char < end and e.end_char > start]
        tags = [", ".join([ent.label_, *_flags(ent)]) for _, ent in in_line]
        tag_rows = _lanes([ent for _, ent in in_line], tags)
        stack = sorted((lane, i, m) for lane, (i, m) in zip(lanes, held))
        html = []
        at = start
        for (i, ent), tag, row in zip(in_line, tags, tag_rows):
            low, high = max(ent.start_char, start), min(ent.end_char, end)
            html.append(_pieces(text, at, low, stack, heads, schema))
            shown = f' data-tag="{_text(tag)}"' if low == ent.start_char else ""
            title = "; ".join([tag, *_described(ent)])
            html.append(
                f'<span class="ent" data-key="e{i}"{shown} title="{_text(title)}" '
                f'style="{_style(schema, ent.label_)};--up:{_ROW * row}px">'
                f"{_pieces(text, low, high, stack, heads, schema)}</span>"
            )
            at = high
        html.append(_pieces(text, at, end, stack, heads, schema))
        keys = {f"e{i}" for i, _ in in_line} | {f"m{i}" for i, _ in held}
        tops = 1 + max(tag_rows, default=-1)
        above = _ROW * tops + (_CURVES if keys & curved else 0)
        below = 6 + _LANE * (1 + max(lanes, default=-1))
        # A browser puts half of a line's spare height above the text, so the text moves by half of the difference.
        rows.append(
            f'<div class="line" data-rows="{tops}" style="line-height:{_TEXT + above + below}px;'
            f'top:{(above - below) / 2:g}px">{"".join(html) or "<br>"}</div>'
        )
        start = following
    return rows


def _pieces(
    text: str, start: int, end: int, stack: list[tuple[int, int, Span]], heads: dict[str, list[Span]], schema: Schema
) -> str:
    """Return the text between two offsets, cut where a modifier begins or ends, underlined by lane."""
    borders = {start, end}
    for _, _, modifier in stack:
        borders |= {b for b in (modifier.start_char, modifier.end_char) if start < b < end}
    html = []
    for low, high in pairwise(sorted(borders)):
        piece = _text(text[low:high])
        for lane, i, modifier in stack:
            if not (modifier.start_char <= low and high <= modifier.end_char):
                continue
            owners = ", ".join(f"{head.label_} '{_flat(head.text)}'" for head in heads.get(f"m{i}", []))
            title = f"{modifier.label_} of {owners}" if owners else f"{modifier.label_}, linked to nothing"
            shown = f' data-tag="{_text(modifier.label_)}"' if low == modifier.start_char else ""
            depth = 2 + _LANE * lane
            piece = (
                f'<span class="mod{"" if owners else " loose"}" data-key="m{i}"{shown} title="{_text(title)}" '
                f'style="{_style(schema, modifier.label_)};--depth:{depth}px;padding-bottom:{depth}px">{piece}</span>'
            )
        html.append(piece)
    return "".join(html)


def _described(ent: Span) -> list[str]:
    """Return "type: words" for each type of modifier that the entity has."""
    return [f"{label}: {' | '.join(_flat(m.text) for m in spans)}" for label, spans in entity_modifiers(ent).items()]


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
            _text(_flat(ent.text)), _text(ent.label_), _text(", ".join(_flags(ent))), "<br>".join(map(_text, _described(ent))),
            f"{ent.start_char}–{ent.end_char}", "" if score is None else f"{score:.2f}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("Entity", "Label", "Flags", "Modifiers", "Characters", "Score"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"


def _footer(doc: Doc) -> str:
    parts = [f"{key}: {value}" for key, value in get_provenance(doc).items()]
    parts += [f"{kind}: {times}" for kind, times in doc._.problems.items()]
    return f"<footer>{_text('; '.join(parts))}</footer>" if parts else ""


def displacy_colours() -> dict[str, str]:
    """Return {LABEL: CSS colour} of the packaged schema, which displaCy finds by an entry point.

    >>> displacy_colours()["DRUG"]
    '#d4b3ee'
    """
    return {label.upper(): colour for label, colour in load_schema().colours.items()}


def displacy_options(schema: Schema | None = None) -> dict[str, Any]:
    """Return `options` for `displacy.render`, good for both styles, "ent" and "span"."""
    colours = (schema or load_schema()).colours
    return {"colors": {label.upper(): colour for label, colour in colours.items()}, "spans_key": MODIFIERS}


def displacy_ents(doc: Doc, schema: Schema | None = None) -> str | None:
    """Show the entities by displaCy; in a notebook this displays them and returns None."""
    html: str | None = displacy.render(doc, style="ent", options=displacy_options(schema))
    return html


def displacy_spans(doc: Doc, schema: Schema | None = None) -> str | None:
    """Show the modifiers by displaCy, which loses the note's line breaks; see `render_html`."""
    if MODIFIERS not in doc.spans:  # displaCy would stop at the missing key
        doc.spans[MODIFIERS] = []
    html: str | None = displacy.render(doc, style="span", options=displacy_options(schema))
    return html


def summary_table(doc: Doc) -> str:
    """Return a plain-text table: each entity with its label, flags and modifiers."""
    rows = [("entity", "label", "flags", "modifiers")]
    for ent in doc.ents:
        rows.append((_short(_flat(ent.text)), ent.label_, ", ".join(_flags(ent)), "; ".join(_described(ent))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join(lines)


def _short(text: str, width: int = 40) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
