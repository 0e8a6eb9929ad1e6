"""What a page and a plain-text table say of an entity, in words."""

from collections.abc import Sequence

from spacy.tokens import Doc, Span

from ..contract import entity_modifiers
from ..contract.annotations import is_said
from ..contract.views import flat
from ..schema import ROLES


def flags(ent: Span) -> list[str]:
    """Return the names of the roles that hold of the entity, such as "negated", by its fact or else by its modifiers."""
    return [role.replace("_", " ") for role in ROLES if is_said(ent, role)]


def described(ent: Span) -> list[str]:
    """Return "type: words" for each type of modifier that the entity has."""
    return [f"{label}: {' | '.join(flat(m.text) for m in spans)}" for label, spans in entity_modifiers(ent).items()]


def summary_table(doc: Doc) -> str:
    """Return a plain-text table: each entity with its label, flags and modifiers."""
    rows = [("entity", "label", "flags", "modifiers")]
    for ent in doc.ents:
        rows.append((shortened(flat(ent.text)), ent.label_, ", ".join(flags(ent)), "; ".join(described(ent))))
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
