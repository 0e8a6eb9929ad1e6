"""The tags of an answer, for a schema and a tokenizer; annotated Docs as answers, and answers as annotations."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spacy.tokens import Doc

from ...contract import get_modifiers, get_relations, span_key
from ...schema import Schema, schema_to_dict
from .grammar import Grammar

CLOSING = "</span>"


def opening(label: str) -> str:
    return f'<span class="{label}">'


def linking(label: str) -> str:
    return f'<ref class="{label}"/>'


def tag_texts(schema: Schema) -> list[str]:
    """Return every tag as text: the closing one, the opening ones, those of links."""
    labels = [*schema.entities, *schema.modifiers]
    return [CLOSING, *map(opening, labels), *map(linking, labels)]


@lru_cache(maxsize=64)
def _key_of(schema: "_Same") -> str:
    return json.dumps(schema_to_dict(schema.schema))


class _Same:
    """A schema that is compared by identity: it holds dicts, and is never changed."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.schema is other.schema

    def __hash__(self) -> int:
        return id(self.schema)


def content_key(schema: Schema) -> str:
    """Return what a schema says as one string: equal where two schemas are, whatever file they were read from."""
    return _key_of(_Same(schema))


def make_grammar(schema: Schema, tokenizer: Any, end: int, *, links: bool = True, modifiers: bool = True) -> Grammar:
    """Return the grammar of a schema's tags, as a tokenizer spells them.

    tokenizer: Of transformers. Tags that are tokens of its own stay one token each; others are spelt.
    end (int): The token that ends an answer.
    links, modifiers (bool): Whether answers name links and mark modifiers.
    """
    own = tokenizer.get_added_vocab()

    def tokens(text: str) -> list[int]:
        return [own[text]] if text in own else tokenizer.encode(text, add_special_tokens=False)

    labels = [*schema.entities, *(schema.modifiers if modifiers else ())]

    def may_open(opened: tuple[str, ...], label: str) -> bool:
        if not opened:
            return True
        # Only what may lie inside an entity opens inside one, and nothing inside a modifier.
        return len(opened) == 1 and schema.allows(opened[0], label) and schema.modifiers[label].inside

    def may_link(closed: str, label: str) -> bool:
        return schema.allows(closed, label) or schema.allows(label, closed)

    return Grammar(
        {label: tokens(opening(label)) for label in labels}, {label: tokens(CLOSING) for label in labels},
        end, may_open, linking={label: tokens(linking(label)) for label in labels} if links else None,
        may_link=may_link,
    )


@dataclass
class Source:
    """A text's tokens, each with the characters that it stands for, white space at its ends left out.

    starts, ends (list[int]): Offsets in characters; equal where a token is white space alone.
    """

    text: str
    tokens: list[int]
    starts: list[int]
    ends: list[int]

    def place(self, start_char: int, end_char: int) -> tuple[int, int] | None:
        """Return the tokens that hold these characters, half-open; None where no token does."""
        inside = [i for i, (a, b) in enumerate(zip(self.starts, self.ends)) if a < end_char and start_char < b]
        return (inside[0], inside[-1] + 1) if inside else None

    def chars(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the characters of tokens, half-open, without white space at the ends; None where nothing else is there."""
        inside = [i for i in range(start, end) if self.starts[i] < self.ends[i]]
        return (self.starts[inside[0]], self.ends[inside[-1]]) if inside else None


def read_source(tokenizer: Any, text: str) -> Source:
    """Tokenize a note's text; what spells a special token of the model is plain text here."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True)
    starts, ends = [], []
    for start, end in encoded["offset_mapping"]:
        words = text[start:end]
        starts.append(start + len(words) - len(words.lstrip()) if words.strip() else end)
        ends.append(start + len(words.rstrip()) if words.strip() else end)
    return Source(text, list(encoded["input_ids"]), starts, ends)


def gold_answer(doc: Doc, source: Source, grammar: Grammar) -> tuple[list[int], int, int]:
    """Return a Doc's annotations as an answer over its text, and how many spans and links it could not say."""
    spans: list[tuple[int, int, str]] = []
    index: dict[Any, int] = {}
    for span in [*doc.ents, *get_modifiers(doc)]:
        place = source.place(span.start_char, span.end_char)
        if place is not None:
            index[span_key(span)] = len(spans)
            spans.append((*place, span.label_))
    links = [
        (index[span_key(r.head)], index[span_key(r.modifier)])
        for r in get_relations(doc) if span_key(r.head) in index and span_key(r.modifier) in index
    ]
    return grammar.write(spans, links, source.tokens)


def as_text(answer: Sequence[int], source: Source, grammar: Grammar) -> str:
    """Return an answer as markup in text, exactly the source but for its tags."""
    spans, links = grammar.read(answer, source.tokens)
    pieces: list[tuple[int, int, int, str]] = []
    for number, span in enumerate(spans):
        chars = source.chars(span.start, span.end)
        if chars is None:
            continue
        named = "".join(linking(spans[early].label) for late, early, _ in links if late == number)
        pieces.append((chars[0], 1, -chars[1], opening(span.label)))
        pieces.append((chars[1], 0, number, CLOSING + named))
    out, last = [], 0
    for place, _, _, tag in sorted(pieces):
        out += [source.text[last:place], tag]
        last = place
    return "".join([*out, source.text[last:]])


def label_of(tag: str) -> str | None:
    """Return the label that a tag names, None for the closing tag.

    >>> label_of('<ref class="drug"/>')
    'drug'
    """
    parts = tag.split('"')
    return parts[1] if len(parts) == 3 else None
