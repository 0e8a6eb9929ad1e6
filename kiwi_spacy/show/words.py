"""What a page and a plain-text table say of an entity, in words."""

from spacy.tokens import Doc, Span

from ..contract import entity_modifiers, has_role
from ..schema import ROLES


def flat(text: str) -> str:
    """Return text on one line.

    >>> flat("chest\\n  pain")
    'chest pain'
    """
    return " ".join(text.split())


def flags(ent: Span) -> list[str]:
    """Return the names of the roles that modifiers of the entity play, such as "negated"."""
    return [role.replace("_", " ") for role in ROLES if has_role(ent, role)]


def described(ent: Span) -> list[str]:
    """Return "type: words" for each type of modifier that the entity has."""
    return [f"{label}: {' | '.join(flat(m.text) for m in spans)}" for label, spans in entity_modifiers(ent).items()]


def summary_table(doc: Doc) -> str:
    """Return a plain-text table: each entity with its label, flags and modifiers."""
    rows = [("entity", "label", "flags", "modifiers")]
    for ent in doc.ents:
        rows.append((_short(flat(ent.text)), ent.label_, ", ".join(flags(ent)), "; ".join(described(ent))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join(lines)


def _short(text: str, width: int = 40) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
