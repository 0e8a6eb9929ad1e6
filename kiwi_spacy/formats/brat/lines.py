"""One line of an .ann file as a value. What it means beside the other lines is the resolver's to say."""

import re
from dataclasses import dataclass

from ...contract import RemarkKind


@dataclass(frozen=True)
class TextBound:
    """`T`: a span; `pieces` are (start_char, end_char), half-open, several where it is discontinuous."""

    id: str
    label: str
    pieces: tuple[tuple[int, int], ...]
    words: str


@dataclass(frozen=True)
class Binary:
    """`R`: a relation of two annotations."""

    id: str
    name: str
    first: str
    second: str


@dataclass(frozen=True)
class Event:
    """`E`: a trigger with the annotations that play a role in it."""

    id: str
    trigger: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """`A` or `M`, `#`, `N`: an attribute, a comment or a code of another annotation."""

    id: str
    kind: RemarkKind
    name: str
    target: str
    value: str


@dataclass(frozen=True)
class LeftOut:
    """A line that brat knows and a Doc cannot hold."""

    id: str
    what: str


@dataclass(frozen=True)
class Unreadable:
    """A line that is none of brat's; `what` says what is expected."""

    what: str


Line = TextBound | Binary | Event | Said | LeftOut | Unreadable

# ASCII digits alone: int() also reads "0_0" and the digits of every script. Eighteen of them are more than any note has.
_PIECE = re.compile(r" *([0-9]{1,18}) +([0-9]{1,18}) *")


def parse_line(line: str) -> Line:
    r"""Return what a line that is not blank says.

    >>> parse_line("T1\tproblem 0 5;9 12\tchest ain").pieces
    ((0, 5), (9, 12))
    >>> parse_line("T1\tproblem 0_0 5\tfever")
    Unreadable(what="not a span: expected ID, TAB, 'label start end', TAB, text.")
    """
    fields = line.split("\t")
    parse = {"T": _span, "R": _relation, "E": _event, "A": _attribute, "M": _attribute, "N": _code, "#": _comment}
    if line[0] == "*":
        return LeftOut("*", "an equivalence, which a Doc cannot hold. Link each of its spans by itself. Skipped.")
    return parse[line[0]](fields) if line[0] in parse else Unreadable("not an annotation. Skipped.")


def _span(fields: list[str]) -> TextBound | Unreadable:
    wrong = Unreadable("not a span: expected ID, TAB, 'label start end', TAB, text.")
    label, _, offsets = (fields[1] if len(fields) > 1 else "").strip(" ").partition(" ")
    found = [_PIECE.fullmatch(piece) for piece in offsets.split(";")]
    pieces = tuple((int(match[1]), int(match[2])) for match in found if match)
    if not label or len(pieces) < len(found):
        return wrong
    return TextBound(fields[0], label, pieces, "\t".join(fields[2:]))


def _relation(fields: list[str]) -> Binary | Unreadable:
    words = fields[1].split() if len(fields) > 1 else []
    ends = [word.partition(":")[2] for word in words[1:]]
    if len(ends) != 2 or not all(ends):
        return Unreadable("not a link: expected ID, TAB, 'name Arg1:ID Arg2:ID'.")
    return Binary(fields[0], words[0], *ends)


def _event(fields: list[str]) -> Event | Unreadable:
    words = fields[1].split() if len(fields) > 1 else []
    ids = [word.partition(":")[2] for word in words]
    if not ids or not all(ids):
        return Unreadable("not an event: expected ID, TAB, 'label:ID role:ID ...'.")
    return Event(fields[0], ids[0], tuple(ids[1:]))


def _attribute(fields: list[str]) -> Said | Unreadable:
    words = fields[1].split() if len(fields) > 1 else []
    if len(words) < 2 or not fields[0][1:].isalnum():
        return Unreadable("not an attribute: expected ID, TAB, 'name ID' or 'name ID value'.")
    return Said(fields[0], "attribute", words[0], words[1], " ".join(words[2:]))


def _code(fields: list[str]) -> Said | Unreadable:
    words = fields[1].split() if len(fields) > 1 else []
    if len(words) != 3 or not fields[0][1:].isalnum():
        return Unreadable("not a normalisation: expected ID, TAB, 'name ID source:code', TAB, text.")
    return Said(fields[0], "code", words[0], words[1], "\t".join([words[2], *fields[2:]]))


def _comment(fields: list[str]) -> Said | LeftOut | Unreadable:
    words = fields[1].split() if len(fields) > 1 else []
    if not fields[0][1:].isalnum():
        return LeftOut("#", "a comment that belongs to no annotation. Skipped.")
    if len(words) != 2:
        return Unreadable("not a comment: expected ID, TAB, 'name ID', TAB, text.")
    return Said(fields[0], "comment", words[0], words[1], "\t".join(fields[2:]))
