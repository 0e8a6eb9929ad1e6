"""Abbreviations and everyday words of the note, spelt out as vocabularies have them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from ...errors import RulesError
from ..rules import read_rules
from .words import fold

PATH = Path(__file__).parent / "abbreviations.yml"
_TOKEN = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_LONGEST = 5  # words of an abbreviation or everyday name
_MOST = 8  # readings of a stretch that are tried


@dataclass(frozen=True)
class Readings:
    """What some words may say, spelt out. `open` is true where an abbreviation stands for several things and nothing decides."""

    texts: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, eq=False)
class Abbreviations:
    """Entity type > abbreviation > {what it stands for: sections that decide for it}; `capitals` count only in capitals."""

    meanings: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]
    capitals: frozenset[str]

    def spell_out(self, text: str, kind: str, sections: Sequence[str] = ()) -> Readings:
        """Return the ways to spell out the abbreviations in some words; none where there is no abbreviation.

        kind: The entity's type.
        sections: Keys of the section that the words stand in, and of that which it divides.

        >>> load_abbreviations().spell_out("acute DVT", "problem").texts
        ('acute deep vein thrombosis',)
        >>> load_abbreviations().spell_out("MS", "problem"), load_abbreviations().spell_out("MS", "problem", ["neurologic"]).texts
        (Readings(texts=('multiple sclerosis', 'mitral stenosis'), open=True), ('multiple sclerosis',))
        """
        known = self.meanings.get(kind, {})
        tokens = [(match.start(), match.end()) for match in _TOKEN.finditer(text)]
        pieces: list[list[str]] = []
        last = i = 0
        undecided = spelt = False
        while i < len(tokens):
            for size in range(min(_LONGEST, len(tokens) - i), 0, -1):
                start, end = tokens[i][0], tokens[i + size - 1][1]
                words = " ".join(fold(text[a:b]) for a, b in tokens[i : i + size])
                meanings = known.get(words)
                if meanings and (words not in self.capitals or text[start:end].isupper()):
                    chosen = [name for name, where in meanings.items() if len(meanings) == 1 or set(where) & set(sections)]
                    undecided |= len(chosen) != 1
                    pieces += [[text[last:start]], chosen if len(chosen) == 1 else list(meanings)]
                    spelt, last, i = True, end, i + size
                    break
            else:
                i += 1
        if not spelt:
            return Readings()
        pieces.append([text[last:]])
        texts = tuple(dict.fromkeys("".join(way) for way, _ in zip(product(*pieces), range(_MOST))))
        return Readings(texts, undecided)


@lru_cache(maxsize=4)
def load_abbreviations(path: str | None = None) -> Abbreviations:
    """Return the packaged abbreviations, with those of a site's file of the same form added; a site's meaning replaces ours.

    RAISES (RulesError): The file cannot be read, or an abbreviation has no meaning.
    """
    data = read_rules(PATH)
    more = read_rules(Path(path)) if path else {}
    meanings: dict[str, dict[str, dict[str, Sequence[str]]]] = {}
    for source, content in ((PATH, data), (path, more)):
        for kind, entries in content.items():
            if kind == "words":
                continue
            for short, said in (entries or {}).items():
                if isinstance(said, str):
                    said = {said: []}
                if not isinstance(said, dict) or not said or not all(isinstance(where or [], list) for where in said.values()):
                    raise RulesError(f"{source}: {kind}: {short}: must be its meaning, or {{meaning: [sections]}}.")
                words = " ".join(_TOKEN.findall(fold(str(short))))
                meanings.setdefault(str(kind), {})[words] = {str(name): tuple(where or ()) for name, where in said.items()}
    capitals = [*data.get("words", []), *(more.get("words") or [])]
    return Abbreviations(meanings, frozenset(map(str, capitals)))
