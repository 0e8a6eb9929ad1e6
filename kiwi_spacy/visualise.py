"""Show a Doc: an offline HTML page, displaCy in a notebook, or a plain-text table."""

import base64
import hashlib
import re
from html import escape
from itertools import pairwise
from typing import Any

from spacy import displacy
from spacy.tokens import Doc, Span

from .relations import MODIFIERS, entity_modifiers, get_modifiers, get_provenance, get_relations, get_score, has_role
from .schema import ROLES, Schema, load_schema

FLAGS = {role: role.replace("_", " ") for role in ROLES}
_GREY = "#cccccc"
_LANE = 13  # px: one underline and the small label below it
_TAG_WIDTH = 0.62  # width of a character of a small label, as a share of one of the note

# Curves need the places of words on the screen, which only the browser knows. Without script, or
# on paper, what they say stands in the titles and in the table.
_SCRIPT = """
(function () {
  var svg = document.getElementById('links');
  function first(key) { return document.querySelector('[data-key="' + key + '"]'); }
  function draw() {
    var base = svg.getBoundingClientRect();
    svg.querySelectorAll('path').forEach(function (path) {
      var head = first(path.dataset.head), modifier = first(path.dataset.modifier);
      if (!head || !modifier) { return; }
      var h = head.getClientRects()[0], m = modifier.getClientRects()[0];
      var x1 = m.left + m.width / 2 - base.left, y1 = m.top - base.top;
      var x2 = h.left + h.width / 2 - base.left, y2 = h.top - base.top;
      var rise = Math.min(26, 8 + Math.abs(x1 - x2) / 12);
      path.setAttribute('d', 'M' + x1 + ' ' + y1 + ' C' + x1 + ' ' + (y1 - rise) + ' ' + x2 + ' ' + (y2 - rise) +
        ' ' + x2 + ' ' + y2);
    });
  }
  document.querySelectorAll('[data-key]').forEach(function (piece) {
    function mark(on) {
      svg.querySelectorAll('path').forEach(function (path) {
        var key = piece.dataset.key;
        path.classList.toggle('on', on && (path.dataset.head === key || path.dataset.modifier === key));
      });
    }
    piece.addEventListener('mouseenter', function () { mark(true); });
    piece.addEventListener('mouseleave', function () { mark(false); });
  });
  window.addEventListener('resize', draw);
  draw();
})();
"""

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1a1a1a; --faint: #666666; --rule: #dddddd; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.note { position: relative; padding-top: 1rem; }
.line { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 1.5em; }
#links { position: absolute; left: 0; top: 0; width: 100%; height: 100%; overflow: visible; pointer-events: none; }
#links path { fill: none; stroke: var(--dark); stroke-width: 1.2; opacity: .75; }
#links path.on { stroke-width: 3; opacity: 1; }
.ent { position: relative; background: var(--light); color: #111111; border-radius: 3px; padding: 1px 0; }
.mod { position: relative; border-bottom: 2px solid var(--dark); }
.ent[data-tag]::before, .mod[data-tag]::after { position: absolute; left: 0; font: 9px/9px system-ui, sans-serif;
  white-space: nowrap; text-indent: 0; }
.ent[data-tag]::before { content: attr(data-tag); top: -10px; color: var(--faint); }
.mod[data-tag]::after { content: attr(data-tag); top: calc(1.3em + var(--depth)); color: var(--ink); }
.key { display: inline-block; margin: 0 .9rem .3rem 0; font-size: .85rem; }
.key .ent, .key .mod { padding: 0 .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
footer, .empty { color: var(--faint); font-size: .8rem; } footer { margin-top: 2rem; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181b; --ink: #e6e6e6; --faint: #a0a0a0; --rule: #3a3d42; }
  .line > .mod, .key > .mod, #links path { --dark: var(--light); }
}
@media print {
  :root { color-scheme: light; --page: #ffffff; --ink: #000000; --faint: #444444; --rule: #bbbbbb; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  #links { display: none; } tr, .key { break-inside: avoid; }
}
"""


def render_html(doc: Doc, title: str = "", schema: Schema | None = None) -> str:
    """Return a page that shows the note, its entities, modifiers and links.

    The page needs no network, and its content security policy forbids any. Entities have coloured
    backgrounds, modifiers coloured underlines with small labels; links are curves. A link to an
    entity around the modifier has no curve: the underline within the entity shows it.

    doc (Doc): What a pipeline returned, or a Doc made by hand.
    title (str): Heading, such as the note's id.
    schema (Schema | None): Colours and the order of the legend; the packaged one by default.
        Labels that it lacks are grey.
    RETURNS (str): HTML. All text is escaped, so `<script>` in a note stays text.
    """
    schema = schema or load_schema()
    ents, modifiers, relations = list(doc.ents), get_modifiers(doc), get_relations(doc)
    ent_keys = {_key(ent): f"e{i}" for i, ent in enumerate(ents)}
    modifier_keys = {_key(modifier): f"m{i}" for i, modifier in enumerate(modifiers)}
    heads: dict[str, list[Span]] = {}
    curves = []
    for relation in relations:
        head, modifier = ent_keys.get(_key(relation.head)), modifier_keys.get(_key(relation.modifier))
        if head is None or modifier is None:  # spans taken away after the links were set
            continue
        heads.setdefault(modifier, []).append(relation.head)
        if not (relation.head.start <= relation.modifier.start and relation.modifier.end <= relation.head.end):
            curves.append(
                f'<path data-head="{head}" data-modifier="{modifier}" style="{_style(schema, relation.label)}">'
                f"<title>{_text(relation.label)} of {_text(_flat(relation.head.text))}</title></path>"
            )
    lines = _lines(doc, ents, modifiers, heads, schema)
    name = _text(title or "Note")
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return "\n".join([
        '<!DOCTYPE html>',
        '<html lang="en">',
        f'<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title><style>{_STYLE}</style></head>",
        f"<body><h1>{name}</h1>",
        f'<section aria-label="Legend">{_legend(ents, modifiers, schema)}</section>',
        '<section class="note" aria-label="Note">',
        *lines,
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


def _key(span: Span) -> tuple[int, int, str]:
    return span.start_char, span.end_char, span.label_


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


def _lanes(modifiers: list[Span]) -> list[int]:
    """Return a lane for each modifier, 0 nearest to the text, so that underlines and labels stay apart."""
    ends: list[float] = []
    lanes = []
    for modifier in modifiers:
        width = max(modifier.end_char - modifier.start_char, _TAG_WIDTH * len(modifier.label_) + 1)
        lane = next((i for i, end in enumerate(ends) if end <= modifier.start_char), len(ends))
        ends[lane:lane + 1] = [modifier.start_char + width]
        lanes.append(lane)
    return lanes


def _lines(
    doc: Doc, ents: list[Span], modifiers: list[Span], heads: dict[str, list[Span]], schema: Schema
) -> list[str]:
    """Return one <div> for each line of the note; a span over a line break goes on in the next."""
    text = doc.text
    lanes = _lanes(modifiers)
    rows = []
    start = 0
    breaks = [(m.start(), m.end()) for m in re.finditer(r"\r\n|\r|\n", text)]
    for end, following in [*breaks, (len(text), len(text))]:
        held = [(i, m) for i, m in enumerate(modifiers) if m.start_char < end and m.end_char > start]
        in_line = [(i, e) for i, e in enumerate(ents) if e.start_char < end and e.end_char > start]
        depth = max((lanes[i] + 1 for i, _ in held), default=0)
        html = []
        at = start
        for i, ent in in_line:
            low, high = max(ent.start_char, start), min(ent.end_char, end)
            html.append(_pieces(text, at, low, held, lanes, heads, schema))
            tag = ", ".join([ent.label_, *_flags(ent)])
            shown = f' data-tag="{_text(tag)}"' if low == ent.start_char else ""
            html.append(
                f'<span class="ent" data-key="e{i}"{shown} title="{_text(_describe(ent))}" '
                f'style="{_style(schema, ent.label_)}">'
                f"{_pieces(text, low, high, held, lanes, heads, schema)}</span>"
            )
            at = high
        html.append(_pieces(text, at, end, held, lanes, heads, schema))
        height = 28 + _LANE * depth if held or in_line else 24
        rows.append(f'<div class="line" style="line-height:{height}px">{"".join(html) or "<br>"}</div>')
        start = following
    return rows


def _pieces(
    text: str, start: int, end: int, modifiers: list[tuple[int, Span]], lanes: list[int],
    heads: dict[str, list[Span]], schema: Schema,
) -> str:
    """Return the text between two offsets, cut where a modifier begins or ends, underlined by lane."""
    borders = {start, end}
    for _, modifier in modifiers:
        borders |= {b for b in (modifier.start_char, modifier.end_char) if start < b < end}
    edges = sorted(borders)
    html = []
    for low, high in pairwise(edges):
        piece = _text(text[low:high])
        over = [(lanes[i], i, m) for i, m in modifiers if m.start_char <= low and high <= m.end_char]
        for lane, i, modifier in sorted(over, key=lambda row: row[:2]):
            owners = ", ".join(f"{head.label_} '{_flat(head.text)}'" for head in heads.get(f"m{i}", []))
            title = f"{modifier.label_} of {owners}" if owners else f"{modifier.label_}, linked to nothing"
            shown = f' data-tag="{_text(modifier.label_)}"' if low == modifier.start_char else ""
            depth = 1 + _LANE * lane
            piece = (
                f'<span class="mod" data-key="m{i}"{shown} title="{_text(title)}" '
                f'style="{_style(schema, modifier.label_)};--depth:{depth}px;padding-bottom:{depth}px">{piece}</span>'
            )
        html.append(piece)
    return "".join(html)


def _describe(ent: Span) -> str:
    parts = [", ".join([ent.label_, *_flags(ent)])]
    parts += [f"{label}: {_joined(spans)}" for label, spans in entity_modifiers(ent).items()]
    return "; ".join(parts)


def _joined(spans: list[Span]) -> str:
    return " | ".join(_flat(span.text) for span in spans)


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
    return "".join(keys) or '<p class="empty">Nothing was found in this note.</p>'


def _table(ents: list[Span]) -> str:
    if not ents:
        return '<p class="empty">None.</p>'
    rows = []
    for ent in ents:
        score = get_score(ent)
        modifiers = "<br>".join(
            f"{_text(label)}: {_text(_joined(spans))}" for label, spans in entity_modifiers(ent).items()
        )
        cells = [
            _text(_flat(ent.text)), _text(ent.label_), _text(", ".join(_flags(ent))), modifiers,
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
        modifiers = "; ".join(f"{label}: {_joined(spans)}" for label, spans in entity_modifiers(ent).items())
        rows.append((_short(_flat(ent.text)), ent.label_, ", ".join(_flags(ent)), modifiers))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join(lines)


def _short(text: str, width: int = 40) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
