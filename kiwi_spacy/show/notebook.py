"""displaCy in a notebook, with the colours of the schema."""

from typing import Any, Literal

from spacy import displacy
from spacy.tokens import Doc

from ..contract import MODIFIERS, get_modifiers
from ..schema import Schema, load_schema
from .words import status_words


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


def displacy_facts(doc: Doc, schema: Schema | None = None, *, style: Literal["ent", "span"] = "ent") -> dict[str, Any]:
    """Return the entities as data for displaCy, with the status in the label where it is not "present".

        facts = displacy_facts(doc)
        displacy.render(facts, style="ent", manual=True, options=facts["options"])

    style ("ent" | "span"): Of displaCy. With "span" the modifiers are drawn too, below the entities that they lie in.
    RETURNS (dict[str, Any]): `text`; `title`; `options` with colours; and `ents` with start, end (characters, half-open) and
        label, or `tokens`, and `spans` with start_token, end_token (tokens, half-open) and label.
    """
    colours = (schema or load_schema()).colours
    labelled, shown = [], {}
    for fact in doc._.facts:
        said = status_words(fact)
        label = fact.type.upper() if said == "present" else f"{fact.type.upper()} {said}"
        labelled.append((fact.span(doc), label))
        if fact.type in colours:
            shown[label.upper()] = colours[fact.type]  # displaCy looks for its colours in capitals
    data: dict[str, Any] = {"text": doc.text, "title": None, "options": {"colors": shown}}
    if style == "ent":
        ents = [{"start": span.start_char, "end": span.end_char, "label": label} for span, label in labelled]
        return {**data, "ents": ents}
    for modifier in get_modifiers(doc):
        labelled.append((modifier, modifier.label_.upper()))
        if modifier.label_ in colours:
            shown[modifier.label_.upper()] = colours[modifier.label_]
    spans = [{"start_token": span.start, "end_token": span.end, "label": label} for span, label in labelled]
    return {**data, "tokens": [token.text for token in doc], "spans": spans}
