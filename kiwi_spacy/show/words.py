"""What a page and a plain-text table say of an entity, in words."""

from collections.abc import Iterable, Sequence

from spacy.tokens import Doc, Span

from ..contract import entity_modifiers, span_key
from ..contract.annotations import is_said
from ..contract.facts import Fact, get_facts
from ..contract.views import flat
from ..schema import ROLES


def flags(ent: Span) -> list[str]:
    """Return the names of the roles that hold of the entity, such as "negated", by its fact or else by its modifiers."""
    return [role.replace("_", " ") for role in ROLES if is_said(ent, role)]


def described(ent: Span) -> list[str]:
    """Return "type: words" for each type of modifier that the entity has."""
    return [f"{label}: {' | '.join(flat(m.text) for m in spans)}" for label, spans in entity_modifiers(ent).items()]


def status_words(fact: Fact) -> str:
    """Return the status in a word, and whose it is: "family (father)"."""
    relative = fact.status.relative
    return f"{fact.status.summary} ({relative})" if relative else fact.status.summary


def status_of(ent: Span, fact: Fact | None) -> str:
    """Return the status by the entity's fact; where it has none, what its modifiers say of it."""
    return ", ".join(flags(ent)) if fact is None else status_words(fact)


def with_facts(doc: Doc, facts: Iterable[Fact] | None) -> list[tuple[Span, Fact | None]]:
    """Return each entity of a Doc with its fact, None where there is none; the facts kept on the Doc where none are given."""
    found = {(fact.start_char, fact.end_char, fact.type): fact for fact in (get_facts(doc) if facts is None else facts)}
    return [(ent, found.get(span_key(ent))) for ent in doc.ents]


def summary_table(doc: Doc, *, facts: Iterable[Fact] | None = None) -> str:
    """Return a plain-text table: each entity with its label, its status, and its modifiers.

    facts (Iterable[Fact] | None): Those kept on the Doc by default. Without any, flags such as "negated" stand for status.
    """
    found = with_facts(doc, facts)
    rows = [("entity", "label", "status" if any(fact for _, fact in found) else "flags", "modifiers")]
    for ent, fact in found:
        rows.append((shortened(flat(ent.text)), ent.label_, status_of(ent, fact), "; ".join(described(ent))))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of equal length as lines of text whose columns stand below each other; the last is not padded.

    >>> print(aligned([("drug", "dose"), ("Lasix", "20 mg")]))
    drug   dose
    Lasix  20 mg
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def shortened(text: str, width: int = 40) -> str:
    """Return text of at most `width` characters, with "…" where it goes on."""
    return text if len(text) <= width else text[: width - 1] + "…"
