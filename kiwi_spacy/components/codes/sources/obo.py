"""Vocabularies in OBO: HPO, Mondo and others."""

import re
from collections.abc import Iterator
from pathlib import Path

from ....errors import FormatError
from .term import Rejected, Term, system_uri

# How surely a synonym of a scope means the concept.
_RANKS = {"EXACT": 1, "NARROW": 3, "BROAD": 4, "RELATED": 4}
_SYNONYM = re.compile(r'"((?:[^"\\]|\\.)*)"\s+([A-Z]+)\b')


def read_obo(path: Path, *, system: str = "", **_: object) -> Iterator[Term | Rejected]:
    """Yield the names and synonyms of an OBO file, by the identifiers of its terms; obsolete ones are left out.

    RAISES (FormatError): The file is missing.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}.") from None
    uri = system_uri(system or "hpo")
    with file:
        stanza: list[tuple[int, str, str]] = []
        kind = ""
        for line, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                yield Rejected(path.name, line, "not UTF-8")
                continue
            if text.startswith("["):
                yield from _terms(path, kind, stanza, uri)
                stanza, kind = [], text
            elif ":" in text and not text.startswith("!"):
                tag, value = text.split(":", 1)
                stanza.append((line, tag, value.strip()))
        yield from _terms(path, kind, stanza, uri)


def _terms(path: Path, kind: str, stanza: list[tuple[int, str, str]], uri: str) -> Iterator[Term | Rejected]:
    if kind != "[Term]" or not stanza:
        return
    first = stanza[0][0]
    said = {tag: value for _, tag, value in reversed(stanza)}
    if said.get("is_obsolete") == "true":
        yield Rejected(path.name, first, "obsolete", fault=False)
        return
    code, name = said.get("id", ""), said.get("name", "")
    if not code or not name:
        yield Rejected(path.name, first, f"a term without {'id' if not code else 'name'}")
        return
    parent = said.get("is_a", "").split(" ")[0]
    yield Term(code, _plain(name), 0, (), uri, parent)
    for line, tag, value in stanza:
        if tag == "synonym":
            match = _SYNONYM.match(value)
            if match is None or match[2] not in _RANKS:
                yield Rejected(path.name, line, "a synonym without its text or its scope")
            else:
                yield Term(code, _plain(match[1]), _RANKS[match[2]], (), uri, parent)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
