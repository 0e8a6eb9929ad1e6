"""The copy-lock as a GBNF grammar, for servers that decode under one (llama.cpp, vLLM)."""

import json
import re
from collections.abc import Sequence

from .exchange import Prompt
from .markup import CLOSING, linking, opening

_PIECE = re.compile(r"(\s*)(\w+|[^\w\s])")
_MOST_LINKS = 8  # that one span names


def grammar_text(prompt: Prompt) -> str:
    """Return the GBNF grammar of all answers to a prompt: its text, with legal tags around its words.

    States are places in the text times what is open there, so its size grows with the text alone.
    """
    schema = prompt.schema
    pieces = _PIECE.findall(prompt.text)
    n = len(pieces)
    tail = prompt.text[sum(len(space) + len(word) for space, word in pieces) :]
    entities = list(schema.entities)
    modifiers = [] if prompt.only_entities else list(schema.modifiers)
    inner = {label: [m for m in modifiers if schema.modifiers[m].inside and schema.allows(label, m)] for label in entities}
    nesting = [label for label in entities if inner[label]]
    number = {label: k for k, label in enumerate(entities)}  # rules' names are letters, digits and hyphens
    close = f"{_quote(CLOSING)} {'links ' if prompt.links else ''}"
    begins, inside, closes = _places(pieces, prompt.given or ())
    rules = ["root ::= o0"]
    for i, (space, word) in enumerate(pieces):
        blank, plain, after = f"{_quote(space)} " if space else "", f"{_quote(word)} ", i + 1
        if i in begins:
            options = _opened([begins[i]], inner, number, plain, after)
        else:
            free = modifiers if prompt.given is not None else [*entities, *modifiers]
            options = [f"{plain}o{after}", *_opened(free, inner, number, plain, after)]
        rules.append(f"o{i} ::= {blank}({' | '.join(options)})")
        if i == 0:
            continue
        go = i not in begins and i not in closes  # the words go on within what is open
        ends = i not in inside
        rules.append(_rule(f"e{i}", [f"{blank}{plain}e{after}"] * go + [f"{close}o{i}"] * ends))
        for label in nesting:
            p, m = f"p{number[label]}-", f"m{number[label]}-"
            more = [f"{blank}{plain}{p}{after}", f"{blank}{_any(inner[label])} {plain}{m}{after}"] if go else []
            rules.append(_rule(f"{p}{i}", more + [f"{close}o{i}"] * ends))
            rules.append(_rule(f"{m}{i}", [f"{blank}{plain}{m}{after}"] * go + [f"{close}{p}{i}"]))
    rules += [f"o{n} ::= {_quote(tail)}", f"e{n} ::= {close}o{n}"]
    for label in nesting:
        rules += [f"p{number[label]}-{n} ::= {close}o{n}", f"m{number[label]}-{n} ::= {close}p{number[label]}-{n}"]
    if prompt.links:
        names = " | ".join(_quote(linking(label)) for label in [*entities, *modifiers])
        rules.append(f"links ::= ({names}){{0,{_MOST_LINKS}}}")
    return "\n".join(rules) + "\n"


def _places(
    pieces: Sequence[tuple[str, str]], given: Sequence[tuple[int, int, str]]
) -> tuple[dict[int, str], set[int], set[int]]:
    """Return the pieces at which given spans begin, with their labels; those that lie inside one; those right after one."""
    begins: dict[int, str] = {}
    inside: set[int] = set()
    closes: set[int] = set()
    at = 0
    for i, (space, word) in enumerate(pieces):
        start = at + len(space)
        at = start + len(word)
        for first, last, label in given:
            if start <= first < at:
                begins[i] = label
            elif first < start < last:
                inside.add(i)
            if start < last <= at:
                closes.add(i + 1)
    return begins, inside - set(begins), closes


def _rule(name: str, options: list[str]) -> str:
    return f"{name} ::= {' | '.join(options)}"


def _opened(labels: list[str], inner: dict[str, list[str]], number: dict[str, int], plain: str, after: int) -> list[str]:
    simple = [label for label in labels if not inner.get(label)]
    options = [f"{_any(simple)} {plain}e{after}"] if simple else []
    for label in labels:
        if inner.get(label):
            nested = f"{_any(inner[label])} {plain}m{number[label]}-{after}"
            options.append(f"{_quote(opening(label))} ({plain}p{number[label]}-{after} | {nested})")
    return options


def _any(labels: list[str]) -> str:
    return "(" + " | ".join(_quote(opening(label)) for label in labels) + ")"


def _quote(text: str) -> str:
    """Return a GBNF literal: JSON's escapes, but for what GBNF does not know."""
    quoted = json.dumps(text, ensure_ascii=False).replace("\\b", "\\x08").replace("\\f", "\\x0C")
    return re.sub(r"\\u00([0-9a-f]{2})", lambda found: "\\x" + found.group(1).upper(), quoted)
