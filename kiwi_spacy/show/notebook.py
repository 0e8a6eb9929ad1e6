"""displaCy in a notebook, with the colours of the schema."""

from typing import Any

from spacy import displacy
from spacy.tokens import Doc

from ..contract import MODIFIERS
from ..schema import Schema, load_schema
from .facts import status_words


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


def displacy_facts(doc: Doc, schema: Schema | None = None) -> dict[str, Any]:
    """Return the entities as data for displaCy's style "ent", with the status in the label where it is not "present".

        facts = displacy_facts(doc)
        displacy.render(facts, style="ent", manual=True, options=facts["options"])

    RETURNS (dict[str, Any]): `text`; `ents` with start, end (characters, half-open) and label; `title`; `options` with colours.
    """
    colours = (schema or load_schema()).colours
    ents, shown = [], {}
    for fact in doc._.facts:
        said = status_words(fact)
        label = fact.type.upper() if said == "present" else f"{fact.type.upper()} {said}"
        ents.append({"start": fact.start_char, "end": fact.end_char, "label": label})
        if fact.type in colours:
            shown[label.upper()] = colours[fact.type]  # displaCy looks for its colours in capitals
    return {"text": doc.text, "ents": ents, "title": None, "options": {"colors": shown}}
