"""Show a Doc as an HTML page that needs no network."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from spacy.tokens import Doc, Span

from ..contract import get_modifiers, get_provenance, get_relations, span_key
from ..contract.facts import Fact
from ..schema import Schema, load_schema
from .evidence import evidence_words
from .lines import ROW, Entity, Marked, Place, note_lines
from .markup import html_text, label_style
from .tables import entity_table, fact_lists, is_listed
from .words import with_facts

_SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")

_ABOUT_STATUS = (
    '<p class="empty">Above an entity: its label, its status where that is not “present”, and its value. Point at it, or go to '
    "it by the Tab key, for the words and the rule or model that decided; follow it to its row below.</p>"
)


def render_html(
    doc: Doc, title: str = "", schema: Schema | None = None, *, facts: Sequence[Fact] | None = None
) -> str:
    """Return a page that shows the note, its entities, modifiers, links and facts.

    The page needs no network, and its content security policy forbids any. Entities have coloured
    backgrounds, modifiers coloured underlines with small labels, dotted where linked to nothing;
    links are curves above the text, which leave one line at the right and enter another at the
    left. A link to an entity around the modifier has no curve: the underline within the entity shows it.
    An entity with a fact has its status and its value in short above it; pointed at, or reached by the
    keyboard, it lights up the words that decided and says by which rule or model they did.

    doc (Doc): What a pipeline returned, or a Doc made by hand.
    title (str): Heading, such as the note's id.
    schema (Schema | None): Colours and the order of the legend; the packaged one by default.
        Labels that it lacks are grey.
    facts (Sequence[Fact] | None): Those kept on the Doc by default, so that a page is of what a pipeline with `kiwi_facts` said.
        `doc._.facts` derives them where it has none.
    RETURNS (str): HTML. All text is escaped, so `<script>` in a note stays text.
    """
    schema = schema or load_schema()
    entities, cues = _entities(doc, facts)
    modifiers, told = get_modifiers(doc), any(entity.fact for entity in entities)
    ent_keys = {span_key(entity.span): entity.key for entity in entities}
    modifier_keys = {span_key(modifier): f"m{i}" for i, modifier in enumerate(modifiers)}
    heads: dict[str, list[Span]] = {}
    curves: list[str] = []
    curved: set[str] = set()  # keys of spans that a curve reaches; their lines need room for it
    for relation in get_relations(doc):
        head, modifier = ent_keys.get(span_key(relation.head)), modifier_keys.get(span_key(relation.modifier))
        if head is None or modifier is None:  # spans taken away after the links were set
            continue
        heads.setdefault(modifier, []).append(relation.head)
        if not (relation.head.start <= relation.modifier.start and relation.modifier.end <= relation.head.end):
            curved |= {head, modifier}
            curves.append(f'<path data-head="{head}" data-modifier="{modifier}" style="{label_style(schema, relation.label)}"/>')
    name = html_text(title or "Note")
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return "\n".join([
        '<!DOCTYPE html>\n<html lang="en">',
        f'<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title><style>{_STYLE}</style></head>",
        f"<body><h1>{name}</h1>",
        f'<section aria-label="Legend">{_legend([entity.span for entity in entities], modifiers, schema, told)}</section>',
        '<section class="note" aria-label="Note">',
        *note_lines(doc, Marked(entities, modifiers, heads, frozenset(curved), cues), schema),
        f'<svg id="links" data-row="{ROW}" aria-hidden="true">{"".join(curves)}</svg>',
        "</section>",
        *(['<p id="why" aria-hidden="true" hidden></p>'] if told else []),
        "<noscript><p class=empty>Links are drawn by a small script in this page. Without it, point at a "
        "modifier, or read the table.</p></noscript>",
        *(fact_lists(entities) if told else ()),
        "<h2>Entities</h2>",
        entity_table(entities),
        _footer(doc),
        f"<script>{_SCRIPT}</script></body></html>",
        "",
    ])


def render_frame(
    doc: Doc, title: str = "", schema: Schema | None = None, *, height: int = 600, facts: Sequence[Fact] | None = None
) -> str:
    """Return the page of `render_html` in a frame, for a notebook: `IPython.display.HTML(render_frame(doc))`.

    height (int): In px; a longer page scrolls.
    """
    page = escape(render_html(doc, title, schema, facts=facts), quote=True)
    return f'<div><iframe sandbox="allow-scripts" srcdoc="{page}" style="width:100%;height:{height}px;border:0"></iframe></div>'


def _entities(doc: Doc, facts: Sequence[Fact] | None) -> tuple[list[Entity], dict[Place, str]]:
    """Return the Doc's entities with their facts, and {place: key} of the words that decided a status."""
    found = with_facts(doc, facts)
    decided = {(each.start_char, each.end_char) for _, fact in found if fact for each in fact.status.evidence}
    cues = {place: f"c{i}" for i, place in enumerate(sorted(decided))}
    text, pipeline = doc.text, get_provenance(doc).get("pipeline", "")  # spaCy joins a Doc's text anew each time
    entities = [
        Entity(ent, f"e{i}") if fact is None else Entity(
            ent, f"e{i}", fact, evidence_words(fact, text, pipeline),
            [cues[place] for place in dict.fromkeys((each.start_char, each.end_char) for each in fact.status.evidence)],
            f"{'listed' if is_listed(fact) else 'row'}-e{i}",
        )
        for i, (ent, fact) in enumerate(found)
    ]
    return entities, cues


def _legend(ents: list[Span], modifiers: list[Span], schema: Schema, told: bool) -> str:
    used = {span.label_ for span in ents} | {span.label_ for span in modifiers}
    keys = []
    for kind, labels, spans in (("ent", schema.entities, ents), ("mod", schema.modifiers, modifiers)):
        unknown = sorted({span.label_ for span in spans} - set(labels))
        for name in [label for label in labels if label in used] + unknown:
            title = labels[name].definition if name in labels else "not in the schema"
            keys.append(
                f'<span class="key" title="{html_text(title)}"><span class="{kind}" style="{label_style(schema, name)}">'
                f"{html_text(name)}</span></span>"
            )
    if not keys:
        return '<p class="empty">Nothing was found in this note.</p>'
    return "".join(keys) + (
        '<p class="empty">Coloured: entities. Underlined: modifiers, dotted where linked to nothing. Lines above the '
        "text: links from modifiers outside an entity. Point at a word for its links.</p>"
    ) + (_ABOUT_STATUS if told else "")


def _footer(doc: Doc) -> str:
    parts = [f"{key}: {value}" for key, value in get_provenance(doc).items()]
    parts += [f"{kind}: {times}" for kind, times in doc._.problems.items()]
    return f"<footer>{html_text('; '.join(parts))}</footer>" if parts else ""
