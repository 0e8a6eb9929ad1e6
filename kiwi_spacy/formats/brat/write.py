"""A Doc as the lines of an .ann file."""

import json
from pathlib import Path

from spacy.tokens import Doc, Span

from ...contract import LAYERS, get_modifiers, get_relations, get_remarks, span_key
from ..rows import WHOLE_NOTE
from .resolve import OURS


def brat_lines(doc: Doc) -> list[str]:
    """Return a Doc's annotations as .ann lines.

    Entities and modifiers are `T`, links `R hasAttr`, remarks `A`, `N` and `#`; provenance, problems, failures and the note's
    date are comments named KiwiProvenance and so on, in JSON. A modifier that an attribute was read as is written as the
    attribute.
    """
    relations = get_relations(doc)
    by_attribute = {(r.start_char, r.end_char, r.modifier) for r in get_remarks(doc) if r.modifier}
    by_attribute -= {span_key(link.modifier) for link in relations if span_key(link.head)[:2] != span_key(link.modifier)[:2]}
    spans: dict[tuple[int, int, str], Span] = {span_key(s): s for s in [*doc.ents, *get_modifiers(doc)]}
    ordered = sorted(spans.keys() - by_attribute, key=lambda key: (key[0], -key[1], key[2]))
    ids = {key: f"T{i}" for i, key in enumerate(ordered, 1)}
    text = doc.text  # once: spaCy joins it of all words each time
    lines = [f"{ids[key]}\t{key[2]} {key[0]} {key[1]}\t" + _one_line(text[key[0] : key[1]]) for key in ordered]
    links = [link for link in relations if span_key(link.modifier) in ids]
    for i, link in enumerate(links, 1):
        lines.append(f"R{i}\thasAttr Arg1:{ids[span_key(link.head)]} Arg2:{ids[span_key(link.modifier)]}\t")
    return [*lines, *_remark_lines(doc, ids), *_note_lines(doc, ids)]


def _remark_lines(doc: Doc, ids: dict[tuple[int, int, str], str]) -> list[str]:
    lines: list[str] = []
    count = {"attribute": 0, "code": 0, "comment": 0}
    for remark in get_remarks(doc):
        target = ids.get((remark.start_char, remark.end_char, remark.label))
        if target is None:
            continue
        count[remark.kind] += 1
        number = count[remark.kind]
        if remark.kind == "attribute":
            lines.append(f"A{number}\t{remark.name} {target}" + (f" {remark.value}" if remark.value else ""))
        elif remark.kind == "code":
            lines.append(f"N{number}\t{remark.name} {target} {remark.value}")
        else:
            lines.append(f"#{number}\t{remark.name} {target}\t{_one_line(remark.value)}")
    return lines


def _note_lines(doc: Doc, ids: dict[tuple[int, int, str], str]) -> list[str]:
    """Return what holds of the whole note. A comment of brat belongs to an annotation: the first, or T0 if there is none."""
    target = next(iter(ids.values()), "T0")
    number = sum(remark.kind == "comment" for remark in get_remarks(doc))
    lines = []
    for layer in LAYERS:
        rows = layer.read(doc) if layer.name in WHOLE_NOTE else None
        if rows:
            number += 1
            lines.append(f"#{number}\t{OURS}{layer.name.capitalize()} {target}\t{json.dumps(rows, ensure_ascii=False)}")
    return lines


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\t", " ")


def write_brat(doc: Doc, path: Path) -> None:
    """Write a Doc's annotations to `path`, an .ann file; the note itself is not written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + "\n" for line in brat_lines(doc)).encode("utf-8"))
