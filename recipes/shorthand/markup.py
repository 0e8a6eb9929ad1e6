"""Marked lines: `[label words]` is a span, `{...}` a scope, `^` a capital letter, and a backslash keeps the next character.

Links follow from where a modifier stands. Inside an entity it belongs to that entity; elsewhere it belongs to every entity of
its scope that takes it, scopes within included: `{[negation Denies] [problem fever] or [problem cough]}, has [problem rash]`.
The whole line is a scope.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kiwi_spacy.schema import Schema

_EVENT = re.compile(r"\\(?P<kept>.)|\[(?P<label>[a-z_]+) |(?P<mark>[\]{}^])|(?P<text>[^\\\[\]{}^]+)", re.DOTALL)


class MarkupError(ValueError):
    """A marked line of the grammar that cannot be read."""


@dataclass(frozen=True)
class Marked:
    """A text with its annotation.

    `spans` are (label, start, end), half-open; `links` are (entity, modifier), both as places in `spans`.
    """

    text: str
    spans: tuple[tuple[str, int, int], ...] = ()
    links: tuple[tuple[int, int], ...] = ()

    def words(self) -> list[tuple[str, str]]:
        """Return (label, words) of each span."""
        return [(label, self.text[start:end]) for label, start, end in self.spans]

    def linked(self) -> list[tuple[str, str, str]]:
        """Return (words of the entity, the modifier's label, its words) of each link."""
        words = self.words()
        return [(words[head][1], *words[modifier]) for head, modifier in self.links]


@dataclass
class _Scope:
    """A scope that is being read, or an entity: a modifier within one goes to what is inside alone."""

    entities: list[int] = field(default_factory=list)
    modifiers: list[int] = field(default_factory=list)


def parse_marked(marked: str, schema: Schema, *, change: Callable[[str], str] | None = None) -> Marked:
    """Read a marked line.

    change (Callable | None): Applied to each piece of text between marks, such as for typos.
    RAISES (MarkupError): A label is not of the schema, brackets do not close, a modifier has no entity that takes it, an
        entity lies within another.

    >>> from kiwi_spacy.schema import load_schema
    >>> line = parse_marked("{[negation no] [problem fever]}, [problem [bodyloc neck] pain]", load_schema())
    >>> line.text
    'no fever, neck pain'
    >>> line.linked()
    [('fever', 'negation', 'no'), ('neck pain', 'bodyloc', 'neck')]
    """
    text, spans, links = "", list[tuple[str, int, int]](), list[tuple[int, int]]()
    scopes, open_spans, capital, at = [_Scope()], list[int](), False, 0

    def fail(why: str) -> MarkupError:
        return MarkupError(f"{marked!r}: {why}.")

    def close(scope: _Scope) -> None:
        for modifier in scope.modifiers:
            heads = [head for head in scope.entities if schema.allows(spans[head][0], spans[modifier][0])]
            if not heads:
                raise fail(f"nothing here takes {spans[modifier][0]!r}")
            links.extend((head, modifier) for head in heads)

    while at < len(marked):
        found = _EVENT.match(marked, at)
        if found is None:
            raise fail(f"a bracket at {at} that opens no mark")
        at = found.end()
        if found["label"]:
            label = found["label"]
            if label not in schema.entities and label not in schema.modifiers:
                raise fail(f"the schema has no label {label!r}")
            open_spans.append(len(spans))
            spans.append((label, len(text), -1))
            if label in schema.entities:
                if any(spans[i][0] in schema.entities for i in open_spans[:-1]):
                    raise fail("an entity within an entity")
                scopes[-1].entities.append(len(spans) - 1)
                scopes.append(_Scope([len(spans) - 1]))
            else:
                scopes[-1].modifiers.append(len(spans) - 1)
        elif found["mark"] == "]":
            if not open_spans:
                raise fail("a bracket closes nothing")
            label, start, _ = spans[open_spans[-1]]
            spans[open_spans.pop()] = (label, start, len(text))
            if label in schema.entities:
                close(scopes.pop())
        elif found["mark"] == "{":
            scopes.append(_Scope())
        elif found["mark"] == "}":
            if len(scopes) < 2:
                raise fail("a scope closes that is not open")
            close(scopes[-1])
            inner = scopes.pop()
            scopes[-1].entities += inner.entities
        elif found["mark"] == "^":
            capital = True
        else:
            piece = found["kept"] or found["text"]
            if change and found["text"]:
                piece = change(piece)
            if capital and piece:
                piece, capital = piece[0].upper() + piece[1:], False
            text += piece
    if open_spans or len(scopes) != 1:
        raise fail("a mark or a scope does not close")
    close(scopes[0])
    return in_order(Marked(text, tuple(spans), tuple(dict.fromkeys(links))))


def in_order(marked: Marked) -> Marked:
    """Return the same with spans by place, the longer first, links by entity, and no space at the ends of the text."""
    start = len(marked.text) - len(marked.text.lstrip())
    moved = [(label, s - start, e - start) for label, s, e in marked.spans]
    order = sorted(range(len(moved)), key=lambda i: (moved[i][1], -moved[i][2]))
    place = {old: new for new, old in enumerate(order)}
    links = sorted((place[head], place[modifier]) for head, modifier in marked.links)
    return Marked(marked.text.strip(), tuple(moved[i] for i in order), tuple(links))


def respaced(marked: Marked, spaces: dict[int, str]) -> Marked:
    """Return the same with other white space at some places: `spaces` is what stands there in the place of one space.

    >>> respaced(Marked("no fever, cough", (("problem", 10, 15),)), {9: ""})
    Marked(text='no fever,cough', spans=(('problem', 9, 14),), links=())
    """
    moved, text = list[int](), ""
    for place, character in enumerate(marked.text):
        moved.append(len(text))
        text += spaces.get(place, character)
    moved.append(len(text))
    return Marked(text, tuple((label, moved[start], moved[end]) for label, start, end in marked.spans), marked.links)


def join(lines: list[Marked]) -> Marked:
    """Return several as one, a line each.

    >>> join([Marked("fever", (("problem", 0, 5),)), Marked("cough", (("problem", 0, 5),))]).spans
    (('problem', 0, 5), ('problem', 6, 11))
    """
    text, spans, links = "", list[tuple[str, int, int]](), list[tuple[int, int]]()
    for line in lines:
        first = len(spans)
        spans += [(label, start + len(text), end + len(text)) for label, start, end in line.spans]
        links += [(head + first, modifier + first) for head, modifier in line.links]
        text += line.text + "\n"
    return Marked(text.removesuffix("\n"), tuple(spans), tuple(links))


def brat(marked: Marked) -> str:
    """Return the lines of the .ann file."""
    lines = [f"T{i}\t{label} {start} {end}\t{marked.text[start:end]}" for i, (label, start, end) in enumerate(marked.spans, 1)]
    links = [f"R{i}\thasAttr Arg1:T{head + 1} Arg2:T{modifier + 1}" for i, (head, modifier) in enumerate(marked.links, 1)]
    return "".join(line + "\n" for line in lines + links)


def misspell(word: str, choice: random.Random) -> str:
    """Return a word of five letters or more with one slip of the fingers after its first letter, or as it is if shorter.

    >>> misspell("lisinopril", random.Random(1))
    'lissinopril'
    """
    if len(word) < 5 or not word.isalpha():
        return word
    place, kind = choice.randrange(1, len(word) - 2), choice.randrange(3)
    if kind == 0:
        return word[:place] + word[place + 1] + word[place] + word[place + 2:]
    return word[:place] + word[place + 1:] if kind == 1 else word[:place] + word[place] + word[place:]
