"""Tables of a page, in HTML."""

from collections.abc import Iterable, Sequence

from ..contract import get_score
from ..contract.facts import Code, Fact
from ..contract.views import flat
from .facts import LISTS
from .lines import Entity
from .markup import html_text
from .words import described, status_of


def is_listed(fact: Fact) -> bool:
    """Whether a fact has a row in one of the lists; a treatment, or a test without a result, has none."""
    return any(rows_of([fact]) for _, _, rows_of in LISTS)


def fact_lists(entities: Sequence[Entity]) -> list[str]:
    """Return problems, medications and results, each as a heading and a table whose rows are linked to the text."""
    found = []
    for name, heads, rows_of in LISTS:
        rows = [
            _row(entity, [_name(entity, cells[0]), *(f"<td>{html_text(cell)}</td>" for cell in cells[1:])],
                 name="" if i else f"listed-{entity.key}")
            for entity in entities if entity.fact for i, cells in enumerate(rows_of([entity.fact]))
        ]
        found += [f"<h2>{name}</h2>", _table([head.capitalize() for head in heads], rows)]
    return found


def entity_table(entities: Sequence[Entity]) -> str:
    """Return a row for each entity; one of a fact has its status, reasons and codes, and a link to the text."""
    told = any(entity.fact for entity in entities)
    coded = any(entity.fact.codes for entity in entities if entity.fact)
    heads = ["Entity", "Label", *(("Status", "Because") if told else ("Flags",)), "Modifiers", *(("Codes",) if coded else ()),
             "Characters", "Score"]
    rows = []
    for entity in entities:
        ent, fact, score = entity.span, entity.fact, get_score(entity.span)
        cells = [
            _name(entity, flat(ent.text)), f"<td>{html_text(ent.label_)}</td>",
            f"<td>{html_text(status_of(ent, fact))}</td>",
            *([f'<td id="why-{entity.key}">{_stacked(entity.reasons)}</td>'] if told else []),
            f"<td>{_stacked(described(ent))}</td>",
            *([f"<td>{_stacked(map(_code, fact.codes if fact else ()))}</td>"] if coded else []),
            f"<td>{ent.start_char}–{ent.end_char}</td>", f"<td>{'' if score is None else f'{score:.2f}'}</td>",
        ]
        rows.append(_row(entity, cells, name=f"row-{entity.key}"))
    return _table(heads, rows)


def _code(code: Code) -> str:
    """Return a code with its name, and how it was found where that is not by the same words."""
    how = "" if code.how in (None, "exact") else f" ({code.how}{'' if code.score is None else f' {code.score:.2f}'})"
    return f"{code.code} {code.name}{how}"


def _name(entity: Entity, words: str) -> str:
    linked = entity.fact and words  # a line break has no place to go to
    return f'<td><a href="#{entity.key}">{html_text(words)}</a></td>' if linked else f"<td>{html_text(words)}</td>"


def _row(entity: Entity, cells: Iterable[str], *, name: str) -> str:
    """Return a row; one of a fact can take the focus, and with it lights up its entity."""
    named = f' id="{name}"' if name else ""
    mark = f'{named} data-key="{entity.key}" tabindex="-1"' if entity.fact else ""
    return f"<tr{mark}>{''.join(cells)}</tr>"


def _stacked(lines: Iterable[str]) -> str:
    return "<br>".join(map(html_text, lines))


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return '<p class="empty">None.</p>'
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"
