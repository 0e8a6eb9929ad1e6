"""What goes to a model and what comes back: prompts that know their note's text, replies that know their spans."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from ...schema import Schema
from .markup import CLOSING, opening
from .prompts import Shot


@dataclass(frozen=True)
class Found:
    """What an answer says of a text: spans (start_char, end_char, label, score), links (head, modifier, score) by index.

    problems: What the answer said and could not be kept, counted by kind.
    """

    spans: tuple[tuple[int, int, str, float], ...] = ()
    links: tuple[tuple[int, int, float], ...] = ()
    problems: dict[str, int] = field(default_factory=dict)


class Prompt(str):
    """The whole prompt as text, for any model, and the parts of it for models that lock their answers to the text.

    text (str): The window's text. schema (Schema): Its labels. links (bool): Whether the answer names links.
    only_entities (bool): Whether modifiers are left out.
    given (Sequence): Entities that are known, (start_char, end_char, label); None where the answer is to find them.
    only_links (bool): Whether the modifiers are given, too, so that the answer is to add links alone.
    """

    instruction: str
    text: str
    schema: Schema
    links: bool
    only_entities: bool
    shots: tuple[Shot, ...]
    given: tuple[tuple[int, int, str], ...] | None
    only_links: bool

    def __new__(
        cls, instruction: str, text: str, schema: Schema, *, links: bool = True, only_entities: bool = False,
        shots: Sequence[Shot] = (), given: Sequence[tuple[int, int, str]] | None = None,
        only_links: bool = False,
    ) -> "Prompt":
        shown = text if given is None or only_links else mark(text, given)
        examples = "".join(f"Note:\n{shot.text}\nAnswer:\n{shot.markup}\n\n" for shot in shots)
        made = super().__new__(cls, f"{instruction}\n\n{examples}Note:\n{shown}\nAnswer:\n")
        made.instruction, made.text, made.schema, made.links = instruction, text, schema, links
        made.only_entities, made.only_links = only_entities, only_links
        made.shots, made.given = tuple(shots), None if given is None else tuple(given)
        return made


class Reply(str):
    """An answer as text, and what it says of the window."""

    found: Found

    def __new__(cls, markup: str, found: Found) -> "Reply":
        made = super().__new__(cls, markup)
        made.found = found
        return made


class Failure(str):
    """Why a window has no answer; holds no note text. Worth another try in parts where `smaller` is true: it was too long."""

    smaller: bool

    def __new__(cls, reason: str, *, smaller: bool = False) -> "Failure":
        made = super().__new__(cls, reason)
        made.smaller = smaller
        return made


def mark(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """Return a text with tags around spans that do not overlap."""
    out, last = [], 0
    for start, end, label in sorted(spans):
        out += [text[last:start], opening(label), text[start:end], CLOSING]
        last = end
    return "".join([*out, text[last:]])


_TAG = re.compile(r"""<span class=["']?([^"'<>]+)["']?>|</span>|<ref class=["']?([^"'<>]+?)["']?/>""")
_LONGEST_ANSWER = (2.0, 400)  # times the window's characters, and so many more: a rewritten answer without its tags is no longer


def read_answer(answer: str, text: str, schema: Schema) -> "Reply | Failure":
    """Return what an unlocked answer says of a window, or a failure where it is far longer than any answer to it."""
    times, more = _LONGEST_ANSWER
    most_tags = (len(text) + 10) * 100  # a tag or two around each character
    if len(answer) > times * len(text) + more + most_tags or len(_TAG.sub("", answer)) > times * len(text) + more:
        return Failure("the answer is far longer than its window")
    return Reply(answer, align(answer, text, schema))


def align(answer: str, text: str, schema: Schema) -> Found:
    """Read the markup of a model that was not locked to the text; what does not fit is counted, never guessed.

    Where the answer without its tags is the text, every offset is exact, and a tag that the text itself
    spells is text. Elsewhere both are matched character by character (difflib), and a span is kept only
    where its very words stand in the text at the matching place.
    """
    problems: Counter[str] = Counter()
    plain, tags = _split(answer, text)
    if "".join(plain.split()) == "".join(text.split()):
        places = _match_words(plain, text)
    else:
        problems["stretch of text rewritten"] += 1
        places = {}
        for block in SequenceMatcher(None, plain, text, autojunk=False).get_matching_blocks():
            places.update(zip(range(block.a, block.a + block.size), range(block.b, block.b + block.size)))
        last = max((place for at, place in places.items() if not plain[at].isspace()), default=-1)
        if len("".join(text[last + 1 :].split())) > 0.2 * len(text):
            problems["answer cut short"] += 1
    labels = {label.lower(): label for label in [*schema.entities, *schema.modifiers]}
    opened: list[tuple[str, int]] = []
    spans: list[tuple[int, int, str, float]] = []
    pairs: list[tuple[int, int]] = []
    just, named = -1, Counter[str]()
    for at, tag in tags:
        name = tag.group(1) or tag.group(2)
        label = labels.get(name.lower(), "") if name else ""
        if tag.group(1):
            if not label:
                problems["span of an unknown label dropped"] += 1
            opened.append((label, at))
        elif tag.group(2):
            partners = [i for i, span in enumerate(spans[:just] if just >= 0 else []) if span[2] == label]
            named[label] += 1
            if len(partners) < named[label]:
                problems["link to no span dropped"] += 1
            else:
                pairs.append((just, partners[-named[label]]))
        elif not opened:
            problems["closing tag without an opening one"] += 1
        else:
            label, start = opened.pop()
            just, named = -1, Counter()
            inside = [i for i in range(start, at) if not plain[i].isspace()]
            if not inside or not _kept(plain, text, places, inside):
                problems["span whose words were changed dropped"] += 1
            elif label:
                just = len(spans)
                spans.append((places[inside[0]], places[inside[-1]] + 1, label, 1.0))
    if opened:
        problems["span never closed dropped"] += len(opened)
    links = []
    for late, early in pairs:
        a, b = spans[late][2], spans[early][2]
        if schema.allows(a, b):
            links.append((late, early, 1.0))
        elif schema.allows(b, a):
            links.append((early, late, 1.0))
        else:
            problems["link that the schema does not allow dropped"] += 1
    return Found(tuple(spans), tuple(links), dict(problems))


def _split(answer: str, text: str) -> tuple[str, list[tuple[int, re.Match[str]]]]:
    """Return an answer without its tags, and the tags with their places in it; what the text spells there is no tag."""
    plain: list[str] = []
    tags: list[tuple[int, re.Match[str]]] = []
    at, place, follows = 0, 0, True  # follows: so far the answer is the text
    length = 0
    for tag in _TAG.finditer(answer):
        piece = answer[at : tag.start()]
        follows = follows and text.startswith(piece, place)
        place += len(piece)
        plain.append(piece)
        length += len(piece)
        at = tag.end()
        if follows and text.startswith(tag.group(), place):
            plain.append(tag.group())
            length += len(tag.group())
            place += len(tag.group())
        else:
            tags.append((length, tag))
    return "".join([*plain, answer[at:]]), tags


def _match_words(plain: str, text: str) -> dict[int, int]:
    """Return the places of characters in two texts that differ in white space alone."""
    ours = [i for i, c in enumerate(plain) if not c.isspace()]
    theirs = [i for i, c in enumerate(text) if not c.isspace()]
    return dict(zip(ours, theirs))


def _kept(plain: str, text: str, places: dict[int, int], inside: list[int]) -> bool:
    if any(i not in places for i in inside):
        return False
    start, end = places[inside[0]], places[inside[-1]] + 1
    words = plain[inside[0] : inside[-1] + 1]
    return text[start:end].split() == words.split()
