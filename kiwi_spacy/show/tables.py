"""Tables of a page, in HTML."""

from collections.abc import Iterable, Sequence

from ..contract import get_score
from ..contract.views import flat
from .facts import status_words
from .lines import Entity
from .markup import html_text
from .words import described, flags


def entity_table(entities: Sequence[Entity]) -> str:
    """Return a row for each entity; where there are facts, with the status and what says so, linked to the entity in the text."""
    if not entities:
        return '<p class="empty">None.</p>'
    told = any(entity.fact for entity in entities)
    heads = ["Entity", "Label", *(("Status", "Because") if told else ("Flags",)), "Modifiers", "Characters", "Score"]
    return _table(heads, (_entity_row(entity, told) for entity in entities))


def _entity_row(entity: Entity, told: bool) -> str:
    ent, score = entity.span, get_score(entity.span)
    held = ", ".join(flags(ent)) if entity.fact is None else status_words(entity.fact)
    because = [f'<td id="why-{entity.key}">{_stacked(entity.reasons)}</td>'] if told else []
    name = html_text(flat(ent.text))
    cells = [
        f'<td><a href="#{entity.key}">{name}</a></td>' if entity.fact and name else f"<td>{name}</td>",
        f"<td>{html_text(ent.label_)}</td>", f"<td>{html_text(held)}</td>", *because, f"<td>{_stacked(described(ent))}</td>",
        f"<td>{ent.start_char}–{ent.end_char}</td>", f"<td>{'' if score is None else f'{score:.2f}'}</td>",
    ]
    mark = f' id="row-{entity.key}" data-key="{entity.key}" tabindex="-1"' if told else ""
    return f"<tr{mark}>{''.join(cells)}</tr>"


def _stacked(lines: Iterable[str]) -> str:
    return "<br>".join(map(html_text, lines))


def _table(heads: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"
